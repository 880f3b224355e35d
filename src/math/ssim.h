/* SSIM and its parts from windowed statistics of u = x + y and v = x - y (Wang et al. 2004, rearranged).
 * PXLI_REAL is float or double, defined before this file is included.
 *
 * With means M of u and m of v, variances su and sv, and their covariance cuv = vx - vy:
 *     P = (M^2 + m^2)/2 + C1 = mx^2 + my^2 + C1      Q = (su + sv)/2 + C2 = vx + vy + C2
 *     1 - l = m^2 / P      1 - cs = sv / Q      1 - SSIM = 1 - l cs = a + b - a b  with a = 1 - l, b = 1 - cs
 * so equal images score exactly 0 and nothing cancels near them. The parts that need no roots are in ssim_ratios.h. */
#ifndef PXLI_SSIM_H
#define PXLI_SSIM_H
#include "elementary.h"
#include "penalty.h"
#include "pixloss/pixloss.h"

#define PXLI_SCORE_TYPE       PXLI_REAL
#define PXLI_SCORE_NAME(name) pxli_##name
#include "ssim_ratios.h"
#undef PXLI_SCORE_TYPE
#undef PXLI_SCORE_NAME

/* Standard deviations and their derivatives. A variance that is not above its own rounding error, `noise`, counts as 0, and its
 * slope as 0 as well: what it would be is not known, and 1 / (2 sqrt(v)) would make much of it. */
typedef struct pxli_deviations {
    PXLI_REAL x, y, dx, dy; /* sx, sy, d sx / d vx, d sy / d vy */
} pxli_deviations;
/* From the second moment of the shifted values. */
PXLI_INLINE PXLI_REAL pxli_variance_noise(PXLI_REAL uu, PXLI_REAL vv) {
    return (uu + vv) * (sizeof uu == 4 ? (PXLI_REAL)5e-7 : (PXLI_REAL)1e-15);
}
/* To the last bit, where a backend's PXLI_SQRT is not: sv - (sx - sy)^2 cancels. */
PXLI_INLINE PXLI_REAL pxli_root(PXLI_REAL v) { return sizeof v == 4 ? sqrtf((float)v) : sqrt((double)v); }
PXLI_INLINE pxli_deviations pxli_roots(pxli_moments s, PXLI_REAL noise) {
    const PXLI_REAL sum = (s.su + s.sv) / 4, half = s.cuv / 2, vx = sum + half, vy = sum - half;
    const PXLI_REAL x = vx <= noise ? 0 : pxli_root(vx), y = vy <= noise ? 0 : pxli_root(vy);
    return (pxli_deviations){x, y, x == 0 ? 0 : (PXLI_REAL)0.5 / x, y == 0 ? 0 : (PXLI_REAL)0.5 / y};
}
/* vx = (su + sv)/4 + cuv/2, vy = (su + sv)/4 - cuv/2 */
PXLI_INLINE pxli_score pxli_from_variances(PXLI_REAL value, PXLI_REAL vx, PXLI_REAL vy, PXLI_REAL su, PXLI_REAL sv) {
    return (pxli_score){value, 0, 0, (vx + vy) / 4 + su, (vx + vy) / 4 + sv, (vx - vy) / 2};
}
/* sx - sy, without cancellation */
PXLI_INLINE PXLI_REAL pxli_gap(pxli_deviations d, PXLI_REAL cuv) {
    const PXLI_REAL sum = d.x + d.y;
    return sum == 0 ? 0 : cuv / sum;
}
/* 1 - c = (sx - sy)^2 / Q, with sx - sy = cuv / (sx + sy) */
PXLI_INLINE pxli_score pxli_contrast(pxli_moments s, PXLI_REAL noise, PXLI_REAL C2) {
    const pxli_deviations d = pxli_roots(s, noise);
    const PXLI_REAL Q = (s.su + s.sv) / 2 + C2, r = 1 / Q, gap = pxli_gap(d, s.cuv), b = gap * gap * r + (Q - Q);
    return pxli_from_variances(b, 2 * gap * r * d.dx, -2 * gap * r * d.dy, -b * r / 2, -b * r / 2);
}
/* 1 - s = (sx sy - vxy) / (sx sy + C3), with 2 (sx sy - vxy) = sv - (sx - sy)^2 and C3 = C2 / 2. Where a deviation is 0, so is
 * vxy: the part is 0, and NaN where one is, or where their noise is no number any more. */
