/* The 3 x 3 maps (sobel, tv, laplacian) and their adjoints on rows. A map reads rows r - 1, r, r + 1 of the extended image; its
 * adjoint the same rows of derivatives. All columns lie within a row and its padding. */
#ifndef PXLI_STENCIL_H
#define PXLI_STENCIL_H
#include "charge.h"

#include "pixloss/pixloss.h"

enum { STENCIL_SOBEL, STENCIL_TV, STENCIL_LAPLACIAN_4, STENCIL_LAPLACIAN_8, NO_STENCIL };

/* ---- The maps. To add one: its line here and in PXLI_STENCILS, its kind in stencil_of, its radius in plan.c, its line in term.c ---- */
/* Coefficients in reading order, for each component. They sum to 0, so that a constant offset is not seen. (tv alone is written out
 * in tv.h; tests/test_residual.cpp holds the two to each other.) */
static const signed char stencil_taps[][2][9] = {
    [STENCIL_SOBEL] = {{-1, 0, 1, -2, 0, 2, -1, 0, 1}, {-1, -2, -1, 0, 0, 0, 1, 2, 1}},
    [STENCIL_TV] = {{0, 0, 0, 0, -1, 1, 0, 0, 0}, {0, 0, 0, 0, -1, 0, 0, 1, 0}},
    [STENCIL_LAPLACIAN_4] = {{0, 1, 0, 1, -4, 1, 0, 1, 0}},
    [STENCIL_LAPLACIAN_8] = {{1, 1, 1, 1, -8, 1, 1, 1, 1}},
};
/* X(map, components) */
#define PXLI_STENCILS(X)      \
    X(STENCIL_SOBEL, 2)       \
    X(STENCIL_TV, 2)          \
    X(STENCIL_LAPLACIAN_4, 1) \
    X(STENCIL_LAPLACIAN_8, 1)

static int stencil_of(pxl_term_kind kind, int neighbours) {
    switch (kind) {
        case PXL_SOBEL: return STENCIL_SOBEL;
        case PXL_TV: return STENCIL_TV;
        case PXL_LAPLACIAN: return neighbours == 8 ? STENCIL_LAPLACIAN_8 : STENCIL_LAPLACIAN_4;
        default: return NO_STENCIL;
    }
}
static int stencil_components(int map) {
    switch (map) {
#define CASE(MAP, COMPONENTS) \
    case MAP: return COMPONENTS;
        PXLI_STENCILS(CASE)
#undef CASE
        default: return 1;
    }
}

/* Rows r - 1, r, r + 1, at the first column asked for. */
typedef struct stencil_rows {
    const real *row[3];
} stencil_rows;
INLINE stencil_rows stencil_at(stencil_rows s, int64_t columns) {
    return (stencil_rows){{s.row[0] + columns, s.row[1] + columns, s.row[2] + columns}};
}

/* Opposite neighbours are taken together, as differences: what they share is gone before anything is rounded. What is known
 * when compiling are the taps; those of 0 are not read. */
INLINE real stencil_pair(const signed char *taps, int k, const real *a, const real *b, real centre) {
    const int low = taps[k], high = taps[8 - k];
    if (high == -low) return high ? (real)high * (*b - *a) : 0;
    return (low ? (real)low * (*a - centre) : 0) + (high ? (real)high * (*b - centre) : 0);
}
INLINE real stencil_value(const signed char *taps, const real *a, const real *b, const real *c, int64_t i) {
    return stencil_pair(taps, 0, a + i - 1, c + i + 1, b[i]) + stencil_pair(taps, 2, a + i + 1, c + i - 1, b[i]) +
           (stencil_pair(taps, 1, a + i, c + i, b[i]) + stencil_pair(taps, 3, b + i - 1, b + i + 1, b[i]));
}
INLINE void stencil_map(int map, int components, int64_t n, stencil_rows s, real *restrict first, real *restrict second) {
    const real *a = s.row[0], *b = s.row[1], *c = s.row[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        first[i] = stencil_value(stencil_taps[map][0], a, b, c, i);
        if (components == 2) second[i] = stencil_value(stencil_taps[map][1], a, b, c, i);
    }
}
/* The map of n columns */
NOINLINE void stencil_forward(int map, int64_t n, stencil_rows s, real *first, real *second) {
    switch (map) {
#define CASE(MAP, COMPONENTS) \
    case MAP: stencil_map(MAP, COMPONENTS, n, s, first, second); break;
        PXLI_STENCILS(CASE)
#undef CASE
        default: break;
    }
}

