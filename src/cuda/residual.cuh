// Stencils, tv and pixels of one strip: a warp marches down the rows of a segment, four adjacent columns a lane.
//
// It keeps a window of three rows of e = pred - target (of pred for tv), one column wider on both sides, and the gradient of
// three rows, as wide. At row m of a map each term charges the four positions of the lane and adds its slopes to rows m - 1, m
// and m + 1 of the gradient; row m - 1 is then complete but for what the lanes on both sides hold for its outer columns. What a
// border adds is folded in where it arises: a term's outside rows and columns are set before it looks at them, and what it
// leaves there goes to the pixels that they were read from. The next three rows' loads are always under way. No shared memory,
// no barriers; the state does not depend on the number of terms. The first and last lane are there for their neighbours, unless
// the image ends with them: strips advance by 30 lanes.
#ifndef PXLI_RESIDUAL_CUH
#define PXLI_RESIDUAL_CUH
#include "charge.cuh"
#include "quad.cuh"

namespace pxli {

constexpr int kStripColumns = 120; // from one strip to the next; a strip is eight wider

struct Strips {
    View pred, target, weight, grad_pred, grad_target;
    int64_t images, c, h, w; // images: of a group
    int64_t strips, segments, rows; // rows: of a segment
    int64_t blocks;                 // of a group
    bool gradients, accumulate;
};
struct Strip { // of one warp
    int64_t n, c, y0, y1, x0;
    bool first, last; // of its row
};

// DIFFERENCE: some term is not tv. TV: some is. WEIGHT: there is a weight map.
template <bool DIFFERENCE, bool TV, bool WEIGHT, int THREADS>
class March {
  public:
    __device__ March(const Strips &s, const Strip &at, const Charge *charges, int slots, double *mine)
        : s_(s), charges_(charges), slots_(slots), mine_(mine + threadIdx.x), lane_(threadIdx.x % 32), y0_(at.y0), y1_(at.y1) {
        const int64_t x = at.x0 + 4 * lane_, left = s.w - 1 - x;
        last_ = left < 0 ? -1 : left > 99 ? 99 : static_cast<int>(left);
        leftmost_ = x == 0, edge_ = at.first || at.last;
        own_ = (lane_ > 0 || at.first) && (lane_ < 31 || at.last);
        packed_ = s.pred.vector && (!DIFFERENCE || s.target.vector) && last_ >= 3;
        packed_weight_ = s.weight.vector && last_ >= 3;
        place(at, x);
    }

    __device__ void run() {
        int64_t m = top_;
        request<0>(m - 1), request<1>(m), request<2>(m + 1);
        receive<0>(m - 1), request<0>(m + 2);
        receive<1>(m), request<1>(m + 3);
        for (;;) {
            step<0>(m);
            if (++m == end_) break;
            step<1>(m);
            if (++m == end_) break;
            step<2>(m);
            if (++m == end_) break;
        }
    }

  private:
    // Maps from row top_ on, to end_: one row more on both sides where there is a gradient.
    __device__ void place(const Strip &at, int64_t x) {
        top_ = s_.gradients && y0_ > 0 ? y0_ - 1 : y0_;
        end_ = s_.gradients ? y1_ + 1 : y1_;
        bottom_ = end_ < s_.h ? end_ + 1 : s_.h;
        from_pred_ = row_of(s_.pred, at.n, at.c, top_ - 1) + x * s_.pred.stride[3];
        from_target_ = row_of(s_.target, at.n, at.c, top_ - 1) + x * s_.target.stride[3];
        from_weight_ = WEIGHT ? row_of(s_.weight, at.n, 0, top_ - 1) + x * s_.weight.stride[3] : 0;
        to_pred_ = row_of(s_.grad_pred, at.n, at.c, y0_) + x * s_.grad_pred.stride[3];
        to_target_ = row_of(s_.grad_target, at.n, at.c, y0_) + x * s_.grad_target.stride[3];
    }

