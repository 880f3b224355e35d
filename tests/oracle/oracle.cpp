#include "oracle.h"

#include <algorithm>
#include <cmath>

#include "penalty.h"
#include "scales.h"

namespace oracle {
namespace {

Image select(const Image &image, const Image &weight) {
    Image result = image;
    if (weight.empty()) return result;
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < image.h; ++y)
                for (int64_t x = 0; x < image.w; ++x)
                    if (weight.at(n, 0, y, x) == 0) result.at(n, c, y, x) = 0;
    return result;
}

// Largest minus smallest of the pixels whose weight is not 0.
double spread(const Image &image, const Image &weight) {
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < image.h; ++y)
                for (int64_t x = 0; x < image.w; ++x) {
                    if (weight_at(weight, n, y, x) == 0) continue;
                    least = std::min(least, image.at(n, c, y, x)), most = std::max(most, image.at(n, c, y, x));
                }
    return most > least ? most - least : 0;
}

double range_of(const Term &term, const Image &pred, const Image &target, const Image &weight, double type_range) {
    if (term.data_range == PXL_FROM_DATA) return std::max(spread(pred, weight), spread(target, weight));
    return term.data_range > 0 ? term.data_range : type_range;
}

TermResult pooled_term(const Term &term, int factor, const Image &pred, const Image &target, double range, double rounding,
                       Image *map, Image *stats) {
    const Image small_pred = pool(pred, factor, term.decimate), small_target = pool(target, factor, term.decimate);
    TermResult result = windowed_term(term, small_pred, small_target, Image(), range, rounding, map, stats);
    for (Image *image : {&result.grad_pred, &result.grad_target, &result.slack_pred, &result.slack_target})
        *image = pool_adjoint(*image, factor, term.decimate, pred);
    return result;
}

TermResult term_result(const Term &term, const Inputs &inputs, const Image &pred, const Image &target, Image *map, Image *stats) {
    const double range = range_of(term, pred, target, inputs.weight, inputs.type_range);
    if (term.kind == PXL_RMSE || term.kind == PXL_PSNR) return mean_square_term(term, pred, target, inputs.weight, range);
    if (term.kind == PXL_MS_SSIM) return scales_term(term, pred, target, range, inputs.rounding);
    if (!is_windowed(term.kind)) return image_term(term, pred, target, inputs.weight, inputs.rounding);
    const int factor = downsample_factor(term, pred.h, pred.w);
    if (factor > 1) return pooled_term(term, factor, pred, target, range, inputs.rounding, map, stats);
    return windowed_term(term, pred, target, inputs.weight, range, inputs.rounding, map, stats);
}

Image charges(const Term &term, const Image &pred, const Image &target, const Image &weight) {
    Image map = like(pred);
    for (int64_t n = 0; n < pred.n; ++n)
        for (int64_t c = 0; c < pred.c; ++c)
            for (int64_t y = 0; y < pred.h; ++y)
                for (int64_t x = 0; x < pred.w; ++x) {
                    const double d = pred.at(n, c, y, x) - target.at(n, c, y, x);
                    map.at(n, c, y, x) = charge(term.penalty, term.param, d).value * (weight.empty() ? 1 : weight.at(n, 0, y, x));
                }
    return map;
}

