// What the kernels need of CUDA, in one place, so that tests/cuda_host can compile the same sources for the CPU (PXLI_CUDA_HOST).
#ifndef PXLI_RUNTIME_CUH
#define PXLI_RUNTIME_CUH
#ifdef PXLI_CUDA_HOST
#include "cuda_host.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>
#include <cuda_runtime.h>
// Static shared memory: PXLI_SHARED(float, tile, [16][17]). Dynamic: PXLI_DYNAMIC_SHARED(float, memory), 16-byte aligned.
#define PXLI_SHARED(T, name, dims) __shared__ T name dims
#define PXLI_DYNAMIC_SHARED(T, name)                                     \
    extern __shared__ __align__(16) unsigned char pxli_dynamic_shared[]; \
    T *const name = reinterpret_cast<T *>(pxli_dynamic_shared)
#endif

#define PXLI_REAL   float
#define PXLI_INLINE static __host__ __device__ __forceinline__
#ifdef PXLI_CUDA_HOST
#undef PXLI_INLINE
#define PXLI_INLINE static inline
#endif

// On the device: the architecture that this code was compiled for, 90 for sm_90; the host is told it by a kernel's ptxVersion.
#ifdef PXLI_CUDA_HOST
#define PXLI_COMPILED_FOR cuda_host::compiled_for()
#elif defined(__CUDA_ARCH__)
#define PXLI_COMPILED_FOR (__CUDA_ARCH__ / 10)
#endif

extern "C" {
#include "../backend.h"
#include "../error.h"
#include "../math/window.h"
}
namespace pxli {

// 1 / a to 2^-23; 0 for |a| > 2^126
__host__ __device__ inline float quick_reciprocal(float a) {
#ifdef __CUDA_ARCH__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
#else
    const float r = 1.0f / a;
    return fabsf(r) < 0x1p-126f ? 0 : r;
#endif
}
// 1 / a to 2^-22, also where the quick one is 0; 0 of infinity.
__host__ __device__ inline float reciprocal(float a) { return 0.25f * quick_reciprocal(0.25f * a); }
// a / b to 2^-21, for all b
__host__ __device__ inline float quotient(float a, float b) {
    const float tiny = fabsf(b) < 1e-30f ? 0x1p64f : 1.0f; // its reciprocal might overflow
    return a * tiny * reciprocal(b * tiny);
}
// To 2^-22
__host__ __device__ inline float square_root(float a) {
#ifdef __CUDA_ARCH__
    float r;
    asm("sqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
#else
    return sqrtf(a);
#endif
}
#define PXLI_RECIPROCAL(x)  pxli::reciprocal(x)
#define PXLI_QUOTIENT(a, b) pxli::quotient(a, b)
#define PXLI_SQRT(a)        pxli::square_root(a)

// The same tree every time; valid in lane 0.
template <class Combine>
__device__ double combine_warp(double v, Combine combine) {
#pragma unroll
    for (int d = 16; d; d >>= 1) v = combine(v, __shfl_down_sync(~0u, v, d));
    return v;
}
struct Add {
    __device__ double operator()(double a, double b) const { return a + b; }
};
__device__ inline double warp_sum(double v) { return combine_warp(v, Add{}); }

} // namespace pxli

#include "../math/ssim.h"
#endif
