// Averages of blocks of pixels, and their gradients back to the pixels.
//
// Blocks may reach out of the image, which is continued by its mirror image, edge pixel repeated (vmaf); pixels may lie in no
// block. An average is kept as the mean of (x - k) + (y - k) and that of (x - y) - gap, with what rounding x - y drops: means
// of x and y rounded one by one would lose their difference.
#include "maps.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256;

// One block of 32 threads for each plane.
__global__ void set_bases(const __grid_constant__ View pred, const __grid_constant__ View target, int64_t channels, int64_t h,
                          int64_t w, double *base) {
    PXLI_SHARED(Samples, samples, [1]);
    const int64_t plane = blockIdx.x, image = plane / channels, channel = plane % channels;
    const int i = threadIdx.x;
    if (i < kSamples) {
        const Sample s = sample_of(pred, target, image, channel, sample_at(0, h, i / 3), sample_at(0, w, i % 3));
        samples[0].sum[i] = s.a + s.b, samples[0].difference[i] = s.a - s.b;
    }
    __syncthreads();
    if (i != 0) return;
    const Shifts medians = shifts_of(samples[0]);
    base[2 * plane] = medians.c, base[2 * plane + 1] = medians.d;
}
__global__ void average(const __grid_constant__ Pool pool, const __grid_constant__ View pred, const __grid_constant__ View target,
                        const double *bases, int64_t first_row, int64_t per_row, float *sums, float *differences) {
    const int64_t row = first_row + blockIdx.x / per_row, plane = row / pool.h, y = row % pool.h;
    const int64_t x = blockIdx.x % per_row * kThreads + threadIdx.x, image = plane / pool.c, channel = plane % pool.c;
    if (x >= pool.w) return;
    const int f = pool.factor;
    const float k = static_cast<float>(bases[2 * plane]) / 2, gap = static_cast<float>(bases[2 * plane + 1]);
    float sum = 0, difference = 0;
    for (int64_t r = y * f - pool.offset; r < (y + 1) * f - pool.offset; r++) {
        const int64_t pixel_row = pxli_block_pixel(pool.image_h, r);
        const int64_t at_p = row_of(pred, image, channel, pixel_row), at_q = row_of(target, image, channel, pixel_row);
        for (int64_t c = x * f - pool.offset; c < (x + 1) * f - pool.offset; c++) {
            const int64_t column = pxli_block_pixel(pool.image_w, c);
            const float p = load_pixel(pred, at_p + column * pred.stride[3]),
                        q = load_pixel(target, at_q + column * target.stride[3]);
            const float e = p - q;
            sum += (p - k) + (q - k);
            difference += (e - gap) + rounded_off(p, q, e);
        }
    }
    const float unit = static_cast<float>(1.0 / (static_cast<double>(f) * f));
    sums[row * pool.w + x] = sum * unit, differences[row * pool.w + x] = difference * unit;
}

// Calls use(block) for every position of a block on this axis that reads pixel i.
template <class Use>
__device__ void each_reader(const Pool &pool, int64_t size, int64_t blocks, int64_t i, Use use) {
    const int64_t from = -pool.offset, to = blocks * pool.factor - pool.offset, period = 2 * size;
    for (int side = 0; side < 2; side++) {
        int64_t p = side ? -1 - i : i;
        while (p - period >= from) p -= period;
        while (p < from) p += period;
        for (; p < to; p += period) use((p + pool.offset) / pool.factor);
    }
}
__device__ float sum_of_row(const Pool &pool, const float *row, int64_t x) {
    float sum = 0;
    each_reader(pool, pool.image_w, pool.w, x, [&](int64_t block) { sum += row[block]; });
    return sum;
}
// Each pixel collects a share from every block that reads it, as often as the block does.
__global__ void spread(const __grid_constant__ Pool pool, const float *blocks, const __grid_constant__ View gradient,
                       int64_t first_row, int64_t per_row, bool accumulate) {
    const int64_t row = first_row + blockIdx.x / per_row, plane = row / pool.image_h, y = row % pool.image_h;
    const int64_t x = blockIdx.x % per_row * kThreads + threadIdx.x;
    if (x >= pool.image_w) return;
    const float unit = static_cast<float>(1.0 / (static_cast<double>(pool.factor) * pool.factor));
    float sum = 0;
    each_reader(pool, pool.image_h, pool.h, y,
                [&](int64_t block) { sum += sum_of_row(pool, blocks + (plane * pool.h + block) * pool.w, x); });
    sum *= unit;
    const int64_t at = row_of(gradient, plane / pool.c, plane % pool.c, y) + x * gradient.stride[3];
    store(gradient, at, accumulate ? load(gradient, at) + sum : sum);
}

// launch(first row, rows) for as many rows as a grid holds
template <class Launch>
void each_grid(int64_t rows, int64_t per_row, Launch launch) {
    const int64_t most = std::max((int64_t{1} << 30) / per_row, int64_t{1});
    for (int64_t first = 0; first < rows; first += most) launch(first, std::min(most, rows - first) * per_row);
}

} // namespace

void run_bases(Sequence &s, const Evaluation &e, double *base) {
    s.launch("set_bases", set_bases, {e.n * e.c, 32, 0}, e.pred, e.target, e.c, e.h, e.w, base);
}
void run_average(Sequence &s, const Pool &pool, const View &pred, const View &target, const double *bases, float *x, float *y) {
    const int64_t per_row = divide_up(pool.w, kThreads);
    each_grid(pool.n * pool.c * pool.h, per_row, [&](int64_t first, int64_t blocks) {
        s.launch("average", average, {blocks, kThreads, 0}, pool, pred, target, bases, first, per_row, x, y);
    });
}
void run_spread(Sequence &s, const Pool &pool, const float *blocks, const View &gradient, bool accumulate) {
    const int64_t per_row = divide_up(pool.image_w, kThreads);
    each_grid(pool.n * pool.c * pool.image_h, per_row, [&](int64_t first, int64_t count) {
        s.launch("spread", spread, {count, kThreads, 0}, pool, blocks, gradient, first, per_row, accumulate);
    });
}

} // namespace pxli
