// Filters, window statistics and reductions: against the oracle, and each adjoint by the inner product.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "make_case.h"

namespace {

constexpr pxl_border borders[] = {PXL_BORDER_DEFAULT, PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC};

oracle::Image noise(int64_t n, int64_t c, int64_t h, int64_t w, uint32_t seed, pxl_dtype dtype) {
    std::mt19937 random(seed);
    oracle::Image image(n, c, h, w);
    for (double &value : image.v) value = random() / 2147483648.0 - 1;
    return rounded(image, dtype);
}

double inner(const oracle::Image &a, const oracle::Image &b) {
    double sum = 0;
    for (size_t i = 0; i < a.v.size(); ++i) sum += a.v[i] * b.v[i];
    return sum;
}

// Of the sum of the magnitudes that a result is added from: 2 x 1023 roundings by u, like a random walk, and the taps' own.
double tolerance(pxl_dtype dtype) { return dtype == PXL_F64 ? 5e-14 : 1e-5; }

// ---- Filters -----------------------------------------------------------------------------------------------------------

struct Planes { // images and channels, as a filter sees one output component
    std::vector<oracle::Kernel> kernels;
    pxl_border border;
};

Planes definition(const pxl_filter &filter) {
    const pxl_border border = filter.border ? filter.border : PXL_ZERO;
    const double sigma_x = filter.sigma_x > 0 ? filter.sigma_x : filter.sigma;
    const int taps = filter.window ? filter.window : oracle::default_taps(filter.sigma);
    const int taps_x = filter.window_x ? filter.window_x : filter.window ? filter.window : oracle::default_taps(sigma_x);
    switch (filter.kind) {
        case PXL_FILTER_SOBEL: return {{oracle::sobel_x(), oracle::sobel_y()}, border};
        case PXL_FILTER_LAPLACIAN: return {{oracle::laplacian(filter.neighbours)}, border};
        case PXL_FILTER_BLUR:
            return {{oracle::outer(oracle::gaussian_taps(taps, filter.sigma), oracle::gaussian_taps(taps_x, sigma_x))}, border};
        default: return {{oracle::outer(oracle::uniform_taps(taps), oracle::uniform_taps(taps_x))}, border};
    }
}

Planes absolute(Planes planes) {
    for (oracle::Kernel &kernel : planes.kernels) kernel = oracle::absolute(kernel);
    return planes;
}

oracle::Image scaled(oracle::Image image, double factor) {
    for (double &value : image.v) value *= factor;
    return image;
}

// Output channel k C + c is kernel k applied to channel c.
oracle::Image apply(const Planes &planes, const oracle::Image &image) {
    oracle::Image result;
    const auto count = static_cast<int64_t>(planes.kernels.size());
    for (int64_t k = 0; k < count; ++k) {
        const oracle::Image part = oracle::filter(image, planes.kernels[static_cast<size_t>(k)], planes.border);
        if (result.empty()) result = oracle::Image(part.n, count * part.c, part.h, part.w);
        for (int64_t n = 0; n < part.n; ++n)
            std::copy_n(&part.v[part.index(n, 0, 0, 0)], part.c * part.h * part.w, &result.v[result.index(n, k * part.c, 0, 0)]);
    }
    return result;
}

oracle::Image apply_adjoint(const Planes &planes, const oracle::Image &grad, const oracle::Image &sizes) {
    oracle::Image result = oracle::like(sizes);
    for (size_t k = 0; k < planes.kernels.size(); ++k) {
        oracle::Image part(grad.n, sizes.c, grad.h, grad.w);
        for (int64_t n = 0; n < grad.n; ++n)
            std::copy_n(&grad.v[grad.index(n, static_cast<int64_t>(k) * sizes.c, 0, 0)], part.c * part.h * part.w,
                        &part.v[part.index(n, 0, 0, 0)]);
        oracle::add_scaled(result, oracle::filter_adjoint(part, planes.kernels[k], planes.border, sizes), 1);
    }
    return result;
}

std::string describe(const pxl_filter &filter, const Shape &s, pxl_dtype dtype) {
    static const char *const kinds[] = {"sobel", "laplacian", "blur", "box"};
    return std::string(kinds[filter.kind]) + " border " + std::to_string(filter.border) + " neighbours " +
           std::to_string(filter.neighbours) + " window " + std::to_string(filter.window) + ":" +
           std::to_string(filter.window_x) + " sigma " + std::to_string(filter.sigma) + ":" + std::to_string(filter.sigma_x) +
           " on " + std::to_string(s.n) + "x" + std::to_string(s.c) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) +
           ' ' + dtype_name(dtype);
}

