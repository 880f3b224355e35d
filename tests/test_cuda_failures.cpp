// Every CUDA call that the library makes is made to fail in turn, and threads run in other orders: what only the shim of cuda_host
// can do.
#ifdef PXLI_CUDA_HOST
#include <gtest/gtest.h>

#include "control.h"
#include "cuda_operations.h"

namespace {

using cuda_host::Counts;

TEST(CudaFailure, nothing_allocates_or_waits) {
    Fixture fixture;
    for (const Operation &operation : fixture.operations()) {
        const Counts before = cuda_host::counts();
        ASSERT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
        const Counts after = cuda_host::counts();
        EXPECT_EQ(after.allocations, before.allocations) << operation.name;
        EXPECT_EQ(after.synchronisations, before.synchronisations) << operation.name;
        EXPECT_EQ(after.live_streams, before.live_streams) << operation.name;
        EXPECT_EQ(after.live_events, before.live_events) << operation.name;
        EXPECT_GT(after.launches + (operation.name == "workspace_init"), before.launches) << operation.name;
    }
}

// After a failed call: a status that names the cause, and everything as before it.
void check_failure(const Operation &operation, pxl_status status, cudaError_t error, const Counts &before) {
    const std::string message = pxl_error_message(), failed = cuda_host::last_failed_call();
    EXPECT_EQ(status, PXL_DEVICE_ERROR) << operation.name << ": " << message;
    EXPECT_NE(message.find(cudaGetErrorString(error)), std::string::npos) << operation.name << ": " << message;
    // A launch is named by its kernel.
    const bool is_launch = failed.find("Launch") != std::string::npos;
    EXPECT_TRUE(is_launch || message.find(failed) != std::string::npos) << operation.name << ", " << failed << ": " << message;
    const Counts after = cuda_host::counts();
    EXPECT_EQ(after.live_allocations, before.live_allocations) << operation.name;
    EXPECT_EQ(after.live_host_allocations, before.live_host_allocations) << operation.name;
    int current = -1;
    EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
    EXPECT_EQ(current, 0) << operation.name;
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "an error that was reported is left for the caller to find; " << operation.name;
}

TEST(CudaFailure, of_each_call_is_a_status_and_the_next_call_works) {
    Fixture fixture;
    for (const Operation &operation : fixture.operations()) {
        cuda_host::forget_kernels(); // so that the calls of a first use are among them
        const size_t calls_before = cuda_host::api_calls();
        ASSERT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
        const size_t calls = cuda_host::api_calls() - calls_before;
        const Bits expected = operation.results();
        ASSERT_GT(calls, 0u) << operation.name;
        for (size_t n = 1; n <= calls; ++n)
            for (const cudaError_t error : {cudaErrorUnknown, cudaErrorMemoryAllocation}) {
                const Counts before = cuda_host::counts();
                cuda_host::forget_kernels();
                cuda_host::fail_call(n, error);
                const pxl_status status = operation.call();
                EXPECT_FALSE(cuda_host::fail_call_is_pending()) << operation.name << ", call " << n;
                cuda_host::fail_call(0);
                check_failure(operation, status, error, before);
                ASSERT_EQ(operation.call(), PXL_OK) << operation.name << " after a failure: " << pxl_error_message();
                ASSERT_EQ(operation.results(), expected) << operation.name << " after call " << n << " had failed";
                if (HasFailure()) return;
            }
    }
}

// On a device that is not the current one there are calls more: to set it, and to set it back.
TEST(CudaFailure, leaves_the_current_device) {
    Fixture fixture;
    for (const Operation &operation : fixture.operations()) {
        ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
        const size_t calls_before = cuda_host::api_calls();
        EXPECT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
        const size_t calls = cuda_host::api_calls() - calls_before;
        for (size_t n = 1; n <= calls; ++n) {
            cuda_host::fail_call(n, cudaErrorUnknown);
            EXPECT_EQ(operation.call(), PXL_DEVICE_ERROR) << operation.name << ", call " << n << ": " << pxl_error_message();
            cuda_host::fail_call(0);
            EXPECT_EQ(cudaGetLastError(), cudaSuccess) << operation.name << ", call " << n;
            int current = -1;
            EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
            EXPECT_EQ(current, n < calls ? 1 : 0) << operation.name << ", call " << n; // the last one sets it back
            const bool told = std::string(pxl_error_message()).find("cudaSetDevice, back to") != std::string::npos;
            EXPECT_EQ(told, n == calls) << pxl_error_message();
        }
        ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
        EXPECT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
    }
}

TEST(CudaFailure, that_lost_the_device_is_reported_as_such) {
    Fixture fixture;
    for (const Operation &operation : fixture.operations()) {
        ASSERT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
        for (const cudaError_t error : {cudaErrorIllegalAddress, cudaErrorMpsClientTerminated, cudaErrorExternalDevice}) {
            cuda_host::set_sticky(error);
            EXPECT_EQ(operation.call(), PXL_DEVICE_ERROR) << operation.name << ": " << pxl_error_message();
            EXPECT_NE(std::string(pxl_error_message()).find("the device is lost"), std::string::npos) << pxl_error_message();
        }
        cuda_host::set_sticky(cudaSuccess);
        EXPECT_EQ(operation.call(), PXL_OK) << operation.name << ": " << pxl_error_message();
    }
}

// ---- Orders of threads and blocks --------------------------------------------------------------------------------------

std::vector<Case> small_cases() {
    std::vector<Case> cases;
    std::mt19937 random(3);
    for (const std::string &family : all_families()) {
        size_t i = 0;
        for (const pxl_term &term : specs_of(family)) {
            const oracle::Term resolved = oracle::resolve(term);
            const Shape shape = i % 2 ? Shape{1, 1, 40, 41} : Shape{2, 2, 36, 19};
            if (i++ % 5 || !oracle::fits(resolved, shape.h, shape.w)) continue;
            Case test = make_case({term, pixel(PXL_L1)}, shape, i % 3 ? PXL_F32 : PXL_F16);
            vary_delivery(test, random);
            test.dtype = test.grad_dtype = PXL_F32;
            test.grad_pred = true;
            if (takes_mask(term)) test.mask = static_cast<Mask>(random() % 5);
            test.per_image = random() % 2;
            test.own_weights = random() % 2;
            cases.push_back(test);
        }
    }
    return cases;
}

class CudaOrder : public testing::TestWithParam<int> {};

TEST_P(CudaOrder, of_threads_and_blocks_changes_no_bit) {
    const std::vector<Case> cases = small_cases();
    ASSERT_GT(cases.size(), 20u);
    for (size_t i = static_cast<size_t>(GetParam()); i < cases.size(); i += 4) {
        const Case &test = cases[i];
        const oracle::Inputs inputs = make_inputs(test);
        cuda_host::set_order(cuda_host::Order::forward);
        const Outcome forward = run(test, inputs);
        ASSERT_TRUE(agrees(test, forward, reference(test, inputs)));
        cuda_host::set_order(cuda_host::Order::reverse);
        const Outcome reverse = run(test, inputs);
        EXPECT_EQ(reverse.bits, forward.bits) << "in reverse: " << describe(test);
        for (const unsigned seed : {1u, 2u}) {
            cuda_host::set_order(cuda_host::Order::random, seed);
            EXPECT_EQ(run(test, inputs).bits, forward.bits) << "at random, seed " << seed << ": " << describe(test);
        }
        cuda_host::set_order(cuda_host::Order::forward);
        if (HasFailure()) return;
    }
}
INSTANTIATE_TEST_SUITE_P(part, CudaOrder, testing::Range(0, 4));

} // namespace
#endif