    // ---- Rows in; row r of anything is at [(r - top_ + 1) % 3] ---------------------------------------------------------------
    template <int I>
    __device__ void request(int64_t row) {
        if (row >= 0 && row < bottom_) {
            raw_pred_[I] = fetch(s_.pred, from_pred_, last_, packed_);
            if (DIFFERENCE) raw_target_[I] = fetch(s_.target, from_target_, last_, packed_);
            if (WEIGHT) raw_weight_[I] = fetch(s_.weight, from_weight_, last_, packed_weight_);
        }
        from_pred_ += s_.pred.stride[2];
        if (DIFFERENCE) from_target_ += s_.target.stride[2];
        if (WEIGHT) from_weight_ += s_.weight.stride[2];
    }
    template <int I>
    __device__ void receive(int64_t row) {
        if (row < 0 || row >= bottom_) return;
        float x[4], y[4];
        convert(s_.pred.dtype, raw_pred_[I], packed_, x);
        if (WEIGHT) convert(PXL_F32, raw_weight_[I], packed_weight_, weight_[I]);
        if (DIFFERENCE) {
            convert(s_.target.dtype, raw_target_[I], packed_, y);
#pragma unroll
            for (int k = 0; k < 4; k++) e_[I][k + 1] = WEIGHT && weight_[I][k] == 0 ? 0 : x[k] - y[k]; // selected: 0 * NaN is NaN
            e_[I][0] = __shfl_up_sync(~0u, e_[I][4], 1);
            e_[I][5] = __shfl_down_sync(~0u, e_[I][1], 1);
        }
        if (TV) {
#pragma unroll
            for (int k = 0; k < 4; k++) pred_[I][k] = x[k];
            pred_[I][4] = __shfl_down_sync(~0u, x[0], 1);
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (edge_ && k == last_) pred_[I][k + 1] = x[k]; // a difference of 0
        }
    }

