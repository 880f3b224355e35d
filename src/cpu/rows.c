/* Conversion of rows: see rows.h. The dtype is looked at once a row; each loop is plain enough for the compiler to vectorise. */
#include "rows.h"

#include "../math/half.h"

plane plane_of(const pxl_tensor *t, int64_t image, int64_t channel) {
    const int64_t offset = image * t->stride[0] + channel * t->stride[1];
    plane p = {t->data, t->stride[2], t->stride[3], t->dtype, 1, 1};
    p.data += offset * (int64_t)plane_bytes(&p);
    return p;
}

plane target_plane(const pxli_call *call, int64_t image, int64_t channel) {
    plane p = plane_of(call->args->target, image, channel);
    p.range = (real)call->target_unit.range, p.most = (real)call->target_unit.most;
    return p;
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
#define AS_REAL(a)  ((real)(a))
#define IN_UNITS(a) ((real)(a)*range / most)
#define LOAD_INTEGER(TYPE)        \
    do {                          \
        if (most == 1)            \
            LOAD(TYPE, AS_REAL);  \
        else                      \
            LOAD(TYPE, IN_UNITS); \
    } while (0)

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

/* Channels last: neighbours of a row lie dx apart. Up to FEW, what lies between is read, too, and put aside (gathers take longer);
 * but only what is asked for is written, since other threads may be writing the rest. */
#if defined __AVX512F__ && PXLI_VECTOR_BYTES == 64 && !PXLI_DOUBLE
enum { FEW = 4 };
/* For each of dx vectors in memory: which of its lanes are of this row, and which of the row's they are. */
typedef struct lanes_apart {
    __m512i from[FEW];
    __mmask16 own[FEW];
} lanes_apart;
INLINE lanes_apart lanes_of(int64_t dx) {
    lanes_apart t;
    for (int j = 0; j < dx; j++) {
        int from[VL];
        t.own[j] = 0;
        for (int l = 0; l < VL; l++) {
            const int at = j * VL + l;
            from[l] = at / (int)dx, t.own[j] |= (__mmask16)(at % dx == 0 ? 1 << l : 0);
        }
        t.from[j] = _mm512_loadu_si512(from);
    }
    return t;
}
INLINE __m512i lanes_times(int64_t dx) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)dx));
}
INLINE int64_t load_few(const real *s, int64_t dx, int64_t count, real *restrict dst) {
    const __m512i at = lanes_times(dx);
    const __mmask16 far = _mm512_cmpge_epi32_mask(at, _mm512_set1_epi32(2 * VL));
    int64_t i = 0;
    for (; i + VL < count; i += VL) { /* the last ones may have nothing after them */
        const real *p = s + i * dx;
        const __m512 a = _mm512_permutex2var_ps(load(p), at, load(p + VL));
        const __m512 b = dx > 2 ? _mm512_permutex2var_ps(load(p + 2 * VL), at, load(p + (dx - 1) * VL)) : a;
        _mm512_storeu_ps(dst + i, _mm512_mask_mov_ps(a, far, b));
    }
    return i;
}
INLINE int64_t load_apart(const real *s, int64_t dx, int64_t count, real *restrict dst) {
    int64_t i = dx >= 2 && dx <= FEW ? load_few(s, dx, count, dst) : 0;
    const __m512i at = lanes_times(dx);
    for (; i + VL <= count && dx <= 64 && dx >= -64; i += VL) _mm512_storeu_ps(dst + i, _mm512_i32gather_ps(at, s + i * dx, 4));
    return i;
}
INLINE int64_t store_apart(real *d, int64_t dx, int64_t count, const real *restrict src, bool add) {
    if (dx < 2 || dx > FEW) return 0;
    const lanes_apart t = lanes_of(dx);
    int64_t i = 0;
    for (; i + VL <= count; i += VL)
        for (int j = 0; j < dx; j++) {
            real *const to = d + i * dx + j * VL;
            const __m512 a = _mm512_permutexvar_ps(t.from[j], load(src + i));
            _mm512_mask_storeu_ps(to, t.own[j], add ? _mm512_add_ps(a, _mm512_maskz_loadu_ps(t.own[j], to)) : a);
        }
    return i;
}
#else
INLINE int64_t load_apart(const real *s, int64_t dx, int64_t count, real *restrict dst) {
    (void)s, (void)dx, (void)count, (void)dst;
    return 0;
}
INLINE int64_t store_apart(real *d, int64_t dx, int64_t count, const real *restrict src, bool add) {
    (void)d, (void)dx, (void)count, (void)src, (void)add;
    return 0;
}
#endif
/* Four vectors at a time: a plain loop becomes a call of memcpy, which for rows of some KiB takes to `rep movsb`, at a third of
 * the speed. */
