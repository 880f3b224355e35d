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
// thread: its halo is the score's, not the input's, and its values never leave the registers. What lies outside of the image
// reads as x = y = 0; positions that do not count get infinite stabilisers, so that their score and derivatives vanish.
#include "strip.cuh"

#include <cmath>

#include "../math/penalty.h"

namespace pxli {
namespace strip {

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
template <int N>
__device__ __forceinline__ void load_row(const float *from, float (&v)[N]) { // 16-byte aligned
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

// ---- The tile and its constants ---------------------------------------------------------------------------------------------
struct Shared {         // of one block
    float c, d;         // medians of samples of (x + y) / 2 and x - y
    bool exact;         // keep what rounding x - y drops: the images differ by an offset
    float unit;         // d total / d sum of 1 - SSIM
    float C1, C2;
    float scale[kMaxPixels];
    float sum[9], difference[9];
};
struct Tile {
    int64_t image, channel, c0, r0, r1;
    int cols;
};

__device__ inline float median(float *a, int n) {
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && a[j] < a[j - 1]; j--) {
            const float t = a[j];
            a[j] = a[j - 1], a[j - 1] = t;
        }
    return n ? a[n / 2] : 0;
}
__device__ inline void sample(const Args &g, const Tile &t, Shared &s) {
    if (threadIdx.x >= 9) return;
    const int i = threadIdx.x;
    const int64_t y = t.r0 + (t.r1 - t.r0) * (2 * (i / 3) + 1) / 6, x = t.c0 + t.cols * (2 * (i % 3) + 1) / 6;
    const float a = load(g.x, row_of(g.x, t.image, t.channel, y) + x * g.x.stride[3]);
    const float b = load(g.y, row_of(g.y, t.image, t.channel, y) + x * g.y.stride[3]);
    s.sum[i] = a / 2 + b / 2, s.difference[i] = a - b;
}
__device__ inline void set_shifts(const Args &g, Shared &s) {
    int n = 0;
    for (int i = 0; i < 9 && g.shifted; i++) {
        const float sum = s.sum[i], difference = s.difference[i];
        if (sum - sum == 0 && difference - difference == 0) s.sum[n] = sum, s.difference[n++] = difference; // finite
    }
    s.c = median(s.sum, n), s.d = median(s.difference, n);
    for (int i = 0; i < n; i++) s.difference[i] = fabsf(s.difference[i] - s.d);
    s.exact = fabsf(s.d) > 8 * median(s.difference, n);
}
__device__ inline void set_scales(const Args &g, const Terms &terms, const Tile &t, Shared &s) {
    const Term &term = terms.term[g.scored];
    const double L = range_of(terms, g.scored, t.image);
    s.C1 = static_cast<float>(pxli_stabiliser(term.k1, L));
    s.C2 = static_cast<float>(pxli_stabiliser(term.k2, L) / g.variance_factor); // in place of a factor on every variance
    s.unit = to_float(scale_of(terms, g.scored, t.image)) * (g.dssim ? 0.5f : 1.0f);
    for (int k = 0; k < g.pixels; k++) s.scale[k] = to_float(scale_of(terms, g.pixel[k], t.image));
}

// ---- Rows into the ring ------------------------------------------------------------------------------------------------------
// A warp takes every (warps / 2)-th row of one image; a lane WIDTH columns of each 32 * WIDTH.
template <class K>
struct Fetch {
    static constexpr int WIDTH = K::WIDTH, copies = (K::raw / WIDTH + 31) / 32, step = K::T / 64;

