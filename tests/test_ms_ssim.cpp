// MS-SSIM against the oracle, which halves the images themselves, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>

#include "make_case.h"

namespace {

pxl_term ms_ssim(int window, int scales, const char *preset = nullptr) {
    pxl_term term = PXL_TERM(PXL_MS_SSIM, 1);
    term.window = window, term.scales = scales, term.preset = preset;
    return term;
}
void expect_agrees(const Case &test, const oracle::Inputs &inputs) {
    const oracle::Result expected = reference(test, inputs);
    for (const Way &way : tested_ways())
        if (way.device->computes(test.dtype)) {
            EXPECT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name();
        }
}
void expect_agrees(const Case &test) { expect_agrees(test, make_inputs(test)); }

const char *const presets[] = {nullptr, "wang", "vainf", "tf", "torchmetrics", "piq"};
const Shape shapes[] = {{2, 3, 40, 48}, {1, 2, 45, 37}, {2, 1, 41, 52}, {1, 1, 34, 67}, {1, 1, 37, 700}};

// Even and odd sizes on either axis, strips; every preset's way to halve them; the types and layouts of images and gradients.
class MsSsim : public testing::TestWithParam<int> {};
TEST_P(MsSsim, agrees_with_the_oracle) {
    std::mt19937 random(11);
    const char *const preset = presets[GetParam()];
    Turn turn(2);
    for (const Shape &shape : shapes)
        for (const int scales : {1, 2, 3})
            for (const pxl_dtype dtype : {PXL_F64, PXL_F32, PXL_F16}) {
                Case test =
                    make_case({ms_ssim(preset && preset == std::string("torchmetrics") ? 0 : 7, scales, preset)}, shape, dtype);
                if (preset && preset == std::string("torchmetrics")) test.terms[0].sigma = 1; // 9 taps
                if (scales == 2) test.terms[0].data_range = PXL_FROM_DATA;
                vary_delivery(test, random);
                test.per_image = random() % 2, test.upstream = Upstream::given;
                test.grad_pred = test.grad_target = true;
                test.pattern = static_cast<Pattern>(random() % 4);
                if (turn.comes()) expect_agrees(test);
            }
}
INSTANTIATE_TEST_SUITE_P(preset, MsSsim, testing::Range(0, 6),
                         [](const auto &info) { return std::string(presets[info.param] ? presets[info.param] : "none"); });

TEST(MsSsimTerms, of_any_window_agree_with_the_oracle) {
    std::mt19937 random(5);
    for (const pxl_border border : {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC})
        for (const int window : {3, 5, 11}) {
            pxl_term term = ms_ssim(window, 2);
            term.border = border, term.uniform = window == 5, term.sample_covariance = window == 5;
            term.reduction = static_cast<pxl_reduction>(random() % 3);
            if (window == 3) term.data_range = 2.5, term.k2 = 0.1, term.weights = "0.3:0.5:0.2";
            Case test = make_case({term}, {1, 2, 33, 46});
            test.grad_target = true;
            expect_agrees(test);
        }
    Case line = make_case({ms_ssim(3, 2)}, {1, 1, 1, 90}); // one row at every scale
    line.terms[0].border = PXL_REFLECT;
    expect_agrees(line);
}

// The five standard scales of Gaussian windows, as most will use it.
TEST(MsSsimTerms, by_default_agree_with_the_oracle) {
    for (const pxl_dtype dtype : {PXL_F32, PXL_U8}) {
        Case test = make_case({PXL_TERM(PXL_MS_SSIM, 1)}, {1, 1, 163, 180}, dtype);
        if (dtype == PXL_U8) test.grad_pred = false;
        expect_agrees(test);
    }
}

TEST(MsSsimTerms, beside_others_agree_with_the_oracle) {
    const pxl_term half = ms_ssim(7, 2, "piq");
    std::vector<pxl_term> mixture = {weighted(0.84, ms_ssim(7, 3)), weighted(0.16, pixel(PXL_L1)),
                                     weighted(0.1, PXL_TERM(PXL_SOBEL, 1))};
    for (const pxl_dtype grad_dtype : {PXL_F32, PXL_F16}) {
        Case test = make_case(mixture, {2, 2, 45, 50}, PXL_F16);
        test.grad_dtype = grad_dtype, test.grad_target = true, test.per_image = true;
        expect_agrees(test);
    }
    pxl_term blocks = PXL_TERM(PXL_SSIM, 0.5);
    blocks.downsample = 2, blocks.window = 5;
    expect_agrees(make_case({weighted(0.3, ms_ssim(7, 2)), weighted(-0.2, half), blocks}, {1, 1, 40, 51}));
    expect_agrees(make_case({weighted(0.3, ms_ssim(7, 2)), weighted(0, half)}, {1, 1, 40, 51}));
    expect_agrees(make_case({weighted(0, ms_ssim(7, 2))}, {1, 1, 40, 51}));
}

// These ride: they are charged while the finest gradient is weighed.
TEST(MsSsimTerms, beside_terms_on_pixels_agree_with_the_oracle) {
    pxl_term rmse = weighted(-0.3, PXL_TERM(PXL_RMSE, 1));
    rmse.mean_of_images = 1;
    const std::vector<pxl_term> riders[] = {{weighted(0.16, pixel(PXL_L1))},
                                            {pixel(PXL_CHARBONNIER), rmse, weighted(0, pixel(PXL_L2)), PXL_TERM(PXL_PSNR, 0.01)},
                                            {weighted(0.5, ms_ssim(5, 1)), weighted(0.1, pixel(PXL_HUBER))}};
    for (const std::vector<pxl_term> &others : riders)
        for (const int scales : {1, 3})
            for (const bool both : {false, true}) {
                Case test = make_case({ms_ssim(7, scales)}, both ? Shape{2, 3, 45, 50} : Shape{3, 2, 29, 52});
                test.terms.insert(test.terms.end(), others.begin(), others.end());
                test.grad_target = test.per_image = test.accumulate = both;
                if (both) test.grad_dtype = PXL_F16, test.pred_layout = Layout::nhwc, test.grad_layout = Layout::crop;
                expect_agrees(test);
                test.grad_pred = both, test.grad_target = !both;
                expect_agrees(test);
            }
}

TEST(MsSsimTerms, have_as_many_scales_as_fit) {
    for (const char *preset : presets)
        for (const int64_t size : {11, 21, 22, 40, 41, 81})
            expect_agrees(make_case({ms_ssim(0, PXL_SCALES_AUTO, preset)}, {1, 1, size, size + 3}));
    pxl_term extended = ms_ssim(0, PXL_SCALES_AUTO);
    extended.border = PXL_REFLECT; // windows fit any image: all scales are taken
    expect_agrees(make_case({extended}, {1, 1, 20, 33}));
}

// torchmetrics takes a range of 0, then, and gives 0/0; the limit is the luminance of the last scale.
TEST(MsSsimTerms, of_constant_images_in_torchmetrics_own_range) {
    const double pairs[][2] = {{0.5, 0.25}, {200, 3}, {1e-3, 0.7}};
    for (const auto &pair : pairs)
        for (const pxl_dtype dtype : {PXL_F64, PXL_F32}) {
            const Case test = make_case({ms_ssim(0, 0, "torchmetrics")}, {1, 2, 88, 91}, dtype);
            oracle::Inputs inputs = make_inputs(test);
            for (double &value : inputs.pred.v) value = pair[0];
            for (double &value : inputs.target.v) value = pair[1];
            inputs.pred = rounded(inputs.pred, dtype), inputs.target = rounded(inputs.target, dtype);
            const double x = inputs.pred.v[0], y = inputs.target.v[0];
            const double expected = 1 - std::pow(2 * x * y / (x * x + y * y), 0.1333);
            for (const Way &way : tested_ways())
                if (way.device->computes(dtype)) {
                    EXPECT_NEAR(run(way, test, inputs).values[1], expected, 1e-5 * expected)
                        << way.name() << ' ' << x << ' ' << y;
                }
        }
}

void expect_clamped(const Case &test, const oracle::Inputs &inputs) {
    const oracle::Result expected = reference(test, inputs);
    for (const Way &way : tested_ways()) {
        if (!way.device->computes(test.dtype)) continue;
        const Outcome outcome = run(way, test, inputs);
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        const double at = outcome.grad_pred.at(0, 0, 8, 9);
        if (test.terms[0].clamp == PXL_CLAMP_NONE) {
            EXPECT_TRUE(std::isnan(outcome.values[0])) << way.name();
            EXPECT_TRUE(std::isnan(at)) << way.name();
            EXPECT_FALSE(std::isnan(outcome.grad_pred.at(1, 0, 8, 9))) << way.name();
            continue;
        }
        EXPECT_TRUE(agrees(test, outcome, expected)) << way.name();
        if (test.terms[0].clamp == PXL_CLAMP_RELU) {
            EXPECT_EQ(at, 0) << way.name();
        }
    }
}
// Images whose factors are below 0 at some scales: inverted ones.
TEST(MsSsimTerms, clamp_factors_that_are_not_above_0) {
    for (const pxl_clamp clamp : {PXL_CLAMP_EPS, PXL_CLAMP_RELU, PXL_CLAMP_SIMPLE, PXL_CLAMP_NONE})
        for (const char *preset : {static_cast<const char *>(nullptr), "torchmetrics"}) {
            pxl_term term = ms_ssim(0, 2, preset);
            term.sigma = 1, term.clamp = clamp, term.data_range = 1;
            for (const pxl_dtype dtype : {PXL_F64, PXL_F32}) {
                const Case test = make_case({term}, {2, 2, 30, 31}, dtype);
                oracle::Inputs inputs = make_inputs(test);
                for (size_t i = 0; i < inputs.pred.v.size() / 4; ++i)
                    inputs.pred.v[i] = round_to(dtype, 1 - inputs.target.v[i]); // one channel of an image
                expect_clamped(test, inputs);
            }
        }
}

TEST(MsSsimTerms, of_equal_images_are_exactly_0) {
    Case test = make_case({ms_ssim(5, 3)}, {2, 2, 40, 41});
    test.grad_target = true;
    oracle::Inputs inputs = make_inputs(test);
    inputs.pred = inputs.target;
    for (const Way &way : tested_ways()) {
        const Outcome outcome = run(way, test, inputs);
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        EXPECT_EQ(outcome.values[1], 0) << way.name();
        EXPECT_EQ(oracle::max_abs(outcome.grad_pred), 0) << way.name();
        EXPECT_EQ(oracle::max_abs(outcome.grad_target), 0) << way.name();
    }
}

// Halved images rounded one by one would lose their difference: 1 - MS-SSIM of 1e-8 would be off by 1e-4.
TEST(MsSsimTerms, of_nearly_equal_images_have_five_digits) {
    for (const double offset : {0.0, 10.0, 100.0})
        for (const double strength : {1e-2, 1e-3, 2e-4}) {
            Case test = make_case({ms_ssim(0, 3)}, {1, 1, 60, 70});
            test.grad_target = true;
            oracle::Inputs inputs = make_inputs(test);
            std::mt19937 random(3);
            for (size_t i = 0; i < inputs.pred.v.size(); ++i) {
                inputs.target.v[i] = static_cast<float>(offset + inputs.target.v[i]);
                inputs.pred.v[i] =
                    static_cast<float>(inputs.target.v[i] + strength * (static_cast<double>(random() % 1024) / 1024 - 0.5));
            }
            const oracle::Result expected = oracle::evaluate(resolve_all(test.terms), inputs);
            for (const Way &way : tested_ways()) {
                const Outcome outcome = run(way, test, inputs);
                ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
                EXPECT_NEAR(outcome.values[1] / expected.values[1], 1, 1e-5)
                    << way.name() << ' ' << offset << ' ' << strength << ' ' << expected.values[1];
                EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 1e-4, PXL_F32))
                    << way.name() << ' ' << offset << ' ' << strength;
            }
        }
}

