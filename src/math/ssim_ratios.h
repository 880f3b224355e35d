/* The parts of SSIM that are ratios, for one type: included by ssim.h for a scalar, and again by a backend for its vectors.
 * PXLI_SCORE_TYPE is that type, PXLI_SCORE_NAME(x) gives the functions their names. See ssim.h for the formulas.
 * P and Q are inverted one by one: their product overflows long before they do. */
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
    const PXLI_SCORE_TYPE P = (s.M * s.M + s.m * s.m) / 2 + C1, r = 1 / P, a = s.m * s.m * r, zero = {0};
    return (SCORE){a, -a * s.M * r, s.m * r * (2 - a), zero, zero, zero};
}
/* 1 - c s */
PXLI_INLINE SCORE PXLI_SCORE_NAME(contrast_structure)(MOMENTS s, PXLI_REAL C2) {
    const PXLI_SCORE_TYPE Q = (s.su + s.sv) / 2 + C2, r = 1 / Q, b = s.sv * r, zero = {0};
    return (SCORE){b, zero, zero, -b * r / 2, r - b * r / 2, zero};
}
/* 1 - SSIM = a + b - a b */
PXLI_INLINE SCORE PXLI_SCORE_NAME(ssim)(MOMENTS s, PXLI_REAL C1, PXLI_REAL C2) {
    const SCORE l = PXLI_SCORE_NAME(luminance)(s, C1), b = PXLI_SCORE_NAME(contrast_structure)(s, C2);
    const PXLI_SCORE_TYPE wl = 1 - b.value, wb = 1 - l.value;
    return (SCORE){l.value + b.value * wb, wl * l.M, wl * l.m, wb * b.su, wb * b.sv, l.cuv};
}
#undef SCORE
#undef MOMENTS
