// The graphs that cudnn_graph.c builds, given to the real cuDNN for GPUs that are only described: whether there are plans for them.
// No GPU is needed, nor a driver, whose symbols a stub has. A program of its own, as that of tests/cuda_host replaces the library.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "cudnn_library.h"
}

namespace {

// ---- Devices ----------------------------------------------------------------------------------------------------------
struct Gpu {
    const char *name;
    int version, multiprocessors, shared, threads, blocks; // shared: KiB of a multiprocessor
};
const Gpu gpus[] = {{"T4", 750, 40, 64, 1024, 16},        {"A100", 800, 108, 164, 2048, 32}, {"RTX3090", 860, 82, 100, 1536, 16},
                    {"RTX4090", 890, 128, 100, 1536, 24}, {"H200", 900, 132, 228, 2048, 32}, {"B200", 1000, 148, 228, 2048, 32},
                    {"RTX5090", 1200, 170, 100, 1536, 24}};
void PrintTo(const Gpu &gpu, std::ostream *to) { *to << gpu.name; }

// As DEVICEPROP descriptors are written. A kernel may have 1 KiB less than a multiprocessor; on 7.5 all.
std::string json_of(const Gpu &gpu) {
    const int all = gpu.shared * 1024, reserved = gpu.version >= 800 ? 1024 : 0;
    const auto field = [](const char *name, auto value) { return ", \"" + std::string(name) + "\": " + std::to_string(value); };
    return "{\"version\": 1, \"deviceName\": \"" + std::string(gpu.name) + "\"" + field("deviceVer", gpu.version) +
           field("major", gpu.version / 100) + field("minor", gpu.version / 10 % 10) +
           field("multiProcessorCount", gpu.multiprocessors) + field("maxSharedMemoryPerBlockOptin", all - reserved) +
           field("maxSharedMemoryPerSM", all) + field("reservedSharedMemoryPerBlock", reserved) +
           field("maxThreadsPerSM", gpu.threads) + field("maxCtasPerSM", gpu.blocks) +
           R"(, "cudaDeviceId": 0, "driverVer": 13000, "totalGlobalMem": 17179869184, "maxGridSize": [2147483647, 65535, 65535],
              "maxBlockSize": [1024, 1024, 64], "regsPerBlock": 65536, "smClockRateKHz": 1700000, "memClockRateKHz": 3200000,
              "memoryBusWidth": 384, "l2CacheSize": 41943040, "warpSize": 32, "maxSharedMemoryPerBlock": 49152,
              "maxRegistersPerSM": 65536, "pciDeviceId": 0, "maxThreadsPerBlock": 1024, "isTccDriver": 0, "supportCoopLaunch": 1,
              "oversizedSharedMemoryPerBlock": 0, "smCountOrigin": 0})";
}

// ---- Convolutions -----------------------------------------------------------------------------------------------------
struct Layer {
    int batch, h, w, inputs, outputs, size;
};
// Some of VGG16's at 256 x 256, and odd ones: sizes, numbers of channels, other kernels, one pixel.
const Layer ordinary = {2, 128, 128, 64, 128, 3}, first = {2, 256, 256, 3, 64, 3}, odd = {1, 17, 14, 5, 7, 1};
const std::vector<Layer> others = {{2, 256, 256, 64, 64, 3}, {2, 128, 128, 128, 128, 3}, {2, 64, 64, 128, 256, 3},
                                   {2, 64, 64, 256, 256, 3}, {2, 32, 32, 256, 512, 3},   {2, 32, 32, 512, 512, 3},
                                   {2, 16, 16, 512, 512, 3}, {3, 67, 71, 17, 33, 7},     {1, 8, 7, 12, 16, 5},
                                   {2, 1, 1, 1, 16, 3},      {1, 19, 3, 3, 1, 1},        {2, 33, 31, 16, 3, 3}};
struct Graph {
    const char *name;
    bool backward, fused, relu;
};
const Graph forward = {"forward", false, false, false}, with_bias = {"forward with bias", false, true, false},
            with_relu = {"forward with bias and ReLU", false, true, true}, backward = {"backward", true, false, false},
            with_mask = {"backward with mask", true, true, false};

const char *name_of(pxl_precision precision) {
    static const char *const names[] = {"default", "f32", "tf32", "f16", "bf16"};
    return names[precision];
}

// There is no bfloat16 before 8.0.
bool computes(const Gpu &gpu, pxl_precision precision) { return precision != PXL_PRECISION_BF16 || gpu.version >= 800; }

