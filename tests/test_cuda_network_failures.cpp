// Calls with networks on a GPU of which each call of CUDA, cuDNN and cuBLAS fails in turn, and processes without these libraries:
// what only the shim of cuda_host can do.
#if defined PXLI_CUDA_HOST && defined PXLI_CUDA_HOST_LIBRARIES
#include <gtest/gtest.h>

#include "control.h"
#include "feature_case.h"

namespace {

using cuda_host::Counts;

// A new one, so that all that is made for a network is made, and released again.
class Network {
  public:
    explicit Network(const Model &model) {
        std::vector<std::vector<float>> memory;
        const std::vector<pxl_layer> layers = library_layers(model, memory);
        EXPECT_EQ(pxl_network_create(layers.data(), layers.size(), &network_), PXL_OK) << pxl_error_message();
    }
    ~Network() { destroy(); }
    void destroy() {
        pxl_network_destroy(network_);
        network_ = nullptr;
    }
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;
    Case in(Case test) const {
        for (pxl_term &term : test.terms)
            if (term.network) term.network = network_;
        return test;
    }

  private:
    pxl_network *network_ = nullptr;
};

struct Attempt {
    pxl_status status;
    std::string message;
    Bits bits;
    bool failed; // the call that was to fail came
};
// A loss with its arrays, which no call that is made to fail has a part in.
class Arrays {
  public:
    explicit Arrays(const Case &test) : test_(test), inputs_(make_inputs(test_)), call_(tested_device(), test_, inputs_) {
        EXPECT_EQ(pxl_loss_create(test_.terms.data(), test_.terms.size(), loss_.receive()), PXL_OK) << pxl_error_message();
    }
    Attempt attempt(DeviceBuffer &workspace) {
        pxl_context *const context = context_of(tested_device(), 1);
        size_t bytes = 0;
        pxl_status status = pxl_workspace_size(context, loss_, &call_.args(), &bytes);
        if (!status) status = pxl_workspace_init(context, loss_, &call_.args(), workspace.data(), bytes, nullptr);
        if (!status) status = pxl_evaluate(context, loss_, &call_.args(), workspace.data(), bytes, nullptr);
        const std::string message = status ? pxl_error_message() : "";
        const bool failed = !cuda_host::fail_call_is_pending();
        cuda_host::fail_call(0);
        return {status, message, status ? Bits{} : call_.outcome(PXL_OK).bits, failed};
    }

  private:
    Case test_;
    oracle::Inputs inputs_;
    Evaluation call_;
    LossHandle loss_;
};

constexpr size_t enough = (4 << 20) + (64 << 10); // most of it cuBLAS'
const char *const tiny = "2:4,3,A,5k1";
Case tiny_case(bool grad_target) {
    const Model &model = model_of(tiny);
    Case test = make_case({in_network(model, PXL_FEATURES, "6"), weighted(0.5, in_network(model, PXL_STYLE, "3")), pixel(PXL_L1)},
                          {1, 2, 4, 4});
    test.parsed = false, test.grad_target = grad_target;
    return test;
}

void expect_released(const Counts &before, const std::string &after_what) {
    const Counts after = cuda_host::counts();
    EXPECT_EQ(after.live_allocations, before.live_allocations) << after_what;
    EXPECT_EQ(after.live_host_allocations, before.live_host_allocations) << after_what;
    EXPECT_EQ(after.live_handles, before.live_handles) << after_what;
    EXPECT_EQ(after.live_descriptors, before.live_descriptors) << after_what;
    EXPECT_EQ(after.live_streams, before.live_streams) << after_what;
    EXPECT_EQ(after.live_events, before.live_events) << after_what;
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "an error that was reported is left for the caller to find; " << after_what;
}
// Calls that only release do so all the same, and nothing is lost by their failure.
bool only_releases(const std::string &call) { return call.find("Destroy") != std::string::npos || call == "cudaFree"; }
void check_failure(const Attempt &failed, const Attempt &expected, cudaError_t error, const std::string &call) {
    if (only_releases(call) && failed.status == PXL_OK) {
        EXPECT_EQ(failed.bits, expected.bits) << call;
        return;
    }
    const bool memory = error == cudaErrorMemoryAllocation && failed.status == PXL_OUT_OF_MEMORY;
    EXPECT_TRUE(failed.status == PXL_DEVICE_ERROR || memory) << call << ": " << pxl_status_name(failed.status) << failed.message;
    EXPECT_NE(failed.message, "") << call;
}

// The error; whether both gradients are wanted, for which images go through one after the other; whether the caller's current device
// is another one than the images'.
class CudaNetworkFailure : public testing::TestWithParam<std::tuple<cudaError_t, bool, bool>> {
  protected:
    void SetUp() override {
        SKIP_WITHOUT_NETWORKS();
        const int mine = tested_device().id().index;
        ASSERT_EQ(cudaGetDevice(&before_), cudaSuccess);
        ASSERT_EQ(cudaSetDevice(caller_s_ = std::get<2>(GetParam()) ? !mine : mine), cudaSuccess);
    }
    void TearDown() override { EXPECT_EQ(cudaSetDevice(before_), cudaSuccess); }
    // The caller's current device is his again, or the message says that it could not be set back.
    void expect_caller_s_device(const Attempt &failed) const {
        int current = -1;
        EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
        if (current == caller_s_) return;
        EXPECT_NE(failed.message.find("cudaSetDevice, back to the caller's device"), std::string::npos) << failed.message;
        EXPECT_EQ(cudaSetDevice(caller_s_), cudaSuccess);
    }

