// The shim at work on correct kernels: shared memory, warps, grids, atomics, asynchronous copies, in every order of threads.
#include "test_support.h"

#include <cstring>

#include "planted.inc"

using namespace planted;

namespace {

class CudaHost : public testing::TestWithParam<cuda_host::Order> {
  protected:
    void SetUp() override { cuda_host::set_order(GetParam(), 5); }
    void TearDown() override { cuda_host::set_order(cuda_host::Order::forward); }
};

std::string order_name(const testing::TestParamInfo<cuda_host::Order> &info) {
    static const char *const names[] = {"forward", "reverse", "random"};
    return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Orders, CudaHost, testing::ValuesIn(all_orders), order_name);

TEST_P(CudaHost, BlockSum) {
    const Buffer<float> x(count_up(5 * 96)), out(5);
    ASSERT_EQ(launch({5, 96}, block_sum<good>, x.data(), out.data()), cudaSuccess);
    const std::vector<float> sums = out.get();
    for (size_t b = 0; b < 5; ++b) EXPECT_EQ(sums[b], 96.0f * 96.0f * static_cast<float>(b) + 95.0f * 48.0f);
}

TEST_P(CudaHost, RotateThroughDynamicMemory) {
    const Buffer<float> x(count_up(100));
    ASSERT_EQ(launch({1, 100, 400}, rotate<good>, x.data(), 3), cudaSuccess);
    const std::vector<float> values = x.get();
    for (size_t i = 0; i < 100; ++i) EXPECT_EQ(values[i], static_cast<float>((i + 3) % 100));
}

TEST_P(CudaHost, WarpNeighbour) {
    const Buffer<float> x(count_up(32));
    ASSERT_EQ(launch({1, 32}, warp_neighbour<good>, x.data()), cudaSuccess);
    for (size_t i = 0; i < 32; ++i) EXPECT_EQ(x.get()[i], static_cast<float>((i + 1) % 32));
}

TEST_P(CudaHost, WarpFunctions) {
    const Buffer<int> out(352);
    ASSERT_EQ(launch({1, 32}, warp_functions, out.data()), cudaSuccess);
    const std::vector<int> o = out.get();
    for (int t = 0; t < 32; ++t) {
        const auto value = [&](int slot) { return o[static_cast<size_t>(32 * slot + t)]; };
        EXPECT_EQ(value(0), 5);
        EXPECT_EQ(value(1), t / 8 * 8 + 3);
        EXPECT_EQ(value(2), t ^ 3);
        EXPECT_EQ(value(3), t < 30 ? t + 2 : t);
        EXPECT_EQ(value(4), t < 2 ? t : t - 2);
        EXPECT_EQ(value(5), t % 4 == 3 ? t : t + 1);
        EXPECT_EQ(static_cast<unsigned>(value(6)), 0x49249249u);
        EXPECT_EQ(value(7), 1 + 4);
        EXPECT_EQ(value(8), 31 * 16);
        EXPECT_EQ(value(9), t < 10 ? 81 : -1);
        EXPECT_EQ(value(10), t ^ 1);
    }
}

TEST_P(CudaHost, BlockVotes) {
    const Buffer<int> out(64);
    ASSERT_EQ(launch({1, 64}, block_votes, out.data()), cudaSuccess);
    for (const int value : out.get()) EXPECT_EQ(value, 10 + 100 + 200);
}

TEST_P(CudaHost, GridAndBlockOfThreeDimensions) {
    const Buffer<unsigned> out(4 * 3 * 2 * 30);
    ASSERT_EQ(launch({dim3(4, 3, 2), dim3(5, 3, 2)}, number_blocks, out.data()), cudaSuccess);
    const std::vector<unsigned> values = out.get();
    for (unsigned i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], i / 30 * 1000 + i % 30);
}

TEST_P(CudaHost, EveryCountOfBlocksIsRunOnce) {
    for (unsigned n = 1; n < 40; ++n) {
        const Buffer<float> x(n);
        ASSERT_EQ(launch({n, 1}, add_one, x.data()), cudaSuccess);
        EXPECT_EQ(x.get(), std::vector<float>(n, 1.0f)) << n;
    }
}

