// The general path: filtered maps in the workspace, by separable filters of any radius and border. Shared by maps_*.cu and
// filter.cu.
//
// Images are cut into tiles by shape alone. For a few tiles at a time:
//   along       u, v, u^2, v^2, (uv) of both images, or e = x - y, filtered along the rows                  -> first
//   score       first filtered down, scored or charged, summed; the derivatives of the loss to the maps     -> second
//   pull_down   the vertical adjoint of second                                                              -> first
//   pull_along  the horizontal adjoint of first, combined with u and v                                      -> gradients
// Positions of a map are numbered as the pixels are. A tile's maps reach beyond its own pixels by what their gradients take.
#ifndef PXLI_MAPS_CUH
#define PXLI_MAPS_CUH
#include "passes.cuh"
#include "quad.cuh"
#include "shifts.cuh"

namespace pxli {
namespace maps {

// ---- What the kernels are told ----------------------------------------------------------------------------------------------
// A filter along one axis: position j reads pixels j - before + k, k < count; its adjoint at pixel i reads positions
// i - after() + k with the taps reversed, which are the same: all taps are symmetric.
struct Axis {
    const float *taps;  // in the workspace, none of them 0
    const float *folds; // of the adjoint near the edges, [2 (before + 1)][count], see math/window.h; NULL: as everywhere
    int before, count;
    __host__ __device__ int after() const { return count - 1 - before; }
};

struct Tiles {
    int64_t channels, h, w;                 // of the images (after averaging)
    int64_t map_y0, map_y1, map_x0, map_x1; // positions that count
    int64_t segments, strips;               // of a plane
    int rows, columns;                      // of a tile; columns are a multiple of 32 unless there is one strip
    int up, down, left, right;              // how far its maps reach beyond; 0 without gradients
    int read_up, read_down;                 // how far the rows that they read reach beyond those
    int pitch;                              // floats from row to row in the workspace
};
struct Tile {
    int64_t image, channel, y, x; // first pixel
    int64_t map_y, map_x, read_y; // first position of its maps, first row that they read
    int rows, columns, map_rows, map_columns, read_rows;
};

// A tile's constants: u = (x - c) + (y - c), v = (x - y) - d, all times `scale`, see pxli_window_scale.
struct Constants {
    float scale;
    float c, d, sum, gap; // in these units; sum = 2c and gap = d, or of averaged pixels what they are of
    float C1, C2;         // SSIM's stabilisers
    bool exact;           // keep what rounding x - y drops: the images differ by an offset
    bool pulls;           // some term has a gradient
};

// Slots of a launch's tiles: maps of `first_map` floats in `first`, of `second_map` in `second`.
struct Slots {
    float *first, *second;
    int64_t first_slot, first_map, second_slot, second_map;
    int64_t tile; // that of slot 0
};

enum Back { TO_PRED = 1, TO_TARGET = 2, TO_SQUARES = 4, TO_PRODUCT = 8 }; // maps of derivatives, in this order
__host__ __device__ inline int count_backs(int backs) {
    return (backs & TO_PRED ? 1 : 0) + (backs & TO_TARGET ? 1 : 0) + (backs & TO_SQUARES ? 2 : 0) + (backs & TO_PRODUCT ? 1 : 0);
}

// What the images are, to the kernels that read pixels.
struct Images {
    View x, y, weight;
    bool sums; // x and y hold sums and differences of averaged pixels, less these of each plane, [planes][2]; see pool.cu
    const double *base; // NULL unless so
};

// ---- Tiles ------------------------------------------------------------------------------------------------------------------
__device__ inline Tile tile_at(const Tiles &g, int64_t index) {
    const int64_t row = divide(index, g.strips, index | g.strips), strip = index - row * g.strips;
    const int64_t plane = divide(row, g.segments, row | g.segments), segment = row - plane * g.segments;
    Tile t;
    t.image = divide(plane, g.channels, plane | g.channels), t.channel = plane - t.image * g.channels;
    t.y = segment * g.rows, t.x = strip * g.columns;
    const int64_t y1 = min(t.y + g.rows, g.h), x1 = min(t.x + g.columns, g.w);
    t.rows = static_cast<int>(y1 - t.y), t.columns = static_cast<int>(x1 - t.x);
    t.map_y = max(t.y - g.up, g.map_y0), t.map_x = max(t.x - g.left, g.map_x0);
    t.map_rows = static_cast<int>(max(min(y1 + g.down, g.map_y1) - t.map_y, static_cast<int64_t>(0)));
    t.map_columns = static_cast<int>(max(min(x1 + g.right, g.map_x1) - t.map_x, static_cast<int64_t>(0)));
    t.read_y = max(t.map_y - g.read_up, static_cast<int64_t>(0));
    t.read_rows = static_cast<int>(max(min(t.map_y + t.map_rows + g.read_down, g.h) - t.read_y, static_cast<int64_t>(0)));
    return t;
}

// ---- Filters ----------------------------------------------------------------------------------------------------------------
__host__ __device__ constexpr int round_up(int a, int b) { return (a + b - 1) / b * b; }

// To shared memory, for reads of four at a time; no barrier.
__device__ inline void copy_taps(const Axis &a, float *to) {
    for (int k = threadIdx.x; k < a.count; k += blockDim.x) to[k] = a.taps[k];
}
__device__ inline void read_four(const float *from, float (&to)[4]) { // 16-byte aligned
    const float4 a = *reinterpret_cast<const float4 *>(from);
    to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
}

// A value that the others are taken relative to, since taps add up to 1: where an image is flat no rounding is left, which
// E[u^2] - E[u]^2 would magnify. From values that all of N neighbouring outputs of `count` taps read, the first being number
// N - 1: the middle of three, so that no outlier is chosen; 0 if there are none.
template <int N>
__device__ inline float reference(int count, float a, float b, float c) {
    return count >= N + 2 ? fmaxf(fminf(a, b), fminf(fmaxf(a, b), c)) : count >= N ? a : 0;
}

// Of shared memory, four neighbours at a time: the rows of one map, or of u, v and their products.
template <int MAPS>
struct Neighbours {
    const float *u, *v;
    float base[MAPS];
    __device__ Neighbours(const float *rows, const float *others, int count) : u(rows), v(others) {
        base[0] = 0;
        if (MAPS == 1) return;
        float a[4], b[4];
        read_four(u + 4, a), read_four(v + 4, b);
        const float x = reference<4>(count, u[3], a[0], a[1]), y = reference<4>(count, v[3], b[0], b[1]);
        set(x, y, [&](int q, float value) { base[q] = value; });
    }
    template <class Set>
    __device__ static void set(float a, float b, Set set) {
        set(0, a);
        if (MAPS > 1) set(1, b), set(2, a * a), set(3, b * b);
        if (MAPS > 4) set(4, a * b);
    }
    template <int AT, int N>
    __device__ void read(int k, float (&w)[MAPS][N]) const { // w[.][AT ..] = values k .. k + 3, relative
        float a[4], b[4] = {0, 0, 0, 0};
        read_four(u + k, a);
        if (MAPS > 1) read_four(v + k, b);
#pragma unroll
        for (int i = 0; i < 4; i++)
            set(a[i], b[i], [&](int q, float value) { w[q][AT + i] = MAPS > 1 ? value - base[q] : value; });
    }
};
// out[q][j] = sum over k < count of taps[k] value(q, j + k). u, v and taps are 16-byte aligned, and readable (not read) up to
// the next multiple of four past their last.
template <int MAPS>
__device__ __forceinline__ void filter_along(const float *taps, int count, const Neighbours<MAPS> &from, float (&out)[MAPS][4]) {
    float w[MAPS][8], t[4];
#pragma unroll
    for (int q = 0; q < MAPS; q++)
#pragma unroll
        for (int j = 0; j < 4; j++) out[q][j] = 0;
    from.template read<0>(0, w);
#pragma unroll 2
    for (int k = 0; k < count; k += 4) {
        read_four(taps + k, t);
        from.template read<4>(k + 4, w);
        const int left = count - k;
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i == 0 || left > i) {
#pragma unroll
                for (int q = 0; q < MAPS; q++)
#pragma unroll
                    for (int j = 0; j < 4; j++) out[q][j] = fmaf(t[i], w[q][j + i], out[q][j]);
            }
#pragma unroll
        for (int q = 0; q < MAPS; q++)
#pragma unroll
            for (int j = 0; j < 4; j++) w[q][j] = w[q][j + 4];
    }
#pragma unroll
    for (int q = 0; q < MAPS && MAPS > 1; q++)
#pragma unroll
        for (int j = 0; j < 4; j++) out[q][j] += from.base[q];
}

// A column of a map in the workspace; rows are numbered from its first.
struct InnerRows { // all that are asked for are there
    const float *column;
    int pitch;
    __device__ float operator()(int row) const { return column[static_cast<int64_t>(row) * pitch]; }
};
struct BorderRows {
    const float *column;
    int pitch, rows;
    int64_t first, size; // row 0 is `first` of a line of `size`
    int border;
    float outside;
    __device__ float operator()(int row) const {
        const int64_t at = pxli_border_index(border, size, first + row) - first; // below 0 as well where nothing is read
        return at >= 0 && at < rows ? column[at * pitch] : outside;
    }
};
// out[v] = sum over k < count of taps[k] rows(first + v + k). RELATIVE: to a reference, for taps that add up to 1.
template <int V, bool RELATIVE>
__device__ __forceinline__ void filter_inner(const float *taps, int count, const InnerRows &rows, int first, float (&out)[V]) {
    float w[V + 3], t[4];
#pragma unroll
    for (int v = 0; v < V; v++) out[v] = 0;
#pragma unroll
    for (int v = 0; v < V - 1; v++) w[v] = rows(first + v);
    const int next = count >= V + 2 ? 1 : 0, one = first + V - 1; // rows that are there
    const float base = RELATIVE ? reference<V>(count, rows(one), rows(one + next), rows(one + 2 * next)) : 0;
#pragma unroll
    for (int v = 0; v < V - 1 && RELATIVE; v++) w[v] -= base;
    int k = 0;
#pragma unroll 2
    for (; k + 4 <= count; k += 4) {
        read_four(taps + k, t);
#pragma unroll
        for (int i = 0; i < 4; i++) w[V - 1 + i] = rows(first + k + V - 1 + i) - base;
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int v = 0; v < V; v++) out[v] = fmaf(t[i], w[v + i], out[v]);
#pragma unroll
        for (int v = 0; v < V - 1; v++) w[v] = w[v + 4];
    }
    if (k < count) read_four(taps + k, t); // up to three more
#pragma unroll
    for (int i = 0; i < 3; i++)
        if (k + i < count) w[V - 1 + i] = rows(first + k + V - 1 + i) - base;
#pragma unroll
    for (int i = 0; i < 3; i++)
        if (k + i < count) {
#pragma unroll
            for (int v = 0; v < V; v++) out[v] = fmaf(t[i], w[v + i], out[v]);
        }
#pragma unroll
    for (int v = 0; v < V && RELATIVE; v++) out[v] += base;
}
// The same where some of the rows may not be there: in loops, since a row costs many instructions here.
template <int V, bool RELATIVE>
__device__ __forceinline__ void filter_outer(const float *taps, int count, const BorderRows &rows, int first, float (&out)[V]) {
    const int next = count >= V + 2 ? 1 : 0;
    float w[V], base = 0, of[3] = {0, 0, 0};
#pragma unroll 1
    for (int i = 0; i < 3 && RELATIVE; i++) of[0] = of[1], of[1] = of[2], of[2] = rows(first + V - 1 + i * next);
    if (RELATIVE) base = reference<V>(count, of[0], of[1], of[2]);
#pragma unroll
    for (int v = 0; v < V; v++) out[v] = w[v] = 0;
#pragma unroll 1
    for (int i = 0; i < V - 1; i++) {
#pragma unroll
        for (int v = 0; v < V - 2; v++) w[v] = w[v + 1];
        w[V - 2] = rows(first + i) - base;
    }
#pragma unroll 2
    for (int k = 0; k < count; k++) {
        w[V - 1] = rows(first + k + V - 1) - base;
#pragma unroll
        for (int v = 0; v < V; v++) out[v] = fmaf(taps[k], w[v], out[v]);
#pragma unroll
        for (int v = 0; v < V - 1; v++) w[v] = w[v + 1];
    }
#pragma unroll
    for (int v = 0; v < V && RELATIVE; v++) out[v] += base;
}
template <int V, bool RELATIVE = false>
__device__ __forceinline__ void filter_down(const float *taps, int count, const BorderRows &rows, int first, float (&out)[V]) {
    if (first >= 0 && first + V + count - 1 <= rows.rows)
        filter_inner<V, RELATIVE>(taps, count, InnerRows{rows.column, rows.pitch}, first, out);
    else
        filter_outer<V, RELATIVE>(taps, count, rows, first, out);
}

