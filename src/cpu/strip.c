/* The structure pass on one tile: a strip of columns of one plane, marched down in batches of VL rows, each batch left to right
 * in blocks of VL columns:
 *   load      VL + 2R rows of both images                      -> u = (x-c) + (y-c), v = (x-y) - d   (a block, stays in L1)
 *   vertical  filter u, v, u^2, v^2 (and uv if a term asks)     -> 4 or 5 maps, VL rows; a vector is one row
 *   transpose                                                  -> a vector is one column: lane = row
 *   across    filter along columns, with aligned loads only; score; derivative maps; filter those along columns
 *   transpose                                                  -> a vector is one row again
 *   vertical  filter VL + 2R rows, 2R of which the ring in L2 keeps from the batch above; combine with u and v; store
 * A transpose costs log2(VL) shuffles a vector; filtering along a row would cost loads that cross cache lines, at half rate.
 * Symmetric taps are paired, t[k] (a + b): adders have pipes of their own. c and d are constants of the tile (its medians), which
 * remove the cancellation in E[u^2] - E[u]^2. With a map of derivatives Lu, Lv, Luu, Lvv, Luv of the loss to the filtered maps,
 *   grad_pred   = G'(Lu + Lv) + 2u G'Luu + 2v G'Lvv + (u + v) G'Luv
 *   grad_target = G'(Lu - Lv) + 2u G'Luu - 2v G'Lvv + (v - u) G'Luv       with G' the window's adjoint, border included. */
#include "strip.h"
#include "residual.h"
#include "sink.h"
#include "weigh.h"

/* ---- Filters: o[i] = sum over k of taps[k] s[i + k], i < VL; taps symmetric ------------------------------------------- */
enum { BATCH = PXLI_VECTOR_BYTES == 64 ? 4 : 2 }; /* outputs at a time: what the registers hold */

INLINE void fir(int R, const vf *w, const vf *t, vf *restrict o) {
    UNROLL for (int b = 0; b < BATCH; b++) o[b] = w[R] * t[b + R];
    UNROLL for (int k = 0; k < R; k++) UNROLL for (int b = 0; b < BATCH; b++) o[b] += w[k] * (t[b + k] + t[b + 2 * R - k]);
}
/* For a radius known when compiling: BATCH + 2R vectors in registers serve the filter of s and that of its squares. */
INLINE void filter_fixed(int R, const real *taps, const vf *restrict s, vf *restrict o, vf *restrict squares) {
    vf w[MAX_RADIUS + 1], t[BATCH + HALO];
    UNROLL for (int k = 0; k <= R; k++) w[k] = all(taps[k]);
    for (int first = 0; first < VL; first += BATCH) {
        UNROLL for (int i = 0; i < BATCH + 2 * R; i++) t[i] = s[first + i];
        fir(R, w, t, o + first);
        if (!squares) continue;
        UNROLL for (int i = 0; i < BATCH + 2 * R; i++) t[i] *= t[i];
        fir(R, w, t, squares + first);
    }
}
NOINLINE void filter_any(int R, const real *taps, const vf *restrict s, vf *restrict o) {
    for (int first = 0; first < VL; first += BATCH) {
        const vf *t = s + first;
        vf a[BATCH];
        UNROLL for (int b = 0; b < BATCH; b++) a[b] = taps[R] * t[b + R];
        for (int k = 0; k < R; k++) UNROLL for (int b = 0; b < BATCH; b++) a[b] += taps[k] * (t[b + k] + t[b + 2 * R - k]);
        UNROLL for (int b = 0; b < BATCH; b++) o[first + b] = a[b];
    }
}
NOINLINE void filter_5(const real *taps, const vf *restrict s, vf *restrict o, vf *restrict squares) {
    filter_fixed(5, taps, s, o, squares);
}
NOINLINE void filter_3(const real *taps, const vf *restrict s, vf *restrict o, vf *restrict squares) {
    filter_fixed(3, taps, s, o, squares);
}
static void filter_product(int R, const real *taps, const vf *a, const vf *b, vf *restrict o) {
    vf t[ROWS];
    for (int i = 0; i < VL + 2 * R; i++) t[i] = a[i] * b[i];
    filter_any(R, taps, t, o);
}
static void filter(int R, const real *taps, const vf *restrict s, vf *restrict o, vf *restrict squares) {
    if (R == 5) {
        filter_5(taps, s, o, squares);
    } else if (R == 3) {
        filter_3(taps, s, o, squares);
    } else {
        filter_any(R, taps, s, o);
        if (squares) filter_product(R, taps, s, s, squares);
    }
}
static void fold(const double *folds, int R, int64_t size, int64_t first, const vf *s, vf *o) {
    if (!folds || (first > R && first + VL + R < size)) return;
    for (int i = 0; i < VL; i++) {
        const double *taps = fold_at(folds, R, size, first + i);
        if (!taps) continue;
        vf a = {0};
        for (int k = 0; k <= 2 * R; k++)
            if (taps[k] != 0) a += (real)taps[k] * s[i + k];
        o[i] = a;
    }
}

