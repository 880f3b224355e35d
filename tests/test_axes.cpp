// A window of its own along each axis, window=11:5: how it is written, named and refused, and what tests of terms do not reach.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "make_case.h"

namespace {

// ---- Expressions and structs -------------------------------------------------------------------------------------------

std::string name_of(pxl_loss *loss) {
    const std::string name = loss ? pxl_loss_term_name(loss, 0) : pxl_error_message();
    pxl_loss_destroy(loss);
    return name;
}
// The name of its first term, or why it is refused.
std::string parsed(const std::string &expression) {
    pxl_loss *loss = nullptr;
    pxl_loss_parse(expression.c_str(), nullptr, &loss);
    return name_of(loss);
}
std::string created(pxl_term_kind kind, const std::function<void(pxl_term &)> &edit) {
    pxl_loss *loss = nullptr;
    pxl_term term = PXL_TERM(kind, 1);
    edit(term);
    pxl_loss_create(&term, 1, &loss);
    return name_of(loss);
}

using Pairs = std::vector<std::pair<const char *, const char *>>;

TEST(Axes, have_a_name_that_parses_back) {
    const Pairs cases = {
        {"ssim(window=11:5)", "ssim(window=11:5)"},
        {"ssim(window=5 : 11, uniform)", "ssim(window=5:11, uniform)"},
        {"ssim(window=11:11)", "ssim"},
        {"ssim(window=7:7, sigma=2:2)", "ssim(window=7, sigma=2)"},
        {"ssim(sigma=1.5:0.8)", "ssim(sigma=1.5:0.8)"},
        {"ssim(sigma=1.5:1.5, window=11:5)", "ssim(window=11:5)"},
        {"ssim(preset=torchmetrics, sigma=1.5:0.8, window=11:7)", "ssim(preset=torchmetrics, sigma=1.5:0.8)"},
        {"ssim(preset=torchmetrics, sigma=1.5:0.8, window=11)", "ssim(preset=torchmetrics, window=11, sigma=1.5:0.8)"},
        {"ssim(preset=skimage, window=7:5)", "ssim(preset=skimage, window=7:5)"},
        {"ssim(preset=skimage, sigma=1:2)", "ssim(preset=skimage, sigma=1:2)"},
        {"ms_ssim(window=7:5)", "ms_ssim(window=7:5)"},
        {"blur(sigma=2:1)", "blur(sigma=2:1)"},
        {"blur(sigma=2:1, window=15:7)", "blur(window=15:7, sigma=2:1)"},
        {"blur(sigma=2:1, window=15:9)", "blur(sigma=2:1)"},
        {"blur(window=11:5)", "blur(window=11:5)"},
        {"structure(window=3:65)", "structure(window=3:65)"},
    };
    for (const auto &[expression, name] : cases) {
        EXPECT_EQ(parsed(expression), name);
        EXPECT_EQ(parsed(name), name);
    }
}

TEST(Axes, say_what_is_wrong_with_an_expression) {
    const Pairs cases = {
        {"ssim(window=11:)", "column 16: expected the horizontal value of window after the ':', found ')'"},
        {"ssim(window=11:, border=zero)", "column 16: expected the horizontal value of window after the ':', found ','"},
        {"ssim(window=11:x)", "column 16: expected the horizontal value of window after the ':', found 'x'"},
        {"ssim(window=:5)", "column 13: expected a number, found ':'"},
        {"ssim(window=(11, 5))", "column 13: expected a number, or vertical:horizontal, found '('"},
        {"ssim(window=[11, 5])", "column 13: expected a number, or vertical:horizontal, found '['"},
        {"ssim(window=11:5:3)", "column 17: window has two values at most, vertical:horizontal"},
        {"blur(sigma=1.5:0.8:2)", "column 19: sigma has two values at most, vertical:horizontal"},
        {"ssim(k1=0.1:0.2)", "column 12: expected ',' or ')', found ':'"},
        {"ssim(downsample=2:3)", "column 18: expected ',' or ')', found ':'"},
        {"ssim(window=11:4)", "column 6: the second of window is 4; an odd number from 3 to 65 is needed"},
        {"ssim(window=4:11)", "column 6: window is 4; an odd number from 3 to 65 is needed"},
        {"ssim(window=11:67)", "column 6: the second of window is 67; an odd number from 3 to 65 is needed"},
        {"ssim(window=11:0)", "column 16: window is 0; a number above 0 is needed"},
        {"ssim(window=11:-5)", "column 16: window is -5; a number above 0 is needed"},
        {"ssim(window=11:5.5)", "column 16: window is 5.5; a whole number up to 2147483647 is needed"},
        {"blur(sigma=1:1000)",
         "column 6: the second of sigma is 1000, which takes 7001 taps; at most 1023 are allowed: give a "
         "smaller sigma or a window"},
        {"ssim(preset=torchmetrics, sigma=1:10)",
         "column 27: the second of sigma is 10, which takes 71 taps; at most 65 are "
         "allowed: give a smaller sigma or a window"},
        {"ssim(uniform, sigma=2:1)", "column 15: sigma is 2, but a uniform window has no sigma"},
        {"ssim(11:5)", "column 6: expected an argument, found '11:5'; did you mean 'ssim(window=11:5)'?"},
        {"blur(1.5:0.8)", "column 6: expected an argument, found '1.5:0.8'; did you mean 'blur(sigma=1.5:0.8)'?"},
        {"ssim(window=11, 5)", "column 17: expected an argument, found '5'; did you mean 'window=11:5'?"},
        {"blur(sigma=1.5, 0.8)", "column 17: expected an argument, found '0.8'; did you mean 'sigma=1.5:0.8'?"},
        {"ssim(window=11:5, 3)", "column 19: expected an argument, found '3'"},
        {"huber(1:2)", "column 7: expected an argument, found '1'; did you mean 'huber(delta=1)'?"},
    };
    for (const auto &[expression, message] : cases) EXPECT_EQ(parsed(expression), message);
}

TEST(Axes, of_a_struct_are_checked) {
    EXPECT_EQ(created(PXL_SSIM, [](pxl_term &t) { t.window = 11, t.window_x = 5; }), "ssim(window=11:5)");
    EXPECT_EQ(created(PXL_SSIM, [](pxl_term &t) { t.window = t.window_x = 9; }), "ssim(window=9)");
    EXPECT_EQ(created(PXL_BLUR, [](pxl_term &t) { t.sigma = 1.5, t.sigma_x = 0.5; }), "blur(sigma=1.5:0.5)");
    EXPECT_EQ(created(PXL_SSIM, [](pxl_term &t) { t.window = 11, t.window_x = 4; }),
              "terms[0].window_x is 4; an odd number from 3 to 65 is needed");
    EXPECT_EQ(created(PXL_SSIM, [](pxl_term &t) { t.window_x = 5; }),
              "terms[0].window_x is 5, but window is not given, which it goes with");
    EXPECT_EQ(created(PXL_BLUR, [](pxl_term &t) { t.sigma_x = 2; }),
              "terms[0].sigma_x is 2, but sigma is not given, which it goes with");
    for (const double bad : {nan_value, infinity, -0.5})
        EXPECT_NE(created(PXL_SSIM, [&](pxl_term &t) { t.sigma = 1, t.sigma_x = bad; })
                      .find("; a finite number above 0 is needed (0: as along columns)"),
                  std::string::npos);
    EXPECT_EQ(created(PXL_SOBEL, [](pxl_term &t) { t.window_x = 3; }), "terms[0].window_x is 3, but sobel has no window");
    EXPECT_EQ(created(PXL_PIXEL, [](pxl_term &t) { t.sigma_x = 1.5; }), "terms[0].sigma_x is 1.5, but pixel has no sigma");
}

// ---- Sizes -------------------------------------------------------------------------------------------------------------

// What an evaluation on images of 20 x 24 is refused with; "" if it is not.
std::string fits(const char *expression) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_parse(expression, nullptr, &loss), PXL_OK) << pxl_error_message();
    std::vector<float> pixels(20 * 24);
    const pxl_tensor image = pxl_nchw(pixels.data(), PXL_F32, PXL_CPU_DEVICE, 1, 1, 20, 24);
    pxl_args args = PXL_ARGS(&image, &image);
    double values[3];
    size_t bytes;
    args.values = values;
    const pxl_status status = pxl_workspace_size(nullptr, loss, &args, &bytes);
    pxl_loss_destroy(loss);
    return status == PXL_OK ? "" : pxl_error_message();
}
TEST(Axes, take_an_image_as_large_as_each) {
    const std::string pred = "pred is 20 x 24 pixels; term 0, ";
    EXPECT_EQ(fits("ssim(window=5:25)"), pred + "ssim(window=5:25), needs at least 5 x 25");
    EXPECT_EQ(fits("ssim(window=21:5)"), pred + "ssim(window=21:5), needs at least 21 x 5");
    EXPECT_EQ(fits("blur(sigma=0.5:4, border=valid)"), pred + "blur(border=valid, sigma=0.5:4), needs at least 5 x 29");
    EXPECT_EQ(fits("ms_ssim(window=3:7)"), pred + "ms_ssim(window=3:7), needs at least 33 x 97, or scales=auto");
    EXPECT_EQ(fits("ms_ssim(window=3:7, scales=2)"), "");
    EXPECT_EQ(fits("ssim(window=11:5, downsample=2)"), pred + "ssim(window=11:5, downsample=2), needs at least 22 x 10");
    EXPECT_EQ(fits("ssim(window=19:23) + blur(window=15:23, border=valid)"), "");
    EXPECT_EQ(fits("ssim(preset=vainf, window=21:25)"), "");
}
TEST(Axes, crop_a_map_each_by_its_own) {
    pxl_loss *loss = nullptr;
    ASSERT_EQ(pxl_loss_parse("ssim(window=11:5)", nullptr, &loss), PXL_OK);
    std::vector<float> pixels(2 * 3 * 20 * 24);
    const pxl_tensor image = pxl_nchw(pixels.data(), PXL_F32, PXL_CPU_DEVICE, 2, 3, 20, 24);
    int64_t size[4];
    EXPECT_EQ(pxl_map_size(loss, &image, size), PXL_OK) << pxl_error_message();
    EXPECT_EQ(std::vector<int64_t>(size, size + 4), (std::vector<int64_t>{2, 3, 10, 20}));
    pxl_loss_destroy(loss);
}

