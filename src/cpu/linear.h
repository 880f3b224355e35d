/* Linear maps of an image, row by row, and their adjoints: what the residual terms compare through and what the operators
 * compute. A map is a stencil (stencil.h), which reads rows as they are, or a window of 2R + 1 taps along each axis (blur, box),
 * whose rows are filtered along first. Forward, rows of the extended image are pushed into a ring, and rows of the map come out;
 * backward, rows of derivatives are pushed, and rows of the gradient come out. Borders: forward the image is extended by the
 * border's index map; backward, what falls outside goes to the pixel it was read from. */
#ifndef PXLI_LINEAR_H
#define PXLI_LINEAR_H
#include "../math/window.h"
#include "../plan.h"
#include "stencil.h"
#include "taps.h"

enum { MAX_COMPONENTS = 2 };

typedef struct linear_map {
    pxli_radii R;
    int stencil, components; /* stencil: NO_STENCIL for a window */
    int reach;               /* a window's map is computed so far beyond the strip: R.x if it is pulled back, else 0 */
    bool identity;           /* the pixels themselves */
    real *taps_y, *taps_x, *reversed_y, *reversed_x; /* of a window */
    real *now;                                       /* the vertical taps of one row of the adjoint */
    double *exact;                                   /* the same while they are computed */
    real *zeros;                                     /* a row of them */
    pxl_border border;
    int64_t h, w;                           /* of the image */
    int64_t map_y0, map_y1, map_x0, map_x1; /* positions of the map that count */
} linear_map;

/* Rows of a strip: column c is at [pad + c - x0]. */
typedef struct frame {
    int64_t x0, x1, pad, pitch;
} frame;
INLINE real *column_at(const frame *f, const real *row, int64_t column) { return (real *)row + f->pad + column - f->x0; }
/* Room for strips of `width` and maps of radius R: 2R columns on both sides, and what filters overshoot. */
INLINE void set_frame(frame *f, int R, int64_t width) {
    f->pad = (2 * R + VL - 1) / VL * VL + VL;
    f->pitch = 2 * f->pad + (width + VL - 1) / VL * VL + GROUP * VL;
}

/* The last 2R + 1 rows of something, of a stencil the last 4: slot (row mod that) of `data`, or where `row` says. */
typedef struct linear_ring {
    real *data; /* NULL: rows lie elsewhere */
    real **row;
} linear_ring;
INLINE int64_t ring_rows(const linear_map *t) { return t->stencil != NO_STENCIL ? 4 : 2 * t->R.y + 1; }
INLINE int64_t ring_slot(const linear_map *t, int64_t row) {
    if (t->stencil != NO_STENCIL) return row & 3; /* on small images divisions would take longer than all else */
    const int64_t rows = ring_rows(t);
    return (row % rows + rows) % rows;
}
INLINE real *ring_row(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row) {
    return ring->data + ring_slot(t, row) * f->pitch;
}
INLINE void ring_take(linear_ring *ring, const linear_map *t, const frame *f, bool data, pxli_arena *arena) {
    const size_t rows = (size_t)ring_rows(t);
    ring->data = data ? pxli_take(arena, rows * (size_t)f->pitch * sizeof(real)) : NULL;
    ring->row = pxli_take(arena, rows * sizeof *ring->row);
}
INLINE void ring_clear(const linear_ring *ring, const linear_map *t, const frame *f) {
    if (ring->data) memset(ring->data, 0, (size_t)(ring_rows(t) * f->pitch) * sizeof(real));
    for (int k = 0; k < ring_rows(t) && ring->row; k++) ring->row[k] = t->zeros;
}

