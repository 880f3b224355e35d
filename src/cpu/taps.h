/* Filters of rows: down the columns and along the row. Widths are rounded up to whole vectors: rows have room for that. */
#ifndef PXLI_TAPS_H
#define PXLI_TAPS_H
#include "vector.h"

enum { GROUP = 4 }; /* vectors at a time, to hide the latency of the sums */

/* dst[i] (+)= sum over k < count of taps[k] rows(k)[i]; a tap of 0 is not read. rows(k) = ring + ((first + k) mod count) * pitch. */
INLINE void filter_down(int64_t n, int count, const real *taps, const real *ring, int64_t pitch, int64_t first, real *dst, bool add) {
    for (int64_t i = 0; i < n; i += GROUP * VL) {
        const int group = n - i >= GROUP * VL ? GROUP : (int)((n - i + VL - 1) / VL);
        vf a[GROUP];
        for (int b = 0; b < GROUP; b++) a[b] = add && b < group ? load(dst + i + b * VL) : (vf){0};
        int64_t slot = (first % count + count) % count;
        for (int k = 0; k < count; k++, slot = slot + 1 == count ? 0 : slot + 1) {
            if (taps[k] == 0) continue;
            const real *s = ring + slot * pitch + i;
            if (group == GROUP) {
                UNROLL for (int b = 0; b < GROUP; b++) a[b] += taps[k] * load(s + b * VL);
            } else {
                for (int b = 0; b < group; b++) a[b] += taps[k] * load(s + b * VL);
            }
        }
        for (int b = 0; b < group; b++) *(vu *)(dst + i + b * VL) = a[b];
    }
}
/* dst[i] = sum over k < count of taps[k] src[i + k] */
INLINE void filter_along(int64_t n, int count, const real *taps, const real *src, real *dst) {
    for (int64_t i = 0; i < n; i += GROUP * VL) {
        const int group = n - i >= GROUP * VL ? GROUP : (int)((n - i + VL - 1) / VL);
        vf a[GROUP] = {{0}};
        for (int k = 0; k < count; k++) {
            if (taps[k] == 0) continue;
            const real *s = src + i + k;
            if (group == GROUP) {
                UNROLL for (int b = 0; b < GROUP; b++) a[b] += taps[k] * load(s + b * VL);
            } else {
                for (int b = 0; b < group; b++) a[b] += taps[k] * load(s + b * VL);
            }
        }
        for (int b = 0; b < group; b++) *(vu *)(dst + i + b * VL) = a[b];
    }
}
#endif
