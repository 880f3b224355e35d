// The same bits for any number of threads, on every run, and with a workspace that was sized for fewer threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "make_case.h"

namespace {

constexpr int thread_counts[] = {1, 2, 3, 5, 8};

std::vector<Case> mixtures() {
    pxl_term sobel = PXL_TERM(PXL_SOBEL, 0.1), blur = PXL_TERM(PXL_BLUR, 0.2), wide = windowed(PXL_SSIM),
             parts = windowed(PXL_STRUCTURE);
    pxl_term psnr = PXL_TERM(PXL_PSNR, -0.01), pooled = windowed(PXL_SSIM), exponents = windowed(PXL_SSIM, "torchmetrics");
    sobel.isotropic = 1, blur.sigma = 3, wide.window = 33, wide.sigma = 5, wide.border = PXL_REFLECT, parts.border = PXL_ZERO;
    pooled.downsample = 2, pooled.window = 5, exponents.gamma = 0.5;
    pxl_term scales = windowed(PXL_MS_SSIM);
    scales.scales = PXL_SCALES_AUTO;
    const Shape shapes[] = {{1, 1, 333, 517}, {3, 3, 129, 201}, {1, 2, 700, 19}, {1, 1, 12, 1100}};
    const std::vector<std::vector<pxl_term>> losses = {{weighted(0.84, windowed(PXL_SSIM)), weighted(0.16, pixel(PXL_L1))},
                                                       {windowed(PXL_SSIM, "seed"), sobel, blur, PXL_TERM(PXL_TV, 0.1)},
                                                       {PXL_TERM(PXL_RMSE, 1), psnr, PXL_TERM(PXL_LAPLACIAN, 1)},
                                                       {parts, windowed(PXL_SSIM, "kornia"), pixel(PXL_CHARBONNIER)},
                                                       {exponents},
                                                       {pooled, pixel(PXL_HUBER)}};
    std::vector<Case> cases;
    for (const Shape &shape : shapes)
        for (const auto &loss : losses) cases.push_back(make_case(loss, shape));
    cases.push_back(make_case({wide, windowed(PXL_SSIM)}, {1, 1, 150, 300}));
    cases.push_back(make_case({weighted(0.84, scales), weighted(0.16, pixel(PXL_L1))}, {2, 2, 133, 217}));
    cases.push_back(make_case(losses[0], {2, 3, 100, 211}, PXL_F16));
    if (tested_device().computes(PXL_F64)) cases.push_back(make_case(losses[1], {2, 3, 100, 211}, PXL_F64));
    cases.push_back(make_case(losses[0], {2, 3, 100, 211}, PXL_U8));
    for (size_t i = 0; i < cases.size(); i += 3) {
        cases[i].per_image = true;
        if (i % 2) cases[i].pred_layout = cases[i].grad_layout = Layout::nhwc;
    }
    Turn turn(tested_device().id().type == PXL_CPU ? 1 : 3); // the kernels may run on the CPU, slowly
    cases.erase(std::remove_if(cases.begin(), cases.end(), [&](const Case &) { return !turn.comes(); }), cases.end());
    return cases;
}

TEST(Determinism, same_bits_for_any_number_of_threads) {
    for (Case test : mixtures()) {
        const oracle::Inputs inputs = make_inputs(test);
        test.threads = 1;
        const Outcome first = run(test, inputs);
        ASSERT_EQ(first.status, PXL_OK) << first.message << describe(test);
        for (const int threads : thread_counts) {
            test.threads = threads;
            EXPECT_EQ(run(test, inputs).bits, first.bits) << describe(test);
        }
    }
}

TEST(Determinism, same_bits_on_every_run) {
    for (Case test : mixtures()) {
        const oracle::Inputs inputs = make_inputs(test);
        test.threads = 3;
        const Outcome first = run(test, inputs);
        for (int i = 0; i < 3; ++i) EXPECT_EQ(run(test, inputs).bits, first.bits) << describe(test);
    }
}

// "On the CPU a workspace sized for fewer threads limits the call to so many."
TEST(Determinism, workspace_for_one_thread_serves_a_context_of_eight) {
    for (Case test : mixtures()) {
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome first = run(test, inputs);
        for (const int sized_for : {1, 3}) {
            test.threads = 8, test.workspace_threads = sized_for;
            const Outcome outcome = run(test, inputs);
            EXPECT_EQ(outcome.status, PXL_OK) << outcome.message << describe(test);
            EXPECT_EQ(outcome.damage, "") << describe(test);
            EXPECT_EQ(outcome.bits, first.bits) << describe(test);
        }
    }
}

// Wishes do not change results: a value without a gradient is the value with one, each gradient alone is that of both.
TEST(Determinism, same_values_and_gradients_whatever_else_is_asked_for) {
    for (Case test : mixtures()) {
        if (!is_floating(test.dtype)) continue;
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome both = run(test, inputs);
        ASSERT_EQ(both.status, PXL_OK) << both.message;
        test.grad_target = false;
        const Outcome pred = run(test, inputs);
        test.grad_pred = false, test.grad_target = true;
        const Outcome target = run(test, inputs);
        EXPECT_TRUE(close(pred.grad_pred, both.grad_pred, {}, 1e-6, test.dtype)) << describe(test);
        EXPECT_TRUE(close(target.grad_target, both.grad_target, {}, 1e-6, test.dtype)) << describe(test);
        test.grad_target = false;
        const Outcome values = run(test, inputs);
        for (size_t i = 0; i < both.values.size(); ++i) {
            EXPECT_NEAR(values.values[i], both.values[i], 1e-7 * std::fabs(both.values[i])) << describe(test);
            EXPECT_NEAR(pred.values[i], both.values[i], 1e-7 * std::fabs(both.values[i])) << describe(test);
            EXPECT_NEAR(target.values[i], both.values[i], 1e-7 * std::fabs(both.values[i])) << describe(test);
        }
    }
}

} // namespace
