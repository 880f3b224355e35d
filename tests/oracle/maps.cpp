#include "maps.h"

#include <cmath>
#include <limits>

#include "filter.h"
#include "penalty.h"

namespace oracle {
namespace {

// One component of a map: its values, and the sum of the magnitudes they were added from (what their rounding is relative to).
struct Component {
    Image d, magnitude;
    Kernel kernel;              // filters
    int step_y = 0, step_x = 0; // tv
};

bool tv_counts(const Component &tv, const Image &weight, int64_t n, int64_t y, int64_t x) {
    const bool inside = y + tv.step_y < tv.d.h && x + tv.step_x < tv.d.w;
    return inside && weight_at(weight, n, y, x) != 0 && weight_at(weight, n, y + tv.step_y, x + tv.step_x) != 0;
}

template <typename Visit>
void each_position(const Image &map, Visit visit) {
    for (int64_t n = 0; n < map.n; ++n)
        for (int64_t c = 0; c < map.c; ++c)
            for (int64_t y = 0; y < map.h; ++y)
                for (int64_t x = 0; x < map.w; ++x) visit(n, c, y, x);
}

Component tv_component(const Image &pred, const Image &weight, int step_y, int step_x) {
    Component tv{like(pred), like(pred), {}, step_y, step_x};
    each_position(pred, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        if (!tv_counts(tv, weight, n, y, x)) return;
        tv.d.at(n, c, y, x) = pred.at(n, c, y + step_y, x + step_x) - pred.at(n, c, y, x);
    });
    tv.magnitude = absolute(tv.d);
    return tv;
}

Image tv_adjoint(const Component &tv, const Image &weight, const Image &grad, double sign_of_near) {
    Image result = like(grad);
    each_position(grad, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        if (!tv_counts(tv, weight, n, y, x)) return;
        result.at(n, c, y + tv.step_y, x + tv.step_x) += grad.at(n, c, y, x);
        result.at(n, c, y, x) += sign_of_near * grad.at(n, c, y, x);
    });
    return result;
}

Component filtered_component(const Image &difference, const Kernel &kernel, pxl_border border) {
    return {filter(difference, kernel, border), filter(absolute(difference), absolute(kernel), border), kernel};
}

Image difference(const Image &pred, const Image &target) {
    Image e = pred;
    add_scaled(e, target, -1);
    return e;
}

std::vector<Component> components(const Term &term, const Image &pred, const Image &target, const Image &weight) {
    if (term.kind == PXL_TV) return {tv_component(pred, weight, 0, 1), tv_component(pred, weight, 1, 0)};
    const Image e = difference(pred, target);
    if (term.kind == PXL_SOBEL)
        return {filtered_component(e, sobel_x(), term.border), filtered_component(e, sobel_y(), term.border)};
    if (term.kind == PXL_LAPLACIAN) return {filtered_component(e, laplacian(term.neighbours), term.border)};
    if (term.kind == PXL_BLUR) {
        const Kernel kernel = outer(gaussian_taps(term.window_y, term.sigma_y), gaussian_taps(term.window_x, term.sigma_x));
        return {filtered_component(e, kernel, term.border)};
    }
    return {{e, absolute(e), {}}};
}

// The pixel of position 0 of the map.
struct Margin {
    int64_t y, x;
};
Margin margin(const Term &term) {
    if (term.border != PXL_VALID || term.kind == PXL_PIXEL || term.kind == PXL_TV) return {0, 0};
    return term.kind == PXL_BLUR ? Margin{term.window_y / 2, term.window_x / 2} : Margin{1, 1};
}

// The sum of weights over the differences that tv can take in one direction, times the channels.
double own_count(const Component &tv, const Image &weight) {
    double count = 0;
    for (int64_t n = 0; n < tv.d.n; ++n)
        for (int64_t y = 0; y + tv.step_y < tv.d.h; ++y)
            for (int64_t x = 0; x + tv.step_x < tv.d.w; ++x) count += weight_at(weight, n, y, x);
    return count * tv.d.c;
}

double own_factor(const Term &term, const Component &tv, const Image &weight) {
    if (term.reduction == PXL_SUM) return 1;
    const double count = own_count(tv, weight);
    if (count == 0) return 0;
    return (term.reduction == PXL_SPATIAL ? tv.d.c : 1) / count;
}

