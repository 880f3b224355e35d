#include "features.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "penalty.h"

namespace oracle {
namespace {

// ---- The network's input ----------------------------------------------------------------------------------------------
struct Line {
    double slope, offset;
};

// x -> slope x + offset of input channel c.
Line input_line(const FeatureTerm &term, int64_t c) {
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    static const double shift[] = {-0.030, -0.088, -0.188}, scale[] = {0.458, 0.448, 0.450};
    if (term.normalize == FeatureTerm::IMAGENET) return {1 / (term.data_range * deviation[c]), -mean[c] / deviation[c]};
    if (term.normalize == FeatureTerm::LPIPS) return {2 / (term.data_range * scale[c]), (-1 - shift[c]) / scale[c]};
    return {1, 0};
}

void check_channels(const Network &network, const FeatureTerm &term, const Image &image) {
    const int inputs = network.at(0).inputs;
    if (image.c != inputs && !(image.c == 1 && inputs == 3))
        throw std::invalid_argument("the oracle's network has another number of input channels");
    if (term.normalize != FeatureTerm::AS_IS && inputs != 3)
        throw std::invalid_argument("the oracle normalizes three channels only");
}

Image network_input(const Network &network, const FeatureTerm &term, const Image &image) {
    check_channels(network, term, image);
    Image input(image.n, network.at(0).inputs, image.h, image.w);
    for (int64_t n = 0; n < input.n; ++n)
        for (int64_t c = 0; c < input.c; ++c)
            for (int64_t y = 0; y < input.h; ++y)
                for (int64_t x = 0; x < input.w; ++x) {
                    const Line line = input_line(term, c);
                    input.at(n, c, y, x) = line.slope * image.at(n, image.c == 1 ? 0 : c, y, x) + line.offset;
                }
    return input;
}

Image network_input_adjoint(const FeatureTerm &term, const Image &grad, int64_t channels) {
    Image result(grad.n, channels, grad.h, grad.w);
    for (int64_t n = 0; n < grad.n; ++n)
        for (int64_t c = 0; c < grad.c; ++c)
            for (int64_t y = 0; y < grad.h; ++y)
                for (int64_t x = 0; x < grad.w; ++x)
                    result.at(n, channels == 1 ? 0 : c, y, x) += input_line(term, c).slope * grad.at(n, c, y, x);
    return result;
}

// ---- Transforms -------------------------------------------------------------------------------------------------------
struct Norm {
    double root; // sqrt of the sum of squares, or of that and its epsilon
    double divisor;
};

Norm norm_over_channels(const FeatureTerm &term, const Image &f, int64_t y, int64_t x) {
    double squares = 0;
    for (int64_t c = 0; c < f.c; ++c) squares += f.at(0, c, y, x) * f.at(0, c, y, x);
    if (term.epsilon == FeatureTerm::ADDED) return {std::sqrt(squares), std::sqrt(squares) + 1e-10};
    return {std::sqrt(1e-8 + squares), std::sqrt(1e-8 + squares)};
}

Image unit(const FeatureTerm &term, const Image &f) {
    Image u = like(f);
    for (int64_t y = 0; y < f.h; ++y)
        for (int64_t x = 0; x < f.w; ++x) {
            const double divisor = norm_over_channels(term, f, y, x).divisor;
            for (int64_t c = 0; c < f.c; ++c) u.at(0, c, y, x) = f.at(0, c, y, x) / divisor;
        }
    return u;
}

// u = f / divisor, and the divisor's derivative by f is f / root; where all features are 0, so is that.
Image unit_adjoint(const FeatureTerm &term, const Image &f, const Image &grad_u) {
    Image grad = like(f);
    for (int64_t y = 0; y < f.h; ++y)
        for (int64_t x = 0; x < f.w; ++x) {
            const Norm norm = norm_over_channels(term, f, y, x);
            double along = 0;
            for (int64_t c = 0; c < f.c; ++c) along += f.at(0, c, y, x) * grad_u.at(0, c, y, x);
            const double pull = norm.root > 0 ? along / (norm.divisor * norm.divisor * norm.root) : 0;
            for (int64_t c = 0; c < f.c; ++c)
                grad.at(0, c, y, x) = grad_u.at(0, c, y, x) / norm.divisor - f.at(0, c, y, x) * pull;
        }
    return grad;
}

// C x C, as an image of one channel.
Image gram(const Image &f) {
    Image g(1, 1, f.c, f.c);
    const int64_t pixels = f.h * f.w;
    for (int64_t i = 0; i < f.c; ++i)
        for (int64_t j = 0; j < f.c; ++j) {
            double sum = 0;
            for (int64_t p = 0; p < pixels; ++p) sum += f.v[i * pixels + p] * f.v[j * pixels + p];
            g.at(0, 0, i, j) = sum / (f.c * pixels);
        }
    return g;
}

Image gram_adjoint(const Image &f, const Image &grad_g) {
    Image grad = like(f);
    const int64_t pixels = f.h * f.w;
    for (int64_t i = 0; i < f.c; ++i)
        for (int64_t j = 0; j < f.c; ++j) {
            const double both = (grad_g.at(0, 0, i, j) + grad_g.at(0, 0, j, i)) / (f.c * pixels);
            for (int64_t p = 0; p < pixels; ++p) grad.v[i * pixels + p] += both * f.v[j * pixels + p];
        }
    return grad;
}

Image transformed(const FeatureTerm &term, const Image &f) {
    if (term.transform == FeatureTerm::UNIT) return unit(term, f);
    return term.transform == FeatureTerm::GRAM ? gram(f) : f;
}

Image transformed_adjoint(const FeatureTerm &term, const Image &f, const Image &grad) {
    if (term.transform == FeatureTerm::UNIT) return unit_adjoint(term, f, grad);
    return term.transform == FeatureTerm::GRAM ? gram_adjoint(f, grad) : grad;
}

// ---- One layer --------------------------------------------------------------------------------------------------------
double layer_weight(const FeatureTerm &term, size_t chosen) {
    return term.layer_weights.empty() ? 1 : term.layer_weights.at(chosen);
}

double channel_weight(const FeatureTerm &term, size_t chosen, int64_t c) {
    return term.linear.empty() ? 1 : term.linear.at(chosen).at(c);
}

// What a layer's sum is divided by; f is what is charged, features or a Gram matrix.
double divisor(const FeatureTerm &term, const Image &f) {
    if (term.reduction == PXL_SUM) return 1;
    if (term.transform == FeatureTerm::GRAM) return term.reduction == PXL_MEAN ? static_cast<double>(f.h * f.w) : 1;
    return static_cast<double>(f.h * f.w * (term.reduction == PXL_MEAN ? f.c : 1));
}

// slopes: of the layer's part of the value, with respect to the transformed features f of pred; of target they are the negative.
double charge_layer(const FeatureTerm &term, size_t chosen, const Image &f, const Image &g, Image &slopes) {
    const double factor = layer_weight(term, chosen) / divisor(term, f);
    double value = 0;
    slopes = like(f);
    for (int64_t c = 0; c < f.c; ++c)
        for (int64_t y = 0; y < f.h; ++y)
            for (int64_t x = 0; x < f.w; ++x) {
                const Charge charged = charge(term.penalty, term.param, f.at(0, c, y, x) - g.at(0, c, y, x));
                value += channel_weight(term, chosen, c) * charged.value;
                slopes.at(0, c, y, x) = factor * channel_weight(term, chosen, c) * charged.slope;
            }
    return factor * value;
}

Image layer_map(const FeatureTerm &term, size_t chosen, const Image &f, const Image &g) {
    Image map(1, 1, f.h, f.w);
    for (int64_t c = 0; c < f.c; ++c)
        for (int64_t y = 0; y < f.h; ++y)
            for (int64_t x = 0; x < f.w; ++x)
                map.at(0, 0, y, x) += layer_weight(term, chosen) * channel_weight(term, chosen, c) *
                                      charge(term.penalty, term.param, f.at(0, c, y, x) - g.at(0, c, y, x)).value;
    return map;
}

int deepest(const FeatureTerm &term) { return *std::max_element(term.layers.begin(), term.layers.end()); }

void add_grad(Image &to, const Image &grad, double upstream) {
    if (to.empty()) to = like(grad);
    add_scaled(to, grad, upstream);
}

// ---- One image --------------------------------------------------------------------------------------------------------
struct One {
    std::vector<Image> outputs, grads;
};

One see(const Network &network, const FeatureTerm &term, const Image &image) {
    One one{forward(network, network_input(network, term, image), deepest(term)), {}};
    one.grads.resize(one.outputs.size());
    return one;
}

void evaluate_image(const Network &network, const FeatureTerm &term, int64_t n, const Image &pred, const Image &target,
                    const std::vector<double> &upstream, FeatureResult &result) {
    One p = see(network, term, slice(pred, n)), t = see(network, term, slice(target, n));
    double value = 0;
    for (size_t chosen = 0; chosen < term.layers.size(); ++chosen) {
        const size_t at = 1 + term.layers[chosen];
        Image slopes;
        value += charge_layer(term, chosen, transformed(term, p.outputs[at]), transformed(term, t.outputs[at]), slopes);
        if (upstream.empty()) continue;
        add_grad(p.grads[at], transformed_adjoint(term, p.outputs[at], slopes), upstream[n]);
        add_grad(t.grads[at], transformed_adjoint(term, t.outputs[at], slopes), -upstream[n]);
    }
    result.values.push_back(value);
    if (upstream.empty()) return;
    put_slice(result.grad_pred, n, network_input_adjoint(term, backward(network, p.outputs, p.grads), pred.c));
    put_slice(result.grad_target, n, network_input_adjoint(term, backward(network, t.outputs, t.grads), pred.c));
}

struct Between {
    int64_t first, second;
    double part; // of the second
};

Between between(int64_t i, int64_t from, int64_t to) {
    const double at = std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
    const int64_t first = std::min(static_cast<int64_t>(at), from - 1);
    return {first, std::min(first + 1, from - 1), at - static_cast<double>(first)};
}

} // namespace

FeatureResult evaluate(const Network &network, const FeatureTerm &term, const Image &pred, const Image &target,
                       const std::vector<double> &upstream) {
    if (term.layers.empty()) throw std::invalid_argument("the oracle's term has no layers");
    if (term.transform == FeatureTerm::GRAM && !term.linear.empty())
        throw std::invalid_argument("the oracle has no linear weights of a Gram matrix");
    FeatureResult result;
    if (!upstream.empty()) result.grad_pred = like(pred), result.grad_target = like(target);
    for (int64_t n = 0; n < pred.n; ++n) evaluate_image(network, term, n, pred, target, upstream, result);
    return result;
}

double batch_value(const FeatureTerm &term, const std::vector<double> &values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return term.reduction == PXL_SUM ? sum : sum / static_cast<double>(values.size());
}

std::vector<double> batch_upstream(const FeatureTerm &term, int64_t images) {
    return std::vector<double>(images, term.reduction == PXL_SUM ? 1 : 1.0 / static_cast<double>(images));
}

Image feature_map(const Network &network, const FeatureTerm &term, const Image &pred, const Image &target) {
    if (term.transform == FeatureTerm::GRAM) throw std::invalid_argument("the oracle has no map of a Gram matrix");
    Image map(pred.n, 1, pred.h, pred.w);
    for (int64_t n = 0; n < pred.n; ++n) {
        const One p = see(network, term, slice(pred, n)), t = see(network, term, slice(target, n));
        Image sum(1, 1, pred.h, pred.w);
        for (size_t chosen = 0; chosen < term.layers.size(); ++chosen) {
            const size_t at = 1 + term.layers[chosen];
            const Image f = transformed(term, p.outputs[at]), g = transformed(term, t.outputs[at]);
            add_scaled(sum, enlarged(layer_map(term, chosen, f, g), pred.h, pred.w), 1);
        }
        put_slice(map, n, sum);
    }
    return map;
}

Image enlarged(const Image &image, int64_t h, int64_t w) {
    Image result(image.n, image.c, h, w);
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < h; ++y)
                for (int64_t x = 0; x < w; ++x) {
                    const Between b = between(y, image.h, h), a = between(x, image.w, w);
                    const double upper =
                        (1 - a.part) * image.at(n, c, b.first, a.first) + a.part * image.at(n, c, b.first, a.second);
                    const double lower =
                        (1 - a.part) * image.at(n, c, b.second, a.first) + a.part * image.at(n, c, b.second, a.second);
                    result.at(n, c, y, x) = (1 - b.part) * upper + b.part * lower;
                }
    return result;
}

} // namespace oracle
