// The shape of the strip kernel: constants of one radius and direction, shared by the kernel and by the host that launches it.
#ifndef PXLI_STRIP_CUH
#define PXLI_STRIP_CUH
#include "passes.cuh"

namespace pxli {
namespace strip {

enum Back { NONE, PRED, BOTH };            // which gradients: none, pred's, both
enum Others { ALONE, PIXELS, NEIGHBOURS }; // terms beside 1 - SSIM: none; on single pixels; sobel, laplacian, tv and on pixels

constexpr int round_up(int a, int b) { return (a + b - 1) / b * b; }
// Rows of a ring or map: an odd multiple of four floats, so that two rows use complementary banks.
constexpr int odd_pitch(int columns) { return columns % 8 == 4 ? columns : columns + 4; }

// Code for devices with 160 KB of shared memory a multiprocessor, or with less; by the architecture that it is compiled for,
// which need not be the device's own: code for 8.0 runs on 8.6.
enum Size { LARGE, SMALL };
__host__ __device__ constexpr Size size_for(int compiled_for) {
    return compiled_for / 10 == 9 || compiled_for / 10 == 10 || compiled_for == 80 ? LARGE : SMALL;
}

template <int R_, Back BACK_, Others OTHERS_, int WIDTH_, Size SIZE_>
struct Config {
    static constexpr Size SIZE = SIZE_;
    static constexpr int R = R_, T = 128;                  // radius; threads = score columns
    static constexpr int B = SIZE == LARGE ? 8 : 4, P = B; // rows of a batch; columns of a task
    static constexpr Back BACK = BACK_;
    static constexpr Others OTHERS = OTHERS_;
    static constexpr bool others = OTHERS != ALONE;
    static constexpr bool sums = OTHERS == (R == 5 ? ALONE : PIXELS);  // may read sums and differences: see choose_others
    static constexpr bool maps = BACK != BOTH && OTHERS != NEIGHBOURS; // has memory, or registers, for a map of scores
    static constexpr int WIDTH = WIDTH_; // columns of a copy: 4, or 1 where rows are not aligned or not dense
    static constexpr int min_blocks = R > 5 || BACK == BOTH || (others && (WIDTH == 1 || SIZE == SMALL))
                                          ? 2
                                          : 3;               // a multiprocessor: bounds registers
    static constexpr int score_halo = BACK != NONE ? R : 0;  // the first score column is this far left of the first output column
    static constexpr int left = round_up(score_halo + R, 4); // columns in the ring left of the first output column
    static constexpr int offset = left - score_halo - R;     // score s reads ring columns s + offset .. s + offset + 2R
    static constexpr int out = BACK != NONE ? (T - 2 * R) / 4 * 4 : T;                    // output columns
    static constexpr int raw = odd_pitch(T + round_up(offset + 2 * R, 4));                // ring columns
    static constexpr int lag = BACK != NONE ? 2 * R : R;                                  // output row = newest input row - lag
    static constexpr int depth = round_up(2 * B + (BACK != NONE || others ? lag : 0), B); // ring rows: two batches and the delay
    static constexpr int pitch = odd_pitch(T), map = B * pitch;
    static constexpr int window = round_up(offset + P + 2 * R, 4), back_window = round_up(P + 2 * R, 4); // floats a task reads
    static constexpr int ring = depth * raw;                                                             // floats of one image
    static constexpr int group = B / (T / 32); // rows of a task of terms on neighbours: see strip_neighbours.cuh
    static constexpr int near = OTHERS == NEIGHBOURS ? (2 * B + 3 * B / group) * pitch + 8 : 0; // floats of what they keep
};

constexpr int kMaxOthers = 4; // terms beside 1 - SSIM

struct Args {
    View x, y, grad_x, grad_y, map;
    int64_t channels, h, w, strips, segments, rows;
    int64_t map_y0, map_y1, map_x0, map_x1;
    float taps_x[15], taps_y[15];
    float quarter[15], sixteenth[15]; // of taps_x: the kernel scores a quarter of both images, see strip_march.cuh
    double variance_factor;
    const double *base;                 // of sums and differences, which x and y then are, [planes][2]; NULL: of images
    int others;                         // terms beside 1 - SSIM, after it among the step's
    bool shifted;                       // subtract the tile's medians
    bool accumulate, dssim, neighbours; // neighbours: some of them look at neighbouring pixels
    bool contrast_structure;            // 1 - cs is scored
};

// With terms on neighbouring pixels: strip_neighbours.cu, for 11 taps, and for the gradient of pred or none. With other windows, both
// gradients or a map of scores these terms have a kernel of their own: build time is a budget.
constexpr int kNeighboursRadius = 5;
template <Back BACK>
void run_neighbours(Sequence &s, const Evaluation &e, const Step &step, Args &g);

} // namespace strip
} // namespace pxli
#endif