    const View &view;
    float *const to;       // this lane's first place in the ring
    int64_t from;          // the element that belongs there in the next batch
    unsigned inside = 0;   // bit k: the lane's k-th copy lies in the ring and in the image
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

// ---- u and v -----------------------------------------------------------------------------------------------------------------
// (x - y) - difference, exactly (Knuth's two-sum)
__device__ __forceinline__ float rounded_off(float x, float y, float difference) {
    const float back = difference - x;
    return (x - (difference - back)) - (y + back);
}
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

// ---- Terms on pixels ---------------------------------------------------------------------------------------------------------
template <pxli_charge (*CHARGE)(float, float), int P>
__device__ __forceinline__ float charge_row(const float (&e)[P], float param, float scale, int count, float (&slope)[P]) {
    float sum = 0;
#pragma unroll
    for (int j = 0; j < P; j++) {
        const pxli_charge c = CHARGE(e[j], param);
        if (j < count) sum += c.value;
        if (scale != 0) slope[j] = fmaf(scale, c.slope, slope[j]);
    }
    return sum;
}
// Charges P differences, of which `count` exist; adds scale times the slopes to `slope`.
template <int P>
__device__ __forceinline__ float charge(const Term &t, const float (&e)[P], float scale, int count, float (&slope)[P]) {
    switch (t.penalty) {
        case PXL_L1: return charge_row<pxli_l1>(e, t.param, scale, count, slope);
        case PXL_HUBER: return charge_row<pxli_huber>(e, t.param, scale, count, slope);
        case PXL_SMOOTH_L1: return charge_row<pxli_smooth_l1>(e, t.param, scale, count, slope);
        case PXL_CHARBONNIER: return charge_row<pxli_charbonnier>(e, t.param, scale, count, slope);
        default: return charge_row<pxli_l2>(e, t.param, scale, count, slope);
    }
}

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
                if (j + e < count)
                    store(v, at + e * v.stride[3], accumulate ? part[e] + load(v, at + e * v.stride[3]) : part[e]);
        }
    }
}

// A batch of one column's scores, from its shared memory to the caller's map.
template <class K>
__device__ void store_map(const Args &g, const Tile &t, int64_t row0, int64_t column, const float *value) {
    const int64_t first = max(g.map_y0, t.r0), last = min(g.map_y1, t.r1);
#pragma unroll 1
    for (int k = 0; k < K::B; k++) {
        const int64_t row = row0 + k;
        if (row < first || row >= last) continue;
        store(g.map, row_of(g.map, t.image, t.channel, row - g.map_y0) + (column - g.map_x0) * g.map.stride[3],
              1 - value[k * K::pitch]);
    }
}

