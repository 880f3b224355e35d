// Comparing layers of networks: charges, their gradients, their sums, and maps of them. See layers.cuh.
#include "charge.cuh"
#include "layers.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int64_t kElements = 1 << 14; // of a block: enough to pay for its sum, and few enough to fill a device

int64_t pixels_per_block(int channels) { return std::max<int64_t>(1, kElements / channels); }

struct Part { // of an image's layer, a block's
    int64_t image, index, from, to;
};
__device__ inline Part part_of(const LayerRun &r, int64_t each, int64_t all) {
    const int64_t image = blockIdx.x / r.blocks, index = blockIdx.x % r.blocks;
    return {image, index, index * each, min(all, (index + 1) * each)};
}
// Slopes to the gradient: on top of what is there, and nothing where a ReLU gave 0.
__device__ __forceinline__ void pull_back(const LayerRun &r, int64_t at, int count, const float (&own)[4],
                                          const float (&slope)[4]) {
    float g[4] = {slope[0], slope[1], slope[2], slope[3]}, before[4];
    if (r.add) {
        load_some(r.gradient, at, count, before);
#pragma unroll
        for (int k = 0; k < 4; k++) g[k] += before[k];
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (r.mask && own[k] <= 0) g[k] = 0;
    store_some(r.gradient, at, count, g);
}
// A sum over the block's threads to its place.
__device__ inline void leave(const LayerRun &r, const Part &part, double sum, double *scratch) {
    sum = block_sum<kThreads>(sum, scratch);
    if (threadIdx.x == 0 && r.partials) r.partials[part.image * r.stride + part.index] = r.factor * sum;
}
// What the image's slopes are multiplied by. 0: they leave the gradient alone.
__device__ inline float slope_scale(const Terms &t, const Pull &pull, const LayerRun &r, int64_t image) {
    if (!r.gradient.data) return 0;
    return to_float(scale_of(t, r.term, r.first + image) * r.factor * r.of_slopes * pull_of(t, pull, r.first + image));
}

// ---- As they are -------------------------------------------------------------------------------------------------------------
__device__ __forceinline__ void charge_quad(const LayerRun &r, int c, int count, const float (&a)[4], const float (&b)[4],
                                            float (&slope)[4], double *sum) {
    float value[4];
#pragma unroll
    for (int k = 0; k < 4; k++) slope[k] = a[k] - b[k];
    penalise(r.penalty, r.param, slope, value);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const float weight = k >= count ? 0 : r.linear ? r.linear[c + k] : 1;
        value[k] = k < count ? weight * value[k] : 0, slope[k] *= weight;
    }
    add_values(value, sum);
}
__global__ void __launch_bounds__(kThreads, 4) charge_elements(const __grid_constant__ Terms t, const __grid_constant__ Pull pull,
                                                               const __grid_constant__ LayerRun r, int64_t each) {
    PXLI_SHARED(double, scratch, [kWarps]);
    const int quads = (r.channels + 3) / 4;
    const Part part = part_of(r, each, r.pixels);
    const float scale = slope_scale(t, pull, r, part.image);
    double sum = 0;
    for (int i = threadIdx.x, all = static_cast<int>(part.to - part.from) * quads; i < all; i += kThreads) {
        const int c = 4 * (i % quads), count = r.channels - c;
        const int64_t at = (part.image * r.pixels + part.from + i / quads) * r.channels + c;
        float a[4], b[4], slope[4];
        load_some(r.own, at, count, a), load_some(r.other, at, count, b);
        charge_quad(r, c, count, a, b, slope, &sum);
        if (!r.gradient.data) continue;
#pragma unroll
        for (int k = 0; k < 4; k++) slope[k] = scale == 0 ? 0 : scale * slope[k];
        pull_back(r, at, count, a, slope);
    }
    leave(r, part, sum, scratch);
}

