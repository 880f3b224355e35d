/* Where positions of a line read, one definition for every backend; a backend may define PXLI_INLINE first. */
#ifndef PXLI_BORDER_H
#define PXLI_BORDER_H
#include <stdbool.h>
#include <stdint.h>

#include "pixloss/pixloss.h"

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

/* A line mirrored at its end: at the middle of the edge pixel, or behind it, so that this pixel is there twice. */
PXLI_INLINE bool pxli_border_mirrors(int border) { return border == PXL_REFLECT || border == PXL_SYMMETRIC; }
/* E(p) of window.h: the pixel that position p reads, any size >= 1; -1: none (outside of a zero or valid border). border: a
 * pxl_border. No division: only a line shorter than its window is gone over more than once. */
PXLI_INLINE int64_t pxli_border_index(int border, int64_t size, int64_t p) {
    if (p >= 0 && p < size) return p;
    if (border == PXL_REPLICATE || (pxli_border_mirrors(border) && size == 1)) return p < 0 ? 0 : size - 1;
    if (!pxli_border_mirrors(border)) return -1;
    /* written so that nothing of it is the same in every turn: nvcc would keep that in registers of its own */
    while (p < 0 || p >= size) p = (p < 0 ? 0 : 2 * (size - 1)) - p + (border == PXL_SYMMETRIC ? p < 0 ? -1 : 1 : 0);
    return p;
}
/* What a stencil, which reads one pixel beyond the edge, takes for the border: so far symmetric is replicate. */
PXLI_INLINE pxl_border pxli_stencil_border(pxl_border border) { return border == PXL_SYMMETRIC ? PXL_REPLICATE : border; }
/* The source pixel of position p of a block, for lines of `size` pixels: that of symmetric, in fewer registers of a GPU. */
PXLI_INLINE int64_t pxli_block_pixel(int64_t size, int64_t p) {
    if (p >= 0 && p < size) return p;
    const int64_t period = 2 * size, m = (p % period + period) % period;
    return m < size ? m : period - 1 - m;
}
#endif
