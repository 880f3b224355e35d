/* Threads: see threads.h. */
#include "threads.h"

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define ONE_THREAD (__libc_single_threaded != 0)
#else
#define ONE_THREAD false
#endif

/* A fork copies the calling thread alone. GCC's OpenMP keeps a thread's team for its next parallel region, and in the child that region
 * waits for the lost team for ever, whoever in the process began it. OpenMP does not say whether there is a team. But a process that
 * has never made a thread has none, and its child may make one; any other child computes on one thread. */
static atomic_bool had_threads, lost_threads; /* this process, when it forked; one that it descends from */
static void before_fork(void) { had_threads = !ONE_THREAD; }
static void in_child(void) { lost_threads = lost_threads || had_threads; }
/* When the library is loaded, as a process may fork before its first call. Unloading the library removes the handlers. */
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(before_fork, NULL, in_child); }
#endif

/* OpenMP ends the process where it cannot make the threads that it is asked for, so it is not asked for more than are of use. */
int pxli_threads(const pxl_context *context) {
#ifdef _OPENMP
    if (lost_threads) return 1;
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
