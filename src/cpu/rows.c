/* Conversion of rows: see rows.h. The dtype is looked at once a row; each loop is plain enough for the compiler to vectorise. */
#include "rows.h"

#include "../math/half.h"

static size_t bytes_of(pxl_dtype dtype) { return dtype == PXL_F64 ? 8 : dtype == PXL_F32 ? 4 : dtype == PXL_U8 ? 1 : 2; }

plane plane_of(const pxl_tensor *t, int64_t image, int64_t channel) {
    const int64_t offset = image * t->stride[0] + channel * t->stride[1];
    return (plane){(char *)t->data + offset * (int64_t)bytes_of(t->dtype), t->stride[2], t->stride[3], t->dtype};
}

/* dst[i] = CONVERT(element): one loop for neighbours in memory, one for any stride */
#define LOAD(TYPE, CONVERT)                                                  \
    do {                                                                     \
        const TYPE *s = (const TYPE *)p->data + y * p->dy + x * dx;          \
        if (dx == 1) {                                                       \
            for (int64_t i = 0; i < count; i++) dst[i] = CONVERT(s[i]);      \
        } else {                                                             \
            for (int64_t i = 0; i < count; i++) dst[i] = CONVERT(s[i * dx]); \
        }                                                                    \
    } while (0)
#define AS_REAL(a) ((real)(a))

#if defined __F16C__
/* gcc 12 leaves conversion from _Float16 scalar */
INLINE int64_t load_halves(const uint16_t *s, int64_t count, real *dst) {
    int64_t i = 0;
    if (!PXLI_DOUBLE)
        for (; i + 8 <= count; i += 8)
            _mm256_storeu_ps((float *)dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(s + i))));
    return i;
}
#else
INLINE int64_t load_halves(const uint16_t *s, int64_t count, real *dst) {
    (void)s, (void)count, (void)dst;
    return 0;
}
#endif

void load_row(const plane *p, int64_t y, int64_t x, int64_t count, real *restrict dst) {
    const int64_t dx = p->dx;
    switch (p->dtype) {
        case PXL_F32: LOAD(float, AS_REAL); break;
        case PXL_F64: LOAD(double, AS_REAL); break;
        case PXL_F16: {
            const int64_t done = dx == 1 ? load_halves((const uint16_t *)p->data + y * p->dy + x, count, dst) : 0;
            x += done, dst += done, count -= done;
            LOAD(uint16_t, pxli_from_half);
            break;
        }
        case PXL_BF16: LOAD(uint16_t, pxli_from_bfloat); break;
        case PXL_U8: LOAD(uint8_t, AS_REAL); break;
        case PXL_U16: LOAD(uint16_t, AS_REAL); break;
    }
}

/* element = FROM(src[i]), or the sum with TO(element) */
#define STORE(TYPE, TO, FROM)                                                                     \
    do {                                                                                          \
        TYPE *d = (TYPE *)p->data + y * p->dy + x * dx;                                           \
        if (add)                                                                                  \
            for (int64_t i = 0; i < count; i++) d[i * dx] = FROM((real)(TO(d[i * dx]) + src[i])); \
        else if (dx == 1)                                                                         \
            for (int64_t i = 0; i < count; i++) d[i] = FROM(src[i]);                              \
        else                                                                                      \
            for (int64_t i = 0; i < count; i++) d[i * dx] = FROM(src[i]);                         \
    } while (0)
#define TO_HALF(a)   pxli_to_half((float)(a))
#define TO_BFLOAT(a) pxli_to_bfloat((float)(a))
#define AS_FLOAT(a)  ((float)(a))
#define AS_DOUBLE(a) ((double)(a))

void store_row(const plane *p, int64_t y, int64_t x, int64_t count, const real *restrict src, bool add) {
    const int64_t dx = p->dx;
    switch (p->dtype) {
        case PXL_F32: STORE(float, AS_REAL, AS_FLOAT); break;
        case PXL_F64: STORE(double, AS_REAL, AS_DOUBLE); break;
        case PXL_F16: STORE(uint16_t, pxli_from_half, TO_HALF); break;
        case PXL_BF16: STORE(uint16_t, pxli_from_bfloat, TO_BFLOAT); break;
        case PXL_U8:
        case PXL_U16: break; /* never an output */
    }
}

void PXLI_NAME(copy)(const pxl_tensor *from, const pxl_tensor *to, int64_t index);
void PXLI_NAME(copy)(const pxl_tensor *from, const pxl_tensor *to, int64_t index) {
    const int64_t image = index / to->size[1], channel = index % to->size[1];
    const plane p = plane_of(from, image, channel), q = plane_of(to, image, channel);
    for (int64_t y = 0; y < to->size[2]; y++) store_row(&q, y, 0, to->size[3], direct_row(&p, y), false);
}
