#include "scales.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "structure.h"

namespace oracle {
namespace {

constexpr int64_t outside = -1; // a pixel that is 0

// The two pixels of each pair along one axis.
std::vector<std::array<int64_t, 2>> pairs(Term::Halving halving, int64_t n, bool other_is_odd) {
    const bool odd = n % 2 != 0;
    const bool shifted =
        (halving == Term::Halving::pad && odd) || (halving == Term::Halving::repeat_first && (odd || other_is_odd));
    const int64_t count = halving == Term::Halving::drop ? n / 2 : (n + 1) / 2;
    std::vector<std::array<int64_t, 2>> result;
    for (int64_t i = 0; i < count; ++i) {
        const int64_t first = 2 * i - shifted;
        const int64_t before = halving == Term::Halving::pad ? outside : 0;
        result.push_back({first < 0 ? before : first, std::min(first + 1, n - 1)});
    }
    return result;
}

struct Halves {
    std::vector<std::array<int64_t, 2>> rows, columns;
};
Halves halves(Term::Halving halving, const Image &image) {
    return {pairs(halving, image.h, image.w % 2 != 0), pairs(halving, image.w, image.h % 2 != 0)};
}
template <typename Visit>
void each_pixel(const Image &coarse, const Image &fine, const Halves &halves, Visit visit) {
    for (int64_t n = 0; n < fine.n; ++n)
        for (int64_t c = 0; c < fine.c; ++c)
            for (int64_t y = 0; y < coarse.h; ++y)
                for (int64_t x = 0; x < coarse.w; ++x)
                    for (const int64_t row : halves.rows[static_cast<size_t>(y)])
                        for (const int64_t column : halves.columns[static_cast<size_t>(x)])
                            if (row != outside && column != outside)
                                visit(coarse.index(n, c, y, x), fine.index(n, c, row, column));
}
Image halved(const Term &term, const Image &image) {
    const Halves h = halves(term.halving, image);
    Image result(image.n, image.c, static_cast<int64_t>(h.rows.size()), static_cast<int64_t>(h.columns.size()));
    each_pixel(result, image, h, [&](size_t to, size_t from) { result.v[to] += image.v[from] / 4; });
    return result;
}
Image halved_adjoint(const Term &term, const Image &grad, const Image &sizes) {
    Image result = like(sizes);
    each_pixel(grad, sizes, halves(term.halving, sizes), [&](size_t from, size_t to) { result.v[to] += grad.v[from] / 4; });
    return result;
}

// What one scale's mean is taken of.
Term of_scale(const Term &term, bool coarsest) {
    Term scale = term;
    scale.kind = PXL_SSIM, scale.reduction = PXL_MEAN;
    scale.without_luminance = !coarsest;
    if (term.crop && !coarsest) scale.border = PXL_VALID;
    return scale;
}
bool has_window(const Term &scale, int64_t h, int64_t w) {
    if (scale.border != PXL_VALID) return h >= 1 && w >= 1;
    return h >= scale.window_y && w >= scale.window_x;
}

// A product of one image's scales, or of one of its channels: its value, and its derivatives by the scales' losses.
struct Product {
    real value = 0;
    std::vector<real> slopes, steps; // steps: those of its logarithm
};
Product product(const Term &term, const std::vector<real> &weights, const std::vector<real> &losses) {
    Product result;
    result.slopes.assign(losses.size(), 0), result.steps.assign(losses.size(), 0);
    real log = 0;
    bool zero = false;
    for (size_t j = 0; j < losses.size(); ++j) {
        if (weights[j] == 0) continue;
        const real share = term.clamp == PXL_CLAMP_SIMPLE ? 0.5L : 1, factor = 1 - share * losses[j];
        if (term.clamp == PXL_CLAMP_EPS && factor < term.param) {
            log += weights[j] * std::log(static_cast<real>(term.param));
            continue;
        }
        if (term.clamp == PXL_CLAMP_NONE && factor < 0) {
            result.value = NAN;
            std::fill(result.slopes.begin(), result.slopes.end(), NAN);
            return result;
        }
        zero = zero || factor <= 0;
        log += weights[j] * std::log1p(-share * losses[j]);
        result.steps[j] = weights[j] * share / factor;
    }
    result.value = zero ? 1 : -std::expm1(log);
    for (size_t j = 0; j < losses.size() && !zero; ++j) result.slopes[j] = result.steps[j] * std::exp(log);
    return result;
}
// How far its slopes may move where the losses are known to +-errors: much where a factor is near 0.
std::vector<real> slope_errors(const Product &p, const std::vector<real> &weights, const std::vector<real> &errors) {
    std::vector<real> result(errors.size());
    real of_logarithm = 0;
    for (size_t j = 0; j < errors.size(); ++j) of_logarithm += p.steps[j] * errors[j];
    for (size_t j = 0; j < errors.size(); ++j)
        if (p.slopes[j] != 0) result[j] = std::fabs(p.slopes[j]) * (of_logarithm + p.steps[j] / weights[j] * errors[j]);
    return result;
}

Image plane_of(const Image &image, int64_t n, int64_t c) {
    Image plane(1, 1, image.h, image.w);
    std::copy_n(&image.v[image.index(n, c, 0, 0)], plane.v.size(), plane.v.begin());
    return plane;
}
void put_plane(Image &image, int64_t n, int64_t c, const Image &plane, real factor) {
    for (size_t i = 0; i < plane.v.size(); ++i)
        image.v[image.index(n, c, 0, 0) + i] += factor == 0 ? 0 : static_cast<double>(factor) * plane.v[i];
}

// All scales of a plane, each with its mean and that mean's gradients.
struct Scales {
    std::vector<TermResult> of;
    std::vector<Image> sizes;
};
Scales scales_of(const Term &term, int count, Image pred, Image target, const std::vector<double> &ranges, double rounding) {
    Scales scales;
    for (int j = 0; j < count; ++j) {
        scales.of.push_back(windowed_term(of_scale(term, j == count - 1), pred, target, Image(), ranges[static_cast<size_t>(j)],
                                          rounding, nullptr, nullptr));
        scales.sizes.push_back(like(pred));
        pred = halved(term, pred), target = halved(term, target);
    }
    return scales;
}
// torchmetrics: L, if it is not given, is each scale's own.
std::vector<double> ranges_of(const Term &term, int count, Image pred, Image target, double range) {
    std::vector<double> ranges;
    for (int j = 0; j < count; ++j) {
        const auto spread = [](const Image &image) {
            const auto [least, most] = std::minmax_element(image.v.begin(), image.v.end());
            return *most - *least;
        };
        const bool own = term.mean_of_channels && term.data_range == PXL_FROM_DATA;
        ranges.push_back(own ? std::max(spread(pred), spread(target)) : range);
        pred = halved(term, pred), target = halved(term, target);
    }
    return ranges;
}
// A gradient of the finest scale, from those of all.
Image pulled_back(const Term &term, const Scales &scales, const std::vector<real> &slopes, Image TermResult::*gradient) {
    Image sum = like(scales.sizes.back());
    for (size_t j = scales.of.size(); j-- > 0;) {
        put_plane(sum, 0, 0, scales.of[j].*gradient, slopes[j]);
        if (j > 0) sum = halved_adjoint(term, sum, scales.sizes[j - 1]);
    }
    return sum;
}
// How far that moves if each slope does by so much.
Image moved_back(const Term &term, const Scales &scales, const std::vector<real> &moved, Image TermResult::*gradient) {
    Image sum = like(scales.sizes[0]);
    for (size_t j = 0; j < moved.size(); ++j) {
        if (moved[j] == 0) continue;
        std::vector<real> one(moved.size());
        one[j] = moved[j];
        add_scaled(sum, absolute(pulled_back(term, scales, one, gradient)), 1);
    }
    return sum;
}

} // namespace

int scale_count(const Term &term, int64_t h, int64_t w) {
    const int all = static_cast<int>(term.weights.size());
    for (int count = all; count > 0; --count) {
        Image image(1, 1, h, w);
        bool fits = true;
        for (int j = 0; j < count && fits; ++j) {
            fits = has_window(of_scale(term, j == count - 1), image.h, image.w);
            if (fits) image = like(halved(term, image));
        }
        if (fits) return count;
        if (!term.as_many_as_fit) return 0;
    }
    return 0;
}

TermResult scales_term(const Term &term, const Image &pred, const Image &target, double range, double rounding) {
    const int count = scale_count(term, pred.h, pred.w);
    std::vector<real> weights(term.weights.begin(), term.weights.begin() + count);
    if (count < static_cast<int>(term.weights.size())) {
        const real sum = std::accumulate(weights.begin(), weights.end(), 0.0L);
        for (real &weight : weights) weight /= sum;
    }
    const std::vector<double> ranges = ranges_of(term, count, pred, target, range);
    const int64_t together = term.mean_of_channels ? pred.c : 1;
    const double factor =
        term.reduction == PXL_SUM ? 1 : 1.0 / static_cast<double>(pred.n * (term.reduction == PXL_SPATIAL ? 1 : pred.c));
    TermResult result{0, 0, 0, like(pred), like(pred), like(pred), like(pred)};
    for (int64_t n = 0; n < pred.n; ++n)
        for (int64_t first = 0; first < pred.c; first += together) {
            std::vector<Scales> channels;
            std::vector<real> losses(static_cast<size_t>(count));
            std::vector<double> slack(static_cast<size_t>(count));
            for (int64_t c = first; c < first + together; ++c) {
                channels.push_back(scales_of(term, count, plane_of(pred, n, c), plane_of(target, n, c), ranges, rounding));
                for (size_t j = 0; j < losses.size(); ++j) {
                    losses[j] += static_cast<real>(channels.back().of[j].value) / together;
                    slack[j] += channels.back().of[j].value_slack / static_cast<double>(together);
                }
            }
            Product p = product(term, weights, losses);
            std::vector<real> errors(losses.size());
            for (size_t j = 0; j < losses.size(); ++j) errors[j] = rounding * std::fabs(losses[j]) + slack[j];
            std::vector<real> moved = slope_errors(p, weights, errors);
            result.value += factor * static_cast<double>(together * p.value);
            for (size_t j = 0; j < losses.size(); ++j)
                result.value_slack += factor * static_cast<double>(together * std::fabs(p.slopes[j])) * slack[j];
            for (std::vector<real> *slopes : {&p.slopes, &moved})
                for (real &slope : *slopes) slope *= factor; // each channel has 1 / together of a mean, and `together` values
            std::vector<real> sizes = p.slopes;
            for (real &size : sizes) size = std::fabs(size);
            for (int64_t c = first; c < first + together; ++c) {
                const Scales &scales = channels[static_cast<size_t>(c - first)];
                put_plane(result.grad_pred, n, c, pulled_back(term, scales, p.slopes, &TermResult::grad_pred), 1);
                put_plane(result.grad_target, n, c, pulled_back(term, scales, p.slopes, &TermResult::grad_target), 1);
                put_plane(result.slack_pred, n, c, pulled_back(term, scales, sizes, &TermResult::slack_pred), 1);
                put_plane(result.slack_target, n, c, pulled_back(term, scales, sizes, &TermResult::slack_target), 1);
                put_plane(result.slack_pred, n, c, moved_back(term, scales, moved, &TermResult::grad_pred), 1);
                put_plane(result.slack_target, n, c, moved_back(term, scales, moved, &TermResult::grad_target), 1);
            }
        }
    result.scale = std::fabs(result.value);
    return result;
}

} // namespace oracle