/* ---- The stages of a block ------------------------------------------------------------------------------------------- */
typedef struct batch { /* map rows m0 .. m0 + VL - 1; output rows out0 + low .. out0 + high - 1 */
    int64_t m0, out0;
    int low, high;
    bool partial; /* some of its map rows do not count */
    vi counts;    /* lanes that do */
    const real *x[ROWS], *y[ROWS];
} batch;

/* (x - y) - difference, exactly (Knuth's two-sum) */
INLINE vf rounded_off(vf x, vf y, vf difference) {
    const vf back = difference - x;
    return (x - (difference - back)) - (y + back);
}
INLINE void load_rows(bool whole, bool exact, bool sums, const strip *s, const batch *a, int64_t column, const block *t) {
    const int64_t left = s->pass->w - column;
    const vf c = all(s->c), d = all(s->d), scale = all(s->scale);
    const int rows = VL + 2 * s->R;
    vf *restrict u = t->u, *restrict v = t->v;
    for (int i = 0; i < rows; i++) {
        const real *p = a->x[i] + column, *q = a->y[i] + column;
        const vf x = whole ? load(p) : load_part(p, left), y = whole ? load(q) : load_part(q, left), difference = x - y;
        if (sums) { /* already the sum and the difference */
            u[i] = x * scale - 2 * c, v[i] = y * scale - d;
            continue;
        }
        u[i] = (x * scale - c) + (y * scale - c);
        v[i] = difference * scale - d;
        if (exact) v[i] += rounded_off(x, y, difference) * scale;
    }
}
NOINLINE void load_block(const strip *s, const batch *a, int64_t column, const block *t) {
    const bool whole = s->pass->w - column >= VL;
    const bool sums = s->pass->reads_sums;
    if (whole && !s->exact && !sums)
        load_rows(true, false, false, s, a, column, t);
    else if (whole)
        load_rows(true, s->exact, sums, s, a, column, t);
    else
        load_rows(false, s->exact, sums, s, a, column, t);
}

static void set_outside(const strip *s, int from, int to) {
    for (int q = 0; q < s->forward; q++)
        for (int i = from; i < to; i++) s->work.T[q][i] = all(s->outside[q]);
}

static void vertical_forward(const strip *s, const block *t, int64_t column, int at) {
    const strip_work *w = &s->work;
    const int R = s->R, reach = s->radii.y;
    const vf *const u = t->u + s->shift.y, *const v = t->v + s->shift.y;
    filter(reach, s->taps_y, u, w->f[MAP_U], s->forward > MEANS ? w->f[MAP_UU] : NULL);
    filter(reach, s->taps_y, v, w->f[MAP_V], s->forward > MEANS ? w->f[MAP_VV] : NULL);
    if (s->forward == MAPS) filter_product(reach, s->taps_y, u, v, w->f[MAP_UV]);
    for (int q = 0; q < s->forward; q++) transpose(w->f[q], w->T[q] + at + 2 * R);
    const int64_t inside = s->pass->w - column;
    if (inside < VL) set_outside(s, at + 2 * R + (int)inside, at + 2 * R + VL);
}

