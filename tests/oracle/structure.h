// Windowed statistics and what is made of them: Wang et al., "Image quality assessment", IEEE TIP 13(4), 2004, with the moments
// as they are defined there: a weighted mean, then the weighted mean of squared deviations from it. In long double, because
// 1 - SSIM is asked for down to 1e-10.
#ifndef ORACLE_STRUCTURE_H
#define ORACLE_STRUCTURE_H
#include "maps.h"

namespace oracle {

using real = long double;

// Of one axis: which samples each window reads (-1: outside, reads 0), with what weight.
struct Axis {
    int64_t outputs;
    std::vector<double> weights;
    std::vector<int64_t> source; // outputs x taps
    int64_t margin;              // the pixel of output 0
};
Axis axis_of_rows(const Term &term, int64_t h);
Axis axis_of_columns(const Term &term, int64_t w);

struct Moments {
    real mx, my, vx, vy, cov;
};
// A value's derivatives by the moments.
using Slopes = Moments;

struct Score {
    real similarity = 1; // what `map` shows
    real loss = 0;
    Slopes slopes{}, uncertainties{}; // of the loss
    real slack = 0;                   // of the loss
};
Score score(const Term &term, const Moments &moments, real range, real rounding);

TermResult windowed_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double range,
                         double rounding, Image *map, Image *statistics);
// Statistics as pxl_ssim_statistics lays them out, N x 5C x H' x W', and the pull back of a gradient of that shape.
Image statistics(const Term &term, const Image &pred, const Image &target);
void statistics_adjoint(const Term &term, const Image &pred, const Image &target, const Image &grad_statistics, Image &grad_pred,
                        Image &grad_target);

} // namespace oracle
#endif
