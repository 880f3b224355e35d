#include "filter.h"

#include <algorithm>
#include <cmath>

namespace oracle {

int64_t border_index(pxl_border border, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (border == PXL_REPLICATE) return i < 0 ? 0 : n - 1;
    if (border == PXL_SYMMETRIC) return symmetric_index(i, n);
    if (border != PXL_REFLECT) return -1;
    if (n == 1) return 0;
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

int64_t symmetric_index(int64_t i, int64_t n) {
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

Kernel sobel_x() { return {3, 3, {-1, 0, 1, -2, 0, 2, -1, 0, 1}}; }
Kernel sobel_y() { return {3, 3, {-1, -2, -1, 0, 0, 0, 1, 2, 1}}; }
Kernel laplacian(int neighbours) {
    if (neighbours == 8) return {3, 3, {1, 1, 1, 1, -8, 1, 1, 1, 1}};
    return {3, 3, {0, 1, 0, 1, -4, 1, 0, 1, 0}};
}

std::vector<double> gaussian_taps(int taps, double sigma) {
    std::vector<double> weights(static_cast<size_t>(taps));
    double sum = 0;
    for (int i = 0; i < taps; ++i) {
        const double distance = i - (taps - 1) / 2.0;
        sum += weights[i] = std::exp(-distance * distance / (2 * sigma * sigma));
    }
    for (double &weight : weights) weight /= sum;
    return weights;
}

std::vector<double> uniform_taps(int taps) { return std::vector<double>(static_cast<size_t>(taps), 1.0 / taps); }

Kernel outer(const std::vector<double> &vertical, const std::vector<double> &horizontal) {
    Kernel kernel{static_cast<int>(vertical.size()), static_cast<int>(horizontal.size()), {}};
    for (const double a : vertical)
        for (const double b : horizontal) kernel.v.push_back(a * b);
    return kernel;
}

Kernel absolute(Kernel kernel) {
    for (double &value : kernel.v) value = std::fabs(value);
    return kernel;
}

int default_taps(double sigma) { return 2 * static_cast<int>(3.5 * sigma + 0.5) + 1; }

int64_t filtered_size(int64_t n, int taps, pxl_border border) { return border == PXL_VALID ? n - taps + 1 : n; }

int64_t first_sample(int taps, pxl_border border) { return border == PXL_VALID ? 0 : -(taps / 2); }

namespace {

// Along one axis, what each place is connected with: an output with the inputs that it reads; for the adjoint the other way round.
struct Link {
    int tap;
    int64_t at;
};
using Links = std::vector<std::vector<Link>>;
Links links_of(int taps, pxl_border border, int64_t inputs, bool adjoint) {
    const int64_t outputs = std::max<int64_t>(filtered_size(inputs, taps, border), 0);
    Links links(static_cast<size_t>(adjoint ? inputs : outputs));
    for (int64_t output = 0; output < outputs; ++output)
        for (int tap = 0; tap < taps; ++tap) {
            const int64_t input = border_index(border, output + first_sample(taps, border) + tap, inputs);
            if (input >= 0) links[adjoint ? input : output].push_back({tap, adjoint ? output : input});
        }
    return links;
}
// Each place's sum over those that it is connected with, of weight times element.
Image weighted_sums(const Image &from, const Kernel &kernel, const Links &rows, const Links &columns) {
    Image to(from.n, from.c, static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns.size()));
    double *next = to.v.data();
    for (int64_t plane = 0; plane < to.n * to.c; ++plane)
        for (const std::vector<Link> &row : rows)
            for (const std::vector<Link> &column : columns) {
                long double sum = 0; // of up to a million terms
                for (const Link &y : row)
                    for (const Link &x : column) {
                        const double weight = kernel.v[y.tap * kernel.w + x.tap]; // a tap of 0 does not carry a NaN
                        if (weight != 0)
                            sum += static_cast<long double>(weight) * from.v[(plane * from.h + y.at) * from.w + x.at];
                    }
                *next++ = static_cast<double>(sum);
            }
    return to;
}

int64_t pooled_size(int64_t n, int factor, bool decimate) { return decimate ? n / factor + (n & 1) : n / factor; }

template <typename Visit>
void each_pooled_pair(const Image &output, const Image &input, int factor, bool decimate, Visit visit) {
    const int64_t start = decimate ? -(factor / 2) : 0;
    for (int64_t plane = 0; plane < output.n * output.c; ++plane)
        for (int64_t y = 0; y < output.h; ++y)
            for (int64_t x = 0; x < output.w; ++x)
                for (int i = 0; i < factor; ++i)
                    for (int j = 0; j < factor; ++j) {
                        const int64_t from_y = symmetric_index(y * factor + start + i, input.h);
                        const int64_t from_x = symmetric_index(x * factor + start + j, input.w);
                        visit((plane * output.h + y) * output.w + x, (plane * input.h + from_y) * input.w + from_x);
                    }
}

} // namespace

Image filter(const Image &image, const Kernel &kernel, pxl_border border) {
    return weighted_sums(image, kernel, links_of(kernel.h, border, image.h, false), links_of(kernel.w, border, image.w, false));
}

Image filter_adjoint(const Image &grad_output, const Kernel &kernel, pxl_border border, const Image &sizes) {
    return weighted_sums(grad_output, kernel, links_of(kernel.h, border, sizes.h, true),
                         links_of(kernel.w, border, sizes.w, true));
}

Image pool(const Image &image, int factor, bool decimate) {
    Image result(image.n, image.c, pooled_size(image.h, factor, decimate), pooled_size(image.w, factor, decimate));
    each_pooled_pair(result, image, factor, decimate,
                     [&](int64_t to, int64_t from) { result.v[to] += image.v[from] / (factor * factor); });
    return result;
}

Image pool_adjoint(const Image &grad_output, int factor, bool decimate, const Image &sizes) {
    Image result(grad_output.n, grad_output.c, sizes.h, sizes.w);
    each_pooled_pair(grad_output, result, factor, decimate,
                     [&](int64_t from, int64_t to) { result.v[to] += grad_output.v[from] / (factor * factor); });
    return result;
}

} // namespace oracle