static void across_forward(const strip *s, int64_t column, int at) {
    const strip_work *w = &s->work;
    for (int q = 0; q < s->forward; q++) {
        const vf *const from = w->T[q] + at + s->shift.x;
        filter(s->radii.x, s->taps_x, from, w->f[q], NULL);
        fold(s->pass->folds.forward_x, s->radii.x, s->pass->w, column - s->R, from, w->f[q]);
    }
}

/* Derivatives at positions that do not count are 0: selected, so that nothing there spreads. */
static void mask_derivatives(const strip *s, const batch *a, int64_t column, vf *const m[MAPS]) {
    const pxli_pass *p = s->pass;
    const int64_t first = column - s->R;
    const vf zero = {0};
    if (a->partial)
        for (int k = 0; k < s->backs; k++)
            for (int i = 0; i < VL; i++) m[s->taken[k]][i] = choose(a->counts, m[s->taken[k]][i], zero);
    if (first >= p->map_x0 && first + VL <= p->map_x1) return;
    for (int i = 0; i < VL; i++)
        if (first + i < p->map_x0 || first + i >= p->map_x1)
            for (int k = 0; k < s->backs; k++) m[s->taken[k]][i] = zero;
}

INLINE void copy(int count, const vf *restrict from, vf *restrict to) {
    _Pragma("GCC unroll 5") for (int i = 0; i < count; i++) to[i] = from[i];
}
/* The output block at `column`: leaves the filtered derivatives in f, a vector one row. */
static void backward(const strip *s, const batch *a, int64_t column, int at) {
    const strip_work *w = &s->work;
    const int R = s->R;
    for (int k = 0; k < s->backs; k++) {
        const int q = s->taken[k];
        vf *const keep = s->ring + ((column - s->tile.x0) / VL * MAPS + q) * 2 * R, *const o = w->out[q];
        const vf *const along = w->M[q] + at + s->shift.x, *const down = o + s->shift.y;
        filter(s->radii.x, s->taps_x, along, w->f[q], NULL);
        fold(s->pass->folds.adjoint_x, s->radii.x, s->pass->w, column, along, w->f[q]);
        copy(2 * R, keep, o);
        transpose(w->f[q], o + 2 * R);
        copy(2 * R, o + VL, keep);
        filter(s->radii.y, s->taps_y, down, w->f[q], NULL);
        fold(s->pass->folds.adjoint_y, s->radii.y, s->pass->h, a->out0, down, w->f[q]);
    }
}

/* The block's rows of one gradient, into g. Pointers are fetched once: any store might change what s points to. */
INLINE void combine_rows(int forward, const strip *s, const batch *a, const block *t, int to, vf *restrict g) {
    vf *const *f = s->work.f;
    const vf *restrict u = t->u, *restrict v = t->v, *restrict m = f[to], *restrict uu = f[TO_UU], *restrict vv = f[TO_VV],
                       *restrict uv = f[TO_UV];
    const vf unit = all(s->unit), scale = all(s->scale), sign = all(to == TO_PRED ? 1 : -1);
    for (int b = a->low; b < a->high; b++) {
        const vf x = u[b], y = sign * v[b]; /* u, v if the images change places */
        vf sum = m[b];
        if (forward > MEANS) sum += 2 * x * uu[b] + 2 * y * vv[b];
        if (forward == MAPS) sum += (sign * x + v[b]) * uv[b];
        g[b] = scale * (unit * sum); /* one by one: their product may overflow alone */
    }
}
static void combine(const strip *s, const batch *a, const block *t, int64_t column, int to, sink *sink) {
    const int64_t left = s->tile.x1 - column;
    vf g[VL];
    if (s->forward == MAPS)
        combine_rows(MAPS, s, a, t, to, g);
    else if (s->forward > MEANS)
        combine_rows(MAPS - 1, s, a, t, to, g);
    else
        combine_rows(MEANS, s, a, t, to, g);
    sink_store(sink, g, a->low, a->high, a->out0, column, left < VL ? (int)left : VL);
}

