// Sums, magnitudes and extremes of groups of elements, in double, in one launch. Groups are seen with as few axes as strides
// allow (quad.cuh), so that dense ones are read as one long row. A group is the work of a warp if there are many small ones, of a
// block if there are many, or of several blocks, whose results the last of all blocks combines in their order.
#include "passes.cuh"
#include "quad.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kBatch = 4; // quads a thread has under way

struct Reduction {
    Axes<2> axes;                  // tensor, weight
    int64_t inner, far[2];         // group g is g / inner times `far` and g % inner times axes.apart away
    int64_t groups, blocks, quads; // blocks: of a group; quads: of a block
    double divisor;
    bool root; // of the result
    pxl_reduce_kind kind;
    double *partials, *results; // partials: [groups][blocks]
    unsigned *ticket;
};

__device__ bool is_extreme(pxl_reduce_kind kind) { return kind == PXL_REDUCE_MIN || kind == PXL_REDUCE_MAX; }
// NaN once, NaN for good
template <class T>
__device__ T lower(T a, T b) {
    return a < b || a != a ? a : b;
}
template <class T>
__device__ T higher(T a, T b) {
    return a > b || a != a ? a : b;
}
__device__ double neutral(pxl_reduce_kind kind) {
    return kind == PXL_REDUCE_MIN ? static_cast<double>(INFINITY) : kind == PXL_REDUCE_MAX ? -static_cast<double>(INFINITY) : 0;
}
struct Combine {
    pxl_reduce_kind kind;
    __device__ double operator()(double a, double b) const {
        return kind == PXL_REDUCE_MIN ? lower(a, b) : kind == PXL_REDUCE_MAX ? higher(a, b) : a + b;
    }
};

// ---- Elements -----------------------------------------------------------------------------------------------------------------
__device__ void load_quads(const View &v, const int64_t (&at)[kBatch], const int (&last)[kBatch], float (&out)[4 * kBatch]) {
    Raw raw[kBatch];
#pragma unroll
    for (int u = 0; u < kBatch; u++) raw[u] = fetch(v, at[u], last[u], v.vector && last[u] >= 3);
#pragma unroll
    for (int u = 0; u < kBatch; u++) {
        float a[4];
        convert(v, raw[u], v.vector && last[u] >= 3, a);
#pragma unroll
        for (int k = 0; k < 4; k++) out[4 * u + k] = a[k];
    }
}
__device__ void load_quads(const View &v, const int64_t (&at)[kBatch], const int (&last)[kBatch], double (&out)[4 * kBatch]) {
#pragma unroll
    for (int u = 0; u < kBatch; u++) {
        const double *p = reinterpret_cast<const double *>(v.data) + at[u];
        if (v.vector && last[u] >= 3) {
            const double2 a = reinterpret_cast<const double2 *>(p)[0], b = reinterpret_cast<const double2 *>(p)[1];
            out[4 * u] = a.x, out[4 * u + 1] = a.y, out[4 * u + 2] = b.x, out[4 * u + 3] = b.y;
        } else {
#pragma unroll
            for (int k = 0; k < 4; k++) out[4 * u + k] = k <= last[u] ? p[k * v.stride[3]] : 0;
        }
    }
}

