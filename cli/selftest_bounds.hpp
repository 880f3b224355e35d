// What `pixloss selftest` allows. Every result is compared with the CPU's in f64 on the same rounded pixels, and its error is
// stated in units of its bound: less than 1 passes.
//
// The bounds are those of the library's own tests. Images of all types are computed in f32, whose operations round by 6e-8:
//   value      1e-5 of the value. A window's sum of t taps rounds some 2t times in two passes, like a random walk 5e-7 for 33
//              taps; a variance is taken in relation to C2 = 9e-4, at worst a few per cent of the mean square: a factor of 10 to
//              30. Values add up thousands of positions, whose errors average out. Roots of variances (contrast, structure,
//              exponents) have nothing to cancel in 1 - s, so there it is 1e-5 of the value + 0.1; psnr, a logarithm, 1e-5 of
//              the value + 10 dB.
//   gradient   each element 1e-4 of the largest one, as it sums t^2 positions once more and single ones do not average out. Half
//              a unit in the last place of the type that it is stored in is taken off the error first: no result could do
//              without.
//   reduction  1e-9 of the value: sums are in f64.
// The images are textured (every window of more than one pixel has a variance), so that no bound is met by accident or missed by
// cancellation. No difference but that of blur can be rounded to the other side of a kink of l1: f32 pixels are multiples of
// 2^-20, so that all differences and their stencils are exact; blur(l1) is tested on images whose differences keep their sign.
#pragma once
#include <pixloss/pixloss.h>

#include <vector>

namespace cli {

// Worst errors in units of their bounds. A result that is missing or NaN is infinitely wrong.
struct Errors {
    double value = 0, gradient = 0;
    bool pass() const { return value < 1 && gradient < 1; }
    void include(const Errors &other);
};

enum class Kind { plain, root, logarithm, reduction };
double value_error(Kind kind, double actual, double expected);
// The bound of a sum of values, in the way of value_error: of the total of a loss.
double value_bound(Kind kind, double expected);
double error_in_bounds(double actual, double expected, double bound);
// `stored`: the type of the actual elements.
double gradient_error(const std::vector<double> &actual, const std::vector<double> &expected, pxl_dtype stored);

} // namespace cli
