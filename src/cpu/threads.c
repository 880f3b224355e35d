/* Threads: see threads.h. */
#include "threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* OpenMP ends the process where it cannot make the threads that it is asked for, so it is not asked for more than are of use. */
int pxli_threads(const pxl_context *context) {
#ifdef _OPENMP
    const int wanted = context && context->threads > 0 ? context->threads : omp_get_max_threads(), limit = omp_get_thread_limit();
    if (wanted <= 8 && wanted <= limit) return wanted; /* to count processors is a system call */
    const int useful = omp_get_num_procs() > 2 ? 4 * omp_get_num_procs() : 8;
    const int most = useful < limit ? useful : limit;
    return wanted < most ? wanted : most;
#else
    (void)context;
    return 1;
#endif
}

size_t pxli_team_size(const pxli_arena *arena, size_t bytes, int threads) {
    return arena->used + 2 * PXLI_ALIGN + pxli_rounded(bytes) * (size_t)threads;
}

pxli_team pxli_team_in(const pxl_context *context, const pxli_arena *arena, size_t bytes, size_t total) {
    pxli_arena end = *arena;
    pxli_team team = {pxli_threads(context), pxli_take(&end, 0), pxli_rounded(bytes)};
    const size_t room = total > end.used ? total - end.used : 0;
    if (team.bytes && room / team.bytes < (size_t)team.threads) team.threads = (int)(room / team.bytes);
    return team;
}

void pxli_run(const pxli_team *team, int64_t count, int64_t pixels, pxli_task *task, const void *arguments) {
    enum { WORTH_IT = 1 << 14 };
    const int threads = count < team->threads ? (int)count : team->threads;
    if (threads <= 1 || pixels < WORTH_IT) {
        for (int64_t i = 0; i < count; i++) task(arguments, i, team->scratch);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < count; i++) task(arguments, i, team->scratch + (size_t)omp_get_thread_num() * team->bytes);
#endif
}
