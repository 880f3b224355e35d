// Terms on neighbouring pixels in the strip kernel: sobel, laplacian, tv, and those on pixels beside them.
//
// A warp takes K::group rows of the ring, a lane four columns: it charges its own positions, and has differences and slopes of the
// columns next to them from the lanes on both sides. What slopes give to the rows above and below goes through shared memory to
// the thread that stores these. So the rows that are charged are a group ahead of those that are stored, which the ring has, and
// sums wait there for as long: two batches of a group's own rows and of the row below it, one of the row above. What a border adds
// is folded in where it arises, as in residual.cuh.
#ifndef PXLI_STRIP_NEIGHBOURS_CUH
#define PXLI_STRIP_NEIGHBOURS_CUH
#include "stencils.cuh"
#include "strip_block.cuh"

namespace pxli {
namespace strip {

// Of shared memory: [2 B] a group's own rows, by the number of the row; [B / group] the rows above, [2 B / group] those below.
template <class K>
__device__ __forceinline__ float *own_row(const Block<K> &b, int line) {
    return b.ring_y + K::ring + (line & (2 * K::B - 1)) * K::pitch;
}
template <class K>
__device__ __forceinline__ float *row_above(const Block<K> &b, int group) {
    return b.ring_y + K::ring + (2 * K::B + group) * K::pitch;
}
template <class K>
__device__ __forceinline__ float *row_below(const Block<K> &b, int group) {
    constexpr int groups = K::B / K::group;
    return b.ring_y + K::ring + (2 * K::B + groups + (group & (2 * groups - 1))) * K::pitch;
}

// What a block's tasks know of its place, in shared memory for want of registers, as Rows are.
struct Columns {
    int left, right;  // the image's first and last column, counted from the block's first; those far away are as good as none
    int64_t gradient; // where pred's gradient of the block's first column and input row would be
};
template <class K>
__device__ __forceinline__ Columns &columns_of(const Block<K> &b) {
    return *reinterpret_cast<Columns *>(row_below(b, 2 * K::B / K::group - 1) + K::pitch);
}
template <class K>
__device__ __forceinline__ void set_columns_of(const Block<K> &b) {
    constexpr int64_t far = 2 * K::T;
    const Tile &t = b.tile;
    const View &v = b.g.grad_x;
    if (threadIdx.x == 0)
        columns_of(b) = {t.c0 == 0 ? 0 : static_cast<int>(-far), static_cast<int>(min(b.g.w - 1 - t.c0, far)),
                         row_of(v, t.image, t.channel, b.in0) + t.c0 * v.stride[3]};
}

// One task of a batch whose first input row is `first`, at `slot` in the ring. A warp takes a group of rows, a lane four columns;
// with a gradient the first lane and those past the block's columns are there for their neighbours. Terms follow one another
// with nothing in registers from one to the next: they are for the structure's windows.
template <class K>
class Neighbours {
  public:
    __device__ __forceinline__ Neighbours(const Block<K> &b, int first, int slot)
        : b_(b), rows_(b.shared.rows), first_(first), group_(threadIdx.x / 32) {
        static_assert(K::BACK == NONE || K::out <= 4 * 30, "lanes");
        x_ = 4 * (static_cast<int>(threadIdx.x % 32) - halo), line_ = first + H * (group_ + 1) - K::lag;
        at_ = slot + line_ - 1 - first;
        edge_ = begin() >= 0 || last() <= 4 || line_ <= rows_.top || line_ + H >= rows_.bottom;
        own_ = x_ >= 0 && x_ < b.tile.columns;
    }
    __device__ __forceinline__ void run() const {
        const bool needed = line_ + H > rows_.sum0 - halo && line_ < rows_.sum1 + halo;
        bool kept = false;
#pragma unroll 1
        for (int k = 1; k <= b_.g.others && needed; k++) {
            const Charge &c = b_.shared.charge[k];
            float d[2 * H * N] = {};
            differ(c, d);
            charge(c, d, b_.sums + k * K::T + threadIdx.x);
            if (K::BACK == NONE || c.scale == 0) continue;
            float sum[H + 2][4] = {};
            pull(c, d, sum);
            if (own_) keep(sum, kept);
            kept = true;
        }
        float none[H + 2][4] = {};
        if (K::BACK != NONE && own_ && !kept) keep(none, false);
    }

  private:
    static constexpr int H = K::group, N = 4, C = N + 2; // rows, positions of a row, columns
    static constexpr int halo = K::BACK != NONE;

    // The image's first and last column, counted from the lane's first.
    __device__ __forceinline__ int begin() const { return columns_of(b_).left - x_; }
    __device__ __forceinline__ int last() const { return columns_of(b_).right - x_; }
    __device__ __forceinline__ Ends ends() const {
        const int k = last();
        return {begin() == 0, b_.g.w == 1, k < 0 || k > 4 ? 0 : 1u << k};
    }

