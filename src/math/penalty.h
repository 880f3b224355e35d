/* How a difference is charged: value and slope of each penalty, one definition for every backend and precision.
 * PXLI_REAL is float or double and is defined before this file is included.
 *
 * To add a penalty: a function here, a line in PXLI_PENALTIES, its name in the table of term.c.
 * Every slope passes NaN on (a chain of comparisons with NaN ends in its last branch, which is why d itself stands there). */
#ifndef PXLI_PENALTY_H
#define PXLI_PENALTY_H
#include "elementary.h"

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
#define PXLI_PENALTIES(X)                  \
    X(PXL_L2, pxli_l2)                     \
    X(PXL_L1, pxli_l1)                     \
    X(PXL_HUBER, pxli_huber)               \
    X(PXL_SMOOTH_L1, pxli_smooth_l1)       \
    X(PXL_CHARBONNIER, pxli_charbonnier)   \
    X(PXL_PSEUDO_HUBER, pxli_pseudo_huber) \
    X(PXL_LOG_COSH, pxli_log_cosh)

#define PXLI_LARGEST (sizeof(PXLI_REAL) == 4 ? (PXLI_REAL)3e38 : (PXLI_REAL)1e308)

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

/* 2^e near `a` >= 0, and 2^-e: from its exponent's bits, within what has a reciprocal. */
typedef struct pxli_power_of_two {
    PXLI_REAL above, below;
} pxli_power_of_two;
PXLI_INLINE pxli_power_of_two pxli_power_of_two_f32(float a) {
    int32_t bits, inverse;
    float above, below;
    memcpy(&bits, &a, sizeof bits);
    bits &= 0x7f800000;
    bits = bits < 0x00800000 ? 0x00800000 : bits;
    bits = bits > 0x7e800000 ? 0x7e800000 : bits;
    inverse = 0x7f000000 - bits;
    memcpy(&above, &bits, sizeof above), memcpy(&below, &inverse, sizeof below);
    return (pxli_power_of_two){(PXLI_REAL)above, (PXLI_REAL)below};
}
PXLI_INLINE pxli_power_of_two pxli_power_of_two_f64(double a) {
    int64_t bits, inverse;
    double above, below;
    memcpy(&bits, &a, sizeof bits);
    bits &= 0x7ff0000000000000;
    bits = bits < 0x0010000000000000 ? 0x0010000000000000 : bits;
    bits = bits > 0x7fd0000000000000 ? 0x7fd0000000000000 : bits;
    inverse = 0x7fe0000000000000 - bits;
    memcpy(&above, &bits, sizeof above), memcpy(&below, &inverse, sizeof below);
    return (pxli_power_of_two){(PXLI_REAL)above, (PXLI_REAL)below};
}

PXLI_INLINE pxli_power_of_two pxli_power_of_two_of(PXLI_REAL a) {
    return sizeof a == 4 ? pxli_power_of_two_f32((float)a) : pxli_power_of_two_f64((double)a);
}

/* The length of (x, y), and (x, y) divided by it; (0, 0) where the length is 0. Computed of x and y times a power of two, so that
 * squares neither overflow nor vanish at any magnitude. */
