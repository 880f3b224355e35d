/* Rows of a plane in memory, any dtype and strides, to and from rows of PXLI_REAL. */
#ifndef PXLI_ROWS_H
#define PXLI_ROWS_H
#include "../plan.h"
#include "vector.h"

/* One channel of one image. */
typedef struct plane {
    char *data;
    int64_t dy, dx; /* strides in elements */
    pxl_dtype dtype;
    real range, most; /* of integers: they are read times range / most */
} plane;
INLINE size_t plane_bytes(const plane *p) {
    return p->dtype == PXL_F64 ? 8 : p->dtype == PXL_F32 ? 4 : p->dtype == PXL_U8 ? 1 : 2;
}
plane PXLI_NAME(plane_of)(const pxl_tensor *tensor, int64_t image, int64_t channel);
#define plane_of PXLI_NAME(plane_of)

/* Of the call's target. */
plane PXLI_NAME(target_plane)(const pxli_call *call, int64_t image, int64_t channel);
#define target_plane PXLI_NAME(target_plane)

/* dst[i] = element (y, x + i) */
void PXLI_NAME(load_row)(const plane *p, int64_t y, int64_t x, int64_t count, real *restrict dst);
#define load_row PXLI_NAME(load_row)
/* element (y, x + i) = src[i], or with add += */
void PXLI_NAME(store_row)(const plane *p, int64_t y, int64_t x, int64_t count, const real *restrict src, bool add);
#define store_row PXLI_NAME(store_row)

/* Whether a row can be read, or written, where it lies. */
INLINE bool is_direct(const plane *p) { return p->dx == 1 && p->dtype == (PXLI_DOUBLE ? PXL_F64 : PXL_F32); }
INLINE real *direct_row(const plane *p, int64_t y) { return (real *)p->data + y * p->dy; }
/* Asks for VL columns of some rows. Always inlined: gcc takes a function that only prefetches for one without effect, and drops
 * the call. */
INLINE void prefetch_rows(const plane *p, int64_t y, int64_t rows, int64_t x) {
    enum { LINE = 64 };
    const int64_t bytes = (int64_t)plane_bytes(p), span = VL * (p->dx < 0 ? -p->dx : p->dx) * bytes;
    for (int64_t i = 0; i < rows; i++) {
        const char *at = p->data + ((y + i) * p->dy + x * p->dx) * bytes;
        for (int64_t k = 0; k < span && k < 8 * LINE; k += LINE) __builtin_prefetch(p->dx < 0 ? at - k : at + k);
    }
}
#endif
