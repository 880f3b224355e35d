// Images into networks and gradients back, ReLUs, poolings: see layers.cuh. A block has a part of a row.
#include "layers.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256, kEach = 4; // of what a thread does at least, where a row has so much

struct Rows {
    int64_t count;
    int items, parts; // of a row; blocks for a row
};
Rows rows_of(int64_t count, int64_t items) {
    return {count, static_cast<int>(items), static_cast<int>(std::max<int64_t>(1, items / (kThreads * kEach)))};
}
// f(row, item) for this thread's share.
template <class F>
__device__ __forceinline__ void over_row(const Rows &rows, F f) {
    const int64_t row = blockIdx.x / rows.parts;
    const int part = static_cast<int>(blockIdx.x % rows.parts);
    for (int i = part * kThreads + threadIdx.x; i < rows.items; i += rows.parts * kThreads) f(row, i);
}
template <class... P, class... A>
void launch_rows(Sequence &s, const char *name, void (*kernel)(P...), const Rows &rows, A &&...args) {
    s.launch(name, kernel, {rows.count * rows.parts, kThreads, 0}, std::forward<A>(args)..., rows);
}

// ---- Images -----------------------------------------------------------------------------------------------------------------
__global__ void __launch_bounds__(kThreads, 4)
    load_image(const __grid_constant__ Terms t, const __grid_constant__ ImageRun r, const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int x) {
        const int64_t n = row / r.h, y = row % r.h, at = (row * r.w + x) * r.channels;
        const bool there = n < r.count;
        const float L = there && r.normalises ? static_cast<float>(pxli_data_range(range_of(t, r.term, r.first + n))) : 1;
        for (int c = 0; c < r.channels; c++) {
            float v = 0;
            if (there) v = load(r.image, row_of(r.image, r.first + n, r.image_channels == 1 ? 0 : c, y) + x * r.image.stride[3]);
            if (there && r.normalises) v = v * (r.of_1.multiply[c] / L) + r.of_1.add[c];
            store(r.activations, at + c, v);
        }
    });
}
__global__ void __launch_bounds__(kThreads, 4)
    store_gradient(const __grid_constant__ Terms t, const __grid_constant__ Pull pull, const __grid_constant__ ImageRun r,
                   const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int x) {
        const int64_t n = r.first + row / r.h, y = row % r.h, at = (row * r.w + x) * r.channels;
        const bool pulls = pulls_at(t, pull, n); // if not, not even NaN comes back
        const double unit = 1 / pull_of(t, pull, n);
        const float L = r.normalises ? static_cast<float>(pxli_data_range(range_of(t, r.term, n))) : 1;
        float sum = 0;
        for (int c = 0; c < r.channels; c++) {
            const float g = pulls ? static_cast<float>(load(r.activations, at + c) * unit) : 0;
            sum += r.normalises && pulls ? g * (r.of_1.multiply[c] / L) : g;
            if (r.image_channels == 1 && c + 1 < r.channels) continue;
            const int64_t to = row_of(r.image, n, r.image_channels == 1 ? 0 : c, y) + x * r.image.stride[3];
            store(r.image, to, r.add ? load(r.image, to) + sum : sum);
            sum = 0;
        }
    });
}

// ---- Element by element ------------------------------------------------------------------------------------------------------
struct Elements {
    View in, out;
    const float *bias; // NULL: none
    bool relu;
    int channels, quads; // quads of a pixel
    int64_t row;         // elements of a row: a pixel's channels, or some pixels'
};
__global__ void __launch_bounds__(kThreads, 4) bias_relu(const __grid_constant__ Elements e, const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int i) {
        const int pixel = i / e.quads, c = 4 * (i - pixel * e.quads), count = e.channels - c;
        const int64_t at = row * e.row + pixel * e.channels + c;
        float a[4];
        load_some(e.in, at, count, a);
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (e.bias && k < count) a[k] += e.bias[c + k];
            if (e.relu && a[k] <= 0) a[k] = 0;
        }
        store_some(e.out, at, count, a);
    });
}
__global__ void __launch_bounds__(kThreads, 4)
    mask_gradient(const __grid_constant__ Elements e, const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int i) {
        const int pixel = i / e.quads, c = 4 * (i - pixel * e.quads), count = e.channels - c;
        const int64_t at = row * e.row + pixel * e.channels + c;
        float a[4], g[4];
        load_some(e.in, at, count, a), load_some(e.out, at, count, g);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (a[k] <= 0) g[k] = 0;
        store_some(e.out, at, count, g);
    });
}
// As many pixels for a block as do not make the last one's share uneven: all blocks have the same, a divisor of the pixels.
int64_t pixels_per_row(int64_t pixels, int quads) {
    int64_t each = std::max(1, kThreads * kEach / quads);
    while (pixels % each) each--;
    return each;
}
template <class... P>
void launch_elements(Sequence &s, const char *name, void (*kernel)(P...), int64_t pixels, Elements e) {
    e.quads = static_cast<int>(divide_up(e.channels, 4));
    const int64_t each = pixels_per_row(pixels, e.quads);
    e.row = each * e.channels;
    launch_rows(s, name, kernel, rows_of(pixels / each, each * e.quads), e);
}

