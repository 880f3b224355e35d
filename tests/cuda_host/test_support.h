// For the shim's self-test: device memory that frees itself, a launch in one line, and what a sanitizer would print.
#ifndef CUDA_HOST_TEST_SUPPORT_H
#define CUDA_HOST_TEST_SUPPORT_H
#include <gtest/gtest.h>

#include <vector>

#include "cuda_host.h"

constexpr cuda_host::Order all_orders[] = {cuda_host::Order::forward, cuda_host::Order::reverse, cuda_host::Order::random};

template <class T>
class Buffer {
  public:
    explicit Buffer(size_t n, T value = T()) : Buffer(std::vector<T>(n, value)) {}
    explicit Buffer(const std::vector<T> &values) : size_(values.size()) {
        EXPECT_EQ(cudaMalloc(&data_, size_ * sizeof(T)), cudaSuccess);
        EXPECT_EQ(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    }
    ~Buffer() { cudaFree(data_); }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;

    T *data() const { return data_; }
    std::vector<T> get() const {
        std::vector<T> values(size_);
        EXPECT_EQ(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
        return values;
    }

  private:
    size_t size_;
    T *data_ = nullptr;
};

struct Shape {
    dim3 grid, block;
    size_t dynamic_bytes = 0;
    cudaStream_t stream = nullptr;
};

template <class... P, class... A>
cudaError_t launch(const Shape &shape, void (*kernel)(P...), A &&...arguments) {
    cudaLaunchConfig_t config{};
    config.gridDim = shape.grid, config.blockDim = shape.block;
    config.dynamicSmemBytes = shape.dynamic_bytes, config.stream = shape.stream;
    return cudaLaunchKernelEx(&config, kernel, std::forward<A>(arguments)...);
}

inline std::vector<float> count_up(size_t n) {
    std::vector<float> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i);
    return values;
}

// Death tests of what only a sanitizer sees. The thread sanitizer's exit status is 66 (test_support.cpp makes it stop at once).
#if CUDA_HOST_ASAN
#define EXPECT_ASAN_REPORT(statement, text) EXPECT_DEATH(statement, text)
#else
#define EXPECT_ASAN_REPORT(statement, text) GTEST_SKIP() << "only the address sanitizer sees it: cuda_host_selftest_asan"
#endif
#if CUDA_HOST_TSAN
#define EXPECT_RACE(statement) EXPECT_EXIT(statement, testing::ExitedWithCode(66), "data race")
#else
#define EXPECT_RACE(statement) GTEST_SKIP() << "only the thread sanitizer sees it: cuda_host_selftest_tsan"
#endif
#endif
