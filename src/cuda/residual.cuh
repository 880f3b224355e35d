// Stencils, tv and pixels of one strip: a warp marches down the rows of a segment, four adjacent columns a lane.
//
// It keeps a window of three rows of e = pred - target (of two rows of pred for tv), one column wider on both sides, and the
// gradient of three rows, as wide. At each row of the maps every term charges the four positions of the lane and adds its slopes
// to the rows above, at and below; the row above is then complete but for what the lanes on both sides hold for its own columns.
// What a border adds is folded in where it arises: a term's outside rows and columns are set before it looks at them, and what it
// leaves there goes to the pixels that they were read from. The next rows are on their way to a ring in shared memory, where each
// lane finds what it asked for itself, so there are no barriers; the state does not depend on the number of terms. The first and
// last lane are there for their neighbours, unless the image ends with them: strips advance by 30 lanes.
#ifndef PXLI_RESIDUAL_CUH
#define PXLI_RESIDUAL_CUH
#include "quad.cuh"
#include "stencils.cuh"

namespace pxli {

constexpr int kStripColumns = 120; // from one strip to the next; a strip is eight wider

struct Strips {
    View pred, target, weight, grad_pred, grad_target;
    int64_t images, c, h, w;        // images: of a group
    int64_t strips, segments, rows; // rows: of a segment
    int64_t blocks;                 // of a group
    bool gradients, accumulate;
};
struct Strip { // of one warp
    int64_t n, c, y0, y1, x0;
    bool first, last; // of its row
};

constexpr int kAhead = 4; // rows on their way, the next one among them; a power of 2
// Of one warp, for `views` tensors.
constexpr int ring_bytes(int views) { return kAhead * views * 32 * static_cast<int>(sizeof(Raw)); }

// DIFFERENCE: some term is not tv. TV: some is. WEIGHT: there is a weight map. DENSE: every tensor is f32, and lanes have four
// columns or none, to be had by one load.
template <bool DIFFERENCE, bool TV, bool WEIGHT, bool DENSE, int THREADS>
class March {
  public:
    static constexpr int views = 1 + DIFFERENCE + WEIGHT;

    __device__ March(const Strips &s, const Strip &at, const Charge *charges, int slots, double *mine, Raw *ring)
        : s_(s), charges_(charges), slots_(slots), mine_(mine + threadIdx.x), lane_(threadIdx.x % 32), ring_(ring + lane_) {
        const int64_t x = at.x0 + 4 * lane_;
        last_ = clamp(s.w - 1 - x, 99);
        ends_ = {x == 0, s.w == 1, last_ < 0 || last_ > 3 ? 0 : 1u << last_};
        edge_ = at.first || at.last;
        own_ = (lane_ > 0 || at.first) && (lane_ < 31 || at.last) && last_ >= 0;
        packed_ = DENSE || (s.pred.vector && (!DIFFERENCE || s.target.vector) && last_ >= 3);
        packed_weight_ = DENSE || (s.weight.vector && last_ >= 3);
        place(at, x);
    }

    __device__ void run() {
        int row = top_ - 1;
        for (int i = 0; i < kAhead; i++) request(row + i);
        receive(row), request(row + kAhead), shift();
        receive(row + 1), request(row + 1 + kAhead), shift();
        for (row = top_; row < end_; row++) {
            receive(row + 1), request(row + 1 + kAhead);
            step(row);
            shift();
        }
    }

  private:
    static constexpr int lag = DIFFERENCE; // the row of the gradient that is complete is so far above

