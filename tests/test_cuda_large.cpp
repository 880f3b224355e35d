// More than 2^31 dense pixels on a device with room for them.
#ifdef PXL_TEST_CUDA
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "make_case.h"

namespace {

constexpr int64_t patch = 96; // pixels each way that are not 0

// A dense f32 image of zeros but for the patch in its last corner.
class Large {
  public:
    explicit Large(const Shape &s) : elements_(s.n * s.c * s.h * s.w) {
        if (cudaMalloc(reinterpret_cast<void **>(&data_), bytes())) data_ = nullptr, cudaGetLastError();
        view_ = pxl_nchw(data_, PXL_F32, PXL_CUDA_DEVICE(0), s.n, s.c, s.h, s.w);
    }
    ~Large() { cudaFree(data_); }
    Large(const Large &) = delete;
    Large &operator=(const Large &) = delete;
    bool is_there() const { return data_ != nullptr; }
    const pxl_tensor *view() const { return &view_; }
    void clear(int byte) { EXPECT_EQ(cudaMemset(data_, byte, bytes()), cudaSuccess); }
    void set_patch(const oracle::Image &image) {
        std::vector<float> values(image.v.begin(), image.v.end());
        copy(corner(), values.data(), cudaMemcpyHostToDevice);
    }
    oracle::Image get_patch() const {
        std::vector<float> values(patch * patch);
        copy(values.data(), corner(), cudaMemcpyDeviceToHost);
        oracle::Image image(1, 1, patch, patch);
        image.v.assign(values.begin(), values.end());
        return image;
    }

  private:
    size_t bytes() const { return static_cast<size_t>(elements_) * sizeof(float); }
    float *corner() const { return data_ + elements_ - (patch - 1) * view_.size[3] - patch; }
    void copy(void *to, const void *from, cudaMemcpyKind kind) const {
        const size_t row = patch * sizeof(float), pitch = static_cast<size_t>(view_.size[3]) * sizeof(float);
        const bool up = kind == cudaMemcpyHostToDevice;
        EXPECT_EQ(cudaMemcpy2D(to, up ? pitch : row, from, up ? row : pitch, row, patch, kind), cudaSuccess);
    }
    int64_t elements_;
    float *data_ = nullptr;
    pxl_tensor view_{};
};

class CudaLarge : public testing::TestWithParam<Shape> {};

// Sums over the map do not see the zeros, so a small image with the same corner has the same values and gradients.
TEST_P(CudaLarge, image_has_the_values_and_gradients_of_its_corner) {
#ifdef PXLI_CUDA_HOST
    GTEST_SKIP() << "2^31 pixels take hours on the shim; offsets beyond 2^31 are in FarApart";
#endif
    const Shape shape = GetParam();
    std::vector<pxl_term> terms = {windowed(PXL_SSIM), pixel(PXL_L1), PXL_TERM(PXL_SOBEL, 0.1)};
    for (pxl_term &term : terms) term.reduction = PXL_SUM;
    Case test = make_case(terms, {1, 1, 3 * patch, 4 * patch});
    test.grad_target = false;
    oracle::Inputs inputs = make_inputs(test);
    for (int64_t y = 0; y < test.shape.h; ++y)
        for (int64_t x = 0; x < test.shape.w; ++x)
            if (y < 2 * patch || x < 3 * patch) inputs.pred.at(0, 0, y, x) = inputs.target.at(0, 0, y, x) = 0;
    const auto corner_of = [&](const oracle::Image &image) {
        oracle::Image corner(1, 1, patch, patch);
        for (int64_t y = 0; y < patch; ++y)
            for (int64_t x = 0; x < patch; ++x) corner.at(0, 0, y, x) = image.at(0, 0, y + 2 * patch, x + 3 * patch);
        return corner;
    };

    size_t free = 0, total = 0;
    ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
    const auto needed = static_cast<double>(3 * 4 * shape.n * shape.c * shape.h * shape.w);
    if (static_cast<double>(free) < 1.05 * needed)
        GTEST_SKIP() << "takes " << needed / 1e9 << " GB of device memory; " << static_cast<double>(free) / 1e9 << " GB are free";
    Large pred(shape), target(shape), grad(shape);
    if (!pred.is_there() || !target.is_there() || !grad.is_there()) GTEST_SKIP() << "no room for three images";
    pred.clear(0), target.clear(0), grad.clear(0xff);
    pred.set_patch(corner_of(inputs.pred)), target.set_patch(corner_of(inputs.target));
    LossHandle loss;
    ASSERT_EQ(pxl_loss_create(terms.data(), terms.size(), loss.receive()), PXL_OK) << pxl_error_message();
    const DeviceArray<double> values(tested_device(), 1 + terms.size());
    pxl_args args = PXL_ARGS(pred.view(), target.view());
    args.grad_pred = grad.view(), args.values = values.data();
    size_t bytes = 0;
    ASSERT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << pxl_error_message();
    DeviceBuffer workspace(tested_device(), bytes);
    ASSERT_EQ(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    ASSERT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    const oracle::Result expected = reference(test, inputs);
    for (size_t i = 0; i <= terms.size(); ++i)
        EXPECT_NEAR(values.get()[i], expected.values[i], 1e-5 * expected.scale[i] + expected.value_slack[i]) << i;
    EXPECT_TRUE(close(grad.get_patch(), corner_of(expected.grad_pred), corner_of(expected.slack_pred), 1e-4, PXL_F32));

    ASSERT_EQ(pxl_reduce_workspace_size(nullptr, PXL_REDUCE_L1, PXL_OVER_ALL, pred.view(), &bytes), PXL_OK)
        << pxl_error_message();
    DeviceBuffer scratch(tested_device(), bytes);
    const DeviceArray<double> sum(tested_device(), 1);
    ASSERT_EQ(pxl_reduce(nullptr, PXL_REDUCE_L1, PXL_OVER_ALL, pred.view(), sum.data(), scratch.data(), bytes, nullptr), PXL_OK)
        << pxl_error_message();
    double direct = 0;
    for (const double value : inputs.pred.v) direct += std::abs(value);
    EXPECT_NEAR(sum.get()[0], direct, 1e-12 * direct);
    // Every element of the gradient was written.
    ASSERT_EQ(pxl_reduce(nullptr, PXL_REDUCE_SUM, PXL_OVER_ALL, grad.view(), sum.data(), scratch.data(), bytes, nullptr), PXL_OK)
        << pxl_error_message();
    double gradients = 0, magnitude = 0;
    for (const double g : expected.grad_pred.v) gradients += g, magnitude += std::abs(g);
    EXPECT_NEAR(sum.get()[0], gradients, 1e-4 * magnitude);
}
INSTANTIATE_TEST_SUITE_P(shape, CudaLarge, testing::Values(Shape{1, 1, 46400, 46400}, Shape{2200, 1, 1000, 1000}));

} // namespace
#endif
