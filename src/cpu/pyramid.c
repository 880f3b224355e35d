/* Between the scales of MS-SSIM: halving two images, and the adjoint of that. See scales.h. */
#include "../scales.h"
#include "reader.h"
#include "weigh.h"

#define QUARTER (real)0.25
size_t PXLI_NAME(pyramid_bytes)(const pxli_call *call);
size_t PXLI_NAME(pyramid_bytes)(const pxli_call *call) { return (size_t)(4 * weigh_pitch(call->w)) * sizeof(real) + PXLI_ALIGN; }
typedef struct scratch_rows {
    real *row[4];
} scratch_rows;
static scratch_rows rows_in(void *memory, int64_t w) {
    pxli_arena arena = {(uintptr_t)memory, 0};
    scratch_rows s;
    for (int i = 0; i < 4; i++) s.row[i] = (real *)pxli_take(&arena, (size_t)weigh_pitch(w) * sizeof(real)) + WEIGH_PAD;
    return s;
}

/* ---- Halving --------------------------------------------------------------------------------------------------------- */
/* Quarters of two rows of the finer scale added up (four pixels might overflow): u of sums, v of differences, less base and gap. */
typedef struct halving {
    plane x, y;
    bool images; /* the finer scale is the images themselves */
    int64_t h, w;
    real base, gap;
    real *restrict u, *restrict v, *restrict a, *restrict b;
} halving;

/* One row to u and v, which are set by the first of two. */
INLINE void add_images(const halving *t, bool first, const real *restrict a, const real *restrict b) {
    real *restrict u = t->u, *restrict v = t->v;
    const real k = t->base / 2, gap = t->gap;
    for (int64_t i = 0; i < t->w; i++) {
        const real p = a[i], q = b[i], difference = p - q, back = difference - p;
        const real dropped = (p - (difference - back)) - (q + back); /* by rounding p - q */
        const real sum = QUARTER * (p - k) + QUARTER * (q - k);
        const real rest = QUARTER * (difference - gap) + QUARTER * dropped;
        u[i] = first ? sum : u[i] + sum, v[i] = first ? rest : v[i] + rest;
    }
}
INLINE void add_sums(const halving *t, bool first, const real *restrict a, const real *restrict b) {
    real *restrict u = t->u, *restrict v = t->v;
    for (int64_t i = 0; i < t->w; i++) {
        u[i] = QUARTER * a[i] + (first ? 0 : u[i]);
        v[i] = QUARTER * b[i] + (first ? 0 : v[i]);
    }
}
static void add_padding(const halving *t, bool first) {
    for (int64_t i = 0; i < t->w; i++) {
        t->u[i] = (first ? 0 : t->u[i]) - QUARTER * t->base;
        t->v[i] = (first ? 0 : t->v[i]) - QUARTER * t->gap;
    }
}
/* Where the row lies as it is wanted, or `to`, converted. */
static const real *row_of(const plane *p, int64_t y, int64_t w, real *to) {
    if (is_direct(p)) return direct_row(p, y);
    load_row(p, y, 0, w, to);
    return to;
}
static void add_row(const halving *t, int64_t y, bool pad, bool first) {
    if (pad && (y < 0 || y >= t->h)) {
        add_padding(t, first);
        return;
    }
    y = larger(0, smaller(y, t->h - 1));
    const real *a = row_of(&t->x, y, t->w, t->a), *b = row_of(&t->y, y, t->w, t->b);
    if (t->images && first)
        add_images(t, true, a, b);
    else if (t->images)
        add_images(t, false, a, b);
    else if (first)
        add_sums(t, true, a, b);
    else
        add_sums(t, false, a, b);
}
/* Pairs of a row, of which one may lie outside. `outside`: what two rows of padding add up to. */
static void halve_row(pxli_halved columns, real *restrict sum, real outside, real *restrict to) {
    sum[-1] = columns.pad ? outside : sum[0], sum[columns.from] = sum[columns.from - 1];
    const real *from = sum - columns.before;
    for (int64_t i = 0; i < columns.to; i++) to[i] = from[2 * i] + from[2 * i + 1];
}
/* Rows [y0, y1) of scale j, of one plane, from the finer scale. */
void PXLI_NAME(halve)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, int64_t y0, int64_t y1, void *memory);
void PXLI_NAME(halve)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, int64_t y0, int64_t y1, void *memory) {
    const pxli_scale *to = &p->scale[j], *from = to - 1;
    const int64_t n = index / call->c, c = index % call->c;
    const scratch_rows rows = rows_in(memory, from->w);
    halving t = {
        .images = j == 1, .h = from->h, .w = from->w, .u = rows.row[0], .v = rows.row[1], .a = rows.row[2], .b = rows.row[3]};
    t.x = plane_of(t.images ? call->args->pred : &from->sum, n, c);
    t.y = t.images ? target_plane(call, n, c) : plane_of(&from->difference, n, c);
    double *const base = p->base + 2 * index;
    if (t.images)
        centre_of(&t.x, &t.y, t.h, t.w, &t.base, &t.gap);
    else
        t.base = (real)base[0], t.gap = (real)base[1];
    if (t.images && y0 == 0) base[0] = (double)t.base, base[1] = (double)t.gap; /* for what comes after all rows */
    const plane sum = plane_of(&to->sum, n, c), difference = plane_of(&to->difference, n, c);
    for (int64_t y = y0; y < y1; y++) {
        for (int k = 0; k < 2; k++) add_row(&t, 2 * y - to->rows.before + k, to->rows.pad, k == 0);
        halve_row(to->columns, t.u, -t.base / 2, direct_row(&sum, y));
        halve_row(to->columns, t.v, -t.gap / 2, direct_row(&difference, y));
    }
}

