// The residual terms: pixel (rmse's and psnr's square too), sobel, laplacian, tv. One launch sums and pulls back any number of
// them. With a stencil among them warps march down strips (residual.cuh); pixels alone are taken in the order in which they lie
// in memory, whatever their axes. Residual terms are in a call's first pass and first step, so gradients are added to what is there only
// where the caller accumulates them.
#include "residual.cuh"

#include "passes.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;
static_assert(sizeof(Terms) + sizeof(Finish) + sizeof(Strips) <= 4096, "a kernel's parameters");

__device__ Strip strip_of(const Strips &s, int64_t group, int64_t task) {
    const int64_t strip = task % s.strips, segment = task / s.strips % s.segments, plane = task / s.strips / s.segments;
    const int64_t y0 = segment * s.rows, y1 = y0 + s.rows < s.h ? y0 + s.rows : s.h;
    return {group * s.images + plane / s.c, plane % s.c, y0, y1, strip * kStripColumns, strip == 0, strip == s.strips - 1};
}

// A warp per strip of a segment, a block's warps side by side. Shared memory: each thread's sum of each term, the warps' rings.
// Blocks on a multiprocessor at a time: as many as there are registers for.
constexpr int blocks_at_a_time(bool difference, bool tv) { return difference && tv ? 3 : 4; }
template <bool DIFFERENCE, bool TV, bool WEIGHT, bool DENSE>
__global__ void __launch_bounds__(kThreads, blocks_at_a_time(DIFFERENCE, TV))
    residual_strips(const __grid_constant__ Terms t, const __grid_constant__ Finish f, const __grid_constant__ Strips s) {
    using Marching = March<DIFFERENCE, TV, WEIGHT, DENSE, kThreads>;
    PXLI_DYNAMIC_SHARED(double, mine);
    PXLI_SHARED(Charge, charges, [PXLI_MAX_TERMS]);
    const int warp = threadIdx.x / 32;
    const int64_t group = blockIdx.x / s.blocks, task = (blockIdx.x - group * s.blocks) * kWarps + warp;
    Raw *const rings = reinterpret_cast<Raw *>(mine + f.slots * kThreads);
    read_charges(t, f, group, s.gradients, charges);
    for (int i = 0; i < f.slots; i++) mine[i * kThreads + threadIdx.x] = 0;
    if (task < s.images * s.c * s.strips * s.segments)
        Marching(s, strip_of(s, group, task), charges, f.slots, mine, rings + warp * kAhead * Marching::views * 32).run();
    finish<kThreads>(f, t, mine);
}

// ---- Pixels alone -------------------------------------------------------------------------------------------------------------
struct Pixels {
    Axes<5> axes;          // pred, target, weight, grad_pred, grad_target, of one group
    int64_t blocks, quads; // of a group, of a block
    bool gradients, accumulate;
};
static_assert(sizeof(Terms) + sizeof(Finish) + sizeof(Pixels) <= 4096, "a kernel's parameters");
constexpr int kBatch = 2, kElements = 4 * kBatch; // quads a thread has under way
enum { PRED, TARGET, WEIGHTS, GRAD_PRED, GRAD_TARGET };

struct Batch {
    Quad quad[kBatch];
    float e[kElements], weight[kElements];
};
__device__ bool counts(const Batch &b, int i) { return i % 4 <= b.quad[i / 4].last; }

