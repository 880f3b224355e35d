// The host runtime: what a launch checks, errors and failures on demand, devices, memory, streams, events, captures and graphs.
#include "test_support.h"

#include <thread>

#include "planted.inc"

using namespace planted;

namespace {

class Stream {
  public:
    explicit Stream(unsigned flags = cudaStreamNonBlocking) {
        EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, flags), cudaSuccess);
    }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    operator cudaStream_t() const { return stream_; }

  private:
    cudaStream_t stream_ = nullptr;
};

class Runtime : public testing::Test {
  protected:
    void SetUp() override { before_ = cuda_host::counts(); }
    void TearDown() override {
        const cuda_host::Counts now = cuda_host::counts();
        EXPECT_EQ(now.live_allocations, before_.live_allocations);
        EXPECT_EQ(now.live_host_allocations, before_.live_host_allocations);
        EXPECT_EQ(now.live_streams + now.live_events + now.live_graphs,
                  before_.live_streams + before_.live_events + before_.live_graphs);
        cudaGetLastError();
    }

  private:
    cuda_host::Counts before_{};
};

TEST_F(Runtime, LaunchChecksItsShape) {
    const Buffer<float> x(1024);
    const dim3 bad_grids[] = {{0, 1, 1}, {1, 0, 1}, {1, 65536, 1}, {1, 1, 65536}, {0x80000000u, 1, 1}};
    for (const dim3 &grid : bad_grids) EXPECT_EQ(launch({grid, 1}, add_one, x.data()), cudaErrorInvalidConfiguration);
    const dim3 bad_blocks[] = {{0, 1, 1}, {1025, 1, 1}, {1, 1, 65}, {32, 33, 1}};
    for (const dim3 &block : bad_blocks) EXPECT_EQ(launch({1, block}, add_one, x.data()), cudaErrorInvalidConfiguration);
    EXPECT_EQ(x.get(), std::vector<float>(1024));
    const Buffer<unsigned> numbers(1024);
    EXPECT_EQ(launch({1, dim3(32, 32)}, number_blocks, numbers.data()), cudaSuccess);
}

TEST_F(Runtime, LaunchChecksItsParameters) {
    const Buffer<float> out(1);
    EXPECT_EQ(launch({1, 1}, take_too_large, TooLarge{}, out.data()), cudaErrorInvalidValue);
    Large large{};
    large.values[999] = 4;
    EXPECT_EQ(launch({1, 1}, take_large, large, out.data()), cudaSuccess);
    EXPECT_EQ(out.get()[0], 4.0f);
    EXPECT_EQ(cudaLaunchKernelEx(nullptr, add_one, out.data()), cudaErrorInvalidValue);
}

TEST_F(Runtime, DynamicSharedMemoryNeedsTheAttributeOfEachDevice) {
    const Buffer<float> out(1);
    const size_t kib = 1024;
    EXPECT_EQ(launch({1, 1, 48 * kib}, write_dynamic, out.data(), 0), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 48 * kib + 4}, write_dynamic, out.data(), 0), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(write_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024),
              cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(write_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 227 * kib}, write_dynamic, out.data(), 0), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 227 * kib + 4}, write_dynamic, out.data(), 0), cudaErrorInvalidValue);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 64 * kib}, write_dynamic, out.data(), 0), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(write_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 * 1024),
              cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(write_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 99 * 1024), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 64 * kib}, write_dynamic, out.data(), 0), cudaSuccess);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    cuda_host::forget_kernels();
    EXPECT_EQ(launch({1, 1, 64 * kib}, write_dynamic, out.data(), 0), cudaErrorInvalidValue);
}

// One value for all threads, not one for each: a smaller one takes away what another thread asked for.
TEST_F(Runtime, SharedMemoryAttributeBelongsToTheKernel) {
    const Buffer<float> out(1);
    const auto ask = [](int kib) {
        return cudaFuncSetAttribute(write_dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, kib * 1024);
    };
    EXPECT_EQ(ask(64), cudaSuccess);
    std::thread([&] { EXPECT_EQ(ask(60), cudaSuccess); }).join();
    EXPECT_EQ(launch({1, 1, 64 << 10}, write_dynamic, out.data(), 0), cudaErrorInvalidValue);
    EXPECT_EQ(launch({1, 1, 60 << 10}, write_dynamic, out.data(), 0), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 60 << 10}, add_one, out.data()), cudaErrorInvalidValue);
    cuda_host::forget_kernels();
}

