/* The parts of SSIM that are ratios, for one type: included by ssim.h for a scalar, and again by a backend for its vectors.
 * PXLI_SCORE_TYPE is that type, PXLI_SCORE_NAME(x) gives the functions their names. See ssim.h for the formulas.
 * P and Q are inverted one by one: their product overflows long before they do. Where one of them has overflown, P - P is NaN and
 * not 0, and so is the score: 1 / P would be 0. PXLI_RECIPROCAL(x) is 1 / x unless a backend has a faster one. */
#ifndef PXLI_RECIPROCAL
#define PXLI_RECIPROCAL(x) (1 / (x))
#endif
#define SCORE   PXLI_SCORE_NAME(score)
#define MOMENTS PXLI_SCORE_NAME(moments)
typedef struct { /* a score's value, and its derivatives to the five statistics */
    PXLI_SCORE_TYPE value, M, m, su, sv, cuv;
} SCORE;
typedef struct {
    PXLI_SCORE_TYPE M, m, su, sv, cuv;
} MOMENTS;

/* 1 - l */
PXLI_INLINE SCORE PXLI_SCORE_NAME(luminance)(MOMENTS s, PXLI_REAL C1) {
    const PXLI_SCORE_TYPE P = (s.M * s.M + s.m * s.m) / 2 + C1, r = PXLI_RECIPROCAL(P), a = s.m * s.m * r + (P - P), zero = {0};
    return (SCORE){a, -a * s.M * r, s.m * r * (2 - a), zero, zero, zero};
}
/* 1 - c s */
PXLI_INLINE SCORE PXLI_SCORE_NAME(contrast_structure)(MOMENTS s, PXLI_REAL C2) {
    const PXLI_SCORE_TYPE Q = (s.su + s.sv) / 2 + C2, r = PXLI_RECIPROCAL(Q), b = s.sv * r + (Q - Q), zero = {0};
    return (SCORE){b, zero, zero, -b * r / 2, r - b * r / 2, zero};
}
/* 1 - SSIM = a + b - a b; the derivatives of both parts share their products */
PXLI_INLINE SCORE PXLI_SCORE_NAME(ssim)(MOMENTS s, PXLI_REAL C1, PXLI_REAL C2) {
    const PXLI_SCORE_TYPE square = s.m * s.m, zero = {0};
    const PXLI_SCORE_TYPE P = (s.M * s.M + square) / 2 + C1, Q = (s.su + s.sv) / 2 + C2;
    const PXLI_SCORE_TYPE p = PXLI_RECIPROCAL(P), q = PXLI_RECIPROCAL(Q);
    const PXLI_SCORE_TYPE a = square * p + (P - P), b = s.sv * q + (Q - Q), wa = (1 - b) * p, wb = (1 - a) * q;
    const PXLI_SCORE_TYPE wa_a = wa * a, half = wb * b / 2;
    return (SCORE){a + b * (1 - a), -wa_a * s.M, s.m * (2 * wa - wa_a), -half, wb - half, zero};
}
#undef SCORE
#undef MOMENTS