// The largest error among pixels far from the first one, relative to the largest gradient there.
double error_far_away(const oracle::Image &actual, const oracle::Image &expected) {
    double error = 0, largest = 0;
    for (int64_t y = 40; y < expected.h; ++y)
        for (int64_t x = 45; x < expected.w; ++x) {
            error = std::max(error, std::fabs(actual.at(0, 0, y, x) - expected.at(0, 0, y, x)));
            largest = std::max(largest, std::fabs(expected.at(0, 0, y, x)));
        }
    return error / largest;
}
// One pixel far from all others, the first of the plane.
TEST(MsSsimTerms, keep_their_digits_beside_an_outlier) {
    for (const double outlier : {1.0, 1e3, 1e5}) {
        Case test = make_case({ms_ssim(0, 3)}, {1, 1, 80, 90});
        oracle::Inputs inputs = make_inputs(test);
        std::mt19937 random(3);
        for (size_t i = 0; i < inputs.pred.v.size(); ++i)
            inputs.pred.v[i] =
                static_cast<float>(inputs.target.v[i] + 1e-3 * (static_cast<double>(random() % 1024) / 1024 - 0.5));
        inputs.pred.v[0] = outlier, inputs.target.v[0] = outlier == 1 ? 0 : outlier;
        const oracle::Result expected = oracle::evaluate(resolve_all(test.terms), inputs);
        for (const Way &way : tested_ways()) {
            const Outcome outcome = run(way, test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_NEAR(outcome.values[1] / expected.values[1], 1, 1e-5) << way.name() << ' ' << outlier;
            EXPECT_LT(error_far_away(outcome.grad_pred, expected.grad_pred), 1e-3) << way.name() << ' ' << outlier;
        }
    }
}
// Where four pixels add up to more than the type holds, and where a gradient of a sum would be, the mean's is not.
TEST(MsSsimTerms, of_any_magnitude_agree_with_the_oracle) {
    for (const double unit : {0x1p126, 0x1p-110}) {
        pxl_term term = ms_ssim(7, 3);
        term.data_range = unit;
        Case test = make_case({term}, {1, 1, 41, 44});
        oracle::Inputs inputs = make_inputs(test);
        for (oracle::Image *image : {&inputs.pred, &inputs.target})
            for (double &value : image->v) value = static_cast<float>(unit * (0.5 + value / 2));
        const oracle::Result expected = oracle::evaluate(resolve_all(test.terms), inputs);
        for (const Way &way : tested_ways()) {
            const Outcome outcome = run(way, test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_NEAR(outcome.values[1] / expected.values[1], 1, 1e-5) << way.name() << ' ' << unit;
            for (const double g : outcome.grad_pred.v) ASSERT_TRUE(std::isfinite(g)) << way.name() << ' ' << unit;
        }
    }
}

TEST(MsSsimTerms, carry_nan_to_value_and_gradient_of_its_image_alone) {
    Case test = make_case({ms_ssim(5, 2)}, {2, 1, 30, 31});
    test.per_image = true;
    oracle::Inputs inputs = make_inputs(test);
    inputs.per_image = true;
    oracle::Inputs broken = inputs;
    broken.pred.at(1, 0, 9, 8) = nan_value;
    for (const Way &way : tested_ways()) {
        const Outcome clean = run(way, test, inputs), outcome = run(way, test, broken);
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        EXPECT_EQ(outcome.values[1], clean.values[1]) << way.name();
        EXPECT_TRUE(std::isnan(outcome.values[3])) << way.name();
        EXPECT_TRUE(std::isnan(outcome.grad_pred.at(1, 0, 9, 8))) << way.name();
        EXPECT_EQ(oracle::slice(outcome.grad_pred, 0).v, oracle::slice(clean.grad_pred, 0).v) << way.name();
    }
}

// Central differences know nothing of either derivation.
TEST(MsSsimTerms, gradients_are_those_of_the_value) {
    for (const char *preset : presets) {
        pxl_term term = ms_ssim(0, 2, preset);
        term.sigma = 0.8, term.window = 5, term.data_range = 1;
        Case test = make_case({term}, {1, 2, 13, 15}, PXL_F64);
        test.grad_target = true, test.grad_dtype = PXL_F64;
        oracle::Inputs inputs = make_inputs(test);
        const Outcome outcome = run(cpu(), test, inputs);
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        const double step = 1e-5, largest = oracle::max_abs(outcome.grad_pred);
        for (size_t i = 0; i < inputs.pred.v.size(); i += 7) {
            const double at = inputs.pred.v[i];
            double values[2];
            for (const int k : {0, 1}) {
                inputs.pred.v[i] = at + (k ? step : -step);
                values[k] = run(cpu(), test, inputs).values[0];
            }
            inputs.pred.v[i] = at;
            EXPECT_NEAR(outcome.grad_pred.v[i], (values[1] - values[0]) / (2 * step), 1e-5 * largest)
                << (preset ? preset : "") << ' ' << i;
        }
    }
}

// In units of any power of two: the same bits of the value, the gradient's in its units.
TEST(MsSsimTerms, have_units) {
    for (const int exponent : {-100, -3, 4, 90}) {
        const double unit = std::ldexp(1.0, exponent);
        pxl_term term = ms_ssim(7, 3);
        Case test = make_case({term}, {1, 2, 41, 47});
        const oracle::Inputs inputs = make_inputs(test);
        oracle::Inputs scaled = inputs;
        for (oracle::Image *image : {&scaled.pred, &scaled.target})
            for (double &value : image->v) value *= unit;
        for (const Way &way : tested_ways()) {
            test.terms[0].data_range = 1;
            const Outcome one = run(way, test, inputs);
            test.terms[0].data_range = unit;
            Outcome other = run(way, test, scaled);
            ASSERT_EQ(other.status, PXL_OK) << other.message;
            EXPECT_EQ(one.values, other.values) << way.name() << ' ' << exponent;
            for (double &value : other.grad_pred.v) value *= unit;
            EXPECT_EQ(one.grad_pred.v, other.grad_pred.v) << way.name() << ' ' << exponent;
        }
    }
}

TEST(MsSsimTerms, have_the_same_bits_for_any_number_of_threads) {
    Case test = make_case({ms_ssim(7, 3), weighted(0.3, PXL_TERM(PXL_SOBEL, 1))}, {2, 2, 67, 130});
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome one = run(cpu(), test, inputs);
    ASSERT_EQ(one.status, PXL_OK) << one.message;
    for (const int threads : {2, 3, 7}) {
        test.threads = threads;
        EXPECT_EQ(run(cpu(), test, inputs).bits, one.bits) << threads;
    }
}

TEST(CheckMsSsim, what_it_does_not_go_with) {
    Case test = make_case({ms_ssim(7, 2)}, {1, 1, 40, 41});
    test.mask = Mask::fractional;
    Outcome outcome = run(test, make_inputs(test));
    EXPECT_EQ(outcome.status, PXL_INVALID_ARGUMENT);
    EXPECT_NE(outcome.message.find("weight does not go with term 0, ms_ssim"), std::string::npos) << outcome.message;
    test.mask = Mask::none;
    std::vector<float> map(40 * 41);
    const pxl_tensor image = pxl_nchw(map.data(), PXL_F32, PXL_CPU_DEVICE, 1, 1, 40, 41);
    pxl_args args = PXL_ARGS(&image, &image);
    args.map = &image;
    LossHandle loss;
    ASSERT_EQ(pxl_loss_parse("ms_ssim(scales=2)", nullptr, loss.receive()), PXL_OK);
    size_t bytes;
    EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(pxl_error_message()).find("the loss has no windowed term"), std::string::npos) << pxl_error_message();
}

void expect_refused(const std::string &expression, const std::string &message, pxl_status status = PXL_INVALID_ARGUMENT) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), nullptr, &loss), status) << expression;
    EXPECT_NE(std::string(pxl_error_message()).find(message), std::string::npos) << expression << ": " << pxl_error_message();
    pxl_loss_destroy(loss);
}
TEST(MsSsimTerms, refuse_what_has_no_meaning) {
    expect_refused("ms_ssim(scales=6)", "column 9: scales is 6, but there are 5 weights");
    expect_refused("ms_ssim(scales=9)", "scales is 9; 1 to 8 is needed");
    expect_refused("ms_ssim(weights=0.2:x)", "weights is \"0.2:x\"; 1 to 8 numbers from 0 to 100 are needed");
    expect_refused("ms_ssim(weights=0:0)", "their sum has to be above 0");
    expect_refused("ms_ssim(weights=0:1, scales=auto)", "with scales = auto the first has to be above 0");
    expect_refused("ms_ssim(weights=101:1)", "1 to 8 numbers from 0 to 100 are needed");
    expect_refused("ms_ssim(preset=skimage)", "which has no MS-SSIM of halved images");
    expect_refused("ms_ssim(eps=1)", "eps is 1; a number below 1");
    expect_refused("ms_ssim(eps=0.1, clamp=simple)", "with this clamp there is none");
    expect_refused("ms_ssim(clamp=floor)", "clamp", PXL_SYNTAX_ERROR);
    expect_refused("ssim(scales=3)", "scales", PXL_SYNTAX_ERROR);
    const std::string number = "0." + std::string(58, '1');
    pxl_term longest = ms_ssim(0, 0);
    const std::string weights = number + ':' + number + ':' + number + ':' + number;
    longest.weights = weights.c_str();
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_create(&longest, 1, &loss), PXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(pxl_error_message()).find("weights has 243 characters; at most 191 are read"), std::string::npos)
        << pxl_error_message();
}
TEST(MsSsimTerms, name_the_smallest_image) {
    const struct {
        const char *expression;
        int64_t rows, columns;
    } cases[] = {{"ms_ssim", 161, 161},
                 {"ms_ssim(preset=torchmetrics)", 88, 88},
                 {"ms_ssim(preset=vainf)", 161, 161},
                 {"ms_ssim(preset=piq)", 161, 161},
                 {"ms_ssim(scales=2, window=7)", 13, 13},
                 {"ms_ssim(window=11:5)", 161, 65},
                 {"ms_ssim(scales=auto)", 11, 11}};
    for (const auto &c : cases) {
        LossHandle loss;
        ASSERT_EQ(pxl_loss_parse(c.expression, nullptr, loss.receive()), PXL_OK) << pxl_error_message();
        const std::string need = "needs at least " + std::to_string(c.rows) + " x " + std::to_string(c.columns);
        const std::pair<int64_t, int64_t> sizes[] = {{c.rows - 1, 300}, {300, c.columns - 1}, {c.rows, c.columns}};
        for (const auto &size : sizes) {
            const bool fits = size.first >= c.rows && size.second >= c.columns;
            std::vector<float> x(static_cast<size_t>(size.first * size.second));
            const pxl_tensor image = pxl_nchw(x.data(), PXL_F32, PXL_CPU_DEVICE, 1, 1, size.first, size.second);
            pxl_args args = PXL_ARGS(&image, &image);
            double values[2];
            args.values = values;
            size_t bytes;
            EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), fits ? PXL_OK : PXL_INVALID_ARGUMENT) << c.expression;
            if (!fits) {
                EXPECT_NE(std::string(pxl_error_message()).find(need), std::string::npos) << pxl_error_message();
            }
        }
    }
}
TEST(MsSsimTerms, names_say_what_differs_from_the_defaults) {
    const struct {
        const char *expression, *name;
    } cases[] = {{"ms_ssim(scales=5)", "ms_ssim"},
                 {"ms_ssim(weights=0.0448:0.2856:0.3001:0.2363:0.1333)", "ms_ssim"},
                 {"ms_ssim(scales=3, preset=piq)", "ms_ssim(preset=piq, scales=3)"},
                 {"ms_ssim(preset=wang)", "ms_ssim(preset=wang)"},
                 {"ms_ssim(clamp=eps, eps=1e-4)", "ms_ssim(eps=0.0001)"},
                 {"ms_ssim(scales=auto, weights=0.5:0.5, clamp=none)", "ms_ssim(scales=auto, weights=0.5:0.5, clamp=none)"}};
    for (const auto &c : cases) {
        LossHandle loss;
        ASSERT_EQ(pxl_loss_parse(c.expression, nullptr, loss.receive()), PXL_OK) << pxl_error_message();
        EXPECT_STREQ(pxl_loss_term_name(loss, 0), c.name);
    }
}

} // namespace
