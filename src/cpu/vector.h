/* Vectors of PXLI_REAL, as wide as the instruction set that this object file is built for (PXLI_VECTOR_BYTES), in GCC's and
 * clang's vector extensions; the few things they lack stand here, and nowhere else. */
#ifndef PXLI_VECTOR_H
#define PXLI_VECTOR_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined __SSE2__
#include <immintrin.h>
#endif

#if PXLI_DOUBLE
#define PXLI_REAL      double
#define PXLI_LANE      int64_t
#define VL             (PXLI_VECTOR_BYTES / 8)
#define PXLI_PRECISION f64
#else
#define PXLI_REAL      float
#define PXLI_LANE      int32_t
#define VL             (PXLI_VECTOR_BYTES / 4)
#define PXLI_PRECISION f32
#endif
/* Names that end in the precision and the instruction set: PXLI_NAME(strip) is pxli_strip_f32_avx512. */
#define PXLI_JOIN2(a, b, c) pxli_##a##_##b##_##c
#define PXLI_JOIN(a, b, c)  PXLI_JOIN2(a, b, c)
#define PXLI_NAME(name)     PXLI_JOIN(name, PXLI_PRECISION, PXLI_ISA)

typedef PXLI_REAL real;
typedef real vf __attribute__((vector_size(PXLI_VECTOR_BYTES), may_alias));
typedef real vu __attribute__((vector_size(PXLI_VECTOR_BYTES), aligned(sizeof(real)), may_alias)); /* at any address */
typedef PXLI_LANE vi __attribute__((vector_size(PXLI_VECTOR_BYTES)));

#define UNROLL   _Pragma("GCC unroll 32")
#define INLINE   static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

/* Rounded to this precision; what is finite stays so: infinity times 0 is NaN. */
INLINE real to_real(double a) {
    const double largest = sizeof(real) == 4 ? 3.4e38 : 1.7e308;
    return (real)(a > largest && a < INFINITY ? largest : a < -largest && a > -INFINITY ? -largest : a);
}
INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
INLINE vf load(const real *p) { return *(const vu *)p; }
INLINE vf all(real a) { return (vf){0} + a; }
INLINE vf choose(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
/* The sum of the lanes, by halves: one after another would take as long as the whole of a short row. */
INLINE double sum_of_lanes(vf a) {
    double lanes[VL];
    for (int l = 0; l < VL; l++) lanes[l] = (double)a[l];
    UNROLL for (int half = VL / 2; half; half /= 2) for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}
INLINE vf load_part(const real *p, int64_t n) {
    vf a = {0};
    memcpy(&a, p, (size_t)n * sizeof(real));
    return a;
}
INLINE void store_part(real *p, vf a, int64_t n) { memcpy(p, &a, (size_t)n * sizeof(real)); }

/* Past the caches: an ordinary store would first read the line it overwrites. p is aligned to the vector. */
INLINE void stream(real *p, vf a) {
#if defined __AVX512F__ && PXLI_VECTOR_BYTES == 64
    _mm512_stream_si512((__m512i *)p, (__m512i)a);
#elif defined __AVX__ && PXLI_VECTOR_BYTES == 32
    _mm256_stream_si256((__m256i *)p, (__m256i)a);
#elif defined __SSE2__ && PXLI_VECTOR_BYTES == 16
    _mm_stream_si128((__m128i *)p, (__m128i)a);
#else
    *(vf *)p = a;
#endif
}
/* Makes streamed stores visible to others. */
INLINE void stream_end(void) {
#if defined __SSE2__
    _mm_sfence();
#endif
}
INLINE bool is_aligned(const void *p) { return ((uintptr_t)p & (PXLI_VECTOR_BYTES - 1)) == 0; }
/* A row past the caches, from its first aligned element on. */
INLINE void stream_row(real *to, const real *from, int64_t count) {
    const int64_t head = (int64_t)(-((uintptr_t)to / sizeof(real)) & (VL - 1));
    int64_t i = head < count ? head : count;
    for (int64_t k = 0; k < i; k++) to[k] = from[k];
    for (; i + VL <= count; i += VL) stream(to + i, load(from + i));
    memcpy(to + i, from + i, (size_t)(count - i) * sizeof(real));
}

#define SHUFFLE __builtin_shufflevector
/* d = s transposed, VL x VL: log2(VL) two-input shuffles a vector, the first two inside 128-bit lanes, the others between them. */
INLINE void transpose(const vf *restrict s, vf *restrict d) {
#if VL == 16
    vf a[16], b[16];
    UNROLL for (int i = 0; i < 16; i += 2) {
        a[i] = SHUFFLE(s[i], s[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        a[i + 1] = SHUFFLE(s[i], s[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    }
    UNROLL for (int i = 0; i < 16; i += 4) UNROLL for (int j = 0; j < 2; j++) {
        b[i + 2 * j] = SHUFFLE(a[i + j], a[i + 2 + j], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
        b[i + 2 * j + 1] = SHUFFLE(a[i + j], a[i + 2 + j], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
#define EVEN(p, q) SHUFFLE(p, q, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define ODD(p, q)  SHUFFLE(p, q, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
    UNROLL for (int c = 0; c < 4; c++) {
        const vf p = EVEN(b[c], b[4 + c]), q = ODD(b[c], b[4 + c]), r = EVEN(b[8 + c], b[12 + c]), t = ODD(b[8 + c], b[12 + c]);
        d[c] = EVEN(p, r), d[c + 4] = EVEN(q, t), d[c + 8] = ODD(p, r), d[c + 12] = ODD(q, t);
    }
#undef EVEN
#undef ODD
#elif VL == 8 && !PXLI_DOUBLE
    vf a[8], b[8];
    UNROLL for (int i = 0; i < 8; i += 2) {
        a[i] = SHUFFLE(s[i], s[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        a[i + 1] = SHUFFLE(s[i], s[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL for (int i = 0; i < 8; i += 4) UNROLL for (int j = 0; j < 2; j++) {
        b[i + 2 * j] = SHUFFLE(a[i + j], a[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
        b[i + 2 * j + 1] = SHUFFLE(a[i + j], a[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int c = 0; c < 4; c++) {
        d[c] = SHUFFLE(b[c], b[4 + c], 0, 1, 2, 3, 8, 9, 10, 11);
        d[c + 4] = SHUFFLE(b[c], b[4 + c], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#elif VL == 4 && !PXLI_DOUBLE
    const vf a = SHUFFLE(s[0], s[1], 0, 4, 1, 5), b = SHUFFLE(s[0], s[1], 2, 6, 3, 7), c = SHUFFLE(s[2], s[3], 0, 4, 1, 5),
             e = SHUFFLE(s[2], s[3], 2, 6, 3, 7);
    d[0] = SHUFFLE(a, c, 0, 1, 4, 5), d[1] = SHUFFLE(a, c, 2, 3, 6, 7), d[2] = SHUFFLE(b, e, 0, 1, 4, 5),
    d[3] = SHUFFLE(b, e, 2, 3, 6, 7);
#else /* doubles: the reference, so simple before fast */
    for (int i = 0; i < VL; i++) {
        vf row = {0};
        for (int j = 0; j < VL; j++) row[j] = s[j][i];
        d[i] = row;
    }
#endif
}
#endif