// What one call of a filter and one of its adjoint give.
struct FilterCase {
    pxl_filter filter;
    Shape shape;
    pxl_dtype dtype;
    Layout layout;
    Planes planes;
    oracle::Image a, b;                           // the input of the filter and of its adjoint
    oracle::Image output, grad_input;             // what they give
    oracle::Image output_slack, grad_input_slack; // and how exactly
};

void check_filter_on(const Way &way, const FilterCase &test) {
    const UsingWay using_way(way);
    const oracle::Image &a = test.a, &b = test.b;
    const std::string what = way.name() + ' ' + describe(test.filter, test.shape, test.dtype);
    Device &device = *way.device;
    Tensor input(device, test.layout, test.dtype, a.n, a.c, a.h, a.w),
        output(device, test.layout, test.dtype, b.n, b.c, b.h, b.w);
    Tensor grad_output(device, test.layout, test.dtype, b.n, b.c, b.h, b.w);
    Tensor grad_input(device, test.layout, test.dtype, a.n, a.c, a.h, a.w);
    input.set(a);
    grad_output.set(b);
    pxl_context *context = context_of(device, 2);
    size_t bytes = 0;
    const pxl_status sized = pxl_filter_workspace_size(context, &test.filter, input.view(), output.view(), &bytes);
    if (!device.computes(test.dtype)) {
        EXPECT_EQ(sized, PXL_UNSUPPORTED) << what;
        return;
    }
    ASSERT_EQ(sized, PXL_OK) << pxl_error_message() << what;
    DeviceBuffer workspace(device, bytes, 16);
    ASSERT_EQ(pxl_filter_apply(context, &test.filter, input.view(), output.view(), workspace.data(), bytes, nullptr), PXL_OK)
        << pxl_error_message() << what;
    workspace.poison(); // "the adjoint needs no more", and nothing of what apply left
    ASSERT_EQ(pxl_filter_adjoint(context, &test.filter, grad_output.view(), grad_input.view(), workspace.data(), bytes, nullptr),
              PXL_OK)
        << pxl_error_message() << what;
    EXPECT_TRUE(input.is_unchanged() && grad_output.is_unchanged()) << what;
    EXPECT_TRUE(output.fences_intact() && grad_input.fences_intact() && workspace.fences_intact()) << what;
    EXPECT_TRUE(close(output.get(), test.output, test.output_slack, 0, test.dtype)) << "apply " << what;
    EXPECT_TRUE(close(grad_input.get(), test.grad_input, test.grad_input_slack, 0, test.dtype)) << "adjoint " << what;
    if (test.dtype != PXL_F64) return; // the identity is as sharp as the precision
    const double scale = std::sqrt(inner(a, a) * inner(b, b));
    EXPECT_NEAR(inner(output.get(), b), inner(a, grad_input.get()), 1e-12 * scale) << what;
}

