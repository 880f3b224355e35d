// Terms with parameters that the list has not: any window, sigma, border and exponent, in any combination that the manual allows.
#include <cmath>

#include "cases.h"

namespace {

int draw(std::mt19937 &random, int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); }
bool one_in(std::mt19937 &random, int n) { return draw(random, n) == 0; }
// A number with few digits, so that an expression states it exactly.
double between(std::mt19937 &random, double low, double high) {
    return std::round((low + (high - low) * draw(random, 1001) / 1000) * 1024) / 1024;
}
pxl_border border(std::mt19937 &random) { return static_cast<pxl_border>(1 + draw(random, 5)); }
pxl_reduction reduction(std::mt19937 &random) {
    return one_in(random, 4) ? static_cast<pxl_reduction>(1 + draw(random, 2)) : PXL_MEAN;
}

void draw_penalty(pxl_term &term, std::mt19937 &random) {
    term.penalty = static_cast<pxl_penalty>(PXL_L2 + draw(random, 7));
    if (term.penalty != PXL_L1 && term.penalty != PXL_L2 && term.penalty != PXL_LOG_COSH)
        term.penalty_param = between(random, 0.02, 0.5);
}
void draw_root(pxl_term &term, std::mt19937 &random) {
    term.root = one_in(random, 4);
    if (term.root) term.penalty = PXL_L2, term.penalty_param = 0;
}
void draw_map(pxl_term &term, std::mt19937 &random) {
    static constexpr pxl_term_kind kinds[] = {PXL_PIXEL, PXL_SOBEL, PXL_LAPLACIAN, PXL_TV, PXL_BLUR};
    term.kind = kinds[draw(random, 5)];
    term.reduction = reduction(random);
    draw_penalty(term, random);
    if (term.kind == PXL_SOBEL || term.kind == PXL_TV) term.isotropic = one_in(random, 3);
    if (term.kind == PXL_TV && !term.isotropic && term.reduction == PXL_MEAN) term.own_counts = one_in(random, 3);
    if (term.kind == PXL_TV && !term.isotropic) draw_root(term, random);
    if (term.kind == PXL_TV) term.mean_of_images = one_in(random, 3);
    if (term.kind == PXL_LAPLACIAN) term.neighbours = one_in(random, 2) ? 8 : 4;
    if (term.kind != PXL_PIXEL && term.kind != PXL_TV) term.border = border(random);
    if (term.kind != PXL_BLUR) return;
    term.sigma = between(random, 0.3, one_in(random, 4) ? 9 : 2);
    if (one_in(random, 3)) term.sigma_x = between(random, 0.3, 3);
    if (one_in(random, 4)) term.window = 3 + 2 * draw(random, 12), term.window_x = 3 + 2 * draw(random, 12);
}
void draw_exponents(pxl_term &term, std::mt19937 &random) {
    term.alpha = between(random, 0.5, 1.5), term.beta = between(random, 0.5, 1.5), term.gamma = between(random, 0.5, 1.5);
}
void draw_window(pxl_term &term, std::mt19937 &random) {
    static constexpr pxl_term_kind kinds[] = {PXL_SSIM, PXL_SSIM, PXL_DSSIM, PXL_LUMINANCE, PXL_CONTRAST, PXL_STRUCTURE};
    term.kind = kinds[draw(random, 6)];
    term.reduction = reduction(random);
    term.border = border(random);
    term.uniform = one_in(random, 3);
    term.window = 3 + 2 * draw(random, one_in(random, 3) ? 32 : 6);
    if (one_in(random, 3)) term.window_x = 3 + 2 * draw(random, one_in(random, 3) ? 32 : 6);
    if (!term.uniform && one_in(random, 2)) term.sigma = between(random, 0.4, 4.4);
    if (term.sigma > 0 && one_in(random, 3)) term.sigma_x = between(random, 0.4, 4.4);
    term.sample_covariance = one_in(random, 3);
    if (one_in(random, 4)) term.data_range = between(random, 0.5, 3.5);
    if (one_in(random, 5)) term.downsample = 2 + draw(random, 3);
    if (term.kind == PXL_SSIM && one_in(random, 4)) draw_exponents(term, random);
}

void draw_scales(pxl_term &term, std::mt19937 &random) {
    static const char *const presets[] = {nullptr, "wang", "vainf", "tf", "piq"};
    term.kind = PXL_MS_SSIM;
    term.preset = presets[draw(random, 5)];
    term.reduction = reduction(random);
    term.border = term.preset ? PXL_BORDER_DEFAULT : border(random);
    term.window = 3 + 2 * draw(random, 6);
    if (one_in(random, 2)) term.sigma = between(random, 0.4, 2);
    if (one_in(random, 3)) term.window_x = 3 + 2 * draw(random, 6);
    if (term.sigma > 0 && one_in(random, 3)) term.sigma_x = between(random, 0.4, 2);
    term.scales = one_in(random, 2) ? PXL_SCALES_AUTO : 1 + draw(random, 4);
    if (one_in(random, 3)) term.weights = "0.25:0.5:0.125:0.75";
    if (one_in(random, 3)) term.data_range = between(random, 0.5, 3.5);
}

} // namespace

pxl_term random_term(std::mt19937 &random) {
    pxl_term term = PXL_TERM(PXL_PIXEL, 1);
    if (one_in(random, 9))
        draw_scales(term, random);
    else
        one_in(random, 2) ? draw_map(term, random) : draw_window(term, random);
    return term;
}
