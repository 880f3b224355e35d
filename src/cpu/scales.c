/* MS-SSIM on the CPU: halves the images, runs the structure pass on each scale, weighs the scales, and adds their gradients up from
 * coarse to fine. See scales.h. */
#include "scales.h"

#include "kernels.h"

enum { ROWS_AT_A_TIME = 32 };

static const pxli_kernels *kernels_of(const pxli_call *call) { return pxli_kernels_for(call->args->pred->dtype); }

/* What one pyramid takes: its arrays in the arena, and what its passes need of a thread and of slots for sums. */
static void lay_out(const pxli_call *call, int i, pxli_arena *arena, size_t *scratch, int64_t *slots) {
    const pxli_kernels *kernels = kernels_of(call);
    pxli_pyramid p;
    pxli_call scale;
    pxli_pass pass;
    size_t folds = 0;
    pxli_pyramid_layout(call, i, &p, arena);
    for (int j = 0; j < p.count; j++) {
        pxli_arena own = *arena;
        pxli_plan_scale(call, &p, j, &pass, &scale), pxli_layout_pass(&scale, &own);
        const size_t bytes = kernels->tile_bytes(&scale, &pass);
        const int64_t tiles = pxli_tile_count(&scale, &pass);
        if (bytes > *scratch) *scratch = bytes;
        if (tiles > *slots) *slots = tiles;
        if (own.used > folds) folds = own.used;
    }
    arena->used = folds;
    if (kernels->pyramid_bytes(call) > *scratch) *scratch = kernels->pyramid_bytes(call);
}
void pxli_pyramids_layout(pxli_call *call, pxli_arena *arena, size_t *scratch, int64_t *slots) {
    const pxli_arena begin = *arena;
    call->pyramid_arena = begin;
    for (int i = 0; i < call->pyramids; i++) {
        pxli_arena own = begin;
        lay_out(call, i, &own, scratch, slots);
        if (own.used > arena->used) arena->used = own.used;
    }
}

/* ---- Rows of all planes, some at a time ------------------------------------------------------------------------------- */
typedef struct rows_run {
    const pxli_call *call;
    const pxli_pyramid *pyramid;
    int scale;
    bool of_target, add;
    int64_t chunks;
} rows_run;
static void run_rows(const pxli_team *team, rows_run *run, pxli_task *task) {
    const pxli_scale *s = &run->pyramid->scale[run->scale];
    const int64_t planes = run->call->n * run->call->c;
    run->chunks = (s->h + ROWS_AT_A_TIME - 1) / ROWS_AT_A_TIME;
    pxli_run(team, planes * run->chunks, planes * s->h * s->w, task, run);
}
static int64_t end_of(const rows_run *r, int64_t y) {
    const int64_t h = r->pyramid->scale[r->scale].h;
    return y + ROWS_AT_A_TIME < h ? y + ROWS_AT_A_TIME : h;
}
static void halve(const void *arguments, int64_t index, void *scratch) {
    const rows_run *r = arguments;
    const int64_t y = index % r->chunks * ROWS_AT_A_TIME;
    kernels_of(r->call)->halve(r->call, r->pyramid, r->scale, index / r->chunks, y, end_of(r, y), scratch);
}
static void weigh(const void *arguments, int64_t index, void *scratch) {
    const rows_run *r = arguments;
    const int64_t y = index % r->chunks * ROWS_AT_A_TIME;
    kernels_of(r->call)->weigh(r->call, r->pyramid, r->scale, r->of_target, r->add, index / r->chunks, y, end_of(r, y), scratch);
}

