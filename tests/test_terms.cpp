// Every term against the oracle: a full product of the list of terms with small shapes and both working precisions, each
// delivered in several ways; then conditions drawn at random, all kinds together.
#include <gtest/gtest.h>

#include "dtype.h"
#include "run_case.h"

namespace {

constexpr int failures_shown = 5; // per test: one mistake fails hundreds of cases

// Runs a case in several deliveries against one evaluation of the oracle. The number of deliveries that failed.
int check_deliveries(Case test, int deliveries, std::mt19937 &random) {
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    int failures = 0;
    for (int i = 0; i < deliveries && failures < failures_shown; ++i) {
        const testing::AssertionResult result = agrees(test, run(test, inputs), expected);
        EXPECT_TRUE(result);
        failures += !result;
        vary_delivery(test, random);
    }
    return failures;
}

// What must be refused, with all outputs untouched.
int check_refused(const Case &test) {
    const Outcome outcome = run(test, make_inputs(test));
    const bool refused = outcome.status == PXL_INVALID_ARGUMENT && outcome.damage.empty();
    EXPECT_TRUE(refused) << "no whole window fits, but: " << pxl_status_name(outcome.status) << ' ' << outcome.damage << "\n  "
                         << describe(test);
    return !refused;
}

// A type that the device does not compute, with all outputs untouched.
int check_unsupported(const Case &test) {
    const Outcome outcome = run(test, make_inputs(test));
    const bool refused = outcome.status == PXL_UNSUPPORTED && outcome.damage.empty();
    EXPECT_TRUE(refused) << pxl_status_name(outcome.status) << ' ' << outcome.damage << "\n  " << describe(test);
    return !refused;
}

int check_term(const pxl_term &term, const Shape &shape, pxl_dtype dtype, std::mt19937 &random) {
    Case test;
    test.terms = {term};
    test.shape = shape;
    test.dtype = test.grad_dtype = dtype;
    test.grad_target = true;
    test.seed = static_cast<uint32_t>(random());
    test.pattern = static_cast<Pattern>(test.seed % 5);
    const oracle::Term resolved = oracle::resolve(term);
    if (!tested_device().computes(dtype)) return check_unsupported(test);
    if (!oracle::fits(resolved, shape.h, shape.w)) return check_refused(test);
    int failures = check_deliveries(test, 3, random);
    if (oracle::downsample_factor(resolved, shape.h, shape.w) != 1 || resolved.downsample != 1) return failures;
    test.mask = static_cast<Mask>(1 + test.seed / 8 % 4);
    test.per_image = test.seed / 32 % 2;
    test.upstream = Upstream::given;
    return failures + check_deliveries(test, 2, random);
}

class Terms : public testing::TestWithParam<std::string> {};

TEST_P(Terms, agree_with_the_oracle_on_small_images) {
    std::mt19937 random(7);
    int failures = 0;
    for (const pxl_term &term : specs_of(GetParam()))
        for (const Shape &shape : small_shapes())
            for (const pxl_dtype dtype : {PXL_F64, PXL_F32})
                if (failures < failures_shown) failures += check_term(term, shape, dtype, random);
}

INSTANTIATE_TEST_SUITE_P(family, Terms, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

void check_random_cases(uint32_t seed, int count) {
    std::mt19937 random(seed);
    int failures = 0;
    for (int i = 0; i < count && failures < failures_shown; ++i) {
        const Case test = random_case(random);
        failures += tested_device().computes(test.dtype) ? check_deliveries(test, 2, random) : check_unsupported(test);
    }
}

class Sampled : public testing::TestWithParam<uint32_t> {};
TEST_P(Sampled, conditions_agree_with_the_oracle) { check_random_cases(GetParam(), 200); }
INSTANTIATE_TEST_SUITE_P(part, Sampled, testing::Range(0u, 8u));

class SlowSampled : public testing::TestWithParam<uint32_t> {};
TEST_P(SlowSampled, conditions_agree_with_the_oracle) { check_random_cases(1000 + GetParam(), 2000); }
INSTANTIATE_TEST_SUITE_P(part, SlowSampled, testing::Range(0u, 8u));

} // namespace