void check_filter(const pxl_filter &filter, const Shape &s, pxl_dtype dtype, Layout layout) {
    FilterCase test{filter, s, dtype, layout, definition(filter), {}, {}, {}, {}, {}, {}};
    const Planes &planes = test.planes;
    const int64_t h = oracle::filtered_size(s.h, planes.kernels[0].h, planes.border);
    const int64_t w = oracle::filtered_size(s.w, planes.kernels[0].w, planes.border);
    if (h < 1 || w < 1) return; // refused: test_check.cpp
    const auto channels = static_cast<int64_t>(planes.kernels.size()) * s.c;
    test.a = noise(s.n, s.c, s.h, s.w, 1, dtype);
    test.b = noise(s.n, channels, h, w, 2, dtype);
    const Planes magnitudes = absolute(planes);
    test.output = apply(planes, test.a);
    test.grad_input = apply_adjoint(planes, test.b, test.a);
    test.output_slack = scaled(apply(magnitudes, oracle::absolute(test.a)), tolerance(dtype));
    test.grad_input_slack = scaled(apply_adjoint(magnitudes, oracle::absolute(test.b), test.a), tolerance(dtype));
    for (const Way &way : tested_ways()) check_filter_on(way, test);
}

std::vector<pxl_filter> filters() {
    std::vector<pxl_filter> list;
    for (const pxl_border border : borders) {
        const auto add = [&](pxl_filter_kind kind, int neighbours, int window, double sigma) {
            pxl_filter filter = PXL_FILTER(kind);
            filter.border = border, filter.neighbours = neighbours, filter.window = window, filter.sigma = sigma;
            list.push_back(filter);
        };
        add(PXL_FILTER_SOBEL, 0, 0, 0);
        for (const int neighbours : {0, 4, 8}) add(PXL_FILTER_LAPLACIAN, neighbours, 0, 0);
        add(PXL_FILTER_BLUR, 0, 0, 1.5);
        for (const int window : {1, 3, 15, 33, 35, 101}) add(PXL_FILTER_BLUR, 0, window, 0.7 + window / 6.0);
        for (const int window : {1, 3, 7, 35}) add(PXL_FILTER_BOX, 0, window, 0);
        const auto add_axes = [&](pxl_filter_kind kind, int window, int window_x, double sigma, double sigma_x) {
            add(kind, 0, window, sigma);
            list.back().window_x = window_x, list.back().sigma_x = sigma_x;
        };
        add_axes(PXL_FILTER_BLUR, 0, 0, 2, 0.7), add_axes(PXL_FILTER_BLUR, 0, 0, 0.4, 3);
        add_axes(PXL_FILTER_BLUR, 3, 35, 1.1, 0), add_axes(PXL_FILTER_BLUR, 15, 1, 2, 1), add_axes(PXL_FILTER_BLUR, 7, 0, 1, 4);
        add_axes(PXL_FILTER_BOX, 1, 7, 0, 0), add_axes(PXL_FILTER_BOX, 35, 3, 0, 0);
        if (border != PXL_VALID) continue;
        add_axes(PXL_FILTER_BLUR, 4, 3, 1, 2), add_axes(PXL_FILTER_BOX, 3, 10, 0, 0), add_axes(PXL_FILTER_BOX, 34, 2, 0, 0);
        for (const int window : {2, 4, 10, 34}) add(PXL_FILTER_BLUR, 0, window, 0.3 * window), add(PXL_FILTER_BOX, 0, window, 0);
    }
    return list;
}

const Shape filter_shapes[] = {{1, 1, 1, 1},   {2, 3, 1, 9},   {1, 1, 11, 1}, {1, 2, 7, 5},
                               {2, 3, 37, 36}, {1, 1, 3, 300}, {1, 1, 270, 4}};

class Filter : public testing::TestWithParam<pxl_dtype> {};
TEST_P(Filter, and_its_adjoint_agree_with_the_oracle) {
    size_t i = 0;
    Turn turn(1);
    for (const pxl_filter &filter : filters())
        for (const Shape &shape : filter_shapes) {
            if (!turn.comes()) continue;
            if (filter.window > 33 && shape.n * shape.c * shape.h * shape.w > 1300) continue; // minutes of the oracle's time
            check_filter(filter, shape, GetParam(), all_layouts[i++ % std::size(all_layouts)]);
            if (HasFailure()) return;
        }
}
INSTANTIATE_TEST_SUITE_P(dtype, Filter, testing::ValuesIn(floating_types),
                         [](const auto &info) { return dtype_name(info.param); });