    // ---- Maps ---------------------------------------------------------------------------------------------------------------
    // What lies outside, next to a (inside) and b (beyond it).
    __device__ static float outside(int border, bool single, float a, float b) {
        return border == PXL_REPLICATE || (border == PXL_REFLECT && single) ? a : border == PXL_REFLECT ? b : 0;
    }
    template <int I>
    __device__ void set_outside(int border, int64_t m) {
        constexpr int U = I, M = (I + 1) % 3, D = (I + 2) % 3;
        if (m == 0)
#pragma unroll
            for (int j = 0; j < 6; j++) e_[U][j] = outside(border, s_.h == 1, e_[M][j], e_[D][j]);
        if (m == s_.h - 1)
#pragma unroll
            for (int j = 0; j < 6; j++) e_[D][j] = outside(border, s_.h == 1, e_[M][j], e_[U][j]);
        if (!edge_) return;
#pragma unroll
        for (int r = 0; r < 3; r++) {
            if (leftmost_) e_[r][0] = outside(border, s_.w == 1, e_[r][1], e_[r][2]);
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (k == last_) e_[r][k + 2] = outside(border, s_.w == 1, e_[r][k + 1], e_[r][k]);
        }
    }
    template <int I>
    __device__ void sobel(float (&dx)[4], float (&dy)[4]) const {
        constexpr int U = I, M = (I + 1) % 3, D = (I + 2) % 3;
        float smooth[6], slope[6];
#pragma unroll
        for (int j = 0; j < 6; j++) smooth[j] = e_[U][j] + e_[D][j] + 2 * e_[M][j], slope[j] = e_[D][j] - e_[U][j];
#pragma unroll
        for (int k = 0; k < 4; k++) dx[k] = smooth[k + 2] - smooth[k], dy[k] = slope[k] + slope[k + 2] + 2 * slope[k + 1];
    }
    template <int I>
    __device__ void laplacian(bool eight, float (&d)[4]) const {
        constexpr int U = I, M = (I + 1) % 3, D = (I + 2) % 3;
        float column[6];
#pragma unroll
        for (int j = 0; j < 6; j++) column[j] = e_[U][j] + e_[D][j];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const float cross = column[k + 1] + (e_[M][k] + e_[M][k + 2]);
            d[k] = eight ? cross + (column[k] + column[k + 2]) - 8 * e_[M][k + 1] : cross - 4 * e_[M][k + 1];
        }
    }
    // A difference to or from a masked pixel is 0.
    template <int I>
    __device__ void tv(int64_t m, float (&dx)[4], float (&dy)[4]) const {
        constexpr int M = (I + 1) % 3, D = (I + 2) % 3;
        const bool bottom = m == s_.h - 1;
        const float next = WEIGHT ? __shfl_down_sync(~0u, weight_[M][0], 1) : 1;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            dx[k] = pred_[M][k + 1] - pred_[M][k], dy[k] = (bottom ? pred_[M][k] : pred_[D][k]) - pred_[M][k];
            if (!WEIGHT) continue;
            const float here = weight_[M][k], right = k == last_ ? here : k < 3 ? weight_[M][(k + 1) % 4] : next;
            if (here == 0 || right == 0) dx[k] = 0;
            if (here == 0 || (!bottom && weight_[D][k] == 0)) dy[k] = 0;
        }
    }
    template <int I>
    __device__ void differ(const Charge &c, int64_t m, float (&d0)[4], float (&d1)[4]) {
        constexpr int M = (I + 1) % 3;
        if (TV && (!DIFFERENCE || c.kind == PXL_TV)) {
            tv<I>(m, d0, d1);
            return;
        }
        if (c.kind == PXL_PIXEL) {
#pragma unroll
            for (int k = 0; k < 4; k++) d0[k] = e_[M][k + 1];
            return;
        }
        if (edge_ || m == 0 || m == s_.h - 1) set_outside<I>(c.border, m);
        if (c.kind == PXL_SOBEL)
            sobel<I>(d0, d1);
        else
            laplacian<I>(c.eight, d0);
    }

    // ---- Charges: of row m into the sums, and the slopes in place of the differences ----------------------------------------
    template <int I>
    __device__ void charge(const Charge &c, int64_t m, bool two, float (&d0)[4], float (&d1)[4], double *sum) const {
        constexpr int M = (I + 1) % 3;
        float value[4], other[4];
        if (two && c.isotropic) {
            penalise_magnitude(c.penalty, c.param, d0, d1, value);
        } else {
            penalise(c.penalty, c.param, d0, value);
            if (two) penalise(c.penalty, c.param, d1, other);
            if (TV && c.own_counts) own_counts(c, m, d0, d1, value, other);
            if (two)
#pragma unroll
                for (int k = 0; k < 4; k++) value[k] += other[k];
        }
        const int crop = c.border == PXL_VALID;
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (edge_ && (k > last_ - crop || (crop && k == 0 && leftmost_))) value[k] = d0[k] = d1[k] = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const float weight = WEIGHT ? weight_[M][k] : 1, scale = c.scale * weight;
            value[k] *= weight, d0[k] *= scale, d1[k] *= scale;
        }
        if (own_ && m >= y0_ && m < y1_) add_values(value, sum);
    }
    // None lies past the last column or row.
    __device__ void own_counts(const Charge &c, int64_t m, float (&d0)[4], float (&d1)[4], float (&value)[4],
                               float (&other)[4]) const {
        const bool bottom = m == s_.h - 1;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            value[k] = k == last_ ? 0 : value[k] * c.own[0], d0[k] = k == last_ ? 0 : d0[k] * c.own[0];
            other[k] = bottom ? 0 : other[k] * c.own[1], d1[k] = bottom ? 0 : d1[k] * c.own[1];
        }
    }

    // ---- Gradients ----------------------------------------------------------------------------------------------------------
    // Gives what a line has outside, `out`, to where that was read.
    __device__ static void give(int border, bool single, float &out, float &a, float &b) {
        if (border == PXL_REPLICATE || (border == PXL_REFLECT && single))
            a += out;
        else if (border == PXL_REFLECT)
            b += out;
        out = 0;
    }
    __device__ void fold_columns(int border, float (&a)[6]) const {
        if (leftmost_) give(border, s_.w == 1, a[0], a[1], a[2]);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (k == last_) give(border, s_.w == 1, a[k + 2], a[k + 1], a[k]);
    }
    // Adds slopes that reach three rows.
    template <int I>
    __device__ void add_rows(int border, int64_t m, float (&up)[6], float (&mid)[6], float (&down)[6]) {
        if (edge_) fold_columns(border, up), fold_columns(border, mid), fold_columns(border, down);
        if (m == 0)
            for (int j = 0; j < 6; j++) give(border, s_.h == 1, up[j], mid[j], down[j]);
        if (m == s_.h - 1)
            for (int j = 0; j < 6; j++) give(border, s_.h == 1, down[j], mid[j], up[j]);
#pragma unroll
        for (int j = 0; j < 6; j++)
            grad_[I][j] += up[j], grad_[(I + 1) % 3][j] += mid[j], grad_[(I + 2) % 3][j] += down[j];
    }
    __device__ static float at(const float (&s)[4], int k) { return k >= 0 && k < 4 ? s[k] : 0; } // k is a constant
    template <int I>
    __device__ void pull_sobel(int border, int64_t m, const float (&sx)[4], const float (&sy)[4]) {
        float up[6], mid[6], down[6];
#pragma unroll
        for (int j = 0; j < 6; j++) {
            const float along = at(sx, j - 2) - at(sx, j), across = at(sy, j - 2) + at(sy, j) + 2 * at(sy, j - 1);
            up[j] = along - across, mid[j] = 2 * along, down[j] = along + across;
        }
        add_rows<I>(border, m, up, mid, down);
    }
    template <int I>
    __device__ void pull_laplacian(int border, bool eight, int64_t m, const float (&s)[4]) {
        float up[6], mid[6], down[6];
#pragma unroll
        for (int j = 0; j < 6; j++) {
            const float sides = at(s, j - 2) + at(s, j), centre = at(s, j - 1);
            up[j] = down[j] = eight ? sides + centre : centre;
            mid[j] = sides - (eight ? 8.0f : 4.0f) * centre;
        }
        add_rows<I>(border, m, up, mid, down);
    }
    template <int I>
    __device__ void pull_tv(const float (&sx)[4], const float (&sy)[4]) {
        constexpr int M = (I + 1) % 3, D = (I + 2) % 3;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            tv_[M][k] += (k > 0 ? sx[(k + 3) % 4] : 0) - sx[k] - sy[k];
            tv_[D][k] += sy[k];
        }
        tv_[M][4] += sx[3];
    }
    template <int I>
    __device__ void pull(const Charge &c, int64_t m, const float (&d0)[4], const float (&d1)[4]) {
        if (TV && (!DIFFERENCE || c.kind == PXL_TV)) {
            pull_tv<I>(d0, d1);
        } else if (c.kind == PXL_PIXEL) {
#pragma unroll
            for (int k = 0; k < 4; k++) grad_[(I + 1) % 3][k + 1] += d0[k];
        } else if (c.kind == PXL_SOBEL) {
            pull_sobel<I>(c.border, m, d0, d1);
        } else {
            pull_laplacian<I>(c.border, c.eight, m, d0);
        }
    }

    // ---- Rows out -----------------------------------------------------------------------------------------------------------
    // What the lanes on both sides hold for this one's columns is added; masked pixels have a gradient of 0.
    template <int I>
    __device__ void write() {
        float e[4], p[4];
        if (DIFFERENCE) {
            const float left = __shfl_up_sync(~0u, grad_[I][5], 1), right = __shfl_down_sync(~0u, grad_[I][0], 1);
#pragma unroll
            for (int k = 0; k < 4; k++) e[k] = grad_[I][k + 1];
            e[0] += lane_ > 0 ? left : 0, e[3] += lane_ < 31 ? right : 0;
        }
        if (TV) {
            const float left = __shfl_up_sync(~0u, tv_[I][4], 1);
#pragma unroll
            for (int k = 0; k < 4; k++) p[k] = tv_[I][k];
            p[0] += lane_ > 0 ? left : 0;
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            p[k] = TV ? DIFFERENCE ? p[k] + e[k] : p[k] : e[k];
            e[k] = DIFFERENCE ? -e[k] : 0;
            if (WEIGHT && weight_[I][k] == 0) p[k] = e[k] = 0;
        }
        if (own_ && s_.grad_pred.data) store_row(s_.grad_pred, to_pred_, p);
        if (own_ && s_.grad_target.data) store_row(s_.grad_target, to_target_, e);
        to_pred_ += s_.grad_pred.stride[2], to_target_ += s_.grad_target.stride[2];
    }
    __device__ void store_row(const View &v, int64_t at, float (&a)[4]) const {
        if (s_.accumulate) load_and_add(v, at, a, last_);
        store_quad(v, at, a, last_);
    }

    template <int I>
    __device__ void step(int64_t m) {
        constexpr int D = (I + 2) % 3;
        receive<D>(m + 1), request<D>(m + 4);
#pragma unroll
        for (int j = 0; j < 6; j++) grad_[D][j] = 0;
#pragma unroll
        for (int k = 0; k < 5; k++) tv_[D][k] = 0;
        for (int i = 0; i < slots_ && m < s_.h; i++) {
            const Charge &c = charges_[i];
            const bool two = TV && !DIFFERENCE ? true : c.kind == PXL_SOBEL || (TV && c.kind == PXL_TV);
            const int crop = c.border == PXL_VALID;
            if (m < crop || m >= s_.h - crop) continue;
            float d0[4] = {0, 0, 0, 0}, d1[4] = {0, 0, 0, 0};
            differ<I>(c, m, d0, d1);
            charge<I>(c, m, two, d0, d1, mine_ + i * THREADS);
            if (c.scale != 0) pull<I>(c, m, d0, d1);
        }
        if (s_.gradients && m > y0_) write<I>();
    }

    const Strips &s_;
    const Charge *const charges_;
    const int slots_;
    double *const mine_; // [slots][THREADS], from this thread's on
    const int lane_;
    const int64_t y0_, y1_;
    int last_;                       // number of the image's last column among the lane's, below 0 if it is before them
    bool leftmost_, edge_, own_;     // the lane has column 0; the warp has columns outside; the lane's columns are the strip's
    bool packed_, packed_weight_;
    int64_t top_, end_, bottom_;     // bottom_: rows from here on are not needed
    int64_t from_pred_, from_target_, from_weight_, to_pred_, to_target_;
    Raw raw_pred_[3], raw_target_[3], raw_weight_[3];
    float e_[3][6] = {}, pred_[3][5] = {}, weight_[3][4] = {};
    float grad_[3][6] = {}, tv_[3][5] = {};
};

} // namespace pxli
#endif
