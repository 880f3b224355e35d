// Terms that charge a map of the difference (pixel, sobel, laplacian, blur) or of the prediction (tv), by direct summation.
#ifndef ORACLE_MAPS_H
#define ORACLE_MAPS_H
#include "image.h"
#include "term.h"

namespace oracle {

// A term's value on a batch taken as one, and its gradients. `slack` bounds how far a gradient may move when intermediate
// results are rounded: not zero only next to a kink of a penalty.
struct TermResult {
    double value = 0;
    double scale = 0;       // what an error of the value is relative to
    double value_slack = 0; // how far the value may move by rounding where a sum of the map cancels
    Image grad_pred, grad_target, slack_pred, slack_target;
};

// `weight` is N x 1 x H x W or empty; where it is 0, pred and target already read 0. `rounding` is the relative error of one
// operation of the implementation under test.
TermResult map_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double rounding);
// The same; with `root` its square root, with `mean_of_images` the mean of the images' own.
TermResult image_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double rounding);
// rmse and psnr; `range` is the data range.
TermResult mean_square_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double range);

// The factor from a sum over map positions (H' x W', `offset_y` and `offset_x` from the image's corner) to the reduced value.
double reduction_factor(const Term &term, const Image &map, const Image &weight, int64_t offset_y, int64_t offset_x);
inline double weight_at(const Image &weight, int64_t n, int64_t y, int64_t x) {
    return weight.empty() ? 1 : weight.at(n, 0, y, x);
}

} // namespace oracle
#endif
