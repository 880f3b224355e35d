// 1 - SSIM with terms on pixels and on neighbouring pixels beside it, in one call: what the CUDA backend computes in one kernel,
// for images of many strips and segments, of less than one, and at every border.
#include <gtest/gtest.h>

#include "make_case.h"

namespace {

constexpr int failures_shown = 5;

// Widths and heights around the strips (116 or 128 columns), the batches (8 or 4 rows) and the groups of rows of that kernel.
const std::vector<Shape> &mixed_shapes() {
    static const std::vector<Shape> shapes = {{1, 1, 11, 11},  {1, 1, 37, 1},   {1, 2, 1, 40},  {2, 1, 2, 2},   {1, 1, 12, 116},
                                              {1, 1, 13, 117}, {1, 1, 9, 118},  {1, 1, 5, 119}, {1, 1, 6, 120}, {1, 3, 14, 236},
                                              {2, 1, 7, 234},  {1, 1, 33, 129}, {1, 1, 4, 130}, {1, 1, 70, 27}, {1, 1, 150, 3},
                                              {3, 2, 19, 31},  {1, 1, 101, 64}, {1, 1, 3, 128}, {1, 1, 23, 24}, {1, 1, 16, 349}};
    return shapes;
}

pxl_term ssim(double weight) {
    pxl_term term = weighted(weight, windowed(PXL_SSIM));
    term.border = PXL_ZERO; // small images have a map, too
    return term;
}

// The gradient of pred, and at times none, both, or a row of values for each image; any types and layouts.
Case mixed_case(const std::vector<pxl_term> &terms, std::mt19937 &random) {
    static constexpr pxl_dtype dtypes[] = {PXL_F32, PXL_F32, PXL_F32, PXL_F16, PXL_BF16};
    Case test = make_case(terms, mixed_shapes()[random() % mixed_shapes().size()], dtypes[random() % 5]);
    const auto layout = [&] { return random() % 2 ? Layout::nchw : all_layouts[random() % std::size(all_layouts)]; };
    test.pred_layout = layout(), test.target_layout = layout(), test.grad_layout = layout();
    test.grad_dtype = random() % 2 ? test.dtype : PXL_F32;
    const unsigned wishes = random() % 8;
    test.grad_pred = wishes > 0, test.grad_target = wishes == 1, test.values = wishes != 2;
    test.map = wishes == 3;
    test.per_image = random() % 4 == 0, test.own_weights = random() % 4 == 0;
    test.upstream = random() % 4 == 0 ? Upstream::given : Upstream::none;
    test.pattern = static_cast<Pattern>(random() % 5);
    test.seed = static_cast<uint32_t>(random());
    return test;
}

int check_mix(const std::vector<pxl_term> &terms, std::mt19937 &random) {
    const Case test = mixed_case(terms, random);
    for (const pxl_term &term : test.terms)
        if (!oracle::fits(oracle::resolve(term), test.shape.h, test.shape.w)) return 0;
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    int failures = 0;
    for (const Way &way : tested_ways()) {
        const testing::AssertionResult result = agrees(test, run(way, test, inputs), expected);
        EXPECT_TRUE(result) << way.name();
        failures += !result;
    }
    return failures;
}

class Mixes : public testing::TestWithParam<std::string> {};
TEST_P(Mixes, of_ssim_and_one_term_agree_with_the_oracle) {
    std::mt19937 random(3);
    Turn turn(1);
    int failures = 0;
    for (const pxl_term &term : specs_of(GetParam()))
        for (int i = 0; i < 4 && failures < failures_shown; ++i)
            if (turn.comes()) failures += check_mix({ssim(0.7), weighted(0.1 * (3 - i), term)}, random);
}
INSTANTIATE_TEST_SUITE_P(family, Mixes, testing::Values("sobel", "laplacian", "tv"), [](const auto &info) { return info.param; });

// More terms than fit beside 1 - SSIM among them, and weights of 0.
TEST(Mixes, of_ssim_and_several_terms_agree_with_the_oracle) {
    static constexpr unsigned weights[] = {0, 1, 2, 3};
    std::mt19937 random(5);
    std::vector<pxl_term> all;
    for (const char *family : {"sobel", "laplacian", "tv", "pixel", "mean"})
        for (const pxl_term &term : specs_of(family)) all.push_back(term);
    Turn turn(2);
    int failures = 0;
    for (int i = 0; i < 400 && failures < failures_shown; ++i) {
        std::vector<pxl_term> terms(random() % 3);
        for (pxl_term &term : terms) term = all[random() % all.size()];
        terms.insert(terms.begin() + static_cast<std::ptrdiff_t>(random() % (terms.size() + 1)), ssim(random() % 6 ? 0.5 : 0));
        while (terms.size() < 3 + random() % 3) terms.push_back(all[random() % all.size()]);
        for (pxl_term &term : terms)
            if (term.kind != PXL_SSIM) term.weight = 0.25 * weights[random() % std::size(weights)];
        if (turn.comes()) failures += check_mix(terms, random);
    }
}

// Whatever pred's neighbours hold, the target's pixels do not matter to tv; a term of weight 0 leaves the gradient alone.
TEST(Mixes, of_weight_0_leave_the_gradient_alone) {
    pxl_term sobel = PXL_TERM(PXL_SOBEL, 0);
    const Case with = make_case({ssim(1), sobel, PXL_TERM(PXL_TV, 0.5)}, {1, 1, 40, 140}), without = [&] {
        Case test = with;
        test.terms.erase(test.terms.begin() + 1);
        return test;
    }();
    Case tests[] = {with, without};
    for (const Way &way : tested_ways()) {
        Outcome outcomes[2];
        for (int i = 0; i < 2; ++i) {
            tests[i].grad_target = false;
            outcomes[i] = run(way, tests[i], make_inputs(tests[i]));
            ASSERT_EQ(outcomes[i].status, PXL_OK) << way.name() << ": " << outcomes[i].message;
        }
        EXPECT_TRUE(close(outcomes[0].grad_pred, outcomes[1].grad_pred, {}, 0, PXL_F64)) << way.name();
    }
}

} // namespace
