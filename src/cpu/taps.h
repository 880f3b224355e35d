/* Filters of rows: down the columns and along the row. Widths are rounded up to whole vectors: rows have room for that. A tap
 * of 0 is not read, so that what lies there (NaN, infinity) does not matter. */
#ifndef PXLI_TAPS_H
#define PXLI_TAPS_H
#include "vector.h"

enum { GROUP = 4 }; /* vectors at a time, to hide the latency of the sums */

/* Rows of a ring of `count`, in the order of the taps. */
typedef struct ring_view {
    const real *data;
    int64_t pitch, first;
    int count;
} ring_view;

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
