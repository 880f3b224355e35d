#include "penalty.h"

#include <cmath>
#include <limits>

namespace oracle {
namespace {

Charge huber(double delta, double d) {
    if (std::fabs(d) > delta) return {delta * (std::fabs(d) - delta / 2), std::copysign(delta, d)};
    return {d * d / 2, d};
}

} // namespace

Charge charge(pxl_penalty penalty, double param, double d) {
    switch (penalty) {
        case PXL_L2: return {d * d, 2 * d};
        case PXL_L1: return {std::fabs(d), static_cast<double>((d > 0) - (d < 0))};
        case PXL_HUBER: return huber(param, d);
        case PXL_SMOOTH_L1: return {huber(param, d).value / param, huber(param, d).slope / param};
        case PXL_CHARBONNIER: return {std::hypot(d, param), d / std::hypot(d, param)};
        case PXL_PSEUDO_HUBER: { // in long double, where the difference keeps its digits
            const long double q = static_cast<long double>(d) / param, root = std::sqrt(1 + q * q);
            return {static_cast<double>(param * param * (q * q / (1 + root))), static_cast<double>(d / root)};
        }
        case PXL_LOG_COSH: {
            const long double half = std::sinh(static_cast<long double>(std::fmin(std::fabs(d), 1000)) / 2);
            const double value = static_cast<double>(std::log1p(2 * half * half)); // cosh(d) = 1 + 2 sinh(d / 2)^2
            return {std::fabs(d) > 1000 ? std::fabs(d) - std::log(2.0) : value, std::tanh(d)};
        }
        default: return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
    }
}

double slope_uncertainty(pxl_penalty penalty, double param, double d, double error) {
    if (error == 0) return 0;
    return charge(penalty, param, d + error).slope - charge(penalty, param, d - error).slope; // slopes only grow
}

double value_uncertainty(pxl_penalty penalty, double param, double d, double error) {
    return charge(penalty, param, std::fabs(d) + error).value - charge(penalty, param, d).value;
}

} // namespace oracle