PXLI_INLINE pxli_score pxli_structure(pxli_moments s, PXLI_REAL noise, PXLI_REAL C2) {
    const pxli_deviations d = pxli_roots(s, noise);
    const PXLI_REAL gap = pxli_gap(d, s.cuv), own = d.x == 0 ? 0 : 1, both = d.y == 0 ? 0 : own;
    const PXLI_REAL root = d.x * d.y + C2 / 2, r = both / root, b = (s.sv - gap * gap) / 2 * r + (noise - noise);
    return pxli_from_variances(b, (-gap - b * d.y) * r * d.dx, (gap - b * d.x) * r * d.dy, 0, r / 2);
}

/* The filtered maps of a window. */
typedef struct pxli_maps {
    PXLI_REAL u, v, uu, vv;
} pxli_maps;
/* A stabiliser may be so small that it does not cover what rounding leaves of a flat window, and 0 / 0 would be a ratio of rounding
 * errors. Where it is below the square of the means' error, and neither mean is above it, or below the error of the variances, and
 * they are not above that, they are given as if both images were equal there. `sum` and `gap`, the shifts, are what the means' errors
 * are relative to. Infinite squares are no error of rounding. */
PXLI_INLINE pxli_maps pxli_settle(pxli_maps f, PXLI_REAL sum, PXLI_REAL gap, PXLI_REAL C1, PXLI_REAL C2) {
    const PXLI_REAL unit = sizeof sum == 4 ? (PXLI_REAL)2.5e-7 : (PXLI_REAL)5e-16;
    const PXLI_REAL error_M = unit * pxli_abs(sum), error_m = unit * pxli_abs(gap), noise = unit * (f.uu + f.vv);
    const PXLI_REAL M = f.u + sum, m = f.v + gap, variances = (f.uu - f.u * f.u) + (f.vv - f.v * f.v);
    if (C1 < error_M * error_M + error_m * error_m && pxli_abs(M) <= error_M && pxli_abs(m) <= error_m) {
        f.vv += (-gap - f.v) * (f.v - gap); /* its variance stays */
        f.v = -gap;
    }
    if (C2 < noise && variances <= noise && noise - noise == 0)
        f.uu = f.u * f.u + (1 + sum * sum + gap * gap), f.vv = f.v * f.v; /* of the size of pixels, lest it vanish beside them */
    return f;
}

/* f = 1 - b, log f^p, and d log f^p / df as a multiple of 1 / f: f below 1e-4 counts as 1e-4, with a slope of 0. */
typedef struct pxli_power {
    PXLI_REAL f, log, slope;
} pxli_power;
PXLI_INLINE pxli_power pxli_power_of(PXLI_REAL b, PXLI_REAL p) {
    const PXLI_REAL most = (PXLI_REAL)(1 - 1e-4), bound = b > most ? most : b;
    return (pxli_power){1 - bound, p * pxli_log1p(-bound), b > most ? 0 : p};
}
/* 1 - l^alpha c^beta s^gamma */
PXLI_INLINE pxli_score pxli_ssim_exponents(pxli_moments s, PXLI_REAL noise, PXLI_REAL C1, PXLI_REAL C2, PXLI_REAL alpha,
                                           PXLI_REAL beta, PXLI_REAL gamma) {
    const pxli_score l = pxli_luminance(s, C1), c = pxli_contrast(s, noise, C2), t = pxli_structure(s, noise, C2);
    const pxli_power pl = pxli_power_of(l.value, alpha), pc = pxli_power_of(c.value, beta), pt = pxli_power_of(t.value, gamma);
    const pxli_exponential product = pxli_exp(pl.log + pc.log + pt.log);
    const PXLI_REAL fl = pl.f, fc = pc.f, ft = pt.f, share = product.value / (fl * fc * ft);
    const PXLI_REAL wl = pl.slope * (share * fc * ft), wc = pc.slope * (share * fl * ft), wt = pt.slope * (share * fl * fc);
    return (pxli_score){-product.minus_1,       wl * l.M, wl * l.m, wc * c.su + wt * t.su, wc * c.sv + wt * t.sv,
                        wc * c.cuv + wt * t.cuv};
}

/* What a term with a window is from these, before DSSIM's half. */
PXLI_INLINE pxli_score pxli_score_of(int kind, pxli_moments s, PXLI_REAL noise, PXLI_REAL C1, PXLI_REAL C2, PXLI_REAL alpha,
                                     PXLI_REAL beta, PXLI_REAL gamma) {
    switch (kind) {
        case PXL_LUMINANCE: return pxli_luminance(s, C1);
        case PXL_CONTRAST: return pxli_contrast(s, noise, C2);
        case PXL_STRUCTURE: return pxli_structure(s, noise, C2);
        default: break;
    }
    if (alpha == 1 && beta == 1 && gamma == 1) return pxli_ssim(s, C1, C2);
    return pxli_ssim_exponents(s, noise, C1, C2, alpha, beta, gamma);
}
#endif
