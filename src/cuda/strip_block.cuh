// A block of the strip kernel: its place in the images, its memory, what it reads before it begins.
#ifndef PXLI_STRIP_BLOCK_CUH
#define PXLI_STRIP_BLOCK_CUH
#include "charge.cuh"
#include "shifts.cuh"
#include "strip_ring.cuh"

namespace pxli {
namespace strip {

static_assert(sizeof(Args) + sizeof(Terms) + sizeof(Finish) <= 4096, "a kernel's parameters");

// Rows of the block, counted from its first input row: ints in shared memory, or the compiler would compute them anew in every
// batch from 64 bits for want of registers.
struct Rows {
    int count;                  // of input
    int top, bottom;            // of the image
    int map0, map1, sum0, sum1; // of the map, and those whose scores this block sums, which it also stores
};
enum Reads { ROUNDED, EXACT, SUMS }; // images whose difference may be rounded, or may not; sums and differences
constexpr float kNever = 0x1p127f;   // a stabiliser whose quick reciprocal is 0
struct Shared {                      // what all threads of a block read
    Rows rows;
    Shifts shifts;
    Samples samples;
    float scale, C1, C2;           // scale: of pixels as they are read, see pxli_window_scale; the shifts are in these units
    float sum, gap;                // what a quarter of u and of v is less
    Charge charge[1 + kMaxOthers]; // of 1 - SSIM and the terms on pixels
};
struct Tile {
    int64_t image, channel, c0, r0, r1; // output rows [r0, r1), columns from c0 on
    int columns;
};

// What a thread knows of its block.
template <class K>
struct Block {
    const Args &g;
    Shared &shared;
    Tile tile{};
    float *maps = nullptr, *ring_x = nullptr, *ring_y = nullptr;
    double *sums = nullptr;      // [1 + pixels][T]; the first overlays the maps, once they are done with
    int64_t in0 = 0, column = 0; // the first input row; the column of the thread's score
    int segment = 0, task_row = 0;
    bool counts = false, mine = false, has_map = false; // this thread's scores are of the map; are summed; are stored
    float c = 0, d = 0;                                 // `scale` is read where it is needed, for want of registers
    Reads reads = ROUNDED;
};

__device__ inline Tile tile_at(const Args &g, int out) {
    const int64_t strip = blockIdx.x % g.strips, segment = blockIdx.x / g.strips % g.segments,
                  plane = blockIdx.x / g.strips / g.segments;
    Tile t;
    t.image = plane / g.channels, t.channel = plane % g.channels;
    t.c0 = strip * out, t.r0 = segment * g.rows, t.r1 = min(t.r0 + g.rows, g.h);
    t.columns = static_cast<int>(min(static_cast<int64_t>(out), g.w - t.c0));
    return t;
}
template <class K>
__device__ __forceinline__ Block<K> block_of(const Args &g, Shared &shared, float *memory) {
    constexpr int segments = K::T / K::P;
    const int t = threadIdx.x;
    Block<K> b = {g, shared, tile_at(g, K::out), memory, memory + 4 * K::map, memory + 4 * K::map + K::ring};
    b.sums = reinterpret_cast<double *>(K::others ? b.ring_y + K::ring + K::near : memory);
    const Tile &tile = b.tile;
    b.in0 = max(tile.r0 - K::score_halo - K::R, static_cast<int64_t>(-K::R));
    b.column = tile.c0 - K::score_halo + t;
    b.mine = t >= K::score_halo && t < K::score_halo + tile.columns && b.column >= g.map_x0 && b.column < g.map_x1;
    b.has_map = g.map.data && b.mine;
    // Tasks by rows. With eight columns a quarter of a warp has 4 tasks in each of 2 rows, which makes no bank conflicts.
    b.segment = K::P * (K::P == 4 ? t % segments : (t & 3) + 4 * (t / 8 % (segments / 4)));
    b.task_row = K::P == 4 ? t / segments : 2 * (t / (2 * segments)) + (t >> 2 & 1);
    return b;
}

template <class K>
__device__ __forceinline__ Rows rows_of(const Block<K> &b) {
    const auto from_in0 = [&](int64_t row) { return static_cast<int>(row - b.in0); };
    const int64_t in1 = b.tile.r1 + K::score_halo + K::R, zero = 0;
    return {from_in0(in1),
            from_in0(max(b.in0, zero)),
            from_in0(min(in1, b.g.h)),
            from_in0(max(b.g.map_y0, b.in0)),
            from_in0(max(min(b.g.map_y1, in1), b.in0)),
            from_in0(b.tile.r0),
            from_in0(b.tile.r1)};
}

// Columns outside of the image: zero for good.
template <class K>
__device__ __forceinline__ void clear_outside(const Block<K> &b) {
    if (b.tile.c0 >= K::left && b.tile.c0 - K::left + K::raw <= b.g.w) return;
    for (int i = threadIdx.x; i < 2 * K::ring; i += K::T) {
        const int64_t c = b.tile.c0 - K::left + i % K::raw;
        if (c < 0 || c >= b.g.w) b.ring_x[i] = 0;
    }
}
__device__ inline void take_sample(const Args &g, const Tile &t, int i, Samples &to) {
    const int64_t y = sample_at(t.r0, t.r1 - t.r0, i / 3), x = sample_at(t.c0, t.columns, i % 3);
    const Sample s = sample_of(g.x, g.y, t.image, t.channel, y, x);
    to.sum[i] = g.base ? s.a / 2 : s.a / 2 + s.b / 2, to.difference[i] = g.base ? s.b : s.a - s.b;
}
// In units of L, a quarter of which is scored. A shift whose square might be beyond the reciprocal's range leaves no number.
__device__ inline void set_units(const Args &g, const Tile &t, const Term &term, double range, Shared &s) {
    Shifts &to = s.shifts;
    const double *const base = g.base ? g.base + 2 * (t.image * g.channels + t.channel) : nullptr;
    const double sum = 2 * static_cast<double>(to.c) + (base ? base[0] : 0),
                 gap = static_cast<double>(to.d) + (base ? base[1] : 0);
    const double pixel = max(fabs(sum), fabs(gap));
    const double scale = pxli_window_scale(range, pixel, 126), unit = pxli_data_range(range) * scale, least = 16 * 1e-36;
    s.scale = static_cast<float>(scale);
    s.C1 = g.contrast_structure ? kNever : static_cast<float>(pxli_stabiliser(term.k1, unit, least) / 16);
    const double C2 = pxli_variance_stabiliser(term.k2, unit, pixel * scale, least, false);
    s.C2 = static_cast<float>(C2 / 16 / g.variance_factor); // in place of a factor on variances
    to.c = pixel * scale > 0x1p61 ? NAN : to.c * s.scale, to.d *= s.scale;
    s.sum = pixel * scale > 0x1p61 ? NAN : static_cast<float>(sum * scale / 4), s.gap = static_cast<float>(gap * scale / 4);
}
// Shifts, stabilisers, scales; two barriers.
template <class K>
__device__ __forceinline__ void set_constants(Block<K> &b, const Terms &terms, const Finish &f) {
    Shared &s = b.shared;
    const int t = threadIdx.x;
    if (t < kSamples) take_sample(b.g, b.tile, t, s.samples);
    read_charges(terms, f, b.tile.image, K::BACK != NONE, s.charge);
    if (t == 0) {
        const Term &term = terms.term[f.term[0]];
        const double range = range_of(terms, f.term[0], b.tile.image);
        s.shifts = b.g.shifted ? shifts_of(s.samples) : Shifts{0, 0, false};
        set_units(b.g, b.tile, term, range, s);
        if (b.g.dssim) s.charge[0].scale *= 0.5f;
    }
    __syncthreads();
    b.c = s.shifts.c, b.d = s.shifts.d, b.reads = b.g.base ? SUMS : s.shifts.exact ? EXACT : ROUNDED;
    b.counts = b.column >= b.g.map_x0 && b.column < b.g.map_x1;
    for (int k = 1; k <= b.g.others; k++) b.sums[k * K::T + t] = 0;
}

} // namespace strip
} // namespace pxli
#endif
