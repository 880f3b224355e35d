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

// Calls visit(output index, input index, weight) for each pair that the filter connects.
template <typename Visit>
void each_pair(const Image &output, const Image &input, const Kernel &kernel, pxl_border border, Visit visit) {
    const int64_t y0 = first_sample(kernel.h, border), x0 = first_sample(kernel.w, border);
    std::vector<int64_t> columns(static_cast<size_t>(output.w) * kernel.w); // the border's index function, tabulated
    for (int64_t x = 0; x < output.w; ++x)
        for (int j = 0; j < kernel.w; ++j) columns[x * kernel.w + j] = border_index(border, x + x0 + j, input.w);
    for (int64_t plane = 0; plane < output.n * output.c; ++plane)
        for (int64_t y = 0; y < output.h; ++y)
            for (int i = 0; i < kernel.h; ++i) {
                const int64_t from_y = border_index(border, y + y0 + i, input.h);
                if (from_y < 0) continue;
                for (int64_t x = 0; x < output.w; ++x)
                    for (int j = 0; j < kernel.w; ++j) {
                        const int64_t from_x = columns[x * kernel.w + j];
                        if (from_x < 0) continue;
                        visit((plane * output.h + y) * output.w + x, (plane * input.h + from_y) * input.w + from_x,
                              kernel.v[i * kernel.w + j]);
                    }
            }
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
    Image result(image.n, image.c, filtered_size(image.h, kernel.h, border), filtered_size(image.w, kernel.w, border));
    std::vector<long double> sums(result.v.size()); // of up to a million terms
    each_pair(result, image, kernel, border, [&](int64_t to, int64_t from, double weight) {
        if (weight != 0) sums[to] += static_cast<long double>(weight) * image.v[from]; // a tap of 0 does not carry a NaN
    });
    std::copy(sums.begin(), sums.end(), result.v.begin());
    return result;
}

Image filter_adjoint(const Image &grad_output, const Kernel &kernel, pxl_border border, const Image &sizes) {
    Image result(grad_output.n, grad_output.c, sizes.h, sizes.w);
    std::vector<long double> sums(result.v.size());
    each_pair(grad_output, result, kernel, border, [&](int64_t from, int64_t to, double weight) {
        if (weight != 0) sums[to] += static_cast<long double>(weight) * grad_output.v[from];
    });
    std::copy(sums.begin(), sums.end(), result.v.begin());
    return result;
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
