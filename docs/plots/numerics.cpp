// The data of docs/plots/numerics.svg: what is left of 1 - SSIM and of its gradient as two images become equal, by the formula as
// it is usually written, in f32 and f64, and by pixloss in f32. The truth is the tests' oracle. A photograph and noise added to it,
// of ever smaller amplitude; each line of the output is
//     image method one_minus_ssim error_of_the_value error_of_the_gradient
// where the first error is relative, and the second that of the worst element, relative to the largest. docs/plots/numerics.py runs
// this and draws.
#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "oracle/filter.h"
#include "oracle/oracle.h"

namespace {
constexpr int64_t size = 128, taps = 11, inside = size - taps + 1; // windows that lie inside the image

template <typename T>
using Plane = std::vector<T>; // [y][x]

template <typename T>
struct Loss {
    double value;
    Plane<T> gradient;
};

// ---- The plain formula ---------------------------------------------------------------------------------------------------
template <typename T>
std::vector<T> window() {
    const std::vector<double> taps_in_double = oracle::gaussian_taps(taps, 1.5);
    return {taps_in_double.begin(), taps_in_double.end()};
}
template <typename T>
Plane<T> filtered(const Plane<T> &image) {
    static const std::vector<T> w = window<T>();
    Plane<T> down(inside * size), both(inside * inside);
    for (int64_t y = 0; y < inside; y++)
        for (int64_t x = 0; x < size; x++)
            for (int64_t k = 0; k < taps; k++) down[y * size + x] += w[k] * image[(y + k) * size + x];
    for (int64_t y = 0; y < inside; y++)
        for (int64_t x = 0; x < inside; x++)
            for (int64_t k = 0; k < taps; k++) both[y * inside + x] += w[k] * down[y * size + x + k];
    return both;
}
template <typename T>
Plane<T> pulled_back(const Plane<T> &map) { // the adjoint of filtered()
    static const std::vector<T> w = window<T>();
    Plane<T> along(inside * size), both(size * size);
    for (int64_t y = 0; y < inside; y++)
        for (int64_t x = 0; x < inside; x++)
            for (int64_t k = 0; k < taps; k++) along[y * size + x + k] += w[k] * map[y * inside + x];
    for (int64_t y = 0; y < inside; y++)
        for (int64_t x = 0; x < size; x++)
            for (int64_t k = 0; k < taps; k++) both[(y + k) * size + x] += w[k] * along[y * size + x];
    return both;
}
template <typename T>
Plane<T> product(const Plane<T> &a, const Plane<T> &b) {
    Plane<T> c(a.size());
    for (size_t i = 0; i < a.size(); i++) c[i] = a[i] * b[i];
    return c;
}
// Variances as E[x^2] - E[x]^2, the covariance as E[xy] - E[x] E[y], SSIM, and 1 minus its mean; all in T but that mean.
template <typename T>
Loss<T> plain(const Plane<T> &x, const Plane<T> &y) {
    const T C1 = T(0.01 * 0.01), C2 = T(0.03 * 0.03);
    const Plane<T> mx = filtered(x), my = filtered(y), xx = filtered(product(x, x)), yy = filtered(product(y, y)),
                   xy = filtered(product(x, y));
    Plane<T> to_mx(mx.size()), to_xx(mx.size()), to_xy(mx.size());
    double sum = 0;
    for (size_t i = 0; i < mx.size(); i++) {
        const T A1 = 2 * mx[i] * my[i] + C1, A2 = 2 * (xy[i] - mx[i] * my[i]) + C2, B1 = mx[i] * mx[i] + my[i] * my[i] + C1,
                B2 = (xx[i] - mx[i] * mx[i]) + (yy[i] - my[i] * my[i]) + C2, S = A1 * A2 / (B1 * B2);
        sum += static_cast<double>(S);
        to_mx[i] = 2 * my[i] * (A2 - A1) / (B1 * B2) - 2 * mx[i] * S * (1 / B1 - 1 / B2);
        to_xx[i] = -S / B2;
        to_xy[i] = 2 * A1 / (B1 * B2);
    }
    const double count = static_cast<double>(mx.size());
    Loss<T> loss{1 - sum / count, pulled_back(to_mx)};
    const Plane<T> from_xx = pulled_back(to_xx), from_xy = pulled_back(to_xy);
    for (size_t i = 0; i < x.size(); i++)
        loss.gradient[i] = -(loss.gradient[i] + 2 * x[i] * from_xx[i] + y[i] * from_xy[i]) / T(count);
    return loss;
}

// ---- pixloss and the oracle -------------------------------------------------------------------------------------------------
void need(pxl_status status) {
    if (status == PXL_OK) return;
    std::fprintf(stderr, "%s\n", pxl_error_message());
    std::exit(1);
}
Loss<float> pixloss(Plane<float> x, Plane<float> y) {
    Loss<float> result{0, Plane<float>(x.size())};
    const auto view = [](Plane<float> &plane) { return pxl_nchw(plane.data(), PXL_F32, PXL_CPU_DEVICE, 1, 1, size, size); };
    const pxl_tensor pred = view(x), target = view(y), gradient = view(result.gradient);
    double values[2];
    pxl_args args = PXL_ARGS(&pred, &target);
    args.grad_pred = &gradient, args.values = values;
    pxl_loss *loss;
    size_t bytes;
    need(pxl_loss_parse("ssim", nullptr, &loss));
    need(pxl_workspace_size(nullptr, loss, &args, &bytes));
    std::vector<std::max_align_t> workspace(bytes / sizeof(std::max_align_t) + 1);
    need(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr));
    need(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr));
    pxl_loss_destroy(loss);
    result.value = values[1];
    return result;
}
Loss<double> truth(const Plane<float> &x, const Plane<float> &y) {
    oracle::Inputs inputs;
    inputs.pred = inputs.target = oracle::Image(1, 1, size, size);
    inputs.pred.v.assign(x.begin(), x.end()), inputs.target.v.assign(y.begin(), y.end());
    const oracle::Result result = oracle::evaluate({oracle::resolve(PXL_TERM(PXL_SSIM, 1))}, inputs);
    return {result.values[1], result.grad_pred.v};
}

