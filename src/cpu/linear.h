/* Linear maps of an image, row by row, and their adjoints: what the residual terms compare through and what the operators
 * compute. A map is a sum of parts, each a vertical and a horizontal filter of 2R + 1 taps, into one or two components.
 * Forward, a row is filtered along into a ring of rows and the ring down; backward, a row of derivatives along into a ring, and
 * the ring down. Borders: forward the image is extended by the border's index map; backward, what falls outside goes to the
 * pixel it was read from. */
#ifndef PXLI_LINEAR_H
#define PXLI_LINEAR_H
#include "../math/window.h"
#include "../plan.h"
#include "taps.h"

enum { MAX_PARTS = 2 };

typedef struct linear_map {
    int R, parts, components, component[MAX_PARTS];
    real *vertical[MAX_PARTS], *horizontal[MAX_PARTS], *reversed[MAX_PARTS]; /* reversed: of horizontal */
    real *now;                                                               /* the vertical taps of one row of the adjoint */
    double *exact;                                                           /* the same while they are computed */
    pxl_border border;
    int64_t h, w;                           /* of the image */
    int64_t map_y0, map_y1, map_x0, map_x1; /* positions of the map that count */
} linear_map;

/* Rows of a strip: column c is at [pad + c - x0]. */
typedef struct frame {
    int64_t x0, x1, pad, pitch;
} frame;
INLINE real *column_at(const frame *f, const real *row, int64_t column) { return (real *)row + f->pad + column - f->x0; }
INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/* Room for strips of `width` and maps of radius R: 2R columns on both sides, and what filters overshoot. */
INLINE void set_frame(frame *f, int R, int64_t width) {
    f->pad = (2 * R + VL - 1) / VL * VL + VL;
    f->pitch = 2 * f->pad + (width + VL - 1) / VL * VL + GROUP * VL;
}

/* ---- The maps. To add one: its parts here, its radius in plan.c, its line in the table of term.c --------------------------- */
static void set_part(linear_map *t, int part, int component, const double *vertical, const double *horizontal) {
    const int taps = 2 * t->R + 1;
    t->component[part] = component;
    for (int k = 0; k < taps; k++) {
        t->vertical[part][k] = (real)vertical[k];
        t->horizontal[part][k] = (real)horizontal[k];
        t->reversed[part][taps - 1 - k] = (real)horizontal[k];
    }
}
/* `window`: the 2R + 1 taps of a blur or box */
INLINE void linear_set(linear_map *t, pxl_term_kind kind, int neighbours, const double *window) {
    static const double one[] = {0, 1, 0}, step[] = {0, -1, 1}, slope[] = {-1, 0, 1}, smooth[] = {1, 2, 1}, bend[] = {1, -2, 1},
                        ones[] = {1, 1, 1}, centre[] = {0, -9, 0};
    switch (kind) {
        case PXL_SOBEL: set_part(t, 0, 0, smooth, slope), set_part(t, 1, 1, slope, smooth); break;
        case PXL_TV: set_part(t, 0, 0, one, step), set_part(t, 1, 1, step, one); break;
        case PXL_LAPLACIAN:
            if (neighbours == 8)
                set_part(t, 0, 0, ones, ones), set_part(t, 1, 0, one, centre);
            else
                set_part(t, 0, 0, one, bend), set_part(t, 1, 0, bend, one);
            break;
        case PXL_BLUR: set_part(t, 0, 0, window, window); break;
        default: break; /* pixel */
    }
}
INLINE void linear_take(linear_map *t, pxl_term_kind kind, int R, pxli_arena *arena) {
    const size_t taps = (size_t)(2 * R + 1);
    t->R = R;
    t->parts = kind == PXL_BLUR ? 1 : kind == PXL_SOBEL || kind == PXL_LAPLACIAN || kind == PXL_TV ? 2 : 0;
    t->components = kind == PXL_SOBEL || kind == PXL_TV ? 2 : 1;
    for (int part = 0; part < t->parts; part++) {
        t->vertical[part] = pxli_take(arena, taps * sizeof(real)), t->horizontal[part] = pxli_take(arena, taps * sizeof(real));
        t->reversed[part] = pxli_take(arena, taps * sizeof(real));
    }
    t->now = pxli_take(arena, taps * sizeof(real)), t->exact = pxli_take(arena, 2 * taps * sizeof(double));
}
/* The positions that count, for a window of `taps`, which with border = valid may be even. */
INLINE void linear_size(linear_map *t, pxl_border border, int taps, int64_t h, int64_t w) {
    const int before = border == PXL_VALID ? t->R : 0, after = border == PXL_VALID ? taps - 1 - t->R : 0;
    t->border = border, t->h = h, t->w = w;
    t->map_y0 = before, t->map_y1 = h - after, t->map_x0 = before, t->map_x1 = w - after;
}
/* Rows of a ring for all parts */
INLINE int64_t ring_rows(const linear_map *t) { return (int64_t)t->parts * (2 * t->R + 1); }
INLINE real *ring_part(const linear_map *t, const frame *f, real *ring, int part) {
    return ring + part * (2 * t->R + 1) * f->pitch;
}
INLINE real *ring_row(const linear_map *t, const frame *f, real *ring, int part, int64_t row) {
    const int64_t taps = 2 * t->R + 1;
    return ring_part(t, f, ring, part) + (row % taps + taps) % taps * f->pitch;
}