    // Rows are counted from the segment's first. Far beyond it all are the same.
    __device__ static int clamp(int64_t a, int most) { return a < -1 ? -1 : a > most ? most : static_cast<int>(a); }
    // Maps from row top_ on, to end_: with a gradient one row more above, and below where it depends on that.
    __device__ void place(const Strip &at, int64_t x) {
        rows_ = static_cast<int>(at.y1 - at.y0);
        first_ = at.y0 == 0 ? 0 : -99, bottom_ = clamp(s_.h - 1 - at.y0, rows_ + 99);
        top_ = at.y0 == 0 || !s_.gradients ? 0 : -1, end_ = rows_ + (s_.gradients ? lag : 0);
        needed_ = end_ < bottom_ ? end_ : bottom_;
        const int64_t y = at.y0 + top_ - 1;
        from_pred_ = start(s_.pred, at, at.c, y, x);
        if (DIFFERENCE) from_target_ = start(s_.target, at, at.c, y, x);
        if (WEIGHT) from_weight_ = start(s_.weight, at, 0, y, x);
        to_pred_ = start(s_.grad_pred, at, at.c, at.y0, x), to_target_ = start(s_.grad_target, at, at.c, at.y0, x);
        writes_pred_ = own_ && s_.grad_pred.data, writes_target_ = own_ && s_.grad_target.data;
    }
    __device__ static char *start(const View &v, const Strip &at, int64_t c, int64_t y, int64_t x) {
        return address(DENSE, v, row_of(v, at.n, c, y) + (DENSE ? x : x * v.stride[3]));
    }
    template <class T> // a pointer
    __device__ static void next_row(const View &v, T &p) {
        p += v.stride[2] * (DENSE ? 4 : bytes_of(v.dtype));
    }

    // ---- Rows in ------------------------------------------------------------------------------------------------------------
    __device__ Raw *slot(int row, int view) const { return ring_ + ((row & (kAhead - 1)) * views + view) * 32; }
    __device__ static void get(const View &v, const char *from, int last, bool packed, Raw *to) {
        if (DENSE ? last >= 0 : packed)
            copy_packed(DENSE ? PXL_F32 : v.dtype, from, to);
        else if (!DENSE)
            *to = fetch(v, from, last, false);
    }
    __device__ void request(int row) {
        if (row >= first_ && row <= needed_) {
            get(s_.pred, from_pred_, last_, packed_, slot(row, 0));
            if (DIFFERENCE) get(s_.target, from_target_, last_, packed_, slot(row, 1));
            if (WEIGHT) get(s_.weight, from_weight_, last_, packed_weight_, slot(row, views - 1));
        }
        __pipeline_commit();
        next_row(s_.pred, from_pred_);
        if (DIFFERENCE) next_row(s_.target, from_target_);
        if (WEIGHT) next_row(s_.weight, from_weight_);
    }
    __device__ void take(int row, int view, const View &v, bool packed, float (&out)[4]) const {
        Raw raw = {{0, 0, 0, 0}};
        if (last_ >= 0) raw = *slot(row, view);
        if (DENSE)
            convert(PXL_F32, raw, packed, out);
        else
            convert(v, raw, packed, out);
    }
    __device__ void receive(int row) {
        __pipeline_wait_prior(kAhead - 1);
        if (row < first_ || row > needed_) return;
        float x[4], y[4];
        take(row, 0, s_.pred, packed_, x);
        if (WEIGHT) take(row, views - 1, s_.weight, packed_weight_, weight_[D]);
        if (DIFFERENCE) {
            take(row, 1, s_.target, packed_, y);
#pragma unroll
            for (int k = 0; k < 4; k++) e_[D][k + 1] = WEIGHT && weight_[D][k] == 0 ? 0 : x[k] - y[k]; // selected: 0 * NaN is NaN
            e_[D][0] = __shfl_up_sync(~0u, e_[D][4], 1);
            e_[D][5] = __shfl_down_sync(~0u, e_[D][1], 1);
        }
        if (TV) {
#pragma unroll
            for (int k = 0; k < 4; k++) pred_[D][k] = x[k];
            pred_[D][4] = __shfl_down_sync(~0u, x[0], 1);
            if (edge_)
#pragma unroll
                for (int k = 0; k < 4; k++)
                    if (ends_.is_last(k)) pred_[D][k + 1] = x[k]; // a difference of 0
        }
    }

