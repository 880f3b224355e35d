/* Penalties on rows: sums and slopes, from the scalar definitions in math/penalty.h. */
#ifndef PXLI_CHARGE_H
#define PXLI_CHARGE_H
#include "vector.h"

#include "../math/penalty.h"

enum { SPAN = 256 }; /* columns that are worked on at a time: still in L1 when they are stored or read again */

/* One penalty, known when compiling */
INLINE pxli_charge charge_of(pxl_penalty penalty, real d, real param) {
    switch (penalty) {
#define CASE(ENUMERATOR, FUNCTION) \
    case ENUMERATOR: return FUNCTION(d, param);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return (pxli_charge){0, 0};
}

/* Returns the sum of w[i] value(d[i]); slope[i] = scale w[i] slope(d[i]). w may be NULL (all 1). slope may be d. */
#define CHARGE(ENUMERATOR, FUNCTION)                                                                                       \
    NOINLINE double charge_##FUNCTION(int64_t n, const real *d, const real *w, real param, real scale, real *slope) {      \
        double sum = 0;                                                                                                    \
        if (w) {                                                                                                           \
            _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) {                                       \
                const pxli_charge c = FUNCTION(d[i], param);                                                               \
                sum += (double)(w[i] * c.value), slope[i] = scale * w[i] * c.slope;                                        \
            }                                                                                                              \
        } else {                                                                                                           \
            _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) {                                       \
                const pxli_charge c = FUNCTION(d[i], param);                                                               \
                sum += (double)c.value, slope[i] = scale * c.slope;                                                        \
            }                                                                                                              \
        }                                                                                                                  \
        return sum;                                                                                                        \
    }                                                                                                                      \
    /* Of d = x - y; the slopes go past the caches; NULL: they are not wanted. */                                          \
    NOINLINE double charge_pair_##FUNCTION(int64_t n, const real *x, const real *y, real param, real scale, real *slope) { \
        real line[SPAN] __attribute__((aligned(PXLI_VECTOR_BYTES)));                                                       \
        double total = 0;                                                                                                  \
        for (int64_t at = 0; at < n; at += SPAN) {                                                                         \
            const int64_t count = n - at < SPAN ? n - at : SPAN;                                                           \
            double sum = 0;                                                                                                \
            _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < count; i++) {                                   \
                const pxli_charge c = FUNCTION(x[at + i] - y[at + i], param);                                              \
                sum += (double)c.value, line[i] = scale * c.slope;                                                         \
            }                                                                                                              \
            total += sum;                                                                                                  \
            if (slope) stream_row(slope + at, line, count);                                                                \
        }                                                                                                                  \
        return total;                                                                                                      \
    }                                                                                                                      \
    /* The same of the magnitude m of (dx, dy): its slopes are slope(m) / m times dx and dy. */                            \
    NOINLINE double charge_isotropic_##FUNCTION(int64_t n, const real *dx, const real *dy, const real *w, real param,      \
                                                real scale, real *sx, real *sy) {                                          \
        double sum = 0;                                                                                                    \
        _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) {                                           \
            const real x = dx[i], y = dy[i], m = pxli_magnitude(x, y), weight = w ? w[i] : 1;                              \
            const pxli_charge c = FUNCTION(m, param);                                                                      \
            const real f = m == 0 ? 0 : scale * weight * c.slope / m;                                                      \
            sum += (double)(weight * c.value), sx[i] = f * x, sy[i] = f * y;                                               \
        }                                                                                                                  \
        return sum;                                                                                                        \
    }
PXLI_PENALTIES(CHARGE)
#undef CHARGE

__attribute__((unused)) static double charge(pxl_penalty penalty, int64_t n, const real *d, const real *w, real param, real scale,
                                             real *slope) {
    switch (penalty) {
#define CASE(ENUMERATOR, FUNCTION) \
    case ENUMERATOR: return charge_##FUNCTION(n, d, w, param, scale, slope);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
__attribute__((unused)) static double charge_pair(pxl_penalty penalty, int64_t n, const real *x, const real *y, real param,
                                                  real scale, real *slope) {
    switch (penalty) {
#define CASE(ENUMERATOR, FUNCTION) \
    case ENUMERATOR: return charge_pair_##FUNCTION(n, x, y, param, scale, slope);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
__attribute__((unused)) static double charge_isotropic(pxl_penalty penalty, int64_t n, const real *dx, const real *dy,
                                                       const real *w, real param, real scale, real *sx, real *sy) {
    switch (penalty) {
#define CASE(ENUMERATOR, FUNCTION) \
    case ENUMERATOR: return charge_isotropic_##FUNCTION(n, dx, dy, w, param, scale, sx, sy);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
#endif