static void widen(double extremes[2], double value) {
    if (value < extremes[0] || value != value) extremes[0] = value; /* NaN stays */
    if (value > extremes[1] || value != value) extremes[1] = value;
}
void PXLI_NAME(scale_extremes)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, double extremes[4]);
void PXLI_NAME(scale_extremes)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, double extremes[4]) {
    const pxli_scale *s = &p->scale[j];
    const plane sum = plane_of(&s->sum, index / call->c, index % call->c),
                difference = plane_of(&s->difference, index / call->c, index % call->c);
    const double base = p->base[2 * index], gap = p->base[2 * index + 1];
    extremes[0] = extremes[2] = (double)INFINITY, extremes[1] = extremes[3] = -(double)INFINITY;
    for (int64_t y = 0; y < s->h; y++) {
        const real *u = direct_row(&sum, y), *v = direct_row(&difference, y);
        for (int64_t x = 0; x < s->w; x++) {
            const double both = (double)u[x] + base, apart = (double)v[x] + gap;
            widen(extremes, (both + apart) / 2), widen(extremes + 2, (both - apart) / 2);
        }
    }
}

/* ---- Its adjoint ------------------------------------------------------------------------------------------------------ */
/* A row of the coarser gradient, times unit, at each pixel of the finer one that its pairs read. */
static void spread_row(pxli_halved columns, real unit, const real *restrict from, real *restrict to) {
    real *restrict pairs = to - columns.before;
    for (int64_t i = 0; i < columns.to; i++) {
        const real g = unit * from[i];
        pairs[2 * i] = g, pairs[2 * i + 1] = g;
    }
    if (columns.before && !columns.pad) to[0] += to[-1];
    if (2 * columns.to - columns.before > columns.from) to[columns.from - 1] += to[columns.from];
    if (2 * columns.to - columns.before < columns.from) to[columns.from - 1] = 0;
}
/* What has overflown stays infinite: with an infinite one of the other sign the sum would be no number. */
static inline real sum_of(real a, real b) { return a - a != 0 && a == a && b == b ? a : a + b; }
/* A row of a map's gradient times its slope, and another `times`. Where one of these is 0, what it multiplies does not count,
 * whatever it is. */