// 1023 taps over images of a few pixels: the border is reflected hundreds of times.
TEST(Filters, far_wider_than_the_image) {
    Turn turn(1);
    for (const pxl_border border : {PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC})
        for (const pxl_filter_kind kind : {PXL_FILTER_BLUR, PXL_FILTER_BOX}) {
            if (!turn.comes()) continue;
            pxl_filter filter = PXL_FILTER(kind);
            filter.border = border, filter.window = 1023, filter.sigma = kind == PXL_FILTER_BLUR ? 200 : 0;
            check_filter(filter, {1, 1, 3, 5}, PXL_F64, Layout::nchw);
            check_filter(filter, {1, 1, 1, 7}, PXL_F32, Layout::nchw);
        }
}

// ---- Statistics --------------------------------------------------------------------------------------------------------

struct StatisticsCase {
    pxl_term term;
    Shape shape;
    pxl_dtype dtype, statistics_dtype;
    Layout layout;
};

std::string describe(const StatisticsCase &test) {
    return expression(test.term) + " on " + std::to_string(test.shape.h) + "x" + std::to_string(test.shape.w) + ' ' +
           dtype_name(test.dtype) + ", statistics " + dtype_name(test.statistics_dtype) + ' ' + layout_name(test.layout);
}

// The images of a call forward and back, and what the oracle makes of them.
struct StatisticsReference {
    explicit StatisticsReference(const StatisticsCase &test) {
        const Shape &s = test.shape;
        const oracle::Term term = oracle::resolve(test.term);
        x = noise(s.n, s.c, s.h, s.w, 3, test.dtype);
        y = noise(s.n, s.c, s.h, s.w, 4, test.dtype);
        statistics = oracle::statistics(term, x, y);
        upstream = noise(statistics.n, statistics.c, statistics.h, statistics.w, 5, test.statistics_dtype);
        oracle::statistics_adjoint(term, x, y, upstream, grad_pred, grad_target);
    }
    oracle::Image x, y, statistics, upstream, grad_pred, grad_target;
};

// The tensors of both calls on a device.
class StatisticsCall {
  public:
    StatisticsCall(Device &device, const StatisticsCase &test, const StatisticsReference &reference)
        : device_(device),
          test_(test),
          expected_(reference),
          pred_(images(test.layout)),
          target_(images(Layout::nchw)),
          statistics_(maps()),
          grad_(maps()),
          grad_pred_(images(test.layout)),
          grad_target_(images(test.layout)) {
        pred_.set(reference.x), target_.set(reference.y), grad_.set(reference.upstream);
        EXPECT_EQ(pxl_ssim_statistics_workspace_size(context_, &test_.term, pred_.view(), target_.view(), &bytes_), PXL_OK)
            << pxl_error_message() << ' ' << describe(test_);
        workspace_ = std::make_unique<DeviceBuffer>(device, bytes_, 16);
    }

    void check_forward() {
        ASSERT_EQ(pxl_ssim_statistics(context_, &test_.term, pred_.view(), target_.view(), statistics_.view(), workspace_->data(),
                                      bytes_, nullptr),
                  PXL_OK)
            << pxl_error_message() << ' ' << describe(test_);
        // Near a zero border all statistics are small, but not the pixels that they are made of. Of a wide window twice the random
        // walk of its roundings, 2 sqrt(2 taps) u: see tolerance_of().
        oracle::Image slack = oracle::like(expected_.statistics);
        const double walk =
            2 * std::sqrt(2.0 * std::max(oracle::resolve(test_.term).window_y, oracle::resolve(test_.term).window_x));
        for (double &value : slack.v) value = test_.dtype == PXL_F64 ? 2e-15 : std::max(1e-6, walk * 5.97e-8);
        EXPECT_TRUE(close(statistics_.get(), expected_.statistics, slack, 0, test_.statistics_dtype)) << describe(test_);
        EXPECT_TRUE(statistics_.fences_intact()) << describe(test_);
    }

