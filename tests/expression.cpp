// From a public term to the expression that means it, by the manual's grammar.
#include <cmath>
#include <cstdio>

#include "cases.h"

namespace {

std::string number(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value == PXL_EXACT_ZERO ? 0 : value);
    return text;
}

const char *const penalties[] = {"", "l2", "l1", "huber", "smooth_l1", "charbonnier", "pseudo_huber", "log_cosh"};
const char *const borders[] = {"", "valid", "zero", "reflect", "replicate", "symmetric"};
const char *const normalizations[] = {"", "none", "imagenet", "lpips"};
const char *const clamps[] = {"", "eps", "relu", "simple", "none"};
const char *const precisions[] = {"", "f32", "tf32", "f16", "bf16"};
const char *const reductions[] = {"mean", "sum", "spatial"};

std::string kind_name(const pxl_term &term) {
    switch (term.kind) {
        case PXL_PIXEL: return term.penalty == PXL_L2 ? "mse" : term.penalty ? penalties[term.penalty] : "pixel";
        case PXL_SOBEL: return "sobel";
        case PXL_LAPLACIAN: return "laplacian";
        case PXL_TV: return "tv";
        case PXL_BLUR: return "blur";
        case PXL_RMSE: return "rmse";
        case PXL_PSNR: return "psnr";
        case PXL_SSIM: return "ssim";
        case PXL_DSSIM: return "dssim";
        case PXL_LUMINANCE: return "luminance";
        case PXL_MS_SSIM: return "ms_ssim";
        case PXL_CONTRAST: return "contrast";
        case PXL_STRUCTURE: return "structure";
        case PXL_FEATURES: return "features";
        case PXL_LPIPS: return "lpips";
        case PXL_STYLE: return "style";
        case PXL_COSINE: return "cosine";
        default: return "unknown";
    }
}

class Arguments {
  public:
    void flag(bool given, const std::string &name) {
        if (given) text_ += (text_.empty() ? "" : ", ") + name;
    }
    void field(bool given, const std::string &name, const std::string &value) { flag(given, name + "=" + value); }
    std::string in_parentheses() const { return text_.empty() ? "" : "(" + text_ + ")"; }

  private:
    std::string text_;
};

std::string parameter_name(const pxl_term &term) {
    if (term.kind == PXL_PSNR || term.kind == PXL_MS_SSIM || term.penalty == PXL_CHARBONNIER) return "eps";
    if (term.penalty == PXL_HUBER || term.penalty == PXL_PSEUDO_HUBER) return "delta";
    return term.penalty == PXL_SMOOTH_L1 ? "beta" : "eps"; // isotropic: charbonnier by default
}

void add_window(const pxl_term &term, Arguments &to) {
    to.field(term.preset, "preset", term.preset ? term.preset : "");
    to.field(term.border, "border", borders[term.border]);
    to.field(term.window, "window",
             std::to_string(term.window) + (term.window_x ? ":" + std::to_string(term.window_x) : std::string()));
    to.field(term.sigma > 0, "sigma", number(term.sigma) + (term.sigma_x > 0 ? ":" + number(term.sigma_x) : std::string()));
    to.flag(term.uniform, "uniform");
    to.field(term.k1 > 0, "k1", number(term.k1));
    to.field(term.k2 > 0, "k2", number(term.k2));
    to.field(term.data_range != 0, "data_range", term.data_range < 0 ? "auto" : number(term.data_range));
    to.flag(term.sample_covariance, "sample_covariance");
    to.field(term.downsample, "downsample", term.downsample < 0 ? "auto" : std::to_string(term.downsample));
    to.field(term.alpha > 0, "alpha", number(term.alpha));
    to.field(term.beta > 0, "beta", number(term.beta));
    to.field(term.gamma > 0, "gamma", number(term.gamma));
}

} // namespace

std::string expression(const pxl_term &term) {
    Arguments arguments;
    arguments.field(term.net, "net", term.net ? term.net : "");
    arguments.field(term.layers, "layers", term.layers ? term.layers : "");
    arguments.field(term.scales, "scales", term.scales < 0 ? "auto" : std::to_string(term.scales));
    arguments.field(term.weights, "weights", term.weights ? term.weights : "");
    arguments.field(term.clamp, "clamp", clamps[term.clamp]);
    arguments.flag(term.unit, "unit");
    arguments.field(term.normalize, "normalize", normalizations[term.normalize]);
    arguments.field(term.precision, "precision", precisions[term.precision]);
    arguments.flag(term.penalty && term.kind != PXL_PIXEL, penalties[term.penalty]);
    arguments.field(term.penalty_param > 0, parameter_name(term), number(term.penalty_param));
    arguments.flag(term.isotropic, "isotropic");
    arguments.flag(term.own_counts, "own_counts");
    arguments.flag(term.root, "root");
    arguments.field(term.neighbours, "neighbours", std::to_string(term.neighbours));
    arguments.flag(term.mean_of_images, "mean_of_images");
    add_window(term, arguments);
    arguments.field(term.reduction, "reduction", reductions[term.reduction]);
    return kind_name(term) + arguments.in_parentheses();
}

std::string expression(const std::vector<pxl_term> &terms) {
    std::string text;
    for (const pxl_term &term : terms) {
        // A leading minus belongs to the number; between terms it is the operator.
        text += text.empty() ? (term.weight < 0 ? "-" : "") : (term.weight < 0 ? " - " : " + ");
        text += number(std::fabs(term.weight)) + "*" + expression(term);
    }
    return text;
}
