// NaN, infinities, numbers near the end of the range, and the pixels that a weight of 0 takes out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "make_case.h"

namespace {

const Shape shape{2, 1, 36, 37};

bool reads_target(const pxl_term &term) { return term.kind != PXL_TV; }

// The images of `test` with one pixel replaced.
oracle::Inputs with_pixel(const oracle::Inputs &inputs, bool in_target, double value) {
    oracle::Inputs changed = inputs;
    (in_target ? changed.target : changed.pred).at(1, 0, 8, 11) = value;
    return changed;
}

class NotFinite : public testing::TestWithParam<std::string> {
  protected:
    // Calls check(case, inputs, in_target) for each term of the family, type, and image to spoil.
    template <typename Check>
    void each(std::initializer_list<pxl_dtype> dtypes, Check check) {
        Turn turn(tested_device().id().type == PXL_CPU ? 5 : 9); // the kernels may run on the CPU, slowly
        for (const pxl_term &term : specs_of(GetParam()))
            for (const pxl_dtype dtype : dtypes)
                for (const bool in_target : {false, true}) {
                    if ((in_target && !reads_target(term)) || !tested_device().computes(dtype) || !turn.comes()) continue;
                    const Case test = make_case({term}, shape, dtype);
                    check(test, make_inputs(test), in_target);
                    if (HasFailure()) return;
                }
    }
};

TEST_P(NotFinite, nan_in_gives_nan_out) {
    each({PXL_F32, PXL_F64, PXL_F16, PXL_BF16}, [](const Case &test, const oracle::Inputs &inputs, bool in_target) {
        const Outcome outcome = run(test, with_pixel(inputs, in_target, nan_value));
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        EXPECT_TRUE(std::isnan(outcome.values[1])) << outcome.values[1] << ' ' << describe(test);
        EXPECT_TRUE(std::isnan(outcome.values[0])) << outcome.values[0] << ' ' << describe(test);
        EXPECT_EQ(outcome.damage, "");
    });
}

TEST_P(NotFinite, infinity_never_gives_a_finite_value) {
    for (const double sign : {1.0, -1.0})
        each({PXL_F32, PXL_F64, PXL_F16}, [sign](const Case &test, const oracle::Inputs &inputs, bool in_target) {
            const Outcome outcome = run(test, with_pixel(inputs, in_target, sign * infinity));
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_FALSE(std::isfinite(outcome.values[1])) << outcome.values[1] << ' ' << describe(test);
        });
}

// Elements of image 0 alone.
std::vector<double> first_image(const oracle::Image &image) { return oracle::slice(image, 0).v; }

TEST_P(NotFinite, pixel_of_one_image_leaves_the_other_image_alone) {
    for (const double value : {nan_value, infinity})
        each({PXL_F32, PXL_F64}, [value](Case test, oracle::Inputs inputs, bool in_target) {
            test.per_image = inputs.per_image = true;
            const Outcome clean = run(test, inputs), outcome = run(test, with_pixel(inputs, in_target, value));
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            ASSERT_EQ(clean.status, PXL_OK) << clean.message;
            EXPECT_EQ(outcome.values[0], clean.values[0]) << describe(test);
            EXPECT_EQ(outcome.values[1], clean.values[1]) << describe(test);
            EXPECT_TRUE(std::isfinite(outcome.values[1])) << describe(test);
            EXPECT_FALSE(std::isfinite(outcome.values[3])) << describe(test);
            EXPECT_EQ(first_image(outcome.grad_pred), first_image(clean.grad_pred)) << describe(test);
            EXPECT_EQ(first_image(outcome.grad_target), first_image(clean.grad_target)) << describe(test);
        });
}

// Whether every number is right to three digits, or says that it is none.
testing::AssertionResult right_or_not_finite(const std::vector<double> &actual, const std::vector<double> &expected, double scale,
                                             const std::vector<double> &slack = {}) {
    for (size_t i = 0; i < actual.size(); ++i) {
        const double allowed = 1e-3 * scale + (slack.empty() ? 0 : slack[i]);
        if (std::isfinite(actual[i]) && !(std::fabs(actual[i] - expected[i]) <= allowed))
            return testing::AssertionFailure() << "element " << i << " is " << actual[i] << " instead of " << expected[i];
    }
    return testing::AssertionSuccess();
}

// contrast and structure need each image's own variance, which f32 loses where the other's is 1e6 times larger.
bool needs_both_variances(const pxl_term &term) {
    return term.kind == PXL_CONTRAST || term.kind == PXL_STRUCTURE || term.alpha > 0 || term.beta > 0 || term.gamma > 0;
}

TEST_P(NotFinite, huge_values_never_give_a_wrong_number) {
    for (const double huge : {20.0, 1e10, 1e18, -1e30})
        each({PXL_F32}, [huge](const Case &test, const oracle::Inputs &inputs, bool in_target) {
            if (needs_both_variances(test.terms[0]) && std::fabs(huge) > 100) return;
            const oracle::Inputs spoilt = with_pixel(inputs, in_target, test.dtype == PXL_F32 ? static_cast<float>(huge) : huge);
            const Outcome outcome = run(test, spoilt);
            const oracle::Result expected = reference(test, spoilt);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_TRUE(right_or_not_finite(outcome.values, expected.values, expected.scale[1] * std::fabs(test.terms[0].weight)))
                << "value, pixel " << huge << ' ' << describe(test);
            EXPECT_TRUE(right_or_not_finite(outcome.grad_pred.v, expected.grad_pred.v, oracle::max_abs(expected.grad_pred),
                                            expected.slack_pred.v))
                << "grad_pred, pixel " << huge << ' ' << describe(test);
            EXPECT_TRUE(right_or_not_finite(outcome.grad_target.v, expected.grad_target.v, oracle::max_abs(expected.grad_target),
                                            expected.slack_target.v))
                << "grad_target, pixel " << huge << ' ' << describe(test);
        });
}

// Puts `value` into every pixel of both images that the mask takes out.
oracle::Inputs with_masked_pixels(const oracle::Inputs &inputs, double value) {
    oracle::Inputs changed = inputs;
    for (int64_t n = 0; n < inputs.pred.n; ++n)
        for (int64_t c = 0; c < inputs.pred.c; ++c)
            for (int64_t y = 0; y < inputs.pred.h; ++y)
                for (int64_t x = 0; x < inputs.pred.w; ++x)
                    if (inputs.weight.at(n, 0, y, x) == 0) changed.pred.at(n, c, y, x) = changed.target.at(n, c, y, x) = value;
    return changed;
}

TEST_P(NotFinite, masked_pixels_do_not_matter) {
    each({PXL_F32, PXL_F64, PXL_F16}, [](Case test, const oracle::Inputs &, bool in_target) {
        if (in_target || !takes_mask(test.terms[0])) return;
        test.mask = Mask::fractional;
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome clean = run(test, with_masked_pixels(inputs, 0));
        ASSERT_EQ(clean.status, PXL_OK) << clean.message << describe(test);
        for (size_t i = 0; i < inputs.pred.v.size(); ++i) {
            if (inputs.weight.v[i] != 0) continue; // one channel
            ASSERT_EQ(clean.grad_pred.v[i], 0) << describe(test);
            ASSERT_EQ(clean.grad_target.v[i], 0) << describe(test);
        }
        const double large = test.dtype == PXL_F16 ? 65504 : 1e30;
        for (const double value : {nan_value, infinity, -infinity, large, 0.5})
            EXPECT_EQ(run(test, with_masked_pixels(inputs, value)).bits, clean.bits) << value << ' ' << describe(test);
    });
}

INSTANTIATE_TEST_SUITE_P(family, NotFinite, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

} // namespace