// ---- The kernel --------------------------------------------------------------------------------------------------------------
template <int R, Back BACK, bool PIXELS, int WIDTH>
__global__ void __launch_bounds__(Config<R, BACK, PIXELS, WIDTH>::T, (Config<R, BACK, PIXELS, WIDTH>::min_blocks))
    score(const __grid_constant__ Args g, const __grid_constant__ Terms terms, const __grid_constant__ Finish f) {
    using K = Config<R, BACK, PIXELS, WIDTH>;
    constexpr int T = K::T, B = K::B, P = K::P, segs = T / P, rounds = segs * B / T, step = B / rounds;
    static_assert(P == 8 && T % 64 == 0 && B % 2 == 0 && segs * B % T == 0, "shape");
    PXLI_DYNAMIC_SHARED(float, memory);
    PXLI_SHARED(Shared, shared, [1]);
    Shared &s = shared[0];
    float *const maps = memory, *const ring_x = memory + 4 * K::map, *const ring_y = ring_x + K::ring;
    float2 *const limits = reinterpret_cast<float2 *>(ring_y + K::ring);
    double *const sums = reinterpret_cast<double *>(limits + T);
    const int t = threadIdx.x;

    const int64_t block = blockIdx.x, sx = block % g.strips, sy = block / g.strips % g.segments, plane = block / g.strips / g.segments;
    Tile tile;
    tile.image = plane / g.channels, tile.channel = plane % g.channels;
    tile.c0 = sx * K::out, tile.r0 = sy * g.rows, tile.r1 = min(tile.r0 + g.rows, g.h);
    tile.cols = static_cast<int>(min(static_cast<int64_t>(K::out), g.w - tile.c0));
    const int64_t r0 = tile.r0, r1 = tile.r1, c0 = tile.c0;
    const int64_t in0 = max(r0 - K::score_halo - R, static_cast<int64_t>(-R)), in1 = r1 + K::score_halo + R, bottom = min(in1, g.h);

    const bool odd = t / 32 & 1; // odd warps copy the target
    const View &view = odd ? g.y : g.x;
    Fetch<K> fetch(view, odd ? ring_y : ring_x, row_of(view, tile.image, tile.channel, 0), c0, in0, g.w);
    if (c0 < K::left || c0 - K::left + K::raw > g.w) // columns outside of the image: zero for good
        for (int i = t; i < 2 * K::ring; i += T) {
            const int64_t c = c0 - K::left + i % K::raw;
            if (c < 0 || c >= g.w) ring_x[i] = 0;
        }
    fetch.rows(in0, bottom, 0);
    sample(g, tile, s);
    __syncthreads();
    if (t == 0) set_shifts(g, s), set_scales(g, terms, tile, s);
    for (int k = 0; k <= g.pixels; k++) sums[k * T + t] = 0;
    __syncthreads();
    const float c = s.c, d = s.d, two_c = 2 * c;
    const bool exact = s.exact;
    const int64_t column = c0 - K::score_halo + t;
    const bool counts = column >= g.map_x0 && column < g.map_x1;
    limits[t] = counts ? make_float2(s.C1, s.C2) : make_float2(INFINITY, INFINITY);
    const bool mine = t >= K::score_halo && t < K::score_halo + tile.cols && counts; // a score that this block sums
    // Score rows from here on are counted from the first input row: those of the map, and those that this block sums.
    const int map0 = static_cast<int>(max(g.map_y0 - in0, static_cast<int64_t>(0))), sum0 = static_cast<int>(r0 - in0);
    const unsigned map_rows = static_cast<unsigned>(max(min(g.map_y1, in1) - in0 - map0, static_cast<int64_t>(0)));
    const unsigned sum_rows = static_cast<unsigned>(r1 - r0);

    // Tasks by rows of this thread: a quarter of a warp has 4 tasks in each of 2 rows, which makes no bank conflicts.
    const int seg = P * ((t & 3) + 4 * (t / 8 % (segs / 4))), task_row = 2 * (t / (2 * segs)) + (t >> 2 & 1);
    float mu[2 * R] = {}, mv[2 * R] = {}, uu[2 * R] = {}, vv[2 * R] = {};
    float ba[2 * R] = {}, bb2[2 * R] = {}, bu[2 * R] = {}, bv[2 * R] = {}; // to pred, to target, to E u^2, to E v^2
    const bool has_map = g.map.data && mine;
    int slot = 0;
#pragma unroll 1
    for (int64_t in = in0; in < in1; in += B) { // input rows in .. in + B - 1
        __pipeline_wait_prior(0);
        __syncthreads();
        const int next = slot + B == K::depth ? 0 : slot + B;
        fetch.rows(in + B, bottom, next);

        // 1: u, v, their squares; horizontal forward
#pragma unroll 1
        for (int n = 0, row = task_row; n < rounds; n++, row += step) {
            const int at = (slot + row) * K::raw + seg;
            float *const o = maps + row * K::pitch + seg;
            float u[K::window], v[K::window], out[P];
            load_row(ring_x + at, u), load_row(ring_y + at, v);
            shift<K::offset>(u, v, c, d, exact);
            filter_row<R, K::offset>(g.taps_x, u, out), store_row(o, out);
            filter_row<R, K::offset>(g.taps_x, v, out), store_row(o + K::map, out);
#pragma unroll
            for (int k = K::offset; k < K::window; k++) u[k] *= u[k], v[k] *= v[k];
            filter_row<R, K::offset>(g.taps_x, u, out), store_row(o + 2 * K::map, out);
            filter_row<R, K::offset>(g.taps_x, v, out), store_row(o + 3 * K::map, out);
        }
        __syncthreads();

        // 2: vertical forward (score row = input row - R), score, vertical backward (output row = input row - 2R), in place
        {
            float loss = 0, *o = maps + t;
            const float C1 = limits[t].x, C2 = limits[t].y;
            int r = static_cast<int>(in - in0);
            const int end = r + B, full = min(2 * R, end);
#pragma unroll 1
            for (; r < full; r += 2, o += 2 * K::pitch) // the first 2R rows only fill the forward filters
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    const float *const i = o + k * K::pitch;
                    fir<R>(mu, g.taps_y, i[0]), fir<R>(mv, g.taps_y, i[K::map]);
                    fir<R>(uu, g.taps_y, i[2 * K::map]), fir<R>(vv, g.taps_y, i[3 * K::map]);
                }
#pragma unroll 1
            for (; r < end; r += 2, o += 2 * K::pitch)
#pragma unroll
                for (int k = 0; k < 2; k++) {
                    float *const i = o + k * K::pitch;
                    const float a = fir<R>(mu, g.taps_y, i[0]), b = fir<R>(mv, g.taps_y, i[K::map]);
                    const float aa = fir<R>(uu, g.taps_y, i[2 * K::map]), bb = fir<R>(vv, g.taps_y, i[3 * K::map]);
                    const int q = r + k - R;
                    const bool in_map = static_cast<unsigned>(q - map0) < map_rows;
                    const pxli_moments m = {a + two_c, b + d, fmaf(-a, a, aa), fmaf(-b, b, bb), 0};
                    const pxli_score l = pxli_ssim(m, in_map ? C1 : INFINITY, in_map ? C2 : INFINITY);
                    if (static_cast<unsigned>(q - sum0) < sum_rows) loss += l.value;
                    if (BACK != BOTH && has_map) i[3 * K::map] = l.value; // for store_map: this map is free
                    if (BACK) {
                        const float lu = fmaf(-2 * a, l.su, l.M), lv = fmaf(-2 * b, l.sv, l.m);
                        i[0] = fir<R>(ba, g.taps_y, lu + lv);
                        i[K::map] = fir<R>(bu, g.taps_y, l.su), i[2 * K::map] = fir<R>(bv, g.taps_y, l.sv);
                        if (BACK == BOTH) i[3 * K::map] = fir<R>(bb2, g.taps_y, lu - lv);
                    }
                }
            if (mine) sums[t] += loss;
            if (BACK != BOTH && has_map) store_map<K>(g, tile, in - R, column, maps + 3 * K::map + t);
        }
        if (BACK || PIXELS) __syncthreads();

        // 3: horizontal backward, gradient, terms on pixels
#pragma unroll 1
        for (int n = 0, row = task_row; n < rounds && (BACK || PIXELS); n++, row += step) {
            const int64_t y = in + row - K::lag;
            const int count = min(tile.cols - seg, P);
            if (static_cast<uint64_t>(y - r0) >= static_cast<uint64_t>(r1 - r0) || count <= 0) continue;
            const float *const o = maps + row * K::pitch + seg;
            const int ring_row = slot + row >= K::lag ? slot + row - K::lag : slot + row - K::lag + K::depth;
            const int at = ring_row * K::raw + seg + K::left;
            float x[P], z[P], e[P], g_pred[P] = {}, g_target[P] = {};
            load_row(ring_x + at, x), load_row(ring_y + at, z);
#pragma unroll
            for (int j = 0; j < P; j++) e[j] = x[j] - z[j];
            if (BACK) {
                float i[K::back_window], a[P], b[P], w[P];
                shift<0>(x, z, c, d, exact);
                load_row(o + K::map, i), filter_row<R, 0>(g.taps_x, i, b);
                load_row(o + 2 * K::map, i), filter_row<R, 0>(g.taps_x, i, w);
                load_row(o, i), filter_row<R, 0>(g.taps_x, i, a);
#pragma unroll
                for (int j = 0; j < P; j++) {
                    const float p = 2 * x[j] * b[j], q = 2 * z[j] * w[j];
                    g_pred[j] = s.unit == 0 ? 0 : s.unit * (a[j] + (p + q));
                    g_target[j] = p - q;
                }
                if (BACK == BOTH) {
                    load_row(o + 3 * K::map, i), filter_row<R, 0>(g.taps_x, i, a);
#pragma unroll
                    for (int j = 0; j < P; j++) g_target[j] = s.unit == 0 ? 0 : s.unit * (a[j] + g_target[j]);
                }
            }
            if (PIXELS) {
                float slope[P] = {};
#pragma unroll 1
                for (int k = 0; k < g.pixels; k++)
                    sums[(k + 1) * T + t] += charge(terms.term[g.pixel[k]], e, BACK ? s.scale[k] : 0, count, slope);
#pragma unroll
                for (int j = 0; j < P; j++) g_pred[j] += slope[j], g_target[j] -= slope[j];
            }
            if (BACK && g.grad_x.data)
                store_gradient(g.grad_x, row_of(g.grad_x, tile.image, tile.channel, y), c0 + seg, count, g.accumulate, g_pred);
            if (BACK == BOTH && g.grad_y.data)
                store_gradient(g.grad_y, row_of(g.grad_y, tile.image, tile.channel, y), c0 + seg, count, g.accumulate, g_target);
        }
        slot = next;
    }
    __pipeline_wait_prior(0);
    if (g.dssim) sums[t] *= 0.5;
    finish<T>(f, terms, sums);
}

