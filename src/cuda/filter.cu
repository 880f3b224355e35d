// The filter operators and their adjoints. Stencils of 3 x 3 taps are computed directly, as sums of separable parts; blur and box
// by the general path's filters, along and down, through the workspace.
#include "maps.cuh"

namespace pxli {
namespace {

using namespace maps;

// ---- Stencils ---------------------------------------------------------------------------------------------------------------
constexpr int kParts = 2, kV = 8, kStencilRows = kV * kColumnThreads / 32; // rows of a thread, of a block

struct Part {
    float vertical[3], horizontal[3];
    int component; // output channel c + component * channels
};
struct StencilArgs {
    View from, to;
    int64_t channels, h, w;            // of the image
    int64_t first;                     // block of this launch
    int64_t patch_rows, patch_columns; // of a plane
    int crop, border;                  // the first position that counts
    bool adjoint, vector;              // vector: two components
    Part part[kParts];
};

// The adjoint's taps at pixel i, see math/window.c; positions that do not count have 0.
__device__ inline void fold_taps(const float *taps, int border, int crop, int64_t size, int64_t i, float (&out)[3]) {
    for (int k = 0; k < 3; k++) {
        const int64_t j = i - 1 + k;
        out[k] = j >= crop && j < size - crop ? taps[2 - k] : 0;
    }
    if (border != PXL_REFLECT && border != PXL_REPLICATE) return;
    const int64_t before = pxli_border_index(border, size, -1) - i, after = pxli_border_index(border, size, size) - i;
    for (int k = 0; k < 3; k++) { // pixel -1 has one reader, position 0; pixel `size` position size - 1
        if (before == 0 && i - 1 + k == 0) out[k] += taps[0];
        if (after == 0 && i - 1 + k == size - 1) out[k] += taps[2];
    }
}

struct Column {    // what one thread reads of every row
    int64_t at[3]; // offsets of three neighbours; of those that are not there, -1
    float taps[kParts][3];
    bool there[3];
};
__device__ inline Column column_of(const StencilArgs &g, int64_t x) {
    Column c;
    for (int k = 0; k < 3; k++) {
        const int64_t p = x - 1 + k;
        const int64_t at = g.adjoint ? (p >= g.crop && p < g.w - g.crop ? p - g.crop : -1) : pxli_border_index(g.border, g.w, p);
        c.there[k] = at >= 0, c.at[k] = at * g.from.stride[3];
    }
    for (int q = 0; q < kParts; q++) {
        if (g.adjoint) fold_taps(g.part[q].horizontal, g.border, g.crop, g.w, x, c.taps[q]);
        for (int k = 0; k < 3 && !g.adjoint; k++) c.taps[q][k] = g.part[q].horizontal[k];
    }
    return c;
}
// Row y, filtered along by every part; a tap of 0 is not read.
__device__ inline void read_row(const StencilArgs &g, const Column &c, int64_t image, int64_t channel, int64_t y,
                                float (&sum)[kParts]) {
    const int64_t row = g.adjoint ? (y >= g.crop && y < g.h - g.crop ? y - g.crop : -1) : pxli_border_index(g.border, g.h, y);
    for (int q = 0; q < kParts; q++) {
        const int64_t source = channel + (g.adjoint ? g.part[q].component * g.channels : 0);
        sum[q] = 0;
        for (int k = 0; k < 3; k++)
            if (row >= 0 && c.there[k] && c.taps[q][k] != 0)
                sum[q] = fmaf(c.taps[q][k], load(g.from, row_of(g.from, image, source, row) + c.at[k]), sum[q]);
    }
}
__device__ inline void write_row(const StencilArgs &g, int64_t image, int64_t channel, int64_t y, int64_t x, const float *part) {
    const int64_t crop = g.adjoint ? 0 : g.crop, column = (x - crop) * g.to.stride[3];
    const bool apart = g.vector && !g.adjoint;
    store(g.to, row_of(g.to, image, channel, y - crop) + column, apart ? part[0] : part[0] + part[1]);
    if (apart) store(g.to, row_of(g.to, image, channel + g.channels, y - crop) + column, part[1]);
}

// A warp has 32 columns, a thread kV rows of one.
__global__ void __launch_bounds__(kColumnThreads) stencil(const __grid_constant__ StencilArgs g) {
    const int64_t each = g.patch_rows * g.patch_columns, block = g.first + blockIdx.x;
    const int64_t plane = block / each, rest = block % each, crop = g.adjoint ? 0 : g.crop;
    const int64_t image = plane / g.channels, channel = plane % g.channels;
    const int64_t x = crop + rest % g.patch_columns * 32 + threadIdx.x % 32;
    const int64_t y0 = crop + rest / g.patch_columns * kStencilRows + threadIdx.x / 32 * kV;
    if (x >= g.w - crop || y0 >= g.h - crop) return;
    const Column c = column_of(g, x);
    float rows[3][kParts];
    read_row(g, c, image, channel, y0 - 1, rows[0]), read_row(g, c, image, channel, y0, rows[1]);
#pragma unroll 1
    for (int64_t y = y0; y < min(y0 + kV, g.h - crop); y++) {
        float part[kParts];
        read_row(g, c, image, channel, y + 1, rows[2]);
        for (int q = 0; q < kParts; q++) {
            float taps[3] = {g.part[q].vertical[0], g.part[q].vertical[1], g.part[q].vertical[2]};
            if (g.adjoint) fold_taps(g.part[q].vertical, g.border, g.crop, g.h, y, taps);
            part[q] = 0;
            for (int k = 0; k < 3; k++)
                if (taps[k] != 0) part[q] = fmaf(taps[k], rows[k][q], part[q]);
            rows[0][q] = rows[1][q], rows[1][q] = rows[2][q];
        }
        write_row(g, image, channel, y, x, part);
    }
}

void set_parts(const pxl_filter *filter, StencilArgs &g) {
    const Part sobel[] = {{{1, 2, 1}, {-1, 0, 1}, 0}, {{-1, 0, 1}, {1, 2, 1}, 1}};
    const Part four[] = {{{0, 1, 0}, {1, -2, 1}, 0}, {{1, -2, 1}, {0, 1, 0}, 0}};
    const Part eight[] = {{{1, 1, 1}, {1, 1, 1}, 0}, {{0, 1, 0}, {0, -9, 0}, 0}};
    const bool is_sobel = filter->kind == PXL_FILTER_SOBEL;
    g.vector = is_sobel;
    for (int q = 0; q < kParts; q++) g.part[q] = is_sobel ? sobel[q] : filter->neighbours == 8 ? eight[q] : four[q];
}
void run_stencil(Sequence &s, const pxli_filter_call *call, pxl_border border) {
    const pxl_tensor *image = call->adjoint ? call->to : call->from;
    StencilArgs g{};
    g.from = view_of(call->from), g.to = view_of(call->to);
    g.channels = image->size[1], g.h = image->size[2], g.w = image->size[3];
    g.crop = border == PXL_VALID ? 1 : 0, g.border = border, g.adjoint = call->adjoint;
    set_parts(call->filter, g);
    const int64_t rows = call->to->size[2], columns = call->to->size[3], planes = image->size[0] * g.channels;
    g.patch_rows = divide_up(rows, kStencilRows), g.patch_columns = divide_up(columns, 32);
    const int64_t blocks = planes * g.patch_rows * g.patch_columns, most = int64_t{1} << 30;
    for (; g.first < blocks; g.first += most)
        s.launch("stencil", stencil, {std::min(most, blocks - g.first), kColumnThreads, 0}, g);
}

// ---- Blur and box -----------------------------------------------------------------------------------------------------------
constexpr int kRowsEach = 16; // rows of a thread

struct DownArgs {
    Tiles tiles;
    Slots slots;
    View to;
    Axis y;
    int border;
    Patches patches;
};
// The vertical filter of what `along` left, to the output.
__global__ void __launch_bounds__(kColumnThreads) down(const __grid_constant__ DownArgs g) {
    constexpr int V = kRowsEach;
    PXLI_DYNAMIC_SHARED(float, taps);
    PXLI_SHARED(Here, shared, [1]);
    const Tile &t = shared[0].tile;
    copy_taps(g.y, taps);
    find_tile(g.tiles, g.slots, g.patches, nullptr, shared[0]);
    const int column = shared[0].column * 32 + threadIdx.x % 32;
    const int row = shared[0].row * kPatchRows + threadIdx.x / 32 * V;
    if (column >= t.map_columns || row >= t.map_rows) return;
    const float *const from = g.slots.first + shared[0].slot * g.slots.first_slot + column;
    const BorderRows rows = {from, g.tiles.pitch, t.read_rows, t.read_y, g.tiles.h, g.border, 0};
    float out[V];
    filter_down<V>(taps, g.y.count, rows, static_cast<int>(t.map_y - g.y.before - t.read_y) + row, out);
    const int64_t x = (t.map_x + column - g.tiles.map_x0) * g.to.stride[3];
#pragma unroll
    for (int v = 0; v < V; v++)
        if (row + v < t.map_rows) store(g.to, row_of(g.to, t.image, t.channel, t.map_y + row + v - g.tiles.map_y0) + x, out[v]);
}
static_assert(kPatchRows == kRowsEach * kColumnThreads / 32, "rows of a block");

// Derivatives into `second`, as float.
struct ReadArgs {
    Tiles tiles;
    Slots slots;
    View from;
    Patches patches;
};
__global__ void __launch_bounds__(kColumnThreads) read_derivatives(const __grid_constant__ ReadArgs g) {
    PXLI_SHARED(Here, shared, [1]);
    const Tile &t = shared[0].tile;
    find_tile(g.tiles, g.slots, g.patches, nullptr, shared[0]);
    const int column = shared[0].column * 32 + threadIdx.x % 32, last = min(t.map_rows, (shared[0].row + 1) * kPatchRows);
    if (column >= t.map_columns) return;
    float *const to = g.slots.second + shared[0].slot * g.slots.second_slot + column;
    const int64_t x = (t.map_x + column - g.tiles.map_x0) * g.from.stride[3];
#pragma unroll 4
    for (int row = shared[0].row * kPatchRows + threadIdx.x / 32; row < last; row += kColumnThreads / 32)
        to[static_cast<int64_t>(row) * g.tiles.pitch] =
            load(g.from, row_of(g.from, t.image, t.channel, t.map_y + row - g.tiles.map_y0) + x);
}

// The positions that count along an axis of n pixels.
void set_positions(const pxli_window &window, pxli_axis axis, int64_t n, int64_t &from, int64_t &to) {
    const int before = axis.taps / 2, after = axis.taps - 1 - before;
    const bool crops = window.border == PXL_VALID;
    from = crops ? before : 0, to = crops ? n - after : n;
}
Plan plan_of(Sequence &s, const pxl_tensor *image, const pxli_window &window, bool adjoint) {
    Plan p{};
    Tiles &t = p.tiles;
    t.channels = image->size[1], t.h = image->size[2], t.w = image->size[3];
    set_positions(window, window.y, t.h, t.map_y0, t.map_y1), set_positions(window, window.x, t.w, t.map_x0, t.map_x1);
    p.border = window.border, p.backs = adjoint ? TO_PRED : 0;
    gaussian_axes(s, window, p);
    if (adjoint) p.x = folded(s, p.x, window.border, t.w), p.y = folded(s, p.y, window.border, t.h);
    set_tiles(p, image->size[0] * t.channels, 1, adjoint);
    p.slots.first = s.take<float>(p.at_once * p.slots.first_slot);
    p.slots.second = s.take<float>(p.at_once * p.slots.second_slot);
    return p;
}
void launch_down(Sequence &s, const Plan &p, const View &to, int64_t tiles) {
    const Patches patches = column_patches(p.map_rows, p.map_columns);
    const DownArgs g = {p.tiles, p.slots, to, p.y, p.border, patches};
    s.launch("down", down, {tiles * patches_of(patches), kColumnThreads, round_up(p.y.count, 4) * sizeof(float)}, g);
}
void launch_read(Sequence &s, const Plan &p, const View &from, int64_t tiles) {
    const Patches patches = column_patches(p.map_rows, p.map_columns);
    const ReadArgs g = {p.tiles, p.slots, from, patches};
    s.launch("read_derivatives", read_derivatives, {tiles * patches_of(patches), kColumnThreads, 0}, g);
}
void run_window(Sequence &s, const pxli_filter_call *call, const pxli_window &window) {
    const View from = view_of(call->from), to = view_of(call->to);
    Plan p = plan_of(s, call->adjoint ? call->to : call->from, window, call->adjoint);
    p.images.x = from, p.grad_pred = to;
    for (int64_t tile = 0; tile < p.count; tile += s.counts() ? p.count : p.at_once) {
        const int64_t tiles = std::min(p.at_once, p.count - tile);
        p.slots.tile = tile;
        if (call->adjoint) {
            launch_read(s, p, from, tiles);
            launch_pull_down(s, p, tiles);
            launch_pull_along(s, Step{}, p, tiles);
        } else {
            launch_along(s, p, tiles);
            launch_down(s, p, to, tiles);
        }
    }
}

} // namespace

void run_filter(Sequence &s, const pxli_filter_call *call) {
    const pxl_filter *filter = call->filter;
    const pxli_window window = pxli_filter_window(filter);
    if (filter->kind == PXL_FILTER_SOBEL || filter->kind == PXL_FILTER_LAPLACIAN)
        return run_stencil(s, call, pxli_stencil_border(window.border));
    if (s.counts()) { // a workspace serves the filter and its adjoint
        const size_t mark = s.mark();
        plan_of(s, call->adjoint ? call->to : call->from, window, !call->adjoint);
        s.release(mark);
    }
    run_window(s, call, window);
}

} // namespace pxli
