/* Of MS-SSIM, one definition for every backend: how pixels pair up where an axis is halved, and the product of the scales. A backend
 * may define PXLI_INLINE first. */
#ifndef PXLI_MATH_SCALES_H
#define PXLI_MATH_SCALES_H
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "pixloss/pixloss.h"

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif
enum { PXLI_MAX_SCALES = 8 };

/* One axis halved: pair i is the pixels 2 i - before and the one behind it. */
typedef struct pxli_halved {
    int64_t from, to; /* lengths */
    int before;       /* 0 or 1 */
    bool pad;         /* a pixel outside is 0; else the nearest one */
} pxli_halved;
/* How often pixel i is read by the pair that has it; 0: by none. */
PXLI_INLINE int pxli_halved_readers(pxli_halved axis, int64_t i) {
    if ((i + axis.before) / 2 >= axis.to) return 0;
    if (axis.pad) return 1;
    const bool first = axis.before && i == 0, last = i == axis.from - 1 && 2 * axis.to - axis.before > axis.from;
    return first || last ? 2 : 1;
}

/* What becomes of the means over the scales' maps. */
typedef struct pxli_scale_product {
    int count;
    pxl_clamp clamp; /* never PXL_CLAMP_DEFAULT */
    double eps;      /* the least factor, of PXL_CLAMP_EPS */
    double weight[PXLI_MAX_SCALES];
} pxli_scale_product;
/* log F of a scale whose mean is `loss`, and its slope, - d log F / d loss; `dead`: F counts as 0. */
typedef struct pxli_factor {
    double log, slope;
    bool dead;
} pxli_factor;
PXLI_INLINE pxli_factor pxli_factor_of(const pxli_scale_product *p, double loss) {
    const double share = p->clamp == PXL_CLAMP_SIMPLE ? 0.5 : 1, b = share * loss, f = 1 - b;
    pxli_factor of = {0, 0, false};
    if (p->clamp == PXL_CLAMP_EPS && f < p->eps)
        of.log = log(p->eps);
    else if (p->clamp == PXL_CLAMP_NONE && f < 0)
        of.log = of.slope = (double)NAN;
    else if (f <= 0)
        of.dead = true;
    else
        of.log = log1p(-b), of.slope = share / f;
    return of;
}
/* From each scale's `loss` to 1 - product; in place of the losses, the slopes d (1 - product) / d loss. */
PXLI_INLINE double pxli_multiply_scales(const pxli_scale_product *p, double *loss) {
    double sum = 0;
    bool dead = false;
    for (int j = 0; j < p->count; j++) {
        const double weight = p->weight[j];
        const pxli_factor f = pxli_factor_of(p, loss[j]);
        loss[j] = 0;
        if (weight == 0) continue;
        sum += weight * f.log, loss[j] = weight * f.slope, dead = dead || f.dead;
    }
    const bool vanishes = dead && sum == sum;
    const double factor = exp(sum);
    for (int j = 0; j < p->count; j++) loss[j] = vanishes ? 0 : loss[j] * factor;
    return vanishes ? 1 : -expm1(sum);
}
#endif