// DENSE: one row of whole quads in each tensor, all f32.
template <bool DENSE>
__device__ Quad pixel_quad(const Pixels &p, const Run &run, int64_t ahead) {
    if (!DENSE) return quad_at(p.axes, run, ahead);
    const int64_t x = 4 * (run.quad + ahead);
    return {{0, 0, 0}, x, x < p.axes.size[3] ? 3 : -1};
}
template <bool DENSE>
__device__ int64_t pixel_offset(const Pixels &p, int view, const Quad &q, int64_t group) {
    return DENSE ? group * p.axes.apart[view] + q.x : offset_of(p.axes, view, q, group);
}
template <bool WEIGHT, bool DENSE>
__device__ void load_batch(const Pixels &p, int64_t group, Batch &b) {
    Raw raw[3][kBatch];
    bool packed[3][kBatch];
#pragma unroll
    for (int u = 0; u < kBatch; u++)
#pragma unroll
        for (int v = 0; v < (WEIGHT ? 3 : 2); v++) {
            const View &view = p.axes.view[v];
            const char *const from = address(DENSE, view, pixel_offset<DENSE>(p, v, b.quad[u], group));
            packed[v][u] = DENSE || (view.vector && b.quad[u].last >= 3);
            raw[v][u] = DENSE ? fetch_dense(from, b.quad[u].last) : fetch(view, from, b.quad[u].last, packed[v][u]);
        }
#pragma unroll
    for (int u = 0; u < kBatch; u++) {
        float x[4], y[4], w[4] = {1, 1, 1, 1};
        if (DENSE)
            convert(PXL_F32, raw[PRED][u], true, x), convert(PXL_F32, raw[TARGET][u], true, y);
        else
            convert(p.axes.view[PRED], raw[PRED][u], packed[PRED][u], x),
                convert(p.axes.view[TARGET], raw[TARGET][u], packed[TARGET][u], y);
        if (WEIGHT) convert(PXL_F32, raw[WEIGHTS][u], packed[WEIGHTS][u], w);
#pragma unroll
        for (int k = 0; k < 4; k++) b.e[4 * u + k] = w[k] != 0 ? x[k] - y[k] : 0, b.weight[4 * u + k] = w[k];
    }
}
// Charges the batch by one term and adds its slopes to `gradient`.
template <bool WEIGHT>
__device__ void charge_batch(const Charge &c, const Batch &b, bool whole, float (&gradient)[kElements], double *sum) {
    float slope[kElements], value[kElements];
#pragma unroll
    for (int i = 0; i < kElements; i++) slope[i] = b.e[i];
    penalise(c.penalty, c.param, slope, value);
    if (!whole)
#pragma unroll
        for (int i = 0; i < kElements; i++) value[i] = counts(b, i) ? value[i] : 0;
    if (WEIGHT)
#pragma unroll
        for (int i = 0; i < kElements; i++) value[i] *= b.weight[i];
    add_values(value, sum);
    if (c.scale == 0) return;
#pragma unroll
    for (int i = 0; i < kElements; i++) gradient[i] += (WEIGHT ? c.scale * b.weight[i] : c.scale) * slope[i];
}
template <bool WEIGHT, bool DENSE>
__device__ void store_batch(const Pixels &p, int64_t group, const Batch &b, float (&gradient)[kElements]) {
#pragma unroll(DENSE ? 2 : 1) // of other layouts both at once would take a third more registers
    for (int v = GRAD_PRED; v <= GRAD_TARGET; v++) {
        const View &view = p.axes.view[v];
        if (!view.data) continue;
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
            char *const to = address(DENSE, view, pixel_offset<DENSE>(p, v, b.quad[u], group));
            float g[4];
#pragma unroll
            for (int k = 0; k < 4; k++) {
                const float a = gradient[4 * u + k];
                g[k] = WEIGHT && b.weight[4 * u + k] == 0 ? 0 : v == GRAD_PRED ? a : -a;
            }
            if (p.accumulate) load_and_add(view, to, g, b.quad[u].last);
            if (DENSE)
                store_dense(to, g, b.quad[u].last);
            else
                store_quad(view, to, g, b.quad[u].last);
        }
    }
}

// Blocks that a multiprocessor is to hold, which bounds registers; 0: as the compiler likes. For sm_100 and sm_120 it would spill.
template <bool DENSE>
constexpr int blocks_at_a_time() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
    return DENSE ? 4 : 3;
#else
    return DENSE ? 0 : 5;
#endif
}
// A block takes a run of quads of a group, in batches. Shared memory: a sum of each term for each thread.
template <bool WEIGHT, bool DENSE>
__global__ void __launch_bounds__(kThreads, blocks_at_a_time<DENSE>())
    residual_pixels(const __grid_constant__ Terms t, const __grid_constant__ Finish f, const __grid_constant__ Pixels p) {
    PXLI_DYNAMIC_SHARED(double, mine);
    PXLI_SHARED(Charge, charges, [PXLI_MAX_TERMS]);
    const int64_t group = blockIdx.x / p.blocks, block = blockIdx.x - group * p.blocks;
    read_charges(t, f, group, p.gradients, charges);
    for (int i = 0; i < f.slots; i++) mine[i * kThreads + threadIdx.x] = 0;
    const Run run = run_from(p.axes, block * p.quads);
    for (int64_t done = 0; done < p.quads; done += kThreads * kBatch) {
        Batch b;
        float gradient[kElements] = {};
        bool whole = true;
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
            const int64_t ahead = done + u * kThreads + threadIdx.x;
            b.quad[u] = pixel_quad<DENSE>(p, run, ahead);
            if (ahead >= p.quads) b.quad[u].last = -1;
            whole = whole && b.quad[u].last == 3;
        }
        load_batch<WEIGHT, DENSE>(p, group, b);
        for (int i = 0; i < f.slots; i++) charge_batch<WEIGHT>(charges[i], b, whole, gradient, mine + i * kThreads + threadIdx.x);
        if (p.gradients) store_batch<WEIGHT, DENSE>(p, group, b, gradient);
    }
    finish<kThreads>(f, t, mine);
}

// ---- Launches: all sizes by shape alone ---------------------------------------------------------------------------------------
// With `more` bytes for each warp.
size_t shared_bytes(const Step &step, int more) {
    return static_cast<size_t>(std::max(step.count, 1)) * kThreads * sizeof(double) + static_cast<size_t>(kWarps * more);
}

