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