struct Charged {
    long double value = 0; // of many, so that adding them up rounds less than what is compared
    double value_slack = 0;
    std::vector<Image> slopes, uncertainties; // of the value, per component
};

void charge_apart(const Term &term, const std::vector<Component> &parts, const Image &weight, double factor, double rounding,
                  Charged &to) {
    const Margin m = margin(term);
    for (size_t k = 0; k < parts.size(); ++k) {
        const Component &part = parts[k];
        const double scale = term.own_counts ? own_factor(term, part, weight) : factor;
        each_position(part.d, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
            const double w = weight_at(weight, n, y + m.y, x + m.x) * scale;
            // own_counts: past the last pixel there is no difference, so nothing to charge (charbonnier charges 0 with eps).
            if (w == 0 || (term.own_counts && (y + part.step_y >= part.d.h || x + part.step_x >= part.d.w))) return;
            const Charge charged = charge(term.penalty, term.param, part.d.at(n, c, y, x));
            to.value += w * charged.value;
            to.slopes[k].at(n, c, y, x) = w * charged.slope;
            // A single difference of two numbers is exact next to 0: only sums of several are rounded there.
            const double error = part.kernel.v.empty() ? 0 : rounding * part.magnitude.at(n, c, y, x);
            to.uncertainties[k].at(n, c, y, x) = w * slope_uncertainty(term.penalty, term.param, part.d.at(n, c, y, x), error);
            to.value_slack += w * value_uncertainty(term.penalty, term.param, part.d.at(n, c, y, x), error);
        });
    }
}

void charge_magnitude(const Term &term, const std::vector<Component> &parts, const Image &weight, double factor, double rounding,
                      Charged &to) {
    const Margin m = margin(term);
    each_position(parts[0].d, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const double w = weight_at(weight, n, y + m.y, x + m.x) * factor;
        if (w == 0) return;
        double r = 0, error = 0;
        for (const Component &part : parts) {
            r = std::hypot(r, part.d.at(n, c, y, x));
            error += rounding * part.magnitude.at(n, c, y, x);
        }
        const Charge charged = charge(term.penalty, term.param, r);
        to.value += w * charged.value;
        to.value_slack += w * value_uncertainty(term.penalty, term.param, r, error);
        if (r == 0 && error == 0) return;
        const double turn = r > 2 * error ? 2 * error / r : 2; // how far the direction may turn
        const double uncertain = slope_uncertainty(term.penalty, term.param, r, error) + std::fabs(charged.slope) * turn;
        for (size_t k = 0; k < parts.size(); ++k) {
            if (r > 0) to.slopes[k].at(n, c, y, x) = w * charged.slope * (parts[k].d.at(n, c, y, x) / r);
            to.uncertainties[k].at(n, c, y, x) = w * uncertain;
        }
    });
}

Image pull_back(const Component &part, const Image &slopes, const Term &term, const Image &weight, const Image &pred,
                bool sizes) {
    if (term.kind == PXL_TV) return tv_adjoint(part, weight, slopes, sizes ? 1 : -1);
    if (part.kernel.v.empty()) return slopes;
    return filter_adjoint(slopes, sizes ? absolute(part.kernel) : part.kernel, term.border, pred);
}

// One mean squared error over all images of the batch: {MSE, the factor of its gradient 2 e w}.
struct MeanSquare {
    double mse, factor;
};
MeanSquare mean_square(const Image &e, const Image &weight) {
    Term mean;
    const double factor = reduction_factor(mean, e, weight, 0, 0);
    long double sum = 0;
    each_position(e, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const double w = weight_at(weight, n, y, x);
        if (w != 0) sum += w * e.at(n, c, y, x) * e.at(n, c, y, x);
    });
    return {static_cast<double>(sum) * factor, factor};
}

// rmse or psnr of a mean squared error.
Charge of_mean_square(const Term &term, double mse, double range) {
    if (term.kind == PXL_RMSE) return {std::sqrt(mse), mse > 0 ? 0.5 / std::sqrt(mse) : 0};
    if (mse + term.param == 0) return {std::numeric_limits<double>::infinity(), 0}; // whatever the range
    const double value = 10 * std::log10(range * range / (mse + term.param));
    return {value, mse > 0 ? -10 / std::log(10.0) / (mse + term.param) : 0};
}