// Many quads for each block where there are enough blocks.
int64_t quads_per_block(int64_t quads) {
    const int64_t batch = kThreads * kBatch, most = 8, enough = 4096;
    return batch * std::max<int64_t>(1, std::min(most, quads / (batch * enough)));
}
bool is_dense(const View &v) { return !v.data || (v.vector && v.dtype == PXL_F32); }
template <bool WEIGHT>
auto pixels_kernel(const Pixels &p) {
    bool dense = p.axes.size[2] == 1 && p.axes.size[3] % 4 == 0;
    for (const View &v : p.axes.view) dense = dense && is_dense(v);
    return dense ? residual_pixels<WEIGHT, true> : residual_pixels<WEIGHT, false>;
}
void run_pixels(Sequence &s, const Evaluation &e, const Step &step) {
    const int64_t groups = e.terms.groups, images = e.n / groups, elements = images * e.c * e.h * e.w;
    Pixels p{};
    p.axes = {{images, e.c, e.h, e.w}, {e.pred, e.target, e.weight, e.grad_pred, e.grad_target}, {}};
    if (!step.gradients) p.axes.view[GRAD_PRED].data = p.axes.view[GRAD_TARGET].data = nullptr;
    for (int v = 0; v < 5; v++) p.axes.apart[v] = groups > 1 ? p.axes.view[v].stride[0] : 0;
    p.axes.view[WEIGHTS].stride[1] = 0;
    collapse(p.axes);
    p.blocks = divide_up(divide_up(elements, 4), quads_per_block(divide_up(elements, 4)));
    p.quads = divide_up(divide_up(quads_of(p.axes), p.blocks), 32) * 32;
    p.gradients = step.gradients, p.accumulate = step.accumulate;
    const Finish f = finish_of(s, e, step, groups * p.blocks);
    s.launch("residual_pixels", e.weight.data ? pixels_kernel<true>(p) : pixels_kernel<false>(p),
             {groups * p.blocks, kThreads, shared_bytes(step, 0)}, e.terms, f, p);
}

// Short segments make up for few strips.
int64_t rows_per_segment(int64_t planes, int64_t strips, int64_t h) {
    int64_t rows = 64;
    while (rows > 8 && planes * strips * divide_up(h, rows) < 4096) rows /= 2;
    return divide_up(h, divide_up(h, rows));
}
template <bool WEIGHT>
auto strips_kernel(const Strips &s, bool difference, bool tv) {
    const bool dense = s.w % 4 == 0 && is_dense(s.pred) && is_dense(s.target) && is_dense(s.weight) && is_dense(s.grad_pred) &&
                       is_dense(s.grad_target);
    if (!dense) return tv ? residual_strips<true, true, WEIGHT, false> : residual_strips<true, false, WEIGHT, false>;
    if (!tv) return residual_strips<true, false, WEIGHT, true>;
    return difference ? residual_strips<true, true, WEIGHT, true> : residual_strips<false, true, WEIGHT, true>;
}
void run_strips(Sequence &s, const Evaluation &e, const Step &step, bool difference, bool tv) {
    const int64_t groups = e.terms.groups;
    Strips z{};
    z.pred = e.pred, z.target = e.target, z.weight = e.weight;
    if (step.gradients) z.grad_pred = e.grad_pred, z.grad_target = e.grad_target;
    z.images = e.n / groups, z.c = e.c, z.h = e.h, z.w = e.w;
    z.strips = e.w <= kStripColumns + 8 ? 1 : divide_up(e.w - 8, kStripColumns);
    z.rows = rows_per_segment(e.n * e.c, z.strips, e.h), z.segments = divide_up(e.h, z.rows);
    z.blocks = divide_up(z.images * e.c * z.strips * z.segments, kWarps);
    z.gradients = step.gradients, z.accumulate = step.accumulate;
    const Finish f = finish_of(s, e, step, groups * z.blocks);
    s.launch("residual_strips", e.weight.data ? strips_kernel<true>(z, difference, tv) : strips_kernel<false>(z, difference, tv),
             {groups * z.blocks, kThreads, shared_bytes(step, ring_bytes(2 + (e.weight.data != nullptr)))}, e.terms, f, z);
}

} // namespace

void run_residual(Sequence &s, const Evaluation &e, const Step &step) {
    bool difference = false, stencil = false, tv = false;
    for (int i = 0; i < step.count; i++) {
        const pxl_term_kind kind = e.terms.term[step.term[i]].kind;
        tv = tv || kind == PXL_TV, difference = difference || kind != PXL_TV;
        stencil = stencil || kind == PXL_SOBEL || kind == PXL_LAPLACIAN || kind == PXL_TV;
    }
    if (stencil)
        run_strips(s, e, step, difference, tv);
    else
        run_pixels(s, e, step);
}

} // namespace pxli