TEST(Axes, of_a_filter_are_checked) {
    std::vector<float> pixels(2 * 20 * 24);
    const pxl_tensor input = pxl_nchw(pixels.data(), PXL_F32, PXL_CPU_DEVICE, 1, 1, 20, 24);
    const pxl_tensor output = pxl_nchw(pixels.data() + 20 * 24, PXL_F32, PXL_CPU_DEVICE, 1, 1, 20, 24);
    const auto refused = [&](pxl_filter_kind kind, const std::function<void(pxl_filter &)> &edit) -> std::string {
        pxl_filter filter = PXL_FILTER(kind);
        size_t bytes;
        edit(filter);
        return pxl_filter_workspace_size(nullptr, &filter, &input, &output, &bytes) ? pxl_error_message() : "";
    };
    EXPECT_EQ(refused(PXL_FILTER_BLUR, [](pxl_filter &f) { f.sigma = 1, f.sigma_x = 2; }), "");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.window = 3, f.window_x = 1; }), "");
    EXPECT_EQ(refused(PXL_FILTER_BLUR, [](pxl_filter &f) { f.sigma = 1, f.sigma_x = -1; }),
              "filter.sigma_x is -1; a finite number above 0 is needed (0: as sigma)");
    EXPECT_EQ(refused(PXL_FILTER_BLUR, [](pxl_filter &f) { f.sigma = 1, f.sigma_x = 1000; }),
              "filter.sigma_x is 1000, which takes 7001 taps; at most 1023 are allowed");
    EXPECT_EQ(refused(PXL_FILTER_BLUR, [](pxl_filter &f) { f.sigma = 1, f.window = 3, f.window_x = 4; }),
              "filter.window_x is 4; an even number is allowed with border = valid only");
    EXPECT_EQ(refused(PXL_FILTER_BLUR, [](pxl_filter &f) { f.sigma = 1, f.window_x = 3; }),
              "filter.window_x is 3, but window is not given, which it goes with");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.window = 3, f.window_x = 1025; }),
              "filter.window_x is 1025; 1 to 1023 is needed");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.window = 3, f.window_x = -1; }),
              "filter.window_x is -1; 1 to 1023 is needed");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.window = 3, f.sigma_x = 1; }),
              "filter.sigma_x is 1, but only blur has one");
    EXPECT_EQ(refused(PXL_FILTER_SOBEL, [](pxl_filter &f) { f.window_x = 3; }),
              "filter.window_x is 3, but only blur and box have one");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.border = PXL_VALID, f.window = 3, f.window_x = 25; }),
              "input is 20 x 24 pixels; the filter with border = valid needs at least 3 x 25");
    EXPECT_EQ(refused(PXL_FILTER_BOX, [](pxl_filter &f) { f.border = PXL_VALID, f.window = 3, f.window_x = 5; }),
              "output.size[2] is 20; 18 is needed, N x C x H' x W'");
}

