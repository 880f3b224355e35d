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
    unsigned inside = 0; // bit k: the lane's k-th copy lies in the ring and in the image
    const int warp_row;

    __device__ Fetch(const View &v, float *ring, int64_t plane, int64_t c0, int64_t in0, int64_t w)
        : view(v), to(ring + threadIdx.x / 64 * K::raw + threadIdx.x % 32 * WIDTH), warp_row(threadIdx.x / 64) {
        const int64_t column = c0 - K::left + threadIdx.x % 32 * WIDTH;
        from = plane + (in0 + warp_row) * v.stride[2] + column * v.stride[3];
        for (int k = 0; k < copies; k++) {
            const int64_t c = column + 32 * WIDTH * k;
            const bool held = threadIdx.x % 32 * WIDTH + 32 * WIDTH * k < K::raw;
            if (held && c >= 0 && c + WIDTH <= w) inside |= 1u << k;
        }
    }
    __device__ __forceinline__ void copy(int j, int k, int slot, bool is_float) const {
        float *const out = to + (slot + j * step) * K::raw + 32 * WIDTH * k;
        const int64_t at = from + j * step * view.stride[2] + 32 * WIDTH * k * (WIDTH > 1 ? 1 : view.stride[3]);
        if (is_float) {
            __pipeline_memcpy_async(out, reinterpret_cast<const float *>(view.data) + at, 4 * WIDTH);
        } else if (WIDTH == 4) {
            float v[4];
            load4(view, at, v);
            *reinterpret_cast<float4 *>(out) = make_float4(v[0], v[1], v[2], v[3]);
        } else {
            *out = load(view, at);
        }
    }
    __device__ void clear(int j, int k, int slot) const {
        float *const out = to + (slot + j * step) * K::raw + 32 * WIDTH * k;
        for (int e = 0; e < WIDTH; e++) out[e] = 0;
    }
    // The next B rows, which begin at row0; zeros outside of [0, bottom).
    __device__ void rows(int64_t row0, int64_t bottom, int slot) {
        if (row0 >= 0 && row0 + K::B <= bottom && view.dtype == PXL_F32) {
#pragma unroll
            for (int n = 0; n < K::B / step * copies; n++)
                if (inside >> n % copies & 1) copy(n / copies, n % copies, slot, true);
        } else {
#pragma unroll 1
            for (int n = 0; n < K::B / step * copies; n++) {
                const int64_t row = row0 + warp_row + n / copies * step;
                if (!(inside >> n % copies & 1)) continue;
                if (row < 0 || row >= bottom)
                    clear(n / copies, n % copies, slot);
                else
                    copy(n / copies, n % copies, slot, view.dtype == PXL_F32);
            }
        }
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