// ---- Divided by their norms: a warp has a pixel --------------------------------------------------------------------------------
__device__ inline float warp_total(float v) {
#pragma unroll
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(~0u, v, d);
    return v;
}
// Of squares that are beyond f32 it is not known: NaN, rather than 1 / infinity, which says that there is nothing.
__device__ inline float inverse_norm(float squares) { return squares < INFINITY ? 1.0f / sqrtf(1e-8f + squares) : NAN; }

struct Norms {
    float own, other;
};
__device__ inline Norms norms_of(const LayerRun &r, int64_t at) {
    float own = 0, other = 0;
    for (int c = 4 * (threadIdx.x % 32); c < r.channels; c += 128) {
        float a[4], b[4];
        load_some(r.own, at + c, r.channels - c, a), load_some(r.other, at + c, r.channels - c, b);
#pragma unroll
        for (int k = 0; k < 4; k++) own += a[k] * a[k], other += b[k] * b[k];
    }
    return {inverse_norm(warp_total(own)), inverse_norm(warp_total(other))};
}
// Both rounded before one is taken from the other, so that equal ones leave exactly 0.
__device__ __forceinline__ void charge_unit_quad(const LayerRun &r, int64_t at, int c, const Norms &norms, float (&own)[4],
                                                 float (&unit)[4], float (&slope)[4], double *sum) {
    float b[4];
    const int count = r.channels - c;
    load_some(r.own, at + c, count, own), load_some(r.other, at + c, count, b);
#pragma unroll
    for (int k = 0; k < 4; k++) unit[k] = __fmul_rn(own[k], norms.own), b[k] = __fmul_rn(b[k], norms.other);
    charge_quad(r, c, count, unit, b, slope, sum);
}
// One pixel by a warp: its charges are added to each lane's sum. d(F / n) / dF with n = sqrt(1e-8 + F F): for slopes s of F / n it is
// (s - (F / n) (s . F / n)) / n.
__device__ inline void charge_pixel(const LayerRun &r, int64_t at, float scale, double *sum) {
    const Norms norms = norms_of(r, at);
    float along = 0, own[4], unit[4], slope[4];
    for (int c = 4 * (threadIdx.x % 32); c < r.channels; c += 128) {
        charge_unit_quad(r, at, c, norms, own, unit, slope, sum);
#pragma unroll
        for (int k = 0; k < 4; k++) along += slope[k] * unit[k];
    }
    if (!r.gradient.data) return;
    along = warp_total(along);
    for (int c = 4 * (threadIdx.x % 32); c < r.channels; c += 128) {
        double unused = 0;
        charge_unit_quad(r, at, c, norms, own, unit, slope, &unused);
#pragma unroll
        for (int k = 0; k < 4; k++) slope[k] = scale == 0 ? 0 : scale * norms.own * (slope[k] - unit[k] * along);
        pull_back(r, at + c, r.channels - c, own, slope);
    }
}
__global__ void __launch_bounds__(kThreads, 4) charge_units(const __grid_constant__ Terms t, const __grid_constant__ Pull pull,
                                                            const __grid_constant__ LayerRun r, int64_t each) {
    PXLI_SHARED(double, scratch, [kWarps]);
    const Part part = part_of(r, each, r.pixels);
    const float scale = slope_scale(t, pull, r, part.image);
    double sum = 0;
    const int pixels = static_cast<int>(part.to - part.from);
    const int64_t from = (part.image * r.pixels + part.from) * r.channels;
    for (int i = threadIdx.x / 32; i < pixels; i += kWarps)
        charge_pixel(r, from + static_cast<int64_t>(i) * r.channels, scale, &sum);
    leave(r, part, sum, scratch);
}

// ---- Sums ----------------------------------------------------------------------------------------------------------------------
__global__ void __launch_bounds__(kThreads, 4) sum_charges(const __grid_constant__ Terms t, const __grid_constant__ Finish f) {
    PXLI_SHARED(double, scratch, [kWarps]);
    add_partials<kThreads>(f, t, scratch);
    __threadfence();
    __syncthreads();
    if (f.values && t.values) write_values<kThreads>(t);
}

