// Every bug that the shim is there to find, planted: each must be found.
#include "test_support.h"

#include <cmath>

#include "planted.inc"

using namespace planted;

namespace {

// Runs `kernel` in every order and says whether some result differs from `expected`.
template <class Run>
bool some_order_is_wrong(const std::vector<float> &expected, Run run) {
    bool wrong = false;
    for (const cuda_host::Order order : all_orders) {
        cuda_host::set_order(order, 3);
        wrong |= run() != expected;
    }
    cuda_host::set_order(cuda_host::Order::forward);
    return wrong;
}

std::vector<float> run_block_sum(void (*kernel)(const float *, float *)) {
    const Buffer<float> x(96, 1.0f), out(1);
    EXPECT_EQ(launch({1, 96}, kernel, x.data(), out.data()), cudaSuccess);
    return out.get();
}

std::vector<float> run_rotate(void (*kernel)(float *, int)) {
    const Buffer<float> x(count_up(64));
    EXPECT_EQ(launch({1, 64, 256}, kernel, x.data(), 2), cudaSuccess);
    return x.get();
}

std::vector<float> run_warp(void (*kernel)(float *)) {
    const Buffer<float> x(count_up(32));
    EXPECT_EQ(launch({1, 32}, kernel, x.data()), cudaSuccess);
    return x.get();
}

std::vector<float> run_refill(void (*kernel)(const float *, float *)) {
    const Buffer<float> x(count_up(64)), out(32);
    EXPECT_EQ(launch({1, 32}, kernel, x.data(), out.data()), cudaSuccess);
    return out.get();
}

std::vector<float> run_copy(void (*kernel)(const float *, float *)) {
    const Buffer<float> x(64, 1.0f), out(64);
    EXPECT_EQ(launch({1, 16}, kernel, x.data(), out.data()), cudaSuccess);
    return out.get();
}

std::vector<float> run_groups(void (*kernel)(const float *, float *)) {
    const Buffer<float> x(8, 1.0f), out(8);
    EXPECT_EQ(launch({1, 1}, kernel, x.data(), out.data()), cudaSuccess);
    return out.get();
}

class Planted : public testing::Test {
  protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

#if !CUDA_HOST_TSAN // which stops at the race

bool any_nan(const std::vector<float> &values) {
    for (const float v : values)
        if (std::isnan(v)) return true;
    return false;
}

TEST_F(Planted, MissingBarrierIsWrongInSomeOrder) {
    EXPECT_TRUE(some_order_is_wrong({96}, [] { return run_block_sum(block_sum<faulty>); }));
    EXPECT_FALSE(some_order_is_wrong({96}, [] { return run_block_sum(block_sum<good>); }));
}

TEST_F(Planted, MissingBarrierBeforeOverwritingIsWrongInSomeOrder) {
    const std::vector<float> expected = run_rotate(rotate<good>);
    EXPECT_TRUE(some_order_is_wrong(expected, [] { return run_rotate(rotate<faulty>); }));
    EXPECT_FALSE(some_order_is_wrong(expected, [] { return run_rotate(rotate<good>); }));
}

TEST_F(Planted, MissingSyncwarpIsWrongInSomeOrder) {
    const std::vector<float> expected = run_warp(warp_neighbour<good>);
    EXPECT_TRUE(some_order_is_wrong(expected, [] { return run_warp(warp_neighbour<faulty>); }));
    EXPECT_FALSE(some_order_is_wrong(expected, [] { return run_warp(warp_neighbour<good>); }));
}

TEST_F(Planted, MissingWaitAfterAsynchronousCopyReadsPoison) {
    EXPECT_TRUE(any_nan(run_copy(planted::copy_async<faulty>)));
    EXPECT_FALSE(any_nan(run_copy(planted::copy_async<good>)));
}

TEST_F(Planted, WaitForTooFewGroupsReadsPoison) {
    EXPECT_TRUE(any_nan(run_groups(copy_async_groups<faulty>)));
    EXPECT_FALSE(any_nan(run_groups(copy_async_groups<good>)));
}

TEST_F(Planted, AsynchronousCopyIntoWhatOthersReadIsWrongInSomeOrder) {
    const std::vector<float> expected = run_refill(refill_async<good>);
    EXPECT_TRUE(some_order_is_wrong(expected, [] { return run_refill(refill_async<faulty>); }));
    EXPECT_FALSE(some_order_is_wrong(expected, [] { return run_refill(refill_async<good>); }));
}

#endif

TEST_F(Planted, MissingBarrierIsARace) { EXPECT_RACE(run_block_sum(block_sum<faulty>)); }
TEST_F(Planted, MissingBarrierBeforeOverwritingIsARace) { EXPECT_RACE(run_rotate(rotate<faulty>)); }
TEST_F(Planted, MissingSyncwarpIsARace) { EXPECT_RACE(run_warp(warp_neighbour<faulty>)); }
TEST_F(Planted, ShuffleOrdersNoMemory) { EXPECT_RACE(run_warp(shuffle_as_barrier)); }
TEST_F(Planted, MissingWaitIsARace) { EXPECT_RACE(run_copy(planted::copy_async<faulty>)); }
TEST_F(Planted, WaitForTooFewGroupsIsARace) { EXPECT_RACE(run_groups(copy_async_groups<faulty>)); }
TEST_F(Planted, AsynchronousCopyIntoWhatOthersReadIsARace) { EXPECT_RACE(run_refill(refill_async<faulty>)); }

TEST_F(Planted, PlainWriteAmongAtomicsIsARace) {
    const Buffer<int> x(1);
    EXPECT_RACE(launch({1, 32}, plain_among_atomics, x.data()));
}

TEST_F(Planted, UnwrittenSharedMemoryIsNaN) {
    const Buffer<float> out(6);
    ASSERT_EQ(launch({3, 1, 16}, read_unwritten, out.data()), cudaSuccess);
    for (const float v : out.get()) EXPECT_TRUE(std::isnan(v));
}

TEST_F(Planted, UnwrittenDeviceMemoryIsNaN) {
    float *memory = nullptr, value[3];
    ASSERT_EQ(cudaMalloc(&memory, sizeof(value)), cudaSuccess);
    ASSERT_EQ(cudaMemcpy(value, memory, sizeof(value), cudaMemcpyDeviceToHost), cudaSuccess);
    for (const float v : value) EXPECT_TRUE(std::isnan(v));
    cudaFree(memory);
}

TEST_F(Planted, DivergentBarrierIsReportedWithThreadsAndLines) {
    const Buffer<float> x(32);
    EXPECT_DEATH(launch({2, 32}, divergent_barrier, x.data()),
                 "threads meet at different __syncthreads: block \\(0,0,0\\) thread \\(0,0,0\\) at .*planted.inc:[0-9]+, "
                 "thread \\(7,0,0\\) at .*planted.inc:[0-9]+");
}

TEST_F(Planted, BarrierAfterExitIsReported) {
    const Buffer<float> x(32);
    EXPECT_DEATH(launch({1, 32}, barrier_after_exit, x.data()), "__syncthreads after threads .* have exited.*thread \\(5,0,0\\)");
}

TEST_F(Planted, WarpDeadlockIsReported) {
    const Buffer<int> x(32);
    EXPECT_DEATH(launch({1, 32}, lone_lane, x.data()), "deadlock: a lane waits for others of its warp.*planted.inc");
}

TEST_F(Planted, ShuffleFromOutsideTheMaskIsReported) {
    const Buffer<int> x(32);
    EXPECT_DEATH(launch({1, 32}, shuffle_outside_mask, x.data()), "shuffle from a lane outside the mask.*planted.inc");
    EXPECT_DEATH(launch({1, 32}, lane_not_in_mask, x.data()), "\\*_sync whose mask lacks it.*thread \\(16,0,0\\)");
}

TEST_F(Planted, MisalignedAsynchronousCopyIsReported) {
    const Buffer<float> x(8);
    EXPECT_DEATH(launch({1, 1}, misaligned_async, x.data()), "asynchronous copy: its size .* or alignment.*planted.inc");
}

TEST_F(Planted, StaticOverrun) {
    const Buffer<float> out(1);
    EXPECT_EQ(launch({1, 1}, write_static, out.data(), 7), cudaSuccess);
    EXPECT_ASAN_REPORT(launch({1, 1}, write_static, out.data(), 8), "heap-buffer-overflow.*\n.*\n.*write_static");
}

TEST_F(Planted, StaticUnderrun) {
    const Buffer<float> out(1);
    EXPECT_ASAN_REPORT(launch({1, 1}, write_static, out.data(), -1), "heap-buffer-overflow");
}

TEST_F(Planted, DynamicOverrun) {
    const Buffer<float> out(1);
    EXPECT_EQ(launch({1, 1, 20}, write_dynamic, out.data(), 4), cudaSuccess);
    EXPECT_ASAN_REPORT(launch({1, 1, 20}, write_dynamic, out.data(), 5), "heap-buffer-overflow.*\n.*\n.*write_dynamic");
}

TEST_F(Planted, GlobalOverrun) {
    const Buffer<float> x(7);
    EXPECT_EQ(launch({1, 1}, write_global, x.data(), 6), cudaSuccess);
    EXPECT_ASAN_REPORT(launch({1, 1}, write_global, x.data(), 7), "heap-buffer-overflow.*\n.*\n.*write_global");
}

TEST_F(Planted, GlobalUseAfterFree) {
    float *x = nullptr;
    ASSERT_EQ(cudaMalloc(&x, 16), cudaSuccess);
    cudaFree(x);
    EXPECT_ASAN_REPORT(launch({1, 1}, write_global, x, 0), "heap-use-after-free");
}

TEST_F(Planted, AsynchronousOverrun) {
    const Buffer<float> x(63), out(64);
    EXPECT_ASAN_REPORT(launch({1, 16}, planted::copy_async<good>, x.data(), out.data()), "heap-buffer-overflow.*\n.*\n.*async");
}

TEST_F(Planted, MisalignedVector) {
    const Buffer<float> x(9), out(1);
    EXPECT_EQ(launch({1, 1}, read_vector, x.data(), out.data(), 4), cudaSuccess);
    EXPECT_ASAN_REPORT(launch({1, 1}, read_vector, x.data(), out.data(), 1), "misaligned address"); // its build has UBSan too
}

TEST_F(Planted, LeakedAllocationIsCounted) {
    const size_t before = cuda_host::live_allocations();
    void *leaked = nullptr;
    ASSERT_EQ(cudaMalloc(&leaked, 4), cudaSuccess);
    EXPECT_EQ(cuda_host::live_allocations(), before + 1);
    cudaFree(leaked);
    EXPECT_EQ(cuda_host::live_allocations(), before);
}

} // namespace
