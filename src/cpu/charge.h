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

/* ---- Loops, of a penalty known when compiling --------------------------------------------------------------------------- */
/* The sum of w[i] value(d[i]); slope[i] = scale w[i] slope(d[i]). weighted: w is not all 1. slope may be d. */
INLINE double charged(pxl_penalty penalty, bool weighted, int64_t n, const real *d, const real *w, real param, real scale,
                      real *slope) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        const pxli_charge c = charge_of(penalty, d[i], param);
        sum += (double)(weighted ? w[i] * c.value : c.value);
        slope[i] = weighted ? scale * w[i] * c.slope : scale * c.slope;
    }
    return sum;
}
/* Of d = x - y; the slopes go past the caches; NULL: they are not wanted. */
INLINE double charged_pair(pxl_penalty penalty, int64_t n, const real *x, const real *y, real param, real scale, real *slope) {
    real line[SPAN] __attribute__((aligned(PXLI_VECTOR_BYTES)));
    double total = 0;
    for (int64_t at = 0; at < n; at += SPAN) {
        const int64_t count = n - at < SPAN ? n - at : SPAN;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < count; i++) {
            const pxli_charge c = charge_of(penalty, x[at + i] - y[at + i], param);
            sum += (double)c.value, line[i] = scale * c.slope;
        }
        total += sum;
        if (slope) stream_row(slope + at, line, count);
    }
    return total;
}
/* Of the length of (dx, dy): its slopes are slope(length) times the direction. */
INLINE double charged_isotropic(pxl_penalty penalty, bool weighted, int64_t n, const real *dx, const real *dy, const real *w,
                                real param, real scale, real *sx, real *sy) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        const pxli_polar p = pxli_polar_of(dx[i], dy[i]);
        const pxli_charge c = charge_of(penalty, p.length, param);
        const real weight = weighted ? w[i] : 1, slope = scale * weight * c.slope;
        sum += (double)(weight * c.value), sx[i] = slope * p.x, sy[i] = slope * p.y;
    }
    return sum;
}

/* ---- The same of any penalty; w may be NULL (all 1) ---------------------------------------------------------------------- */
__attribute__((unused)) NOINLINE double charge(pxl_penalty penalty, int64_t n, const real *d, const real *w, real param,
                                               real scale, real *slope) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION) \
    case PENALTY:               \
        return w ? charged(PENALTY, true, n, d, w, param, scale, slope) : charged(PENALTY, false, n, d, w, param, scale, slope);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
__attribute__((unused)) NOINLINE double charge_pair(pxl_penalty penalty, int64_t n, const real *x, const real *y, real param,
                                                    real scale, real *slope) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION) \
    case PENALTY: return charged_pair(PENALTY, n, x, y, param, scale, slope);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
__attribute__((unused)) NOINLINE double charge_isotropic(pxl_penalty penalty, int64_t n, const real *dx, const real *dy,
                                                         const real *w, real param, real scale, real *sx, real *sy) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION)                                                         \
    case PENALTY:                                                                       \
        return w ? charged_isotropic(PENALTY, true, n, dx, dy, w, param, scale, sx, sy) \
                 : charged_isotropic(PENALTY, false, n, dx, dy, w, param, scale, sx, sy);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
#endif
