// What calls refuse: every bad argument has a status and a message that names it, and leaves all outputs as they were.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "run_case.h"

namespace {

constexpr int64_t N = 2, C = 3, H = 20, W = 24, count = N * C * H * W;
constexpr int64_t huge = std::numeric_limits<int64_t>::max();
using LossPtr = std::unique_ptr<pxl_loss, decltype(&pxl_loss_destroy)>;

LossPtr parse(const char *expression) {
    pxl_loss *loss = nullptr;
    EXPECT_EQ(pxl_loss_parse(expression, nullptr, &loss), PXL_OK) << pxl_error_message();
    return {loss, pxl_loss_destroy};
}

void expect_message(const std::string &text) {
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}

// Memory whose every byte is known, so that a write shows.
template <typename T>
struct Poisoned : DeviceArray<T> {
    explicit Poisoned(size_t size) : DeviceArray<T>(tested_device(), size) {}
    bool intact() const {
        for (const T value : this->get())
            if (value == value) return false; // poison is NaN
        return this->fences_intact();
    }
};
struct Filled : DeviceArray<float> {
    Filled(size_t size, float value) : DeviceArray<float>(tested_device(), std::vector<float>(size, value)) {}
};

// A good call of everything that a loss can be asked for, which each test spoils in one place.
struct Call {
    const Filled pred_data{count, 0.5f}, target_data{count, 0.5f}, weight_data{count, 0.5f}, grad_loss{N, 1}, term_weights{2, 1};
    const Poisoned<float> grad_pred_data{count}, grad_target_data{count}, map_data{count}, statistics_data{5 * count};
    const Poisoned<double> values{N * 3};
    static constexpr size_t room = 1 << 20;
    const DeviceBuffer memory{tested_device(), room};
    uint8_t *workspace = memory.data();
    const pxl_device device = tested_device().id();
    pxl_tensor pred = nchw(pred_data.data()), target = nchw(target_data.data()), weight = nchw(weight_data.data());
    pxl_tensor grad_pred = nchw(grad_pred_data.data()), grad_target = nchw(grad_target_data.data());
    pxl_tensor map = pxl_nchw(map_data.data(), PXL_F32, device, N, C, H - 10, W - 10);
    pxl_tensor statistics = pxl_nchw(statistics_data.data(), PXL_F32, device, N, 5 * C, H - 10, W - 10);
    pxl_args args = PXL_ARGS(&pred, &target);
    LossPtr loss = parse("ssim + l1");

