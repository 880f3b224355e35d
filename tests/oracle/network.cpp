#include "network.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>

namespace oracle {
namespace {

// Simonyan and Zisserman, ICLR 2015, table 1: A, B, D, E.
const std::map<std::string, std::string> known_architectures = {
    {"vgg11", "64,M,128,M,256,256,M,512,512,M,512,512,M"},
    {"vgg13", "64,64,M,128,128,M,256,256,M,512,512,M,512,512,M"},
    {"vgg16", "64,64,M,128,128,M,256,256,256,M,512,512,512,M,512,512,512,M"},
    {"vgg19", "64,64,M,128,128,M,256,256,256,256,M,512,512,512,512,M,512,512,512,512,M"},
};

// The positive integer at the front of the text, which is taken off.
int take_number(std::string &text) {
    size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    if (digits == 0 || digits > 6) throw std::invalid_argument("the oracle wants a number: '" + text + "'");
    const int number = std::atoi(text.substr(0, digits).c_str());
    if (number < 1) throw std::invalid_argument("the oracle wants a positive number: '" + text + "'");
    text.erase(0, digits);
    return number;
}

Layer make_convolution(int inputs, int outputs, int size) {
    Layer layer{Layer::CONVOLUTION, inputs, outputs, size, {}, {}};
    layer.weight.assign(static_cast<size_t>(outputs) * inputs * size * size, 0);
    layer.bias.assign(outputs, 0);
    return layer;
}

void add_item(Network &network, std::string item, int &channels) {
    if (item == "M" || item == "A") {
        network.push_back({item == "M" ? Layer::MAX_POOL : Layer::AVERAGE_POOL, channels, channels, 0, {}, {}});
        return;
    }
    const std::string whole = item;
    const int outputs = take_number(item);
    int size = 3;
    if (!item.empty() && item[0] == 'k') {
        item.erase(0, 1);
        size = take_number(item);
    }
    if (!item.empty() || size % 2 == 0) throw std::invalid_argument("the oracle knows no layer '" + whole + "'");
    network.push_back(make_convolution(channels, outputs, size));
    network.push_back({Layer::RELU, outputs, outputs, 0, {}, {}});
    channels = outputs;
}

Image padded(const Image &image, int64_t margin) {
    Image wide(image.n, image.c, image.h + 2 * margin, image.w + 2 * margin);
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < image.h; ++y)
                for (int64_t x = 0; x < image.w; ++x) wide.at(n, c, y + margin, x + margin) = image.at(n, c, y, x);
    return wide;
}

Image cropped(const Image &wide, int64_t margin) {
    Image image(wide.n, wide.c, wide.h - 2 * margin, wide.w - 2 * margin);
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < image.h; ++y)
                for (int64_t x = 0; x < image.w; ++x) image.at(n, c, y, x) = wide.at(n, c, y + margin, x + margin);
    return image;
}

void add_row(double *__restrict to, const double *__restrict from, double weight, int64_t count) {
    for (int64_t x = 0; x < count; ++x) to[x] += weight * from[x];
}

// Calls visit(index in the output, index in the padded input, weight) for each row that a tap of the kernel connects.
template <typename Visit>
void each_row(const Layer &layer, const Image &output, const Image &wide, Visit visit) {
    for (int64_t n = 0; n < output.n; ++n)
        for (int64_t o = 0; o < layer.outputs; ++o)
            for (int64_t i = 0; i < layer.inputs; ++i)
                for (int64_t ky = 0; ky < layer.size; ++ky)
                    for (int64_t kx = 0; kx < layer.size; ++kx) {
                        const double weight = layer.weight[((o * layer.inputs + i) * layer.size + ky) * layer.size + kx];
                        for (int64_t y = 0; y < output.h; ++y)
                            visit(output.index(n, o, y, 0), wide.index(n, i, y + ky, kx), weight);
                    }
}

Image convolution(const Layer &layer, const Image &input) {
    const Image wide = padded(input, layer.size / 2);
    Image output(input.n, layer.outputs, input.h, input.w);
    const int64_t pixels = input.h * input.w;
    for (size_t i = 0; i < output.v.size(); ++i) output.v[i] = layer.bias[i / pixels % layer.outputs];
    each_row(layer, output, wide,
             [&](size_t to, size_t from, double weight) { add_row(&output.v[to], &wide.v[from], weight, input.w); });
    return output;
}

Image convolution_adjoint(const Layer &layer, const Image &grad_output) {
    const int64_t margin = layer.size / 2;
    Image wide(grad_output.n, layer.inputs, grad_output.h + 2 * margin, grad_output.w + 2 * margin);
    each_row(layer, grad_output, wide,
             [&](size_t from, size_t to, double weight) { add_row(&wide.v[to], &grad_output.v[from], weight, grad_output.w); });
    return cropped(wide, margin);
}

Image relu(Image image) {
    for (double &value : image.v)
        if (value <= 0) value = 0; // a NaN stays
    return image;
}

Image relu_adjoint(const Image &input, Image grad) {
    for (size_t i = 0; i < grad.v.size(); ++i)
        if (input.v[i] <= 0) grad.v[i] = 0;
    return grad;
}

// The place of the first maximum of the four, in row order; of the last NaN if there is one, as in torch.
size_t maximum(const Image &input, int64_t n, int64_t c, int64_t y, int64_t x) {
    size_t best = input.index(n, c, 2 * y, 2 * x);
    for (int64_t k = 1; k < 4; ++k) {
        const size_t at = input.index(n, c, 2 * y + k / 2, 2 * x + k % 2);
        if (input.v[at] > input.v[best] || std::isnan(input.v[at])) best = at;
    }
    return best;
}