    // ---- Maps ---------------------------------------------------------------------------------------------------------------
    __device__ __forceinline__ static int ring_row(int row) { // from -depth on
        constexpr bool power = (K::depth & (K::depth - 1)) == 0;
        return power ? row & (K::depth - 1) : row < 0 ? row + K::depth : row;
    }
    // Columns of rows from the one above the positions on: of pred alone, or of pred - target.
    __device__ __forceinline__ void load(bool alone, float (&e)[H + 2][C]) const {
        int from[H + 2];
#pragma unroll
        for (int r = 0; r < H + 2; r++) {
            from[r] = ring_row(at_ + r) * K::raw + K::left + x_;
            load_columns(b_.ring_x + from[r], e[r]);
        }
        if (!alone)
#pragma unroll
            for (int r = 0; r < H + 2; r++) {
                float y[C];
                load_columns(b_.ring_y + from[r], y);
#pragma unroll
                for (int j = halo; j < C - halo; j++) e[r][j] -= y[j];
            }
        if (halo)
#pragma unroll
            for (int r = 0; r < H + 2; r++)
                e[r][0] = __shfl_up_sync(~0u, e[r][4], 1), e[r][5] = __shfl_down_sync(~0u, e[r][1], 1);
    }
    // Without those that other lanes have.
    __device__ __forceinline__ static void load_columns(const float *from, float (&a)[C]) {
        const float4 q = *reinterpret_cast<const float4 *>(from);
        a[1] = q.x, a[2] = q.y, a[3] = q.z, a[4] = q.w;
        if (!halo) a[0] = from[-1], a[5] = from[4];
    }
    __device__ __forceinline__ bool is_top(int h) const { return line_ + h == rows_.top; }
    __device__ __forceinline__ bool is_bottom(int h) const { return line_ + h == rows_.bottom - 1; }
    __device__ __forceinline__ void set_outside(int border, float (&e)[H + 2][C]) const {
        const Ends at_ends = ends();
#pragma unroll
        for (int j = 0; j < C * H; j++) {
            const int h = j / C, k = j % C;
            if (is_top(h)) e[h][k] = outside(border, b_.g.h == 1, e[h + 1][k], e[h + 2][k]);
            if (is_bottom(h)) e[h + 2][k] = outside(border, b_.g.h == 1, e[h + 1][k], e[h][k]);
        }
#pragma unroll
        for (int r = 0; r < H + 2; r++) set_columns<N>(border, at_ends, e[r]);
    }
    // Both components of a row of positions, one after the other.
    __device__ __forceinline__ void differ(const Charge &c, float (&d)[2 * H * N]) const {
        const bool tv = c.kind == PXL_TV;
        float e[H + 2][C];
        load(tv, e);
        if (edge_) set_outside(tv ? PXL_REPLICATE : c.border, e); // so tv has a difference of 0 there
#pragma unroll
        for (int h = 0; h < H; h++) {
            float *const to = d + 2 * h * N;
            if (c.kind == PXL_SOBEL)
                sobel<N>(e[h], e[h + 1], e[h + 2], to);
            else if (c.kind == PXL_LAPLACIAN)
                laplacian<N>(c.eight, e[h], e[h + 1], e[h + 2], to);
            else
#pragma unroll
                for (int k = 0; k < N; k++) {
                    const float here = e[h + 1][k + 1];
                    to[k] = tv ? e[h + 1][k + 2] - here : here, to[k + N] = e[h + 2][k + 1] - here;
                }
        }
    }

    // ---- Charges: into the sums, and the slopes in place of the differences ---------------------------------------------------
    __device__ __forceinline__ void charge(const Charge &c, float (&d)[2 * H * N], double *sum) const {
        float value[H * N];
        if ((c.kind == PXL_TV || c.kind == PXL_SOBEL) && !c.isotropic) {
            float both[2 * H * N];
            penalise(c.penalty, c.param, d, both);
            if (c.own_counts) own_counts(c, d, both);
#pragma unroll
            for (int i = 0; i < H * N; i++) value[i] = both[i + i / N * N] + both[i + i / N * N + N];
        } else {
            charge_one<H, N>(c, d, value);
        }
        if (edge_) clear_outside(c, d, value);
        if (!(line_ >= rows_.sum0 && line_ + H <= rows_.sum1))
#pragma unroll
            for (int i = 0; i < H * N; i++)
                if (line_ + i / N < rows_.sum0 || line_ + i / N >= rows_.sum1) value[i] = 0;
        if (own_) add_values(value, sum);
    }
    // None lies past the last column or row.
    __device__ __forceinline__ void own_counts(const Charge &c, float (&d)[2 * H * N], float (&value)[2 * H * N]) const {
        const Ends at_ends = ends();
#pragma unroll
        for (int i = 0; i < 2 * H * N; i++) {
            const bool none = i / N % 2 ? is_bottom(i / N / 2) : at_ends.is_last(i % N);
            value[i] = none ? 0 : value[i] * c.own[i / N % 2], d[i] = none ? 0 : d[i] * c.own[i / N % 2];
        }
    }
    // Positions outside of the image, or of a map that is smaller.
    __device__ __forceinline__ void clear_outside(const Charge &c, float (&d)[2 * H * N], float (&value)[H * N]) const {
        const int crop = c.border == PXL_VALID, first = begin() + crop, end = last() - crop;
#pragma unroll
        for (int i = 0; i < H * N; i++) {
            const int line = line_ + i / N, k = i % N;
            if (line < rows_.top + crop || line >= rows_.bottom - crop || k < first || k > end)
                value[i] = d[i + i / N * N] = d[i + i / N * N + N] = 0;
        }
    }