// The same, of means: so few taps that V outputs share none of their values take half as many outputs.
template <int V>
__device__ __forceinline__ void average_down(const float *taps, int count, const BorderRows &rows, int first, float (&out)[V]) {
    if (count >= V) return filter_down<V, true>(taps, count, rows, first, out);
    float half[V / 2];
    filter_down<V / 2, true>(taps, count, rows, first, half);
#pragma unroll
    for (int v = 0; v < V / 2; v++) out[v] = half[v];
    filter_down<V / 2, true>(taps, count, rows, first + V / 2, half);
#pragma unroll
    for (int v = 0; v < V / 2; v++) out[V / 2 + v] = half[v];
}

// The adjoint's taps at pixel i of a line of `size`, near an edge; NULL: as everywhere.
__device__ inline const float *fold_at(const Axis &a, int64_t size, int64_t i) {
    const int R = a.before;
    if (!a.folds || i >= size) return nullptr;
    if (i <= R) return a.folds + i * a.count;
    return size - i <= R + 1 ? a.folds + (2 * (R + 1) - (size - i)) * a.count : nullptr;
}
// The vertical adjoint of V pixels from `pixel` on: out[v] = sum over k of taps_of_pixel[k] rows(first + v + k).
template <int V>
__device__ void pull_rows(const Axis &a, const float *taps, const BorderRows &rows, int64_t size, int64_t pixel, int first,
                          float (&out)[V]) {
    const bool edge = a.folds && (pixel <= a.before || size - (pixel + V - 1) <= a.before + 1);
    if (!edge) return filter_down<V>(taps, a.count, rows, first, out);
    const float *own[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
        const float *fold = fold_at(a, size, pixel + v);
        own[v] = fold ? fold : a.taps, out[v] = 0;
    }
#pragma unroll 1
    for (int k = 0; k < a.count + V - 1; k++) {
        const float value =
            first + k >= 0 && first + k < rows.rows ? rows.column[static_cast<int64_t>(first + k) * rows.pitch] : 0;
#pragma unroll
        for (int v = 0; v < V; v++) {
            const float tap = k >= v && k - v < a.count ? own[v][k - v] : 0;
            if (tap != 0) out[v] = fmaf(tap, value, out[v]);
        }
    }
}

