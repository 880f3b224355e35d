// 1 - SSIM and its gradient in one kernel, with terms on single pixels: 12 bytes a pixel. See math/ssim.h for the formulas.
//
// A block of T threads scores T columns and marches down `rows` output rows in batches of B input rows. Both images arrive one batch
// ahead, by asynchronous copies where the memory lies right, in a ring of rows in shared memory. A batch has three stages, a barrier
// before each:
//   1 rows      a thread has P adjacent columns of a row: u, v, u^2, v^2 -> horizontal window                    -> maps
//   2 columns   a thread has one score column: vertical window (a transposed FIR in registers), score, derivatives, vertical
//               window of the derivatives (again a FIR), in place                                                -> maps
//   3 rows      maps -> horizontal window; gradient = A + 2u B + 2v D; pixels' terms; stored
// The adjoint of a separable filter may be taken in either order, so the score sits between the two vertical filters in one
// thread: its halo is the score's, not the input's, and its values never leave the registers. SSIM does not change when both
// images and L are halved: the horizontal taps do that, so that 1 / P is in the range of the quick reciprocal. What lies outside of the image
// reads as x = y = 0; positions that do not count get infinite stabilisers, so that their score and derivatives vanish.
#ifndef PXLI_STRIP_MARCH_CUH
#define PXLI_STRIP_MARCH_CUH
#include "charge.cuh"
#include "shifts.cuh"
#include "strip_ring.cuh"