  private:
    int before_ = 0, caller_s_ = 0;
};

TEST_P(CudaNetworkFailure, of_each_call_is_a_status_and_the_next_call_works) {
    const cudaError_t error = std::get<0>(GetParam());
    const Case test = tiny_case(std::get<1>(GetParam()));
    DeviceBuffer workspace(tested_device(), enough);
    const auto with_network = [&](auto check) {
        const Network network(model_of(tiny));
        Arrays arrays(network.in(test));
        check(arrays);
    };
    Attempt expected;
    with_network([&](Arrays &arrays) { expected = arrays.attempt(workspace); });
    ASSERT_EQ(expected.status, PXL_OK) << expected.message;
    const Counts before = cuda_host::counts();
    Turn turn(3);
    for (int other = 0; other < std::get<1>(GetParam()) + 2 * std::get<2>(GetParam()); ++other) turn.comes(); // other calls' turn
    bool reached = true; // the call of that number exists
    size_t n = 0;
    for (; reached && !HasFailure(); ++n) {
        if (!turn.comes()) continue;
        std::string call;
        with_network([&](Arrays &arrays) {
            cuda_host::forget_kernels();
            cuda_host::fail_call(n + 1, error);
            const Attempt failed = arrays.attempt(workspace);
            call = cuda_host::last_failed_call();
            if (!(reached = failed.failed)) return;
            check_failure(failed, expected, error, call);
            expect_caller_s_device(failed);
            const Attempt next = arrays.attempt(workspace);
            EXPECT_EQ(next.status, PXL_OK) << next.message << " after " << call;
            EXPECT_EQ(next.bits, expected.bits) << "after " << call;
        });
        expect_released(before, call + ", call " + std::to_string(n + 1));
    }
    EXPECT_GT(n, 500u);
}
INSTANTIATE_TEST_SUITE_P(with, CudaNetworkFailure,
                         testing::Combine(testing::Values(cudaErrorUnknown, cudaErrorMemoryAllocation), testing::Bool(),
                                          testing::Bool()));

// Nobody hears of a failure there; all is released nevertheless.
TEST_P(CudaNetworkFailure, to_release_loses_nothing) {
    if (!std::get<1>(GetParam())) return;
    DeviceBuffer workspace(tested_device(), enough);
    size_t n = 0;
    for (bool reached = true; reached && !HasFailure(); ++n) {
        const Counts before = cuda_host::counts();
        Network network(model_of(tiny));
        {
            Arrays arrays(network.in(tiny_case(true)));
            EXPECT_EQ(arrays.attempt(workspace).status, PXL_OK);
        } // with its loss's reference
        cuda_host::fail_call(n + 1, std::get<0>(GetParam()));
        network.destroy();
        reached = !cuda_host::fail_call_is_pending();
        cuda_host::fail_call(0);
        expect_caller_s_device({PXL_DEVICE_ERROR, pxl_error_message(), {}, reached});
        expect_released(before, cuda_host::last_failed_call());
    }
    EXPECT_GT(n, 100u);
}
TEST_P(CudaNetworkFailure, of_the_device_is_a_status) {
    DeviceBuffer workspace(tested_device(), enough);
    const Counts before = cuda_host::counts();
    {
        const Network used(model_of(tiny)), fresh(model_of(tiny));
        Arrays prepared(used.in(tiny_case(true))), others(fresh.in(tiny_case(true)));
        EXPECT_EQ(prepared.attempt(workspace).status, PXL_OK);
        cuda_host::set_sticky(cudaErrorIllegalAddress);
        for (Arrays *arrays : {&prepared, &others}) EXPECT_EQ(arrays->attempt(workspace).status, PXL_DEVICE_ERROR);
        cuda_host::set_sticky(cudaSuccess);
        EXPECT_EQ(prepared.attempt(workspace).bits, others.attempt(workspace).bits);
    }
    expect_released(before, "a device that was lost");
}

// ---- Processes without a library ----------------------------------------------------------------------------------------
TEST(CudaNetworkLibraries, that_are_missing_are_named_and_all_else_works) {
    const bool cudnn = cuda_host::is_missing(cuda_host::Library::cudnn),
               cublas = cuda_host::is_missing(cuda_host::Library::cublas);
    if (!cudnn && !cublas) GTEST_SKIP() << "PXLOSS_CUDA_MISSING=cudnn or cublas is needed";
    const auto outcome_of = [](const Case &test) { return run(tested_device(), test, make_inputs(test)); };
    Case test = tiny_case(true);
    const Outcome mix = outcome_of(test);
    EXPECT_EQ(mix.status, PXL_UNSUPPORTED) << mix.message;
    EXPECT_NE(mix.message.find(cudnn ? "libcudnn.so.9" : "libcublas.so.13"), std::string::npos) << mix.message;
    EXPECT_EQ(mix.damage, "");
    test.terms.erase(test.terms.begin() + 1); // style
    EXPECT_EQ(outcome_of(test).status, cudnn ? PXL_UNSUPPORTED : PXL_OK);
    test.terms.erase(test.terms.begin()); // features
    EXPECT_TRUE(agrees(test, outcome_of(test), reference(test, make_inputs(test))));
}

} // namespace
#endif
