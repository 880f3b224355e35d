// The second step of the general path: the vertical filter, then what is made of the maps: scores of windowed terms, statistics,
// or a blurred difference's charge; sums; and the derivatives of the loss to the maps. See math/ssim.h for the formulas.
#include "charge.cuh"
#include "maps.cuh"

namespace pxli {
namespace maps {
namespace {

enum Kind { PLAIN, TERMS, BLUR }; // 1 - SSIM or 1 - cs alone; any windowed terms, or statistics; the charge of a blur

struct ScoreArgs {
    Tiles tiles;
    Slots slots;
    View weight, other; // other: map or statistics, written; or the statistics' derivatives, read
    Axis y;
    const Constants *constants;
    Patches patches;
    float variance_factor;
    unsigned char border, mode, maps, backs;
    bool masked, writes, settles;
};
static_assert(sizeof(ScoreArgs) + sizeof(Terms) + sizeof(Finish) <= 4096, "parameters");

constexpr int kT = kColumnThreads;

template <Kind KIND>
struct Shared {
    static constexpr int V = KIND == BLUR ? 16 : 8, maps = KIND == BLUR ? 1 : KIND == PLAIN ? 4 : 5;
    double *sums;        // [slots][kT]
    float *taps, *value; // value[(q V + v) kT]: a thread's filtered values
    float *coefficient;  // [slots]
    __device__ Shared(double *memory, int slots, int taps_count)
        : sums(memory),
          taps(reinterpret_cast<float *>(memory + slots * kT)),
          value(taps + round_up(taps_count, 4)),
          coefficient(value + maps * V * kT) {}
};
template <Kind KIND>
size_t shared_bytes(int slots, int taps) {
    using S = Shared<KIND>;
    return static_cast<size_t>(slots) * kT * sizeof(double) + (round_up(taps, 4) + S::maps * S::V * kT + slots) * sizeof(float);
}

struct Position {
    const Constants *s;
    int row, column; // of the tile's maps
    float *value;    // of map q at [q step]
    int step;
    bool own; // in the tile itself
    float weight;
    float *back; // of derivative map q at [q second_map]; NULL: not wanted
};

__device__ inline pxli_moments moments_at(const ScoreArgs &g, const Position &p) {
    const float mu = p.value[0], mv = p.value[p.step], f = g.variance_factor;
    pxli_moments m = {mu + p.s->sum, mv + p.s->gap, fmaf(-mu, mu, p.value[2 * p.step]) * f,
                      fmaf(-mv, mv, p.value[3 * p.step]) * f, 0};
    if (g.maps > 4) m.cuv = fmaf(-mu, mv, p.value[4 * p.step]) * f;
    return m;
}
__device__ inline void settle(const Position &p) {
    float *const v = p.value + p.step, *const uu = v + p.step, *const vv = uu + p.step;
    const pxli_maps to = pxli_settle({*p.value, *v, *uu, *vv}, p.s->sum, p.s->gap, p.s->C1, p.s->C2);
    *v = to.v, *uu = to.uu, *vv = to.vv;
}
// Derivatives to the statistics -> to the filtered maps, whose variances are of shifted values.
__device__ inline void pull_back(const ScoreArgs &g, const Position &p, const pxli_score &r, float weight) {
    const float mu = p.value[0], mv = p.value[p.step];
    const float uu = r.su * g.variance_factor, vv = r.sv * g.variance_factor;
    float u = fmaf(-2 * mu, uu, r.M), v = fmaf(-2 * mv, vv, r.m), uv = 0, *to = p.back;
    if (g.maps > 4) uv = r.cuv * g.variance_factor, u = fmaf(-mv, uv, u), v = fmaf(-mu, uv, v);
    if (g.backs & TO_PRED) *to = weight * (u + v), to += g.slots.second_map;
    if (g.backs & TO_TARGET) *to = weight * (u - v), to += g.slots.second_map;
    to[0] = weight * uu, to[g.slots.second_map] = weight * vv;
    if (g.backs & TO_PRODUCT) to[2 * g.slots.second_map] = weight * uv;
}
__device__ inline int64_t other_at(const ScoreArgs &g, const Tile &t, const Position &p, int64_t channel) {
    return row_of(g.other, t.image, channel, t.map_y + p.row - g.tiles.map_y0) +
           (t.map_x + p.column - g.tiles.map_x0) * g.other.stride[3];
}

// ---- 1 - SSIM ---------------------------------------------------------------------------------------------------------------
__device__ inline void score_plain(const ScoreArgs &g, const Tile &t, const Position &p, float unit, float half, float *sum) {
    const pxli_moments m = moments_at(g, p);
    const pxli_score r =
        g.mode == PXLI_SCORE_CONTRAST_STRUCTURE ? pxli_contrast_structure(m, p.s->C2) : pxli_ssim(m, p.s->C1, p.s->C2);
    if (p.own) {
        *sum += r.value * half * p.weight;
        if (g.writes) store(g.other, other_at(g, t, p, t.channel), 1 - r.value);
    }
    if (p.back) pull_back(g, p, r, unit * p.weight);
}

// ---- Any terms --------------------------------------------------------------------------------------------------------------
__device__ inline void score_terms(const ScoreArgs &g, const Terms &terms, const Finish &f, const Tile &t, const Position &p,
                                   const float *coefficient, double *sums) {
    const pxli_moments m = moments_at(g, p);
    const float noise = pxli_variance_noise(p.value[2 * p.step], p.value[3 * p.step]);
    pxli_score sum = {0, 0, 0, 0, 0, 0};
#pragma unroll 1
    for (int k = 0; k < f.slots; k++) {
        const Term &term = terms.term[f.term[k]];
        const float half = term.kind == PXL_DSSIM ? 0.5f : 1.0f, weight = coefficient[k] * half;
        const pxli_score r = pxli_score_of(term.kind, m, noise, p.s->C1, p.s->C2, term.alpha, term.beta, term.gamma);
        if (p.own) sums[k * kT] += r.value * half * p.weight;
        if (p.own && k == 0 && g.writes) store(g.other, other_at(g, t, p, t.channel), 1 - r.value);
        if (weight == 0) continue;
        sum.M += weight * r.M, sum.m += weight * r.m;
        sum.su += weight * r.su, sum.sv += weight * r.sv, sum.cuv += weight * r.cuv;
    }
    if (p.back) pull_back(g, p, sum, p.weight);
}

// mx = (M + m)/2, vx = (su + sv)/4 + cuv/2, vxy = (su - sv)/4
__device__ inline void store_statistics(const ScoreArgs &g, const Tile &t, const Position &p) {
    const pxli_moments m = moments_at(g, p);
    const float sum = (m.su + m.sv) / 4, half = m.cuv / 2;
    const float out[5] = {(m.M + m.m) / 2, (m.M - m.m) / 2, sum + half, sum - half, (m.su - m.sv) / 4};
    for (int q = 0; q < 5 && p.own; q++) store(g.other, other_at(g, t, p, q * g.tiles.channels + t.channel), out[q]);
}
__device__ inline void pull_statistics(const ScoreArgs &g, const Tile &t, const Position &p) {
    float d[5];
    for (int q = 0; q < 5; q++) d[q] = load(g.other, other_at(g, t, p, q * g.tiles.channels + t.channel));
    const float both = d[2] + d[3];
    const pxli_score r = {0, (d[0] + d[1]) / 2, (d[0] - d[1]) / 2, (both + d[4]) / 4, (both - d[4]) / 4, (d[2] - d[3]) / 2};
    if (p.back) pull_back(g, p, r, p.weight);
}

// ---- The kernel -------------------------------------------------------------------------------------------------------------
// The first of a thread's positions, and the next below.
__device__ inline void read_weight(const ScoreArgs &g, const Tile &t, Position &p) {
    const int y = static_cast<int>(t.map_y - t.y) + p.row, x = static_cast<int>(t.map_x - t.x) + p.column;
    p.own = y >= 0 && y < t.rows && x >= 0 && x < t.columns;
    p.weight = g.masked ? weight_at(g.weight, t.image, t.map_y + p.row, t.map_x + p.column) : 1.0f;
}
__device__ inline Position position_at(const ScoreArgs &g, const Constants &s, int row, int column, float *value, int step,
                                       float *back) {
    Position p;
    p.s = &s, p.row = row, p.column = column, p.value = value, p.step = step, p.own = false, p.weight = 1;
    p.back = s.pulls && g.backs ? back + static_cast<int64_t>(row) * g.tiles.pitch + column : nullptr;
    return p;
}
__device__ inline void step_down(const ScoreArgs &g, Position &p) {
    p.row++, p.value += kT;
    if (p.back) p.back += g.tiles.pitch;
}
// Rows row .. row + V - 1 of a column.
template <Kind KIND>
__device__ void score_rows(const ScoreArgs &g, const Terms &terms, const Finish &f, const Tile &t, const Constants &s,
                           const Shared<KIND> &shared, int row, int column, float *back) {
    constexpr int V = Shared<KIND>::V;
    const int count = min(V, t.map_rows - row);
    double *const sums = shared.sums + threadIdx.x;
    Position p = position_at(g, s, row, column, shared.value + threadIdx.x, V * kT, back);
    float sum = 0;
    const bool half = KIND == PLAIN && terms.term[f.term[0]].kind == PXL_DSSIM;
#pragma unroll 1
    for (int v = 0; v < count; v++, step_down(g, p)) {
        read_weight(g, t, p);
        if (g.settles) settle(p);
        if (KIND == PLAIN)
            score_plain(g, t, p, half ? shared.coefficient[0] / 2 : shared.coefficient[0], half ? 0.5f : 1.0f, &sum);
        else if (g.mode == PXLI_SCORE_STATISTICS)
            store_statistics(g, t, p);
        else if (g.mode == PXLI_SCORE_STATISTICS_ADJOINT)
            pull_statistics(g, t, p);
        else
            score_terms(g, terms, f, t, p, shared.coefficient, sums);
    }
    if (KIND == PLAIN) sums[0] += sum;
}
// The same of a blurred difference.
__device__ void charge_rows(const ScoreArgs &g, const Terms &terms, const Finish &f, const Tile &t, const Constants &s,
                            const Shared<BLUR> &shared, int row, int column, float *back) {
    const Term &term = terms.term[f.term[0]];
    const int count = min(Shared<BLUR>::V, t.map_rows - row);
    Position p = position_at(g, s, row, column, shared.value + threadIdx.x, 0, back);
#pragma unroll 1
    for (int v = 0; v < count; v++, step_down(g, p)) {
        float slope[1] = {*p.value}, charged[1];
        read_weight(g, t, p);
        penalise<1>(term.penalty, term.param, slope, charged);
        if (p.own) shared.sums[threadIdx.x] += charged[0] * p.weight;
        if (p.back) *p.back = shared.coefficient[0] * p.weight * slope[0];
    }
}

// A warp has 32 columns, a thread V rows of one at a time; a block kPatchRows rows.
template <Kind KIND>
__global__ void __launch_bounds__(kT, (KIND == PLAIN ? 5 : 4))
    score(const __grid_constant__ ScoreArgs g, const __grid_constant__ Terms terms, const __grid_constant__ Finish f) {
    PXLI_DYNAMIC_SHARED(double, memory);
    constexpr int V = Shared<KIND>::V;
    const Shared<KIND> shared(memory, f.slots, g.y.count);
    PXLI_SHARED(Here, found, [1]);
    const Here &here = found[0];
    const Tile &t = here.tile;
    const Constants &s = here.constants;
    find_tile(g.tiles, g.slots, g.patches, g.constants, found[0]);
    copy_taps(g.y, shared.taps);
    for (int k = 0; k < f.slots; k++) shared.sums[k * kT + threadIdx.x] = 0;
    for (int k = threadIdx.x; k < f.slots; k += kT)
        shared.coefficient[k] = s.pulls ? to_float(scale_of(terms, f.term[k], t.image)) : 0;
    __syncthreads();
    const int column = here.column * 32 + threadIdx.x % 32, last = min(t.map_rows, (here.row + 1) * kPatchRows);
    const float *const first = g.slots.first + here.slot * g.slots.first_slot + column;
    float *const second = g.slots.second + here.slot * g.slots.second_slot;
    const bool zero = g.border == PXL_ZERO;
#pragma unroll 1
    for (int row = here.row * kPatchRows + threadIdx.x / 32 * V; row < last && column < t.map_columns; row += kT / 32 * V) {
        const float u = zero && KIND != BLUR ? -s.sum : 0, v = zero && KIND != BLUR ? -s.gap : 0;
        const int maps = KIND == TERMS ? g.maps : Shared<KIND>::maps;
#pragma unroll 1
        for (int q = 0; q < maps; q++) {
            const float outside = q == 0 ? u : q == 1 ? v : q == 2 ? u * u : q == 3 ? v * v : u * v;
            const BorderRows rows = {
                first + q * g.slots.first_map, g.tiles.pitch, t.read_rows, t.read_y, g.tiles.h, g.border, outside};
            float out[V];
            const int at = static_cast<int>(t.map_y - g.y.before - t.read_y) + row;
            if (KIND == BLUR)
                filter_down<V>(shared.taps, g.y.count, rows, at, out);
            else
                average_down<V>(shared.taps, g.y.count, rows, at, out);
#pragma unroll
            for (int i = 0; i < V; i++) shared.value[(q * V + i) * kT + threadIdx.x] = out[i];
        }
        if constexpr (KIND == BLUR)
            charge_rows(g, terms, f, t, s, shared, row, column, second);
        else
            score_rows<KIND>(g, terms, f, t, s, shared, row, column, second);
    }
    if (f.slots) finish<kT>(f, terms, memory);
}

template <Kind KIND>
void start(Sequence &s, const Evaluation &e, const Plan &p, const ScoreArgs &g, const Finish &f, int64_t tiles) {
    s.launch("score", score<KIND>, {tiles * patches_of(g.patches), kT, shared_bytes<KIND>(f.slots, p.y.count)}, g, e.terms, f);
}
View other_of(const Evaluation &e, const pxli_pass *pass) {
    if (pass->mode == PXLI_SCORE_STATISTICS) return view_of(e.call->args->statistics);
    if (pass->mode == PXLI_SCORE_STATISTICS_ADJOINT) return view_of(e.call->grad_statistics);
    return pass->outputs ? view_of(e.call->args->map) : View{};
}

} // namespace

Patches score_patches(const Plan &p) { return column_patches(p.map_rows, p.map_columns); }

void launch_score(Sequence &s, const Evaluation &e, const Step &step, const Plan &p, const Finish &f, int64_t tiles) {
    ScoreArgs g{};
    g.tiles = p.tiles, g.slots = p.slots, g.weight = p.images.weight, g.y = p.y, g.constants = p.constants;
    g.patches = score_patches(p), g.variance_factor = static_cast<float>(step.pass->variance_factor);
    g.border = static_cast<unsigned char>(p.border), g.mode = static_cast<unsigned char>(step.pass->mode);
    g.maps = static_cast<unsigned char>(p.maps), g.backs = static_cast<unsigned char>(p.backs);
    g.masked = p.images.weight.data != nullptr, g.settles = step.pass->settles;
    if (p.maps == 1) return start<BLUR>(s, e, p, g, f, tiles);
    g.other = other_of(e, step.pass), g.writes = g.other.data != nullptr && step.count > 0;
    const bool plain = step.pass->mode == PXLI_SCORE_SSIM || step.pass->mode == PXLI_SCORE_CONTRAST_STRUCTURE;
    plain ? start<PLAIN>(s, e, p, g, f, tiles) : start<TERMS>(s, e, p, g, f, tiles);
}

} // namespace maps
} // namespace pxli