/* The filtered maps at `column`, of the batch's rows; the next block is asked for meanwhile. */
static void forward_block(const strip *s, const batch *a, int64_t column, int at, const block *t, bool more) {
    const int R = s->R;
    const int64_t first = a->m0 + R, next = more ? column + VL : -1;
    reader_prefetch(&s->reader, first, VL, 0, next);
    if (column < s->pass->w) {
        load_block(s, a, column, t);
        reader_prefetch(&s->reader, first, VL, 1, next);
        vertical_forward(s, t, column, at);
    } else {
        set_outside(s, at + 2 * R, at + 2 * R + VL);
    }
    reader_prefetch(&s->reader, first, VL, 2, next);
    across_forward(s, column, at);
    reader_prefetch(&s->reader, first, VL, 3, next);
}
/* One batch of rows, from the left of the strip to its right, the output `lag` columns behind the input. */
static void march(strip *s, const batch *a, sink *pred, sink *target) {
    const strip_work *w = &s->work;
    const int R = s->R, lag = s->lag, delay = lag / VL, tiles = delay + 1;
    const int64_t x0 = s->tile.x0, blocks = (s->tile.x1 - x0 + VL - 1) / VL;
    for (int k = 0; k < s->backs; k++) memset(w->M[s->taken[k]], 0, (size_t)(lag + VL * WRAP) * sizeof(vf));
    set_outside(s, 0, 2 * R + VL * WRAP);
    for (int64_t j = x0 ? -delay : 0; j < blocks + delay; j++) {
        const int64_t column = x0 + j * VL;
        const int at = (int)((j + delay) % WRAP) * VL;
        if (!at) { /* windows slide by moving their tails once in WRAP blocks; a wide window's tail overlaps where it goes */
            for (int q = 0; q < s->forward; q++) memmove(w->T[q], w->T[q] + VL * WRAP, (size_t)(2 * R) * sizeof(vf));
            for (int k = 0; k < s->backs; k++)
                memmove(w->M[s->taken[k]], w->M[s->taken[k]] + VL * WRAP, (size_t)lag * sizeof(vf));
        }
        forward_block(s, a, column, at, &w->blocks[(j + delay) % tiles], j + 1 < blocks + delay);
        vf *m[MAPS] = {NULL};
        for (int k = 0; k < s->backs; k++) m[s->taken[k]] = w->M[s->taken[k]] + at + lag;
        score_block(s, a->m0, column, m);
        if (!s->backs) continue;
        mask_derivatives(s, a, column, m);
        if (j < delay) continue;
        sink_prefetch(pred, a->out0 + a->low, a->high - a->low, column - lag);
        sink_prefetch(target, a->out0 + a->low, a->high - a->low, column - lag);
        backward(s, a, column - lag, at);
        if (s->to_pred) combine(s, a, &w->blocks[j % tiles], column - lag, TO_PRED, pred);
        if (s->to_target) combine(s, a, &w->blocks[j % tiles], column - lag, TO_TARGET, target);
    }
}

/* ---- One tile ---------------------------------------------------------------------------------------------------------- */
static int lag_of(int radius) { return (2 * radius + VL - 1) / VL * VL; }

