/* How a difference is charged: value and slope of each penalty, one definition for every backend and precision.
 * PXLI_REAL is float or double and is defined before this file is included.
 *
 * To add a penalty: a function here, a line in PXLI_PENALTIES, its name in the table of term.c.
 * Every slope passes NaN on (a chain of comparisons with NaN ends in its last branch, which is why d itself stands there). */
#ifndef PXLI_PENALTY_H
#define PXLI_PENALTY_H
#include <math.h>

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

/* A backend may have quicker ones. */
#ifndef PXLI_QUOTIENT
#define PXLI_QUOTIENT(a, b) ((a) / (b))
#endif
#ifndef PXLI_SQRT
#define PXLI_SQRT(a) (sizeof(PXLI_REAL) == 4 ? sqrtf((float)(a)) : sqrt((double)(a)))
#endif

/* X(enumerator, function) for all penalties */
#define PXLI_PENALTIES(X)            \
    X(PXL_L2, pxli_l2)               \
    X(PXL_L1, pxli_l1)               \
    X(PXL_HUBER, pxli_huber)         \
    X(PXL_SMOOTH_L1, pxli_smooth_l1) \
    X(PXL_CHARBONNIER, pxli_charbonnier)

#define PXLI_LARGEST  (sizeof(PXLI_REAL) == 4 ? (PXLI_REAL)3e38 : (PXLI_REAL)1e308)
#define PXLI_SMALLEST (sizeof(PXLI_REAL) == 4 ? (PXLI_REAL)1e-30 : (PXLI_REAL)1e-290)

typedef struct pxli_charge {
    PXLI_REAL value, slope;
} pxli_charge;

PXLI_INLINE PXLI_REAL pxli_abs(PXLI_REAL d) { return sizeof d == 4 ? fabsf((float)d) : fabs((double)d); }
PXLI_INLINE PXLI_REAL pxli_sqrt(PXLI_REAL d) { return PXLI_SQRT(d); }
/* One choice after the other: of nested ones gcc makes a third comparison. */
PXLI_INLINE PXLI_REAL pxli_sign(PXLI_REAL d) {
    const PXLI_REAL a = d > 0 ? 1 : d;
    return d < 0 ? -1 : a;
}

/* sqrt(x^2 + y^2), also where the squares overflow or vanish */
PXLI_INLINE PXLI_REAL pxli_magnitude(PXLI_REAL x, PXLI_REAL y) {
    const PXLI_REAL a = pxli_abs(x), b = pxli_abs(y), large = a > b ? a : b, square = x * x + y * y;
    const PXLI_REAL unit = large > 0 ? large : 1, p = PXLI_QUOTIENT(a, unit), q = PXLI_QUOTIENT(b, unit);
    return square > PXLI_LARGEST || square < PXLI_SMALLEST ? large * pxli_sqrt(p * p + q * q) : pxli_sqrt(square);
}
PXLI_INLINE pxli_charge pxli_l2(PXLI_REAL d, PXLI_REAL unused) {
    (void)unused;
    return (pxli_charge){d * d, 2 * d};
}
PXLI_INLINE pxli_charge pxli_l1(PXLI_REAL d, PXLI_REAL unused) {
    (void)unused;
    return (pxli_charge){pxli_abs(d), pxli_sign(d)};
}
PXLI_INLINE pxli_charge pxli_huber(PXLI_REAL d, PXLI_REAL delta) {
    const PXLI_REAL a = pxli_abs(d), slope = d > delta ? delta : d < -delta ? -delta : d;
    return (pxli_charge){a > delta ? delta * (a - delta / 2) : d * d / 2, slope};
}
PXLI_INLINE pxli_charge pxli_smooth_l1(PXLI_REAL d, PXLI_REAL beta) {
    const PXLI_REAL a = pxli_abs(d), slope = d > beta ? 1 : d < -beta ? -1 : PXLI_QUOTIENT(d, beta);
    return (pxli_charge){a > beta ? a - beta / 2 : PXLI_QUOTIENT(d * d, 2 * beta), slope};
}
PXLI_INLINE pxli_charge pxli_charbonnier(PXLI_REAL d, PXLI_REAL eps) {
    const PXLI_REAL square = d * d + eps * eps,
                    value = square > PXLI_LARGEST ? pxli_abs(d) : pxli_sqrt(square); /* d^2 may overflow */
    return (pxli_charge){value, PXLI_QUOTIENT(d, value)};
}
#endif