/* `kind`: of a term; R: of its map; pulled: its derivatives are, too */
INLINE void linear_take(linear_map *t, pxl_term_kind kind, int neighbours, pxli_radii R, bool pulled, const frame *f,
                        pxli_arena *arena) {
    const size_t down = (size_t)(2 * R.y + 1), along = (size_t)(2 * R.x + 1);
    t->R = R, t->reach = pulled ? R.x : 0;
    t->stencil = stencil_of(kind, neighbours), t->components = stencil_components(t->stencil);
    t->identity = t->stencil == NO_STENCIL && kind != PXL_BLUR;
    if (t->identity) return;
    t->zeros = pxli_take(arena, (size_t)f->pitch * sizeof(real));
    if (t->stencil != NO_STENCIL) return;
    t->taps_y = pxli_take(arena, down * sizeof(real)), t->reversed_y = pxli_take(arena, down * sizeof(real));
    t->taps_x = pxli_take(arena, along * sizeof(real)), t->reversed_x = pxli_take(arena, along * sizeof(real));
    t->now = pxli_take(arena, down * sizeof(real)), t->exact = pxli_take(arena, 2 * down * sizeof(double));
}
/* `down`, `along`: the 2R + 1 taps of each axis, if it is a window */
INLINE void linear_set(linear_map *t, const frame *f, const double *down, const double *along) {
    if (t->identity) return;
    memset(t->zeros, 0, (size_t)f->pitch * sizeof(real));
    if (t->stencil != NO_STENCIL) return;
    for (int k = 0; k <= 2 * t->R.y; k++) t->taps_y[k] = t->reversed_y[2 * t->R.y - k] = (real)down[k];
    for (int k = 0; k <= 2 * t->R.x; k++) t->taps_x[k] = t->reversed_x[2 * t->R.x - k] = (real)along[k];
}
/* The positions that count, for a window of `down` by `along` taps, which with border = valid may be even. */
INLINE void linear_size(linear_map *t, pxl_border border, int down, int along, int64_t h, int64_t w) {
    const bool crops = border == PXL_VALID;
    t->border = border, t->h = h, t->w = w;
    t->map_y0 = crops ? t->R.y : 0, t->map_y1 = crops ? h - (down - 1 - t->R.y) : h;
    t->map_x0 = crops ? t->R.x : 0, t->map_x1 = crops ? w - (along - 1 - t->R.x) : w;
}

/* ---- Forward ------------------------------------------------------------------------------------------------------- */
/* Fills the columns of the border within reach of the strip. */
INLINE void linear_extend(const linear_map *t, const frame *f, real *row) {
    const int R = t->R.x;
    const int64_t first = f->x0 - 2 * R, last = f->x1 + 2 * R;
    for (int64_t c = larger(first, -R); c < 0; c++) {
        const int64_t from = pxli_border_index(t->border, t->w, c);
        *column_at(f, row, c) = from < 0 ? 0 : *column_at(f, row, from);
    }
    for (int64_t c = t->w; c < t->w + R && c < last; c++) {
        const int64_t from = pxli_border_index(t->border, t->w, c);
        *column_at(f, row, c) = from < 0 ? 0 : *column_at(f, row, from);
    }
}
/* Pushes row `row` of the image; `from`: its pixels, NULL where they are zeros. A stencil reads them there later, so the border
 * is put around them then (linear_extend_around): rows may be shared by maps with other borders. */
INLINE void linear_push(const linear_map *t, const frame *f, real *from, linear_ring *ring, int64_t row) {
    if (t->stencil != NO_STENCIL) {
        ring->row[ring_slot(t, row)] = from ? from : t->zeros;
        return;
    }
    real *to = ring_row(t, f, ring, row);
    if (!from) {
        memset(to, 0, (size_t)f->pitch * sizeof(real));
        return;
    }
    linear_extend(t, f, from);
    filter_along(f->x1 - f->x0 + 2 * t->reach, 2 * t->R.x + 1, t->taps_x, column_at(f, from, f->x0 - t->reach - t->R.x),
                 column_at(f, to, f->x0 - t->reach));
}
/* For a stencil, before its row `row` is asked for. */
INLINE void linear_extend_around(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row) {
    for (int k = 0; k < 3 && t->stencil != NO_STENCIL; k++) linear_extend(t, f, ring->row[ring_slot(t, row - 1 + k)]);
}
/* The three rows around `row`, at `column`. */
INLINE stencil_rows rows_around(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, int64_t column) {
    stencil_rows s;
    for (int k = 0; k < 3; k++) s.row[k] = column_at(f, ring->row[ring_slot(t, row - 1 + k)], column);
    return s;
}
INLINE ring_view window_rows(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, int64_t column) {
    return (ring_view){column_at(f, ring->data, column), f->pitch, row - t->R.y, 2 * t->R.y + 1};
}
/* Columns [from, to) of row `row` of the map; a window fills x0 - reach to x1 + reach. */
INLINE void linear_row(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, int64_t from, int64_t to,
                       real *const out[MAX_COMPONENTS]) {
    if (t->stencil != NO_STENCIL) {
        stencil_forward(t->stencil, to - from, rows_around(t, f, ring, row, from), column_at(f, out[0], from),
                        column_at(f, out[1], from));
        return;
    }
    const ring_view view = window_rows(t, f, ring, row, f->x0 - t->reach);
    filter_down(f->x1 - f->x0 + 2 * t->reach, t->taps_y, &view, column_at(f, out[0], f->x0 - t->reach), false);
}