TEST_F(Runtime, CodeIsForTheArchitectureThatWasAskedFor) {
    cudaFuncAttributes attributes;
    const Buffer<unsigned> seen(1);
    for (const int architecture : {80, 90}) {
        cuda_host::set_compiled_for(0, architecture);
        EXPECT_EQ(cudaFuncGetAttributes(&attributes, tell_architecture), cudaSuccess);
        EXPECT_EQ(attributes.ptxVersion, architecture);
        EXPECT_EQ(launch({1, 1}, tell_architecture, seen.data()), cudaSuccess);
        EXPECT_EQ(seen.get()[0], static_cast<unsigned>(architecture));
    }
}

TEST_F(Runtime, StaticSharedMemoryCounts) {
    const Buffer<float> out(1);
    EXPECT_EQ(launch({1, 1, 32 << 10}, large_static, out.data()), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 40 << 10}, large_static, out.data()), cudaErrorInvalidValue);
    cudaFuncAttributes attributes;
    EXPECT_EQ(cudaFuncGetAttributes(&attributes, large_static), cudaSuccess);
    EXPECT_EQ(attributes.sharedSizeBytes, 16384u);
    // Once asked for, static and dynamic together may be all that there is, and no more.
    const auto ask = [](int kib) {
        return cudaFuncSetAttribute(large_static, cudaFuncAttributeMaxDynamicSharedMemorySize, kib * 1024);
    };
    EXPECT_EQ(ask(227 - 16 + 1), cudaErrorInvalidValue);
    EXPECT_EQ(ask(227 - 16), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 40 << 10}, large_static, out.data()), cudaSuccess);
    cuda_host::forget_kernels();
}

TEST_F(Runtime, Occupancy) {
    int blocks = 0;
    EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add_one, 256, 0), cudaSuccess);
    EXPECT_EQ(blocks, 8);
    EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add_one, 32, 47 << 10), cudaSuccess);
    EXPECT_EQ(blocks, 4);
}

TEST_F(Runtime, ErrorsAreKeptOnce) {
    EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
    EXPECT_STREQ(cuda_host::last_failed_call(), "cudaSetDevice");
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_STREQ(cudaGetErrorName(cudaErrorInvalidDevice), "cudaErrorInvalidDevice");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
}

TEST_F(Runtime, StickyErrorsStay) {
    void *memory = nullptr;
    ASSERT_EQ(cudaMalloc(&memory, 4), cudaSuccess);
    cuda_host::set_sticky(cudaErrorIllegalAddress);
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
        EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    }
    EXPECT_EQ(cudaFree(memory), cudaErrorIllegalAddress); // and frees it: TearDown counts
    cuda_host::set_sticky(cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Runtime, EachCallCanBeMadeToFail) {
    const Buffer<float> x(1);
    const auto work = [&] { // four calls that count
        if (cudaSetDevice(0) != cudaSuccess) return 1;
        if (cudaMemsetAsync(x.data(), 0, 4, nullptr) != cudaSuccess) return 2;
        if (launch({1, 1}, add_one, x.data()) != cudaSuccess) return 3;
        return cudaFuncSetAttribute(add_one, cudaFuncAttributeMaxDynamicSharedMemorySize, 0) != cudaSuccess ? 4 : 0;
    };
    const char *const names[] = {"cudaSetDevice", "cudaMemsetAsync", "cudaLaunchKernelEx", "cudaFuncSetAttribute"};
    for (int n = 1; n <= 4; ++n) {
        cuda_host::fail_call(static_cast<size_t>(n), cudaErrorLaunchFailure);
        EXPECT_EQ(work(), n);
        EXPECT_FALSE(cuda_host::fail_call_is_pending());
        EXPECT_STREQ(cuda_host::last_failed_call(), names[n - 1]);
        EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    }
    cuda_host::fail_call(5);
    EXPECT_EQ(work(), 0);
    EXPECT_TRUE(cuda_host::fail_call_is_pending());
    cuda_host::fail_call(0);
    EXPECT_EQ(x.get()[0], 1.0f);
}