    // Both gradients, then each alone.
    void check_adjoint() {
        const double allowed = test_.dtype == PXL_F64 ? 1e-12 : 1e-5;
        for (const int wishes : {3, 1, 2}) {
            const bool pred = wishes & 1, target = wishes & 2;
            grad_pred_.poison(), grad_target_.poison(), workspace_->poison();
            ASSERT_EQ(pxl_ssim_statistics_adjoint(context_, &test_.term, pred_.view(), target_.view(), grad_.view(),
                                                  pred ? grad_pred_.view() : nullptr, target ? grad_target_.view() : nullptr,
                                                  workspace_->data(), bytes_, nullptr),
                      PXL_OK)
                << pxl_error_message() << ' ' << describe(test_);
            EXPECT_TRUE(!pred || close(grad_pred_.get(), expected_.grad_pred, {}, allowed, test_.dtype)) << describe(test_);
            EXPECT_TRUE(!target || close(grad_target_.get(), expected_.grad_target, {}, allowed, test_.dtype)) << describe(test_);
            EXPECT_TRUE(grad_pred_.fences_intact() && grad_target_.fences_intact()) << describe(test_);
        }
        EXPECT_TRUE(pred_.is_unchanged() && target_.is_unchanged() && grad_.is_unchanged()) << describe(test_);
        EXPECT_TRUE(workspace_->fences_intact()) << describe(test_);
    }

  private:
    Tensor images(Layout layout) const {
        const Shape &s = test_.shape;
        return Tensor(device_, layout, test_.dtype, s.n, s.c, s.h, s.w);
    }
    Tensor maps() const {
        const oracle::Image &shape = expected_.statistics;
        return Tensor(device_, test_.layout, test_.statistics_dtype, shape.n, shape.c, shape.h, shape.w);
    }

    Device &device_;
    const StatisticsCase &test_;
    const StatisticsReference &expected_;
    Tensor pred_, target_, statistics_, grad_, grad_pred_, grad_target_;
    pxl_context *context_ = context_of(device_, 2);
    size_t bytes_ = 0;
    std::unique_ptr<DeviceBuffer> workspace_;
};

void check_statistics(const StatisticsCase &test) {
    if (!oracle::fits(oracle::resolve(test.term), test.shape.h, test.shape.w)) return; // refused: test_check.cpp
    const StatisticsReference reference(test);
    for (const Way &way : tested_ways()) {
        if (!way.device->computes(test.dtype)) continue;
        const UsingWay using_way(way);
        SCOPED_TRACE(way.name());
        StatisticsCall call(*way.device, test, reference);
        call.check_forward();
        call.check_adjoint();
    }
}

TEST(Statistics, and_their_adjoint_agree_with_the_oracle) {
    size_t i = 0;
    Turn turn(3);
    for (const std::string family : {"ssim", "axes", "presets"})
        for (const pxl_term &term : specs_of(family)) {
            const oracle::Term resolved = oracle::resolve(term);
            if (resolved.downsample != 1 || term.kind != PXL_SSIM) continue;
            pxl_term how = PXL_TERM(PXL_SSIM, 1); // only what says which window
            how.window = term.window, how.window_x = term.window_x, how.sigma = term.sigma, how.sigma_x = term.sigma_x;
            how.uniform = term.uniform, how.border = term.border;
            how.sample_covariance = term.sample_covariance, how.preset = term.preset;
            for (const Shape &shape : {Shape{1, 1, 1, 1}, {2, 3, 1, 12}, {1, 2, 13, 9}, {2, 1, 35, 36}, {1, 1, 11, 270}})
                for (const pxl_dtype dtype : floating_types) {
                    const Layout layout = all_layouts[i++ % std::size(all_layouts)];
                    if (!turn.comes()) continue;
                    check_statistics({how, shape, dtype, dtype == PXL_F64 && i % 2 ? PXL_F64 : PXL_F32, layout});
                    if (HasFailure()) return;
                }
        }
}