// ---- Values ------------------------------------------------------------------------------------------------------------

pxl_term with_axes(pxl_term_kind kind, int window, int window_x, pxl_border border) {
    pxl_term term = PXL_TERM(kind, 1);
    term.window = window, term.window_x = window_x, term.border = border;
    return term;
}
void expect_agrees(const Case &test) {
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    for (const Way &way : tested_ways()) {
        if (!way.device->computes(test.dtype)) continue;
        ASSERT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name() << ' ' << describe(test);
    }
}

// Images that the CPU turns on their side, with their windows: one of them with every output, one of several windows and blurs.
TEST(AxesTerms, of_narrow_images_agree_with_the_oracle) {
    std::mt19937 random(3);
    Turn turn(2);
    for (const pxl_border border : {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE})
        for (const auto &[window, window_x] : {std::pair{11, 5}, {3, 7}, {5, 3}})
            for (const Shape &shape : {Shape{1, 2, 70, 7}, {2, 1, 129, 32}, {1, 1, 600, 9}})
                for (const bool several : {false, true}) {
                    Case test = make_case({with_axes(PXL_SSIM, window, window_x, border)}, shape);
                    pxl_term blur = with_axes(PXL_BLUR, 0, 0, border), scales = with_axes(PXL_MS_SSIM, 3, 5, border);
                    blur.sigma = 0.4, blur.sigma_x = 0.7, scales.scales = PXL_SCALES_AUTO;
                    if (several) test.terms.insert(test.terms.end(), {blur, with_axes(PXL_STRUCTURE, 3, 5, border), scales});
                    if (!several) test.map = test.statistics = true;
                    vary_delivery(test, random);
                    test.grad_pred = test.grad_target = true;
                    if (!several) test.mask = static_cast<Mask>(random() % 3);
                    if (turn.comes()) expect_agrees(test);
                    if (HasFailure()) return;
                }
}