// ---- Maps ----------------------------------------------------------------------------------------------------------------------
__global__ void __launch_bounds__(kThreads, 4) charge_places(const __grid_constant__ LayerRun r, float *charges) {
    const int64_t pixel = blockIdx.x * static_cast<int64_t>(kWarps) + threadIdx.x / 32, at = pixel * r.channels;
    double sum = 0;
    if (pixel >= r.count * r.pixels) return;
    if (r.units) {
        charge_pixel(r, at, 0, &sum);
    } else {
        for (int c = 4 * (threadIdx.x % 32); c < r.channels; c += 128) {
            float a[4], b[4], slope[4];
            load_some(r.own, at + c, r.channels - c, a), load_some(r.other, at + c, r.channels - c, b);
            charge_quad(r, c, r.channels - c, a, b, slope, &sum);
        }
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) charges[pixel] = static_cast<float>(r.factor * sum);
}
struct Enlargement {
    const float *charges;
    int64_t first, h, w; // image of the map; size of the layer
    View map;
    int64_t map_h, map_w;
    bool add;
};
// Where a pixel lies between two places of a layer, as torch's align_corners=False.
struct Between {
    int64_t from, to;
    float share; // of `to`
};
__device__ inline Between between(int64_t i, int64_t pixels, int64_t places) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(places) / static_cast<double>(pixels) - 0.5,
                 inside = at > 0 ? at : 0;
    const int64_t from = static_cast<int64_t>(inside);
    return {from, min(from + 1, places - 1), static_cast<float>(inside - static_cast<double>(from))};
}
__global__ void __launch_bounds__(kThreads, 4) enlarge(const __grid_constant__ Enlargement e) {
    const int64_t n = blockIdx.x / e.map_h, y = blockIdx.x % e.map_h;
    const Between v = between(y, e.map_h, e.h);
    const float *top = e.charges + (n * e.h + v.from) * e.w, *bottom = e.charges + (n * e.h + v.to) * e.w;
    for (int64_t x = threadIdx.x; x < e.map_w; x += kThreads) {
        const Between u = between(x, e.map_w, e.w);
        const float above = top[u.from] + u.share * (top[u.to] - top[u.from]),
                    below = bottom[u.from] + u.share * (bottom[u.to] - bottom[u.from]), value = above + v.share * (below - above);
        const int64_t to = row_of(e.map, e.first + n, 0, y) + x * e.map.stride[3];
        if (e.map.dtype == PXL_F64) {
            double *const at = reinterpret_cast<double *>(e.map.data) + to;
            *at = e.add ? *at + static_cast<double>(value) : static_cast<double>(value);
        } else {
            store(e.map, to, e.add ? load(e.map, to) + value : value);
        }
    }
}

} // namespace

int64_t blocks_of(int64_t pixels, int channels) { return divide_up(pixels, pixels_per_block(channels)); }

void run_charges(Sequence &s, const Terms &t, const Pull &pull, const LayerRun &r) {
    const Shape shape = {r.count * r.blocks, kThreads, 0};
    if (r.units)
        s.launch("charge_units", charge_units, shape, t, pull, r, pixels_per_block(r.channels));
    else
        s.launch("charge_elements", charge_elements, shape, t, pull, r, pixels_per_block(r.channels));
}
void run_sums(Sequence &s, const Terms &t, const Finish &f) { s.launch("sum_charges", sum_charges, {1, kThreads, 0}, t, f); }

void run_charge_map(Sequence &s, const LayerRun &r, int64_t h, int64_t w, float *charges, const View &map, int64_t map_h,
                    int64_t map_w) {
    s.launch("charge_places", charge_places, {divide_up(r.count * r.pixels, kWarps), kThreads, 0}, r, charges);
    s.launch("enlarge", enlarge, {r.count * map_h, kThreads, 0}, Enlargement{charges, r.first, h, w, map, map_h, map_w, r.add});
}

} // namespace pxli
