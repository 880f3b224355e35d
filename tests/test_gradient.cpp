// Gradients against central differences, which know nothing of either derivation: first the oracle's adjoints, then the
// library's in f64, for every term of the list, with and without a weight map.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "cases.h"
#include "dtype.h"
#include "run_case.h"

namespace {

constexpr double step = 1e-5;

// d f / d image, element by element; those that have no turn are `other`'s.
oracle::Image differences(oracle::Image &image, const std::function<double()> &f, const oracle::Image &other, Turn &turn) {
    oracle::Image gradient = other;
    for (size_t i = 0; i < image.v.size(); ++i) {
        if (!turn.comes()) continue;
        const double at = image.v[i];
        image.v[i] = at + step;
        const double above = f();
        image.v[i] = at - step;
        const double below = f();
        image.v[i] = at;
        gradient.v[i] = (above - below) / (2 * step);
    }
    return gradient;
}

// A range taken from the data is a constant for the gradient: fixed before differences are taken.
pxl_term with_fixed_range(pxl_term term, const oracle::Inputs &inputs) {
    if (oracle::resolve(term).data_range != PXL_FROM_DATA) return term;
    // That of the pixels that count.
    double ends[2][2] = {{HUGE_VAL, -HUGE_VAL}, {HUGE_VAL, -HUGE_VAL}};
    for (size_t i = 0; i < inputs.pred.v.size(); ++i) {
        if (!inputs.weight.empty() && inputs.weight.v[i] == 0) continue; // one channel
        ends[0][0] = std::min(ends[0][0], inputs.pred.v[i]), ends[0][1] = std::max(ends[0][1], inputs.pred.v[i]);
        ends[1][0] = std::min(ends[1][0], inputs.target.v[i]), ends[1][1] = std::max(ends[1][1], inputs.target.v[i]);
    }
    term.data_range = std::max(ends[0][1] - ends[0][0], ends[1][1] - ends[1][0]);
    return term;
}

Case case_of(const pxl_term &term, bool masked) {
    Case test;
    test.terms = {term};
    test.shape = {2, 1, 6, 7};
    const oracle::Term resolved = oracle::resolve(term);
    if (!oracle::fits(resolved, 6, 7)) test.shape = {1, 1, resolved.window_y + 1, resolved.window_x + 2};
    while (!oracle::fits(resolved, test.shape.h, test.shape.w)) ++test.shape.h, ++test.shape.w; // of several scales
    test.dtype = test.grad_dtype = PXL_F64;
    test.grad_target = true;
    test.pattern = Pattern::noisy;
    test.seed = 3;
    if (masked) test.mask = Mask::fractional;
    return test;
}

// Central differences of step h err by h^2 f'''/6 and by 1e-16 f/h; 1/f''' is at worst the square of the smallest scale in a
// term.
constexpr double tolerance = 3e-6;

template <typename Value>
void expect_gradients(const Case &test, oracle::Inputs inputs, const oracle::Image &grad_pred, const oracle::Image &grad_target,
                      const char *whose, Value value) {
    Turn turn(5);
    const oracle::Image numeric_pred = differences(
        inputs.pred, [&] { return value(inputs); }, grad_pred, turn);
    const oracle::Image numeric_target = differences(
        inputs.target, [&] { return value(inputs); }, grad_target, turn);
    // A term that is the same for every small change has a gradient of 0, and differences of rounding errors.
    const oracle::Image noise(grad_pred.n, grad_pred.c, grad_pred.h, grad_pred.w, 1e-10);
    EXPECT_TRUE(close(grad_pred, numeric_pred, noise, tolerance, PXL_F64)) << whose << " grad_pred of " << describe(test);
    EXPECT_TRUE(close(grad_target, numeric_target, noise, tolerance, PXL_F64)) << whose << " grad_target of " << describe(test);
}

void check_oracle(const pxl_term &term, bool masked) {
    Case test = case_of(term, masked);
    const oracle::Inputs inputs = make_inputs(test);
    test.terms = {with_fixed_range(term, inputs)};
    const oracle::Result result = oracle::evaluate(resolve_all(test.terms), inputs);
    expect_gradients(test, inputs, result.grad_pred, result.grad_target, "the oracle's",
                     [&](const oracle::Inputs &at) { return oracle::evaluate(resolve_all(test.terms), at).values[0]; });
}

void check_library(const pxl_term &term, bool masked) {
    Case test = case_of(term, masked);
    const oracle::Inputs inputs = make_inputs(test);
    test.terms = {with_fixed_range(term, inputs)};
    const Outcome outcome = run(cpu(), test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message << "\n  " << describe(test);
    Case value_only = test;
    value_only.grad_pred = value_only.grad_target = false;
    expect_gradients(test, inputs, outcome.grad_pred, outcome.grad_target, "the library's",
                     [&](const oracle::Inputs &at) { return run(cpu(), value_only, at).values.at(0); });
}

// Wide windows take images so large that differences of each pixel take minutes, and differ from narrow ones in no formula.
bool is_small(const pxl_term &term) { return case_of(term, false).shape.h <= 12; }

class Gradient : public testing::TestWithParam<std::string> {};

TEST_P(Gradient, of_the_oracle_is_that_of_its_value) {
    for (const pxl_term &term : specs_of(GetParam())) {
        if (!is_small(term)) continue;
        check_oracle(term, false);
        if (takes_mask(term)) check_oracle(term, true);
    }
}

TEST_P(Gradient, of_the_library_is_that_of_its_value) {
    for (const pxl_term &term : specs_of(GetParam())) {
        if (!is_small(term)) continue;
        check_library(term, false);
        if (takes_mask(term)) check_library(term, true);
    }
}

INSTANTIATE_TEST_SUITE_P(family, Gradient, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

} // namespace
