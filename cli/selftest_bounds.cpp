#include "selftest_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "element.hpp"

namespace cli {
namespace {
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double value_tolerance = 1e-5, gradient_tolerance = 1e-4, reduction_tolerance = 1e-9;
constexpr double root_scale = 0.1, decibels = 10;
// Where a gradient is 0 the reference rounds, too.
constexpr double reference_rounding = 1e-17;
} // namespace

void Errors::include(const Errors &other) {
    value = std::max(value, other.value);
    gradient = std::max(gradient, other.gradient);
}

double value_bound(Kind kind, double expected) {
    if (kind == Kind::reduction) return reduction_tolerance * std::fabs(expected);
    return value_tolerance * (std::fabs(expected) + (kind == Kind::root ? root_scale : kind == Kind::logarithm ? decibels : 0));
}

double error_in_bounds(double actual, double expected, double bound) {
    if (actual == expected) return 0; // infinities, too
    const double ratio = std::fabs(actual - expected) / (bound + reference_rounding);
    return std::isnan(ratio) ? infinity : ratio;
}

double value_error(Kind kind, double actual, double expected) {
    return error_in_bounds(actual, expected, value_bound(kind, expected));
}

double gradient_error(const std::vector<double> &actual, const std::vector<double> &expected, pxl_dtype stored) {
    if (actual.size() != expected.size()) return infinity;
    double largest = 0, worst = 0;
    for (double value : expected) largest = std::max(largest, std::fabs(value));
    const double bound = gradient_tolerance * largest + reference_rounding;
    for (size_t i = 0; i < expected.size(); i++) {
        const double error = std::fabs(actual[i] - expected[i]);
        if (std::isnan(error)) return infinity;
        // 1 %: on the other side of a power of two a unit is another one.
        if (error > worst * bound) worst = std::max(worst, (error - 1.01 * half_ulp(stored, expected[i])) / bound);
    }
    return worst;
}

} // namespace cli
