// The list of terms.
#include <initializer_list>

#include "cases.h"

namespace {

constexpr pxl_penalty penalties[] = {PXL_L2, PXL_L1, PXL_HUBER, PXL_SMOOTH_L1, PXL_CHARBONNIER, PXL_PSEUDO_HUBER, PXL_LOG_COSH};
constexpr pxl_border borders[] = {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE};
constexpr pxl_border every_border[] = {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC};
constexpr pxl_reduction reductions[] = {PXL_MEAN, PXL_SUM, PXL_SPATIAL};

pxl_term term_of(pxl_term_kind kind) { return PXL_TERM(kind, 1); }

// Parameters that put the test images' differences on both sides of the kink.
double parameter(pxl_penalty penalty) {
    if (penalty == PXL_HUBER || penalty == PXL_PSEUDO_HUBER) return 0.125;
    if (penalty == PXL_SMOOTH_L1) return 0.25;
    return penalty == PXL_CHARBONNIER ? 0.02 : 0;
}

pxl_term charged(pxl_term term, pxl_penalty penalty) {
    term.penalty = penalty;
    term.penalty_param = parameter(penalty);
    return term;
}

class List {
  public:
    explicit List(std::vector<Spec> &specs) : specs_(specs) {}
    void family(const char *name) { family_ = name; }
    void add(const pxl_term &term) { specs_.push_back({family_, term}); }
    void add_reductions(pxl_term term) {
        for (const pxl_reduction reduction : reductions) {
            if (term.own_counts && reduction == PXL_SUM) continue; // sum divides by no count
            term.reduction = reduction;
            add(term);
        }
    }
    void add_penalties(const pxl_term &term) {
        add(term); // the map's own
        for (const pxl_penalty penalty : penalties) add(charged(term, penalty));
    }

