// The kernels that all cases on a GPU are measured against. A thread of the first two takes four 16-byte words of each array, so
// that eight loads are under way before the first use; a warp's lie side by side. No shared memory.
#include "copy_cuda.h"
#ifdef PXLI_CUDA_HOST
#include "cuda_host.h"
#else
#include <cuda_runtime.h>
#endif

namespace {

constexpr int threads = 256, batch = 4, chains = 16, rounds = 2048;

__global__ void __launch_bounds__(threads)
    sum_two_kernel(const float4 *a, const float4 *b, int64_t quads, float never, float *sink) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * threads * batch + threadIdx.x;
    float4 x[batch], y[batch];
#pragma unroll
    for (int k = 0; k < batch; k++) {
        const int64_t i = first + k * threads;
        x[k] = y[k] = make_float4(0, 0, 0, 0);
        if (i < quads) x[k] = a[i], y[k] = b[i];
    }
    float sum = 0;
#pragma unroll
    for (int k = 0; k < batch; k++) sum += (x[k].x + y[k].x) + (x[k].y + y[k].y) + (x[k].z + y[k].z) + (x[k].w + y[k].w);
    if (sum == never) *sink = sum; // NaN equals nothing, but the compiler does not know that it is one
}

__global__ void __launch_bounds__(threads) add_two_kernel(const float4 *a, const float4 *b, float4 *c, int64_t quads) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * threads * batch + threadIdx.x;
    float4 x[batch], y[batch];
#pragma unroll
    for (int k = 0; k < batch; k++) {
        const int64_t i = first + k * threads;
        if (i < quads) x[k] = a[i], y[k] = b[i];
    }
#pragma unroll
    for (int k = 0; k < batch; k++) {
        const int64_t i = first + k * threads;
        if (i < quads) c[i] = make_float4(x[k].x + y[k].x, x[k].y + y[k].y, x[k].z + y[k].z, x[k].w + y[k].w);
    }
}

// Sixteen chains a thread hide the latency of each.
__global__ void __launch_bounds__(threads) multiply_add_kernel(float factor, float never, float *sink) {
    float v[chains];
#pragma unroll
    for (int k = 0; k < chains; k++) v[k] = static_cast<float>(threadIdx.x + k);
#pragma unroll 4
    for (int i = 0; i < rounds; i++)
#pragma unroll
        for (int k = 0; k < chains; k++) v[k] = fmaf(v[k], factor, factor);
    float sum = 0;
#pragma unroll
    for (int k = 0; k < chains; k++) sum += v[k];
    if (sum == never) *sink = sum;
}

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), int64_t blocks, cudaStream_t stream, A... arguments) {
    if (blocks == 0) return cudaSuccess;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks)), config.blockDim = dim3(threads), config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}
int64_t blocks_for(int64_t quads) { return (quads + threads * batch - 1) / (threads * batch); }
const float never = __builtin_nanf("");

} // namespace

cudaError_t bench_sum_two(const void *a, const void *b, int64_t quads, float *sink, cudaStream_t stream) {
    return launch(sum_two_kernel, blocks_for(quads), stream, static_cast<const float4 *>(a), static_cast<const float4 *>(b),
                  quads, never, sink);
}
cudaError_t bench_add_two(const void *a, const void *b, void *c, int64_t quads, cudaStream_t stream) {
    return launch(add_two_kernel, blocks_for(quads), stream, static_cast<const float4 *>(a), static_cast<const float4 *>(b),
                  static_cast<float4 *>(c), quads);
}
cudaError_t bench_multiply_add(int multiprocessors, float *sink, double *count, cudaStream_t stream) {
    const int64_t blocks = int64_t{32} * multiprocessors; // four waves of full multiprocessors
    *count = static_cast<double>(blocks) * threads * chains * rounds;
    return launch(multiply_add_kernel, blocks, stream, 0.5f, never, sink);
}
