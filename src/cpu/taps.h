/* Filters of rows: down the columns and along the row. Widths are rounded up to whole vectors: rows have room for that. A tap
 * of 0 is not read, so that what lies there (NaN, infinity) does not matter. */
#ifndef PXLI_TAPS_H
#define PXLI_TAPS_H
#include "vector.h"

enum { GROUP = 4 }; /* vectors at a time, to hide the latency of the sums */

/* Three taps, the stencils' case; used: which of them are not 0, known when compiling. */
INLINE vf three(int used, const real *t, const real *a, const real *b, const real *c) {
    vf sum = {0};
    if (used & 1) sum += t[0] * load(a);
    if (used & 2) sum += t[1] * load(b);
    if (used & 4) sum += t[2] * load(c);
    return sum;
}
INLINE void filter_three(int used, int64_t n, const real *taps, const real *a, const real *b, const real *c, real *dst,
                         bool add) {
    const real t[3] = {taps[0], taps[1], taps[2]};
    if (add)
        for (int64_t i = 0; i < n; i += VL) *(vu *)(dst + i) = load(dst + i) + three(used, t, a + i, b + i, c + i);
    else
        for (int64_t i = 0; i < n; i += VL) *(vu *)(dst + i) = three(used, t, a + i, b + i, c + i);
}
NOINLINE void stencil(int64_t n, const real *taps, const real *a, const real *b, const real *c, real *dst, bool add) {
    switch ((taps[0] != 0) + 2 * (taps[1] != 0) + 4 * (taps[2] != 0)) {
        case 2: filter_three(2, n, taps, a, b, c, dst, add); break;
        case 3: filter_three(3, n, taps, a, b, c, dst, add); break;
        case 5: filter_three(5, n, taps, a, b, c, dst, add); break;
        case 6: filter_three(6, n, taps, a, b, c, dst, add); break;
        case 7: filter_three(7, n, taps, a, b, c, dst, add); break;
        case 0: filter_three(0, n, taps, a, b, c, dst, add); break;
        case 1: filter_three(1, n, taps, a, b, c, dst, add); break;
        case 4: filter_three(4, n, taps, a, b, c, dst, add); break;
    }
}

/* Rows of a ring of `count`, in the order of the taps. */
typedef struct ring_view {
    const real *data;
    int64_t pitch, first;
    int count;
} ring_view;
INLINE const real *row_in(const ring_view *r, int64_t k) {
    const int64_t slot = (r->first + k) % r->count;
    return r->data + (slot < 0 ? slot + r->count : slot) * r->pitch;
}

/* `group` vectors of the sum over k of taps[k] s(k), s advancing by `step` (along the row) or through the ring */
INLINE void sum_down(int group, const real *taps, const ring_view *ring, int64_t at, vf *a) {
    int64_t slot = (ring->first % ring->count + ring->count) % ring->count;
    for (int k = 0; k < ring->count; k++, slot = slot + 1 == ring->count ? 0 : slot + 1) {
        if (taps[k] == 0) continue;
        const real *s = ring->data + slot * ring->pitch + at;
        UNROLL for (int b = 0; b < group; b++) a[b] += taps[k] * load(s + b * VL);
    }
}
INLINE void sum_along(int group, int count, const real *taps, const real *src, vf *a) {
    for (int k = 0; k < count; k++) {
        if (taps[k] == 0) continue;
        UNROLL for (int b = 0; b < group; b++) a[b] += taps[k] * load(src + k + b * VL);
    }
}

/* dst[i] (+)= sum over k of taps[k] row k [i] */
NOINLINE void filter_down(int64_t n, const real *taps, const ring_view *ring, real *dst, bool add) {
    int64_t i = 0;
    if (ring->count == 3) {
        stencil(n, taps, row_in(ring, 0), row_in(ring, 1), row_in(ring, 2), dst, add);
        return;
    }
    for (; i + GROUP * VL <= n; i += GROUP * VL) {
        vf a[GROUP];
        UNROLL for (int b = 0; b < GROUP; b++) a[b] = add ? load(dst + i + b * VL) : (vf){0};
        sum_down(GROUP, taps, ring, i, a);
        UNROLL for (int b = 0; b < GROUP; b++) * (vu *)(dst + i + b * VL) = a[b];
    }
    for (; i < n; i += VL) {
        vf a = add ? load(dst + i) : (vf){0};
        sum_down(1, taps, ring, i, &a);
        *(vu *)(dst + i) = a;
    }
}
/* dst[i] = sum over k < count of taps[k] src[i + k] */
NOINLINE void filter_along(int64_t n, int count, const real *taps, const real *src, real *dst) {
    int64_t i = 0;
    if (count == 3) {
        stencil(n, taps, src, src + 1, src + 2, dst, false);
        return;
    }
    for (; i + GROUP * VL <= n; i += GROUP * VL) {
        vf a[GROUP] = {{0}};
        sum_along(GROUP, count, taps, src + i, a);
        UNROLL for (int b = 0; b < GROUP; b++) * (vu *)(dst + i + b * VL) = a[b];
    }
    for (; i < n; i += VL) {
        vf a = {0};
        sum_along(1, count, taps, src + i, &a);
        *(vu *)(dst + i) = a;
    }
}
#endif