TEST_F(Runtime, DevicesBelongToThreads) {
    int count = 0, device = -1;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
    EXPECT_EQ(count, 2);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    std::thread([&] { cudaGetDevice(&device); }).join();
    EXPECT_EQ(device, 0);
    cudaGetDevice(&device);
    EXPECT_EQ(device, 1);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    cudaDeviceProp properties;
    ASSERT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
    int major = 0;
    ASSERT_EQ(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 1), cudaSuccess);
    EXPECT_EQ(major, properties.major);
    int version = 0;
    EXPECT_EQ(cudaDriverGetVersion(&version), cudaSuccess);
    EXPECT_EQ(version, CUDART_VERSION);
}

TEST_F(Runtime, StreamsBelongToDevices) {
    const Stream stream;
    const Buffer<float> x(1);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 0, stream}, add_one, x.data()), cudaErrorInvalidResourceHandle);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 0, stream}, add_one, x.data()), cudaSuccess);
}

TEST_F(Runtime, CopiesCheckTheirMemory) {
    const Buffer<float> x(4);
    float host[8] = {};
    EXPECT_EQ(cudaMemcpy(x.data(), host, 20, cudaMemcpyHostToDevice), cudaErrorInvalidValue); // too long
    EXPECT_EQ(cudaMemcpy(host, host + 4, 16, cudaMemcpyDeviceToHost), cudaErrorInvalidValue); // not the device's
    EXPECT_EQ(cudaMemset(x.data() + 1, 0, 16), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(x.data() + 1, 0, 12), cudaSuccess);
    EXPECT_EQ(cudaFree(host), cudaErrorInvalidValue);
    cudaPointerAttributes attributes;
    ASSERT_EQ(cudaPointerGetAttributes(&attributes, x.data() + 3), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
    ASSERT_EQ(cudaPointerGetAttributes(&attributes, host), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

TEST_F(Runtime, MemoryRunsOut) {
    void *memory = nullptr;
    size_t free = 0, total = 0;
    ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
    cuda_host::set_memory_limit(total - free + 1000);
    EXPECT_EQ(cudaMalloc(&memory, 1001), cudaErrorMemoryAllocation);
    EXPECT_EQ(memory, nullptr);
    EXPECT_EQ(cudaMalloc(&memory, 1000), cudaSuccess);
    cuda_host::set_memory_limit(total);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
    EXPECT_EQ(cudaMallocHost(&memory, 8), cudaSuccess);
    EXPECT_EQ(cudaFree(memory), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFreeHost(memory), cudaSuccess);
}

TEST_F(Runtime, AllocationsAndWaitsAreCounted) {
    const Buffer<float> x(1);
    const Stream stream;
    const cuda_host::Counts start = cuda_host::counts();
    cudaMemsetAsync(x.data(), 0, 4, stream);
    launch({1, 1, 0, stream}, add_one, x.data());
    cuda_host::Counts now = cuda_host::counts();
    EXPECT_EQ(now.api_calls, start.api_calls + 2);
    EXPECT_EQ(now.launches, start.launches + 1);
    EXPECT_EQ(now.allocations, start.allocations);
    EXPECT_EQ(now.synchronisations, start.synchronisations);
    cudaStreamSynchronize(stream), cudaDeviceSynchronize(), x.get();
    EXPECT_EQ(cuda_host::counts().synchronisations, start.synchronisations + 3);
}

TEST_F(Runtime, Events) {
    cudaEvent_t start, end, untimed;
    const Stream stream, other;
    ASSERT_EQ(cudaEventCreate(&start), cudaSuccess);
    ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
    ASSERT_EQ(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming), cudaSuccess);
    float milliseconds = -1;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle); // not recorded
    EXPECT_EQ(cudaEventRecord(start, stream), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(end, stream), cudaSuccess);
    EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
    EXPECT_GE(milliseconds, 0.0f);
    EXPECT_EQ(cudaEventRecord(untimed, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(other, untimed, 0), cudaSuccess);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
    for (cudaEvent_t event : {start, end, untimed}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
    EXPECT_EQ(cudaEventDestroy(start), cudaErrorInvalidResourceHandle);
}

// What a stream of this mode does while it captures one memset and two launches; the graph of it, or nullptr.
cudaGraph_t capture_three(const Stream &stream, const Buffer<float> &x) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(x.data(), 0, 4, stream), cudaSuccess);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(launch({1, 2, 0, stream}, add_one, x.data()), cudaSuccess);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    return graph;
}

TEST_F(Runtime, GraphsReplay) {
    const Buffer<float> x(2);
    const Stream stream;
    cudaGraph_t graph = capture_three(stream, x);
    EXPECT_EQ(x.get(), (std::vector<float>{0, 0})); // nothing has run
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
        EXPECT_EQ(x.get(), (std::vector<float>{2, 2.0f * static_cast<float>(i)}));
    }
    EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

TEST_F(Runtime, CaptureRefusesWaitsAndAllocations) {
    const Buffer<float> x(1);
    const Stream stream;
    float host = 0;
    const std::function<cudaError_t()> forbidden[] = {
        [&] { return cudaStreamSynchronize(stream); }, [] { return cudaDeviceSynchronize(); },
        [&] { return cudaMemcpy(&host, x.data(), 4, cudaMemcpyDeviceToHost); }, [&] { return cudaFree(x.data()); },
        [] {
            void *memory = nullptr;
            return cudaMalloc(&memory, 4);
        }};
    for (const auto &call : forbidden) {
        cudaGraph_t graph = nullptr;
        ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
        EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
        cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
        EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
        EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
        EXPECT_EQ(launch({1, 1, 0, stream}, add_one, x.data()), cudaErrorStreamCaptureInvalidated);
        EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
        EXPECT_EQ(graph, nullptr);
    }
}

TEST_F(Runtime, EndOfCaptureThatFailsEndsIt) {
    const Stream stream;
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    cuda_host::fail_call(1, cudaErrorLaunchFailure);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorLaunchFailure);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST_F(Runtime, CaptureRefusesTheLegacyStream) {
    const Buffer<float> x(1);
    const Stream blocking(cudaStreamDefault), free;
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed), cudaSuccess);
    EXPECT_EQ(launch({1, 1, 0, free}, add_one, x.data()), cudaSuccess);
    EXPECT_EQ(launch({1, 1}, add_one, x.data()), cudaErrorStreamCaptureImplicit);
    EXPECT_EQ(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(cudaStreamEndCapture(blocking, &graph), cudaErrorIllegalState);
}

