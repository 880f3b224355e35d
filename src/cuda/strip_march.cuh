// 1 - SSIM and its gradient in one kernel, with terms on pixels and on their neighbours: 12 bytes a pixel. See math/ssim.h for the
// formulas.
//
// A block of T threads scores T columns and marches down `rows` output rows in batches of B input rows. Both images arrive one batch
// ahead, by asynchronous copies where the memory lies right, in a ring of rows in shared memory. A batch has three stages, a barrier
// before each:
//   1 rows      a thread has P adjacent columns of a row: u, v, u^2, v^2 -> horizontal window                    -> maps
//   2 columns   a thread has one score column: vertical window (a transposed FIR in registers), score, derivatives, vertical
//               window of the derivatives (again a FIR), in place                                                -> maps
//               beside it, where terms look at neighbours: these and the pixels' terms, see strip_neighbours.cuh -> sums of rows
//   3 rows      maps -> horizontal window; gradient = A + 2u B + 2v D; pixels' terms, or sums of rows; stored
// The adjoint of a separable filter may be taken in either order, so the score sits between the two vertical filters in one
// thread: its halo is the score's, not the input's, and its values never leave the registers. SSIM does not change when images and
// L are divided by 4: the horizontal taps do that, so that squares overflow before P and Q leave the range of the quick reciprocal.
// What lies outside of the image reads as x = y = 0; positions that do not count get stabilisers whose quick reciprocal is 0, so that
// their score and derivatives vanish.
#ifndef PXLI_STRIP_MARCH_CUH
#define PXLI_STRIP_MARCH_CUH
#include "strip_neighbours.cuh"