// ---- Pixels -----------------------------------------------------------------------------------------------------------------
__device__ inline void shift(const Constants &s, bool sums, float x, float y, float *u, float *v) {
    const float difference = x - y;
    if (sums) {
        *u = fmaf(x, s.scale, -2 * s.c), *v = fmaf(y, s.scale, -s.d);
    } else {
        *u = fmaf(x, s.scale, -s.c) + fmaf(y, s.scale, -s.c), *v = fmaf(difference, s.scale, -s.d);
        if (s.exact) *v = fmaf(rounded_off(x, y, difference), s.scale, *v);
    }
}
__device__ inline float weight_at(const View &weight, int64_t image, int64_t y, int64_t x) {
    return load(weight, row_of(weight, image, 0, y) + x * weight.stride[3]);
}

// ---- Launching --------------------------------------------------------------------------------------------------------------
// How a launch covers tiles: `rows` x `columns` patches of each, patch by patch.
struct Patches {
    int rows, columns;
};
inline int patches_of(const Patches &p) { return p.rows * p.columns; }
__device__ inline int64_t patch_at(const Patches &p, int *row, int *column) { // of this block; returns the slot
    const unsigned each = p.rows * p.columns, slot = blockIdx.x / each, rest = blockIdx.x % each;
    *row = rest / p.columns, *column = rest % p.columns;
    return slot;
}

