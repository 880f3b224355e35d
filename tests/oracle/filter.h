// Direct two-dimensional filters: every output is a sum over a full window, read through the border's index function, and every
// adjoint scatters through the same function. No separability, no folding, no shortcuts.
#ifndef ORACLE_FILTER_H
#define ORACLE_FILTER_H
#include "image.h"
#include "pixloss/pixloss.h"

namespace oracle {

// Where sample i of an axis of n samples is read: itself inside; outside -1 (reads 0) for zero and valid, the mirror image
// without the edge (as often as it takes) for reflect, with it for symmetric, the nearest edge for replicate.
int64_t border_index(pxl_border border, int64_t i, int64_t n);
// The mirror image with the edge repeated (cba|abcd|dcb).
int64_t symmetric_index(int64_t i, int64_t n);

struct Kernel {
    int h = 0, w = 0;
    std::vector<double> v; // h x w; applied as a correlation: output(y, x) = sum of v(i, j) * input(y + i - h/2, x + j - w/2)
};
Kernel sobel_x();
Kernel sobel_y();
Kernel laplacian(int neighbours);
std::vector<double> gaussian_taps(int taps, double sigma); // sums to 1, centred on (taps - 1) / 2
std::vector<double> uniform_taps(int taps);
Kernel outer(const std::vector<double> &vertical, const std::vector<double> &horizontal);
Kernel absolute(Kernel kernel);
int default_taps(double sigma); // 2 int(3.5 sigma + 0.5) + 1

// H' x W' of the result: that of the image, or whole windows only.
int64_t filtered_size(int64_t n, int taps, pxl_border border);
// The first sample under the window of output 0, relative to sample 0.
int64_t first_sample(int taps, pxl_border border);
Image filter(const Image &image, const Kernel &kernel, pxl_border border);
// `sizes` gives H and W of the result.
Image filter_adjoint(const Image &grad_output, const Kernel &kernel, pxl_border border, const Image &sizes);

// Averages over blocks of factor x factor whole pixels (piq: torch's avg_pool2d), or, `decimate`, over blocks centred on the
// multiples of the factor with a symmetric border (libvmaf, iqa/decimate.c).
Image pool(const Image &image, int factor, bool decimate);
Image pool_adjoint(const Image &grad_output, int factor, bool decimate, const Image &sizes);

} // namespace oracle
#endif