/* Medians of nine samples of the tile, of those that are finite and not masked; 0 if there are none. */
static void set_shifts(strip *s) {
    const pxli_tile *t = &s->tile;
    real sum[9], difference[9];
    int n = 0;
    for (int i = 0; i < 9 && !s->pass->mostly_outside; i++) {
        real x, y;
        const int64_t row = t->y0 + (t->y1 - t->y0) * (2 * (i / 3) + 1) / 6,
                      column = t->x0 + (t->x1 - t->x0) * (2 * (i % 3) + 1) / 6;
        if (!reader_sample(&s->reader, row, column, &x, &y)) continue;
        const bool sums = s->pass->reads_sums;
        sum[n] = sums ? x / 2 : x / 2 + y / 2, difference[n] = sums ? y : x - y;
        if (sum[n] - sum[n] == 0 && difference[n] - difference[n] == 0) n++; /* finite */
    }
    s->c = median(sum, n), s->d = median(difference, n);
    if (s->pass->mostly_outside) s->c = -s->reader.base / 2, s->d = -s->reader.gap;
    for (int i = 0; i < n; i++) difference[i] = difference[i] > s->d ? difference[i] - s->d : s->d - difference[i];
    const real offset = s->d < 0 ? -s->d : s->d;
    s->exact = offset > 8 * median(difference, n);
    s->two_c = 2 * s->c + s->reader.base, s->gap = s->d + s->reader.gap;
}
/* The units of the windows, and what is in them. */
static void set_units(strip *s) {
    const pxli_pass *p = s->pass;
    const double range = p->scored_count ? s->call->range[s->tile.image * s->call->count + p->scored[0]] : 1;
    const double pixel = fmax(fabs((double)s->two_c), fabs((double)s->gap)), least = PXLI_DOUBLE ? 1e-290 : 1e-36;
    const double scale = p->scored_count ? pxli_window_scale(range, pixel, PXLI_DOUBLE ? 1022 : 126) : 1;
    const double L = pxli_data_range(range) * scale;
    s->scale = (real)scale;
    s->C1 = (real)pxli_stabiliser(p->window->k1, L, least);
    s->C2 = (real)pxli_variance_stabiliser(p->window->k2, L, pixel * scale, least, p->settles);
    s->c *= s->scale, s->d *= s->scale, s->two_c *= s->scale, s->gap *= s->scale;
    const bool zero = p->window->border == PXL_ZERO;
    s->outside[MAP_U] = zero ? -s->two_c : 0, s->outside[MAP_V] = zero ? -s->gap : 0;
    s->outside[MAP_UU] = s->outside[MAP_U] * s->outside[MAP_U], s->outside[MAP_VV] = s->outside[MAP_V] * s->outside[MAP_V];
    s->outside[MAP_UV] = s->outside[MAP_U] * s->outside[MAP_V];
}

static void set_maps(strip *s) {
    s->forward = s->pass->covariance ? MAPS : s->pass->means ? MEANS : MAPS - 1;
    s->backs = 0;
    s->to_pred = s->pass->gradients && s->call->args->grad_pred, s->to_target = s->pass->gradients && s->call->args->grad_target;
    if (!s->to_pred && !s->to_target) return;
    if (s->to_pred) s->taken[s->backs++] = TO_PRED;
    if (s->to_target) s->taken[s->backs++] = TO_TARGET;
    if (!s->pass->means) s->taken[s->backs++] = TO_UU, s->taken[s->backs++] = TO_VV;
    if (s->pass->covariance) s->taken[s->backs++] = TO_UV;
}

/* A weight of 0 leaves the gradient alone even where the derivatives are not finite. */
static void set_scales(strip *s) {
    const pxli_pass *p = s->pass;
    const int64_t row = s->tile.image * s->call->count;
    s->variance_factor = (real)p->variance_factor;
    s->unit = 1;
    bool any = p->mode == PXLI_SCORE_STATISTICS_ADJOINT;
    for (int k = 0; k < p->scored_count; k++) {
        const double scale = s->backs ? s->call->scale[row + p->scored[k]] : 0;
        s->coefficient[k] = to_real(scale);
        any = any || scale != 0;
    }
    if (p->mode == PXLI_SCORE_SSIM || p->mode == PXLI_SCORE_CONTRAST_STRUCTURE) {
        const pxl_term_kind kind = s->call->terms[p->scored[0]].kind;
        s->unit = kind == PXL_DSSIM ? s->coefficient[0] / 2 : s->coefficient[0];
    }
    if (!any) s->backs = 0;
}