    // ---- Maps ---------------------------------------------------------------------------------------------------------------
    __device__ void set_outside(int border, int row) {
#pragma unroll
        for (int j = 0; j < 6; j++) {
            if (row == first_) e_[U][j] = outside(border, s_.h == 1, e_[M][j], e_[D][j]);
            if (row == bottom_) e_[D][j] = outside(border, s_.h == 1, e_[M][j], e_[U][j]);
        }
        if (edge_)
            set_columns<4>(border, ends_, e_[U]), set_columns<4>(border, ends_, e_[M]), set_columns<4>(border, ends_, e_[D]);
    }
    // A difference to or from a masked pixel is 0.
    __device__ void tv(int row, float (&d)[8]) const {
        const bool bottom = row == bottom_;
        const float next = WEIGHT ? __shfl_down_sync(~0u, weight_[M][0], 1) : 1;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            d[k] = pred_[M][k + 1] - pred_[M][k], d[k + 4] = (bottom ? pred_[M][k] : pred_[D][k]) - pred_[M][k];
            if (!WEIGHT) continue;
            const float here = weight_[M][k], right = ends_.is_last(k) ? here : k < 3 ? weight_[M][(k + 1) % 4] : next;
            if (here == 0 || right == 0) d[k] = 0;
            if (here == 0 || (!bottom && weight_[D][k] == 0)) d[k + 4] = 0;
        }
    }
    // Both components of the lane's four positions, one after the other.
    __device__ void differ(const Charge &c, int row, float (&d)[8]) {
        if (is_tv(c)) {
            tv(row, d);
            return;
        }
        if (c.kind == PXL_PIXEL) {
#pragma unroll
            for (int k = 0; k < 4; k++) d[k] = e_[M][k + 1];
            return;
        }
        if (edge_ || row == first_ || row == bottom_) set_outside(c.border, row);
        if (c.kind == PXL_SOBEL)
            sobel<4>(e_[U], e_[M], e_[D], d);
        else
            laplacian<4>(c.eight, e_[U], e_[M], e_[D], d);
    }
    __device__ static bool is_tv(const Charge &c) { return TV && (!DIFFERENCE || c.kind == PXL_TV); }

