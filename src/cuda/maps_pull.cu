// The last steps of the general path: the adjoint of the windows, down and along, and the gradients made of it:
//   grad_pred   = G'(Lu + Lv) + 2u G'Luu + 2v G'Lvv + (u + v) G'Luv
//   grad_target = G'(Lu - Lv) + 2u G'Luu - 2v G'Lvv + (v - u) G'Luv
// with L. the derivatives of the loss to the filtered maps. Of a blur the gradients are G' of the slopes, and its negative.
#include "maps.cuh"

namespace pxli {
namespace maps {
namespace {

// ---- Down -------------------------------------------------------------------------------------------------------------------
struct DownArgs {
    Tiles tiles;
    Slots slots;
    Axis y;
    Patches patches; // of all maps, one below the other
    int map_patches; // rows of patches of one map
    const Constants *constants;
};

// A warp has 32 columns of a map, a thread V rows of one; a block 4 V rows.
template <int V>
__global__ void __launch_bounds__(kColumnThreads, 6) pull_down(const __grid_constant__ DownArgs g) {
    PXLI_DYNAMIC_SHARED(float, taps);
    PXLI_SHARED(Here, shared, [1]);
    const Here &here = shared[0];
    const Tile &t = here.tile;
    copy_taps(g.y, taps);
    find_tile(g.tiles, g.slots, g.patches, g.constants, shared[0]);
    const int map = here.row / g.map_patches, column = here.column * 32 + threadIdx.x % 32;
    const int row = (here.row % g.map_patches * (kColumnThreads / 32) + threadIdx.x / 32) * V;
    if (!here.constants.pulls || column >= t.map_columns || row >= t.rows) return;
    const float *const from = g.slots.second + here.slot * g.slots.second_slot + map * g.slots.second_map + column;
    float *const to = g.slots.first + here.slot * g.slots.first_slot + map * g.slots.first_map + column;
    const BorderRows rows = {from, g.tiles.pitch, t.map_rows, t.map_y, g.tiles.h, PXL_ZERO, 0};
    float out[V];
    pull_rows<V>(g.y, taps, rows, g.tiles.h, t.y + row, static_cast<int>(t.y - g.y.after() - t.map_y) + row, out);
#pragma unroll
    for (int v = 0; v < V; v++)
        if (row + v < t.rows) to[static_cast<int64_t>(row + v) * g.tiles.pitch] = out[v];
}

// ---- Along ------------------------------------------------------------------------------------------------------------------
struct AlongArgs {
    Tiles tiles;
    Slots slots;
    Images images;
    View grad_pred, grad_target; // data NULL: not wanted
    Axis x;
    int warps, maps, backs;
    bool blur, accumulate;
    Patches patches;
    const Constants *constants;
};

struct Staged { // one row of every map in shared memory
    float *memory;
    int span, lane, lanes;
};
// Positions from `first` on, numbered from the tile's first; those that are not there are 0.
__device__ inline void stage_maps(const AlongArgs &g, const Here &here, int row, int first, int count, const Staged &to) {
    const float *from = g.slots.first + here.slot * g.slots.first_slot + static_cast<int64_t>(row) * g.tiles.pitch;
#pragma unroll 1
    for (int q = 0; q < g.maps; q++, from += g.slots.first_map)
#pragma unroll 4
        for (int i = to.lane; i < count; i += to.lanes) {
            const int at = first + i;
            to.memory[q * to.span + i] = at >= 0 && at < here.tile.map_columns ? from[at] : 0;
        }
}
// Four pixels' adjoint of a staged map; pixel x is the first.
__device__ inline void pull_four(const AlongArgs &g, const float *taps, const float *staged, int64_t x, float (&out)[4]) {
    float filtered[1][4];
    filter_along<1>(taps, g.x.count, Neighbours<1>(staged, nullptr, 0), filtered);
#pragma unroll
    for (int j = 0; j < 4; j++) out[j] = filtered[0][j];
    if (!g.x.folds || (x > g.x.before && g.tiles.w - (x + 3) > g.x.before + 1)) return;
#pragma unroll 1
    for (int j = 0; j < 4; j++) {
        const float *fold = fold_at(g.x, g.tiles.w, x + j);
        float sum = 0;
        for (int k = 0; k < g.x.count && fold; k++)
            if (fold[k] != 0) sum = fmaf(fold[k], staged[j + k], sum);
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (i == j && fold) out[i] = sum;
    }
}

struct Gradients { // of four pixels
    float pred[4], target[4];
};
// u and v of pixels x to x + last
__device__ inline void read_shifted(const AlongArgs &g, const Here &here, int64_t y, int64_t x, int last, float (&u)[4],
                                    float (&v)[4]) {
    const Images &in = g.images;
    const bool packed = last >= 3;
    const char *const at_x = address(in.x, row_of(in.x, here.tile.image, here.tile.channel, y) + x * in.x.stride[3]);
    const char *const at_y = address(in.y, row_of(in.y, here.tile.image, here.tile.channel, y) + x * in.y.stride[3]);
    const Raw a = fetch(in.x, at_x, last, packed && in.x.vector), b = fetch(in.y, at_y, last, packed && in.y.vector);
    float p[4], q[4];
    convert(in.x, a, packed && in.x.vector, p), convert(in.y, b, packed && in.y.vector, q);
#pragma unroll
    for (int j = 0; j < 4; j++) shift(here.constants, in.sums, p[j], q[j], &u[j], &v[j]);
}
__device__ inline void combine(const AlongArgs &g, const float *taps, const float *staged, int span, int64_t x,
                               const float (&u)[4], const float (&v)[4], Gradients &to) {
    float a[4];
    for (int j = 0; j < 4; j++) to.pred[j] = to.target[j] = 0;
    if (g.backs & TO_PRED) pull_four(g, taps, staged, x, to.pred), staged += span;
    if (g.backs & TO_TARGET) pull_four(g, taps, staged, x, to.target), staged += span;
    pull_four(g, taps, staged, x, a), staged += span;
    for (int j = 0; j < 4; j++) to.pred[j] += 2 * u[j] * a[j], to.target[j] += 2 * u[j] * a[j];
    pull_four(g, taps, staged, x, a), staged += span;
    for (int j = 0; j < 4; j++) to.pred[j] += 2 * v[j] * a[j], to.target[j] -= 2 * v[j] * a[j];
    if (!(g.backs & TO_PRODUCT)) return;
    pull_four(g, taps, staged, x, a);
    for (int j = 0; j < 4; j++) to.pred[j] += (u[j] + v[j]) * a[j], to.target[j] += (v[j] - u[j]) * a[j];
}

// A masked pixel was read as 0, whatever it holds: its gradient is 0.
__device__ inline void mask_four(const View &weight, int64_t image, int64_t y, int64_t x, int last, Gradients &to) {
    for (int j = 0; j < 4; j++)
        if (j <= last && weight_at(weight, image, y, x + j) == 0) to.pred[j] = to.target[j] = 0;
}
__device__ inline void store_gradient(const View &view, const Tile &t, int64_t y, int64_t x, int last, bool accumulate,
                                      float (&a)[4]) {
    if (!view.data) return;
    char *const at = address(view, row_of(view, t.image, t.channel, y) + x * view.stride[3]);
    if (accumulate) load_and_add(view, at, a, last);
    store_quad(view, at, a, last);
}

// A block has 8 / warps rows of 128 warps columns; a thread four columns of one.
template <bool BLUR>
__global__ void __launch_bounds__(kRowThreads, 3) pull_along(const __grid_constant__ AlongArgs g) {
    PXLI_DYNAMIC_SHARED(float, memory);
    PXLI_SHARED(Here, shared, [1]);
    const Here &here = shared[0];
    const Tile &t = here.tile;
    find_tile(g.tiles, g.slots, g.patches, g.constants, shared[0]);
    const int lanes = g.warps * 32, own = threadIdx.x / lanes, span = span_of(g.warps, g.x.count), lane = threadIdx.x % lanes;
    const int row = here.row * (kRowThreads / lanes) + own, column = here.column * g.warps * 128;
    const int columns = min(t.columns - column, g.warps * 128);
    float *const staged = memory + round_up(g.x.count, 4) + own * g.maps * span;
    const bool inside = row < t.rows && columns > 0, pulls = here.constants.pulls;
    copy_taps(g.x, memory);
    if (inside && pulls)
        stage_maps(g, here, row, static_cast<int>(t.x + column - g.x.after() - t.map_x), columns + g.x.count - 1,
                   {staged, span, lane, lanes});
    __syncthreads();
    if (!inside || 4 * lane >= columns || (!pulls && g.accumulate)) return;
    const int64_t y = t.y + row, x = t.x + column + 4 * lane;
    const int last = min(columns - 4 * lane, 4) - 1;
    Gradients to = {{0, 0, 0, 0}, {0, 0, 0, 0}};
    if (pulls && BLUR) {
        pull_four(g, memory, staged + 4 * lane, x, to.pred);
        for (int j = 0; j < 4; j++) to.target[j] = -to.pred[j];
    } else if (pulls) {
        float u[4], v[4];
        read_shifted(g, here, y, x, last, u, v);
        combine(g, memory, staged + 4 * lane, span, x, u, v, to);
        for (int j = 0; j < 4; j++) to.pred[j] *= here.constants.scale, to.target[j] *= here.constants.scale;
    }
    if (g.images.weight.data) mask_four(g.images.weight, t.image, y, x, last, to);
    store_gradient(g.grad_pred, t, y, x, last, g.accumulate, to.pred);
    store_gradient(g.grad_target, t, y, x, last, g.accumulate, to.target);
}

template <int V>
void start_down(Sequence &s, const Plan &p, int64_t tiles) {
    DownArgs g{};
    const int maps = count_backs(p.backs), rows = V * kColumnThreads / 32;
    g.tiles = p.tiles, g.slots = p.slots, g.y = p.y, g.constants = p.constants;
    g.map_patches = static_cast<int>(divide_up(p.tiles.rows, rows));
    g.patches = {maps * g.map_patches, static_cast<int>(divide_up(p.map_columns, 32))};
    s.launch("pull_down", pull_down<V>, {tiles * patches_of(g.patches), kColumnThreads, round_up(p.y.count, 4) * sizeof(float)},
             g);
}

} // namespace

void launch_pull_down(Sequence &s, const Plan &p, int64_t tiles) {
    p.maps == 1 ? start_down<16>(s, p, tiles) : start_down<8>(s, p, tiles);
}
void launch_pull_along(Sequence &s, const Step &step, const Plan &p, int64_t tiles) {
    AlongArgs g{};
    g.tiles = p.tiles, g.slots = p.slots, g.images = p.images, g.x = p.x, g.constants = p.constants;
    g.grad_pred = p.grad_pred, g.grad_target = p.grad_target;
    g.maps = count_backs(p.backs), g.backs = p.backs, g.accumulate = step.accumulate && !p.images.sums;
    g.warps = warps_for(p.x.count, p.tiles.columns);
    g.patches = row_patches(p.tiles.rows, p.tiles.columns, g.warps);
    const int rows = kRowThreads / 32 / g.warps;
    const size_t shared = (round_up(p.x.count, 4) + rows * g.maps * span_of(g.warps, p.x.count)) * sizeof(float);
    const Shape shape = {tiles * patches_of(g.patches), kRowThreads, shared};
    p.maps == 1 ? s.launch("pull_along", pull_along<true>, shape, g) : s.launch("pull_along", pull_along<false>, shape, g);
}

} // namespace maps
} // namespace pxli