/* The rows that are read next, prefetched a line beside each vector of these: many at once would wait for each other. */
typedef struct next_rows {
    const real *x, *y;
} next_rows;
/* The map of VL columns, or the n that are left, charged. Map and penalty are known when compiling. */
INLINE void stencil_block(int map, int components, pxl_penalty penalty, int64_t n, stencil_rows s, real param, real scale,
                          real *restrict value, real *restrict first, real *restrict second) {
    const real *a = s.row[0], *b = s.row[1], *c = s.row[2];
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const pxli_charge p = charge_of(penalty, stencil_value(stencil_taps[map][0], a, b, c, i), param);
        value[i] = p.value, first[i] = scale * p.slope;
        if (components == 2) {
            const pxli_charge q = charge_of(penalty, stencil_value(stencil_taps[map][1], a, b, c, i), param);
            value[i] += q.value, second[i] = scale * q.slope;
        }
    }
}
/* Of n columns: first and second are the slopes. The sum is of this precision, so it is of few columns, and it may overflow where
 * its parts do not. */
INLINE double stencil_charged(int map, int components, pxl_penalty penalty, int64_t n, stencil_rows s, next_rows next, real param,
                              real scale, real *first, real *second) {
    vf value = {0}, sum = {0};
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        __builtin_prefetch(next.x + i), __builtin_prefetch(next.y + i);
        stencil_block(map, components, penalty, VL, stencil_at(s, i), param, scale, (real *)&value, first + i, second + i);
        sum += value;
    }
    if (i < n) {
        value = (vf){0};
        stencil_block(map, components, penalty, n - i, stencil_at(s, i), param, scale, (real *)&value, first + i, second + i);
        sum += value;
    }
    return sum_of_lanes(sum);
}
INLINE double stencil_charged_by(int map, int components, pxl_penalty penalty, int64_t n, stencil_rows s, next_rows next,
                                 real param, real scale, real *first, real *second) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION) \
    case PENALTY: return stencil_charged(map, components, PENALTY, n, s, next, param, scale, first, second);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
__attribute__((unused)) NOINLINE double stencil_charge(int map, pxl_penalty penalty, int64_t n, stencil_rows s, next_rows next,
                                                       real param, real scale, real *first, real *second) {
    switch (map) {
#define CASE(MAP, COMPONENTS) \
    case MAP: return stencil_charged_by(MAP, COMPONENTS, penalty, n, s, next, param, scale, first, second);
        PXLI_STENCILS(CASE)
#undef CASE
        default: return 0;
    }
}

/* ---- The adjoint ----------------------------------------------------------------------------------------------------- */
/* What column i receives from one component's derivatives: from the position above it with the tap for below, and so on. */
INLINE real stencil_pull(const signed char *taps, const real *a, const real *b, const real *c, int64_t i) {
    real sum = 0;
#define TAKE(K, WHERE) \
    if (taps[8 - (K)]) sum += (real)taps[8 - (K)] * (WHERE)
    TAKE(0, a[i - 1]);
    TAKE(1, a[i]);
    TAKE(2, a[i + 1]);
    TAKE(3, b[i - 1]);
    TAKE(4, b[i]);
    TAKE(5, b[i + 1]);
    TAKE(6, c[i - 1]);
    TAKE(7, c[i]);
    TAKE(8, c[i + 1]);
#undef TAKE
    return sum;
}
INLINE void stencil_pulled(int map, int components, bool add, int64_t n, stencil_rows p, stencil_rows q, real *restrict out) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        real sum = stencil_pull(stencil_taps[map][0], p.row[0], p.row[1], p.row[2], i);
        if (components == 2) sum += stencil_pull(stencil_taps[map][1], q.row[0], q.row[1], q.row[2], i);
        out[i] = add ? out[i] + sum : sum;
    }
}
/* The same past the caches, but for the ends: a border adds to pixels there. */
INLINE void stencil_streamed(int map, int components, int64_t n, stencil_rows p, stencil_rows q, real *out) {
    vf sums;
    int64_t i = VL;
    stencil_pulled(map, components, false, VL, p, q, out);
    for (; i + VL < n; i += VL) {
        stencil_pulled(map, components, false, VL, stencil_at(p, i), stencil_at(q, i), (real *)&sums);
        stream(out + i, sums);
    }
    stencil_pulled(map, components, false, n - i, stencil_at(p, i), stencil_at(q, i), out + i);
}
/* How the adjoint's row is stored: set, added, or set past the caches, in memory that it will not be read from soon. */
typedef enum store_as { STORE_SET, STORE_ADD, STORE_STREAM } store_as;
/* out[i] (+)= what column i of the middle row receives from the derivatives p, and q if the map has two components */
NOINLINE void stencil_adjoint(int map, store_as how, int64_t n, stencil_rows p, stencil_rows q, real *out) {
    switch (map) {
#define CASE(MAP, COMPONENTS)                                          \
    case MAP:                                                          \
        if (how == STORE_ADD)                                          \
            stencil_pulled(MAP, COMPONENTS, true, n, p, q, out);       \
        else if (how == STORE_STREAM && n > 2 * VL && is_aligned(out)) \
            stencil_streamed(MAP, COMPONENTS, n, p, q, out);           \
        else                                                           \
            stencil_pulled(MAP, COMPONENTS, false, n, p, q, out);      \
        break;
        PXLI_STENCILS(CASE)
#undef CASE
        default: break;
    }
}
#endif
