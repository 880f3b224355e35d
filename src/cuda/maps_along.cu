// The first step of the general path: u, v and their products, or e = x - y (x, if there is no y), filtered along the rows.
#include "maps.cuh"

namespace pxli {
namespace maps {
namespace {

struct AlongArgs {
    Tiles tiles;
    Slots slots;
    Images images;
    Axis x;
    int border, warps; // of a block, for each row
    Patches patches;
    const Constants *constants;
};

__device__ inline float as_float(float a) { return a; }
__device__ inline float as_float(__half a) { return __half2float(a); }
__device__ inline float as_float(__nv_bfloat16 a) { return __bfloat162float(a); }
__device__ inline float as_float(unsigned char a) { return a; }
__device__ inline float as_float(unsigned short a) { return a; }

struct Staged { // a row in shared memory: `count` pixels from `first` on, by `lanes` threads of which this is number `lane`
    int64_t row, first;
    int count, lane, lanes;
    float *u, *v;
};
template <int MAPS>
__device__ inline void put(const AlongArgs &g, const Constants &s, float x, float y, const Staged &to, int i) {
    float u = x - y, v = 0;
    if (MAPS > 1) shift(s, g.images.sums, x, y, &u, &v), to.v[i] = v;
    to.u[i] = u;
}
// A row that lies inside, unmasked, of both images.
template <int MAPS, class T>
__device__ void stage_inside(const AlongArgs &g, const Constants &s, const T *x, const T *y, const Staged &to) {
    const int64_t step_x = to.lanes * g.images.x.stride[3], step_y = to.lanes * g.images.y.stride[3];
    x += (to.first + to.lane) * g.images.x.stride[3], y += (to.first + to.lane) * g.images.y.stride[3];
#pragma unroll 4
    for (int i = to.lane; i < to.count; i += to.lanes, x += step_x, y += step_y)
        put<MAPS>(g, s, as_float(*x), as_float(*y), to, i);
}
// What does not lie inside reads as the border says; of a zero border, as x = y = 0.
template <int MAPS, class T>
__device__ void stage_border(const AlongArgs &g, const Tile &t, const Constants &s, const T *x, const T *y, const Staged &to) {
    const Images &in = g.images;
#pragma unroll 1
    for (int i = to.lane; i < to.count; i += to.lanes) {
        const int64_t p = pxli_border_index(g.border, g.tiles.w, to.first + i);
        const bool there = p >= 0 && !(in.weight.data && weight_at(in.weight, t.image, to.row, p) == 0);
        const float a = there ? as_float(x[p * in.x.stride[3]]) : 0, b = there && in.y.data ? as_float(y[p * in.y.stride[3]]) : 0;
        put<MAPS>(g, s, a, b, to, i);
        if (MAPS > 1 && p < 0) to.u[i] = -s.sum, to.v[i] = -s.gap;
    }
}
template <int MAPS, class T>
__device__ void stage(const AlongArgs &g, const Tile &t, const Constants &s, const Staged &to) {
    const Images &in = g.images;
    const T *const x = reinterpret_cast<const T *>(in.x.data) + row_of(in.x, t.image, t.channel, to.row);
    const T *const y = reinterpret_cast<const T *>(in.y.data) + row_of(in.y, t.image, t.channel, to.row);
    if (to.first >= 0 && to.first + to.count <= g.tiles.w && in.y.data && !in.weight.data)
        stage_inside<MAPS>(g, s, x, y, to);
    else
        stage_border<MAPS>(g, t, s, x, y, to);
}
// Of two types: element by element.
template <int MAPS>
__device__ void stage_mixed(const AlongArgs &g, const Tile &t, const Constants &s, const Staged &to) {
    const Images &in = g.images;
    const int64_t x = row_of(in.x, t.image, t.channel, to.row), y = row_of(in.y, t.image, t.channel, to.row);
#pragma unroll 1
    for (int i = to.lane; i < to.count; i += to.lanes) {
        const int64_t p = pxli_border_index(g.border, g.tiles.w, to.first + i);
        const bool there = p >= 0 && !(in.weight.data && weight_at(in.weight, t.image, to.row, p) == 0);
        put<MAPS>(g, s, there ? load_pixel(in.x, x + p * in.x.stride[3]) : 0,
                  there ? load_pixel(in.y, y + p * in.y.stride[3]) : 0, to, i);
        if (MAPS > 1 && p < 0) to.u[i] = -s.sum, to.v[i] = -s.gap;
    }
}
template <int MAPS>
__device__ void stage_any(const AlongArgs &g, const Tile &t, const Constants &s, const Staged &to) {
    if (g.images.y.data && g.images.y.dtype != g.images.x.dtype) return stage_mixed<MAPS>(g, t, s, to);
    switch (g.images.x.dtype) {
        case PXL_F16: stage<MAPS, __half>(g, t, s, to); break;
        case PXL_BF16: stage<MAPS, __nv_bfloat16>(g, t, s, to); break;
        case PXL_U8: stage<MAPS, unsigned char>(g, t, s, to); break;
        case PXL_U16: stage<MAPS, unsigned short>(g, t, s, to); break;
        default: stage<MAPS, float>(g, t, s, to); break;
    }
}

// A block has 8 / warps rows of 128 warps columns; a thread four columns of one.
template <int MAPS>
__global__ void __launch_bounds__(kRowThreads, (MAPS > 4 ? 2 : 3)) along(const __grid_constant__ AlongArgs g) {
    PXLI_DYNAMIC_SHARED(float, memory);
    PXLI_SHARED(Here, shared, [1]);
    const Here &here = shared[0];
    const Tile &t = here.tile;
    find_tile(g.tiles, g.slots, g.patches, g.constants, shared[0]);
    const int lanes = g.warps * 32, own = threadIdx.x / lanes, span = span_of(g.warps, g.x.count);
    float *const u = memory + round_up(g.x.count, 4) + own * (MAPS > 1 ? 2 : 1) * span, *const v = u + span;
    const int row = here.row * (kRowThreads / lanes) + own, column = here.column * g.warps * 128, mine = threadIdx.x % lanes * 4;
    const int columns = min(t.map_columns - column, g.warps * 128);
    copy_taps(g.x, memory);
    if (row < t.read_rows && columns > 0)
        stage_any<MAPS>(g, t, here.constants,
                        {t.read_y + row, t.map_x + column - g.x.before, columns + g.x.count - 1, mine / 4, lanes, u, v});
    __syncthreads();
    if (row >= t.read_rows || mine >= columns) return;
    float out[MAPS][4];
    filter_along<MAPS>(memory, g.x.count, Neighbours<MAPS>(u + mine, v + mine, g.x.count), out);
    float *const to = g.slots.first + here.slot * g.slots.first_slot + static_cast<int64_t>(row) * g.tiles.pitch + column + mine;
#pragma unroll
    for (int q = 0; q < MAPS; q++)
        *reinterpret_cast<float4 *>(to + q * g.slots.first_map) = make_float4(out[q][0], out[q][1], out[q][2], out[q][3]);
}

} // namespace

void launch_along(Sequence &s, const Plan &p, int64_t tiles) {
    AlongArgs g{};
    g.tiles = p.tiles, g.slots = p.slots, g.images = p.images, g.x = p.x, g.border = p.border, g.constants = p.constants;
    g.warps = warps_for(p.x.count, p.map_columns);
    g.patches = row_patches(p.read_rows, p.map_columns, g.warps);
    const int rows = kRowThreads / 32 / g.warps, images = p.maps > 1 ? 2 : 1;
    const size_t shared = (round_up(p.x.count, 4) + rows * images * span_of(g.warps, p.x.count)) * sizeof(float);
    const Shape shape = {tiles * patches_of(g.patches), kRowThreads, shared};
    switch (p.maps) {
        case 1: s.launch("along", along<1>, shape, g); break;
        case 4: s.launch("along", along<4>, shape, g); break;
        default: s.launch("along", along<5>, shape, g); break;
    }
}

} // namespace maps
} // namespace pxli
