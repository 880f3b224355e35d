/* log(1 + x) and exp(x) - 1 as loops and kernels can have them: in f32 by polynomials without a branch, to 2 units in the last place,
 * as in Cephes (Moshier, 1992); in f64, the reference, by libm. PXLI_REAL is float or double, defined before this file is included. */
#ifndef PXLI_ELEMENTARY_H
#define PXLI_ELEMENTARY_H
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

PXLI_INLINE float pxli_float_of(int32_t bits) {
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

/* -1 < x <= 1; NaN stays NaN. With 1 + x = 2^e (1 + z), |z| < 0.42; and what rounding 1 + x drops, over y = 1 + x, which near 1, where it
 * counts, is 2 - y times as much. */
PXLI_INLINE float pxli_log1p_f32(float x) {
    const float y = 1 + x, dropped = x - (y - 1);
    int32_t bits;
    memcpy(&bits, &y, sizeof bits);
    const int32_t e = (bits - 0x3f3504f3) >> 23;
    const float z = pxli_float_of(bits - e * 0x00800000) - 1, power = (float)e;
    float p = 7.0376836292e-2f;
    p = p * z - 1.1514610310e-1f;
    p = p * z + 1.1676998740e-1f;
    p = p * z - 1.2420140846e-1f;
    p = p * z + 1.4249322787e-1f;
    p = p * z - 1.6668057665e-1f;
    p = p * z + 2.0000714765e-1f;
    p = p * z - 2.4999993993e-1f;
    p = p * z + 3.3333331174e-1f;
    const float low = z * z * z * p - 2.12194440e-4f * power - z * z / 2 + dropped * (2 - y);
    return low + z + 0.693359375f * power;
}
PXLI_INLINE PXLI_REAL pxli_log1p(PXLI_REAL x) {
    return sizeof x == 4 ? (PXLI_REAL)pxli_log1p_f32((float)x) : (PXLI_REAL)log1p((double)x);
}

typedef struct pxli_exponential {
    PXLI_REAL value, minus_1; /* exp(x), exp(x) - 1 */
} pxli_exponential;
/* x < 80, as at -87 below that; NaN stays NaN. With x = n log 2 + r, |r| < 0.35. */
PXLI_INLINE pxli_exponential pxli_exp_f32(float x) {
    const float least = -87, t = x < least ? least : x;
    const int32_t n = t >= least ? (int32_t)(1.44269504f * t - 0.5f) : 0;
    const float r = t - 0.693359375f * (float)n + 2.12194440e-4f * (float)n, power = pxli_float_of((n + 127) * 0x00800000);
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    const float minus_1 = p * r * r + r;
    return (pxli_exponential){(PXLI_REAL)(power * minus_1 + power), (PXLI_REAL)(power * minus_1 + (power - 1))};
}
PXLI_INLINE pxli_exponential pxli_exp(PXLI_REAL x) {
    if (sizeof x == 4) return pxli_exp_f32((float)x);
    return (pxli_exponential){(PXLI_REAL)exp((double)x), (PXLI_REAL)expm1((double)x)};
}
#endif
