/* The CPU backend: runs a plan's passes over its tiles with OpenMP, and turns sums into values.
 *
 * Each tile leaves its sums in a slot of its own; they are added in the order of the tiles, so no result depends on the threads.
 * Order of a call: what the mean divides by; data ranges; the mean squared errors that rmse's and psnr's slopes need; the scale
 * of every term's gradient; the passes; values. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "../error.h"
#include "../network/walk.h"
#include "isa.h"
#include "kernels.h"
#include "normalise.h"
#include "scales.h"
#include "threads.h"

typedef struct layout {
    double *sums;        /* [tiles][terms of the pass], for the largest pass */
    pxli_partial *parts; /* [PXLI_CHUNKS], for reductions on the way */
    size_t scratch;      /* one thread's */
} layout;

static void consider(const pxli_kernels *kernels, const pxli_call *call, const pxli_pass *pass, size_t *scratch, int64_t *slots) {
    const size_t bytes = kernels->tile_bytes(call, pass);
    const int64_t need = pxli_tile_count(call, pass) * (pass->residual_count + pass->scored_count);
    if (bytes > *scratch) *scratch = bytes;
    if (need > *slots) *slots = need;
}
static layout lay_out(pxli_call *call, pxli_arena *arena) {
    const pxli_kernels *kernels = pxli_kernels_for(call->args->pred->dtype);
    layout l = {NULL, NULL, 0};
    int64_t slots = 0;
    pxli_plan_layout(call, arena);
    for (int p = 0; p < call->passes; p++) consider(kernels, call, &call->pass[p], &l.scratch, &slots);
    if (call->mean.residual_count) consider(kernels, call, &call->mean, &l.scratch, &slots);
    if (call->statistics.window) consider(kernels, call, &call->statistics, &l.scratch, &slots);
    pxli_pyramids_layout(call, arena, &l.scratch, &slots);
    l.sums = pxli_take(arena, (size_t)slots * sizeof *l.sums);
    l.parts = pxli_take(arena, PXLI_CHUNKS * sizeof *l.parts);
    pxli_walks_layout(call, arena);
    return l;
}
static size_t size(const pxl_context *context, pxli_call *call, size_t *least) {
    pxli_arena arena = {0, 0};
    const layout l = lay_out(call, &arena);
    *least = pxli_team_size(&arena, l.scratch, 1);
    return pxli_team_size(&arena, l.scratch, pxli_threads(context));
}

/* ---- Passes -------------------------------------------------------------------------------------------------------- */
typedef struct pass_run {
    const pxli_kernels *kernels;
    const pxli_call *call;
    const pxli_pass *pass;
    double *sums;
    int terms;
} pass_run;
static void run_tile(const void *arguments, int64_t index, void *scratch) {
    const pass_run *r = arguments;
    r->kernels->tile(r->call, r->pass, index, scratch, r->sums + index * r->terms);
}
void pxli_run_pass(const pxli_team *team, pxli_call *call, const pxli_pass *pass, double *sums) {
    const int terms = pass->residual_count + pass->scored_count;
    const pass_run run = {pxli_kernels_for(call->args->pred->dtype), call, pass, sums, terms};
    const int64_t tiles = pxli_tile_count(call, pass), each = tiles / call->n;
    pxli_run(team, tiles, call->n * call->c * pass->h * pass->w, run_tile, &run);
    for (int k = 0; k < terms; k++) {
        const int term = k < pass->residual_count ? pass->residual[k] : pass->scored[k - pass->residual_count];
        for (int64_t n = 0; n < call->n; n++) {
            double sum = 0;
            for (int64_t i = n * each; i < (n + 1) * each; i++) sum += sums[i * terms + k];
            call->sums[n * call->count + term] = sum;
        }
    }
}