static void copy_row(const real *restrict s, int64_t count, real *restrict dst) {
    int64_t i = 0;
    for (; i + 4 * VL <= count; i += 4 * VL) {
        const vf a = load(s + i), b = load(s + i + VL), c = load(s + i + 2 * VL), d = load(s + i + 3 * VL);
        *(vu *)(dst + i) = a, *(vu *)(dst + i + VL) = b, *(vu *)(dst + i + 2 * VL) = c, *(vu *)(dst + i + 3 * VL) = d;
    }
    memcpy(dst + i, s + i, (size_t)(count - i) * sizeof(real));
}

void load_row(const plane *p, int64_t y, int64_t x, int64_t count, real *restrict dst) {
    const int64_t dx = p->dx;
    const real range = p->range, most = p->most;
    if (is_direct(p)) {
        copy_row(direct_row(p, y) + x, count, dst);
        return;
    }
    switch (p->dtype) {
        case PXL_F32: {
            const int64_t done = PXLI_DOUBLE ? 0 : load_apart(direct_row(p, y) + x * dx, dx, count, dst);
            x += done, dst += done, count -= done;
            LOAD(float, AS_REAL);
            break;
        }
        case PXL_F64: LOAD(double, AS_REAL); break;
        case PXL_F16: {
            const int64_t done = dx == 1 ? load_halves((const uint16_t *)p->data + y * p->dy + x, count, dst) : 0;
            x += done, dst += done, count -= done;
            LOAD(uint16_t, pxli_from_half);
            break;
        }
        case PXL_BF16: LOAD(uint16_t, pxli_from_bfloat); break;
        case PXL_U8: LOAD_INTEGER(uint8_t); break;
        case PXL_U16: LOAD_INTEGER(uint16_t); break;
    }
}

#if PXLI_DOUBLE
#define ODD_FLOAT(a) pxli_odd_float(a)
#else
#define ODD_FLOAT(a) (a)
#endif
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
#define TO_HALF(a)   pxli_to_half(ODD_FLOAT(a))
#define TO_BFLOAT(a) pxli_to_bfloat(ODD_FLOAT(a))
#define AS_FLOAT(a)  ((float)(a))
#define AS_DOUBLE(a) ((double)(a))

void store_row(const plane *p, int64_t y, int64_t x, int64_t count, const real *restrict src, bool add) {
    const int64_t dx = p->dx;
    switch (p->dtype) {
        case PXL_F32: {
            const int64_t done = PXLI_DOUBLE ? 0 : store_apart(direct_row(p, y) + x * dx, dx, count, src, add);
            x += done, src += done, count -= done;
            STORE(float, AS_REAL, AS_FLOAT);
            break;
        }
        case PXL_F64: STORE(double, AS_REAL, AS_DOUBLE); break;
        case PXL_F16: STORE(uint16_t, pxli_from_half, TO_HALF); break;
        case PXL_BF16: STORE(uint16_t, pxli_from_bfloat, TO_BFLOAT); break;
        case PXL_U8:
        case PXL_U16: break; /* never an output */
    }
}

void PXLI_NAME(copy)(const pxl_tensor *from, const pxl_tensor *to, bool add, int64_t index);
void PXLI_NAME(copy)(const pxl_tensor *from, const pxl_tensor *to, bool add, int64_t index) {
    const int64_t image = index / to->size[1], channel = index % to->size[1];
    const plane p = plane_of(from, image, channel), q = plane_of(to, image, channel);
    for (int64_t y = 0; y < to->size[2]; y++) store_row(&q, y, 0, to->size[3], direct_row(&p, y), add);
}