// What all threads of a block need of its tile: in shared memory, so that it costs no registers; ends with a barrier.
struct Here {
    Tile tile;
    Constants constants;
    int64_t slot;
    int row, column; // of the patch
};
__device__ inline void find_tile(const Tiles &tiles, const Slots &slots, const Patches &patches, const Constants *constants,
                                 Here &here) {
    if (threadIdx.x == 0) {
        here.slot = patch_at(patches, &here.row, &here.column);
        here.tile = tile_at(tiles, slots.tile + here.slot), here.constants = Constants{};
        here.constants.pulls = true;
        if (constants) here.constants = constants[slots.tile + here.slot];
    }
    __syncthreads();
}

constexpr int kRowThreads = 256, kColumnThreads = 128; // of kernels that filter along and down
constexpr int kQuads = 32;                             // threads of a warp have four columns each: 128
// Rows are shared out among the warps of a block: `warps` of them for each row, so that a window's halo stays small.
inline int warps_for(int count, int columns) {
    int warps = 1;
    while (warps < kRowThreads / 32 && warps * 128 < std::min(columns, 16 * count)) warps *= 2;
    return warps;
}
__host__ __device__ inline int span_of(int warps, int count) {
    return round_up(warps * 128 + count + 3, 4);
} // floats staged for a row
inline Patches row_patches(int rows, int columns, int warps) {
    return {static_cast<int>(divide_up(rows, kRowThreads / 32 / warps)), static_cast<int>(divide_up(columns, warps * 128))};
}
constexpr int kPatchRows = 64;
inline Patches column_patches(int rows, int columns) {
    return {static_cast<int>(divide_up(rows, kPatchRows)), static_cast<int>(divide_up(columns, 32))};
}