TEST_F(Runtime, CaptureFollowsEventsToOtherStreams) {
    const Buffer<float> x(1);
    const Stream stream, helper;
    cudaEvent_t fork = nullptr, join = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaEventCreate(&fork), cudaEventCreate(&join);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    cudaEventRecord(fork, stream), cudaStreamWaitEvent(helper, fork, 0);
    launch({1, 1, 0, helper}, add_one, x.data());
    EXPECT_EQ(cudaEventSynchronize(fork), cudaErrorCapturedEvent);
    cudaEventRecord(join, helper), cudaStreamWaitEvent(stream, join, 0);
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(x.get()[0], 0.0f);
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_EQ(x.get()[0], 1.0f);
    cudaGraphDestroy(graph), cudaGraphExecDestroy(exec), cudaEventDestroy(fork), cudaEventDestroy(join);
}

TEST_F(Runtime, HostThreadsLaunchAtTheSameTime) {
    const Buffer<float> a(64), b(64);
    const auto work = [](float *x) {
        for (int i = 0; i < 200; ++i) EXPECT_EQ(launch({2, 32}, add_one, x), cudaSuccess);
    };
    std::thread first(work, a.data()), second(work, b.data());
    first.join(), second.join();
    EXPECT_EQ(a.get(), std::vector<float>(64, 200.0f));
    EXPECT_EQ(b.get(), std::vector<float>(64, 200.0f));
}

} // namespace