Result evaluate_together(const std::vector<Term> &terms, const Inputs &inputs, double upstream) {
    const Image pred = select(inputs.pred, inputs.weight), target = select(inputs.target, inputs.weight);
    Result result;
    result.values.assign(1 + terms.size(), 0);
    result.scale.assign(1 + terms.size(), 0);
    result.value_slack.assign(1 + terms.size(), 0);
    result.grad_pred = result.grad_target = result.slack_pred = result.slack_target = like(pred);
    for (size_t i = 0; i < terms.size(); ++i) {
        const bool first_windowed = is_windowed(terms[i].kind) && result.map.empty();
        const TermResult term = term_result(terms[i], inputs, pred, target, first_windowed ? &result.map : nullptr,
                                            first_windowed ? &result.statistics : nullptr);
        if (terms[i].kind == PXL_PIXEL && result.pixel_map.empty())
            result.pixel_map = charges(terms[i], pred, target, inputs.weight);
        const double weight = inputs.term_weights.empty() ? terms[i].weight : inputs.term_weights[i];
        result.values[1 + i] = term.value;
        result.scale[1 + i] = term.scale;
        result.value_slack[1 + i] = term.value_slack;
        if (weight == 0) continue;
        result.values[0] += weight * term.value;
        result.scale[0] += std::fabs(weight) * term.scale;
        result.value_slack[0] += std::fabs(weight) * term.value_slack;
        add_scaled(result.grad_pred, term.grad_pred, weight * upstream);
        add_scaled(result.grad_target, term.grad_target, weight * upstream);
        add_scaled(result.slack_pred, term.slack_pred, std::fabs(weight * upstream));
        add_scaled(result.slack_target, term.slack_target, std::fabs(weight * upstream));
    }
    // A pixel that reads 0 whatever it holds has no influence.
    for (Image *image : {&result.grad_pred, &result.grad_target, &result.slack_pred, &result.slack_target})
        *image = select(*image, inputs.weight);
    return result;
}

void put_batch(Image &batch, int64_t n, const Image &one, int64_t images) {
    if (one.empty()) return;
    if (batch.empty()) batch = Image(images, one.c, one.h, one.w);
    put_slice(batch, n, one);
}

} // namespace

int downsample_factor(const Term &term, int64_t h, int64_t w) {
    if (!is_windowed(term.kind)) return 1;
    if (term.downsample != PXL_DOWNSAMPLE_AUTO) return term.downsample;
    const double blocks = static_cast<double>(std::min(h, w)) / 256; // libvmaf rounds halves up, piq (Python) to even
    return std::max(1, static_cast<int>(term.decimate ? std::lround(blocks) : std::nearbyint(blocks)));
}

bool fits(const Term &term, int64_t h, int64_t w) {
    if (term.kind == PXL_PIXEL || term.kind == PXL_TV || term.kind == PXL_RMSE || term.kind == PXL_PSNR) return true;
    if (term.kind == PXL_MS_SSIM) return scale_count(term, h, w) > 0;
    const bool stencil = term.kind == PXL_SOBEL || term.kind == PXL_LAPLACIAN;
    const int taps_y = stencil ? 3 : term.window_y, taps_x = stencil ? 3 : term.window_x;
    const int factor = downsample_factor(term, h, w);
    if (factor > h || factor > w) return false;
    const Image pooled = factor > 1 ? pool(Image(1, 1, h, w), factor, term.decimate) : Image(1, 1, h, w);
    if (pooled.h < 1 || pooled.w < 1) return false;
    if (term.skip_short_axis || term.border != PXL_VALID) return true;
    return pooled.h >= taps_y && pooled.w >= taps_x;
}

Result evaluate(const std::vector<Term> &terms, const Inputs &inputs) {
    if (!inputs.per_image) return evaluate_together(terms, inputs, inputs.grad_loss.empty() ? 1 : inputs.grad_loss[0]);
    Result result;
    const int64_t images = inputs.pred.n;
    for (int64_t n = 0; n < images; ++n) {
        Inputs one = inputs;
        one.pred = slice(inputs.pred, n), one.target = slice(inputs.target, n);
        if (!inputs.weight.empty()) one.weight = slice(inputs.weight, n);
        const Result row = evaluate_together(terms, one, inputs.grad_loss.empty() ? 1 : inputs.grad_loss[n]);
        result.values.insert(result.values.end(), row.values.begin(), row.values.end());
        result.scale.insert(result.scale.end(), row.scale.begin(), row.scale.end());
        result.value_slack.insert(result.value_slack.end(), row.value_slack.begin(), row.value_slack.end());
        put_batch(result.grad_pred, n, row.grad_pred, images);
        put_batch(result.grad_target, n, row.grad_target, images);
        put_batch(result.slack_pred, n, row.slack_pred, images);
        put_batch(result.slack_target, n, row.slack_target, images);
        put_batch(result.map, n, row.map, images);
        put_batch(result.statistics, n, row.statistics, images);
        put_batch(result.pixel_map, n, row.pixel_map, images);
    }
    return result;
}

} // namespace oracle
