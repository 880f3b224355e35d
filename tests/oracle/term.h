// One term with every default filled in, by the oracle's own reading of the manual and of DEFINITIONS.md.
#ifndef ORACLE_TERM_H
#define ORACLE_TERM_H
#include <vector>

#include "pixloss/pixloss.h"

namespace oracle {

struct Term {
    pxl_term_kind kind = PXL_PIXEL;
    double weight = 1;
    pxl_reduction reduction = PXL_MEAN;
    pxl_penalty penalty = PXL_L2;
    double param = 0; // delta, beta, eps
    bool isotropic = false, own_counts = false, root = false, mean_of_images = false;
    int neighbours = 4;
    pxl_border border = PXL_ZERO;
    int window_y = 0, window_x = 0;  // taps down columns and along rows
    double sigma_y = 0, sigma_x = 0; // 0: uniform
    double k1 = 0.01, k2 = 0.03;
    double data_range = 0; // 0: that of the images' type
    bool sample_covariance = false;
    int downsample = 1;
    bool decimate = false;        // vmaf's way to downsample
    bool skip_short_axis = false; // vainf
    double alpha = 1, beta = 1, gamma = 1;
    bool without_luminance = false; // ssim: c s alone
    // ms_ssim
    std::vector<double> weights; // of the scales, the finest first
    bool as_many_as_fit = false;
    pxl_clamp clamp = PXL_CLAMP_EPS;
    enum class Halving { repeat_last, repeat_first, pad, drop } halving = Halving::repeat_last;
    bool mean_of_channels = false, crop = false;
};

Term resolve(const pxl_term &term);

inline bool is_windowed(pxl_term_kind kind) { return kind >= PXL_SSIM && kind != PXL_MS_SSIM; }

} // namespace oracle
#endif