static void clear(const pxl_tensor *t) {
    if (!t) return;
    const int64_t bytes = pxli_dtype_bytes(t->dtype);
    for (int64_t n = 0; n < t->size[0]; n++)
        for (int64_t c = 0; c < t->size[1]; c++)
            for (int64_t y = 0; y < t->size[2]; y++) {
                char *row = (char *)t->data + bytes * (n * t->stride[0] + c * t->stride[1] + y * t->stride[2]);
                const int64_t run = t->stride[3] == 1 ? t->size[3] : 1; /* of an axis of 1 the stride may be anything */
                for (int64_t x = 0; x < t->size[3]; x += run) memset(row + x * t->stride[3] * bytes, 0, (size_t)(run * bytes));
            }
}

/* What adds to a gradient before anything was written there adds to zeros, or to what the caller has. */
static void start_gradients(const pxli_call *call) {
    const pxl_args *args = call->args;
    const bool adds = args->accumulate || (call->passes > pxli_rides(call) ? call->pass[0].accumulate : !call->pyramids);
    if (adds && !(args->accumulate && call->grad_pred == args->grad_pred)) clear(call->grad_pred);
    if (adds && !(args->accumulate && call->grad_target == args->grad_target)) clear(call->grad_target);
}

/* The sum of several passes to the caller's dtype. */
typedef struct copy_run {
    const pxl_tensor *from, *to;
    bool add;
} copy_run;
static void copy_plane(const void *arguments, int64_t index, void *scratch) {
    const copy_run *r = arguments;
    (void)scratch;
    pxli_kernels_for(r->from->dtype)->copy(r->from, r->to, r->add, index);
}
static void round_sum(const pxli_team *team, const pxli_call *call, const pxl_tensor *sum, const pxl_tensor *gradient) {
    const copy_run run = {sum, gradient, call->args->accumulate};
    if (sum != gradient) pxli_run(team, call->n * call->c, call->n * call->c * call->h * call->w, copy_plane, &run);
}

static void map_plane(const void *arguments, int64_t index, void *scratch) {
    const pxli_call *call = arguments;
    (void)scratch;
    pxli_kernels_for(call->args->pred->dtype)->pixel_map(call, index);
}

static pxl_status check_weights(const pxli_call *call) {
    const float *weights = call->args->term_weights;
    for (int k = 0; weights && k < call->count; k++)
        if (!isfinite(weights[k]))
            return pxli_fail(PXL_INVALID_ARGUMENT, "term_weights[%d] is %g; a finite number is needed", k, (double)weights[k]);
    return PXL_OK;
}
/* Each layer of a network adds to them. */
static void clear_layer_sums(const pxli_call *call) {
    for (int k = 0; k < call->count; k++)
        for (int64_t n = 0; n < call->n && pxli_is_features(call->terms[k].kind); n++) call->sums[n * call->count + k] = 0;
}
static pxl_status evaluate(const pxl_context *context, pxli_call *call, pxli_workspace workspace) {
    pxl_status status = check_weights(call);
    if (status) return status;
    pxli_arena arena = {(uintptr_t)workspace.data, 0};
    const layout l = lay_out(call, &arena);
    const pxli_team team = pxli_team_in(context, &arena, l.scratch, workspace.bytes);
    const pxl_args *args = call->args;
    pxli_set_norms(&team, call, l.parts);
    pxli_set_ranges(&team, call, l.parts);
    if (call->mean.residual_count) pxli_run_pass(&team, call, &call->mean, l.sums);
    pxli_set_scales(call);
    start_gradients(call);
    for (int p = pxli_rides(call); p < call->passes; p++) pxli_run_pass(&team, call, &call->pass[p], l.sums);
    pxli_pyramids_run(&team, call, l.sums);
    clear_layer_sums(call);
    status = pxli_walks_run(call, &team);
    if (status) return status;
    round_sum(&team, call, call->grad_pred, args->grad_pred), round_sum(&team, call, call->grad_target, args->grad_target);
    if (call->statistics.window) pxli_run_pass(&team, call, &call->statistics, l.sums);
    if (call->charged) pxli_run(&team, call->n * call->c, call->n * call->c * call->h * call->w, map_plane, call);
    if (args->values || args->values_f32) pxli_write_values(call);
    return PXL_OK;
}