template <class T>
struct Sum {
    double sum = 0;
    T low = INFINITY, high = -INFINITY;
};
template <class T>
__device__ void add_elements(pxl_reduce_kind kind, const T (&a)[4 * kBatch], unsigned counted, Sum<T> &to) {
    const bool all = counted == (1u << 4 * kBatch) - 1;
#pragma unroll
    for (int i = 0; i < 4 * kBatch; i++) {
        const bool counts = all || (counted >> i & 1);
        const double x = counts ? static_cast<double>(a[i]) : 0;
        switch (kind) {
            case PXL_REDUCE_MIN: to.low = counts ? lower(to.low, a[i]) : to.low; break;
            case PXL_REDUCE_MAX: to.high = counts ? higher(to.high, a[i]) : to.high; break;
            case PXL_REDUCE_L1: to.sum += fabs(x); break;
            case PXL_REDUCE_L2: to.sum += x * x; break;
            default: to.sum += x;
        }
    }
}
// A bit for each element of the batch that exists and whose weight is not 0.
__device__ unsigned counted_in(const int (&last)[kBatch]) {
    unsigned counted = 0;
#pragma unroll
    for (int u = 0; u < kBatch; u++) counted |= (last[u] < 0 ? 0 : (2u << last[u]) - 1) << 4 * u;
    return counted;
}
__device__ unsigned not_masked(const Reduction &r, const Quad &q, int64_t far, int64_t near) {
    const View &weight = r.axes.view[1];
    const int64_t at = far * r.far[1] + offset_of(r.axes, 1, q, near);
    unsigned bits = 0;
    for (int k = 0; k <= q.last; k++) bits |= (load(weight, at + k * weight.stride[3]) != 0 ? 1u : 0u) << k;
    return bits;
}
// Of quads [start, start + quads) of a group, one thread's: every `threads`-th.
template <class T>
__device__ double reduce_run(const Reduction &r, int64_t group, int64_t start, unsigned thread, unsigned threads) {
    const int64_t far = group / r.inner, near = group - far * r.inner;
    const Run run = run_from(r.axes, start);
    Sum<T> sum;
    for (int64_t done = 0; done < r.quads; done += threads * kBatch) {
        int64_t at[kBatch];
        int last[kBatch];
        T a[4 * kBatch];
        unsigned weighted = ~0u;
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
            const int64_t ahead = done + u * threads + thread;
            const Quad q = quad_at(r.axes, run, ahead);
            at[u] = far * r.far[0] + offset_of(r.axes, 0, q, near), last[u] = ahead < r.quads ? q.last : -1;
            if (r.axes.view[1].data) weighted &= ~(15u << 4 * u) | not_masked(r, q, far, near) << 4 * u;
        }
        load_quads(r.axes.view[0], at, last, a);
        const unsigned counted = counted_in(last) & weighted;
        switch (r.kind) {
            case PXL_REDUCE_MIN: add_elements(PXL_REDUCE_MIN, a, counted, sum); break;
            case PXL_REDUCE_MAX: add_elements(PXL_REDUCE_MAX, a, counted, sum); break;
            case PXL_REDUCE_L1: add_elements(PXL_REDUCE_L1, a, counted, sum); break;
            case PXL_REDUCE_L2: add_elements(PXL_REDUCE_L2, a, counted, sum); break;
            default: add_elements(PXL_REDUCE_SUM, a, counted, sum);
        }
    }
    return r.kind == PXL_REDUCE_MIN   ? static_cast<double>(sum.low)
           : r.kind == PXL_REDUCE_MAX ? static_cast<double>(sum.high)
                                      : sum.sum;
}
__device__ void write_result(const Reduction &r, int64_t group, double v) {
    r.results[group] = r.root ? sqrt(v) : is_extreme(r.kind) ? v : v / r.divisor;
}

// ---- Kernels ------------------------------------------------------------------------------------------------------------------
template <class T>
__global__ void __launch_bounds__(kThreads, 2) reduce_by_warps(const __grid_constant__ Reduction r) {
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32;
    for (int64_t group = first; group < r.groups; group += static_cast<int64_t>(gridDim.x) * kWarps) {
        const double v = combine_warp(reduce_run<T>(r, group, 0, threadIdx.x % 32, 32), Combine{r.kind});
        if (threadIdx.x % 32 == 0) write_result(r, group, v);
    }
}

// Of all groups, from their blocks' results: by one thread each, by a warp each, or if there are few by the whole block.
__device__ void combine_partials(const Reduction &r, double *scratch) {
    const unsigned lanes = r.groups < kWarps ? kThreads : r.blocks > 16 ? 32 : 1;
    const unsigned worker = threadIdx.x / lanes, lane = threadIdx.x % lanes;
    const Combine combine = {r.kind};
    for (int64_t group = worker; group < r.groups; group += kThreads / lanes) {
        double v = neutral(r.kind);
        for (int64_t b = lane; b < r.blocks; b += lanes) v = combine(v, __ldcg(r.partials + group * r.blocks + b));
        if (lanes == kThreads) v = combine_block<kThreads>(v, scratch, combine);
        if (lanes == 32) v = combine_warp(v, combine);
        if (lane == 0) write_result(r, group, v);
    }
}
// Three blocks are asked for because ptxas, left alone, spills on sm_80 to make room for five.
template <class T>
__global__ void __launch_bounds__(kThreads, 3) reduce_by_blocks(const __grid_constant__ Reduction r) {
    PXLI_SHARED(double, scratch, [kWarps]);
    PXLI_SHARED(bool, last, [1]);
    const int64_t group = blockIdx.x / r.blocks, block = blockIdx.x - group * r.blocks;
    const double v =
        combine_block<kThreads>(reduce_run<T>(r, group, block * r.quads, threadIdx.x, kThreads), scratch, Combine{r.kind});
    if (r.blocks == 1) {
        if (threadIdx.x == 0) write_result(r, group, v);
        return;
    }
    if (threadIdx.x == 0) r.partials[blockIdx.x] = v;
    if (!is_last_block(r.ticket, r.groups * r.blocks, last)) return;
    combine_partials(r, scratch);
    if (threadIdx.x == 0) *r.ticket = 0;
}

