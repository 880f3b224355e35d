// What a CUDA user relies on beside the numbers: capture in a graph, the caller's stream, several streams and host threads at
// once, the current device. The same source runs on a real device and on the shim of cuda_host.
#ifdef PXL_TEST_CUDA
#include <thread>

#include "cuda_stream.h"
#include "make_case.h"
#ifdef PXLI_CUDA_HOST
#include "control.h"
#endif

namespace {

#define REQUIRE_CUDA(call) ASSERT_EQ(call, cudaSuccess) << cudaGetErrorString(cudaGetLastError())

// Losses that between them take every pass: strip, maps, residual, the mean's two, averaged blocks, scales, a mask's sums, data_range.
std::vector<Case> losses() {
    pxl_term sobel = PXL_TERM(PXL_SOBEL, 0.1), blur = PXL_TERM(PXL_BLUR, 0.2), pooled = windowed(PXL_SSIM);
    pxl_term wide = windowed(PXL_SSIM), psnr = PXL_TERM(PXL_PSNR, -0.01);
    pxl_term scales = windowed(PXL_MS_SSIM), own_ranges = windowed(PXL_MS_SSIM, "torchmetrics");
    scales.scales = 2, own_ranges.scales = 2, own_ranges.sigma = 0.8;
    blur.sigma = 2, pooled.downsample = 2, pooled.window = 5, wide.window = 21, wide.sigma = 3, psnr.data_range = PXL_FROM_DATA;
    const std::vector<std::vector<pxl_term>> lists = {
        {windowed(PXL_SSIM)},
        {weighted(0.84, windowed(PXL_SSIM)), weighted(0.16, pixel(PXL_L1))},
        {PXL_TERM(PXL_RMSE, 1), psnr, sobel, PXL_TERM(PXL_TV, 0.1)},
        {windowed(PXL_STRUCTURE, "kornia"), blur, windowed(PXL_SSIM, "torchmetrics")},
        {pooled, wide, pixel(PXL_HUBER)},
        {scales},
        {own_ranges, pixel(PXL_L1)}};
    std::vector<Case> cases;
    for (const auto &list : lists)
        for (const bool per_image : {false, true}) {
            Case test = make_case(list, {2, 2, 37, 53});
            test.per_image = per_image;
            test.upstream = Upstream::given;
            test.own_weights = true;
            if (list.size() > 2 && takes_mask(list[0])) test.mask = Mask::fractional;
            cases.push_back(test);
        }
    return cases;
}

// ---- Graphs ------------------------------------------------------------------------------------------------------------

TEST(CudaGraph, replayed_follows_weights_and_upstream_gradients_in_device_memory) {
    const Stream stream;
    for (const Case &test : losses()) {
        oracle::Inputs inputs = make_inputs(test);
        Evaluation evaluation(tested_device(), test, inputs);
        ASSERT_EQ(evaluation.prepare(stream), PXL_OK) << pxl_error_message() << describe(test);
        stream.wait();
        Graph graph;
        ASSERT_EQ(graph.capture(stream, evaluation), PXL_OK) << pxl_error_message() << describe(test);
        for (const double factor : {1.0, -0.5, 0.0, 2.0}) {
            oracle::Inputs now = inputs;
            for (double &weight : now.term_weights) weight *= factor;
            for (double &upstream : now.grad_loss) upstream += factor;
            evaluation.set_term_weights(as_floats(now.term_weights));
            evaluation.set_grad_loss(as_floats(now.grad_loss));
            evaluation.poison_outputs();
            ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
            graph.replay(stream);
            stream.wait();
            const Outcome outcome = evaluation.outcome(PXL_OK);
            EXPECT_EQ(outcome.damage, "") << describe(test);
            ASSERT_EQ(outcome.bits, alone(test, now)) << "factor " << factor << ' ' << describe(test);
        }
    }
}

#ifdef PXLI_CUDA_HOST
// CUDA loads a kernel when it is first used; pxl_workspace_init is that use, so that a capture loads none.
TEST(CudaGraph, finds_its_kernels_loaded) {
    std::vector<Case> cases = losses();
    for (Case test : losses()) { // the sum of gradients in the workspace lies better than the gradient itself
        test.shape.w = 52, test.dtype = test.grad_dtype = PXL_F16, test.grad_layout = Layout::crop;
        cases.push_back(test);
    }
    for (const Case &test : cases) {
        const oracle::Inputs inputs = make_inputs(test);
        const Stream stream;
        Evaluation evaluation(tested_device(), test, inputs);
        cuda_host::forget_kernels();
        ASSERT_EQ(evaluation.prepare(stream), PXL_OK) << pxl_error_message() << describe(test);
        const size_t before = cuda_host::counts().loads_in_captures;
        Graph graph;
        ASSERT_EQ(graph.capture(stream, evaluation), PXL_OK) << pxl_error_message() << describe(test);
        EXPECT_EQ(cuda_host::counts().loads_in_captures, before) << describe(test);
    }
}
#endif

// ---- Streams -----------------------------------------------------------------------------------------------------------

// Uploads, evaluations and downloads queued one after the other without waiting: each sees what came before it on the stream.
TEST(CudaStream, order_is_kept) {
    const Case test =
        make_case({weighted(0.84, windowed(PXL_SSIM)), PXL_TERM(PXL_RMSE, 1), PXL_TERM(PXL_TV, 0.1)}, {1, 2, 64, 97});
    const oracle::Inputs inputs = make_inputs(test);
    const Stream stream;
    Evaluation evaluation(tested_device(), test, inputs);
    ASSERT_EQ(evaluation.prepare(stream), PXL_OK) << pxl_error_message();
    constexpr int steps = 6;
    const size_t pixels = inputs.pred.v.size();
    std::vector<std::vector<float>> images(steps);
    std::vector<std::vector<double>> values(steps, std::vector<double>(1 + test.terms.size()));
    for (int i = 0; i < steps; ++i)
        for (const double value : inputs.pred.v) images[i].push_back(static_cast<float>(value * (1 + 0.1 * i)));
    for (int i = 0; i < steps; ++i) {
        REQUIRE_CUDA(cudaMemcpyAsync(evaluation.args().pred->data, images[i].data(), pixels * sizeof(float),
                                     cudaMemcpyHostToDevice, stream));
        ASSERT_EQ(evaluation.evaluate(stream), PXL_OK) << pxl_error_message();
        REQUIRE_CUDA(cudaMemcpyAsync(values[i].data(), evaluation.args().values, values[i].size() * sizeof(double),
                                     cudaMemcpyDeviceToHost, stream));
    }
    stream.wait();
    for (int i = 0; i < steps; ++i) {
        oracle::Inputs now = inputs;
        now.pred.v.assign(images[i].begin(), images[i].end());
        EXPECT_EQ(values[i], run(test, now).values) << "step " << i;
    }
}

// Losses and contexts are shared.
TEST(CudaStream, several_host_threads_at_once) { expect_same_bits_at_once(losses()); }

TEST(CudaDevice, current_one_is_the_caller_s_again) {
    int count = 0, current = -1;
    REQUIRE_CUDA(cudaGetDeviceCount(&count));
    if (count < 2) GTEST_SKIP() << "there is one CUDA device; the test takes two";
    const Case test = losses()[1];
    const oracle::Inputs inputs = make_inputs(test);
    const Bits expected = alone(test, inputs);
    Evaluation evaluation(tested_device(), test, inputs);
    REQUIRE_CUDA(cudaSetDevice(1));
    EXPECT_EQ(evaluation.prepare(), PXL_OK) << pxl_error_message();
    EXPECT_EQ(evaluation.evaluate(), PXL_OK) << pxl_error_message();
    REQUIRE_CUDA(cudaGetDevice(&current));
    EXPECT_EQ(current, 1);
    REQUIRE_CUDA(cudaSetDevice(0));
    EXPECT_EQ(evaluation.outcome(PXL_OK).bits, expected);
    char text[256];
    ASSERT_EQ(pxl_device_describe(PXL_CUDA_DEVICE(1), text, sizeof text), PXL_OK) << pxl_error_message();
    EXPECT_NE(std::string(text).find("compute capability"), std::string::npos) << text;
}

} // namespace
#endif
