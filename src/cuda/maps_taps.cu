// What the maps' kernels find in the workspace: taps, their folds at the edges, the constants of each tile; and the tiles.
#include "maps.cuh"

namespace pxli {
namespace maps {
namespace {

constexpr int kTapThreads = 256;

// ---- Taps -------------------------------------------------------------------------------------------------------------------
struct Given {
    float taps[PXLI_MAX_WINDOW];
    int count;
};
__global__ void give_taps(const __grid_constant__ Given given, float *taps) {
    if (threadIdx.x < static_cast<unsigned>(given.count)) taps[threadIdx.x] = given.taps[threadIdx.x];
}

// pxli_window_taps, rounded, from tap `first` on
__device__ inline double gaussian(int k, int count, double sigma) {
    const double x = sigma > 0 ? (k - (count - 1) / 2.0) / sigma : 0;
    return exp(-x * x / 2);
}
__global__ void make_taps(int whole, double sigma, int first, int count, float *taps) {
    PXLI_SHARED(double, scratch, [kTapThreads / 32]);
    PXLI_SHARED(double, total, [1]);
    double sum = 0;
    for (int k = threadIdx.x; k < whole; k += kTapThreads) sum += gaussian(k, whole, sigma);
    sum = block_sum<kTapThreads>(sum, scratch);
    if (threadIdx.x == 0) total[0] = sum;
    __syncthreads();
    for (int k = threadIdx.x; k < count; k += kTapThreads)
        taps[k] = static_cast<float>(gaussian(first + k, whole, sigma) / total[0]);
}

// How many taps at each end round to 0: they are not read.
int vanishing(int count, double sigma) {
    double taps[PXLI_MAX_BLUR];
    if (sigma <= 0 || count / 2 <= 13 * sigma) return 0;
    pxli_window_taps(count, sigma, taps);
    int k = 0;
    while (static_cast<float>(taps[k]) == 0) k++;
    return k;
}

// ---- Folds: add_reader of math/window.c -------------------------------------------------------------------------------------
__device__ inline double tap_of(const Axis &a, int64_t k) { return k >= 0 && k < a.count ? static_cast<double>(a.taps[k]) : 0; }
// What positions [from, to), which read pixel i, take from position j.
__device__ inline double readers(const Axis &a, int64_t from, int64_t to, int64_t j) {
    double sum = 0;
    for (int64_t p = max(from, j - a.before); p < min(to, j + a.before + 1); p++) sum += tap_of(a, p - j + a.before);
    return sum;
}
__device__ double folded_tap(const Axis &a, pxl_border border, int64_t size, int64_t i, int64_t j) {
    const bool twice = border == PXL_SYMMETRIC; // is the edge pixel there
    const int64_t R = a.before, period = 2 * (size - 1) + 2 * twice, mirrored = -i - twice;
    double sum = readers(a, i, i + 1, j);
    if (border == PXL_REPLICATE || size == 1) {
        if (i == 0) sum += readers(a, -R, 0, j);
        if (i == size - 1) sum += readers(a, size, size + R, j);
        return sum;
    }
    for (int64_t p = i - period; p >= -R; p -= period) sum += readers(a, p, p + 1, j);
    for (int64_t p = i + period; p < size + R; p += period) sum += readers(a, p, p + 1, j);
    if (!twice && (i == 0 || i == size - 1)) return sum; // its mirror image is the same
    for (int64_t p = mirrored; p >= -R; p -= period) sum += readers(a, p, p + 1, j);
    for (int64_t p = mirrored + period; p < size + R; p += period) sum += readers(a, p, p + 1, j);
    return sum;
}
__global__ void make_folds(const __grid_constant__ Axis a, pxl_border border, int64_t size, float *folds) {
    const int R = a.before, row = blockIdx.x;
    const int64_t i = row <= R ? row : size - 2 * (R + 1) + row;
    if (i < 0 || i >= size) return;
    for (int k = threadIdx.x; k < a.count; k += kTapThreads) {
        const int64_t j = i - R + k;
        folds[static_cast<int64_t>(row) * a.count + k] =
            j >= 0 && j < size ? static_cast<float>(folded_tap(a, border, size, i, j)) : 0;
    }
}

// ---- Constants of the tiles -------------------------------------------------------------------------------------------------
struct ConstantsArgs {
    Tiles tiles;
    View x, y, weight;
    const double *base; // of sums and differences; NULL: of images
    Constants *constants;
    int64_t first; // tile of this launch
    bool windowed, gradients, mostly_outside, settles;
    int slots; // of the step's terms
    unsigned char term[PXLI_MAX_TERMS];
};
static_assert(sizeof(ConstantsArgs) + sizeof(Terms) <= 4096, "parameters");
__device__ void take_sample(const ConstantsArgs &g, const Tile &t, int i, Samples &s) {
    const int64_t y = sample_at(t.y, t.rows, i / 3), x = sample_at(t.x, t.columns, i % 3);
    const Sample sample = sample_of(g.x, g.y, t.image, t.channel, y, x);
    const bool averaged = g.base != nullptr;
    const float sum = averaged ? sample.a / 2 : sample.a / 2 + sample.b / 2,
                difference = averaged ? sample.b : sample.a - sample.b;
    const bool masked = g.weight.data && weight_at(g.weight, t.image, y, x) == 0;
    s.sum[i] = masked ? NAN : sum, s.difference[i] = difference; // what is not finite is left out
}
__device__ void set_shifts(const ConstantsArgs &g, const Tile &t, Samples &samples, Constants &c) {
    float base = 0, gap = 0;
    if (g.base) {
        const double *const at = g.base + 2 * (t.image * g.tiles.channels + t.channel);
        base = static_cast<float>(at[0]), gap = static_cast<float>(at[1]);
    }
    const Shifts shifts = g.mostly_outside ? Shifts{-base / 2, -gap, false} : shifts_of(samples);
    c.c = shifts.c, c.d = shifts.d, c.exact = shifts.exact;
    c.sum = 2 * c.c + base, c.gap = c.d + gap;
}
__device__ void set_units(const Term &term, double range, bool settles, Constants &c) {
    const double pixel = max(fabs(static_cast<double>(c.sum)), fabs(static_cast<double>(c.gap)));
    const double scale = pxli_window_scale(range, pixel, 126), unit = pxli_data_range(range) * scale, least = 1e-36;
    c.scale = static_cast<float>(scale);
    c.C1 = static_cast<float>(pxli_stabiliser(term.k1, unit, least));
    c.C2 = static_cast<float>(pxli_variance_stabiliser(term.k2, unit, pixel * scale, least, settles));
    c.c *= c.scale, c.d *= c.scale, c.sum *= c.scale, c.gap *= c.scale;
}
// One block of 32 threads for each tile.
__global__ void set_constants(const __grid_constant__ ConstantsArgs g, const __grid_constant__ Terms terms) {
    PXLI_SHARED(Samples, samples, [1]);
    const int64_t index = g.first + blockIdx.x;
    const Tile t = tile_at(g.tiles, index);
    if (g.windowed && !g.mostly_outside && threadIdx.x < kSamples) take_sample(g, t, threadIdx.x, samples[0]);
    __syncthreads();
    if (threadIdx.x != 0) return;
    Constants c{};
    c.scale = 1;
    if (g.windowed) set_shifts(g, t, samples[0], c);
    if (g.windowed && g.slots) set_units(terms.term[g.term[0]], range_of(terms, g.term[0], t.image), g.settles, c);
    c.pulls = g.gradients && g.slots == 0;
    for (int i = 0; i < g.slots && g.gradients; i++) c.pulls = c.pulls || scale_of(terms, g.term[i], t.image) != 0;
    g.constants[index] = c;
}

} // namespace

namespace {
Axis gaussian_axis(Sequence &s, pxli_axis axis) {
    const int count = axis.taps, skipped = vanishing(count, axis.sigma), left = count - 2 * skipped;
    float *const taps = s.take<float>(left);
    s.launch("make_taps", make_taps, {1, kTapThreads, 0}, count, axis.sigma, skipped, left, taps);
    return {taps, nullptr, count / 2 - skipped, left};
}
} // namespace
void gaussian_axes(Sequence &s, const pxli_window &window, Plan &p) {
    p.y = gaussian_axis(s, window.y);
    p.x = pxli_same_axis(window.y, window.x) ? p.y : gaussian_axis(s, window.x);
}
Axis given_axis(Sequence &s, int radius, const double *half) {
    const int count = 2 * radius + 1;
    Given given{};
    double taps[PXLI_MAX_WINDOW];
    int skipped = 0;
    pxli_whole_taps(half, radius, taps);
    while (taps[skipped] == 0) skipped++;
    given.count = count - 2 * skipped;
    for (int k = 0; k < given.count; k++) given.taps[k] = static_cast<float>(taps[skipped + k]);
    float *const to = s.take<float>(given.count);
    s.launch("give_taps", give_taps, {1, kTapThreads, 0}, given, to);
    return {to, nullptr, radius - skipped, given.count};
}
Axis folded(Sequence &s, Axis axis, pxl_border border, int64_t size) {
    if (!pxli_border_folds(border) || axis.count == 1) return axis;
    const int rows = 2 * (axis.before + 1);
    float *const folds = s.take<float>(static_cast<int64_t>(rows) * axis.count);
    s.launch("make_folds", make_folds, {rows, kTapThreads, 0}, axis, border, size, folds);
    axis.folds = folds;
    return axis;
}

void launch_constants(Sequence &s, const Evaluation &e, const Step &step, const Plan &p) {
    ConstantsArgs g{};
    g.tiles = p.tiles, g.x = p.images.x, g.y = p.images.y, g.weight = p.images.weight;
    g.base = p.images.base;
    g.constants = p.constants, g.windowed = p.maps > 1, g.gradients = step.gradients && p.backs;
    g.mostly_outside = p.mostly_outside, g.settles = step.pass->settles, g.slots = step.count;
    for (int i = 0; i < step.count; i++) g.term[i] = static_cast<unsigned char>(step.term[i]);
    const int64_t most = int64_t{1} << 30;
    for (; g.first < p.count; g.first += most)
        s.launch("set_constants", set_constants, {std::min(most, p.count - g.first), 32, 0}, g, e.terms);
}

// ---- Tiles ------------------------------------------------------------------------------------------------------------------
namespace {
constexpr int64_t kRows = 512, kColumns = 1024; // of a tile, so that halos are a few per cent
constexpr int64_t kBudget = int64_t{20} << 20;  // floats of maps at a time: near the size of a large L2

int64_t at_least_1(int64_t a) { return std::max(a, int64_t{1}); }
// By shape and taps alone: a call that wants less must not need more.
int64_t tiles_at_once(const Plan &p) {
    const Tiles &t = p.tiles;
    const int64_t map_rows = std::min(t.h, int64_t{t.rows} + p.y.count), read_rows = std::min(t.h, map_rows + p.y.count);
    const int64_t pitch = round_up(static_cast<int>(std::min(t.w, int64_t{t.columns} + p.x.count)), 32);
    const int64_t most = at_least_1(kBudget / ((p.maps == 1 ? 1 : 5) * (map_rows + read_rows) * pitch));
    return divide_up(p.count, divide_up(p.count, most));
}
} // namespace

void set_tiles(Plan &p, int64_t planes, int maps, bool gradients) {
    Tiles &t = p.tiles;
    const int64_t rows = std::max(kRows, int64_t{4} * p.y.count), columns = std::max(kColumns, int64_t{4} * p.x.count);
    t.rows = static_cast<int>(divide_up(t.h, at_least_1((t.h + rows / 2) / rows)));
    t.columns = static_cast<int>(divide_up(t.w, at_least_1((t.w + columns / 2) / columns)));
    if (t.columns < t.w) t.columns = round_up(t.columns, 32);
    t.segments = divide_up(t.h, t.rows), t.strips = divide_up(t.w, t.columns);
    if (gradients) t.up = p.y.after(), t.down = p.y.before, t.left = p.x.after(), t.right = p.x.before;
    t.read_up = p.y.before, t.read_down = p.y.after();
    p.maps = maps, p.count = planes * t.segments * t.strips, p.at_once = tiles_at_once(p);
    p.map_rows = static_cast<int>(std::min(t.map_y1 - t.map_y0, int64_t{t.rows} + t.up + t.down));
    p.map_columns = static_cast<int>(std::min(t.map_x1 - t.map_x0, int64_t{t.columns} + t.left + t.right));
    p.read_rows = static_cast<int>(std::min(t.h, int64_t{p.map_rows} + t.read_up + t.read_down));
    t.pitch = round_up(p.map_columns, 32);
    const int64_t first_rows = gradients ? std::max(p.read_rows, t.rows) : p.read_rows; // what is pulled down comes there too
    p.slots.first_map = first_rows * t.pitch, p.slots.first_slot = maps * p.slots.first_map;
    p.slots.second_map = static_cast<int64_t>(p.map_rows) * t.pitch,
    p.slots.second_slot = count_backs(p.backs) * p.slots.second_map;
}

} // namespace maps
} // namespace pxli
