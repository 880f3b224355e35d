#include "threads.h"

#include <algorithm>
#if defined _OPENMP
#include <omp.h>
#endif

namespace measure {

int threads_in_use() {
#if defined _OPENMP
    return std::min({omp_get_max_threads(), omp_get_thread_limit(), std::max(4 * omp_get_num_procs(), 8)});
#else
    return 1;
#endif
}

} // namespace measure