/* ---- Operators ----------------------------------------------------------------------------------------------------- */
static const pxli_kernels *filter_kernels(const pxli_filter_call *call) { return pxli_kernels_for(call->from->dtype); }
static size_t filter_size(const pxl_context *context, const pxli_filter_call *call, size_t *least) {
    const pxli_arena arena = {0, 0};
    const size_t bytes = filter_kernels(call)->filter_bytes(call);
    *least = pxli_team_size(&arena, bytes, 1);
    return pxli_team_size(&arena, bytes, pxli_threads(context));
}
static void run_filter(const void *arguments, int64_t index, void *scratch) {
    const pxli_filter_call *call = arguments;
    filter_kernels(call)->filter(call, index, scratch);
}
static pxl_status filter(const pxl_context *context, const pxli_filter_call *call, pxli_workspace workspace) {
    const pxli_arena arena = {(uintptr_t)workspace.data, 0};
    const pxli_team team = pxli_team_in(context, &arena, filter_kernels(call)->filter_bytes(call), workspace.bytes);
    const int64_t *size = call->from->size;
    pxli_run(&team, filter_kernels(call)->filter_tiles(call), size[0] * size[1] * size[2] * size[3], run_filter, call);
    return PXL_OK;
}

static size_t reduce_size(const pxl_context *context, const pxli_reduce_call *call, size_t *least) {
    const pxli_arena arena = {0, PXLI_CHUNKS * sizeof(pxli_partial)};
    (void)call;
    *least = pxli_team_size(&arena, 0, 1);
    return pxli_team_size(&arena, 0, pxli_threads(context));
}
static double reduced(pxl_reduce_kind kind, const pxli_partial *p, int64_t count) {
    switch (kind) {
        case PXL_REDUCE_SUM: return p->sum;
        case PXL_REDUCE_MEAN: return p->sum / (double)count;
        case PXL_REDUCE_MIN: return p->min;
        case PXL_REDUCE_MAX: return p->max;
        case PXL_REDUCE_L1: return p->sum;
        case PXL_REDUCE_L2: return sqrt(p->sum);
    }
    return NAN;
}
static pxli_needs needs_of(pxl_reduce_kind kind) {
    switch (kind) {
        case PXL_REDUCE_MIN:
        case PXL_REDUCE_MAX: return PXLI_NEEDS_EXTREMES;
        case PXL_REDUCE_L1: return PXLI_NEEDS_ABSOLUTE;
        case PXL_REDUCE_L2: return PXLI_NEEDS_SQUARE;
        default: return PXLI_NEEDS_SUM;
    }
}
static pxl_status reduce(const pxl_context *context, const pxli_reduce_call *call, pxli_workspace workspace) {
    pxli_arena arena = {(uintptr_t)workspace.data, 0};
    pxli_partial *parts = pxli_take(&arena, PXLI_CHUNKS * sizeof *parts);
    pxl_tensor input = *call->input;
    if (input.size[3] < 64 && pxli_can_flatten(call->input))
        pxli_flatten(call->input, &input); /* a row takes as long as 64 elements */
    const int64_t *size = input.size;
    const pxli_team team = {pxli_threads(context), (char *)parts, 0};
    const int64_t groups = call->over == PXL_OVER_ALL ? 1 : call->over == PXL_OVER_IMAGE ? size[0] : size[0] * size[1];
    const int64_t planes = size[0] * size[1] / groups;
    for (int64_t g = 0; g < groups; g++) {
        const pxli_region region = {needs_of(call->kind), &input, NULL, g * planes, (g + 1) * planes, 0, size[2]};
        const pxli_partial p = pxli_reduce_region(&team, &region, parts);
        call->results[g] = reduced(call->kind, &p, planes * size[2] * size[3]);
    }
    return PXL_OK;
}

static void describe(pxl_device device, char *text, size_t size) {
    char list[64];
    (void)device;
    pxli_isa_list(list, sizeof list);
    const int threads = pxli_threads(NULL);
    snprintf(text, size, "CPU, %s (of %s), %d thread%s", pxli_isa_name(), list, threads, threads == 1 ? "" : "s");
}

const pxli_backend pxli_cpu_backend = {&pxli_cpu_engine, size,        NULL,   evaluate, filter_size,
                                       filter,           reduce_size, reduce, describe};