namespace pxli {
namespace strip {

static_assert(sizeof(Args) + sizeof(Terms) + sizeof(Finish) <= 4096, "a kernel's parameters");

// Half an image does not reach where the quick one is 0.
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
// ---- A block ----------------------------------------------------------------------------------------------------------------
// Rows of the block, counted from its first input row: ints in shared memory, or the compiler would compute them anew in every
// batch from 64 bits for want of registers.
struct Rows {
    int count;                  // of input
    int top, bottom;            // of the image
    int map0, map1, sum0, sum1; // of the map, and those whose scores this block sums, which it also stores
};
struct Shared { // what all threads of a block read
    Rows rows;
    Shifts shifts;
    Samples samples;
    float C1, C2;
    Charge charge[1 + kMaxOthers]; // of 1 - SSIM and the terms on pixels
};
struct Tile {
    int64_t image, channel, c0, r0, r1; // output rows [r0, r1), columns from c0 on
    int columns;
};

// What a thread knows of its block.
template <class K>
struct Block {
    const Args &g;
    Shared &shared;
    Tile tile{};
    float *maps = nullptr, *ring_x = nullptr, *ring_y = nullptr;
    double *sums = nullptr;      // [1 + pixels][T]; the first overlays the maps, once they are done with
    int64_t in0 = 0, column = 0; // the first input row; the column of the thread's score
    int segment = 0, task_row = 0;
    bool counts = false, mine = false, has_map = false; // this thread's scores are of the map; are summed; are stored
    float c = 0, d = 0;
    bool exact = false;
};

__device__ inline Tile tile_at(const Args &g, int out) {
    const int64_t strip = blockIdx.x % g.strips, segment = blockIdx.x / g.strips % g.segments,
                  plane = blockIdx.x / g.strips / g.segments;
    Tile t;
    t.image = plane / g.channels, t.channel = plane % g.channels;
    t.c0 = strip * out, t.r0 = segment * g.rows, t.r1 = min(t.r0 + g.rows, g.h);
    t.columns = static_cast<int>(min(static_cast<int64_t>(out), g.w - t.c0));
    return t;
}
template <class K>
__device__ __forceinline__ Block<K> block_of(const Args &g, Shared &shared, float *memory) {
    constexpr int segments = K::T / K::P;
    const int t = threadIdx.x;
    Block<K> b = {g, shared, tile_at(g, K::out), memory, memory + 4 * K::map, memory + 4 * K::map + K::ring};
    b.sums = reinterpret_cast<double *>(K::others ? b.ring_y + K::ring : memory);
    const Tile &tile = b.tile;
    b.in0 = max(tile.r0 - K::score_halo - K::R, static_cast<int64_t>(-K::R));
    b.column = tile.c0 - K::score_halo + t;
    b.mine = t >= K::score_halo && t < K::score_halo + tile.columns && b.column >= g.map_x0 && b.column < g.map_x1;
    b.has_map = g.map.data && b.mine;
    // Tasks by rows. With eight columns a quarter of a warp has 4 tasks in each of 2 rows, which makes no bank conflicts.
    b.segment = K::P * (K::P == 4 ? t % segments : (t & 3) + 4 * (t / 8 % (segments / 4)));
    b.task_row = K::P == 4 ? t / segments : 2 * (t / (2 * segments)) + (t >> 2 & 1);
    return b;
}

template <class K>
__device__ __forceinline__ Rows rows_of(const Block<K> &b) {
    const auto from_in0 = [&](int64_t row) { return static_cast<int>(row - b.in0); };
    const int64_t in1 = b.tile.r1 + K::score_halo + K::R, zero = 0;
    return {from_in0(in1),
            from_in0(max(b.in0, zero)),
            from_in0(min(in1, b.g.h)),
            from_in0(max(b.g.map_y0, b.in0)),
            from_in0(max(min(b.g.map_y1, in1), b.in0)),
            from_in0(b.tile.r0),
            from_in0(b.tile.r1)};
}

// Columns outside of the image: zero for good.
template <class K>
__device__ __forceinline__ void clear_outside(const Block<K> &b) {
    if (b.tile.c0 >= K::left && b.tile.c0 - K::left + K::raw <= b.g.w) return;
    for (int i = threadIdx.x; i < 2 * K::ring; i += K::T) {
        const int64_t c = b.tile.c0 - K::left + i % K::raw;
        if (c < 0 || c >= b.g.w) b.ring_x[i] = 0;
    }
}
__device__ inline void take_sample(const Args &g, const Tile &t, int i, Samples &to) {
    const int64_t y = sample_at(t.r0, t.r1 - t.r0, i / 3), x = sample_at(t.c0, t.columns, i % 3);
    const Sample s = sample_of(g.x, g.y, t.image, t.channel, y, x);
    to.sum[i] = s.a / 2 + s.b / 2, to.difference[i] = s.a - s.b;
}
// Shifts, stabilisers, scales; two barriers.
template <class K>
__device__ __forceinline__ void set_constants(Block<K> &b, const Terms &terms, const Finish &f) {
    Shared &s = b.shared;
    const int t = threadIdx.x;
    if (t < kSamples) take_sample(b.g, b.tile, t, s.samples);
    read_charges(terms, f, b.tile.image, K::BACK != NONE, s.charge);
    if (t == 0) {
        const Term &term = terms.term[f.term[0]];
        const double L = range_of(terms, f.term[0], b.tile.image);
        s.shifts = b.g.shifted ? shifts_of(s.samples) : Shifts{0, 0, false};
        s.C1 = static_cast<float>(pxli_stabiliser(term.k1, L) / 4);
        s.C2 = static_cast<float>(pxli_stabiliser(term.k2, L) / 4 / b.g.variance_factor); // in place of a factor on variances
        if (b.g.dssim) s.charge[0].scale *= 0.5f;
    }
    __syncthreads();
    b.c = s.shifts.c, b.d = s.shifts.d, b.exact = s.shifts.exact;
    b.counts = b.column >= b.g.map_x0 && b.column < b.g.map_x1;
    for (int k = 1; k <= b.g.others; k++) b.sums[k * K::T + t] = 0;
}

// ---- Stage 1: u, v, their squares; horizontal window -------------------------------------------------------------------------
// In place: x, y -> u = (x - c) + (y - c), v = (x - y) - d
template <int FROM, int N>
__device__ __forceinline__ void shift(float (&x)[N], float (&y)[N], float c, float d, bool exact) {
    if (exact) {
#pragma unroll
        for (int k = FROM; k < N; k++) {
            const float a = x[k], b = y[k], difference = a - b;
            x[k] = (a - c) + (b - c), y[k] = (difference - d) + rounded_off(a, b, difference);
        }
    } else {
#pragma unroll
        for (int k = FROM; k < N; k++) {
            const float a = x[k], b = y[k];
            x[k] = (a - c) + (b - c), y[k] = (a - b) - d;
        }
    }
}
template <class K>
__device__ __forceinline__ void filter_task(const Block<K> &b, int ring_row, int row) {
    const int at = ring_row * K::raw + b.segment;
    float *const to = b.maps + row * K::pitch + b.segment;
    float u[K::window], v[K::window], out[K::P];
    load_row(b.ring_x + at, u), load_row(b.ring_y + at, v);
    shift<K::offset>(u, v, b.c, b.d, b.exact);
    filter_row<K::R, K::offset>(b.g.half, u, out), store_row(to, out);
    filter_row<K::R, K::offset>(b.g.half, v, out), store_row(to + K::map, out);
#pragma unroll
    for (int k = K::offset; k < K::window; k++) u[k] *= u[k], v[k] *= v[k];
    filter_row<K::R, K::offset>(b.g.quarter, u, out), store_row(to + 2 * K::map, out);
    filter_row<K::R, K::offset>(b.g.quarter, v, out), store_row(to + 3 * K::map, out);
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
    float C1, C2; // infinite for columns outside of the map: the score and its derivatives are 0
    int q;        // the row, counted from in0
};
template <bool WHOLE, class K>
__device__ __forceinline__ float score_row(const Block<K> &b, Column<K> &p, const Limits &l, float *at) {
    const float *const taps = b.g.taps_y;
    const float u = fir<K::R>(p.u, taps, at[0]), v = fir<K::R>(p.v, taps, at[K::map]);
    const float uu = fir<K::R>(p.uu, taps, at[2 * K::map]), vv = fir<K::R>(p.vv, taps, at[3 * K::map]);
    const bool in_map = WHOLE || (l.q >= b.shared.rows.map0 && l.q < b.shared.rows.map1);
    const quick_moments m = {u + b.c, fmaf(0.5f, b.d, v), fmaf(-u, u, uu), fmaf(-v, v, vv), 0};
    const quick_score s = quick_ssim(m, in_map ? l.C1 : INFINITY, in_map ? l.C2 : INFINITY);
    if (!WHOLE && K::BACK != BOTH && b.has_map) at[3 * K::map] = s.value; // for store_scores: this map is free
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
    Limits l = {b.counts ? b.shared.C1 : INFINITY, b.counts ? b.shared.C2 : INFINITY, q + fill};
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
// x, y -> the structure's gradients, 1/2 unit (a + u uu + v vv): 1/2 because the scores are of halved images.
template <class K>
__device__ __forceinline__ void pull_back(const Block<K> &b, int row, float (&x)[K::P], float (&y)[K::P], float (&pred)[K::P],
                                          float (&target)[K::P]) {
    const float *const from = b.maps + row * K::pitch + b.segment, *const taps = b.g.taps_x;
    const float unit = 0.5f * b.shared.charge[0].scale;
    if (unit == 0) return; // leaves the gradient alone, whether the derivatives are finite or not
    float w[K::back_window], a[K::P], uu[K::P], vv[K::P];
    shift<0>(x, y, b.c, b.d, b.exact);
    load_row(from + K::map, w), filter_row<K::R, 0>(taps, w, uu);
    load_row(from + 2 * K::map, w), filter_row<K::R, 0>(taps, w, vv);
    load_row(from, w), filter_row<K::R, 0>(taps, w, a);
#pragma unroll
    for (int j = 0; j < K::P; j++) pred[j] = unit * fmaf(y[j], vv[j], fmaf(x[j], uu[j], a[j]));
    if (K::BACK != BOTH) return;
    load_row(from + 3 * K::map, w), filter_row<K::R, 0>(taps, w, a);
#pragma unroll
    for (int j = 0; j < K::P; j++) target[j] = unit * fmaf(-y[j], vv[j], fmaf(x[j], uu[j], a[j]));
}
template <class K>
__device__ __forceinline__ void charge_pixels(const Block<K> &b, const float (&e)[K::P], int count, float (&pred)[K::P],
                                              float (&target)[K::P]) {
#pragma unroll 1
    for (int k = 1; k <= b.g.others; k++) {
        const Charge &c = b.shared.charge[k];
        float slope[K::P], value[K::P];
#pragma unroll
        for (int j = 0; j < K::P; j++) slope[j] = j < count ? e[j] : 0;
        penalise(c.penalty, c.param, slope, value);
#pragma unroll
        for (int j = 0; j < K::P; j++) {
            if (j >= count) value[j] = 0; // charbonnier charges a difference of 0
            const float step = c.scale == 0 ? 0 : c.scale * slope[j];
            pred[j] += step, target[j] -= step;
        }
        add_values(value, b.sums + k * K::T + threadIdx.x);
    }
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
    if (K::others) charge_pixels(b, e, count, pred, target);
    const Args &g = b.g;
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
        if (K::BACK != BOTH && b.has_map) store_scores(b, first);
        if (K::BACK != NONE || K::others) {
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
template <int R, Back BACK, Others OTHERS, int WIDTH>
__global__ void __launch_bounds__(Config<R, BACK, OTHERS, WIDTH, kSize>::T, (Config<R, BACK, OTHERS, WIDTH, kSize>::min_blocks))
    march(const __grid_constant__ Args g, const __grid_constant__ Terms terms, const __grid_constant__ Finish f) {
#ifdef PXLI_CUDA_HOST // the code of all devices
    if (size_for(PXLI_COMPILED_FOR) != kSize) return march_block<Config<R, BACK, OTHERS, WIDTH, SMALL>>(g, terms, f);
#endif
    march_block<Config<R, BACK, OTHERS, WIDTH, kSize>>(g, terms, f);
}

} // namespace strip
} // namespace pxli
#endif
