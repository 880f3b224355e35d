#ifndef BENCH_MEASURE_THREADS_H
#define BENCH_MEASURE_THREADS_H

namespace measure {

// Threads that the library takes of those that OpenMP would use: see pxl_context_create().
int threads_in_use();

} // namespace measure
#endif
