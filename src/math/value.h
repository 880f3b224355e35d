/* From sums to values, in double: what a mean divides by, functions of a mean and their slopes, SSIM's stabilisers. One
 * definition for every backend; a backend may define PXLI_INLINE first. */
#ifndef PXLI_VALUE_H
#define PXLI_VALUE_H
#include <math.h>
#include <stdbool.h>

#include "pixloss/pixloss.h"

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

/* The data range of two images with these extremes: the larger difference. Of constant images it is 0; then minus the size of their
 * pixels stands in its place, in units of which they are scored. No pixel that counts: 0. */
PXLI_INLINE double pxli_range_of(double least_x, double most_x, double least_y, double most_y) {
    const double x = most_x < least_x ? 0 : most_x - least_x, y = most_y < least_y ? 0 : most_y - least_y;
    const double range = x > y || x != x ? x : y, a = fabs(most_x), b = fabs(most_y);
    return range != 0 || most_x < least_x ? range : -(a > b ? a : b);
}
/* L, of what pxli_range_of gives. */
PXLI_INLINE double pxli_data_range(double range) { return range < 0 ? 0 : range; }

/* Windows are scored in units of the data range L: pixels are multiplied by this power of two as they are read, so that squares
 * neither overflow nor vanish unless pixels and L are far apart, and a problem has the same bits in units of any power of two. Where
 * `pixel`, the size of one, is 2^40 L and more (L is 0 for constant images), its own size counts. `range`: see pxli_range_of; `most`:
 * the largest exponent of the type, 126 or 1022. */
PXLI_INLINE double pxli_window_scale(double range, double pixel, int most) {
    const double own = -range > pixel ? -range : pixel, size = range > own * 0x1p-40 ? range : own * 0x1p-40;
    if (!(size > 0) || size - size != 0) return 1;
    const int exponent = ilogb(size);
    return ldexp(1.0, exponent > most ? -most : exponent < -most ? most : -exponent);
}
/* (k L)^2, L in the units above. With k or L = 0 a flat window would divide 0 by 0: no k counts as less than 1e-15, nor the result as
 * less than `least`, or more than its reciprocal. */
PXLI_INLINE double pxli_stabiliser(double k, double L, double least) {
    const double own = k > 1e-15 ? k * L : 1e-15 * L, c = own * own, most = 1 / least;
    return c < least ? least : c > most ? most : c;
}
/* That of variances. L is 0 for constant images; where all of their windows are flat and none is settled, it is the square of a pixel,
 * beside which nothing remains of what rounding left of a variance. */
PXLI_INLINE double pxli_variance_stabiliser(double k, double L, double pixel, double least, bool settles) {
    return L == 0 && !settles ? pxli_stabiliser(1, pixel, least) : pxli_stabiliser(k, L, least);
}
/* Whether stabilisers of these are so small that flat windows have to be settled: see pxli_settle. */
PXLI_INLINE bool pxli_settles(double k1, double k2) { return k1 < 1e-3 || k2 < 1e-3; }
/* features, lpips, style, cosine: compared in the layers of a network. */
PXLI_INLINE bool pxli_is_features(pxl_term_kind kind) { return kind >= PXL_FEATURES && kind <= PXL_COSINE; }
/* pixel, and rmse and psnr, which are functions of its mean square. */
PXLI_INLINE bool pxli_is_on_pixels(pxl_term_kind kind) { return kind == PXL_PIXEL || kind == PXL_RMSE || kind == PXL_PSNR; }
/* rmse, psnr, and tv with root: functions of a mean of squares (or a sum: any reduction), so their gradient needs a value pass first. */
PXLI_INLINE bool pxli_is_function_of_mean(pxl_term_kind kind, bool root) { return kind == PXL_RMSE || kind == PXL_PSNR || root; }
/* The factor from a sum to the term's value. counts: positions, or their weights, in one channel of what is averaged over. */
PXLI_INLINE double pxli_norm(pxl_term_kind kind, pxl_reduction reduction, double counts, double channels) {
    if (pxli_is_features(kind)) channels = 1; /* each layer has its own */
    if (reduction == PXL_SUM) return 1;
    return counts != 0 ? 1 / (counts * (reduction == PXL_SPATIAL ? 1 : channels)) : 0;
}
/* psnr of a mean square, or its root; eps: psnr's. Equal images have an infinite psnr also where L, taken from them, is 0. */
PXLI_INLINE double pxli_function_of_mean(pxl_term_kind kind, double eps, double range, double mean) {
    const double L = pxli_data_range(range);
    if (kind != PXL_PSNR) return sqrt(mean);
    return mean == 0 && (eps == 0 || L == 0) ? (double)INFINITY : 20 * log10(L) - 10 * log10(mean + eps);
}
/* a b, but what is finite stays so: infinity times 0 is NaN. */
PXLI_INLINE double pxli_scaled(double a, double b) {
    const double product = a * b, most = 1.7976931348623157e308;
    if (product - product == 0 || a - a != 0 || b - b != 0) return product;
    return product < 0 ? -most : most;
}
/* Its slope; 0 where it is not finite, at 0. After an overflow it is not known. */
PXLI_INLINE double pxli_slope_of_mean(pxl_term_kind kind, double eps, double mean) {
    if (mean - mean != 0) return (double)NAN;
    if (kind != PXL_PSNR) return mean == 0 ? 0 : 0.5 / sqrt(mean);
    const double sum = mean + eps, least = 1e-307; /* whose reciprocal there is */
    return sum == 0 ? 0 : -10 / (2.302585092994046 * (sum < least ? least : sum));
}
/* d total / d sum, of a function of the mean, may be beyond f32 where the gradient, which is that times 2 d, is not: so much of it is
 * left to pxli_l2. A power of two; 1 as a rule. */
PXLI_INLINE double pxli_lift_of(bool function, double scale) {
    const double size = fabs(scale);
    if (!function || !(size > 0x1p100) || size - size != 0) return 1;
    const int exponent = ilogb(size) - 100;
    return ldexp(1.0, exponent > 126 ? 126 : exponent);
}
#endif