// ---- Launching ---------------------------------------------------------------------------------------------------------------
// Rows of a segment: whole batches, as few waves as possible on a nominal device (the shape alone decides, not the device).
inline int64_t rows_for(int64_t blocks_a_row, int64_t h, int halo, int batch) {
    constexpr int64_t nominal = 132 * 3;
    int64_t best = h;
    double least = INFINITY;
    for (int64_t segments = 1; segments <= divide_up(h, batch) && segments <= 512; segments++) {
        const int64_t rows = divide_up(h, segments), marched = divide_up(rows + halo, batch) * batch;
        const double waves = static_cast<double>(divide_up(blocks_a_row * segments, nominal));
        const double cost = waves * static_cast<double>(marched + 2 * batch);
        if (cost < least * 0.995) least = cost, best = rows;
    }
    return best;
}
template <class K>
size_t shared_bytes(int slots) {
    return (4 * K::map + 2 * K::ring) * sizeof(float) + K::T * sizeof(float2) + static_cast<size_t>(slots) * K::T * sizeof(double);
}
template <int R, Back BACK, bool PIXELS, int WIDTH>
void start(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    using K = Config<R, BACK, PIXELS, WIDTH>;
    g.strips = divide_up(e.w, K::out);
    g.rows = rows_for(g.strips * e.n * e.c, e.h, 2 * K::score_halo + 2 * R, K::B);
    g.segments = divide_up(e.h, g.rows);
    const int64_t blocks = g.strips * g.segments * e.n * e.c;
    const Finish f = finish_of(s, e, step, blocks);
    s.launch("strip", score<R, BACK, PIXELS, WIDTH>, {blocks, K::T, shared_bytes<K>(step.count)}, g, e.terms, f);
}
template <int R, Back BACK, bool PIXELS>
void choose_width(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    const bool wide = g.x.vector && g.y.vector && e.w % 4 == 0;
    wide ? start<R, BACK, PIXELS, 4>(s, e, step, g) : start<R, BACK, PIXELS, 1>(s, e, step, g);
}
template <int R, Back BACK>
void choose_pixels(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    constexpr bool always = R != 5; // the other radii are rare: one kernel for both
    g.pixels || always ? choose_width<R, BACK, true>(s, e, step, g) : choose_width<R, BACK, always>(s, e, step, g);
}
template <int R>
void choose_back(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    if (!step.gradients)
        choose_pixels<R, NONE>(s, e, step, g);
    else if (!e.grad_target.data)
        choose_pixels<R, PRED>(s, e, step, g);
    else
        choose_pixels<R, BOTH>(s, e, step, g);
}

