#include "term.h"

#include <cstring>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>

#include "filter.h"

namespace oracle {
namespace {

struct Preset {
    const char *name;
    pxl_border border;
    int window; // 0: from sigma
    double sigma;
    bool uniform, sample_covariance;
    int downsample;
    double data_range;
    bool skip_short_axis, decimate, gaussian_from_sigma;
};

const Preset presets[] = {
    {"wang", PXL_VALID, 11, 1.5, false, false, 1, 0, false, false, false},
    {"vainf", PXL_VALID, 11, 1.5, false, false, 1, 0, true, false, false},
    {"skimage", PXL_VALID, 7, 0, true, true, 1, 0, false, false, true},
    {"tf", PXL_VALID, 11, 1.5, false, false, 1, 0, false, false, false},
    {"torchmetrics", PXL_REFLECT, 0, 1.5, false, false, 1, PXL_FROM_DATA, false, false, true},
    {"piq", PXL_VALID, 11, 1.5, false, false, PXL_DOWNSAMPLE_AUTO, 0, false, false, false},
    {"kornia", PXL_REFLECT, 11, 1.5, false, false, 1, 0, false, false, false},
    {"fused-ssim", PXL_ZERO, 11, 1.5, false, false, 1, 0, false, false, false},
    {"seed", PXL_ZERO, 11, 1.5, false, false, 1, 0, false, false, false},
    {"monai", PXL_VALID, 7, 0, true, true, 1, 0, false, false, true},
    {"vmaf", PXL_VALID, 11, 1.5, false, false, PXL_DOWNSAMPLE_AUTO, 0, false, true, false},
};

const Preset &find_preset(const char *name) {
    for (const Preset &preset : presets)
        if (std::strcmp(preset.name, name ? name : "wang") == 0) return preset;
    throw std::invalid_argument("the oracle knows no preset of this name");
}

double or_default(double value, double otherwise) { return value == PXL_EXACT_ZERO ? 0 : value == 0 ? otherwise : value; }

// What each axis is given; along rows the same as down columns unless it is given on its own.
struct Given {
    int window;
    double sigma;
};
Given given_down(const pxl_term &from) { return {from.window, from.sigma}; }
Given given_along(const pxl_term &from) {
    return {from.window_x ? from.window_x : from.window, from.sigma_x > 0 ? from.sigma_x : from.sigma};
}

void resolve_axis(const Preset &preset, bool uniform, const Given &given, int &window, double &sigma) {
    sigma = uniform ? 0 : given.sigma > 0 ? given.sigma : preset.uniform ? 0 : preset.sigma;
    const bool taps_from_sigma = preset.gaussian_from_sigma && sigma > 0;
    window = given.window ? given.window : taps_from_sigma ? default_taps(sigma) : preset.window;
}
void resolve_window(const pxl_term &from, Term &to) {
    const Preset &preset = find_preset(from.preset);
    to.border = from.border ? from.border : preset.border;
    resolve_axis(preset, from.uniform, given_down(from), to.window_y, to.sigma_y);
    resolve_axis(preset, from.uniform, given_along(from), to.window_x, to.sigma_x);
    to.k1 = or_default(from.k1, 0.01), to.k2 = or_default(from.k2, 0.03);
    to.data_range = from.data_range != 0 ? from.data_range : preset.data_range;
    to.sample_covariance = from.sample_covariance || preset.sample_covariance;
    to.downsample = from.downsample ? from.downsample : preset.downsample;
    to.decimate = preset.decimate, to.skip_short_axis = preset.skip_short_axis && to.border == PXL_VALID;
    to.alpha = or_default(from.alpha, 1), to.beta = or_default(from.beta, 1), to.gamma = or_default(from.gamma, 1);
}

void resolve_blur(const Given &given, int &window, double &sigma) {
    sigma = given.sigma > 0 ? given.sigma : 1.5;
    window = given.window ? given.window : default_taps(sigma);
}

std::vector<double> weights_in(const char *text) {
    std::vector<double> weights;
    std::istringstream numbers(text);
    for (std::string number; std::getline(numbers, number, ':');) weights.push_back(std::stod(number));
    return weights;
}
void resolve_scales(const pxl_term &from, Term &to) {
    const std::string preset = from.preset ? from.preset : "";
    to.weights = weights_in(from.weights ? from.weights : "0.0448:0.2856:0.3001:0.2363:0.1333");
    const bool truncated = from.scales > 0 && from.scales < static_cast<int>(to.weights.size());
    if (truncated) to.weights.resize(static_cast<size_t>(from.scales));
    if (truncated || (preset == "piq" && from.weights)) {
        const double sum = std::accumulate(to.weights.begin(), to.weights.end(), 0.0);
        for (double &weight : to.weights) weight /= sum;
    }
    to.as_many_as_fit = from.scales == PXL_SCALES_AUTO;
    to.clamp = from.clamp ? from.clamp : preset.empty() || from.penalty_param > 0 ? PXL_CLAMP_EPS : PXL_CLAMP_RELU;
    to.param = from.penalty_param > 0 ? from.penalty_param : 1e-4;
    to.halving = preset == "vainf"          ? Term::Halving::pad
                 : preset == "piq"          ? Term::Halving::repeat_first
                 : preset == "torchmetrics" ? Term::Halving::drop
                                            : Term::Halving::repeat_last;
    to.mean_of_channels = to.crop = preset == "torchmetrics";
    to.downsample = 1, to.skip_short_axis = false;
}

pxl_penalty default_penalty(const pxl_term &term) {
    if (term.penalty) return term.penalty;
    if (term.root) return PXL_L2;
    if (term.isotropic) return PXL_CHARBONNIER;
    return term.kind == PXL_PIXEL || term.kind == PXL_BLUR ? PXL_L2 : PXL_L1;
}

} // namespace

Term resolve(const pxl_term &from) {
    Term to;
    to.kind = from.kind, to.weight = from.weight, to.reduction = from.reduction;
    to.penalty = default_penalty(from);
    to.param = from.penalty_param > 0 ? from.penalty_param : to.penalty == PXL_CHARBONNIER ? 1e-3 : 1;
    if (from.kind == PXL_PSNR) to.param = from.penalty_param;
    to.isotropic = from.isotropic, to.own_counts = from.own_counts, to.root = from.root, to.mean_of_images = from.mean_of_images;
    to.neighbours = from.neighbours ? from.neighbours : 4;
    to.data_range = from.data_range;
    if (is_windowed(from.kind) || from.kind == PXL_MS_SSIM) {
        resolve_window(from, to);
        if (from.kind == PXL_MS_SSIM) resolve_scales(from, to);
    } else {
        to.border = from.border ? from.border : PXL_ZERO;
        resolve_blur(given_down(from), to.window_y, to.sigma_y);
        resolve_blur(given_along(from), to.window_x, to.sigma_x);
    }
    return to;
}

} // namespace oracle
