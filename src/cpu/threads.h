/* Threads of a call, and their scratch in the caller's workspace. */
#ifndef PXLI_THREADS_H
#define PXLI_THREADS_H
#include "../context.h"
#include "../plan.h"

typedef struct pxli_team {
    int threads;
    char *scratch; /* of thread t: scratch + t * bytes */
    size_t bytes;
} pxli_team;

/* As many as the context allows, or OpenMP; 1 in a process that has lost its threads in a fork. */
int pxli_threads(const pxl_context *context);
/* Bytes from the arena's end for `threads` times `bytes`. */
size_t pxli_team_size(const pxli_arena *arena, size_t bytes, int threads);
/* The threads for which a workspace of `total` bytes has room; 0: not even one. */
pxli_team pxli_team_in(const pxl_context *context, const pxli_arena *arena, size_t bytes, size_t total);

typedef void pxli_task(const void *arguments, int64_t index, void *scratch);
/* Tasks 0 .. count - 1, each once. `pixels` of all of them: with few, waking threads costs more than it saves. */
void pxli_run(const pxli_team *team, int64_t count, int64_t pixels, pxli_task *task, const void *arguments);
#endif
