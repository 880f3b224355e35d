// The yardsticks on a GPU: kernels that do nothing but read, write or multiply, as fast as the card can. What is launched goes to
// `stream`; the result is a cudaError_t.
#ifndef BENCH_COPY_CUDA_H
#define BENCH_COPY_CUDA_H
#include <cuda_runtime_api.h>

#include <cstdint>

extern "C" {
// Of arrays of `quads` groups of 16 bytes.
cudaError_t bench_sum_two(const void *a, const void *b, int64_t quads, float *sink, cudaStream_t stream); // reads both
cudaError_t bench_add_two(const void *a, const void *b, void *c, int64_t quads, cudaStream_t stream);     // c = a + b
// FP32 multiply-adds that depend on nothing but themselves; how many in *count.
cudaError_t bench_multiply_add(int multiprocessors, float *sink, double *count, cudaStream_t stream);
}
#endif