namespace pxli {
namespace strip {

// A quarter of an image does not reach where the quick one is 0.
#undef PXLI_RECIPROCAL
#define PXLI_RECIPROCAL(x)    quick_reciprocal(x)
#define PXLI_SCORE_TYPE       float
#define PXLI_SCORE_NAME(name) quick_##name
#include "../math/ssim_ratios.h"

// Feeds one sample to a transposed FIR of 2R pending sums; returns the output centred R samples back.
template <int R>
__device__ __forceinline__ float fir(float (&pending)[2 * R], const float *taps, float v) {
    const float out = fmaf(taps[0], v, pending[0]);
#pragma unroll
    for (int k = 0; k < 2 * R - 1; k++) pending[k] = fmaf(taps[k + 1], v, pending[k + 1]);
    pending[2 * R - 1] = taps[2 * R] * v;
    return out;
}
// out[j] = sum over k of taps[k] v[j + k + OFFSET]
template <int R, int OFFSET, int P, int N>
__device__ __forceinline__ void filter_row(const float *taps, const float (&v)[N], float (&out)[P]) {
    static_assert(P + 2 * R + OFFSET <= N, "window");
#pragma unroll
    for (int k = 0; k <= 2 * R; k++)
#pragma unroll
        for (int j = 0; j < P; j++) out[j] = k ? fmaf(taps[k], v[j + k + OFFSET], out[j]) : taps[0] * v[j + OFFSET];
}
// ---- Stage 1: u, v, their squares; horizontal window -------------------------------------------------------------------------
// In place: x, y -> u = (x - c) + (y - c), v = (x - y) - d, in units of 1 / scale
template <class K, int FROM, int N>
__device__ __forceinline__ void shift(float (&x)[N], float (&y)[N], float scale, float c, float d, Reads reads) {
    if (K::sums && reads == SUMS) {
#pragma unroll
        for (int k = FROM; k < N; k++) x[k] = fmaf(x[k], scale, -2 * c), y[k] = fmaf(y[k], scale, -d);
    } else if (reads == EXACT) {
#pragma unroll
        for (int k = FROM; k < N; k++) {
            const float a = x[k], b = y[k], difference = a - b;
            x[k] = fmaf(a, scale, -c) + fmaf(b, scale, -c);
            y[k] = fmaf(rounded_off(a, b, difference), scale, fmaf(difference, scale, -d));
        }
    } else {
#pragma unroll
        for (int k = FROM; k < N; k++) {
            const float a = x[k], b = y[k];
            x[k] = fmaf(a, scale, -c) + fmaf(b, scale, -c), y[k] = fmaf(a - b, scale, -d);
        }
    }
}
template <class K>
__device__ __forceinline__ void filter_task(const Block<K> &b, int ring_row, int row) {
    const int at = ring_row * K::raw + b.segment;
    float *const to = b.maps + row * K::pitch + b.segment;
    float u[K::window], v[K::window], out[K::P];
    load_row(b.ring_x + at, u), load_row(b.ring_y + at, v);
    shift<K, K::offset>(u, v, b.shared.scale, b.c, b.d, b.reads);
    filter_row<K::R, K::offset>(b.g.quarter, u, out), store_row(to, out);
    filter_row<K::R, K::offset>(b.g.quarter, v, out), store_row(to + K::map, out);
#pragma unroll
    for (int k = K::offset; k < K::window; k++) u[k] *= u[k], v[k] *= v[k];
    filter_row<K::R, K::offset>(b.g.sixteenth, u, out), store_row(to + 2 * K::map, out);
    filter_row<K::R, K::offset>(b.g.sixteenth, v, out), store_row(to + 3 * K::map, out);
}

// ---- Stage 2: vertical window (score row = input row - R), score, its adjoint (output row = input row - 2R), in place ---------
template <class K>
struct Column { // pending sums of one column
    float u[2 * K::R] = {}, v[2 * K::R] = {}, uu[2 * K::R] = {}, vv[2 * K::R] = {};
    float to_pred[2 * K::R] = {}, to_target[2 * K::R] = {}, to_uu[2 * K::R] = {}, to_vv[2 * K::R] = {};
    double score = 0; // the sum
};
// What a column's scores need besides the maps. WHOLE: every row of the batch is of the map and of the block's sum.
struct Limits {
    float C1, C2;   // kNever for columns outside of the map: the score and its derivatives are 0
    float sum, gap; // what u and v are less
    int q;          // the row, counted from in0
};
template <bool WHOLE, class K>
__device__ __forceinline__ float score_row(const Block<K> &b, Column<K> &p, const Limits &l, float *at) {
    const float *const taps = b.g.taps_y;
    const float u = fir<K::R>(p.u, taps, at[0]), v = fir<K::R>(p.v, taps, at[K::map]);
    const float uu = fir<K::R>(p.uu, taps, at[2 * K::map]), vv = fir<K::R>(p.vv, taps, at[3 * K::map]);
    const bool in_map = WHOLE || (l.q >= b.shared.rows.map0 && l.q < b.shared.rows.map1);
    const quick_moments m = {l.sum + u, l.gap + v, fmaf(-u, u, uu), fmaf(-v, v, vv), 0};
    const quick_score s = quick_ssim(m, in_map ? l.C1 : kNever, in_map ? l.C2 : kNever);
    if (!WHOLE && K::maps && b.has_map) at[3 * K::map] = s.value; // for store_scores: this map is free
    if (K::BACK != NONE) {
        const float lu = fmaf(-2 * u, s.su, s.M), lv = fmaf(-2 * v, s.sv, s.m);
        at[0] = fir<K::R>(p.to_pred, taps, lu + lv);
        at[K::map] = fir<K::R>(p.to_uu, taps, s.su), at[2 * K::map] = fir<K::R>(p.to_vv, taps, s.sv);
        if (K::BACK == BOTH) at[3 * K::map] = fir<K::R>(p.to_target, taps, lu - lv);
    }
    return WHOLE || (l.q >= b.shared.rows.sum0 && l.q < b.shared.rows.sum1) ? s.value : 0;
}
template <bool WHOLE, class K>
__device__ __forceinline__ float score_rows(const Block<K> &b, Column<K> &p, Limits l, int count, float *at) {
    float loss = 0;
#pragma unroll 1
    for (int k = 0; k < count; k += 2, at += 2 * K::pitch) { // two at a time: the pending sums move by two registers
        loss += score_row<WHOLE>(b, p, l, at), l.q++;
        loss += score_row<WHOLE>(b, p, l, at + K::pitch), l.q++;
    }
    return loss;
}
template <class K>
__device__ __forceinline__ void fill_row(const Block<K> &b, Column<K> &p, const float *at) {
    const float *const taps = b.g.taps_y;
    fir<K::R>(p.u, taps, at[0]), fir<K::R>(p.v, taps, at[K::map]);
    fir<K::R>(p.uu, taps, at[2 * K::map]), fir<K::R>(p.vv, taps, at[3 * K::map]);
}
template <class K>
__device__ __forceinline__ void score_column(const Block<K> &b, Column<K> &p, int first) { // batch of input rows from `first` on
    const int fill = min(max(2 * K::R - first, 0), K::B), q = first - K::R;
    float *at = b.maps + threadIdx.x;
    Limits l = {b.counts ? b.shared.C1 : kNever, b.counts ? b.shared.C2 : kNever, b.shared.sum, b.shared.gap, q + fill};
#pragma unroll 1
    for (int k = 0; k < fill; k += 2, at += 2 * K::pitch) // the first 2R rows of a block only fill the forward filters
        fill_row(b, p, at), fill_row(b, p, at + K::pitch);
    const Rows &rows = b.shared.rows;
    const int low = max(rows.map0, rows.sum0), high = min(rows.map1, rows.sum1);
    const bool whole = fill == 0 && q >= low && q + K::B <= high && !b.g.map.data;
    const float loss = whole ? score_rows<true>(b, p, l, K::B, at) : score_rows<false>(b, p, l, K::B - fill, at);
    if (b.mine) p.score += loss;
}
// A batch of one column's scores, from its shared memory to the caller's map.
template <class K>
__device__ __forceinline__ void store_scores(const Block<K> &b, int first) {
    const View &map = b.g.map;
    const int64_t low = max(b.g.map_y0, b.tile.r0), high = min(b.g.map_y1, b.tile.r1);
#pragma unroll 1
    for (int k = 0; k < K::B; k++) {
        const int64_t row = b.in0 + first + k - K::R;
        if (row < low || row >= high) continue;
        const int64_t at = row_of(map, b.tile.image, b.tile.channel, row - b.g.map_y0) + (b.column - b.g.map_x0) * map.stride[3];
        store(map, at, 1 - b.maps[3 * K::map + k * K::pitch + threadIdx.x]);
    }
}

// ---- Stage 3: horizontal adjoint, gradient, terms on pixels ------------------------------------------------------------------
// x, y -> the structure's gradients, 1/4 unit scale (a + 1/2 (u uu + v vv)): the scores are of a quarter of the images.
template <class K>
__device__ __forceinline__ void pull_back(const Block<K> &b, int row, float (&x)[K::P], float (&y)[K::P], float (&pred)[K::P],
                                          float (&target)[K::P]) {
    const float *const from = b.maps + row * K::pitch + b.segment, *const taps = b.g.taps_x;
    const float unit = 0.25f * b.shared.charge[0].scale;
    if (unit == 0) return; // leaves the gradient alone, whether the derivatives are finite or not
    const float scale = b.shared.scale;
    float w[K::back_window], a[K::P], uu[K::P], vv[K::P];
    shift<K, 0>(x, y, 0.5f * scale, 0.5f * b.c, 0.5f * b.d, b.reads);
    load_row(from + K::map, w), filter_row<K::R, 0>(taps, w, uu);
    load_row(from + 2 * K::map, w), filter_row<K::R, 0>(taps, w, vv);
    load_row(from, w), filter_row<K::R, 0>(taps, w, a);
#pragma unroll
    for (int j = 0; j < K::P; j++) pred[j] = scale * (unit * fmaf(y[j], vv[j], fmaf(x[j], uu[j], a[j])));
    if (K::BACK != BOTH) return;
    load_row(from + 3 * K::map, w), filter_row<K::R, 0>(taps, w, a);
#pragma unroll
    for (int j = 0; j < K::P; j++) target[j] = scale * (unit * fmaf(-y[j], vv[j], fmaf(x[j], uu[j], a[j])));
}
template <class K>
__device__ __forceinline__ void charge_others(const Block<K> &b, const float (&e)[K::P], int count, float (&pred)[K::P],
                                              float (&target)[K::P]) {
#pragma unroll 1
    for (int k = 1; k <= b.g.others; k++)
        charge_pixels(b.shared.charge[k], e, count, pred, target, b.sums + k * K::T + threadIdx.x);
}
template <class K>
__device__ __forceinline__ void finish_task(const Block<K> &b, int first, int slot, int row) {
    const int count = min(b.tile.columns - b.segment, K::P), line = first + row - K::lag; // the output row, counted from in0
    if (line < b.shared.rows.sum0 || line >= b.shared.rows.sum1 || count <= 0) return;
    const int64_t y = b.in0 + line;
    const int ring_row = slot + row >= K::lag ? slot + row - K::lag : slot + row - K::lag + K::depth;
    const int at = ring_row * K::raw + b.segment + K::left;
    float u[K::P], v[K::P], e[K::P], pred[K::P] = {}, target[K::P] = {};
    load_row(b.ring_x + at, u), load_row(b.ring_y + at, v);
#pragma unroll
    for (int j = 0; j < K::P; j++) e[j] = u[j] - v[j];
    if (K::BACK != NONE) pull_back(b, row, u, v, pred, target);
    if (K::OTHERS == PIXELS) charge_others(b, e, count, pred, target);
    if constexpr (K::OTHERS == NEIGHBOURS) add_neighbours(b, first, row, pred);
    const Args &g = b.g;
    if constexpr (K::OTHERS == NEIGHBOURS) {
        const int64_t from = columns_of(b).gradient + line * g.grad_x.stride[2];
        if (K::BACK != NONE && g.grad_x.data) store_gradient(g.grad_x, from, b.segment, count, g.accumulate, pred);
        return;
    }
    const int64_t image = b.tile.image, channel = b.tile.channel, x = b.tile.c0 + b.segment;
    if (K::BACK != NONE && g.grad_x.data)
        store_gradient(g.grad_x, row_of(g.grad_x, image, channel, y), x, count, g.accumulate, pred);
    if (K::BACK == BOTH && g.grad_y.data)
        store_gradient(g.grad_y, row_of(g.grad_y, image, channel, y), x, count, g.accumulate, target);
}

// ---- The kernel --------------------------------------------------------------------------------------------------------------
template <class K>
__device__ __forceinline__ void march_block(const Args &g, const Terms &terms, const Finish &f) {
    constexpr int rounds = K::B / K::P, step = K::B / rounds; // row tasks of a thread in a batch
    static_assert(K::P % 4 == 0 && K::T % 64 == 0 && K::B % 2 == 0 && K::B % K::P == 0, "shape");
    PXLI_DYNAMIC_SHARED(float, memory);
    PXLI_SHARED(Shared, shared, [1]);
    Block<K> b = block_of<K>(g, shared[0], memory);
    const bool odd = threadIdx.x / 32 & 1; // odd warps fetch the target
    const View &view = odd ? g.y : g.x;
    Fetch<K> fetch(view, odd ? b.ring_y : b.ring_x, row_of(view, b.tile.image, b.tile.channel, 0), b.tile.c0, b.in0, g.w);
    clear_outside(b);
    const Rows rows = rows_of(b);
    if (threadIdx.x == 0) b.shared.rows = rows;
    if constexpr (K::OTHERS == NEIGHBOURS) set_columns_of(b);
    fetch.rows(0, rows.top, rows.bottom, 0);
    set_constants(b, terms, f);
    Column<K> pending;
    int slot = 0;
#pragma unroll 1
    for (int first = 0; first < b.shared.rows.count; first += K::B) {
        __pipeline_wait_prior(0);
        __syncthreads();
        const int next = slot + K::B == K::depth ? 0 : slot + K::B;
        fetch.rows(first + K::B, b.shared.rows.top, b.shared.rows.bottom, next);
#pragma unroll 1
        for (int n = 0, row = b.task_row; n < rounds; n++, row += step) filter_task(b, slot + row, row);
        __syncthreads();
        score_column(b, pending, first);
        if (K::maps && b.has_map) store_scores(b, first);
        if constexpr (K::OTHERS == NEIGHBOURS) Neighbours<K>(b, first, slot).run();
        if (K::BACK != NONE || K::OTHERS == PIXELS) {
            __syncthreads();
#pragma unroll 1
            for (int n = 0, row = b.task_row; n < rounds; n++, row += step) finish_task(b, first, slot, row);
        }
        slot = next;
    }
    __pipeline_wait_prior(0);
    __syncthreads();
    b.sums[threadIdx.x] = g.dssim ? 0.5 * pending.score : pending.score;
    finish<K::T>(f, terms, b.sums);
}
// Its code has the one size that fits what it is compiled for, which the host learns from the code that is loaded.
#ifdef __CUDA_ARCH__
constexpr Size kSize = size_for(PXLI_COMPILED_FOR);
#else
constexpr Size kSize = LARGE;
#endif
// Blocks that a multiprocessor is to hold, which bounds registers. For sm_80 the compiler would spill 8 bytes where neighbours ride along,
// and where rows come element by element; for sm_100 68 bytes with terms on pixels.
template <class K>
constexpr int blocks_at_a_time() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 800
    if (K::OTHERS == NEIGHBOURS || (K::OTHERS == ALONE && K::WIDTH == 1)) return 2;
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
    if (K::OTHERS == PIXELS) return 2;
#endif
    return K::min_blocks;
}

template <int R, Back BACK, Others OTHERS, int WIDTH>
__global__ void __launch_bounds__(Config<R, BACK, OTHERS, WIDTH, kSize>::T,
                                  (blocks_at_a_time<Config<R, BACK, OTHERS, WIDTH, kSize>>()))
    march(const __grid_constant__ Args g, const __grid_constant__ Terms terms, const __grid_constant__ Finish f) {
#ifdef PXLI_CUDA_HOST // the code of all devices
    if (size_for(PXLI_COMPILED_FOR) != kSize) return march_block<Config<R, BACK, OTHERS, WIDTH, SMALL>>(g, terms, f);
#endif
    march_block<Config<R, BACK, OTHERS, WIDTH, kSize>>(g, terms, f);
}

} // namespace strip
} // namespace pxli
#endif