// ---- Poolings ----------------------------------------------------------------------------------------------------------------
struct Pooling {
    View in, out, grad_out, grad_in; // of the layer: its input and output
    int64_t in_h, in_w, h, w;
    int channels, quads;
    bool largest, masks;
};
// NaN counts as larger than all else.
__device__ inline bool is_larger(float b, float a) { return b > a || b != b; }
__device__ inline float larger(float a, float b) { return is_larger(b, a) ? b : a; }

__global__ void __launch_bounds__(kThreads, 4) pool(const __grid_constant__ Pooling p, const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int i) {
        const int x = i / p.quads, c = 4 * (i % p.quads), count = p.channels - c;
        const int64_t n = row / p.h, y = row % p.h, pitch = p.in_w * p.channels;
        const int64_t at = (n * p.in_h + 2 * y) * pitch + static_cast<int64_t>(2 * x) * p.channels + c;
        float a[4], b[4], d[4], e[4];
        load_some(p.in, at, count, a), load_some(p.in, at + p.channels, count, b);
        load_some(p.in, at + pitch, count, d), load_some(p.in, at + pitch + p.channels, count, e);
#pragma unroll
        for (int k = 0; k < 4; k++)
            a[k] = p.largest ? larger(larger(a[k], b[k]), larger(d[k], e[k])) : 0.25f * ((a[k] + b[k]) + (d[k] + e[k]));
        store_some(p.out, (row * p.w + x) * p.channels + c, count, a);
    });
}
// A pixel of the layer's input: what comes back to it. A maximum goes to the first of the largest, in the order of rows.
__device__ __forceinline__ void unpool_quad(const Pooling &p, int64_t n, int64_t y, int x, int c, int count, float (&g)[4]) {
    const int64_t pitch = p.in_w * p.channels, oy = y / 2, ox = x / 2;
#pragma unroll
    for (int k = 0; k < 4; k++) g[k] = 0;
    if (oy >= p.h || ox >= p.w) return;
    const int64_t top = (n * p.in_h + 2 * oy) * pitch + 2 * ox * p.channels + c;
    const int mine = 2 * static_cast<int>(y % 2) + x % 2;
    float v[4][4];
    load_some(p.grad_out, ((n * p.h + oy) * p.w + ox) * p.channels + c, count, g);
    if (!p.largest && !p.masks) {
#pragma unroll
        for (int k = 0; k < 4; k++) g[k] *= 0.25f;
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (p.largest || j == mine) load_some(p.in, top + j / 2 * pitch + j % 2 * p.channels, count, v[j]);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (!p.largest) {
#pragma unroll
            for (int j = 0; j < 4; j++)
                if (j == mine) g[k] = v[j][k] <= 0 ? 0 : 0.25f * g[k];
            continue;
        }
        const float up = larger(v[0][k], v[1][k]), down = larger(v[2][k], v[3][k]), most = larger(up, down);
        const bool below = is_larger(down, up), right = below ? is_larger(v[3][k], v[2][k]) : is_larger(v[1][k], v[0][k]);
        if (mine != 2 * below + right || (p.masks && most <= 0)) g[k] = 0;
    }
}
__global__ void __launch_bounds__(kThreads, 4) unpool(const __grid_constant__ Pooling p, const __grid_constant__ Rows rows) {
    over_row(rows, [&](int64_t row, int i) {
        const int x = i / p.quads, c = 4 * (i % p.quads), count = p.channels - c;
        float g[4];
        unpool_quad(p, row / p.in_h, row % p.in_h, x, c, count, g);
        store_some(p.grad_in, (row * p.in_w + x) * p.channels + c, count, g);
    });
}
Pooling pooling_of(const pxli_stage &stage) {
    Pooling p{};
    p.in_h = stage.in_h, p.in_w = stage.in_w, p.h = stage.h, p.w = stage.w;
    p.channels = stage.outputs, p.quads = static_cast<int>(divide_up(stage.outputs, 4)), p.largest = stage.kind == PXL_MAX_POOL;
    return p;
}

} // namespace

void run_load(Sequence &s, const Terms &t, const ImageRun &r) {
    launch_rows(s, "load_image", load_image, rows_of(r.batch * r.h, r.w), t, r);
}
void run_store(Sequence &s, const Terms &t, const Pull &pull, const ImageRun &r) {
    launch_rows(s, "store_gradient", store_gradient, rows_of(r.count * r.h, r.w), t, pull, r);
}
void run_bias(Sequence &s, const View &in, const float *bias, bool relu, int64_t pixels, int channels, const View &out) {
    launch_elements(s, "bias_relu", bias_relu, pixels, Elements{in, out, bias, relu, channels, 0, 0});
}
void run_mask(Sequence &s, const View &out, const View &gradient, int64_t pixels, int channels) {
    launch_elements(s, "mask_gradient", mask_gradient, pixels, Elements{out, gradient, nullptr, false, channels, 0, 0});
}
void run_pool(Sequence &s, const pxli_stage &stage, int64_t images, const View &in, const View &out) {
    Pooling p = pooling_of(stage);
    p.in = in, p.out = out;
    launch_rows(s, "pool", pool, rows_of(images * p.h, p.w * p.quads), p);
}
void run_unpool(Sequence &s, const pxli_stage &stage, int64_t images, const View &in, bool masks, const View &grad_out,
                const View &grad_in) {
    Pooling p = pooling_of(stage);
    p.in = in, p.grad_out = grad_out, p.grad_in = grad_in, p.masks = masks;
    launch_rows(s, "unpool", unpool, rows_of(images * p.in_h, p.in_w * p.quads), p);
}

} // namespace pxli