// Where the pieces of a step come from: geometry, images, filters, tables. Filled by maps.cu.
struct Plan {
    Tiles tiles;
    Slots slots;
    Images images;
    Axis x, y;
    int border, maps, backs;
    int64_t count, at_once;               // tiles in all, and of a launch: as many as the workspace's budget holds
    int read_rows, map_rows, map_columns; // of the largest
    bool mostly_outside;                  // most of what a window sees is 0
    Constants *constants;                 // of each tile; NULL: of the filter operators, which have none
    View grad_pred, grad_target;
};

void launch_constants(Sequence &s, const Evaluation &e, const Step &step, const Plan &p); // maps_taps.cu
void launch_along(Sequence &s, const Plan &p, int64_t tiles);                             // maps_along.cu
Patches score_patches(const Plan &p);                                                     // maps_score.cu
void launch_score(Sequence &s, const Evaluation &e, const Step &step, const Plan &p, const Finish &f, int64_t tiles);
void launch_pull_down(Sequence &s, const Plan &p, int64_t tiles); // maps_pull.cu
void launch_pull_along(Sequence &s, const Step &step, const Plan &p, int64_t tiles);

// Taps (sigma 0: all equal) into the workspace, computed there, without those that round to 0; and of given ones.
void gaussian_axes(Sequence &s, const pxli_window &window, Plan &p); // maps_taps.cu
Axis given_axis(Sequence &s, int radius, const double *half);        // of the first half: pxli_tap
// With the folds of a line of `size`, if the border has any.
Axis folded(Sequence &s, Axis axis, pxl_border border, int64_t size);
// From tiles.h, .w, .channels and .map_*, the axes and backs: the rest of `tiles`, count, at_once, read_rows, map_rows,
// map_columns, and slots but for their memory.
void set_tiles(Plan &p, int64_t planes, int maps, bool gradients);

} // namespace maps

// Averages of blocks, and their gradients back to the pixels: pool.cu
struct Pool {
    int64_t n, c, image_h, image_w, h, w; // pixels, blocks
    int factor, offset;                   // block i begins at pixel i factor - offset
};
// x = mean of (pred - k) + (target - k), y = mean of (pred - target) - gap, 2k and gap the plane's bases
void run_average(Sequence &s, const Pool &pool, const View &pred, const View &target, const double *bases, float *x, float *y);
void run_spread(Sequence &s, const Pool &pool, const float *blocks, const View &gradient, bool accumulate);

} // namespace pxli
#endif
