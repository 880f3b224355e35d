/* The structure pass on an image of one row, where a block of strip.c would have one lane in use: the maps are arrays along the row.
 *   u, v of the tile's columns and 2 radius more on both sides, as the border says     -> filtered along: f
 *   a window sees nothing above and below but zeros, or the row itself again           -> f = weight f + (1 - weight) outside
 *   scored POSITIONS at a time (score.c)                                               -> derivatives, filtered back along
 * A position p of the map is element p - (x0 - reach) of f and back; column c of the images element c - (x0 - reach - R) of u, v. */
#include "linear.h"
#include "strip.h"

static int reach_of(const strip *s) { return s->backs ? s->R : 0; }
static int64_t whole(int64_t positions) { return (positions + POSITIONS - 1) / POSITIONS * POSITIONS; }

void line_take(strip *s, int64_t width, pxli_arena *arena) {
    line *t = &s->line;
    const size_t row = (size_t)(whole(width + 2 * s->R) + 2 * s->R + GROUP * VL) * sizeof(real);
    t->u = pxli_take(arena, row), t->v = pxli_take(arena, row), t->product = pxli_take(arena, row);
    for (int q = 0; q < s->forward; q++) t->f[q] = pxli_take(arena, row);
    for (int k = 0; k < s->backs; k++) t->back[s->taken[k]] = pxli_take(arena, row), t->out[s->taken[k]] = pxli_take(arena, row);
}

/* u and v of columns from .. from + n - 1 */
static void read_line(strip *s, int64_t from, int64_t n) {
    const real *x, *y, c = s->c, d = s->d, scale = s->scale;
    const bool sums = s->pass->reads_sums;
    reader_rows(&s->reader, 0, 1, &x, &y);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = pxli_border_index(s->pass->window->border, s->pass->w, from + i);
        if (at < 0) {
            s->line.u[i] = s->outside[MAP_U], s->line.v[i] = s->outside[MAP_V];
            continue;
        }
        const real p = x[at], q = y[at], difference = p - q, back = difference - p;
        const real dropped = s->exact ? (p - (difference - back)) - (q + back) : 0; /* by rounding p - q */
        s->line.u[i] = sums ? p * scale - 2 * c : (p * scale - c) + (q * scale - c);
        s->line.v[i] = sums ? q * scale - d : (difference * scale - d) + dropped * scale;
    }
}
/* How much of a window's weight is on the row. */
static real own_weight(const strip *s) { return s->pass->window->border == PXL_ZERO ? s->taps_y[s->radii.y] : 1; }

static void filter_line(const strip *s, int64_t n) {
    const line *t = &s->line;
    const real *const a[MAPS] = {t->u, t->v, t->u, t->v, t->u}, *const b[MAPS] = {NULL, NULL, t->u, t->v, t->v};
    const real own = own_weight(s);
    for (int q = 0; q < s->forward; q++) {
        for (int64_t i = 0; i < n + 2 * s->R && b[q]; i++) t->product[i] = a[q][i] * b[q][i];
        filter_along(n, 2 * s->radii.x + 1, s->taps_x, (b[q] ? t->product : a[q]) + s->shift.x, t->f[q]);
        const real outside = (1 - own) * s->outside[q];
        for (int64_t i = 0; i < n && own != 1; i++) t->f[q][i] = own * t->f[q][i] + outside;
    }
}
static void score_chunks(strip *s, int64_t first, int64_t n) {
    const line *t = &s->line;
    vf *const f[MAPS] = {s->work.f[0], s->work.f[1], s->work.f[2], s->work.f[3], s->work.f[4]};
    for (int64_t i = 0; i < n; i += POSITIONS) {
        vf *m[MAPS] = {NULL};
        for (int q = 0; q < s->forward; q++) s->work.f[q] = (vf *)(t->f[q] + i);
        for (int k = 0; k < s->backs; k++) m[s->taken[k]] = (vf *)(t->back[s->taken[k]] + i);
        score_line(s, first + i, m);
    }
    for (int q = 0; q < MAPS; q++) s->work.f[q] = f[q];
}

/* Derivatives at positions that do not count are 0: selected, so that nothing there spreads. */
static void mask_line(const strip *s, real *back, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (first + i < s->pass->map_x0 || first + i >= s->pass->map_x1) back[i] = 0;
}
/* The adjoint of the window, at the tile's columns. */
static void pull_line(const strip *s, int q) {
    const int R = s->radii.x;
    const int64_t x0 = s->tile.x0, n = s->tile.x1 - x0, size = s->pass->w;
    const line *t = &s->line;
    const real own = own_weight(s), *const back = t->back[q] + s->shift.x;
    filter_along(n, 2 * R + 1, s->taps_x, back, t->out[q]);
    for (int64_t i = 0; i < n && s->pass->folds.adjoint_x; i++) {
        const double *taps = fold_at(s->pass->folds.adjoint_x, R, size, x0 + i);
        real sum = 0;
        for (int k = 0; k <= 2 * R && taps; k++)
            if (taps[k] != 0) sum += (real)taps[k] * back[i + k];
        if (taps) t->out[q][i] = sum;
    }
    for (int64_t i = 0; i < n && own != 1; i++) t->out[q][i] *= own;
}
static void add_gradient(const strip *s, int to, real *row) {
    const line *t = &s->line;
    const real *u = t->u + 2 * s->R, *v = t->v + 2 * s->R, sign = to == TO_PRED ? 1 : -1;
    for (int64_t i = 0; i < s->tile.x1 - s->tile.x0; i++) {
        const real y = sign * v[i];
        real sum = t->out[to][i];
        if (s->forward > MEANS) sum += 2 * u[i] * t->out[TO_UU][i] + 2 * y * t->out[TO_VV][i];
        if (s->forward == MAPS) sum += (sign * u[i] + v[i]) * t->out[TO_UV][i];
        row[i] += s->scale * (s->unit * sum);
    }
}

void line_run(strip *s, real *pred, real *target) {
    const int reach = reach_of(s), R = s->R;
    const int64_t first = s->tile.x0 - reach, n = s->tile.x1 - s->tile.x0 + 2 * reach;
    read_line(s, first - R, n + 2 * R);
    filter_line(s, n);
    for (int q = 0; q < s->forward; q++) memset(s->line.f[q] + n, 0, (size_t)(whole(n) - n) * sizeof(real));
    score_chunks(s, first, n);
    for (int k = 0; k < s->backs; k++) mask_line(s, s->line.back[s->taken[k]], first, n), pull_line(s, s->taken[k]);
    if (s->to_pred && s->backs) add_gradient(s, TO_PRED, pred);
    if (s->to_target && s->backs) add_gradient(s, TO_TARGET, target);
}
