// sobel, laplacian and their adjoints on adjacent positions of a row, and what a border does to the columns and rows next to it.
#ifndef PXLI_STENCILS_CUH
#define PXLI_STENCILS_CUH
#include "charge.cuh"

namespace pxli {

// ---- Borders ------------------------------------------------------------------------------------------------------------------
// What lies outside, next to a (inside) and b (beyond it). single: the line has one element.
__device__ inline float outside(int border, bool single, float a, float b) {
    return border == PXL_REPLICATE || (border == PXL_REFLECT && single) ? a : border == PXL_REFLECT ? b : 0;
}
// Gives what a line has outside, `out`, to where that was read.
__device__ inline void give(int border, bool single, float &out, float &a, float &b) {
    const bool near = border == PXL_REPLICATE || (border == PXL_REFLECT && single), far = border == PXL_REFLECT && !single;
    a += near ? out : 0, b += far ? out : 0, out = 0;
}

// Where the image ends in a row of adjacent positions; the columns that go with them are one more on both sides.
struct Ends {
    bool leftmost, single; // position 0 is the image's first column; the image has one column
    unsigned last_bit;     // at the number of the position that is its last column; 0 if none is

    // Not k == last: in its branch the compiler would put `last` for k, a register for an index.
    __device__ bool is_last(int k) const { return last_bit >> k & 1; }
};
template <int N>
__device__ __forceinline__ void set_columns(int border, const Ends &ends, float *a) {
    if (ends.leftmost) a[0] = outside(border, ends.single, a[1], a[2]);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (ends.is_last(k)) a[k + 2] = outside(border, ends.single, a[k + 1], a[k]);
}
template <int N>
__device__ __forceinline__ void fold_columns(int border, const Ends &ends, float *a) {
    if (ends.leftmost) give(border, ends.single, a[0], a[1], a[2]);
#pragma unroll
    for (int k = 0; k < N; k++)
        if (ends.is_last(k)) give(border, ends.single, a[k + 2], a[k + 1], a[k]);
}

// ---- Stencils on N positions, from N + 2 columns of three rows; d: two components, one after the other --------------------------
template <int N>
__device__ __forceinline__ void sobel(const float (&up)[N + 2], const float (&mid)[N + 2], const float (&down)[N + 2], float *d) {
    float smooth[N + 2], slope[N + 2];
#pragma unroll
    for (int j = 0; j < N + 2; j++) smooth[j] = up[j] + down[j] + 2 * mid[j], slope[j] = down[j] - up[j];
#pragma unroll
    for (int k = 0; k < N; k++) d[k] = smooth[k + 2] - smooth[k], d[k + N] = slope[k] + slope[k + 2] + 2 * slope[k + 1];
}
template <int N>
__device__ __forceinline__ void laplacian(bool eight, const float (&up)[N + 2], const float (&mid)[N + 2],
                                          const float (&down)[N + 2], float *d) {
    float column[N + 2];
#pragma unroll
    for (int j = 0; j < N + 2; j++) column[j] = up[j] + down[j];
#pragma unroll
    for (int k = 0; k < N; k++) {
        const float cross = column[k + 1] + (mid[k] + mid[k + 2]);
        d[k] = eight ? cross + (column[k] + column[k + 2]) - 8 * mid[k + 1] : cross - 4 * mid[k + 1];
    }
}

// ---- Their adjoints: from the slopes of N positions to the M columns that have the same middle -----------------------------------
template <int N>
__device__ __forceinline__ float slope_at(const float *s, int component, int k) { // k is a constant
    return k >= 0 && k < N ? s[N * component + k] : 0;
}
template <int N, int M>
__device__ __forceinline__ void pull_sobel(const float *s, float (&up)[M], float (&mid)[M], float (&down)[M]) {
#pragma unroll
    for (int j = 0; j < M; j++) {
        const int k = j + (N - M) / 2;
        const float along = slope_at<N>(s, 0, k - 1) - slope_at<N>(s, 0, k + 1);
        const float across = slope_at<N>(s, 1, k - 1) + slope_at<N>(s, 1, k + 1) + 2 * slope_at<N>(s, 1, k);
        up[j] = along - across, mid[j] = 2 * along, down[j] = along + across;
    }
}
template <int N, int M>
__device__ __forceinline__ void pull_laplacian(bool eight, const float *s, float (&up)[M], float (&mid)[M], float (&down)[M]) {
#pragma unroll
    for (int j = 0; j < M; j++) {
        const int k = j + (N - M) / 2;
        const float sides = slope_at<N>(s, 0, k - 1) + slope_at<N>(s, 0, k + 1), centre = slope_at<N>(s, 0, k);
        up[j] = down[j] = eight ? sides + centre : centre;
        mid[j] = sides - (eight ? 8.0f : 4.0f) * centre;
    }
}

// ---- Charges ----------------------------------------------------------------------------------------------
// Of one component, or of the length of both, whose slopes are slope(length) times their direction. d: of each row both components
// of N positions, one after the other.
template <int ROWS, int N>
__device__ __forceinline__ void charge_one(const Charge &c, float (&d)[2 * ROWS * N], float (&value)[ROWS * N]) {
    float slope[ROWS * N];
#pragma unroll
    for (int i = 0; i < ROWS * N; i++) {
        float *const at = d + i + i / N * N;
        slope[i] = at[0];
        if (!c.isotropic) continue;
        const pxli_polar p = pxli_polar_of(at[0], at[N]);
        slope[i] = p.length, at[0] = p.x, at[N] = p.y;
    }
    penalise(c.penalty, c.param, slope, value);
#pragma unroll
    for (int i = 0; i < ROWS * N; i++) {
        float *const at = d + i + i / N * N;
        at[0] = c.isotropic ? slope[i] * at[0] : slope[i], at[N] = c.isotropic ? slope[i] * at[N] : 0;
    }
}

} // namespace pxli
#endif