TEST_P(CudaHost, Atomics) {
    const Buffer<int> i(5);
    const Buffer<unsigned> u(1);
    const Buffer<float> f(1);
    const Buffer<double> d(1);
    const Buffer<unsigned long long> l(1);
    ASSERT_EQ(launch({3, 40}, atomics, i.data(), u.data(), f.data(), d.data(), l.data()), cudaSuccess);
    const std::vector<int> values = i.get();
    EXPECT_EQ(std::vector<int>(values.begin(), values.begin() + 4), (std::vector<int>{120, 39, -39, 7}));
    EXPECT_TRUE(values[4] >= 1 && values[4] <= 40);
    EXPECT_EQ(u.get()[0], 240u);
    EXPECT_EQ(f.get()[0], 60.0f);
    EXPECT_EQ(d.get()[0], 30.0);
    EXPECT_EQ(l.get()[0], 120u);
}

TEST_P(CudaHost, AsynchronousCopies) {
    const Buffer<float> x(count_up(64)), out(64);
    ASSERT_EQ(launch({1, 16}, planted::copy_async<good>, x.data(), out.data()), cudaSuccess);
    EXPECT_EQ(out.get(), x.get());
    ASSERT_EQ(launch({1, 32}, refill_async<good>, x.data(), out.data()), cudaSuccess);
    for (size_t i = 0; i < 32; ++i) EXPECT_EQ(out.get()[i], static_cast<float>((i + 1) % 32));
}

TEST_P(CudaHost, AsynchronousGroupsAndZeros) {
    const Buffer<float> x(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}), out(8);
    ASSERT_EQ(launch({1, 1}, copy_async_groups<good>, x.data(), out.data()), cudaSuccess);
    EXPECT_EQ(out.get(), (std::vector<float>{1, 2, 0, 0, 5, 6, 0, 0}));
}

TEST_P(CudaHost, LargestBlockAndDeepStack) {
    const Buffer<float> out(1024);
    ASSERT_EQ(launch({1, 1024}, deep_stack, out.data(), 9), cudaSuccess);
    EXPECT_EQ(out.get(), std::vector<float>(1024, 9.0f));
}

TEST(CudaHostOrders, SameBits) {
    std::vector<float> x(7 * 256);
    for (size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 1);
    std::vector<std::vector<float>> results;
    for (const cuda_host::Order order : all_orders)
        for (unsigned seed = 1; seed < 4; ++seed) {
            cuda_host::set_order(order, seed);
            const Buffer<float> in(x), out(7);
            ASSERT_EQ(launch({7, 256}, block_sum<good>, in.data(), out.data()), cudaSuccess);
            results.push_back(out.get());
        }
    cuda_host::set_order(cuda_host::Order::forward);
    for (const std::vector<float> &result : results) EXPECT_EQ(std::memcmp(result.data(), results[0].data(), 7 * 4), 0);
}

TEST(CudaHostIntrinsics, Values) {
    EXPECT_EQ(__float_as_int(1.0f), 0x3f800000);
    EXPECT_EQ(__int_as_float(0x40000000), 2.0f);
    EXPECT_EQ(__popc(0xf0f0u) + __popcll(0xffffffffffull), 8 + 40);
    EXPECT_EQ(__clz(1) + __clz(0) + __clzll(1), 31 + 32 + 63);
    EXPECT_EQ(__ffs(8) + __ffs(0), 4);
    EXPECT_EQ(__brev(1u), 0x80000000u);
    EXPECT_EQ(__umulhi(0x80000000u, 6u), 3u);
    EXPECT_EQ(__float2int_rn(2.5f) + __float2int_rz(-1.9f) + __float2int_rd(-0.5f) + __float2int_ru(0.5f), 2 - 1 - 1 + 1);
    EXPECT_EQ(__frcp_rn(4.0f) + rsqrtf(4.0f) + __fdividef(1.0f, 4.0f) + __saturatef(3.0f), 0.25f + 0.5f + 0.25f + 1.0f);
    EXPECT_EQ(min(3, 2) + max(3.0f, 2.0f) + min(-1, 1u), 2 + 3 + 1); // an int and an unsigned: unsigned
    EXPECT_EQ(max(NAN, 1.0f), 1.0f);                                 // as fmaxf
    EXPECT_EQ(__half2float(__float2half_rn(0.1f)), 0.0999755859375f);
    EXPECT_EQ(__bfloat162float(__float2bfloat16_rn(0.1f)), 0.10009765625f);
}

} // namespace
