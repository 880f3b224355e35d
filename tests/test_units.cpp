// A problem in other units has the same answer in other units: pixels, data range, delta, beta and eps times the same factor. By
// powers of two the results are the same to the bit; by powers of ten, through all that the type holds, they are right or, where
// the manual says so, not finite. Then single inputs that once failed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "make_case.h"

namespace {

const Shape shape{2, 1, 13, 14};

bool is_root(const oracle::Term &term) { return term.kind == PXL_RMSE || term.root; }
// What a term's value is multiplied by where all pixels are multiplied by f: f to this power.
int degree_of(const pxl_term &term) {
    const oracle::Term t = oracle::resolve(term);
    if (is_root(t)) return 1;
    if (t.kind == PXL_PSNR || t.kind >= PXL_SSIM) return 0;
    return t.penalty == PXL_L2 || t.penalty == PXL_HUBER || t.penalty == PXL_PSEUDO_HUBER ? 2 : 1;
}
// The largest degree of a number on the way.
int degree_inside(const pxl_term &term) {
    return is_root(oracle::resolve(term)) || term.kind == PXL_PSNR ? 2 : std::max(1, degree_of(term));
}

// The term in units of 1 / factor, `range` being the data range of the type.
pxl_term in_units(pxl_term term, double factor, double range) {
    const oracle::Term t = oracle::resolve(term);
    const bool has_range = t.kind >= PXL_SSIM || t.kind == PXL_PSNR;
    if (has_range && t.data_range != PXL_FROM_DATA) term.data_range = (t.data_range != 0 ? t.data_range : range) * factor;
    const bool charged = !has_range && t.kind != PXL_RMSE;
    if (charged && t.penalty >= PXL_HUBER && t.penalty <= PXL_PSEUDO_HUBER) term.penalty_param = t.param * factor;
    if (t.kind == PXL_PSNR) term.penalty_param *= factor * factor;
    return term;
}
oracle::Image times(oracle::Image image, double factor) {
    for (double &value : image.v) value *= factor;
    return image;
}
oracle::Inputs times(oracle::Inputs inputs, double factor) {
    inputs.pred = times(inputs.pred, factor), inputs.target = times(inputs.target, factor);
    return inputs;
}
// 2^e of a result, back by the term's degree.
Outcome in_units(Outcome outcome, int degree, int e) {
    for (double &value : outcome.values) value = std::ldexp(value, -degree * e);
    for (oracle::Image *image : {&outcome.grad_pred, &outcome.grad_target})
        for (double &value : image->v) value = std::ldexp(value, (1 - degree) * e);
    return outcome;
}

// Every other term under a mask, where it takes one.
Case case_of(const pxl_term &term, pxl_dtype dtype, bool masked) {
    Case test = make_case({term}, shape, dtype);
    test.grad_dtype = dtype == PXL_F64 ? PXL_F64 : PXL_F32;
    if (masked && takes_mask(term)) test.mask = Mask::fractional;
    return test;
}
// The parameter is the slope far from 0: none that rounds to 0 is taken.
bool is_slope(pxl_penalty penalty) { return penalty == PXL_HUBER || penalty == PXL_PSEUDO_HUBER; }
bool has_units(const pxl_term &term) { return oracle::resolve(term).penalty != PXL_LOG_COSH; }
bool fits(const pxl_term &term) { return oracle::fits(oracle::resolve(term), shape.h, shape.w); }

double smallest_normal(pxl_dtype dtype) {
    return dtype == PXL_F64 ? std::numeric_limits<double>::min() : static_cast<double>(std::numeric_limits<float>::min());
}
int largest_exponent(pxl_dtype dtype) { return dtype == PXL_F64 ? 1023 : 127; }

class Units : public testing::TestWithParam<std::string> {
  protected:
    // check(case, way) for each term of the family, with and without a mask.
    template <typename Check>
    void each(unsigned every, std::initializer_list<pxl_dtype> dtypes, Check check) {
        Turn turn(every);
        bool masked = false;
        for (const pxl_term &term : specs_of(GetParam()))
            for (const pxl_dtype dtype : dtypes) {
                if (!has_units(term) || !fits(term) || !turn.comes()) continue;
                const Case test = case_of(term, dtype, masked = !masked);
                for (const Way &way : tested_ways())
                    if (way.device->computes(dtype) && !HasFailure()) check(test, way);
            }
    }
};

// ---- Powers of two ----------------------------------------------------------------------------------------------------------
// The same, but for what is below the smallest normal number in the units it was computed in.
void expect_same(const std::vector<double> &actual, const std::vector<double> &expected, double below, const std::string &what) {
    ASSERT_EQ(actual.size(), expected.size()) << what;
    for (size_t i = 0; i < actual.size(); ++i)
        if (!(actual[i] == expected[i] || std::fabs(actual[i] - expected[i]) <= below))
            FAIL() << what << '[' << i << "] is " << actual[i] << " instead of " << expected[i];
}
void check_power_of_two(const Case &test, const Way &way, const oracle::Inputs &inputs, const Outcome &expected, int e) {
    const int degree = degree_of(test.terms[0]);
    const double least = smallest_normal(test.dtype);
    Case scaled = test;
    scaled.terms[0] = in_units(test.terms[0], std::ldexp(1, e), inputs.type_range);
    const Outcome outcome = in_units(run(way, scaled, times(inputs, std::ldexp(1, e))), degree, e);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    const std::string where = way.name() + ", 2^" + std::to_string(e) + ' ' + describe(scaled) + ' ';
    const double logarithm = test.terms[0].kind == PXL_PSNR ? 1e-12 : 0;
    expect_same(outcome.values, expected.values, std::ldexp(least, -degree * e) + logarithm, where + "values");
    expect_same(outcome.grad_pred.v, expected.grad_pred.v, std::ldexp(least, (1 - degree) * e), where + "grad_pred");
    expect_same(outcome.grad_target.v, expected.grad_target.v, std::ldexp(least, (1 - degree) * e), where + "grad_target");
}
std::vector<int> exponents_of(const Case &test) {
    const bool squares = degree_inside(test.terms[0]) == 2;
    switch (test.dtype) {
        case PXL_F64: return squares ? std::vector<int>{-200, 190} : std::vector<int>{-700, 690};
        case PXL_F16: return {3};
        case PXL_U8:
        case PXL_U16: return {1};
        default: return squares ? std::vector<int>{-29, 30} : std::vector<int>{-61, 60};
    }
}
TEST_P(Units, powers_of_two_change_no_bit) {
    each(3, {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16}, [](Case test, const Way &way) {
        oracle::Inputs inputs = make_inputs(test);
        if (!is_floating(test.dtype)) { // room to double them
            for (oracle::Image *image : {&inputs.pred, &inputs.target})
                for (double &value : image->v) value = std::floor(value / 2);
            test.terms[0] = in_units(test.terms[0], 1, inputs.type_range); // whatever the type's is
        }
        const Outcome expected = run(way, test, inputs);
        ASSERT_EQ(expected.status, PXL_OK) << expected.message;
        for (const int e : exponents_of(test)) check_power_of_two(test, way, inputs, expected, e);
    });
}

// ---- Powers of ten ----------------------------------------------------------------------------------------------------------
// Allows for what is below the smallest normal number, in units of 2^e: a charge's value, a gradient's element. Where all pixels are
// below it, differences and lengths keep few digits, and slopes may be those of the other side of a kink.
void allow_underflow(oracle::Result &expected, const Case &test, int degree, int e) {
    const double least = smallest_normal(test.dtype), count = static_cast<double>(shape.n * shape.c * shape.h * shape.w);
    for (double &slack : expected.value_slack) slack += count * std::ldexp(least, -degree * e);
    const auto allow = [&](const oracle::Image &image, oracle::Image &slack) {
        if (slack.empty()) slack = times(image, 0);
        for (double &s : slack.v) s += std::ldexp(least, (1 - degree) * e);
    };
    allow(expected.grad_pred, expected.slack_pred), allow(expected.grad_target, expected.slack_target);
    if (e > -largest_exponent(test.dtype)) return;
    for (size_t i = 0; i < expected.values.size(); ++i) expected.value_slack[i] += expected.scale[i];
    for (double &s : expected.slack_pred.v) s += 2 * oracle::max_abs(expected.grad_pred);
    for (double &s : expected.slack_target.v) s += 2 * oracle::max_abs(expected.grad_target);
}
// Whether the manual lets the result in units of 2^e be infinite or NaN: beyond a sixteenth of the largest number, and for
// windows beyond a sixteenth of the largest square root, where data_range is not as large as the pixels.
bool may_overflow(double largest, int power, const Case &test) {
    return largest != 0 && std::ilogb(largest) + power >= largest_exponent(test.dtype) - 4;
}
bool all_finite(const std::vector<double> &values) {
    return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}
bool any_nan(const std::vector<double> &values) {
    return std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); });
}