// With more threads a workspace that is a little too small for all of them still does for fewer.
TEST(Statistics, a_workspace_for_one_thread_is_enough_for_both_ways) {
    Device &device = tested_device();
    pxl_context *context = nullptr;
    ASSERT_EQ(pxl_context_create(device.id(), 1, &context), PXL_OK);
    for (const int window : {3, 11, 33})
        for (const int64_t size : {1, 7, 16, 33, 64, 100, 640, 700})
            for (const auto &[h, w] : {std::pair{size, int64_t{40}}, {int64_t{40}, size}, {size, size / 2 + 1}}) {
                pxl_term term = PXL_TERM(PXL_SSIM, 1);
                term.window = window, term.border = PXL_REFLECT;
                Tensor x(device, Layout::nchw, PXL_F32, 1, 1, h, w), g(device, Layout::nchw, PXL_F32, 1, 1, h, w),
                    s(device, Layout::nchw, PXL_F32, 1, 5, h, w);
                size_t bytes = 0;
                ASSERT_EQ(pxl_ssim_statistics_workspace_size(context, &term, x.view(), x.view(), &bytes), PXL_OK);
                DeviceBuffer workspace(device, bytes, 16);
                EXPECT_EQ(pxl_ssim_statistics(context, &term, x.view(), x.view(), s.view(), workspace.data(), bytes, nullptr),
                          PXL_OK)
                    << pxl_error_message() << ' ' << h << 'x' << w;
                EXPECT_EQ(pxl_ssim_statistics_adjoint(context, &term, x.view(), x.view(), s.view(), g.view(), nullptr,
                                                      workspace.data(), bytes, nullptr),
                          PXL_OK)
                    << pxl_error_message() << ' ' << h << 'x' << w;
            }
    pxl_context_destroy(context);
}

// ---- Reductions --------------------------------------------------------------------------------------------------------

double reduced(pxl_reduce_kind kind, const std::vector<double> &values) {
    long double sum = 0;
    double least = values[0], most = values[0];
    for (const double value : values) {
        if (std::isnan(value)) return value;
        sum += kind == PXL_REDUCE_L1 ? std::fabs(value) : kind == PXL_REDUCE_L2 ? static_cast<long double>(value) * value : value;
        least = std::min(least, value), most = std::max(most, value);
    }
    if (kind == PXL_REDUCE_MIN) return least;
    if (kind == PXL_REDUCE_MAX) return most;
    if (kind == PXL_REDUCE_MEAN) return static_cast<double>(sum / values.size());
    return static_cast<double>(kind == PXL_REDUCE_L2 ? std::sqrt(sum) : sum);
}

std::vector<double> reduce_directly(pxl_reduce_kind kind, pxl_reduce_over over, const oracle::Image &image) {
    const int64_t count = over == PXL_OVER_ALL ? 1 : over == PXL_OVER_IMAGE ? image.n : image.n * image.c;
    const auto each = static_cast<int64_t>(image.v.size()) / count;
    std::vector<double> results;
    for (int64_t i = 0; i < count; ++i)
        results.push_back(reduced(kind, std::vector<double>(image.v.begin() + i * each, image.v.begin() + (i + 1) * each)));
    return results;
}

// The library's results, the same for every number of threads.
std::vector<double> reduce(pxl_reduce_kind kind, pxl_reduce_over over, Tensor &input, size_t count) {
    std::vector<double> results;
    for (const int threads : {1, 2, 5}) {
        pxl_context *context = context_of(tested_device(), threads);
        size_t bytes = 0;
        EXPECT_EQ(pxl_reduce_workspace_size(context, kind, over, input.view(), &bytes), PXL_OK) << pxl_error_message();
        DeviceBuffer workspace(tested_device(), bytes, 16);
        const DeviceArray<double> sums(tested_device(), count);
        EXPECT_EQ(pxl_reduce(context, kind, over, input.view(), sums.data(), workspace.data(), bytes, nullptr), PXL_OK)
            << pxl_error_message();
        const std::vector<double> now = sums.get();
        EXPECT_TRUE(workspace.fences_intact() && sums.fences_intact() && input.is_unchanged());
        for (size_t i = 0; threads > 1 && i < count; ++i) {
            const bool same = now[i] == results[i] || (std::isnan(now[i]) && std::isnan(results[i]));
            EXPECT_TRUE(same) << now[i] << ' ' << results[i];
        }
        results = now;
    }
    return results;
}