// The mean of what of_one(pred, target, weight) gives for each image alone.
template <typename OfOne>
TermResult mean_over_images(const Image &pred, const Image &target, const Image &weight, OfOne of_one) {
    TermResult result{0, 0, 0, like(pred), like(pred), like(pred), like(pred)};
    for (int64_t n = 0; n < pred.n; ++n) {
        TermResult one = of_one(slice(pred, n), slice(target, n), weight.empty() ? Image() : slice(weight, n));
        result.value += one.value / pred.n, result.scale += one.scale / pred.n, result.value_slack += one.value_slack / pred.n;
        for (Image TermResult::*image :
             {&TermResult::grad_pred, &TermResult::grad_target, &TermResult::slack_pred, &TermResult::slack_target}) {
            for (double &g : (one.*image).v) g /= pred.n;
            put_slice(result.*image, n, one.*image);
        }
    }
    return result;
}

} // namespace

double reduction_factor(const Term &term, const Image &map, const Image &weight, int64_t offset_y, int64_t offset_x) {
    if (term.reduction == PXL_SUM) return 1;
    double weights = 0;
    for (int64_t n = 0; n < map.n; ++n)
        for (int64_t y = 0; y < map.h; ++y)
            for (int64_t x = 0; x < map.w; ++x) weights += weight_at(weight, n, y + offset_y, x + offset_x);
    if (weights == 0) return 0;
    return term.reduction == PXL_SPATIAL ? 1 / weights : 1 / (weights * map.c);
}

TermResult map_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double rounding) {
    const std::vector<Component> parts = components(term, pred, target, weight);
    const double factor = reduction_factor(term, parts[0].d, weight, margin(term).y, margin(term).x);
    Charged charged;
    for (const Component &part : parts) {
        charged.slopes.push_back(like(part.d));
        charged.uncertainties.push_back(like(part.d));
    }
    if (term.isotropic)
        charge_magnitude(term, parts, weight, factor, rounding, charged);
    else
        charge_apart(term, parts, weight, factor, rounding, charged);
    const double value = static_cast<double>(charged.value);
    TermResult result{value, std::fabs(value), charged.value_slack, like(pred), like(pred), like(pred), like(pred)};
    for (size_t k = 0; k < parts.size(); ++k) {
        add_scaled(result.grad_pred, pull_back(parts[k], charged.slopes[k], term, weight, pred, false), 1);
        add_scaled(result.slack_pred, pull_back(parts[k], charged.uncertainties[k], term, weight, pred, true), 1);
    }
    if (term.kind != PXL_TV) {
        add_scaled(result.grad_target, result.grad_pred, -1);
        result.slack_target = result.slack_pred;
    }
    return result;
}

TermResult image_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double rounding) {
    if (term.mean_of_images && pred.n > 1)
        return mean_over_images(pred, target, weight, [&](const Image &x, const Image &y, const Image &w) {
            return image_term(term, x, y, w, rounding);
        });
    TermResult result = map_term(term, pred, target, weight, rounding);
    if (!term.root) return result;
    const double root = std::sqrt(result.value), slope = root > 0 ? 0.5 / root : 0;
    result.value = result.scale = root;
    result.value_slack *= slope;
    for (Image *image : {&result.grad_pred, &result.grad_target, &result.slack_pred, &result.slack_target})
        for (double &g : image->v) g *= slope;
    return result;
}

TermResult mean_square_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double range) {
    if (term.mean_of_images && pred.n > 1)
        return mean_over_images(pred, target, weight, [&](const Image &x, const Image &y, const Image &w) {
            return mean_square_term(term, x, y, w, range);
        });
    TermResult result{0, 0, 0, like(pred), like(pred), like(pred), like(pred)};
    const Image e = difference(pred, target);
    const MeanSquare mean = mean_square(e, weight);
    const Charge function = of_mean_square(term, mean.mse, range);
    result.value = function.value;
    each_position(e, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const double w = weight_at(weight, n, y, x);
        if (w != 0) result.grad_pred.at(n, c, y, x) = function.slope * mean.factor * 2 * w * e.at(n, c, y, x);
    });
    add_scaled(result.grad_target, result.grad_pred, -1);
    // A relative error of the MSE is an absolute error of its logarithm.
    result.scale = std::fabs(result.value) + (term.kind == PXL_PSNR ? 10 : 0);
    return result;
}

} // namespace oracle