static void set_taps(strip *s) {
    const pxli_pass *pass = s->pass;
    for (int k = 0; k <= 2 * s->radii.y; k++) s->taps_y[k] = (real)pxli_tap(pass->taps_y, s->radii.y, k);
    for (int k = 0; k <= 2 * s->radii.x; k++) s->taps_x[k] = (real)pxli_tap(pass->taps_x, s->radii.x, k);
}

/* Scratch, in the order of use; the same code sizes it (arena->base 0). */
typedef struct scratch {
    strip strip;
    residual residual;
    sink pred, target;
    weighing weighing; /* of a pass that rides */
    bool single;       /* one term on pixels, or tv, in one loop */
    bool streams;      /* one stencil, whose gradient is stored where it belongs as it is computed */
} scratch;
static vf *take_vectors(int count, pxli_arena *arena) { return pxli_take(arena, (size_t)count * sizeof(vf)); }
static void take_work(strip *s, pxli_arena *arena) {
    strip_work *w = &s->work;
    const int rows = VL + 2 * s->R;
    for (int q = 0; q < s->forward; q++) w->T[q] = take_vectors(2 * s->R + VL * WRAP, arena);
    for (int k = 0; k < s->backs; k++) w->M[s->taken[k]] = take_vectors(s->lag + VL * WRAP, arena);
    for (int q = 0; q < MAPS; q++) w->f[q] = take_vectors(VL, arena);
    for (int k = 0; k < s->backs; k++) w->out[s->taken[k]] = take_vectors(rows, arena);
    for (int i = 0; i <= s->lag / VL; i++) w->blocks[i] = (block){take_vectors(rows, arena), take_vectors(rows, arena)};
    w->value = take_vectors(VL, arena), w->weight = take_vectors(VL, arena);
    for (int q = 0; q < MAPS && s->pass->mode == PXLI_SCORE_STATISTICS_ADJOINT; q++) w->upstream[q] = take_vectors(VL, arena);
    w->total = pxli_take(arena, (size_t)(s->pass->scored_count * VL) * sizeof(double));
}
static void take_outputs(strip *s, int64_t width, pxli_arena *arena) {
    s->output_count = s->pass->mode == PXLI_SCORE_STATISTICS ? MAPS : s->pass->outputs ? 1 : 0;
    s->output_pad = s->lag + VL + s->R; /* a block's positions begin R columns before it: at whole vectors */
    const int64_t vectors = (width + 2 * s->output_pad + VL - 1) / VL;
    s->output_pitch = (vectors | 1) * VL; /* odd: a block's rows lie in different sets of L1 */
    for (int q = 0; q < s->output_count; q++) s->outputs[q] = pxli_take(arena, (size_t)(s->output_pitch * VL) * sizeof(real));
}
/* One row fills one lane of a block, so it has a way of its own. */
static bool is_line(const pxli_pass *pass) {
    const bool statistics = pass->mode == PXLI_SCORE_STATISTICS || pass->mode == PXLI_SCORE_STATISTICS_ADJOINT;
    return pass->h == 1 && !statistics && !pass->outputs;
}
static void take(scratch *t, const pxli_call *call, const pxli_pass *pass, pxli_arena *arena) {
    const int64_t width = pxli_strip_width(pass);
    strip *s = &t->strip;
    memset(t, 0, sizeof *t);
    s->call = call, s->pass = pass, s->R = pass->radius, s->lag = lag_of(pass->radius);
    s->radii = pass->radii, s->shift = (pxli_radii){s->R - s->radii.y, s->R - s->radii.x};
    set_maps(s);
    if (pass->window) {
        s->is_line = is_line(pass);
        take_work(s, arena), take_outputs(s, width, arena);
        if (s->is_line) line_take(s, width, arena);
        reader_take(&s->reader, call, pass, width, s->lag + VL, VL + 2 * s->R, arena);
        if (s->backs) s->ring = pxli_take(arena, (size_t)((width + VL - 1) / VL * MAPS * 2 * s->R) * sizeof(vf));
    }
    sink_take(&t->pred, call, pass, s->to_pred ? call->grad_pred : NULL, width, arena);
    sink_take(&t->target, call, pass, s->to_target ? call->grad_target : NULL, width, arena);
    const bool written = !pass->rides && !t->target.tensor && (!t->pred.tensor || t->pred.direct);
    if (pass->rides) weigh_take(&t->weighing, call, arena);
    t->single = !pass->window && written && residual_is_single(call, pass);
    if (pass->residual_count) residual_take(&t->residual, call, pass, width, t->single, arena);
    t->streams = !t->single && !pass->window && written && t->pred.tensor && residual_is_stencil(&t->residual);
    t->residual.first = t->streams ? STORE_STREAM : STORE_SET;
}
size_t PXLI_NAME(tile_bytes)(const pxli_call *call, const pxli_pass *pass);
size_t PXLI_NAME(tile_bytes)(const pxli_call *call, const pxli_pass *pass) {
    scratch t;
    pxli_arena arena = {0, 0};
    take(&t, call, pass, &arena);
    return arena.used + PXLI_ALIGN;
}