// One row, of which the CPU has a way of its own, and one column.
TEST(AxesTerms, of_lines_agree_with_the_oracle) {
    for (const pxl_border border : {PXL_ZERO, PXL_REFLECT, PXL_REPLICATE})
        for (const auto &[window, window_x] : {std::pair{11, 5}, {3, 17}, {65, 3}})
            for (const Shape &shape : {Shape{1, 2, 1, 70}, {1, 1, 1, 9}, {1, 1, 90, 1}, {1, 1, 1, 1}})
                for (const bool mixed : {false, true}) {
                    Case test = make_case({with_axes(PXL_SSIM, window, window_x, border)}, shape, mixed ? PXL_F64 : PXL_F32);
                    if (mixed) test.terms.push_back(with_axes(PXL_BLUR, window, window_x, border));
                    expect_agrees(test);
                    if (HasFailure()) return;
                }
}

// Strips and segments, whose halo is laid out by the wider axis.
TEST(AxesTerms, of_strips_and_segments_agree_with_the_oracle) {
    for (const pxl_border border : {PXL_ZERO, PXL_REFLECT})
        for (const auto &[window, window_x] : {std::pair{3, 33}, {33, 3}}) {
            Case test = make_case({with_axes(PXL_SSIM, window, window_x, border)}, {1, 1, 12, 1000});
            expect_agrees(test);
            test.shape = {1, 1, 400, 34};
            expect_agrees(test);
            test.terms = {with_axes(PXL_BLUR, window, window_x, border)};
            expect_agrees(test);
        }
}

