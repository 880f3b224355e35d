// What depends on how kernels were compiled and launched: shared memory beyond what a kernel has unasked, code for another
// architecture than the device's, more blocks than a grid has.
#ifdef PXL_TEST_CUDA
#include <gtest/gtest.h>

#include <thread>

#include "cuda_operations.h"
#ifdef PXLI_CUDA_HOST
#include "control.h"
#endif

namespace {

// 1 - SSIM with so many terms on pixels beside it: each takes a sum for each thread in shared memory.
Case strip_case(int window, int pixels, Shape shape, bool grad_pred, bool grad_target) {
    pxl_term ssim = windowed(PXL_SSIM), huber = weighted(0.3, pixel(PXL_HUBER));
    ssim.window = window, ssim.sigma = window / 7.0;
    const pxl_term others[] = {weighted(0.5, pixel(PXL_L1)), weighted(0.2, pixel(PXL_L2)), huber, pixel(PXL_CHARBONNIER)};
    std::vector<pxl_term> terms = {ssim};
    terms.insert(terms.end(), others, others + pixels);
    Case test = make_case(terms, shape);
    test.grad_pred = grad_pred, test.grad_target = grad_target;
    return test;
}
#ifdef PXLI_CUDA_HOST
// Every kernel of strip.cu and strip_neighbours.cu: radii, gradients, terms beside 1 - SSIM, rows that are aligned or not.
std::vector<Case> strip_cases() {
    std::vector<Case> cases;
    for (const int window : {7, 11, 15})
        for (const int gradients : {0, 1, 2})
            for (const int pixels : {0, 1, 2, 3, 4})
                for (const int64_t width : {24, 23})
                    cases.push_back(strip_case(window, pixels, {1, 1, 20, width}, gradients > 0, gradients > 1));
    for (const bool gradient : {false, true})
        for (const int pixels : {0, 3})
            for (const int64_t width : {24, 23}) {
                cases.push_back(strip_case(11, pixels, {1, 1, 20, width}, gradient, false));
                cases.back().terms.push_back(PXL_TERM(PXL_SOBEL, 0.1));
            }
    return cases;
}

class CudaStrip : public testing::TestWithParam<int> {
  protected:
    void SetUp() override { cuda_host::set_compiled_for(tested_device().id().index, GetParam()); }
    void TearDown() override { cuda_host::set_compiled_for(tested_device().id().index, tested_device().id().index ? 89 : 90); }
};

TEST_P(CudaStrip, asks_for_shared_memory_whatever_was_asked_for_before) {
    for (const Case &test : strip_cases()) {
        const oracle::Inputs inputs = make_inputs(test);
        const oracle::Result expected = reference(test, inputs);
        Evaluation evaluation(tested_device(), test, inputs);
        ASSERT_EQ(evaluation.prepare(), PXL_OK) << pxl_error_message();
        for (const bool fresh : {true, false}) {
            if (fresh) cuda_host::forget_kernels();
            evaluation.poison_outputs();
            const pxl_status status = evaluation.evaluate();
            ASSERT_TRUE(agrees(test, evaluation.outcome(status), expected));
        }
    }
}
// 80 and 90: the strip kernel's large code, 86 and 75: the small one; each runs on devices of both kinds.
INSTANTIATE_TEST_SUITE_P(code_for, CudaStrip, testing::Values(75, 80, 86, 90), testing::PrintToStringParamName());
#endif

#ifdef PXLI_CUDA_HOST
size_t launches_of(std::vector<pxl_term> terms, bool grad_target = false) {
    Case test = make_case(std::move(terms), {2, 3, 45, 50});
    test.grad_target = grad_target;
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation evaluation(tested_device(), test, inputs);
    EXPECT_EQ(evaluation.prepare(), PXL_OK) << pxl_error_message();
    const size_t before = cuda_host::counts().launches;
    EXPECT_EQ(evaluation.evaluate(), PXL_OK) << pxl_error_message();
    return cuda_host::counts().launches - before;
}
TEST(CudaLaunch, of_ms_ssim_takes_terms_on_pixels_and_the_other_gradient_along) {
    pxl_term ms_ssim = PXL_TERM(PXL_MS_SSIM, 0.84), l1 = weighted(0.16, pixel(PXL_L1)), sobel = PXL_TERM(PXL_SOBEL, 0.1);
    ms_ssim.scales = 3, ms_ssim.window = 7;
    const size_t alone = launches_of({ms_ssim});
    EXPECT_GT(alone, 8u);
    EXPECT_EQ(launches_of({ms_ssim, l1, pixel(PXL_HUBER)}), alone);
    EXPECT_EQ(launches_of({ms_ssim, l1}, true), alone);
    EXPECT_EQ(launches_of({ms_ssim, sobel}), alone + 1);
    EXPECT_EQ(launches_of({ms_ssim, l1, sobel}), alone + 1);
}
#endif

TEST(CudaLaunch, of_different_sizes_by_host_threads_at_once) {
    const Case tests[] = {strip_case(11, 1, {1, 1, 24, 24}, true, false), strip_case(11, 4, {1, 1, 24, 24}, true, false)};
    std::string failures[2];
    Bits expected[2];
    std::unique_ptr<Evaluation> evaluations[2];
    std::vector<oracle::Inputs> inputs;
    for (const Case &test : tests) inputs.push_back(make_inputs(test));
    for (int i = 0; i < 2; ++i) {
        evaluations[i] = std::make_unique<Evaluation>(tested_device(), tests[i], inputs[static_cast<size_t>(i)]);
        ASSERT_EQ(evaluations[i]->prepare(), PXL_OK) << pxl_error_message();
        expected[i] = run(tests[i], inputs[static_cast<size_t>(i)]).bits;
    }
#ifdef PXLI_CUDA_HOST
    cuda_host::forget_kernels();
#endif
    const int steps = lists_are("short") ? 30 : 100;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&, i] {
            for (int step = 0; step < steps; ++step)
                if (evaluations[i]->evaluate()) failures[i] = pxl_error_message();
        });
    for (std::thread &thread : threads) thread.join();
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(failures[i], "");
        EXPECT_EQ(evaluations[i]->outcome(PXL_OK).bits, expected[i]);
    }
}

