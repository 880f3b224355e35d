// Halving two images, the adjoint of that, and what the means of the scales' maps become. Threads are shared out among all rows of a
// scale, since coarse ones are narrow.
#include "pyramid.cuh"

#include "charge.cuh"
#include "quad.cuh"
#include "shifts.cuh"

namespace pxli {
namespace pyramid {
namespace {

constexpr int kThreads = 256;

struct Place {
    int64_t plane, image, channel, y, x;
};
// Of number `index` of the pieces of `each` columns that rows are cut into; plane == planes.count: there are fewer.
__device__ inline Place place_of(const Planes &p, int each, int64_t index) {
    const int64_t per_row = (p.w + each - 1) / each;
    const int64_t row = divide(index, per_row, index | per_row), plane = min(divide(row, p.h, row | p.h), p.count);
    const int64_t image = divide(plane, p.channels, plane | p.channels);
    return {plane, image, plane - image * p.channels, row - plane * p.h, (index - row * per_row) * each};
}
__device__ inline Place place_of(const Planes &p, int each) {
    return place_of(p, each, blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x);
}
int64_t pieces_of(const Planes &p, int each) { return p.count * p.h * divide_up(p.w, each); }
int64_t blocks_for(const Planes &p, int each) { return divide_up(pieces_of(p, each), kThreads); }

// ---- Halving ----------------------------------------------------------------------------------------------------------------
struct Offset { // what sums and differences are less
    float base, gap;
};
__device__ inline Offset offset_of(const double *base, int64_t plane) {
    return {static_cast<float>(base[2 * plane]), static_cast<float>(base[2 * plane + 1])};
}

constexpr int kOutputs = 2; // of a thread, from twice as many columns
__device__ inline int64_t inside(const pxli_halved &axis, int64_t i) { return max(min(i, axis.from - 1), int64_t{0}); }
// A row's pixels from `column` on; those outside of the image are `outside` where it is padded, else the nearest.
__device__ inline void read_row(const View &v, const pxli_halved &columns, int64_t row, int64_t column, float outside,
                                float (&to)[4]) {
    if (v.vector && columns.before == 0 && column + 4 <= columns.from) return load_pixels(v, row + column, to);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const int64_t at = inside(columns, column + k);
        to[k] = columns.pad && at != column + k ? outside : load_pixel(v, row + at * v.stride[3]);
    }
}
// Quarters are added up: four pixels might overflow.
__device__ inline void add_quarters(const Halving &g, const Offset &o, const float (&a)[4], const float (&b)[4],
                                    float (&sum)[kOutputs], float (&difference)[kOutputs]) {
    const float k = o.base / 2;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float p = a[i], q = b[i], e = p - q;
        sum[i / 2] += g.images ? 0.25f * (p - k) + 0.25f * (q - k) : 0.25f * p;
        difference[i / 2] += g.images ? 0.25f * (e - o.gap) + 0.25f * rounded_off(p, q, e) : 0.25f * q;
    }
}
__global__ void __launch_bounds__(kThreads) halve(const __grid_constant__ Halving g) {
    const Place p = place_of(g.planes, kOutputs);
    if (p.plane >= g.planes.count) return;
    const Offset o = offset_of(g.base, p.plane);
    const float outside_x = g.images ? 0 : -o.base, outside_y = g.images ? 0 : -o.gap;
    float sum[kOutputs] = {0, 0}, difference[kOutputs] = {0, 0};
    for (int k = 0; k < 2; k++) {
        const int64_t row = 2 * p.y - g.rows.before + k, at = inside(g.rows, row), column = 2 * p.x - g.columns.before;
        float a[4] = {outside_x, outside_x, outside_x, outside_x}, b[4] = {outside_y, outside_y, outside_y, outside_y};
        if (!g.rows.pad || at == row) {
            read_row(g.x, g.columns, row_of(g.x, p.image, p.channel, at), column, outside_x, a);
            read_row(g.y, g.columns, row_of(g.y, p.image, p.channel, at), column, outside_y, b);
        }
        add_quarters(g, o, a, b, sum, difference);
    }
    const int64_t to = row_of(g.sum, p.image, p.channel, p.y) + p.x, back = row_of(g.difference, p.image, p.channel, p.y) + p.x;
    for (int i = 0; i < kOutputs && p.x + i < g.planes.w; i++)
        store(g.sum, to + i, sum[i]), store(g.difference, back + i, difference[i]);
}

// ---- Data ranges of their own -----------------------------------------------------------------------------------------------
struct Most {
    __device__ double operator()(double a, double b) const { return a > b || a != a ? a : b; } // NaN stays
};
// Extremes as maxima: minus the least and the most of one image, then of the other.
__device__ inline void widen(double (&most)[4], double x, double y) {
    const double at[4] = {-x, x, -y, y};
#pragma unroll
    for (int k = 0; k < 4; k++) most[k] = Most{}(most[k], at[k]);
}
__global__ void __launch_bounds__(kThreads) find_extremes(const __grid_constant__ Extremes g) {
    PXLI_SHARED(double, scratch, [kThreads / 32]);
    const int64_t plane = blockIdx.x / g.parts, part = blockIdx.x % g.parts, pixels = g.planes.h * g.planes.w;
    const int64_t image = plane / g.planes.channels, channel = plane % g.planes.channels;
    const double base = g.base[2 * plane], gap = g.base[2 * plane + 1];
    double most[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    for (int64_t i = part * kThreads + threadIdx.x; i < pixels; i += g.parts * kThreads) {
        const int64_t y = divide(i, g.planes.w, i | g.planes.w), x = i - y * g.planes.w;
        const double both = static_cast<double>(load(g.sum, row_of(g.sum, image, channel, y) + x)) + base;
        const double apart = static_cast<double>(load(g.difference, row_of(g.difference, image, channel, y) + x)) + gap;
        widen(most, (both + apart) / 2, (both - apart) / 2);
    }
    for (int k = 0; k < 4; k++) {
        const double found = combine_block<kThreads>(most[k], scratch, Most{});
        if (threadIdx.x == 0) g.found[4 * blockIdx.x + k] = found;
    }
}
// One block.
__global__ void __launch_bounds__(kThreads)
    set_range(const double *found, int64_t groups, int64_t each, int64_t images, double *range) {
    PXLI_SHARED(double, scratch, [kThreads / 32]);
    PXLI_SHARED(double, of_group, [1]);
    for (int64_t g = 0; g < groups; g++) {
        double all[4];
        for (int k = 0; k < 4; k++) {
            double most = -INFINITY;
            for (int64_t i = threadIdx.x; i < each; i += kThreads) most = Most{}(most, found[4 * (g * each + i) + k]);
            all[k] = combine_block<kThreads>(most, scratch, Most{});
        }
        if (threadIdx.x == 0) of_group[0] = pxli_range_of(-all[0], all[1], -all[2], all[3]);
        __syncthreads();
        const int64_t first = groups > 1 ? g : 0, last = groups > 1 ? g + 1 : images;
        for (int64_t n = first + threadIdx.x; n < last; n += kThreads) range[n] = of_group[0];
        __syncthreads();
    }
}
__global__ void __launch_bounds__(kThreads) copy_range(const __grid_constant__ Terms t, int term, double *range) {
    for (int64_t n = threadIdx.x; n < t.images; n += kThreads) range[n] = range_of(t, term, n);
}

// ---- The product of the scales ----------------------------------------------------------------------------------------------
constexpr int kProducts = 64; // threads
// One product, of planes `at` and those that share it. slope: in shared memory, which takes no registers.
__device__ inline double multiply_at(const Terms &t, const Multiplying &m, int64_t at, double *slope) {
    for (int j = 0; j < m.product.count; j++) {
        double sum = 0;
        for (int k = 0; k < m.together; k++) sum += m.loss[j][at + k];
        slope[j] = sum / (m.together * m.area[j]);
    }
    const double product = pxli_multiply_scales(&m.product, slope);
    const bool counts = m.gradients && scale_of(t, m.term, at / t.channels) != 0;
    for (int j = 0; j < m.product.count && m.gradients; j++)
        for (int k = 0; k < m.together; k++) m.slope[j][at + k] = counts ? slope[j] : 0;
    return m.together * product;
}
// One block.
__global__ void __launch_bounds__(kProducts) multiply(const __grid_constant__ Terms t, const __grid_constant__ Multiplying m) {
    PXLI_SHARED(double, scratch, [kProducts / 32]);
    PXLI_SHARED(double, slopes, [kProducts * PXLI_MAX_SCALES]);
    double *const slope = slopes + threadIdx.x * PXLI_MAX_SCALES;
    const int64_t each = t.channels / m.together, all = t.images * each, of_group = all / t.groups;
    for (int64_t i = threadIdx.x; i < all; i += kProducts) m.products[i] = multiply_at(t, m, i * m.together, slope);
    __syncthreads();
    for (int64_t g = 0; g < t.groups; g++) {
        double sum = 0;
        for (int64_t i = threadIdx.x; i < of_group; i += kProducts) sum += m.products[g * of_group + i];
        sum = block_sum<kProducts>(sum, scratch);
        if (threadIdx.x == 0) t.sums[g * t.count + m.term] = sum;
    }
    __threadfence();
    __syncthreads();
    if (m.values && t.values) write_values<kProducts>(t);
}

// ---- The adjoint ------------------------------------------------------------------------------------------------------------
constexpr int kQuad = 4; // columns of a thread
// What has overflown stays infinite: with an infinite one of the other sign the sum would be no number.
__device__ inline float sum_of(float a, float b) { return a - a != 0 && a == a && b == b ? a : a + b; }
__device__ inline void add_coarser(const Weighing &g, const View &coarser, const Place &p, int last, float (&to)[kQuad]) {
    const float unit = g.coarser_slope ? to_float(g.coarser_slope[p.plane]) : 1;
    const int times = pxli_halved_readers(g.rows, p.y);
    if (unit == 0 || times == 0) return;
    const int64_t row = row_of(coarser, p.image, p.channel, (p.y + g.rows.before) / 2);
    const float share = 0.25f * unit * static_cast<float>(times);
#pragma unroll
    for (int k = 0; k < kQuad; k++) {
        const int readers = k <= last ? pxli_halved_readers(g.columns, p.x + k) : 0;
        if (readers)
            to[k] = sum_of(to[k], static_cast<float>(readers) * share * load(coarser, row + (p.x + k + g.columns.before) / 2));
    }
}
__device__ inline int64_t offset_of(const View &v, const Place &p) {
    return row_of(v, p.image, p.channel, p.y) + p.x * v.stride[3];
}
__device__ inline int last_of(const Planes &planes, const Place &p) {
    return static_cast<int>(min(planes.w - p.x, int64_t{kQuad})) - 1;
}
// Adds to `to` the gradient by image i (0: pred, 1: target), and stores the sum. Where a slope is 0, what it multiplies does not
// count, whatever it is.
__device__ inline void weigh_quad(const Weighing &g, int i, const Place &p, int last, float (&to)[kQuad]) {
    const float slope = to_float(g.slope[p.plane]);
    float own[kQuad] = {0, 0, 0, 0};
    if (slope != 0) {
        load_quad(g.own[i], offset_of(g.own[i], p), own, last);
#pragma unroll
        for (int k = 0; k < kQuad; k++) own[k] *= slope;
    }
    if (g.has_coarser) add_coarser(g, g.coarser[i], p, last, own);
#pragma unroll
    for (int k = 0; k < kQuad; k++) to[k] += own[k];
    const int64_t at = offset_of(g.to[i], p);
    if (g.add) load_and_add(g.to[i], at, to, last);
    store_quad(g.to[i], at, to, last);
}
__global__ void __launch_bounds__(kThreads) weigh(const __grid_constant__ Weighing g) {
    const Place p = place_of(g.planes, kQuad);
    if (p.plane >= g.planes.count) return;
#pragma unroll 1
    for (int i = 0; i < 2; i++) {
        float gradient[kQuad] = {0, 0, 0, 0};
        if (g.to[i].data) weigh_quad(g, i, p, last_of(g.planes, p), gradient);
    }
}

// ---- The same of the images, with terms on their pixels ---------------------------------------------------------------------
constexpr int kChargers = 128; // threads, each with a sum of each term
struct Pixels {
    View pred, target;
    int64_t blocks, quads; // of a group of images, of a block
};
static_assert(sizeof(Terms) + sizeof(Finish) + sizeof(Weighing) + sizeof(Pixels) <= 4096, "a kernel's parameters");

__device__ inline void charge_quad(const Pixels &pixels, const Charge *charges, int slots, const Place &p, int last, double *sums,
                                   float (&pred)[kQuad], float (&target)[kQuad]) {
    float e[kQuad], y[kQuad];
    load_quad(pixels.pred, offset_of(pixels.pred, p), e, last), load_quad(pixels.target, offset_of(pixels.target, p), y, last);
#pragma unroll
    for (int k = 0; k < kQuad; k++) e[k] -= y[k];
    for (int i = 0; i < slots; i++) charge_pixels(charges[i], e, last + 1, pred, target, sums + i * kChargers);
}
// g.planes: of a group.
__global__ void __launch_bounds__(kChargers)
    weigh_and_charge(const __grid_constant__ Terms t, const __grid_constant__ Finish f, const __grid_constant__ Weighing g,
                     const __grid_constant__ Pixels pixels) {
    PXLI_DYNAMIC_SHARED(double, mine);
    PXLI_SHARED(Charge, charges, [PXLI_MAX_TERMS]);
    const int64_t group = blockIdx.x / pixels.blocks, block = blockIdx.x - group * pixels.blocks;
    read_charges(t, f, group, true, charges);
    for (int i = 0; i < f.slots; i++) mine[i * kChargers + threadIdx.x] = 0;
    for (int64_t done = threadIdx.x; done < pixels.quads; done += kChargers) {
        Place p = place_of(g.planes, kQuad, block * pixels.quads + done);
        if (p.plane >= g.planes.count) break;
        p.plane += group * g.planes.count, p.image += group * (g.planes.count / g.planes.channels);
        const int last = last_of(g.planes, p);
        float pred[kQuad] = {0, 0, 0, 0}, target[kQuad] = {0, 0, 0, 0};
        charge_quad(pixels, charges, f.slots, p, last, mine + threadIdx.x, pred, target);
        if (g.to[0].data) weigh_quad(g, 0, p, last, pred);
        if (g.to[1].data) weigh_quad(g, 1, p, last, target);
    }
    finish<kChargers>(f, t, mine);
}

} // namespace

void launch_halve(Sequence &s, const Halving &g) { s.launch("halve", halve, {blocks_for(g.planes, kOutputs), kThreads, 0}, g); }
int64_t parts_of(const Planes &p) { return std::min<int64_t>(divide_up(p.h * p.w, 16 * kThreads), 256); }
void launch_extremes(Sequence &s, const Extremes &g) {
    s.launch("find_extremes", find_extremes, {g.planes.count * g.parts, kThreads, 0}, g);
}
void launch_range(Sequence &s, const Extremes &g, const Terms &t, double *range) {
    const int64_t groups = t.per_image ? t.images : 1, each = g.planes.count / groups * g.parts;
    s.launch("set_range", set_range, {1, kThreads, 0}, static_cast<const double *>(g.found), groups, each, t.images, range);
}
void launch_copy_range(Sequence &s, const Terms &t, int k, double *range) {
    s.launch("copy_range", copy_range, {1, kThreads, 0}, t, k, range);
}
void launch_multiply(Sequence &s, const Terms &t, const Multiplying &m) {
    s.launch("multiply", multiply, {1, kProducts, 0}, t, m);
}
void launch_weigh(Sequence &s, const Weighing &g) { s.launch("weigh", weigh, {blocks_for(g.planes, kQuad), kThreads, 0}, g); }
void launch_weigh_and_charge(Sequence &s, const Evaluation &e, const Step &step, Weighing g) {
    constexpr int64_t most = 8, enough = 4096; // many quads for each block where there are enough blocks
    const int64_t groups = e.terms.groups;
    g.planes.count /= groups;
    const int64_t quads = pieces_of(g.planes, kQuad);
    Pixels pixels = {e.pred, e.target, 0, kChargers * std::max<int64_t>(1, std::min(most, quads / (kChargers * enough)))};
    pixels.blocks = divide_up(quads, pixels.quads);
    const Finish f = finish_of(s, e, step, groups * pixels.blocks);
    const size_t shared = static_cast<size_t>(step.count) * kChargers * sizeof(double);
    s.launch("weigh_and_charge", weigh_and_charge, {groups * pixels.blocks, kChargers, shared}, e.terms, f, g, pixels);
}

} // namespace pyramid
} // namespace pxli