    // ---- Gradients ------------------------------------------------------------------------------------------------------------
    // To the rows from the one above the positions on.
    __device__ __forceinline__ void pull(const Charge &c, const float (&d)[2 * H * N], float (&sum)[H + 2][4]) const {
#pragma unroll
        for (int h = 0; h < H; h++) {
            float s[2 * C], row[3][4] = {}; // slopes of one position more on both sides
#pragma unroll
            for (int q = 0; q < 2; q++) {
                const float *const from = d + (2 * h + q) * N;
#pragma unroll
                for (int k = 0; k < N; k++) s[q * C + k + 1] = from[k];
                s[q * C] = __shfl_up_sync(~0u, from[N - 1], 1), s[q * C + C - 1] = __shfl_down_sync(~0u, from[0], 1);
            }
            if (c.kind == PXL_SOBEL || c.kind == PXL_LAPLACIAN)
                pull_stencil(c, h, s, row);
            else
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const float here = s[j + 1], below = s[j + 1 + C];
                    row[1][j] = c.kind == PXL_TV ? s[j] - here - below : here, row[2][j] = c.kind == PXL_TV ? below : 0;
                }
#pragma unroll
            for (int i = 0; i < 12; i++) sum[h + i / 4][i % 4] = fmaf(c.scale, row[i / 4][i % 4], sum[h + i / 4][i % 4]);
        }
    }
    template <int M> // columns with the same middle as the positions
    __device__ __forceinline__ static void spread(const Charge &c, const float (&s)[2 * C], float (&row)[3][M]) {
        if (c.kind == PXL_SOBEL)
            pull_sobel<C>(s, row[0], row[1], row[2]);
        else
            pull_laplacian<C>(c.eight, s, row[0], row[1], row[2]);
    }
    __device__ __forceinline__ void pull_stencil(const Charge &c, int h, const float (&s)[2 * C], float (&row)[3][4]) const {
        if (!edge_) {
            spread(c, s, row);
            return;
        }
        const Ends at_ends = ends();
        float wide[3][8];
        spread(c, s, wide);
#pragma unroll
        for (int r = 0; r < 3; r++) fold_columns<5>(c.border, at_ends, wide[r] + 1);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            for (int r = 0; r < 3; r++) row[r][j] = wide[r][j + 2];
            if (is_top(h)) give(c.border, b_.g.h == 1, row[0][j], row[1][j], row[2][j]);
            if (is_bottom(h)) give(c.border, b_.g.h == 1, row[2][j], row[1][j], row[0][j]);
        }
    }
    // For add_neighbours; adds to what another term left.
    __device__ __forceinline__ void keep(float (&sum)[H + 2][4], bool add) const {
        float *const own = own_row(b_, first_ + H * group_) + x_;
        float *const above = row_above(b_, group_) + x_, *const below = row_below(b_, first_ / H + group_) + x_;
        const auto row = [=](int r) { return r == 0 ? above : r > H ? below : own + (r - 1) * K::pitch; };
        if (add)
#pragma unroll
            for (int r = 0; r < H + 2; r++) {
                float old[4];
                load_row(row(r), old);
#pragma unroll
                for (int j = 0; j < 4; j++) sum[r][j] += old[j];
            }
#pragma unroll
        for (int r = 0; r < H + 2; r++) store_row(row(r), sum[r]);
    }

    const Block<K> &b_;
    const Rows &rows_;
    const int first_, group_;
    int x_, line_, at_; // the first column, counted from the block's; the first row of positions; the ring's row above it
    bool edge_, own_;   // some position is the image's first or last, or outside; the columns are the block's
};

// Adds to a row task's gradient what the tasks of stage 2 left for its row.
template <class K>
__device__ __forceinline__ void add_neighbours(const Block<K> &b, int first, int row, float (&pred)[K::P]) {
    constexpr int H = K::group;
    float a[K::P];
    const auto add = [&](const float *from) {
        load_row(from + b.segment, a);
#pragma unroll
        for (int j = 0; j < K::P; j++) pred[j] += a[j];
    };
    add(own_row(b, first + row - H));
    if (H == 1) add(row_above(b, row));
    const bool is_first = row % H == 0;
    add(is_first ? row_below(b, (first + row) / H - 2) : row_above(b, row / H));
}

} // namespace strip
} // namespace pxli
#endif