// ---- Launches -----------------------------------------------------------------------------------------------------------------
// The region's groups: a plane, or whole images.
Reduction reduction_of(const Region &g) {
    Reduction r{};
    const int64_t images = std::max<int64_t>(1, g.planes / g.channels), channels = g.planes == 1 ? 1 : g.channels;
    const View views[2] = {g.tensor, g.weight};
    r.axes.size[0] = images, r.axes.size[1] = channels;
    r.axes.size[2] = g.crop.y1 - g.crop.y0, r.axes.size[3] = g.crop.x1 - g.crop.x0;
    r.inner = g.planes == 1 ? g.channels : g.groups;
    for (int v = 0; v < 2; v++) {
        View &to = r.axes.view[v] = views[v];
        if (!to.data) continue;
        if (v == 1) to.stride[1] = 0;
        to.data += (g.crop.y0 * to.stride[2] + g.crop.x0 * to.stride[3]) * bytes_of(to.dtype);
        r.far[v] = g.planes == 1 ? to.stride[0] : 0;
        r.axes.apart[v] = g.planes == 1 ? to.stride[1] : images * to.stride[0];
    }
    r.groups = g.groups;
    collapse(r.axes);
    for (int v = 0; v < 2; v++) r.axes.view[v].vector = r.axes.view[v].vector && r.far[v] % 4 == 0;
    return r;
}
// By shape alone: enough blocks for any device, and no more.
int64_t blocks_per_group(int64_t groups, int64_t elements) {
    const int64_t most = std::max<int64_t>(1, 4096 / groups);
    return std::min(most, divide_up(elements, 4 * kThreads * kBatch));
}
template <class T>
void launch(Sequence &s, Reduction &r, int64_t elements) {
    const bool small = elements <= 512 || (elements <= 4096 && r.groups >= 1024);
    r.blocks = small ? 1 : blocks_per_group(r.groups, elements);
    r.quads = divide_up(divide_up(quads_of(r.axes), r.blocks), 32) * 32;
    r.partials = s.take<double>(r.groups * r.blocks);
    if (small)
        s.launch("reduce_by_warps", reduce_by_warps<T>, {std::min<int64_t>(divide_up(r.groups, kWarps), 1 << 20), kThreads, 0},
                 r);
    else
        s.launch("reduce_by_blocks", reduce_by_blocks<T>, {r.groups * r.blocks, kThreads, 0}, r);
}
void run(Sequence &s, const Region &region, Reduction &r) {
    const pxli_crop &c = region.crop;
    const int64_t elements = region.planes * (c.y1 - c.y0) * (c.x1 - c.x0);
    const size_t mark = s.mark();
    if (region.tensor.dtype == PXL_F64)
        launch<double>(s, r, elements);
    else
        launch<float>(s, r, elements);
    s.release(mark);
}

} // namespace

void run_reduce(Sequence &s, pxl_reduce_kind kind, const Region &region, unsigned *ticket, double *results) {
    Reduction r = reduction_of(region);
    r.kind = kind, r.divisor = 1, r.ticket = ticket, r.results = results;
    run(s, region, r);
}

void run_public_reduce(Sequence &s, const pxli_reduce_call *call) {
    const int64_t *size = call->input->size, channels = size[1];
    const int64_t groups = call->over == PXL_OVER_ALL ? 1 : call->over == PXL_OVER_IMAGE ? size[0] : size[0] * channels;
    const int64_t planes = size[0] * channels / groups;
    const Region region = {view_of(call->input), View{}, channels, planes, groups, {0, size[2], 0, size[3]}};
    Reduction r = reduction_of(region);
    r.kind = call->kind, r.root = call->kind == PXL_REDUCE_L2, r.results = call->results, r.ticket = s.take<unsigned>(1);
    r.divisor = call->kind == PXL_REDUCE_MEAN ? static_cast<double>(planes * size[2] * size[3]) : 1;
    s.clear(r.ticket, sizeof *r.ticket);
    run(s, region, r);
}

} // namespace pxli
