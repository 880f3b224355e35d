// A tensor as kernels see it: any dtype and strides, elements read and written as float.
#ifndef PXLI_VIEW_CUH
#define PXLI_VIEW_CUH
#include "runtime.cuh"

namespace pxli {

struct View {
    char *data;        // NULL: there is none
    int64_t stride[4]; // N, C, H, W in elements
    int dtype;         // pxl_dtype
    float range, most; // of integers: they are read times range / most
    float reciprocal;  // of most
    bool vector;       // rows lie densely, and their elements 0, 4, 8, ... are aligned to four elements
};

inline View view_of(const pxl_tensor *t) {
    View v{};
    if (!t) return v;
    v.data = static_cast<char *>(t->data), v.dtype = t->dtype, v.range = v.most = v.reciprocal = 1;
    for (int i = 0; i < 4; i++) v.stride[i] = t->size[i] == 1 ? 0 : t->stride[i];
    const int bytes = t->dtype == PXL_F64 ? 8 : t->dtype == PXL_F32 ? 4 : t->dtype == PXL_U8 ? 1 : 2;
    v.vector = (t->size[3] == 1 || t->stride[3] == 1) && reinterpret_cast<uintptr_t>(t->data) % (4 * bytes) == 0;
    for (int i = 0; i < 3; i++) v.vector = v.vector && v.stride[i] % 4 == 0;
    if (t->size[3] == 1) v.stride[3] = 1;
    return v;
}

// Where row y of a plane begins, in elements.
__device__ inline int64_t row_of(const View &v, int64_t n, int64_t c, int64_t y) {
    return n * v.stride[0] + c * v.stride[1] + y * v.stride[2];
}

__device__ inline float load(const View &v, int64_t at) {
    switch (v.dtype) {
        case PXL_F16: return __half2float(reinterpret_cast<const __half *>(v.data)[at]);
        case PXL_BF16: return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(v.data)[at]);
        case PXL_F64: return static_cast<float>(reinterpret_cast<const double *>(v.data)[at]);
        case PXL_U8: return reinterpret_cast<const unsigned char *>(v.data)[at];
        case PXL_U16: return reinterpret_cast<const unsigned short *>(v.data)[at];
        default: return reinterpret_cast<const float *>(v.data)[at];
    }
}
__device__ inline void store(const View &v, int64_t at, float value) {
    switch (v.dtype) {
        case PXL_F16: reinterpret_cast<__half *>(v.data)[at] = __float2half_rn(value); break;
        case PXL_BF16: reinterpret_cast<__nv_bfloat16 *>(v.data)[at] = __float2bfloat16_rn(value); break;
        case PXL_F64: reinterpret_cast<double *>(v.data)[at] = value; break;
        default: reinterpret_cast<float *>(v.data)[at] = value; break;
    }
}

// Four elements from `at` on, which is a multiple of four from the row's first; only where v.vector.
__device__ inline void load4(const View &v, int64_t at, float (&out)[4]) {
    switch (v.dtype) {
        case PXL_F16: {
            const __half2 *p = reinterpret_cast<const __half2 *>(reinterpret_cast<const __half *>(v.data) + at);
            const float2 a = __half22float2(p[0]), b = __half22float2(p[1]);
            out[0] = a.x, out[1] = a.y, out[2] = b.x, out[3] = b.y;
            break;
        }
        case PXL_BF16: {
            const __nv_bfloat162 *p =
                reinterpret_cast<const __nv_bfloat162 *>(reinterpret_cast<const __nv_bfloat16 *>(v.data) + at);
            const float2 a = __bfloat1622float2(p[0]), b = __bfloat1622float2(p[1]);
            out[0] = a.x, out[1] = a.y, out[2] = b.x, out[3] = b.y;
            break;
        }
        case PXL_F32: {
            const float4 a = *reinterpret_cast<const float4 *>(reinterpret_cast<const float *>(v.data) + at);
            out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
            break;
        }
        default:
            for (int i = 0; i < 4; i++) out[i] = load(v, at + i);
    }
}
__device__ inline void store4(const View &v, int64_t at, const float (&a)[4]) {
    switch (v.dtype) {
        case PXL_F16: {
            __half2 *p = reinterpret_cast<__half2 *>(reinterpret_cast<__half *>(v.data) + at);
            p[0] = __floats2half2_rn(a[0], a[1]), p[1] = __floats2half2_rn(a[2], a[3]);
            break;
        }
        case PXL_BF16: {
            __nv_bfloat162 *p = reinterpret_cast<__nv_bfloat162 *>(reinterpret_cast<__nv_bfloat16 *>(v.data) + at);
            p[0] = __floats2bfloat162_rn(a[0], a[1]), p[1] = __floats2bfloat162_rn(a[2], a[3]);
            break;
        }
        case PXL_F32:
            *reinterpret_cast<float4 *>(reinterpret_cast<float *>(v.data) + at) = make_float4(a[0], a[1], a[2], a[3]);
            break;
        default:
            for (int i = 0; i < 4; i++) store(v, at + i, a[i]);
    }
}

// Pixels: of a target of integers beside a floating pred in its units.
// a range / most, as a division would round it (Markstein 1990), whose code takes more registers.
__device__ inline float in_units(const View &v, float a) {
    if (v.most == 1) return a;
    const float p = a * v.range, q = p * v.reciprocal;
    return fmaf(fmaf(-q, v.most, p), v.reciprocal, q);
}
__device__ inline float load_pixel(const View &v, int64_t at) { return in_units(v, load(v, at)); }
__device__ inline void load_pixels(const View &v, int64_t at, float (&out)[4]) {
    load4(v, at, out);
    if (v.most == 1) return;
#pragma unroll
    for (int i = 0; i < 4; i++) out[i] = in_units(v, out[i]);
}

} // namespace pxli
#endif