static void combine(int64_t n, real slope, const real *g, real times, const real *restrict other, real *to) {
    if (slope == 0)
        for (int64_t i = 0; i < n; i++) to[i] = times == 0 ? 0 : times * other[i];
    else if (times == 0)
        for (int64_t i = 0; i < n; i++) to[i] = slope * g[i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = sum_of(slope * g[i], times * other[i]);
}
static const pxl_tensor *gradient_of(const pxli_scale *s, bool of_target) { return of_target ? &s->grad_target : &s->grad_pred; }
void weigh_take(weighing *g, const pxli_call *call, pxli_arena *arena) {
    const size_t bytes = (size_t)weigh_pitch(call->w) * sizeof(real);
    for (int i = 0; i < 2; i++) {
        real *const row = pxli_take(arena, bytes);
        g->spread[i] = row ? row + WEIGH_PAD : NULL; /* NULL where the arena only counts */
    }
    g->row = pxli_take(arena, bytes);
}
void weigh_start(weighing *g, const pxli_pyramid *p, int j, int64_t n, int64_t c) {
    const pxli_scale *s = &p->scale[j];
    const int64_t index = n * p->channels + c;
    g->coarser = j + 1 < p->count ? s + 1 : NULL;
    g->slope = to_real(s->slope[index]), g->unit = j + 2 == p->count ? to_real(g->coarser->slope[index]) : 1;
    for (int i = 0; i < 2; i++) {
        const pxl_tensor *own = gradient_of(s, i);
        if (own->data) g->own[i] = plane_of(own, n, c), g->held[i] = -1;
        if (own->data && g->coarser) g->brings[i] = plane_of(gradient_of(g->coarser, i), n, c);
    }
}
void weigh_row(weighing *g, bool of_target, int64_t y, int64_t x0, int64_t x1, real *to) {
    const pxli_scale *coarser = g->coarser;
    const int64_t pair = coarser ? (y + coarser->rows.before) / 2 : 0;
    const int times = coarser && g->unit != 0 ? pxli_halved_readers(coarser->rows, y) : 0;
    real *const spread = g->spread[of_target];
    if (times && pair != g->held[of_target]) {
        spread_row(coarser->columns, QUARTER * g->unit, direct_row(&g->brings[of_target], pair), spread);
        g->held[of_target] = pair;
    }
    combine(x1 - x0, g->slope, direct_row(&g->own[of_target], y) + x0, (real)times, spread + x0, to);
}
void weigh_add(weighing *g, int64_t y, int64_t x0, int64_t x1, real *pred, real *target) {
    real *const to[2] = {pred, target}, *restrict const row = g->row;
    for (int i = 0; i < 2; i++) {
        real *restrict const sum = to[i];
        if (!sum) continue;
        weigh_row(g, i, y, x0, x1, row);
        for (int64_t k = 0; k < x1 - x0; k++) sum[k] += row[k];
    }
}

/* Rows [y0, y1) of the gradient of scale j, of one plane. The finest goes to the call's gradient, and with `add` is added to it. */
void PXLI_NAME(weigh)(const pxli_call *call, const pxli_pyramid *p, int j, bool of_target, bool add, int64_t index, int64_t y0,
                      int64_t y1, void *memory);
void PXLI_NAME(weigh)(const pxli_call *call, const pxli_pyramid *p, int j, bool of_target, bool add, int64_t index, int64_t y0,
                      int64_t y1, void *memory) {
    const int64_t n = index / call->c, c = index % call->c;
    const scratch_rows rows = rows_in(memory, p->scale[j].w);
    weighing g = {.spread = {rows.row[0], rows.row[0]}};
    weigh_start(&g, p, j, n, c);
    const plane own = g.own[of_target], to = j ? own : plane_of(of_target ? call->grad_target : call->grad_pred, n, c);
    const bool in_place = j > 0 || p->direct;
    const int64_t w = p->scale[j].w;
    for (int64_t y = y0; y < y1; y++) {
        weigh_row(&g, of_target, y, 0, w, in_place ? direct_row(&own, y) : rows.row[1]);
        if (!in_place) store_row(&to, y, 0, w, rows.row[1], add);
    }
}