/* ---- Forward ------------------------------------------------------------------------------------------------------- */
/* Fills the columns of the border within reach of the strip. */
INLINE void linear_extend(const linear_map *t, const frame *f, real *row) {
    const int64_t first = f->x0 - 2 * t->R, last = f->x1 + 2 * t->R;
    for (int64_t c = larger(first, -t->R); c < 0; c++) {
        const int64_t from = pxli_border_index(t->border, t->w, c);
        *column_at(f, row, c) = from < 0 ? 0 : *column_at(f, row, from);
    }
    for (int64_t c = t->w; c < t->w + t->R && c < last; c++) {
        const int64_t from = pxli_border_index(t->border, t->w, c);
        *column_at(f, row, c) = from < 0 ? 0 : *column_at(f, row, from);
    }
}
/* Row `row` of the extended image, filtered along; `from`: its pixels, NULL where they are zeros. */
INLINE void linear_along(const linear_map *t, const frame *f, const real *from, real *across, int64_t row) {
    for (int part = 0; part < t->parts; part++) {
        real *to = ring_row(t, f, across, part, row);
        if (!from)
            memset(to, 0, (size_t)f->pitch * sizeof(real));
        else
            filter_along(f->x1 - f->x0 + 2 * t->R, 2 * t->R + 1, t->horizontal[part], column_at(f, from, f->x0 - 2 * t->R),
                         column_at(f, to, f->x0 - t->R));
    }
}
/* Row `row` of the map, columns x0 - R to x1 + R. */
INLINE void linear_down(const linear_map *t, const frame *f, real *across, int64_t row, real *const out[MAX_PARTS]) {
    for (int part = 0; part < t->parts; part++) {
        const ring_view ring = {column_at(f, ring_part(t, f, across, part), f->x0 - t->R), f->pitch, row - t->R, 2 * t->R + 1};
        filter_down(f->x1 - f->x0 + 2 * t->R, t->vertical[part], &ring, column_at(f, out[t->component[part]], f->x0 - t->R),
                    part && t->component[part] == t->component[part - 1]);
    }
}

/* ---- Backward ------------------------------------------------------------------------------------------------------ */
/* What the positions of the map that read column c, outside of the image, have for it. */
INLINE real reader_sum(const linear_map *t, const frame *f, int part, const real *from, int64_t c) {
    real sum = 0;
    for (int q = 0; q <= 2 * t->R; q++) {
        const int64_t position = c - t->R + q;
        const bool held = position >= larger(0, f->x0 - t->R) && position < smaller(t->w, f->x1 + t->R);
        if (held && t->reversed[part][q] != 0) sum += t->reversed[part][q] * *column_at(f, from, position);
    }
    return sum;
}
/* Derivatives at row `row` of the map, columns x0 - R to x1 + R, 0 where it does not count; NULL: a row of zeros. */
INLINE void linear_pull_along(const linear_map *t, const frame *f, real *const derivatives[MAX_PARTS], real *back, int64_t row) {
    for (int part = 0; part < t->parts; part++) {
        real *to = ring_row(t, f, back, part, row);
        if (!derivatives) {
            memset(to, 0, (size_t)f->pitch * sizeof(real));
            continue;
        }
        const real *from = derivatives[t->component[part]];
        filter_along(f->x1 - f->x0, 2 * t->R + 1, t->reversed[part], column_at(f, from, f->x0 - t->R), column_at(f, to, f->x0));
        for (int side = 0; side < 2 && pxli_border_folds(t->border); side++) {
            if (side ? f->x1 < t->w - t->R : f->x0 > t->R) continue;
            for (int64_t k = 1; k <= t->R; k++) {
                const int64_t c = side ? t->w - 1 + k : -k, pixel = pxli_border_index(t->border, t->w, c);
                if (pixel >= f->x0 && pixel < f->x1) *column_at(f, to, pixel) += reader_sum(t, f, part, from, c);
            }
        }
    }
}
/* Adds row `row` of the adjoint to gradient[0 .. x1 - x0). */
INLINE void linear_pull_down(const linear_map *t, const frame *f, real *back, int64_t row, real *gradient) {
    const int taps = 2 * t->R + 1;
    const bool edge = pxli_border_folds(t->border) && (row <= t->R || row >= t->h - 1 - t->R);
    for (int part = 0; part < t->parts; part++) {
        for (int k = 0; k < taps; k++) t->now[k] = t->vertical[part][taps - 1 - k];
        if (edge) {
            for (int k = 0; k < taps; k++) t->exact[k] = (double)t->vertical[part][k];
            pxli_adjoint_taps(t->exact, t->R, t->border, t->h, row, t->exact + taps);
            for (int k = 0; k < taps; k++) t->now[k] = (real)t->exact[taps + k];
        }
        const ring_view ring = {column_at(f, ring_part(t, f, back, part), f->x0), f->pitch, row - t->R, taps};
        filter_down(f->x1 - f->x0, t->now, &ring, gradient, true);
    }
}
#endif