    Call() {
        weight = pxl_nchw(weight_data.data(), PXL_F32, device, N, 1, H, W);
        args.weight = &weight;
        args.grad_pred = &grad_pred;
        args.grad_target = &grad_target;
        args.grad_loss = grad_loss.data();
        args.term_weights = term_weights.data();
        args.values = values.data();
        args.map = &map;
        args.statistics = &statistics;
    }
    static pxl_tensor nchw(void *data) { return pxl_nchw(data, PXL_F32, tested_device().id(), N, C, H, W); }
    bool intact() const {
        return grad_pred_data.intact() && grad_target_data.intact() && map_data.intact() && statistics_data.intact() &&
               values.intact();
    }
};

using Edit = std::function<void(Call &)>;

// Both calls that look at args refuse them alike.
void expect_refused(pxl_status status, const std::string &text, const Edit &spoil) {
    auto call = std::make_unique<Call>();
    spoil(*call);
    size_t bytes = 12345;
    EXPECT_EQ(pxl_workspace_size(nullptr, call->loss.get(), &call->args, &bytes), status) << text << " | " << pxl_error_message();
    expect_message(text);
    EXPECT_EQ(bytes, 12345u) << text;
    EXPECT_EQ(pxl_evaluate(nullptr, call->loss.get(), &call->args, call->workspace, Call::room, nullptr), status) << text;
    expect_message(text);
    EXPECT_TRUE(call->intact()) << text;
}
void expect_invalid(const std::string &text, const Edit &spoil) { expect_refused(PXL_INVALID_ARGUMENT, text, spoil); }

void expect_accepted(const Edit &change) {
    auto call = std::make_unique<Call>();
    change(*call);
    size_t bytes = 0;
    EXPECT_EQ(pxl_workspace_size(nullptr, call->loss.get(), &call->args, &bytes), PXL_OK) << pxl_error_message();
}

TEST(CheckArgs, TheCallThatTheOthersSpoilIsGood) {
    expect_accepted([](Call &) {});
}

TEST(CheckArgs, NullAndVersion) {
    expect_invalid("loss is NULL", [](Call &c) { c.loss.reset(); });
    expect_invalid("pred is NULL", [](Call &c) { c.args.pred = nullptr; });
    expect_invalid("target is NULL", [](Call &c) { c.args.target = nullptr; });
    expect_invalid("args.struct_size is 0", [](Call &c) { c.args.struct_size = 0; });
    expect_invalid("args.struct_size is ", [](Call &c) { c.args.struct_size += 8; });
    expect_invalid("args.per_image is 2", [](Call &c) { c.args.per_image = 2; });
    expect_invalid("nothing is wanted", [](Call &c) {
        c.args.values = nullptr;
        c.args.grad_pred = c.args.grad_target = c.args.map = c.args.statistics = nullptr;
    });
    const Call call;
    size_t bytes;
    EXPECT_EQ(pxl_workspace_size(nullptr, call.loss.get(), nullptr, &bytes), PXL_INVALID_ARGUMENT);
    expect_message("args is NULL");
}

// The checks that every view undergoes, on each of them.
TEST(CheckArgs, EveryView) {
    using View = std::pair<const char *, pxl_tensor Call::*>;
    const View views[] = {{"pred", &Call::pred},
                          {"target", &Call::target},
                          {"weight", &Call::weight},
                          {"grad_pred", &Call::grad_pred},
                          {"grad_target", &Call::grad_target},
                          {"map", &Call::map},
                          {"statistics", &Call::statistics}};
    for (const auto &[name, view] : views) {
        const std::string prefix = name;
        const auto spoil = [view = view](const std::function<void(pxl_tensor &)> &edit) {
            return [=](Call &c) { edit(c.*view); };
        };
        expect_invalid(prefix + ".data is NULL", spoil([](pxl_tensor &t) { t.data = nullptr; }));
        expect_invalid(prefix + ".data is 0x", spoil([](pxl_tensor &t) { t.data = static_cast<char *>(t.data) + 2; }));
        expect_invalid(prefix + ".size[2] is 0", spoil([](pxl_tensor &t) { t.size[2] = 0; }));
        expect_invalid(prefix + ".size[0] is -1", spoil([](pxl_tensor &t) { t.size[0] = -1; }));
        expect_invalid(prefix + ".dtype is 6", spoil([](pxl_tensor &t) { t.dtype = static_cast<pxl_dtype>(6); }));
        expect_invalid(prefix + ".device.type is 2", spoil([](pxl_tensor &t) {
                           const int type = 2;
                           std::memcpy(&t.device.type, &type, sizeof type);
                       }));
        expect_invalid(prefix + ".device.index is 1", spoil([](pxl_tensor &t) { t.device = {PXL_CPU, 1}; }));
        int cuda_devices = 0;
        EXPECT_EQ(pxl_device_count(PXL_CUDA, &cuda_devices), PXL_OK);
        expect_refused(cuda_devices ? PXL_INVALID_ARGUMENT : PXL_UNSUPPORTED, prefix + ".device is CUDA device 99",
                       spoil([](pxl_tensor &t) { t.device = PXL_CUDA_DEVICE(99); }));
        expect_refused(PXL_UNSUPPORTED, prefix + ".ndim is 5", spoil([](pxl_tensor &t) { t.ndim = 5; }));
        expect_refused(PXL_UNSUPPORTED, prefix + ".ndim is 3", spoil([](pxl_tensor &t) { t.ndim = 3; }));
        expect_invalid("larger than memory can be", spoil([](pxl_tensor &t) { t.size[0] = huge; }));
        expect_invalid("larger than memory can be", spoil([](pxl_tensor &t) { t.size[2] = t.size[3] = int64_t{1} << 32; }));
        expect_invalid("larger than memory can be", spoil([](pxl_tensor &t) { t.stride[2] = huge / 2; }));
        expect_invalid("larger than memory can be",
                       spoil([](pxl_tensor &t) { t.stride[2] = std::numeric_limits<int64_t>::min(); }));
        // 2^62 bytes below the data: not an overflow, but no address either.
        expect_invalid("larger than memory can be", spoil([](pxl_tensor &t) { t.stride[2] = -(int64_t{1} << 54); }));
    }
}

TEST(CheckArgs, ViewsOnTwoDevices) {
    if (tested_device().id().type == PXL_CPU) GTEST_SKIP() << "the test takes a CUDA device beside the CPU";
    const auto on_cpu = [](pxl_tensor Call::*view) { return [=](Call &c) { (c.*view).device = PXL_CPU_DEVICE; }; };
    expect_invalid("target is on CPU device 0, but pred is on CUDA device 0", on_cpu(&Call::target));
    expect_invalid("target is on CUDA device 0, but pred is on CPU device 0", on_cpu(&Call::pred));
    expect_invalid("weight is on CPU device 0, but pred is", on_cpu(&Call::weight));
    expect_invalid("grad_pred is on CPU device 0, but pred is", on_cpu(&Call::grad_pred));
    expect_invalid("grad_target is on CPU device 0, but target is", on_cpu(&Call::grad_target));
    expect_invalid("map is on CPU device 0, but pred is", on_cpu(&Call::map));
    expect_invalid("statistics is on CPU device 0, but pred is", on_cpu(&Call::statistics));
    const Call call;
    size_t bytes = 0;
    EXPECT_EQ(pxl_workspace_size(context_of(cpu(), 1), call.loss.get(), &call.args, &bytes), PXL_INVALID_ARGUMENT);
    expect_message("context is for CPU device 0, but pred is on CUDA device 0");
}

TEST(CheckArgs, F64OnlyOnTheCpu) {
    if (tested_device().computes(PXL_F64)) GTEST_SKIP() << "this device computes f64";
    expect_refused(PXL_UNSUPPORTED, "f64 images are computed on the CPU alone", [](Call &c) {
        for (pxl_tensor *image : {&c.pred, &c.target})
            image->dtype = PXL_F64, image->stride[0] = image->stride[1] = image->stride[2] = image->stride[3] = 0;
    });
}

TEST(CheckArgs, ImagesThatDiffer) {
    expect_invalid("target.size[3] is 23; 24 is needed", [](Call &c) { c.target.size[3]--; });
    expect_invalid("target.size[0] is 1; 2 is needed", [](Call &c) { c.target.size[0]--; });
}

TEST(CheckArgs, ImagesOfTwoTypes) {
    const auto without_gradients = [](Call &c) { c.args.grad_pred = c.args.grad_target = nullptr; };
    for (const pxl_dtype dtype : {PXL_F16, PXL_BF16, PXL_U8, PXL_U16})
        expect_accepted([=](Call &c) { without_gradients(c), c.target.dtype = dtype; });
    expect_invalid("target is f64, but pred is f32; f32, f16, bf16, u8 or u16 is needed",
                   [](Call &c) { c.target.dtype = PXL_F64, c.target.stride[2] = c.target.stride[1] = c.target.stride[0] = 0; });
    expect_invalid("target is f16, but pred is u8; one dtype is needed",
                   [=](Call &c) { without_gradients(c), c.pred.dtype = PXL_U8, c.target.dtype = PXL_F16; });
    expect_refused(PXL_UNSUPPORTED, "grad_target is wanted, but target is u8", [](Call &c) { c.target.dtype = PXL_U8; });
    const auto bytes = [=](Call &c, const char *loss) {
        without_gradients(c), c.args.map = c.args.statistics = nullptr;
        c.target.dtype = PXL_U8, c.loss = parse(loss);
    };
    expect_invalid("the data_range of term 1, psnr(data_range=255), is not the 1 of those before it",
                   [=](Call &c) { bytes(c, "ssim(data_range=1) + psnr(data_range=255)"); });
    expect_invalid("the data_range of term 2, dssim(data_range=3), is not the 2 of those before it",
                   [=](Call &c) { bytes(c, "l1 + ssim(data_range=2) + dssim(data_range=3)"); });
}

TEST(CheckArgs, InputsMayOverlapAndRepeat) {
    expect_accepted([](Call &c) { c.target = c.pred; });
    expect_accepted([](Call &c) { c.args.target = c.args.pred; });
    expect_accepted([](Call &c) { c.weight.stride[0] = 0; });
    expect_accepted([](Call &c) { c.target.stride[0] = c.target.stride[1] = c.target.stride[2] = c.target.stride[3] = 0; });
    expect_accepted([](Call &c) {
        c.pred.data = c.pred_data.data() + count - 1, c.pred.stride[3] = -1, c.pred.stride[2] = -W, c.pred.stride[1] = -H * W,
        c.pred.stride[0] = -C * H * W;
    });
}

TEST(CheckArgs, Weight) {
    expect_invalid("weight.size[1] is 3; 1 is needed", [](Call &c) { c.weight.size[1] = C; });
    expect_invalid("weight.size[0] is 1; 2 is needed", [](Call &c) { c.weight.size[0] = 1; });
    expect_invalid("weight.size[2] is 19; 20 is needed", [](Call &c) { c.weight.size[2] = 19; });
    expect_invalid("weight is u8; f32 is needed", [](Call &c) { c.weight.dtype = PXL_U8; });
    expect_invalid("weight is f64; f32 is needed", [](Call &c) {
        c.weight.dtype = PXL_F64;
        c.weight.stride[0] = c.weight.stride[1] = c.weight.stride[2] = c.weight.stride[3] = 0;
    });
    expect_invalid("weight does not go with term 0, ssim(window=3, downsample=2)", [](Call &c) {
        c.loss = parse("ssim(downsample=2, window=3) + l1");
        c.args.map = c.args.statistics = nullptr;
    });
    // An automatic factor is 1 for so small an image.
    expect_accepted([](Call &c) { c.loss = parse("ssim(preset=piq) + l1"); });
}

TEST(CheckArgs, Gradients) {
    for (pxl_dtype dtype : {PXL_U8, PXL_U16})
        expect_refused(PXL_UNSUPPORTED, "grad_pred is wanted, but pred is u",
                       [=](Call &c) { c.pred.dtype = c.target.dtype = dtype; });
    expect_invalid("grad_pred is u8; f32, f16 or bf16 is needed", [](Call &c) { c.grad_pred.dtype = PXL_U8; });
    expect_invalid("grad_target is f64; f32, f16 or bf16 is needed", [](Call &c) {
        c.pred.dtype = c.target.dtype = PXL_BF16;
        c.grad_target.dtype = PXL_F64;
    });
    expect_invalid("grad_target.size[1] is 2; 3 is needed", [](Call &c) { c.grad_target.size[1] = 2; });
    expect_accepted([](Call &c) { c.pred.dtype = c.target.dtype = c.grad_pred.dtype = PXL_F16; });
    expect_accepted([](Call &c) { c.grad_pred.dtype = PXL_F16, c.grad_target.dtype = PXL_BF16; });
    expect_accepted([](Call &c) {
        c.pred.dtype = c.target.dtype = PXL_U8;
        c.args.grad_pred = c.args.grad_target = nullptr;
    });
}

TEST(CheckArgs, OutputsWithoutMemoryOfTheirOwn) {
    expect_invalid("grad_pred (from", [](Call &c) { c.grad_pred.data = c.pred.data; });
    expect_invalid("overlaps target", [](Call &c) { c.grad_pred.data = c.target_data.data() + count - 1; });
    expect_invalid("overlaps weight", [](Call &c) { c.map.data = c.weight.data; });
    expect_invalid("overlaps grad_target", [](Call &c) { c.grad_pred.data = c.grad_target.data; });
    expect_invalid("overlaps statistics", [](Call &c) { c.map.data = c.statistics.data; });
    expect_invalid("overlaps values", [](Call &c) { c.args.values = static_cast<double *>(c.grad_pred.data) + 2; });
    expect_invalid("overlaps grad_loss", [](Call &c) { c.args.grad_loss = static_cast<float *>(c.grad_pred.data) + count - 1; });
    expect_invalid("overlaps term_weights", [](Call &c) { c.args.term_weights = reinterpret_cast<float *>(c.args.values) + 4; });
    // Only with a row per image do the values reach the weights.
    expect_invalid("overlaps term_weights", [](Call &c) {
        c.args.per_image = 1;
        c.args.term_weights = reinterpret_cast<float *>(c.args.values + 5);
    });
    expect_accepted([](Call &c) { c.args.term_weights = reinterpret_cast<float *>(c.args.values + 3); });
}

TEST(CheckArgs, OutputsWhoseElementsCoincide) {
    expect_invalid("grad_pred.stride[0] is 0", [](Call &c) { c.grad_pred.stride[0] = 0; });
    expect_invalid("grad_pred.stride[3] is 0", [](Call &c) { c.grad_pred.stride[3] = 0; });
    expect_invalid("map.stride[2] is 13", [](Call &c) { c.map.stride[2] = 13; });
    expect_invalid("map.stride[2] is -13", [](Call &c) { c.map.stride[2] = -13, c.map.data = c.map_data.data() + 1000; });
    expect_invalid("statistics.stride[2] is 14", [](Call &c) { c.statistics.stride[1] = c.statistics.stride[2]; });
    expect_accepted([](Call &c) { c.grad_pred = pxl_nhwc(c.grad_pred.data, PXL_F32, c.device, N, C, H, W); });
    expect_accepted([](Call &c) { c.map = pxl_crop(Call::nchw(c.map.data), 3, 4, H - 10, W - 10); });
    expect_accepted([](Call &c) { c.grad_pred.data = c.grad_pred_data.data() + W - 1, c.grad_pred.stride[3] = -1; });
}

TEST(CheckArgs, AlignmentOfArrays) {
    const auto shifted = [](auto *pointer) {
        return reinterpret_cast<decltype(pointer)>(reinterpret_cast<uintptr_t>(pointer) + 1);
    };
    expect_invalid("values is 0x", [=](Call &c) { c.args.values = shifted(c.args.values); });
    expect_invalid("grad_loss is 0x", [=](Call &c) { c.args.grad_loss = shifted(c.args.grad_loss); });
    expect_invalid("term_weights is 0x", [=](Call &c) { c.args.term_weights = shifted(c.args.term_weights); });
}

TEST(CheckArgs, MapAndStatistics) {
    expect_invalid("map is wanted, but the loss has no windowed term", [](Call &c) { c.loss = parse("l1 + tv"); });
    expect_invalid("statistics is wanted, but", [](Call &c) {
        c.loss = parse("l1 + tv");
        c.args.map = nullptr;
    });
    expect_invalid("map is f16; f32 or f64", [](Call &c) { c.map.dtype = PXL_F16; });
    expect_invalid("statistics is u8; f32 or f64", [](Call &c) { c.statistics.dtype = PXL_U8; });
    expect_invalid("map.size[2] is 10; 20 is needed", [](Call &c) { c.loss = parse("ssim(border=zero) + l1"); });
    expect_invalid("map.size[2] is 10; 14 is needed", [](Call &c) { c.loss = parse("l1 + ssim(window=7) + ssim"); });
    expect_invalid("statistics.size[1] is 3; 15 is needed", [](Call &c) { c.statistics.size[1] = C; });
}

TEST(CheckArgs, ImagesSmallerThanAWindow) {
    const auto with = [](const char *expression) {
        return [=](Call &c) {
            c.loss = parse(expression);
            c.args.map = c.args.statistics = nullptr;
            c.args.weight = nullptr;
        };
    };
    expect_invalid("pred is 20 x 24 pixels; term 1, ssim(window=21), needs at least 21 x 21", with("l1 + ssim(window=21)"));
    expect_invalid("needs at least 22 x 22", with("ssim(downsample=2) + l1"));
    expect_invalid("needs at least 25 x 25", with("l1 + blur(window=25, border=valid)"));
    expect_invalid("needs at least 21 x 21", with("ssim(downsample=21, border=zero) + l1"));
    expect_accepted(with("ssim(window=21, preset=vainf) + l1"));
    expect_accepted(with("ssim(window=33, border=reflect) + blur(window=101)"));
    expect_accepted(with("ssim(downsample=20, border=zero) + l1"));
    expect_invalid("pred is 2 x 24 pixels; term 0, sobel(border=valid), needs at least 3 x 3", [&](Call &c) {
        with("sobel(border=valid) + tv")(c);
        for (pxl_tensor *t : {&c.pred, &c.target, &c.grad_pred, &c.grad_target}) t->size[2] = 2;
    });
}

// libvmaf's rule leaves a pixel of an odd side whatever the block, which then would be mirrored over and over.
TEST(CheckArgs, BlocksLargerThanTheImage) {
    const auto odd = [](const char *expression) {
        return [=](Call &c) {
            c.loss = parse(expression);
            for (pxl_tensor *view : {&c.pred, &c.target, &c.grad_pred, &c.grad_target}) view->size[2] = view->size[3] = 5;
            c.args.weight = c.args.map = c.args.statistics = nullptr;
        };
    };
    expect_invalid("needs at least 6 x 6", odd("ssim(preset=vmaf, border=zero, downsample=6) + l1"));
    expect_invalid("needs at least 2000000000 x 2000000000", odd("ssim(preset=vmaf, border=zero, downsample=2000000000) + l1"));
    expect_accepted(odd("ssim(preset=vmaf, border=zero, downsample=5) + l1"));
}

TEST(CheckWorkspace, PointerSizeAndOverlap) {
    Call call;
    size_t bytes = 0;
    ASSERT_EQ(pxl_workspace_size(nullptr, call.loss.get(), &call.args, &bytes), PXL_OK) << pxl_error_message();
    ASSERT_GT(bytes, 0u);
    const auto evaluate = [&](void *workspace, size_t size) {
        return pxl_evaluate(nullptr, call.loss.get(), &call.args, workspace, size, nullptr);
    };
    EXPECT_EQ(evaluate(nullptr, bytes), PXL_INVALID_ARGUMENT);
    expect_message("workspace is NULL");
    EXPECT_EQ(evaluate(call.workspace + 8, bytes), PXL_INVALID_ARGUMENT);
    expect_message("aligned to 16 bytes");
    EXPECT_EQ(evaluate(call.workspace, 1), PXL_WORKSPACE_TOO_SMALL);
    expect_message("the workspace has 1 bytes; ");
    // A workspace that ends in the first bytes of pred.
    const uintptr_t inside = (reinterpret_cast<uintptr_t>(call.pred_data.data()) + 15) & ~uintptr_t{15};
    EXPECT_EQ(evaluate(reinterpret_cast<void *>(inside), bytes), PXL_INVALID_ARGUMENT);
    expect_message("overlaps");
    EXPECT_EQ(pxl_workspace_size(nullptr, call.loss.get(), &call.args, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_TRUE(call.intact());
}

// ---- Operators ---------------------------------------------------------------------------------------------------------

pxl_status filter_size(const pxl_filter &filter, const pxl_tensor &input, const pxl_tensor &output) {
    size_t bytes = 0;
    return pxl_filter_workspace_size(nullptr, &filter, &input, &output, &bytes);
}

TEST(CheckFilter, Fields) {
    Call call;
    const auto refuse = [&](pxl_filter_kind kind, const char *text, const std::function<void(pxl_filter &)> &spoil) {
        pxl_filter filter = PXL_FILTER(kind);
        spoil(filter);
        EXPECT_EQ(filter_size(filter, call.pred, call.grad_pred), PXL_INVALID_ARGUMENT) << text;
        expect_message(text);
    };
    refuse(PXL_FILTER_BLUR, "filter.struct_size is 0", [](pxl_filter &f) { f.struct_size = 0; });
    refuse(PXL_FILTER_BLUR, "filter.sigma is 0", [](pxl_filter &) {});
    refuse(PXL_FILTER_BLUR, "filter.sigma is -1", [](pxl_filter &f) { f.sigma = -1; });
    refuse(PXL_FILTER_BLUR, "filter.sigma is nan", [](pxl_filter &f) { f.sigma = std::numeric_limits<double>::quiet_NaN(); });
    refuse(PXL_FILTER_BLUR, "takes 7001 taps", [](pxl_filter &f) { f.sigma = 1000; });
    refuse(PXL_FILTER_BLUR, "filter.window is 4; an even number", [](pxl_filter &f) { f.sigma = 1, f.window = 4; });
    refuse(PXL_FILTER_BOX, "filter.window is 0; 1 to 1023", [](pxl_filter &) {});
    refuse(PXL_FILTER_BOX, "filter.window is 1025", [](pxl_filter &f) { f.window = 1025; });
    refuse(PXL_FILTER_BOX, "filter.sigma is 1, but", [](pxl_filter &f) { f.window = 3, f.sigma = 1; });
    refuse(PXL_FILTER_SOBEL, "filter.window is 3, but", [](pxl_filter &f) { f.window = 3; });
    refuse(PXL_FILTER_LAPLACIAN, "filter.neighbours is 6", [](pxl_filter &f) { f.neighbours = 6; });
    refuse(PXL_FILTER_BOX, "filter.neighbours is 4, but", [](pxl_filter &f) { f.window = 3, f.neighbours = 4; });
    refuse(PXL_FILTER_SOBEL, "output.size[1] is 3; 6 is needed", [](pxl_filter &) {});
    refuse(PXL_FILTER_LAPLACIAN, "output.size[2] is 20; 18 is needed", [](pxl_filter &f) { f.border = PXL_VALID; });
    refuse(PXL_FILTER_BOX, "needs at least 21 x 21", [](pxl_filter &f) { f.border = PXL_VALID, f.window = 21; });
    refuse(PXL_FILTER_BOX, "output.size[2] is 20; 17 is needed", [](pxl_filter &f) { f.border = PXL_VALID, f.window = 4; });
}

TEST(CheckFilter, Views) {
    Call call;
    const pxl_filter filter = PXL_FILTER(PXL_FILTER_LAPLACIAN);
    EXPECT_EQ(filter_size(filter, call.pred, call.grad_pred), PXL_OK) << pxl_error_message();
    EXPECT_EQ(filter_size(filter, call.pred, call.pred), PXL_INVALID_ARGUMENT);
    expect_message("output (from");
    pxl_tensor other = call.grad_pred;
    other.dtype = PXL_F16;
    EXPECT_EQ(filter_size(filter, call.pred, other), PXL_INVALID_ARGUMENT);
    expect_message("output is f16, but input is f32");
    other = call.grad_pred;
    other.stride[2] = 0;
    EXPECT_EQ(filter_size(filter, call.pred, other), PXL_INVALID_ARGUMENT);
    expect_message("output.stride[2] is 0");
    pxl_tensor bytes = call.pred;
    bytes.dtype = other.dtype = PXL_U8;
    EXPECT_EQ(filter_size(filter, bytes, call.grad_pred), PXL_UNSUPPORTED);
    size_t size;
    EXPECT_EQ(pxl_filter_workspace_size(nullptr, &filter, nullptr, &call.grad_pred, &size), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_filter_workspace_size(nullptr, nullptr, &call.pred, &call.grad_pred, &size), PXL_INVALID_ARGUMENT);
    expect_message("filter is NULL");
}

TEST(CheckStatistics, TermAndViews) {
    Call call;
    const auto refuse = [&](pxl_status status, const char *text, const std::function<void(pxl_term &)> &spoil) {
        pxl_term term = PXL_TERM(PXL_SSIM, 1);
        spoil(term);
        EXPECT_EQ(
            pxl_ssim_statistics(nullptr, &term, &call.pred, &call.target, &call.statistics, call.workspace, Call::room, nullptr),
            status)
            << text;
        expect_message(text);
        EXPECT_TRUE(call.intact());
    };
    refuse(PXL_INVALID_ARGUMENT, "term is of kind pixel", [](pxl_term &t) { t.kind = PXL_PIXEL; });
    refuse(PXL_INVALID_ARGUMENT, "term.window is 4", [](pxl_term &t) { t.window = 4; });
    refuse(PXL_INVALID_ARGUMENT, "statistics.size[2] is 10; 20 is needed", [](pxl_term &t) { t.border = PXL_ZERO; });
    refuse(PXL_UNSUPPORTED, "set its downsample to 1", [](pxl_term &t) { t.downsample = 2; });
    call.statistics.dtype = PXL_F64;
    refuse(PXL_INVALID_ARGUMENT, "statistics is f64; f32 is needed", [](pxl_term &) {});
    call.statistics.dtype = PXL_F32;
    call.statistics.data = call.pred.data;
    refuse(PXL_INVALID_ARGUMENT, "overlaps pred", [](pxl_term &) {});
}

TEST(CheckStatistics, WithoutATerm) {
    Call c;
    size_t bytes = 12345;
    EXPECT_EQ(pxl_ssim_statistics_workspace_size(nullptr, nullptr, &c.pred, &c.target, &bytes), PXL_INVALID_ARGUMENT);
    expect_message("term is NULL");
    EXPECT_EQ(bytes, 12345u);
    EXPECT_EQ(pxl_ssim_statistics(nullptr, nullptr, &c.pred, &c.target, &c.statistics, c.workspace, Call::room, nullptr),
              PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_ssim_statistics_adjoint(nullptr, nullptr, &c.pred, &c.target, &c.statistics, &c.grad_pred, nullptr, c.workspace,
                                          Call::room, nullptr),
              PXL_INVALID_ARGUMENT);
    EXPECT_TRUE(c.intact());
}

TEST(CheckStatistics, Adjoint) {
    Call call;
    const pxl_term term = PXL_TERM(PXL_SSIM, 1);
    const auto adjoint = [&](const pxl_tensor *grad_pred, const pxl_tensor *grad_target) {
        return pxl_ssim_statistics_adjoint(nullptr, &term, &call.pred, &call.target, &call.statistics, grad_pred, grad_target,
                                           call.workspace, Call::room, nullptr);
    };
    EXPECT_EQ(adjoint(nullptr, nullptr), PXL_INVALID_ARGUMENT);
    expect_message("nothing is wanted");
    EXPECT_EQ(adjoint(&call.statistics, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(adjoint(&call.grad_pred, &call.grad_pred), PXL_INVALID_ARGUMENT);
    expect_message("overlaps grad_target");
    call.pred.dtype = call.target.dtype = PXL_U8;
    EXPECT_EQ(adjoint(&call.grad_pred, nullptr), PXL_UNSUPPORTED);
    EXPECT_TRUE(call.intact());
}

TEST(CheckReduce, EnumsAndView) {
    Call call;
    size_t bytes = 0;
    EXPECT_EQ(pxl_reduce_workspace_size(nullptr, static_cast<pxl_reduce_kind>(7), PXL_OVER_ALL, &call.pred, &bytes),
              PXL_INVALID_ARGUMENT);
    expect_message("kind is 7");
    EXPECT_EQ(pxl_reduce_workspace_size(nullptr, PXL_REDUCE_SUM, static_cast<pxl_reduce_over>(3), &call.pred, &bytes),
              PXL_INVALID_ARGUMENT);
    expect_message("over is 3");
    EXPECT_EQ(pxl_reduce_workspace_size(nullptr, PXL_REDUCE_SUM, PXL_OVER_ALL, nullptr, &bytes), PXL_INVALID_ARGUMENT);
    expect_message("input is NULL");
    EXPECT_EQ(pxl_reduce(nullptr, PXL_REDUCE_SUM, PXL_OVER_ALL, &call.pred, nullptr, call.workspace, Call::room, nullptr),
              PXL_INVALID_ARGUMENT);
    expect_message("results is NULL");
    EXPECT_EQ(pxl_reduce(nullptr, PXL_REDUCE_SUM, PXL_OVER_IMAGE, &call.pred, reinterpret_cast<double *>(call.pred.data),
                         call.workspace, Call::room, nullptr),
              PXL_INVALID_ARGUMENT);
    expect_message("results (from");
}

} // namespace