    // ---- Charges: of a row of the map into the sums, and the slopes in place of the differences -----------------------------
    __device__ void charge(const Charge &c, int row, float (&d)[8], double *sum) const {
        float value[4], both[8];
        if ((is_tv(c) || c.kind == PXL_SOBEL) && !c.isotropic) {
            penalise(c.penalty, c.param, d, both);
            if (TV && c.own_counts) own_counts(c, row, d, both);
#pragma unroll
            for (int k = 0; k < 4; k++) value[k] = both[k] + both[k + 4];
        } else {
            charge_one<1, 4>(c, d, value);
        }
        const int crop = c.border == PXL_VALID;
        if (edge_)
#pragma unroll
            for (int k = 0; k < 4; k++)
                if (k > last_ - crop || (crop && k == 0 && ends_.leftmost)) value[k] = d[k] = d[k + 4] = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const float weight = WEIGHT ? weight_[M][k] : 1, scale = WEIGHT ? c.scale * weight : c.scale;
            value[k] *= weight, d[k] *= scale, d[k + 4] *= scale;
        }
        if (own_ && row >= 0 && row < rows_) add_values(value, sum);
    }
    // None lies past the last column or row.
    __device__ void own_counts(const Charge &c, int row, float (&d)[8], float (&value)[8]) const {
        const bool bottom = row == bottom_;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            value[k] = ends_.is_last(k) ? 0 : value[k] * c.own[0], d[k] = ends_.is_last(k) ? 0 : d[k] * c.own[0];
            value[k + 4] = bottom ? 0 : value[k + 4] * c.own[1], d[k + 4] = bottom ? 0 : d[k + 4] * c.own[1];
        }
    }

    // ---- Gradients ----------------------------------------------------------------------------------------------------------
    // Adds the slopes of a stencil at row `row` to the three rows that they reach.
    __device__ void pull_stencil(const Charge &c, int row, const float (&s)[8]) {
        float up[6], mid[6], down[6];
        if (c.kind == PXL_SOBEL)
            pull_sobel<4>(s, up, mid, down);
        else
            pull_laplacian<4>(c.eight, s, up, mid, down);
        if (edge_ || row == first_ || row == bottom_) fold(c.border, row, up, mid, down);
#pragma unroll
        for (int j = 0; j < 6; j++) grad_[U][j] += up[j], grad_[M][j] += mid[j], grad_[D][j] += down[j];
    }
    __device__ void fold(int border, int row, float (&up)[6], float (&mid)[6], float (&down)[6]) const {
        if (edge_) fold_columns<4>(border, ends_, up), fold_columns<4>(border, ends_, mid), fold_columns<4>(border, ends_, down);
#pragma unroll
        for (int j = 0; j < 6; j++) {
            if (row == first_) give(border, s_.h == 1, up[j], mid[j], down[j]);
            if (row == bottom_) give(border, s_.h == 1, down[j], mid[j], up[j]);
        }
    }
    __device__ void pull_tv(const float (&s)[8]) {
#pragma unroll
        for (int k = 0; k < 4; k++) tv_[M][k] += slope_at<4>(s, 0, k - 1) - s[k] - s[k + 4], tv_[D][k] += s[k + 4];
        tv_[M][4] += s[3];
    }
    __device__ void pull(const Charge &c, int row, const float (&d)[8]) {
        if (is_tv(c)) {
            pull_tv(d);
        } else if (c.kind == PXL_PIXEL) {
#pragma unroll
            for (int k = 0; k < 4; k++) grad_[M][k + 1] += d[k];
        } else {
            pull_stencil(c, row, d);
        }
    }

    // ---- Rows out -----------------------------------------------------------------------------------------------------------
    // What the lanes on both sides hold for this one's columns is added; masked pixels have a gradient of 0.
    __device__ void write() {
        float e[4] = {0, 0, 0, 0}, p[4];
        if (DIFFERENCE) {
            const float left = __shfl_up_sync(~0u, grad_[U][5], 1), right = __shfl_down_sync(~0u, grad_[U][0], 1);
#pragma unroll
            for (int k = 0; k < 4; k++) e[k] = grad_[U][k + 1];
            e[0] += lane_ > 0 ? left : 0, e[3] += lane_ < 31 ? right : 0;
        }
        if (TV) {
            const float left = __shfl_up_sync(~0u, tv_[M - lag][4], 1);
#pragma unroll
            for (int k = 0; k < 4; k++) p[k] = tv_[M - lag][k];
            p[0] += lane_ > 0 ? left : 0;
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
            p[k] = TV ? p[k] + e[k] : e[k];
            if (WEIGHT && weight_[M - lag][k] == 0) p[k] = e[k] = 0;
            e[k] = -e[k];
        }
        if (writes_pred_) put(s_.grad_pred, to_pred_, p);
        if (writes_target_) put(s_.grad_target, to_target_, e);
        next_row(s_.grad_pred, to_pred_), next_row(s_.grad_target, to_target_);
    }
    __device__ void put(const View &v, char *to, float (&a)[4]) const {
        if (s_.accumulate) load_and_add(v, to, a, last_);
        if (DENSE)
            store_dense(to, a, 3);
        else
            store_quad(v, to, a, last_);
    }

    __device__ void step(int row) {
        for (int i = 0; i < slots_ && row <= bottom_; i++) {
            const Charge c = charges_[i];
            const int crop = c.border == PXL_VALID;
            if (row < first_ + crop || row > bottom_ - crop) continue;
            float d[8] = {0, 0, 0, 0, 0, 0, 0, 0};
            differ(c, row, d);
            charge(c, row, d, mine_ + i * THREADS);
            if (c.scale != 0) pull(c, row, d);
        }
        if (s_.gradients && row >= lag) write();
    }
    __device__ void shift() {
#pragma unroll
        for (int j = 0; j < 6; j++) e_[U][j] = e_[M][j], e_[M][j] = e_[D][j];
#pragma unroll
        for (int j = 0; j < 6; j++) grad_[U][j] = grad_[M][j], grad_[M][j] = grad_[D][j], grad_[D][j] = 0;
#pragma unroll
        for (int j = 0; j < 5; j++) pred_[M][j] = pred_[D][j], tv_[U][j] = tv_[M][j], tv_[M][j] = tv_[D][j], tv_[D][j] = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) weight_[U][k] = weight_[M][k], weight_[M][k] = weight_[D][k];
    }

    const Strips &s_;
    const Charge *const charges_;
    const int slots_;
    double *const mine_; // [slots][THREADS], from this thread's on
    const int lane_;
    Raw *const ring_; // [kAhead][views][32], from this lane's on
    int last_;        // number of the image's last column among the lane's, below 0 if it is before them
    Ends ends_;
    bool edge_, own_; // the warp has columns outside; the lane's columns are the strip's
    bool packed_, packed_weight_, writes_pred_, writes_target_;
    int rows_, top_, end_;        // of the segment; the maps'
    int first_, bottom_, needed_; // the image's, if they are near; the last that is read
    const char *from_pred_, *from_target_ = nullptr, *from_weight_ = nullptr;
    char *to_pred_, *to_target_;
    enum { U, M, D }; // the rows above, at and below the maps'
    float e_[3][6] = {}, pred_[3][5] = {}, weight_[3][4] = {};
    float grad_[3][6] = {}, tv_[3][5] = {};
};

} // namespace pxli
#endif