/* ---- Backward ------------------------------------------------------------------------------------------------------ */
/* Where row `row` of a component's derivatives is to be put, columns x0 - R.x to x1 + R.x, before linear_pull. */
INLINE real *derivatives_row(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, real *spare) {
    return t->stencil != NO_STENCIL ? ring_row(t, f, ring, row) : spare;
}
/* What the positions of the map that read column c, outside of the image, have for it. */
INLINE real reader_sum(const linear_map *t, const frame *f, const real *from, int64_t c) {
    const int R = t->R.x;
    real sum = 0;
    for (int q = 0; q <= 2 * R; q++) {
        const int64_t position = c - R + q;
        const bool held = position >= larger(0, f->x0 - R) && position < smaller(t->w, f->x1 + R);
        if (held && t->reversed_x[q] != 0) sum += t->reversed_x[q] * *column_at(f, from, position);
    }
    return sum;
}
/* Pushes what derivatives_row has received; zeros: row `row` of the map does not count. */
INLINE void linear_pull(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, const real *from, bool zeros) {
    const int R = t->R.x;
    real *to = ring_row(t, f, ring, row);
    if (zeros) memset(to, 0, (size_t)f->pitch * sizeof(real));
    if (zeros || t->stencil != NO_STENCIL) return;
    filter_along(f->x1 - f->x0, 2 * R + 1, t->reversed_x, column_at(f, from, f->x0 - R), column_at(f, to, f->x0));
    for (int side = 0; side < 2 && pxli_border_folds(t->border); side++) {
        if (side ? f->x1 < t->w - R : f->x0 > R) continue;
        for (int64_t k = 1; k <= R; k++) {
            const int64_t c = side ? t->w - 1 + k : -k, pixel = pxli_border_index(t->border, t->w, c);
            if (pixel >= f->x0 && pixel < f->x1) *column_at(f, to, pixel) += reader_sum(t, f, from, c);
        }
    }
}
/* Row `row` of a window's gradient, added to `gradient`. */
INLINE void window_gradient(const linear_map *t, const frame *f, const linear_ring *ring, int64_t row, real *gradient, bool add) {
    const int R = t->R.y, taps = 2 * R + 1;
    const real *now = t->reversed_y;
    if (pxli_border_folds(t->border) && (row <= R || row >= t->h - 1 - R)) {
        for (int k = 0; k < taps; k++) t->exact[k] = (double)t->taps_y[k];
        pxli_adjoint_taps(t->exact, R, t->border, t->h, row, t->exact + taps);
        for (int k = 0; k < taps; k++) t->now[k] = (real)t->exact[taps + k];
        now = t->now;
    }
    const ring_view view = window_rows(t, f, ring, row, f->x0);
    filter_down(f->x1 - f->x0, now, &view, gradient, add);
}
/* What the stencil's positions have for row `row` of the extended image, added up where its columns come from. */
INLINE void stencil_extended(const linear_map *t, const frame *f, const linear_ring *rings, int64_t row, real *gradient,
                             store_as how) {
    stencil_rows s[MAX_COMPONENTS];
    for (int q = 0; q < MAX_COMPONENTS; q++)
        for (int k = 0; k < 3; k++) {
            const int64_t from = row - 1 + k;
            const bool held = q < t->components && from >= 0 && from < t->h;
            s[q].row[k] = column_at(f, held ? ring_row(t, f, &rings[q], from) : t->zeros, f->x0);
        }
    stencil_adjoint(t->stencil, how, f->x1 - f->x0, s[0], s[1], gradient);
    for (int side = 0; side < 2 && pxli_border_folds(t->border); side++) {
        const int64_t c = side ? t->w : -1, pixel = pxli_border_index(t->border, t->w, c) - f->x0;
        if (pixel < 0 || pixel >= f->x1 - f->x0) continue;
        stencil_adjoint(t->stencil, STORE_ADD, 1, stencil_at(s[0], c - f->x0), stencil_at(s[1], c - f->x0), gradient + pixel);
    }
}
/* Row `row` of the gradient, columns x0 to x1, set or added to; one ring for each component. */
INLINE void linear_gradient(const linear_map *t, const frame *f, const linear_ring *rings, int64_t row, real *gradient,
                            store_as how) {
    if (t->stencil == NO_STENCIL) {
        window_gradient(t, f, &rings[0], row, gradient, how == STORE_ADD);
        return;
    }
    stencil_extended(t, f, rings, row, gradient, how);
    if (!pxli_border_folds(t->border)) return;
    if (pxli_border_index(t->border, t->h, -1) == row) stencil_extended(t, f, rings, -1, gradient, STORE_ADD);
    if (pxli_border_index(t->border, t->h, t->h) == row) stencil_extended(t, f, rings, t->h, gradient, STORE_ADD);
}
#endif