void check_reductions(const oracle::Image &image, pxl_dtype dtype, Layout layout) {
    Tensor input(tested_device(), layout, dtype, image.n, image.c, image.h, image.w);
    input.set(image);
    oracle::Image finite = input.get();
    for (double &value : finite.v) value = std::isfinite(value) ? value : 0;
    const double magnitude = reduced(PXL_REDUCE_L1, finite.v);
    for (int kind = PXL_REDUCE_SUM; kind <= PXL_REDUCE_L2; ++kind)
        for (int over = PXL_OVER_ALL; over <= PXL_OVER_CHANNEL; ++over) {
            const auto k = static_cast<pxl_reduce_kind>(kind);
            const auto o = static_cast<pxl_reduce_over>(over);
            const std::vector<double> expected = reduce_directly(k, o, input.get());
            const std::vector<double> actual = reduce(k, o, input, expected.size());
            const bool exact = k == PXL_REDUCE_MIN || k == PXL_REDUCE_MAX;
            for (size_t i = 0; i < expected.size(); ++i) {
                const std::string what = std::string(dtype_name(dtype)) + " kind " + std::to_string(kind) + " over " +
                                         std::to_string(over) + " result " + std::to_string(i) + ' ' + layout_name(layout);
                if (std::isnan(expected[i])) {
                    EXPECT_TRUE(std::isnan(actual[i])) << actual[i] << ' ' << what;
                } else if (expected[i] != actual[i]) { // sums in f64: an error of 1e-16 for each of n terms at worst
                    EXPECT_NEAR(actual[i], expected[i], exact ? 0 : 1e-14 * magnitude) << what;
                }
            }
        }
}

TEST(Reduce, agrees_with_direct_sums_for_every_type_and_layout) {
    Turn turn(5);
    for (const pxl_dtype dtype : {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16})
        for (const Layout layout : all_layouts)
            for (const Shape &s : {Shape{1, 1, 1, 1}, {2, 3, 17, 19}, {1, 2, 131, 257}, {3, 1, 1, 700}}) {
                if (!turn.comes()) continue;
                oracle::Image image = noise(s.n, s.c, s.h, s.w, 8, PXL_F64);
                if (!is_floating(dtype))
                    for (double &value : image.v) value = std::floor((value + 1) * 127);
                check_reductions(image, dtype, layout);
                if (HasFailure()) return;
            }
}

TEST(Reduce, nan_anywhere_gives_nan) {
    for (const pxl_dtype dtype : floating_types)
        for (const size_t at : {size_t{0}, size_t{500}, size_t{2 * 2 * 17 * 19 - 1}}) {
            oracle::Image image = noise(2, 2, 17, 19, 8, dtype);
            image.v[at] = std::numeric_limits<double>::quiet_NaN();
            check_reductions(image, dtype, Layout::nchw);
        }
}

TEST(Reduce, infinities_are_numbers) {
    oracle::Image image = noise(1, 2, 17, 19, 8, PXL_F32);
    image.v[40] = std::numeric_limits<double>::infinity();
    check_reductions(image, PXL_F32, Layout::nhwc);
}

TEST(Reduce, sums_of_large_and_small_keep_their_digits) {
    oracle::Image image(1, 1, 100, 1000, 1e-3);
    image.v[0] = 1e7;
    check_reductions(rounded(image, PXL_F32), PXL_F32, Layout::nchw);
}

} // namespace