bool mostly_outside(const pxli_pass *p) { // as the CPU: most of what a window sees is 0
    const int64_t taps = 2 * p->radius + 1, h = std::min(p->h, taps), w = std::min(p->w, taps);
    return p->window->border == PXL_ZERO && 2 * h * w < taps * taps;
}
Args args_of(const Evaluation &e, const Step &step) {
    const pxli_pass *pass = step.pass;
    Args g{};
    g.x = e.pred, g.y = e.target, g.grad_x = e.grad_pred, g.grad_y = e.grad_target;
    if (pass->outputs) g.map = view_of(e.call->args->map);
    g.channels = e.c, g.h = e.h, g.w = e.w;
    g.map_y0 = pass->map_y0, g.map_y1 = pass->map_y1, g.map_x0 = pass->map_x0, g.map_x1 = pass->map_x1;
    for (int k = 0; k <= 2 * pass->radius; k++) {
        g.taps_x[k] = static_cast<float>(pass->taps_x[k]), g.taps_y[k] = static_cast<float>(pass->taps_y[k]);
    }
    g.variance_factor = pass->variance_factor;
    g.scored = step.term[0], g.dssim = e.call->terms[step.term[0]].kind == PXL_DSSIM;
    for (int i = 1; i < step.count; i++) g.pixel[g.pixels++] = step.term[i];
    g.shifted = !mostly_outside(pass), g.accumulate = step.accumulate;
    return g;
}

} // namespace strip

bool strip_does(const pxli_call *call, const Step &step) {
    const pxli_pass *pass = step.pass;
    const bool folds = pxli_border_folds(pass->window->border) || pass->identity_x || pass->identity_y;
    const bool radius = pass->radius == 3 || pass->radius == 5 || pass->radius == 7;
    if (pass->mode != PXLI_SCORE_SSIM || !radius || folds || pass->factor > 1 || call->args->weight) return false;
    if (pass->outputs && step.gradients && call->args->grad_target) return false; // no map is free for the scores
    if (step.count - pass->scored_count > strip::kMaxPixels) return false;
    for (int i = pass->scored_count; i < step.count; i++)
        if (call->terms[step.term[i]].kind != PXL_PIXEL && !pxli_is_function_of_mean(call->terms[step.term[i]].kind)) return false;
    return true;
}

void run_strip(Sequence &s, const Evaluation &e, const Step &step) {
    strip::Args g = strip::args_of(e, step);
    switch (step.pass->radius) {
        case 3: strip::choose_back<3>(s, e, step, g); break;
        case 5: strip::choose_back<5>(s, e, step, g); break;
        default: strip::choose_back<7>(s, e, step, g); break;
    }
}

} // namespace pxli
