// Every term against the oracle: a full product of the list of terms with small shapes and both working precisions, each
// delivered in several ways; then conditions drawn at random, all kinds together.
#include <gtest/gtest.h>

#include "dtype.h"
#include "random_cases.h"
#include "run_case.h"

namespace {

constexpr int failures_shown = 5; // per test: one mistake fails hundreds of cases

// Runs a case in several deliveries, each in every way, against one evaluation of the oracle. The number of calls that failed.
int check_deliveries(Case test, int deliveries, std::mt19937 &random) {
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    int failures = 0;
    for (int i = 0; i < deliveries && failures < failures_shown; ++i) {
        for (const Way &way : tested_ways()) {
            if (!way.device->computes(test.dtype)) continue;
            const testing::AssertionResult result = agrees(test, run(way, test, inputs), expected);
            EXPECT_TRUE(result) << way.name();
            failures += !result;
        }
        vary_delivery(test, random);
    }
    return failures;
}

// What must be refused with that status, with all outputs untouched.
int check_refused(const Way &way, const Case &test, pxl_status status) {
    const Outcome outcome = run(way, test, make_inputs(test));
    const bool refused = outcome.status == status && outcome.damage.empty();
    EXPECT_TRUE(refused) << way.name() << ": " << pxl_status_name(outcome.status) << " instead of " << pxl_status_name(status)
                         << ' ' << outcome.damage << "\n  " << describe(test);
    return !refused;
}

// Checks that devices refuse a type that they do not compute. Returns whether any device computes it.
bool check_unsupported(const Case &test, int &failures) {
    bool computed = false;
    for (const Way &way : tested_ways()) {
        const bool computes = way.device->computes(test.dtype);
        computed = computed || computes;
        if (!computes) failures += check_refused(way, test, PXL_UNSUPPORTED);
    }
    return computed;
}

// Where no whole window fits.
int check_too_small(const Case &test) {
    int failures = 0;
    for (const Way &way : tested_ways())
        if (way.device->computes(test.dtype)) failures += check_refused(way, test, PXL_INVALID_ARGUMENT);
    return failures;
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
    int failures = 0;
    if (!check_unsupported(test, failures)) return failures;
    if (!oracle::fits(resolved, shape.h, shape.w)) return failures + check_too_small(test);
    failures += check_deliveries(test, 3, random);
    if (!takes_mask(term)) return failures;
    test.mask = static_cast<Mask>(1 + test.seed / 8 % 4);
    test.per_image = test.seed / 32 % 2;
    test.upstream = Upstream::given;
    return failures + check_deliveries(test, 2, random);
}

class Terms : public testing::TestWithParam<std::string> {};

TEST_P(Terms, agree_with_the_oracle_on_small_images) {
    std::mt19937 random(7);
    Turn turn(2);
    int failures = 0;
    for (const pxl_term &term : specs_of(GetParam()))
        for (const Shape &shape : small_shapes()) {
            if (!turn.comes()) continue;
            for (const pxl_dtype dtype : {PXL_F64, PXL_F32})
                if (failures < failures_shown) failures += check_term(term, shape, dtype, random);
        }
}

INSTANTIATE_TEST_SUITE_P(family, Terms, testing::ValuesIn(all_families()), [](const auto &info) { return info.param; });

int check_random_case(uint32_t seed) {
    std::mt19937 random(seed);
    const Case test = random_case(random);
    int failures = 0;
    if (check_unsupported(test, failures)) failures += check_deliveries(test, 2, random);
    if (failures) ADD_FAILURE() << "random case " << seed;
    return failures;
}

// The part of a list of random cases that belongs to this test, of `parts`.
void check_random_cases(const RandomCases &list, uint32_t part, uint32_t parts) {
    Turn turn(1);
    int failures = 0;
    for (uint32_t i = part; i < list.count && failures < failures_shown; i += parts)
        if (turn.comes()) failures += check_random_case(list.first + i);
}

constexpr uint32_t short_parts = 8, long_parts = 16;

class Sampled : public testing::TestWithParam<uint32_t> {};
TEST_P(Sampled, conditions_agree_with_the_oracle) { check_random_cases(short_list, GetParam(), short_parts); }
INSTANTIATE_TEST_SUITE_P(part, Sampled, testing::Range(0u, short_parts));

class SlowSampled : public testing::TestWithParam<uint32_t> {};
TEST_P(SlowSampled, conditions_agree_with_the_oracle) { check_random_cases(long_list, GetParam(), long_parts); }
INSTANTIATE_TEST_SUITE_P(part, SlowSampled, testing::Range(0u, long_parts));

// Cases of the long list that reach code which the short list does not: scripts/choose_cases.sh.
const std::vector<uint32_t> chosen_cases = {
#include "chosen_cases.inc"
};
TEST(ChosenCases, agree_with_the_oracle) {
    int failures = 0;
    for (size_t i = 0; i < chosen_cases.size() && failures < failures_shown; ++i) failures += check_random_case(chosen_cases[i]);
}

} // namespace