// ---- Plans ------------------------------------------------------------------------------------------------------------
struct Free {
    void operator()(pxli_cudnn *cudnn) const { pxli_cudnn_destroy(cudnn); }
    void operator()(pxli_cudnn_plan *plan) const { pxli_cudnn_plan_destroy(plan); }
};

// Why there is no cuDNN; "": there is.
std::string why_not() {
    // Only where there is no driver: a library of this name that is loaded is what cuDNN's find.
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) && !dlopen(PXL_TEST_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL))
        return dlerror();
    if (pxli_cudnn_available()) return pxl_error_message();
    const size_t version = pxli_cudnn_functions.GetVersion();
    if (version < 90800) return "cuDNN is " + std::to_string(version) + "; devices are described since 9.8 (90800)";
    const bool compiles = dlopen("libnvrtc.so.13", RTLD_NOW) || dlopen("libnvrtc.so.12", RTLD_NOW);
    return compiles ? "" : "libnvrtc is not to be found, by which cuDNN compiles what it fuses";
}

class CudnnPlans : public testing::TestWithParam<std::tuple<Gpu, pxl_precision>> {
  protected:
    void SetUp() override {
        static const std::string reason = why_not();
        if (!reason.empty()) GTEST_SKIP() << reason;
        pxli_cudnn *made = nullptr;
        ASSERT_EQ(pxli_cudnn_describe(json_of(std::get<0>(GetParam())).c_str(), &made), PXL_OK) << pxl_error_message();
        cudnn.reset(made);
    }
    // Whether cuDNN has a plan; anything but that there is none is a failure.
    bool plans(const Layer &layer, const Graph &graph) {
        const pxli_convolution c = {
            std::get<1>(GetParam()), graph.backward, graph.fused, graph.relu, layer.batch, layer.h, layer.w, layer.inputs,
            layer.outputs,           layer.size};
        pxli_cudnn_plan *made = nullptr;
        const pxl_status status = pxli_cudnn_plan_create(cudnn.get(), &c, &made);
        const std::unique_ptr<pxli_cudnn_plan, Free> plan(made);
        EXPECT_TRUE(status == PXL_OK || status == PXL_UNSUPPORTED) << pxl_error_message();
        return status == PXL_OK;
    }
    // Fused graphs may be done in parts in f32, which does without tensor cores, and in bf16 where gradients have an odd number of
    // channels, for which cuDNN 9.19 fuses no mask (9.28 does).
    static bool has_to_fuse(const Layer &layer, const Graph &graph, pxl_precision precision) {
        const bool uneven = graph.backward && (layer.inputs % 2 || layer.outputs % 2);
        return precision != PXL_PRECISION_F32 && !(precision == PXL_PRECISION_BF16 && uneven);
    }
    void check(const Layer &layer, const std::vector<Graph> &fused, const std::vector<Graph> &plain) {
        const auto [gpu, precision] = GetParam();
        const bool expected = computes(gpu, precision);
        for (const Graph &graph : plain) EXPECT_EQ(plans(layer, graph), expected) << graph.name << ": " << pxl_error_message();
        for (const Graph &graph : fused) {
            bool found = plans(layer, graph);
            if (!has_to_fuse(layer, graph, precision)) found = found || plans(layer, graph.backward ? backward : forward);
            EXPECT_EQ(found, expected) << graph.name << ": " << pxl_error_message();
        }
    }
    std::unique_ptr<pxli_cudnn, Free> cudnn;
};

TEST_P(CudnnPlans, exist) {
    const auto [gpu, precision] = GetParam();
    check(ordinary, {with_relu, with_mask}, {});
    if (precision != PXL_PRECISION_TF32) check(odd, {with_relu, with_mask}, {});       // as f32 or f16
    if (gpu.version == 900) check(first, {with_relu, with_bias}, {forward, backward}); // no ReLU is before it
}
// Minutes for each.
TEST_P(CudnnPlans, SlowExistForAll) {
    std::vector<Layer> layers = others;
    layers.insert(layers.end(), {ordinary, first, odd});
    for (const Layer &layer : layers) check(layer, {with_bias, with_relu, with_mask}, {forward, backward});
}

std::string name_of_test(const testing::TestParamInfo<CudnnPlans::ParamType> &info) {
    return std::string(std::get<0>(info.param).name) + "_" + name_of(std::get<1>(info.param));
}
INSTANTIATE_TEST_SUITE_P(, CudnnPlans,
                         testing::Combine(testing::ValuesIn(gpus), testing::Values(PXL_PRECISION_F32, PXL_PRECISION_TF32,
                                                                                   PXL_PRECISION_F16, PXL_PRECISION_BF16)),
                         name_of_test);

} // namespace