/* ---- One scale -------------------------------------------------------------------------------------------------------- */
typedef struct scale_run {
    const pxli_kernels *kernels;
    const pxli_call *scale;
    double *sums;
} scale_run;
static void run_tile(const void *arguments, int64_t index, void *scratch) {
    const scale_run *r = arguments;
    r->kernels->tile(r->scale, r->scale->pass, index, scratch, r->sums + index);
}
static void run_scale(const pxli_team *team, const pxli_call *call, pxli_pyramid *p, int j, pxli_arena arena, double *sums) {
    pxli_call scale;
    pxli_pass pass;
    pxli_plan_scale(call, p, j, &pass, &scale), pxli_layout_pass(&scale, &arena);
    p->scale[j].area = (double)(pass.map_y1 - pass.map_y0) * (double)(pass.map_x1 - pass.map_x0);
    for (int64_t n = 0; n < call->n && pass.gradients; n++)
        p->outer[n] = call->scale[n * call->count + p->index] / p->scale[j].area;
    const scale_run run = {kernels_of(call), &scale, sums};
    const int64_t tiles = pxli_tile_count(&scale, &pass), each = pass.strips * pass.segments;
    pxli_run(team, tiles, call->n * call->c * pass.h * pass.w, run_tile, &run);
    for (int64_t n = 0; n < call->n; n++)
        for (int64_t c = 0; c < call->c; c++) {
            double sum = 0;
            for (int64_t i = 0; i < each; i++) sum += sums[(n * each + i) * call->c + c];
            p->scale[j].loss[n * call->c + c] = sum;
        }
}

static void find_extremes(const void *arguments, int64_t index, void *scratch) {
    const rows_run *r = arguments;
    (void)scratch;
    kernels_of(r->call)->scale_extremes(r->call, r->pyramid, r->scale, index, r->pyramid->extremes + 4 * index);
}
static void set_range(const pxli_team *team, const pxli_call *call, const pxli_pyramid *p, int j) {
    const pxli_scale *s = &p->scale[j];
    const rows_run run = {call, p, j, false, false, 0};
    if (!p->extremes || j == 0) return;
    pxli_run(team, call->n * call->c, call->n * call->c * s->h * s->w, find_extremes, &run);
    pxli_set_scale_range(p, call);
}

/* ---- All of it -------------------------------------------------------------------------------------------------------- */
/* The finest scale's gradient goes to the call's, by itself or with the pass that rides. */
static void weigh_finest(const pxli_team *team, pxli_call *call, const pxli_pyramid *p, bool last, double *sums) {
    const bool rides = last && pxli_rides(call), written = call->passes > pxli_rides(call);
    const bool add = written || p->index != call->pyramid[0] || call->args->accumulate;
    if (rides) {
        call->pass[0].pyramid = p;
        pxli_run_pass(team, call, &call->pass[0], sums);
        return;
    }
    if (call->grad_pred) run_rows(team, &(rows_run){call, p, 0, false, add, 0}, weigh);
    if (call->grad_target) run_rows(team, &(rows_run){call, p, 0, true, add, 0}, weigh);
}
static void run_pyramid(const pxli_team *team, pxli_call *call, int i, double *sums) {
    pxli_arena arena = call->pyramid_arena;
    pxli_pyramid p;
    pxli_pyramid_layout(call, i, &p, &arena);
    for (int64_t n = 0; n < call->n; n++) p.range[n] = call->range[n * call->count + p.index];
    for (int j = 1; j < p.count; j++) run_rows(team, &(rows_run){call, &p, j, false, false, 0}, halve);
    for (int j = 0; j < p.count; j++) {
        set_range(team, call, &p, j);
        run_scale(team, call, &p, j, arena, sums);
    }
    pxli_weigh_scales(&p, call);
    for (int j = p.count - 2; j > 0; j--) {
        if (call->grad_pred) run_rows(team, &(rows_run){call, &p, j, false, false, 0}, weigh);
        if (call->grad_target) run_rows(team, &(rows_run){call, &p, j, true, false, 0}, weigh);
    }
    weigh_finest(team, call, &p, i + 1 == call->pyramids, sums);
}
void pxli_pyramids_run(const pxli_team *team, pxli_call *call, double *sums) {
    for (int i = 0; i < call->pyramids; i++) run_pyramid(team, call, i, sums);
}
