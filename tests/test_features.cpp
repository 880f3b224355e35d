// Values, gradients and maps of the perceptual terms on small networks: against the oracle, against each other, and where they have
// to be 0. What torch computes is in test_network_values.cpp; calls, workspaces and threads are in test_feature_calls.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "feature_case.h"

namespace {

class Features : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};

pxl_term with_penalty(pxl_term term, pxl_penalty penalty, double parameter = 0) {
    term.penalty = penalty, term.penalty_param = parameter;
    return term;
}
pxl_term weighing(double weight, pxl_term term) { return weighted(weight, term); }

// ---- Against the oracle -----------------------------------------------------------------------------------------------
void expect_sampled(uint32_t seed, int count) {
    std::mt19937 random(seed);
    for (int i = 0; i < count && !testing::Test::HasFailure(); ++i)
        EXPECT_TRUE(agrees_with_oracle(random_feature_case(random))) << "case " << i << " of seed " << seed;
}

class FeaturesSampled : public Features, public testing::WithParamInterface<int> {};
TEST_P(FeaturesSampled, agree_with_the_oracle) { expect_sampled(static_cast<uint32_t>(GetParam()), 60); }
INSTANTIATE_TEST_SUITE_P(Random, FeaturesSampled, testing::Range(0, 4));
INSTANTIATE_TEST_SUITE_P(SlowRandom, FeaturesSampled, testing::Range(100, 140));
} // namespace
