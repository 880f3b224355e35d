// The strip kernel's rows: from memory of any dtype and layout into a ring in shared memory, gradients back.
#ifndef PXLI_STRIP_RING_CUH
#define PXLI_STRIP_RING_CUH
#include "strip.cuh"

namespace pxli {
namespace strip {

// Rows of shared memory, 16-byte aligned.
template <int N>
__device__ __forceinline__ void load_row(const float *from, float (&v)[N]) {
#pragma unroll
    for (int k = 0; k < N / 4; k++) {
        const float4 q = reinterpret_cast<const float4 *>(from)[k];
        v[4 * k] = q.x, v[4 * k + 1] = q.y, v[4 * k + 2] = q.z, v[4 * k + 3] = q.w;
    }
}
template <int N>
__device__ __forceinline__ void store_row(float *to, const float (&v)[N]) {
#pragma unroll
    for (int k = 0; k < N / 4; k++)
        reinterpret_cast<float4 *>(to)[k] = make_float4(v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]);
}

// A warp takes every (warps / 2)-th row of one image; a lane WIDTH columns of each 32 * WIDTH.
template <class K>
struct Fetch {
    static constexpr int WIDTH = K::WIDTH, copies = (K::raw / WIDTH + 31) / 32, step = K::T / 64;

    const View &view;
    float *const to;     // this lane's first place in the ring
    int64_t from;        // the element that belongs there in the next batch
    bool inside[copies]; // the lane's k-th copy lies in the ring and in the image

    __device__ __forceinline__ Fetch(const View &v, float *ring, int64_t plane, int64_t c0, int64_t in0, int64_t w)
        : view(v), to(ring + threadIdx.x / 64 * K::raw + threadIdx.x % 32 * WIDTH) {
        const int place = threadIdx.x % 32 * WIDTH;
        from = plane + (in0 + threadIdx.x / 64) * v.stride[2] + (c0 - K::left + place) * v.stride[3];
#pragma unroll
        for (int k = 0; k < copies; k++) {
            const int64_t c = c0 - K::left + place + 32 * WIDTH * k;
            inside[k] = place + 32 * WIDTH * k < K::raw && c >= 0 && c + WIDTH <= w;
        }
    }
    // The next B rows, whole and of floats.
    __device__ __forceinline__ void copy(float *out) const {
        const float *row = reinterpret_cast<const float *>(view.data) + from;
        const int64_t down = step * view.stride[2], across = WIDTH > 1 ? 1 : view.stride[3];
#pragma unroll
        for (int j = 0; j < K::B; j += step, row += down, out += step * K::raw)
#pragma unroll
            for (int k = 0; k < copies; k++)
                if (inside[k]) __pipeline_memcpy_async(out + 32 * WIDTH * k, row + 32 * WIDTH * k * across, 4 * WIDTH);
    }
    // One element, or four: of other types, or of rows outside of the image.
    __device__ void convert(float *out, int64_t at, bool zero) const {
        float v[4] = {0, 0, 0, 0};
        if (WIDTH == 4) {
            if (!zero) load_pixels(view, at, v);
            *reinterpret_cast<float4 *>(out) = make_float4(v[0], v[1], v[2], v[3]);
        } else {
            *out = zero ? 0 : load_pixel(view, at);
        }
    }
    __device__ void convert_rows(int row0, int top, int bottom, float *out) const {
        int64_t at = from;
#pragma unroll 1
        for (int j = 0; j < K::B; j += step, at += step * view.stride[2], out += step * K::raw) {
            const int row = row0 + static_cast<int>(threadIdx.x) / 64 + j;
#pragma unroll
            for (int k = 0; k < copies; k++)
                if (inside[k])
                    convert(out + 32 * WIDTH * k, at + 32 * WIDTH * k * (WIDTH > 1 ? 1 : view.stride[3]),
                            row < top || row >= bottom);
        }
    }
    // The next B rows, which begin at row0; zeros outside of [top, bottom).
    __device__ __forceinline__ void rows(int row0, int top, int bottom, int slot) {
        float *const out = to + slot * K::raw;
        if (row0 >= top && row0 + K::B <= bottom && view.dtype == PXL_F32)
            copy(out);
        else
            convert_rows(row0, top, bottom, out);
        __pipeline_commit();
        from += K::B * view.stride[2];
    }
};

// A row task's gradient: `count` of P columns from `column` on.
template <int P>
__device__ __forceinline__ void store_gradient(const View &v, int64_t row, int64_t column, int count, bool accumulate,
                                               float (&g)[P]) {
    if (v.vector && v.dtype == PXL_F32 && count == P && !accumulate) {
        store_row(reinterpret_cast<float *>(v.data) + row + column, g);
        return;
    }
#pragma unroll
    for (int j = 0; j < P; j += 4) {
        const int64_t at = row + (column + j) * v.stride[3];
        float part[4] = {g[j], g[j + 1], g[j + 2], g[j + 3]};
        if (v.vector && j + 4 <= count) {
            if (accumulate) {
                float old[4];
                load4(v, at, old);
                for (int e = 0; e < 4; e++) part[e] += old[e];
            }
            store4(v, at, part);
        } else {
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (j + e < count) store(v, at + e * v.stride[3], accumulate ? part[e] + load(v, at + e * v.stride[3]) : part[e]);
        }
    }
}

} // namespace strip
} // namespace pxli
#endif