// One call of `scaled`, which is `test` times 2^e; `inputs` and the result are in units of 2^e.
void check_magnitude(const Case &test, const Case &scaled, const Way &way, const oracle::Inputs &inputs,
                     const oracle::Result &expected, int e) {
    const int degree = degree_of(test.terms[0]);
    const Outcome outcome = run(way, scaled, times(inputs, std::ldexp(1, e)));
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    const std::string where = way.name() + ", units of 2^" + std::to_string(e) + ' ' + describe(scaled);
    if (!all_finite(outcome.values)) {
        const double inside = std::max({oracle::max_abs(inputs.pred), oracle::max_abs(inputs.target), expected.scale[1]});
        EXPECT_TRUE(may_overflow(inside, degree_inside(test.terms[0]) * e, test)) << outcome.values[1] << " in " << where;
        return;
    }
    EXPECT_FALSE(any_nan(outcome.grad_pred.v) || any_nan(outcome.grad_target.v)) << "a gradient is NaN in " << where;
    const double steepest = std::max(oracle::max_abs(expected.grad_pred), oracle::max_abs(expected.grad_target));
    if (!all_finite(outcome.grad_pred.v) || !all_finite(outcome.grad_target.v)) {
        EXPECT_TRUE(may_overflow(16 * steepest, (degree - 1) * e, test)) << "a gradient is not finite in " << where;
        return;
    }
    EXPECT_TRUE(agrees(test, in_units(outcome, degree, e), expected)) << where;
}
// rmse, psnr and tv with root go through squares, which vanish below the root of the smallest normal number: see the manual.
bool squares_vanish(const Case &test, int e) {
    const bool of_mean = is_root(oracle::resolve(test.terms[0])) || test.terms[0].kind == PXL_PSNR;
    return of_mean && e < -largest_exponent(test.dtype) / 2 + 12;
}
// delta, beta and eps are rounded to the type, too: `test` gets what is left of that of `scaled`. False: nothing is, or it is refused.
bool round_parameter(const pxl_term &scaled, Case &test, int e) {
    const bool has_parameter = in_units(test.terms[0], 1, 1).penalty_param != 0;
    if (scaled.kind == PXL_MS_SSIM) return true; // its eps has no units
    if (scaled.penalty_param == 0) return !has_parameter;
    if (scaled.kind == PXL_PSNR) return std::isfinite(scaled.penalty_param);
    const double left = round_to(test.dtype, scaled.penalty_param);
    if (!std::isfinite(left) || (left == 0 && is_slope(scaled.penalty))) return false;
    test.terms[0].penalty_param = left == 0 ? 1e-12 : std::ldexp(left, -e);
    return true;
}
std::vector<int> magnitudes_of(pxl_dtype dtype) { // decimal exponents
    if (dtype == PXL_F64) return {-322, -310, -300, -155, 155, 300, 307};
    return {-44, -40, -37, -30, -19, -10, 10, 18, 19, 30, 37, 38};
}
TEST_P(Units, powers_of_ten_are_right_or_not_finite) {
    each(7, {PXL_F32, PXL_F64}, [](const Case &test, const Way &way) {
        const oracle::Inputs inputs = make_inputs(test);
        for (const int decimal : magnitudes_of(test.dtype)) {
            const long double factor = std::pow(10.0L, decimal);
            const int e = std::ilogb(factor);
            oracle::Inputs rounded_inputs = inputs;
            for (oracle::Image *image : {&rounded_inputs.pred, &rounded_inputs.target})
                for (double &value : image->v) value = std::ldexp(round_to(test.dtype, static_cast<double>(value * factor)), -e);
            if (squares_vanish(test, e) || !all_finite(rounded_inputs.pred.v) || !all_finite(rounded_inputs.target.v)) continue;
            Case scaled = test, rounded_test = test;
            scaled.terms[0] = in_units(test.terms[0], std::ldexp(1, e), inputs.type_range);
            if (!round_parameter(scaled.terms[0], rounded_test, e)) continue;
            oracle::Result expected = reference(rounded_test, rounded_inputs);
            allow_underflow(expected, rounded_test, degree_of(test.terms[0]), e);
            check_magnitude(rounded_test, scaled, way, rounded_inputs, expected, e);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(family, Units, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

// ---- Single inputs that once failed -------------------------------------------------------------------------------------------
struct Pixels {
    int64_t h, w;
    std::vector<double> pred, target; // target empty: zeros
    std::vector<double> weight = {};  // empty: no mask
};
// check(outcome, expected, where) in every way, for images of the type.
template <typename Check>
void with(const pxl_term &term, const Pixels &pixels, pxl_dtype dtype, Check check) {
    Case test = make_case({term}, {1, 1, pixels.h, pixels.w}, dtype);
    oracle::Inputs inputs;
    if (!pixels.weight.empty()) {
        test.mask = Mask::fractional;
        inputs.weight = oracle::Image(1, 1, pixels.h, pixels.w), inputs.weight.v = pixels.weight;
    }
    inputs.pred = inputs.target = oracle::Image(1, 1, pixels.h, pixels.w);
    inputs.pred.v = pixels.pred;
    if (!pixels.target.empty()) inputs.target.v = pixels.target;
    inputs.pred = rounded(inputs.pred, dtype), inputs.target = rounded(inputs.target, dtype);
    const oracle::Result expected = reference(test, inputs);
    for (const Way &way : tested_ways()) {
        if (!way.device->computes(dtype)) continue;
        const Outcome outcome = run(way, test, inputs);
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        check(outcome, expected, way.name() + ' ' + describe(test));
    }
}
void expect_right(const pxl_term &term, const Pixels &pixels, pxl_dtype dtype) {
    with(term, pixels, dtype, [&](const Outcome &outcome, const oracle::Result &expected, const std::string &where) {
        EXPECT_NEAR(outcome.values[1], expected.values[1], 1e-5 * std::fabs(expected.values[1])) << where;
        EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 1e-4, dtype)) << where;
        EXPECT_TRUE(close(outcome.grad_target, expected.grad_target, {}, 1e-4, dtype)) << where;
    });
}
void expect_value(const pxl_term &term, const Pixels &pixels, pxl_dtype dtype, double value,
                  const std::vector<double> &gradient) {
    with(term, pixels, dtype, [&](const Outcome &outcome, const oracle::Result &, const std::string &where) {
        EXPECT_NEAR(outcome.values[1], value, 1e-6 * std::fabs(value) + 1e-30) << where;
        for (size_t i = 0; i < gradient.size(); ++i) EXPECT_NEAR(outcome.grad_pred.v[i], gradient[i], 1e-6) << where;
    });
}
pxl_term charged(pxl_term_kind kind, pxl_penalty penalty, double param, bool isotropic = false) {
    pxl_term term = PXL_TERM(kind, 1);
    term.penalty = penalty, term.penalty_param = param, term.isotropic = isotropic;
    return term;
}

TEST(UnitsEdge, windows_of_one_pixel_have_no_variance) {
    pxl_term term = windowed(PXL_SSIM, "vainf");
    term.k2 = 0.001;
    const Pixels pixels = {2, 3, {.3, 1.1, .9, .5, 1.2, .4}, {.6, .8, 1.2, .9, .7, .5}};
    expect_right(term, pixels, PXL_F32), expect_right(term, pixels, PXL_F64);
    expect_value(term, pixels, PXL_F64, 0.0989067, {});
}

TEST(UnitsEdge, shifts_are_of_pixels_where_windows_are_narrow) {
    Pixels pixels = {7, 7, {}, {}};
    for (int i = 0; i < 49; ++i) {
        const double x = 100 + (37 * i % 101) / 101.0;
        pixels.pred.push_back(x + 0.05 * std::sin(i)), pixels.target.push_back(x);
    }
    pxl_term term = windowed(PXL_SSIM);
    term.border = PXL_ZERO, term.sigma = 0.5;
    expect_right(term, pixels, PXL_F32);
}

TEST(UnitsEdge, subnormal_magnitudes_have_a_direction) {
    for (const pxl_term_kind kind : {PXL_TV, PXL_SOBEL}) {
        const pxl_term term = charged(kind, PXL_L1, 0, true);
        for (const pxl_dtype dtype : {PXL_F32, PXL_F64}) {
            const double tiny = dtype == PXL_F64 ? 1e-312 : 1e-40;
            with(term, {2, 2, {0, tiny, 0, 0}, {}}, dtype,
                 [&](const Outcome &outcome, const oracle::Result &expected, const std::string &where) {
                     EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 1e-4, dtype)) << where;
                 });
        }
    }
}

TEST(UnitsEdge, parameters_far_from_1_give_numbers) {
    const Pixels none = {1, 2, {0, 0}, {}}, one = {1, 2, {1, -1}, {}};
    const std::vector<double> zeros = {0, 0}, signs = {0.5, -0.5};
    expect_value(charged(PXL_PIXEL, PXL_CHARBONNIER, 1e-24), none, PXL_F32, 1e-24, zeros);
    expect_value(charged(PXL_PIXEL, PXL_CHARBONNIER, 1e-24), one, PXL_F32, 1, signs);
    expect_value(charged(PXL_PIXEL, PXL_CHARBONNIER, 1e-60), none, PXL_F32, 0, zeros);
    expect_value(charged(PXL_PIXEL, PXL_CHARBONNIER, 1e30), one, PXL_F32, 1e30, zeros);
    expect_value(charged(PXL_TV, PXL_CHARBONNIER, 1e-30, true), none, PXL_F32, 1e-30, zeros);
    expect_value(charged(PXL_PIXEL, PXL_SMOOTH_L1, 1e-46), none, PXL_F32, 0, zeros);
    expect_value(charged(PXL_PIXEL, PXL_SMOOTH_L1, 1e-46), one, PXL_F32, 1, signs);
    expect_value(charged(PXL_PIXEL, PXL_CHARBONNIER, 1e200), one, PXL_F64, 1e200, zeros);
}

TEST(UnitsEdge, windows_have_numbers_for_every_k_and_range) {
    const Pixels zeros = {12, 12, std::vector<double>(144, 0), {}}, ones = {12, 12, std::vector<double>(144, 1), {}};
    for (const pxl_term_kind kind : {PXL_SSIM, PXL_LUMINANCE, PXL_CONTRAST, PXL_STRUCTURE})
        for (const double k : {PXL_EXACT_ZERO, 1e-200, 1e-20, 1e15})
            for (const double range : {1e-290, 1e-60, 1e-40, 1.0, 1e38, 1e60, 1e290}) {
                pxl_term term = windowed(kind);
                term.k1 = term.k2 = k, term.data_range = range;
                expect_value(term, zeros, PXL_F32, 0, {0});
                const double root = std::max(k, 1e-15) * range;
                const bool small = root<1e-18, large = root> 1e18; // beside a pixel of 1
                const bool has_mean = kind == PXL_SSIM || kind == PXL_LUMINANCE;
                if (small || large) expect_value(term, ones, PXL_F32, small && has_mean ? 1 : 0, {});
            }
}

Pixels pixels_near(double scale) {
    Pixels pixels = {40, 48, {}, {}};
    for (int i = 0; i < 40 * 48; ++i) {
        const int y = i / 48, x = i % 48;
        const double a = 0.5 + 0.45 * std::sin(x / 3.0 + y / 7.0) * std::cos(y / 4.0);
        pixels.pred.push_back(a * scale), pixels.target.push_back(a * (1 + 0.3 * std::sin(12.9898 * i)) * scale);
    }
    return pixels;
}
TEST(UnitsEdge, huge_images_are_right_with_their_range_and_never_wrong_without) {
    for (const pxl_term_kind kind : {PXL_SSIM, PXL_LUMINANCE, PXL_DSSIM})
        for (const double scale : {1e18, 8e18, 1e19, 1.5e19, 2e19, 3e19, 1e20, 1e25, 1e37}) {
            pxl_term term = windowed(kind);
            term.data_range = scale;
            expect_right(term, pixels_near(scale), PXL_F32);
            term.data_range = 0;
            with(term, pixels_near(scale), PXL_F32,
                 [&](const Outcome &outcome, const oracle::Result &expected, const std::string &where) {
                     const double value = outcome.values[1], right = expected.values[1];
                     EXPECT_TRUE(!std::isfinite(value) || std::fabs(value - right) <= 1e-3 * right)
                         << value << ' ' << right << ' ' << where;
                 });
        }
}

TEST(UnitsEdge, equal_constant_images_have_an_infinite_psnr) {
    pxl_term term = PXL_TERM(PXL_PSNR, 1);
    term.data_range = PXL_FROM_DATA, term.penalty_param = 1e-8;
    with(term, {2, 2, {3, 3, 3, 3}, {3, 3, 3, 3}}, PXL_F32,
         [](const Outcome &outcome, const oracle::Result &, const std::string &where) {
             EXPECT_EQ(outcome.values[1], std::numeric_limits<double>::infinity()) << where;
             EXPECT_EQ(oracle::max_abs(outcome.grad_pred), 0) << where;
         });
}

// Where the shift is 0, or all samples of it are masked, the range alone says how large the pixels are.
TEST(UnitsEdge, constant_images_have_units_wherever_their_shift_is_from) {
    pxl_term small = windowed(PXL_SSIM, "seed"), masked = windowed(PXL_SSIM);
    small.data_range = masked.data_range = PXL_FROM_DATA, masked.border = PXL_REFLECT;
    for (const pxl_dtype dtype : {PXL_F32, PXL_F64})
        for (const int e : {0, -55, -90, -125, 90, 126, -600, 900}) {
            if (dtype == PXL_F32 && (e < -125 || e > 126)) continue;
            const double s = std::ldexp(1, e);
            for (const auto &[h, w] : {std::pair{1, 1}, {3, 3}, {1, 40}}) {
                const size_t n = static_cast<size_t>(h * w);
                expect_right(small, {h, w, std::vector<double>(n, s / 2), std::vector<double>(n, s / 4)}, dtype);
            }
            Pixels few = {32, 32, std::vector<double>(1024, s / 2), std::vector<double>(1024, s / 4),
                          std::vector<double>(1024, 0)};
            for (int y = 6; y < 9; ++y)
                for (int x = 6; x < 9; ++x) few.weight[static_cast<size_t>(32 * y + x)] = 1;
            expect_right(masked, few, dtype);
        }
}

TEST(UnitsEdge, functions_of_a_mean_have_slopes_wherever_their_gradient_is_a_number) {
    const auto of = [](pxl_term_kind kind, double weight, double eps) {
        pxl_term term = PXL_TERM(kind, weight);
        term.penalty_param = eps;
        return term;
    };
    const Pixels equal = {2, 2, {.5, .5, .5, .5}, {.5, .5, .5, .5}};
    for (const double eps : {1e-305, 1e-308, 1e-310, 5e-324})
        for (const pxl_dtype dtype : {PXL_F32, PXL_F64})
            for (const double weight : {1.0, 1e5})
                with(of(PXL_PSNR, weight, eps), equal, dtype,
                     [](const Outcome &outcome, const oracle::Result &, const std::string &where) {
                         for (const double g : outcome.grad_pred.v) EXPECT_EQ(g, 0) << where;
                     });
    for (const double pixel : {1e-15, 1e-17, 1e-18})
        for (const double weight : {1.0, 100.0, 1e4})
            for (const pxl_term_kind kind : {PXL_PSNR, PXL_RMSE})
                for (const auto &[h, w] : {std::pair{1, 1}, {1, 3}, {2, 40}}) {
                    const size_t n = static_cast<size_t>(h * w);
                    expect_right(of(kind, weight, 0), {h, w, std::vector<double>(n, pixel), {}}, PXL_F32);
                }
}

pxl_term tv_root(pxl_reduction reduction, double weight = 1) {
    pxl_term term = PXL_TERM(PXL_TV, weight);
    term.root = 1, term.reduction = reduction;
    return term;
}
TEST(UnitsEdge, a_root_of_total_variation_has_slopes_wherever_its_gradient_is_a_number) {
    for (const double step : {1e-17, 1e-18, 1.0, 1e18})
        for (const pxl_reduction reduction : {PXL_MEAN, PXL_SUM})
            for (const auto &[h, w] : {std::pair{1, 2}, {3, 40}, {40, 3}}) {
                std::vector<double> pixels;
                for (int i = 0; i < h * w; ++i) pixels.push_back(i % 3 * step);
                for (const double weight : {1.0, 1e4}) expect_right(tv_root(reduction, weight), {h, w, pixels, {}}, PXL_F32);
                expect_right(tv_root(reduction), {h, w, pixels, {}, std::vector<double>(pixels.size(), 0.5)}, PXL_F32);
            }
    const std::vector<double> zeros(4, 0);
    for (const pxl_reduction reduction : {PXL_MEAN, PXL_SUM})
        for (const pxl_dtype dtype : {PXL_F32, PXL_F16, PXL_F64}) {
            expect_value(tv_root(reduction), {2, 2, {.5, .5, .5, .5}, {}}, dtype, 0, zeros);
            expect_value(tv_root(reduction), {2, 2, {1, 2, 3, 4}, {}, zeros}, dtype, 0, zeros);
            expect_value(tv_root(reduction), {2, 2, {0, 1e-25, 0, 0}, {}}, PXL_F32, 0, zeros); // its square is 0
        }
}

TEST(UnitsEdge, structure_is_no_number_where_squares_overflow) {
    pxl_term term = windowed(PXL_STRUCTURE);
    term.window = 3, term.sigma = 0.5;
    Pixels pixels = {5, 5, std::vector<double>(25, 0), std::vector<double>(25, 0)};
    const double pred[9] = {1.28, -1.28, 1.28, 1.28, 1.79, -1.28, 1.28, 1.28, -1.28},
                 target[9] = {1, 1, -1, -1, 1, -1, 1, -1, -1};
    for (size_t i = 0; i < 9; ++i) {
        const size_t at = 5 * (1 + i / 3) + 1 + i % 3;
        pixels.pred[at] = 1e19 * pred[i], pixels.target[at] = 1e17 * target[i];
    }
    with(term, pixels, PXL_F32, [](const Outcome &outcome, const oracle::Result &expected, const std::string &where) {
        const double value = outcome.values[1], right = expected.values[1];
        EXPECT_TRUE(!std::isfinite(value) || std::fabs(value - right) < 1e-3 * right) << value << ' ' << right << ' ' << where;
    });
}

TEST(UnitsEdge, parameters_that_f32_does_not_hold_are_refused) {
    const auto status = [](const pxl_term &term, pxl_dtype dtype) {
        const Case test = make_case({term}, {1, 1, 3, 4}, dtype);
        const Outcome outcome = run(test, make_inputs(test));
        EXPECT_TRUE(outcome.status == PXL_OK || outcome.message.find("outside of f32") != std::string::npos) << outcome.message;
        return outcome.status;
    };
    for (const pxl_term_kind kind : {PXL_PIXEL, PXL_SOBEL, PXL_TV, PXL_BLUR})
        for (const pxl_penalty penalty : {PXL_HUBER, PXL_SMOOTH_L1, PXL_CHARBONNIER, PXL_PSEUDO_HUBER}) {
            EXPECT_EQ(status(charged(kind, penalty, 1e39), PXL_F32), PXL_INVALID_ARGUMENT);
            EXPECT_EQ(status(charged(kind, penalty, 1e38), PXL_F32), PXL_OK);
            EXPECT_EQ(status(charged(kind, penalty, 1e-46), PXL_F32), is_slope(penalty) ? PXL_INVALID_ARGUMENT : PXL_OK);
            EXPECT_EQ(status(charged(kind, penalty, 1e-46), PXL_F16), is_slope(penalty) ? PXL_INVALID_ARGUMENT : PXL_OK);
            if (tested_device().computes(PXL_F64)) {
                EXPECT_EQ(status(charged(kind, penalty, 1e39), PXL_F64), PXL_OK);
            }
        }
}

TEST(UnitsEdge, exponents_keep_their_digits_or_are_refused) {
    std::mt19937 random(5);
    Pixels half = {16, 16, {}, {}};
    for (int i = 0; i < 256; ++i) {
        const double x = std::ldexp(static_cast<double>(random() >> 8), -24);
        half.pred.push_back(x), half.target.push_back(x / 2); // whose structure is 1 but for rounding
    }
    for (double pxl_term::*exponent : {&pxl_term::alpha, &pxl_term::beta, &pxl_term::gamma}) {
        pxl_term term = windowed(PXL_SSIM);
        term.*exponent = 100;
        with(term, half, PXL_F32, [&](const Outcome &outcome, const oracle::Result &expected, const std::string &where) {
            EXPECT_NEAR(outcome.values[1], expected.values[1], 1e-5 * expected.values[1]) << where;
        });
        pxl_loss *loss = nullptr;
        term.*exponent = 100.5;
        EXPECT_EQ(pxl_loss_create(&term, 1, &loss), PXL_INVALID_ARGUMENT);
        EXPECT_STREQ(pxl_error_message() + 8, (std::string(exponent == &pxl_term::alpha  ? ".alpha"
                                                           : exponent == &pxl_term::beta ? ".beta"
                                                                                         : ".gamma") +
                                               " is 100.5; at most 100 is taken")
                                                  .c_str());
    }
}

TEST(UnitsEdge, constant_images_with_their_own_range_score_by_their_means) {
    for (const double scale : {1e-30, 1.0, 1e30}) {
        pxl_term term = windowed(PXL_SSIM, "torchmetrics");
        const Pixels pixels = {20, 20, std::vector<double>(400, scale), std::vector<double>(400, 2 * scale)};
        expect_value(term, pixels, PXL_F32, 0.2, {}); // 1 - 2 a b / (a^2 + b^2)
    }
}

} // namespace
