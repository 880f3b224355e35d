/* Where positions of a line read, one definition for every backend; a backend may define PXLI_INLINE first. */
#ifndef PXLI_BORDER_H
#define PXLI_BORDER_H
#include <stdint.h>

#include "pixloss/pixloss.h"

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

/* E(p) of window.h: the pixel that position p reads, any size >= 1; -1: none (outside of a zero or valid border). border: a
 * pxl_border. No division: only a line shorter than its window is gone over more than once. */
PXLI_INLINE int64_t pxli_border_index(int border, int64_t size, int64_t p) {
    if (p >= 0 && p < size) return p;
    if (border == PXL_REPLICATE || (border == PXL_REFLECT && size == 1)) return p < 0 ? 0 : size - 1;
    if (border != PXL_REFLECT) return -1;
    while (p < 0 || p >= size) p = p < 0 ? -p : 2 * (size - 1) - p;
    return p;
}
/* The source pixel of position p of a block, for lines of `size` pixels (symmetric: the edge pixel is repeated). */
PXLI_INLINE int64_t pxli_block_pixel(int64_t size, int64_t p) {
    if (p >= 0 && p < size) return p;
    const int64_t period = 2 * size, m = (p % period + period) % period;
    return m < size ? m : period - 1 - m;
}
#endif
