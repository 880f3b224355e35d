// Contexts, views, and the sizes of maps as each library has them.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "pixloss/pixloss.h"

namespace {

constexpr int64_t N = 2, C = 3, H = 20, W = 24, huge = std::numeric_limits<int64_t>::max();

void expect_message(const std::string &text) {
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}

// The size of the map, read from the message that refuses a wrong one. No pixel is looked at, so the images need not exist.
void expect_map(const char *preset, int64_t h, int64_t w, int64_t map_h, int64_t map_w) {
    pxl_loss *loss = nullptr;
    ASSERT_EQ(pxl_loss_parse(("ssim(preset=" + std::string(preset) + ")").c_str(), nullptr, &loss), PXL_OK);
    const pxl_device cpu = PXL_CPU_DEVICE;
    const auto image = reinterpret_cast<void *>(uintptr_t{1} << 40), output = reinterpret_cast<void *>(uintptr_t{1} << 42);
    const pxl_tensor pred = pxl_nchw(image, PXL_F32, cpu, 1, 1, h, w), map = pxl_nchw(output, PXL_F32, cpu, 1, 1, map_h, map_w);
    const pxl_tensor wrong = pxl_nchw(output, PXL_F32, cpu, 1, 1, map_h, map_w + 1);
    pxl_args args = PXL_ARGS(&pred, &pred);
    size_t bytes;
    args.map = &map;
    EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << preset << " " << h << ": " << pxl_error_message();
    args.map = &wrong;
    EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_INVALID_ARGUMENT) << preset << " " << h;
    pxl_loss_destroy(loss);
}

TEST(MapSize, FollowsTheLibraries) {
    expect_map("wang", 11, 30, 1, 20);
    expect_map("vainf", 5, 30, 5, 20);
    expect_map("vainf", 11, 10, 1, 10);
    expect_map("skimage", 20, 30, 14, 24);
    expect_map("seed", 1, 1, 1, 1);
    expect_map("torchmetrics", 5, 7, 5, 7);
    // Factor 1 up to 384 pixels. There round(1.5) is 2 in both libraries; round(2.5), at 640, is 2 in Python and 3 in C.
    expect_map("piq", 383, 500, 373, 490);
    expect_map("piq", 384, 501, 182, 240);
    expect_map("piq", 640, 1000, 310, 490);
    expect_map("piq", 641, 1000, 203, 323);
    expect_map("piq", 896, 900, 214, 215); // round(3.5) = 4
    expect_map("vmaf", 383, 501, 373, 491);
    expect_map("vmaf", 384, 501, 182, 241);
    expect_map("vmaf", 640, 1001, 203, 324);
    expect_map("vmaf", 771, 800, 248, 256); // 771 / 3 + 1, as libvmaf has it
}

TEST(Context, CreateAndCount) {
    pxl_context *const none = nullptr;
    pxl_context *context = none;
    int devices = -1;
    EXPECT_EQ(pxl_device_count(PXL_CUDA, &devices), PXL_OK);
    ASSERT_GE(devices, 0);
    if (devices == 0) {
        expect_message("there are no CUDA devices: ");
        EXPECT_EQ(pxl_context_create(PXL_CUDA_DEVICE(0), 0, &context), PXL_UNSUPPORTED);
        expect_message("device is CUDA device 0, but ");
    } else {
        EXPECT_EQ(pxl_context_create(PXL_CUDA_DEVICE(devices), 0, &context), PXL_INVALID_ARGUMENT);
        expect_message("there are 0 to ");
    }
    EXPECT_EQ(pxl_context_create(PXL_CPU_DEVICE, -1, &context), PXL_INVALID_ARGUMENT);
    expect_message("threads is -1");
    EXPECT_EQ(pxl_context_create(pxl_device{PXL_CPU, 1}, 0, &context), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_context_create(PXL_CPU_DEVICE, 0, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(context, none);
    ASSERT_EQ(pxl_context_create(PXL_CPU_DEVICE, 2, &context), PXL_OK);
    pxl_context_destroy(context);
    pxl_context_destroy(nullptr);

    EXPECT_EQ(pxl_device_count(PXL_CPU, &devices), PXL_OK);
    EXPECT_EQ(devices, 1);
    EXPECT_EQ(pxl_device_count(PXL_CPU, nullptr), PXL_INVALID_ARGUMENT);
}

TEST(Tensor, Views) {
    float data[N * C * H * W];
    pxl_tensor t = pxl_nchw(data, PXL_F32, PXL_CPU_DEVICE, N, C, H, W);
    EXPECT_EQ(std::vector<int64_t>(t.stride, t.stride + 4), (std::vector<int64_t>{C * H * W, H * W, W, 1}));
    t = pxl_crop(t, 2, 3, 5, 6);
    EXPECT_EQ(t.data, data + 2 * W + 3);
    EXPECT_EQ(std::vector<int64_t>(t.size, t.size + 4), (std::vector<int64_t>{N, C, 5, 6}));
    t = pxl_nhwc(data, PXL_U8, PXL_CPU_DEVICE, N, C, H, W);
    EXPECT_EQ(std::vector<int64_t>(t.stride, t.stride + 4), (std::vector<int64_t>{H * W * C, 1, W * C, C}));
    EXPECT_EQ(t.ndim, 4);
    // No checks, and no undefined behaviour either.
    t = pxl_crop(pxl_nchw(nullptr, PXL_F64, PXL_CPU_DEVICE, huge, huge, huge, huge), huge, huge, 1, 1);
}

} // namespace