// ---- Images -----------------------------------------------------------------------------------------------------------------
Plane<double> photograph(const char *path) {
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path)) std::exit((std::fprintf(stderr, "%s: %s\n", path, image.message), 1));
    image.format = PNG_FORMAT_GRAY;
    std::vector<png_byte> bytes(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr)) std::exit(1);
    const int64_t top = 60, left = 180;
    Plane<double> crop;
    for (int64_t y = 0; y < size; y++)
        for (int64_t x = 0; x < size; x++) crop.push_back(bytes[(top + y) * image.width + left + x] / 255.0);
    return crop;
}

template <typename T>
void print(const char *image, const char *method, const Loss<T> &loss, const Loss<double> &exact) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < exact.gradient.size(); i++) {
        worst = std::max(worst, std::fabs(static_cast<double>(loss.gradient[i]) - exact.gradient[i]));
        largest = std::max(largest, std::fabs(exact.gradient[i]));
    }
    std::printf("%s %s %.6e %.6e %.6e\n", image, method, exact.value, std::fabs(loss.value - exact.value) / exact.value,
                worst / largest);
}

void sweep(const char *name, const Plane<double> &image) {
    for (int step = 2; step >= -34; step--) { // amplitudes from 1.6 to 1e-8
        std::mt19937 random(7);
        const double amplitude = std::pow(10.0, step * 0.25 - 0.3) * 1;
        Plane<float> x, y;
        for (const double pixel : image) {
            y.push_back(static_cast<float>(pixel));
            x.push_back(static_cast<float>(pixel + amplitude * (2 * (random() / 4294967296.0) - 1)));
        }
        const Loss<double> exact = truth(x, y);
        if (!(exact.value > 0)) break; // too small for f32: the images are equal
        print(name, "plain-f32", plain<float>(x, y), exact);
        print(name, "plain-f64", plain<double>({x.begin(), x.end()}, {y.begin(), y.end()}), exact);
        print(name, "pixloss-f32", pixloss(x, y), exact);
    }
}
} // namespace

int main(int count, char **arguments) {
    if (count != 2) return std::fprintf(stderr, "usage: pixloss_numerics tests/data/camera.png\n"), 2;
    const Plane<double> photo = photograph(arguments[1]);
    Plane<double> bright;
    for (const double pixel : photo) bright.push_back(0.95 + 0.02 * (pixel - 0.5));
    sweep("photograph", photo);
    sweep("bright", bright);
}