typedef struct pxli_polar {
    PXLI_REAL length, x, y;
} pxli_polar;
PXLI_INLINE pxli_polar pxli_polar_of(PXLI_REAL x, PXLI_REAL y) {
    const PXLI_REAL a = pxli_abs(x), b = pxli_abs(y), large = a > b ? a : b;
    const pxli_power_of_two unit = pxli_power_of_two_of(large);
    const PXLI_REAL p = x * unit.below, q = y * unit.below, length = pxli_sqrt(p * p + q * q), divisor = length == 0 ? 1 : length;
    return (pxli_polar){length * unit.above, PXLI_QUOTIENT(p, divisor), PXLI_QUOTIENT(q, divisor)};
}
/* lift: 1, or see pxli_lift_of */
PXLI_INLINE pxli_charge pxli_l2(PXLI_REAL d, PXLI_REAL lift) { return (pxli_charge){d * d, 2 * lift * d}; }
PXLI_INLINE pxli_charge pxli_l1(PXLI_REAL d, PXLI_REAL unused) {
    (void)unused;
    return (pxli_charge){pxli_abs(d), pxli_sign(d)};
}
PXLI_INLINE pxli_charge pxli_huber(PXLI_REAL d, PXLI_REAL delta) {
    const PXLI_REAL a = pxli_abs(d), slope = d > delta ? delta : d < -delta ? -delta : d;
    return (pxli_charge){a > delta ? delta * (a - delta / 2) : d * d / 2, slope};
}
/* A beta that rounds to 0 is below any difference but 0. */
PXLI_INLINE pxli_charge pxli_smooth_l1(PXLI_REAL d, PXLI_REAL beta) {
    const PXLI_REAL a = pxli_abs(d), divisor = beta > 0 ? beta : 1, q = PXLI_QUOTIENT(d, divisor);
    return (pxli_charge){a > beta ? a - beta / 2 : d * q / 2, d > beta ? 1 : d < -beta ? -1 : q};
}
/* In units of a power of two near eps. A difference beyond 2^60 of these has eps for nothing beside it: the slope does not change any
 * more, and the value is |d|. An eps that rounds to 0 is below any difference but 0. */
PXLI_INLINE pxli_charge pxli_charbonnier(PXLI_REAL d, PXLI_REAL eps) {
    const pxli_power_of_two unit = pxli_power_of_two_of(eps);
    const PXLI_REAL far = (PXLI_REAL)0x1p60, own = eps * unit.below, q = own > 1 / far ? own : 1 / far;
    const PXLI_REAL p = d * unit.below, below = p > far ? far : p, near = below < -far ? -far : below;
    const PXLI_REAL length = pxli_sqrt(near * near + q * q), value = length * unit.above, a = pxli_abs(d);
    return (pxli_charge){value > a ? value : a, PXLI_QUOTIENT(near, length)};
}
/* With p = |d| and k = delta in units of a power of two near the larger, and l their length: d^2 k / (k + l), slope d k / l. For
 * |d| > delta delta p stands for d k, which might have vanished. A root less 1 would cancel. */
PXLI_INLINE pxli_charge pxli_pseudo_huber(PXLI_REAL d, PXLI_REAL delta) {
    const PXLI_REAL a = pxli_abs(d), below = pxli_power_of_two_of(a > delta ? a : delta).below, most = 4; /* of finite ones */
    const PXLI_REAL k = delta * below, q = a * below, p = q > most ? most : q, length = pxli_sqrt(p * p + k * k);
    const PXLI_REAL own = a > delta ? delta : a, part = a > delta ? p : k;
    const PXLI_REAL slope = own * PXLI_QUOTIENT(part, length);
    return (pxli_charge){own * PXLI_QUOTIENT(part, k + length) * a, d < 0 ? -slope : slope};
}
/* With E = exp(-|d|) and m = E - 1: log(1 + m^2 / (2 E)) below 1, where it does not cancel; above as |d| - log 2 + log(1 + E^2). The
 * slope is tanh(d). */
PXLI_INLINE pxli_charge pxli_log_cosh(PXLI_REAL d, PXLI_REAL unused) {
    const PXLI_REAL a = pxli_abs(d), log_2 = (PXLI_REAL)0.6931471805599453;
    const pxli_exponential e = pxli_exp(-a);
    const PXLI_REAL E = e.value, m = e.minus_1, square = E * E, slope = PXLI_QUOTIENT(-m * (1 + E), 1 + square);
    const PXLI_REAL rest = pxli_log1p(a < 1 ? PXLI_QUOTIENT(m * m, 2 * E) : square);
    (void)unused;
    return (pxli_charge){a < 1 ? rest : a - log_2 + rest, d < 0 ? -slope : slope};
}
#endif