static void start_batch(strip *s, int64_t m0, batch *a) {
    const pxli_tile *t = &s->tile;
    a->m0 = m0, a->out0 = s->backs ? m0 - s->R : m0;
    a->low = a->out0 < t->y0 ? (int)(t->y0 - a->out0) : 0;
    a->high = t->y1 - a->out0 < VL ? (int)(t->y1 - a->out0) : VL;
    a->partial = m0 < s->pass->map_y0 || m0 + VL > s->pass->map_y1;
    for (int l = 0; l < VL; l++) a->counts[l] = -(m0 + l >= s->pass->map_y0 && m0 + l < s->pass->map_y1);
    reader_rows(&s->reader, m0 - s->R, VL + 2 * s->R, a->x, a->y);
    memset(s->work.total, 0, (size_t)s->pass->scored_count * sizeof s->work.total[0]);
}
static void end_batch(const strip *s, const batch *a, double *sums) {
    for (int l = 0; l < VL; l++) {
        if (!a->counts[l] || a->m0 + l < s->tile.y0 || a->m0 + l >= s->tile.y1) continue;
        for (int k = 0; k < s->pass->scored_count; k++) sums[k] += s->work.total[k][l];
    }
}

/* Residual terms of the batch's output rows, into the sinks, where the structure's gradient is added. */
static void residual_rows(scratch *t, int64_t first, int low, int high) {
    for (int b = low; b < high; b++) residual_row(&t->residual, first + b, sink_row(&t->pred, b), sink_row(&t->target, b));
}

