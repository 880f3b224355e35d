// Where image losses usually lose their digits: nearly equal images, flat ones far from 0, outliers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "make_case.h"

namespace {

constexpr pxl_dtype all_types[] = {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};

double uniform(std::mt19937 &random) { return random() / 4294967296.0; }

oracle::Image texture(const Shape &s, uint32_t seed) {
    std::mt19937 random(seed);
    oracle::Image image(s.n, s.c, s.h, s.w);
    for (double &value : image.v) value = uniform(random);
    return image;
}

std::vector<pxl_term> windowed_terms() {
    std::vector<pxl_term> terms;
    for (const Spec &spec : all_specs())
        if (oracle::is_windowed(spec.term.kind)) terms.push_back(spec.term);
    return terms;
}

// ---- Equal images ------------------------------------------------------------------------------------------------------

oracle::Image one_of(const char *what, const Shape &shape, pxl_dtype dtype) {
    const double top = dtype == PXL_U8 ? 255 : dtype == PXL_U16 ? 65535 : 1;
    oracle::Image image = texture(shape, 5);
    for (double &value : image.v) {
        if (*what == 'c') value = 0.3;
        if (*what == 'z') value = 0;
        value = is_floating(dtype) ? value : std::floor(value * top);
    }
    return rounded(image, dtype);
}

class EqualImages : public testing::TestWithParam<const char *> {};

TEST_P(EqualImages, have_a_windowed_term_of_0_and_gradients_of_0) {
    Turn turn(tested_device().id().type == PXL_CPU ? 1 : 5);
    for (const pxl_term &term : windowed_terms())
        for (const pxl_dtype dtype : all_types) {
            if (!turn.comes() || !tested_device().computes(dtype)) continue;
            Case test = make_case({term}, {1, 2, 35, 41}, dtype);
            oracle::Inputs inputs = make_inputs(test);
            inputs.pred = inputs.target = one_of(GetParam(), test.shape, dtype);
            const Outcome outcome = run(test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message << describe(test);
            ASSERT_EQ(outcome.values[1], 0) << describe(test);
            ASSERT_EQ(outcome.values[0], 0) << describe(test);
            if (!is_floating(dtype)) continue;
            const auto is_zero = [](double value) { return value == 0; };
            ASSERT_TRUE(std::all_of(outcome.grad_pred.v.begin(), outcome.grad_pred.v.end(), is_zero)) << describe(test);
            ASSERT_TRUE(std::all_of(outcome.grad_target.v.begin(), outcome.grad_target.v.end(), is_zero)) << describe(test);
        }
}

INSTANTIATE_TEST_SUITE_P(kind, EqualImages, testing::Values("random", "constant", "zero"),
                         [](const auto &info) { return info.param; });

// ---- Finite gradients --------------------------------------------------------------------------------------------------

void expect_finite_gradients(const Case &test, const oracle::Inputs &inputs) {
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message << describe(test);
    const auto is_finite = [](double value) { return std::isfinite(value); };
    EXPECT_TRUE(std::all_of(outcome.grad_pred.v.begin(), outcome.grad_pred.v.end(), is_finite)) << describe(test);
    EXPECT_TRUE(std::all_of(outcome.grad_target.v.begin(), outcome.grad_target.v.end(), is_finite)) << describe(test);
    if (test.terms[0].kind == PXL_PSNR) return; // infinite for equal images
    EXPECT_TRUE(std::isfinite(outcome.values[1])) << outcome.values[1] << ' ' << describe(test);
}

class Finite : public testing::TestWithParam<std::string> {};

TEST_P(Finite, gradients_of_constant_zero_and_equal_images) {
    Turn turn(tested_device().id().type == PXL_CPU ? 1 : 7); // the kernels may run on the CPU, slowly
    for (const pxl_term &term : specs_of(GetParam()))
        for (const pxl_dtype dtype : floating_types) {
            if (!tested_device().computes(dtype)) continue;
            const Case test = make_case({term}, {2, 1, 35, 36}, dtype);
            const oracle::Image zero(2, 1, 35, 36), flat = rounded(oracle::Image(2, 1, 35, 36, 0.3), dtype),
                                                    other = rounded(oracle::Image(2, 1, 35, 36, 0.7), dtype),
                                                    rough = rounded(texture(test.shape, 5), dtype);
            const std::pair<const oracle::Image *, const oracle::Image *> pairs[] = {
                {&zero, &zero},  {&flat, &flat},  {&rough, &rough}, {&flat, &zero},  {&zero, &flat},
                {&flat, &other}, {&flat, &rough}, {&rough, &flat},  {&zero, &rough}, {&rough, &zero}};
            for (const auto &pair : pairs) {
                if (!turn.comes()) continue;
                oracle::Inputs inputs = make_inputs(test);
                inputs.pred = *pair.first, inputs.target = *pair.second;
                expect_finite_gradients(test, inputs);
                if (HasFailure()) return;
            }
        }
}

INSTANTIATE_TEST_SUITE_P(family, Finite, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

// ---- Nearly equal images -----------------------------------------------------------------------------------------------

struct Level {
    const char *name;
    double base, amplitude;
    bool outlier;
};
void PrintTo(const Level &level, std::ostream *to) { *to << level.name; } // as part of ctest's name of the test
constexpr Level levels[] = {{"range_0_to_1", 0, 1, false},
                            {"flat_at_0_95", 0.95, 0.02, false},
                            {"ten_times_L", 10, 1, false},
                            {"hundred_times_L", 100, 1, false},
                            {"outlier_of_1e4", 0, 1, true}};
const char *const distortions[] = {"noise", "blur", "brightness"};
const char *const relative_presets[] = {"wang", "kornia", "seed", "skimage"};
constexpr double goals[] = {0.5, 1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10};

oracle::Image reference_image(const Level &level, const Shape &shape, uint32_t seed) {
    oracle::Image image = texture(shape, seed);
    // Half of the texture is smooth, so that blurring leaves something to compare.
    const oracle::Image smooth =
        oracle::filter(image, oracle::outer(oracle::gaussian_taps(9, 2), oracle::gaussian_taps(9, 2)), PXL_REFLECT);
    for (size_t i = 0; i < image.v.size(); ++i)
        image.v[i] = level.base + level.amplitude * (0.3 * image.v[i] + 0.7 * smooth.v[i]);
    return image;
}

oracle::Image distortion(const char *kind, const oracle::Image &image) {
    oracle::Image change = oracle::like(image);
    if (*kind == 'n') {
        std::mt19937 random(99);
        for (double &value : change.v) value = uniform(random) - 0.5;
    } else if (kind[1] == 'l') {
        const std::vector<double> taps = oracle::gaussian_taps(5, 1);
        change = oracle::filter(image, oracle::outer(taps, taps), PXL_REFLECT);
        oracle::add_scaled(change, image, -1);
    } else {
        for (double &value : change.v) value = 1;
    }
    return change;
}

void put_outlier(oracle::Image &image, int64_t y, int64_t x) { image.at(0, 0, y, x) = 1e4; }

struct Pair {
    oracle::Image pred, target;
};

// The distorted image for which 1 - SSIM is about `goal`: it grows like the square of a small distortion.
Pair pair_for(const Case &test, const Level &level, const char *kind, double goal, int64_t outlier_y, int64_t outlier_x) {
    Pair pair;
    pair.target = reference_image(level, test.shape, 21);
    const oracle::Image change = distortion(kind, pair.target);
    double strength = 1e-3 * level.amplitude;
    for (int i = 0; i < 3; ++i) {
        pair.pred = pair.target;
        oracle::add_scaled(pair.pred, change, strength);
        if (level.outlier) put_outlier(pair.pred, outlier_y, outlier_x), put_outlier(pair.target, outlier_y, outlier_x);
        pair.pred = rounded(pair.pred, PXL_F32);
        pair.target = rounded(pair.target, PXL_F32);
        if (i == 2) break;
        oracle::Inputs inputs;
        inputs.pred = pair.pred, inputs.target = pair.target;
        const double value = oracle::evaluate(resolve_all(test.terms), inputs).values[1];
        if (!(value > 0)) break;
        strength *= std::sqrt(std::min(goal, 0.9) / value);
    }
    return pair;
}

struct Accuracy {
    double value, relative_error;
};

// Checks the value and both gradients where 1 - SSIM is 1e-8 or more; below, only reports.
Accuracy check_relative_in(const Way &way, const Case &test, const oracle::Inputs &inputs, const oracle::Result &expected,
                           const std::string &what) {
    const Outcome outcome = run(way, test, inputs);
    EXPECT_EQ(outcome.status, PXL_OK) << way.name() << ": " << outcome.message;
    if (outcome.status) return {};
    const double value = expected.values[1], error = std::fabs(outcome.values[1] - value) / value;
    if (value < 0.5e-8) return {value, error};
    const std::string where = way.name() + ", 1 - SSIM = " + testing::PrintToString(value) + ' ' + what;
    EXPECT_LE(error, 1e-5) << where;
    EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 1e-4, PXL_F32)) << where;
    EXPECT_TRUE(close(outcome.grad_target, expected.grad_target, {}, 1e-4, PXL_F32)) << where;
    return {value, error};
}

// In every way; the worst of them.
Accuracy check_relative(const Case &test, const Pair &pair, const std::string &what) {
    oracle::Inputs inputs = make_inputs(test);
    inputs.pred = pair.pred, inputs.target = pair.target;
    const oracle::Result expected = reference(test, inputs);
    Accuracy worst{};
    for (const Way &way : tested_ways()) {
        const Accuracy accuracy = check_relative_in(way, test, inputs, expected, what);
        if (accuracy.relative_error >= worst.relative_error) worst = accuracy;
    }
    return worst;
}

class NearlyEqual : public testing::TestWithParam<Level> {};

TEST_P(NearlyEqual, images_have_1_minus_ssim_and_its_gradient_to_five_digits) {
    const Level level = GetParam();
    Turn turn(2);
    Accuracy worst_small{};
    for (const char *preset : relative_presets)
        for (const char *kind : distortions)
            for (const double goal : goals) {
                if (!turn.comes()) continue;
                const Case test = make_case({windowed(PXL_SSIM, preset)}, {1, 1, 48, 70});
                const Pair pair = pair_for(test, level, kind, goal, 20, 31);
                const std::string what = std::string(preset) + ' ' + kind + ' ' + level.name;
                const Accuracy accuracy = check_relative(test, pair, what);
                if (goal < 1e-9 && accuracy.relative_error > worst_small.relative_error) worst_small = accuracy;
            }
    std::printf("%s: 1 - SSIM = %.2g has a relative error of %.2g at worst\n", level.name, worst_small.value,
                worst_small.relative_error);
}

// Means of blocks rounded image by image would lose the difference.
TEST_P(NearlyEqual, images_averaged_over_blocks_as_well) {
    const Level level = GetParam();
    pxl_term halved = windowed(PXL_SSIM), thirds = windowed(PXL_SSIM, "vmaf");
    halved.downsample = 2, thirds.downsample = 3;
    for (const pxl_term &term : {halved, thirds})
        for (const char *kind : distortions)
            for (const double goal : {1e-2, 1e-6, 1e-8}) {
                const Case test = make_case({term}, {1, 1, 51, 74});
                check_relative(test, pair_for(test, level, kind, goal, 20, 31), std::string("blocks ") + kind + ' ' + level.name);
            }
}

INSTANTIATE_TEST_SUITE_P(level, NearlyEqual, testing::ValuesIn(levels), [](const auto &info) { return info.param.name; });

// The library may take its working point from some pixels of a tile; none of them may be a bad choice.
TEST(Outlier, at_any_position_costs_no_digits) {
    const Shape shape{1, 1, 40, 600};
    const Case test = make_case({windowed(PXL_SSIM)}, shape);
    const std::pair<int64_t, int64_t> positions[] = {{0, 0},    {0, 599},  {39, 0},   {39, 599}, {20, 300},
                                                     {19, 255}, {20, 256}, {10, 128}, {13, 149}, {1, 1}};
    for (const auto &position : positions)
        for (const char *kind : {"noise", "brightness"}) {
            const Pair pair = pair_for(test, levels[4], kind, 1e-7, position.first, position.second);
            check_relative(test, pair, "outlier at " + std::to_string(position.first) + ", " + std::to_string(position.second));
        }
}

// Also where the compiler makes no vectors of the loop.
TEST(Sums, of_a_long_row_of_charges_round_little) {
    pxl_term tv = PXL_TERM(PXL_TV, 1);
    tv.penalty = PXL_SMOOTH_L1, tv.penalty_param = 0.23828125;
    Case test = make_case({tv}, {1, 1, 2, 2049}, PXL_U8);
    test.pattern = Pattern::equal_parts, test.seed = 2162914992;
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    for (const Way &way : tested_ways()) EXPECT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name();
}

// Bands of texture, of zeros and of constants beside them: without stabilisers a flat window is 0 / 0, which counts as equal.
oracle::Inputs bands(const Case &test) {
    oracle::Inputs inputs = make_inputs(test);
    const oracle::Image x = texture(test.shape, 5), y = texture(test.shape, 6);
    const double flat[][2] = {{0, 0}, {0.7, 0.3}, {0, 0.2}};
    for (int64_t i = 0; i < static_cast<int64_t>(x.v.size()); ++i) {
        const int64_t column = i % test.shape.w, band = column / 24;
        inputs.pred.v[i] = band % 2 ? flat[band / 2][0] : x.v[i];
        inputs.target.v[i] = band % 2 ? flat[band / 2][1] : y.v[i];
    }
    inputs.pred = rounded(inputs.pred, test.dtype), inputs.target = rounded(inputs.target, test.dtype);
    return inputs;
}
TEST(FlatWindows, count_as_equal_without_stabilisers) {
    const double stabilisers[][2] = {{PXL_EXACT_ZERO, 0.03}, {0.01, PXL_EXACT_ZERO}, {1e-12, 1e-12}};
    for (const auto &k : stabilisers)
        for (const pxl_term_kind kind : {PXL_SSIM, PXL_DSSIM, PXL_LUMINANCE, PXL_MS_SSIM})
            for (const pxl_dtype dtype : {PXL_F32, PXL_F64}) {
                pxl_term term = windowed(kind);
                term.k1 = k[0], term.k2 = k[1], term.border = PXL_REFLECT, term.scales = kind == PXL_MS_SSIM ? 2 : 0;
                const Case test = make_case({term}, {1, 1, 24, 168}, dtype);
                const oracle::Inputs inputs = bands(test);
                const oracle::Result expected = reference(test, inputs);
                for (const Way &way : tested_ways())
                    if (way.device->computes(dtype)) {
                        EXPECT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name() << ' ' << describe(test);
                    }
            }
}

// A data range of 0 leaves no stabiliser. Under a mask, or at a border of zeros, windows are not flat.
TEST(FlatWindows, of_constant_images_in_their_own_range) {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> level(-1, 1);
    Turn turn(2);
    for (const pxl_term_kind kind : {PXL_SSIM, PXL_DSSIM, PXL_LUMINANCE, PXL_CONTRAST, PXL_STRUCTURE, PXL_MS_SSIM})
        for (const pxl_border border : {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE})
            for (const Shape &shape : {Shape{1, 1, 12, 23}, Shape{3, 1, 11, 11}})
                for (const Mask mask : {Mask::none, Mask::binary}) {
                    // Deviations are steep where few pixels of a window count.
                    const bool deviations = kind == PXL_CONTRAST || kind == PXL_STRUCTURE;
                    const bool taken =
                        mask == Mask::none ? border != PXL_ZERO || !deviations : !deviations && kind != PXL_MS_SSIM;
                    if (!taken || !turn.comes()) continue;
                    pxl_term term = windowed(kind);
                    term.data_range = PXL_FROM_DATA, term.border = border, term.scales = kind == PXL_MS_SSIM ? 1 : 0;
                    Case test = make_case({term}, shape);
                    test.mask = mask, test.per_image = true;
                    oracle::Inputs inputs = make_inputs(test);
                    const int64_t pixels = shape.h * shape.w;
                    for (int64_t i = 0; i < static_cast<int64_t>(inputs.pred.v.size()); ++i)
                        for (std::vector<double> *image : {&inputs.pred.v, &inputs.target.v})
                            (*image)[i] = i % pixels ? (*image)[i - 1] : static_cast<float>(level(random));
                    const oracle::Result expected = reference(test, inputs);
                    for (const Way &way : tested_ways())
                        EXPECT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name() << ' ' << describe(test);
                }
}

// pytorch-msssim puts a 0 before an axis of odd length: the windows at it are not flat.
TEST(FlatWindows, of_constant_images_that_a_halving_pads) {
    for (const int scales : {2, 3})
        for (const Shape &shape : {Shape{2, 1, 41, 46}, Shape{1, 2, 44, 47}, Shape{1, 1, 43, 41}}) {
            pxl_term term = windowed(PXL_MS_SSIM, "vainf");
            term.data_range = PXL_FROM_DATA, term.window = 5, term.scales = scales;
            const Case test = make_case({term}, shape);
            oracle::Inputs inputs = make_inputs(test);
            std::fill(inputs.pred.v.begin(), inputs.pred.v.end(), 0.7F);
            std::fill(inputs.target.v.begin(), inputs.target.v.end(), 0.3F);
            const oracle::Result expected = reference(test, inputs);
            for (const Way &way : tested_ways()) check_relative_in(way, test, inputs, expected, describe(test));
        }
}

// What a stabiliser covers is scored by it, however faint.
TEST(FlatWindows, that_are_faint_keep_their_digits_under_a_stabiliser) {
    for (const double k2 : {0.01, 0.005, 9.99e-4}) {
        pxl_term term = windowed(PXL_SSIM);
        term.k1 = PXL_EXACT_ZERO, term.k2 = k2;
        const Case test = make_case({term}, {1, 1, 48, 48});
        oracle::Inputs inputs = make_inputs(test);
        const oracle::Image noise = texture(test.shape, 9);
        for (size_t i = 0; i < noise.v.size(); ++i) {
            inputs.target.v[i] = i % 48 < 24 ? 0.1 : 1;
            inputs.pred.v[i] = inputs.target.v[i] + 2e-3 * (noise.v[i] - 0.5);
        }
        inputs.pred = rounded(inputs.pred, PXL_F32), inputs.target = rounded(inputs.target, PXL_F32);
        const double expected = reference(test, inputs).values[1];
        for (const Way &way : tested_ways()) {
            const Outcome outcome = run(way, test, inputs);
            EXPECT_NEAR(outcome.values[1], expected, 0.02 * expected) << way.name() << ' ' << describe(test);
        }
    }
}
TEST(FlatWindows, are_not_those_whose_squares_overflow) {
    for (const pxl_term_kind kind : {PXL_SSIM, PXL_MS_SSIM}) {
        pxl_term term = windowed(kind);
        term.k1 = term.k2 = PXL_EXACT_ZERO, term.scales = kind == PXL_MS_SSIM ? 1 : 0;
        const Case test = make_case({term}, {1, 1, 11, 11});
        oracle::Inputs inputs = make_inputs(test);
        inputs.pred.v[0] = inputs.target.v[10] = 3e19;
        for (const Way &way : tested_ways()) {
            const double value = run(way, test, inputs).values[1];
            EXPECT_TRUE(!std::isfinite(value) || std::fabs(value - 1) < 1e-3) << way.name() << ' ' << value;
        }
    }
}

} // namespace
