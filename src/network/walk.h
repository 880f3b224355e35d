/* The terms of a call that are compared in one network: the way of both images through it and of the gradients back.
 *
 * Target first, keeping only what is compared; then pred, keeping what its gradient needs, which is the outputs of ReLUs; then back,
 * from the deepest layer on. Images go one after another (or in batches), so memory does not grow with their number. */
#ifndef PXLI_WALK_H
#define PXLI_WALK_H
#include "engine.h"

/* Groups the call's terms into walks and has their networks prepared. To be released, also after a failure. */
pxl_status pxli_walks_prepare(pxli_call *call, const pxli_engine *engine, const pxl_context *context);
void pxli_walks_release(pxli_call *call);
/* Takes the buffers of the largest walk from the arena. */
void pxli_walks_layout(pxli_call *call, pxli_arena *arena);
/* Adds the terms' values of each image to call->sums, and their gradients to call->grad_pred and call->grad_target. */
pxl_status pxli_walks_run(pxli_call *call, const void *where);
/* One of them. */
pxl_status pxli_walk_run(pxli_call *call, const pxli_walk *walk, const void *where);
#endif