static void run_structure(scratch *t, double *sums) {
    strip *s = &t->strip;
    const int reach = s->backs ? s->R : 0;
    batch a;
    reader_start(&s->reader, s->call, &s->tile, s->lag + VL, s->tile.y0 - reach - s->R);
    set_shifts(s), set_units(s), set_taps(s);
    if (s->backs) memset(s->ring, 0, (size_t)((s->tile.x1 - s->tile.x0 + VL - 1) / VL * MAPS * 2 * s->R) * sizeof(vf));
    /* The first rows of a valid map do not count: on small images that saves a batch. (Without a gradient the residual terms' rows are
     * those of the map.) */
    const int64_t first = s->backs ? larger(s->tile.y0 - reach, s->pass->map_y0) : s->tile.y0;
    for (int64_t m0 = first; m0 < s->tile.y1 + reach; m0 += VL) {
        start_batch(s, m0, &a);
        sink_start(&t->pred, a.low, a.high), sink_start(&t->target, a.low, a.high);
        if (s->pass->residual_count) residual_rows(t, a.out0, a.low, a.high);
        march(s, &a, &t->pred, &t->target);
        if (s->output_count) store_outputs(s, m0);
        sink_flush(&t->pred, a.out0, a.low, a.high, s->backs > 0), sink_flush(&t->target, a.out0, a.low, a.high, s->backs > 0);
        end_batch(s, &a, sums);
    }
}
static void run_line(scratch *t, double *sums) {
    strip *s = &t->strip;
    reader_start(&s->reader, s->call, &s->tile, s->lag + VL, 0);
    set_shifts(s), set_units(s), set_taps(s);
    memset(s->work.total, 0, (size_t)s->pass->scored_count * sizeof s->work.total[0]);
    sink_start(&t->pred, 0, 1), sink_start(&t->target, 0, 1);
    if (s->pass->residual_count) residual_rows(t, 0, 0, 1);
    line_run(s, sink_row(&t->pred, 0), sink_row(&t->target, 0));
    sink_flush(&t->pred, 0, 0, 1, false), sink_flush(&t->target, 0, 0, 1, false);
    for (int k = 0; k < s->pass->scored_count; k++) sums[k] += s->work.total[k][0];
}
static void run_residual_row(scratch *t, int64_t y) {
    if (t->streams) { /* there are no rows in between */
        residual_row(&t->residual, y, direct_row(&t->pred.plane, y) + t->pred.x0, NULL);
        return;
    }
    residual_rows(t, y, 0, 1);
    if (t->strip.pass->rides) weigh_add(&t->weighing, y, t->pred.x0, t->pred.x1, sink_row(&t->pred, 0), sink_row(&t->target, 0));
    sink_flush(&t->pred, y, 0, 1, false), sink_flush(&t->target, y, 0, 1, false);
}
/* Pixels have no neighbours: a part of a row at a time is still in L1 when it is stored. */
static void run_pixels(scratch *t, int64_t y) {
    const pxli_tile *tile = &t->strip.tile;
    for (int64_t x = tile->x0; x < tile->x1; x += SPAN) {
        const int64_t end = smaller(x + SPAN, tile->x1);
        residual_columns(&t->residual, x, end), sink_columns(&t->pred, x, end), sink_columns(&t->target, x, end);
        run_residual_row(t, y);
    }
}
static void run_residual(scratch *t) {
    const pxli_tile *tile = &t->strip.tile;
    for (int64_t y = tile->y0; y < tile->y1; y++) {
        if (t->single)
            residual_single(&t->residual, y, t->pred.tensor ? direct_row(&t->pred.plane, y) + tile->x0 : NULL);
        else if (t->strip.pass->residual_radius)
            run_residual_row(t, y);
        else
            run_pixels(t, y);
    }
}

void PXLI_NAME(tile)(const pxli_call *call, const pxli_pass *pass, int64_t index, void *memory, double *sums);
void PXLI_NAME(tile)(const pxli_call *call, const pxli_pass *pass, int64_t index, void *memory, double *sums) {
    scratch t;
    pxli_arena arena = {(uintptr_t)memory, 0};
    take(&t, call, pass, &arena);
    t.strip.tile = pxli_tile_at(call, pass, index);
    for (int k = 0; k < pass->residual_count + pass->scored_count; k++) sums[k] = 0;
    sink_open(&t.pred, call, &t.strip.tile), sink_open(&t.target, call, &t.strip.tile);
    if (pass->residual_count) residual_start(&t.residual, &t.strip.tile, sums);
    if (pass->rides) weigh_start(&t.weighing, pass->pyramid, 0, t.strip.tile.image, t.strip.tile.channel);
    if (pass->window) {
        set_scales(&t.strip);
        if (t.strip.is_line)
            run_line(&t, sums + pass->residual_count);
        else
            run_structure(&t, sums + pass->residual_count);
    } else {
        run_residual(&t);
    }
    stream_end();
}
