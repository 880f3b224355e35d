// MS-SSIM (Wang, Simoncelli, Bovik 2003) by its definition: the images themselves are halved, each scale's mean is that of windowed_term,
// and the product's derivatives are pulled back scale by scale.
#ifndef ORACLE_SCALES_H
#define ORACLE_SCALES_H
#include "maps.h"

namespace oracle {

// How many scales an image of this size has; 0: they do not fit.
int scale_count(const Term &term, int64_t h, int64_t w);
TermResult scales_term(const Term &term, const Image &pred, const Image &target, double range, double rounding);

} // namespace oracle
#endif
