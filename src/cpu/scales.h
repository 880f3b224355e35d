/* MS-SSIM on the CPU. */
#ifndef PXLI_CPU_SCALES_H
#define PXLI_CPU_SCALES_H
#include "../scales.h"
#include "threads.h"

/* Takes the memory of the call's ms_ssim terms, which they use one after the other. *scratch, of one thread, and *slots, for sums of
 * tiles, are raised to what they need. */
void pxli_pyramids_layout(pxli_call *call, pxli_arena *arena, size_t *scratch, int64_t *slots);
/* All of them: their sums into call->sums, their gradients stored, or added to those of passes that came before. With the last one's
 * finest gradient goes the pass that rides. */
void pxli_pyramids_run(const pxli_team *team, pxli_call *call, double *sums);
/* backend.c: all tiles of a pass, and their sums, which take `sums` on the way, into call->sums. */
void pxli_run_pass(const pxli_team *team, pxli_call *call, const pxli_pass *pass, double *sums);
#endif