// A pixel that is not finite spoils what has it in a window, and the gradients of what shares a window with that, no more: no pixel
// outside of an axis' window is multiplied by 0.
const Shape spoilt_shape{1, 1, 60, 61};
constexpr int64_t spoilt_y = 30, spoilt_x = 31;

// Outside of reach_y and reach_x around the pixel `actual`, whose first element lies at first_y and first_x, is `expected`.
testing::AssertionResult same_beyond(int64_t reach_y, int64_t reach_x, int64_t first_y, int64_t first_x,
                                     const oracle::Image &actual, const oracle::Image &expected) {
    const double most = 1e-4 * oracle::max_abs(expected);
    for (int64_t y = 0; y < actual.h; ++y)
        for (int64_t x = 0; x < actual.w; ++x) {
            if (std::llabs(y + first_y - spoilt_y) <= reach_y && std::llabs(x + first_x - spoilt_x) <= reach_x) continue;
            const double a = actual.at(0, 0, y, x), b = expected.at(0, 0, y, x);
            if (!(std::fabs(a - b) <= most))
                return testing::AssertionFailure() << a << " instead of " << b << " at " << y << ' ' << x;
        }
    return testing::AssertionSuccess();
}
void expect_spoils_no_more(const pxl_term &term, double value, pxl_dtype dtype) {
    Case test = make_case({term}, spoilt_shape, dtype);
    test.map = term.kind != PXL_BLUR;
    oracle::Inputs inputs = make_inputs(test);
    const Outcome clean = run(test, inputs);
    inputs.pred.at(0, 0, spoilt_y, spoilt_x) = value;
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    const int64_t y = term.window / 2, x = term.window_x / 2, crops = term.border == PXL_VALID;
    EXPECT_TRUE(!test.map || same_beyond(y, x, crops * y, crops * x, outcome.map, clean.map)) << describe(test);
    EXPECT_TRUE(same_beyond(2 * y, 2 * x, 0, 0, outcome.grad_pred, clean.grad_pred)) << describe(test);
    EXPECT_TRUE(same_beyond(2 * y, 2 * x, 0, 0, outcome.grad_target, clean.grad_target)) << describe(test);
    EXPECT_FALSE(std::isfinite(outcome.grad_pred.at(0, 0, spoilt_y, spoilt_x))) << describe(test);
}
TEST(AxesNotFinite, do_not_see_what_lies_outside_of_them) {
    for (const pxl_term_kind kind : {PXL_SSIM, PXL_STRUCTURE, PXL_BLUR})
        for (const pxl_border border : {PXL_VALID, PXL_ZERO, PXL_REFLECT})
            for (const auto &[window, window_x] : {std::pair{11, 3}, {3, 11}, {7, 13}, {17, 5}})
                for (const pxl_dtype dtype : {PXL_F32, PXL_F64}) {
                    if (!tested_device().computes(dtype)) continue;
                    expect_spoils_no_more(with_axes(kind, window, window_x, border), nan_value, dtype);
                    expect_spoils_no_more(with_axes(kind, window, window_x, border), infinity, dtype);
                    if (HasFailure()) return;
                }
}

// An axis that vainf does not smooth reads the pixel alone.
TEST(AxesNotFinite, that_are_not_smoothed_do_not_see_their_neighbours) {
    Case test = make_case({windowed(PXL_SSIM, "vainf")}, {1, 1, 9, 40});
    test.map = true;
    oracle::Inputs inputs = make_inputs(test);
    inputs.pred.at(0, 0, 4, 20) = nan_value;
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    for (int64_t y = 0; y < 9; ++y)
        for (int64_t x = 0; x < 40; ++x) {
            const bool spoilt = y == 4 && std::llabs(x - 20) <= 10;
            EXPECT_EQ(std::isfinite(outcome.grad_pred.at(0, 0, y, x)), !spoilt) << y << ' ' << x;
        }
}

} // namespace