// Views of one pixel, whose images and channels lie on top of each other.
TEST(CudaLaunch, with_more_blocks_than_a_grid_has_is_refused) {
    pxl_term blur = PXL_TERM(PXL_BLUR, 1), ssim = windowed(PXL_SSIM);
    blur.sigma = 1, ssim.border = PXL_ZERO;
    const std::pair<pxl_term, const char *> kernels[] = {{pixel(PXL_L1), "residual_pixels: "},
                                                         {PXL_TERM(PXL_SOBEL, 1), "residual_strips: "},
                                                         {ssim, "strip: "},
                                                         {blur, "score: "}};
    DeviceArray<float> element(tested_device(), 1);
    DeviceArray<double> values(tested_device(), 2);
    DeviceBuffer workspace(tested_device(), 4096);
    pxl_tensor image = pxl_nchw(element.data(), PXL_F32, tested_device().id(), int64_t{1} << 22, int64_t{1} << 20, 8, 8);
    for (int64_t &stride : image.stride) stride = 0;
    pxl_args args = PXL_ARGS(&image, &image);
    args.values = values.data();
    for (const auto &[term, kernel] : kernels) {
        LossHandle loss;
        size_t bytes = 0;
        ASSERT_EQ(pxl_loss_create(&term, 1, loss.receive()), PXL_OK) << pxl_error_message();
        EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_UNSUPPORTED) << kernel;
        EXPECT_NE(std::string(pxl_error_message()).find(kernel), std::string::npos) << pxl_error_message();
        for (const auto call : {pxl_workspace_init, pxl_evaluate})
            EXPECT_EQ(call(nullptr, loss, &args, workspace.data(), workspace.bytes(), nullptr), PXL_UNSUPPORTED) << kernel;
    }
}

} // namespace
#endif
