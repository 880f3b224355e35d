/* Between sums and values: what a mean divides by, what data say of their range, and the scale of each term's gradient. */
#ifndef PXLI_NORMALISE_H
#define PXLI_NORMALISE_H
#include "kernels.h"
#include "threads.h"

enum { PXLI_CHUNKS = 64 }; /* of a reduction: a fixed number, so that the order of the sum is fixed too */

/* Over all of its elements; parts: PXLI_CHUNKS of them. */
pxli_partial pxli_reduce_region(const pxli_team *team, const pxli_region *region, pxli_partial *parts);

void pxli_set_norms(const pxli_team *team, pxli_call *call, pxli_partial *parts);
void pxli_set_ranges(const pxli_team *team, pxli_call *call, pxli_partial *parts);
/* After the passes that the scales of functions of a mean need. */
void pxli_set_scales(pxli_call *call);
void pxli_write_values(const pxli_call *call);
#endif