  private:
    std::vector<Spec> &specs_;
    std::string family_;
};

void add_pixel(List &list) {
    list.family("pixel");
    list.add(term_of(PXL_PIXEL));
    for (const pxl_penalty penalty : penalties) list.add_reductions(charged(term_of(PXL_PIXEL), penalty));
    for (const pxl_penalty penalty : {PXL_HUBER, PXL_SMOOTH_L1, PXL_CHARBONNIER, PXL_PSEUDO_HUBER}) { // the default parameters
        pxl_term term = term_of(PXL_PIXEL);
        term.penalty = penalty;
        list.add(term);
    }
}

void add_stencils(List &list) {
    for (const pxl_border border : borders) {
        list.family("sobel");
        for (const int isotropic : {0, 1}) {
            pxl_term sobel = term_of(PXL_SOBEL);
            sobel.border = border, sobel.isotropic = isotropic;
            list.add_penalties(sobel);
            list.add_reductions(sobel);
        }
        list.family("laplacian");
        for (const int neighbours : {0, 4, 8}) {
            pxl_term laplacian = term_of(PXL_LAPLACIAN);
            laplacian.border = border, laplacian.neighbours = neighbours;
            list.add_penalties(laplacian);
            if (neighbours == 8) list.add_reductions(laplacian);
        }
    }
    pxl_term sobel = term_of(PXL_SOBEL), laplacian = term_of(PXL_LAPLACIAN); // the default border, then that of replicate
    for (const pxl_border border : {PXL_BORDER_DEFAULT, PXL_SYMMETRIC}) {
        list.family("sobel");
        sobel.border = laplacian.border = border;
        list.add(sobel);
        list.family("laplacian");
        list.add(laplacian);
    }
}

void add_tv(List &list) {
    list.family("tv");
    list.add_penalties(term_of(PXL_TV));
    list.add_reductions(term_of(PXL_TV));
    pxl_term own = term_of(PXL_TV), isotropic = term_of(PXL_TV);
    own.own_counts = 1, isotropic.isotropic = 1;
    list.add_penalties(own);
    list.add_reductions(charged(own, PXL_CHARBONNIER));
    list.add_penalties(isotropic);
    list.add_reductions(isotropic);
    for (const int of_images : {0, 1}) {
        pxl_term root = term_of(PXL_TV);
        root.root = 1, root.mean_of_images = of_images;
        list.add_reductions(root);
        root.own_counts = 1, root.penalty = PXL_L2;
        list.add(root);
    }
    for (pxl_term *of_images : {&own, &isotropic}) {
        of_images->mean_of_images = 1;
        list.add_reductions(*of_images);
    }
}

void add_blur(List &list) {
    list.family("blur");
    list.add(term_of(PXL_BLUR));
    const struct {
        int window;
        double sigma;
    } sizes[] = {{3, 0.8}, {11, 1.5}, {0, 2}, {21, 5}, {33, 4}, {35, 6}};
    for (const pxl_border border : every_border)
        for (const auto &size : sizes) {
            pxl_term blur = term_of(PXL_BLUR);
            blur.border = border, blur.window = size.window, blur.sigma = size.sigma;
            list.add(blur);
            if (size.window == 11 && border != PXL_SYMMETRIC) list.add_penalties(blur);
            if (size.window == 3) list.add_reductions(blur);
        }
}

void add_means(List &list) {
    list.family("mean");
    for (const int of_images : {0, 1}) {
        pxl_term rmse = term_of(PXL_RMSE), psnr = term_of(PXL_PSNR);
        rmse.mean_of_images = psnr.mean_of_images = of_images;
        list.add(rmse);
        psnr.weight = -1;
        list.add(psnr);
        psnr.penalty_param = 1e-2, psnr.data_range = 3;
        list.add(psnr);
    }
    pxl_term psnr = term_of(PXL_PSNR);
    psnr.data_range = PXL_FROM_DATA;
    list.add(psnr);
}

void add_presets(List &list) {
    list.family("presets");
    for (size_t i = 0; pxl_preset_name(i); ++i) {
        pxl_term term = term_of(PXL_SSIM);
        term.preset = pxl_preset_name(i);
        list.add(term);
        term.kind = PXL_DSSIM, term.data_range = 2;
        list.add(term);
    }
    pxl_term gaussian = term_of(PXL_SSIM), reflected = term_of(PXL_SSIM), wide = term_of(PXL_SSIM);
    gaussian.preset = "skimage", gaussian.sigma = 1.1;
    list.add(gaussian);
    reflected.preset = "vainf", reflected.border = PXL_REFLECT;
    list.add(reflected);
    wide.preset = "torchmetrics", wide.sigma = 2;
    list.add(wide);
}

void add_ssim(List &list) {
    list.family("ssim");
    list.add(term_of(PXL_SSIM));
    for (const pxl_border border : every_border) {
        for (const int window : {3, 7, 11, 15, 17, 33})
            for (const int uniform : {0, 1}) {
                pxl_term term = term_of(PXL_SSIM);
                term.border = border, term.window = window, term.uniform = uniform;
                term.sigma = uniform ? 0 : window / 6.0;
                list.add(term);
            }
        pxl_term term = term_of(PXL_SSIM);
        term.border = border, term.window = 7, term.sample_covariance = 1, term.k1 = 0.02, term.k2 = 0.05;
        list.add_reductions(term);
        term.data_range = 2.5, term.k1 = PXL_EXACT_ZERO;
        list.add(term);
    }
    for (const int factor : {1, 2, 3, 5}) {
        pxl_term term = term_of(PXL_SSIM);
        term.window = 3, term.sigma = 1, term.border = PXL_REFLECT, term.downsample = factor;
        list.add(term);
        term.preset = "vmaf";
        list.add(term);
    }
    for (const pxl_border border : {PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC}) { // valid does not fit the small shapes
        pxl_term widest = term_of(PXL_SSIM);
        widest.border = border, widest.window = 65, widest.uniform = border == PXL_REPLICATE;
        widest.sigma = widest.uniform ? 0 : 10;
        list.add(widest);
    }
}

void add_parts(List &list) {
    list.family("parts");
    for (const pxl_border border : every_border) {
        for (const pxl_term_kind kind : {PXL_LUMINANCE, PXL_CONTRAST, PXL_STRUCTURE})
            for (const int window : {0, 5, 19}) {
                pxl_term term = term_of(kind);
                term.border = border, term.window = window, term.uniform = window == 5;
                list.add(term);
            }
        for (const double exponent : {0.5, 2.0}) {
            pxl_term term = term_of(PXL_SSIM);
            term.border = border, term.window = 7;
            term.alpha = exponent;
            list.add(term);
            term.beta = 1.5;
            list.add(term);
            term.gamma = exponent;
            list.add(term);
        }
    }
    pxl_term term = term_of(PXL_SSIM);
    term.gamma = PXL_EXACT_ZERO, term.border = PXL_ZERO;
    list.add(term);
    pxl_term half = term_of(PXL_DSSIM);
    half.alpha = 0.7, half.border = PXL_REFLECT, half.window = 7;
    list.add(half);
}

// A window of its own along each axis.
void add_axes(List &list) {
    list.family("axes");
    const struct {
        int window, window_x;
        double sigma, sigma_x;
        bool uniform;
    } sizes[] = {{11, 5, 0, 0, false},     {3, 17, 0, 0, true},   {7, 7, 0.8, 2, false},
                 {11, 0, 1.5, 0.6, false}, {15, 11, 2, 0, false}, {5, 33, 1, 6, false}};
    for (const pxl_border border : borders)
        for (const auto &size : sizes) {
            pxl_term term = term_of(PXL_SSIM);
            term.border = border, term.uniform = size.uniform;
            term.window = size.window, term.window_x = size.window_x, term.sigma = size.sigma, term.sigma_x = size.sigma_x;
            list.add(term);
            if (size.uniform) term.sample_covariance = 1, list.add(term);
            if (size.window == 5) term.kind = PXL_CONTRAST, list.add(term);
            if (size.window == 11) term.kind = PXL_STRUCTURE, list.add(term);
            pxl_term blur = term_of(PXL_BLUR);
            blur.border = border, blur.window = size.window, blur.window_x = size.window_x;
            blur.sigma = size.sigma, blur.sigma_x = size.sigma_x;
            if (!size.uniform) list.add(charged(blur, size.window == 7 ? PXL_HUBER : PXL_L1));
        }
    for (const char *preset : {"vainf", "torchmetrics", "skimage", "vmaf"}) {
        pxl_term term = term_of(PXL_SSIM);
        term.preset = preset;
        if (preset == std::string("vainf") || preset == std::string("vmaf"))
            term.window = 15, term.window_x = 7;
        else
            term.sigma = 0.6, term.sigma_x = 1.3; // from which the taps follow
        list.add(term);
    }
    pxl_term scales = term_of(PXL_MS_SSIM), pooled = term_of(PXL_DSSIM);
    scales.window = 7, scales.window_x = 5, scales.scales = PXL_SCALES_AUTO;
    list.add(scales);
    scales.window = 3, scales.window_x = 9, scales.sigma = 0.6, scales.sigma_x = 1.5, scales.border = PXL_REFLECT;
    list.add(scales);
    pooled.window = 3, pooled.window_x = 5, pooled.downsample = 2, pooled.border = PXL_ZERO;
    list.add(pooled);
}

void add_scales(List &list) {
    list.family("ms_ssim");
    pxl_term term = term_of(PXL_MS_SSIM);
    term.window = 3, term.sigma = 0.8, term.scales = 2;
    list.add_reductions(term);
    for (const pxl_border border : every_border) {
        pxl_term bordered = term;
        bordered.border = border, bordered.scales = 3;
        list.add(bordered);
        bordered.window = 5, bordered.sigma = 0, bordered.uniform = 1, bordered.sample_covariance = 1;
        list.add(bordered);
    }
    for (const char *preset : {"wang", "vainf", "tf", "torchmetrics", "piq"}) {
        pxl_term of_preset = term;
        of_preset.preset = preset;
        if (preset == std::string("torchmetrics")) of_preset.window = 0, of_preset.sigma = 0.4; // takes its taps from sigma
        list.add(of_preset);
        of_preset.data_range = 2, of_preset.weights = "0.2:0.5";
        list.add(of_preset);
    }
    for (const pxl_clamp clamp : {PXL_CLAMP_EPS, PXL_CLAMP_RELU, PXL_CLAMP_SIMPLE}) {
        pxl_term clamped = term;
        clamped.clamp = clamp, clamped.weights = "0.1:2:0.4", clamped.scales = PXL_SCALES_AUTO;
        if (clamp == PXL_CLAMP_EPS) clamped.penalty_param = 0.3;
        list.add(clamped);
    }
}

std::vector<Spec> make_specs() {
    std::vector<Spec> specs;
    List list(specs);
    add_pixel(list);
    add_stencils(list);
    add_tv(list);
    add_blur(list);
    add_means(list);
    add_presets(list);
    add_ssim(list);
    add_parts(list);
    add_axes(list);
    add_scales(list);
    return specs;
}

} // namespace

const std::vector<Spec> &all_specs() {
    static const std::vector<Spec> specs = make_specs();
    return specs;
}

const std::vector<std::string> &all_families() {
    static const std::vector<std::string> families = {"pixel",   "sobel", "laplacian", "tv",   "blur",   "mean",
                                                      "presets", "ssim",  "parts",     "axes", "ms_ssim"};
    return families;
}

bool takes_mask(const pxl_term &term) { return term.kind != PXL_MS_SSIM && oracle::resolve(term).downsample == 1; }

std::vector<pxl_term> specs_of(const std::string &family) {
    std::vector<pxl_term> terms;
    for (const Spec &spec : all_specs())
        if (spec.family == family) terms.push_back(spec.term);
    return terms;
}