Image pooled(const Layer &layer, const Image &input) {
    Image output(input.n, input.c, input.h / 2, input.w / 2);
    for (int64_t n = 0; n < output.n; ++n)
        for (int64_t c = 0; c < output.c; ++c)
            for (int64_t y = 0; y < output.h; ++y)
                for (int64_t x = 0; x < output.w; ++x) {
                    double &to = output.at(n, c, y, x);
                    if (layer.kind == Layer::MAX_POOL) to = input.v[maximum(input, n, c, y, x)];
                    if (layer.kind == Layer::AVERAGE_POOL)
                        for (int64_t k = 0; k < 4; ++k) to += input.at(n, c, 2 * y + k / 2, 2 * x + k % 2) / 4;
                }
    return output;
}

Image pooled_adjoint(const Layer &layer, const Image &input, const Image &grad_output) {
    Image result = like(input);
    for (int64_t n = 0; n < grad_output.n; ++n)
        for (int64_t c = 0; c < grad_output.c; ++c)
            for (int64_t y = 0; y < grad_output.h; ++y)
                for (int64_t x = 0; x < grad_output.w; ++x) {
                    const double grad = grad_output.at(n, c, y, x);
                    if (layer.kind == Layer::MAX_POOL) result.v[maximum(input, n, c, y, x)] += grad;
                    if (layer.kind == Layer::AVERAGE_POOL)
                        for (int64_t k = 0; k < 4; ++k) result.at(n, c, 2 * y + k / 2, 2 * x + k % 2) += grad / 4;
                }
    return result;
}

Image layer_output(const Layer &layer, const Image &input) {
    if (input.c != layer.inputs) throw std::invalid_argument("the oracle's layer has another number of input channels");
    if (layer.kind == Layer::CONVOLUTION) return convolution(layer, input);
    if (layer.kind == Layer::RELU) return relu(input);
    return pooled(layer, input);
}

Image layer_adjoint(const Layer &layer, const Image &input, const Image &grad_output) {
    if (layer.kind == Layer::CONVOLUTION) return convolution_adjoint(layer, grad_output);
    if (layer.kind == Layer::RELU) return relu_adjoint(input, grad_output);
    return pooled_adjoint(layer, input, grad_output);
}

} // namespace

Network parse_architecture(const std::string &text) {
    const auto known = known_architectures.find(text);
    std::string list = known == known_architectures.end() ? text : known->second;
    int channels = 3;
    if (const size_t colon = list.find(':'); colon != std::string::npos) {
        std::string inputs = list.substr(0, colon);
        channels = take_number(inputs);
        if (!inputs.empty()) throw std::invalid_argument("the oracle wants a number before the colon");
        list.erase(0, colon + 1);
    }
    Network network;
    std::istringstream items(list + ",");
    for (std::string item; std::getline(items, item, ',');) add_item(network, item, channels);
    return network;
}

std::vector<std::string> layer_names(const Network &network) {
    std::vector<std::string> names;
    int block = 1, convolutions = 0;
    for (const Layer &layer : network) {
        if (layer.kind == Layer::CONVOLUTION) ++convolutions;
        const std::string in_block = std::to_string(block) + "_" + std::to_string(convolutions);
        if (layer.kind == Layer::CONVOLUTION) {
            names.push_back("conv" + in_block);
        } else if (layer.kind == Layer::RELU) {
            names.push_back("relu" + in_block);
        } else {
            names.push_back("pool" + std::to_string(block++));
            convolutions = 0;
        }
    }
    return names;
}

int layer_index(const Network &network, const std::string &name) {
    const std::vector<std::string> names = layer_names(network);
    for (size_t l = 0; l < names.size(); ++l)
        if (name == names[l] || name == std::to_string(l)) return static_cast<int>(l);
    return -1;
}

double uniform(uint64_t seed, uint64_t stream, uint64_t i) {
    uint64_t z = seed * 0x9E3779B97F4A7C15u + (stream << 40) + i;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return std::ldexp(static_cast<double>(z >> 40), -24);
}

void fill_random(Network &network, uint64_t seed) {
    uint64_t convolutions = 0;
    for (Layer &layer : network) {
        if (layer.kind != Layer::CONVOLUTION) continue;
        const double bound = std::sqrt(6.0 / (static_cast<double>(layer.inputs) * layer.size * layer.size));
        for (size_t i = 0; i < layer.weight.size(); ++i)
            layer.weight[i] = static_cast<float>(bound * (2 * uniform(seed, convolutions, i) - 1));
        layer.bias.assign(layer.outputs, 0);
        ++convolutions;
    }
}

std::vector<Image> forward(const Network &network, const Image &input, int last) {
    std::vector<Image> outputs = {input};
    for (int l = 0; l <= last; ++l) outputs.push_back(layer_output(network.at(l), outputs.back()));
    return outputs;
}

Image backward(const Network &network, const std::vector<Image> &outputs, const std::vector<Image> &grads) {
    Image grad = like(outputs.back());
    for (size_t l = outputs.size() - 1; l > 0; --l) {
        if (!grads[l].empty()) add_scaled(grad, grads[l], 1);
        grad = layer_adjoint(network[l - 1], outputs[l - 1], grad);
    }
    return grad;
}

} // namespace oracle
