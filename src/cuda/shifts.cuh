// The constants c and d of a tile, u = (x - c) + (y - c) and v = (x - y) - d: medians of a few samples, which remove the
// cancellation in E[u^2] - E[u]^2. One pixel would do, but for an outlier at that very pixel.
#ifndef PXLI_SHIFTS_CUH
#define PXLI_SHIFTS_CUH
#include "view.cuh"

namespace pxli {

constexpr int kSamples = 9; // three by three

struct Samples {
    float sum[kSamples], difference[kSamples]; // x + y or half of it, x - y
};
struct Shifts {
    float c, d;
    bool exact; // x - y is rounded more coarsely than v: keep what rounding drops
};

// Where sample i of `size` pixels from `first` lies along an axis; i < 3.
__device__ inline int64_t sample_at(int64_t first, int64_t size, int i) { return first + size * (2 * i + 1) / 6; }

struct Sample {
    float a, b; // of the two images
};
__device__ inline Sample sample_of(const View &a, const View &b, int64_t image, int64_t channel, int64_t y, int64_t x) {
    return {load_pixel(a, row_of(a, image, channel, y) + x * a.stride[3]),
            load_pixel(b, row_of(b, image, channel, y) + x * b.stride[3])};
}

__device__ inline float median(float *a, int n) { // sorts; 0 of nothing
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && a[j] < a[j - 1]; j--) {
            const float t = a[j];
            a[j] = a[j - 1], a[j - 1] = t;
        }
    return n ? a[n / 2] : 0;
}
// Of those that are finite; the samples are used up.
__device__ inline Shifts shifts_of(Samples &s) {
    int n = 0;
    for (int i = 0; i < kSamples; i++) {
        const float sum = s.sum[i], difference = s.difference[i];
        if (sum - sum == 0 && difference - difference == 0) s.sum[n] = sum, s.difference[n++] = difference;
    }
    Shifts to;
    to.c = median(s.sum, n), to.d = median(s.difference, n);
    for (int i = 0; i < n; i++) s.difference[i] = fabsf(s.difference[i] - to.d);
    to.exact = fabsf(to.d) > 8 * median(s.difference, n);
    return to;
}

// (x - y) - difference, exactly (Knuth's two-sum)
__device__ __forceinline__ float rounded_off(float x, float y, float difference) {
    const float back = difference - x;
    return (x - (difference - back)) - (y + back);
}

} // namespace pxli
#endif
