// 1 - SSIM and its gradient in one kernel: see strip_march.cuh. Here alone and with terms on single pixels; with terms on their
// neighbours, in a file of its own to be compiled at the same time: strip_neighbours.cu.
#include "strip_launch.cuh"

namespace pxli {
namespace strip {

template <int R, Back BACK>
void choose_others(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    if constexpr (R == kNeighboursRadius && BACK != BOTH)
        if (g.neighbours) return run_neighbours<BACK>(s, e, step, g);
    constexpr Others none = R == 5 ? ALONE : PIXELS; // the other radii are rare: one kernel for both
    g.others ? choose_width<R, BACK, PIXELS>(s, e, step, g) : choose_width<R, BACK, none>(s, e, step, g);
}
template <int R>
void choose_back(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    if (!step.gradients)
        choose_others<R, NONE>(s, e, step, g);
    else if (!e.grad_target.data)
        choose_others<R, PRED>(s, e, step, g);
    else
        choose_others<R, BOTH>(s, e, step, g);
}

bool is_on_neighbours(const pxli_call *call, int term) {
    const pxl_term_kind kind = call->terms[term].kind;
    return kind == PXL_SOBEL || kind == PXL_LAPLACIAN || kind == PXL_TV;
}
bool takes(const pxli_call *call, const Step &step, int term) {
    const pxl_term_kind kind = call->terms[term].kind;
    const bool both = step.gradients && call->args->grad_target;
    if (is_on_neighbours(call, term)) return step.pass->radius == kNeighboursRadius && !both && !step.pass->outputs;
    return pxli_is_on_pixels(kind);
}

Args args_of(const Evaluation &e, const Step &step) {
    const pxli_pass *pass = step.pass;
    Args g{};
    g.x = e.pred, g.y = e.target, g.grad_x = e.grad_pred, g.grad_y = e.grad_target;
    if (pass->outputs) g.map = view_of(e.call->args->map);
    g.channels = e.c, g.h = e.h, g.w = e.w;
    g.map_y0 = pass->map_y0, g.map_y1 = pass->map_y1, g.map_x0 = pass->map_x0, g.map_x1 = pass->map_x1;
    for (int k = 0; k <= 2 * pass->radius; k++) {
        g.taps_x[k] = static_cast<float>(pxli_tap(pass->taps_x, pass->radius, k));
        g.taps_y[k] = static_cast<float>(pxli_tap(pass->taps_y, pass->radius, k));
        g.quarter[k] = g.taps_x[k] / 4, g.sixteenth[k] = g.taps_x[k] / 16;
    }
    g.variance_factor = pass->variance_factor, g.base = e.call->base;
    g.contrast_structure = pass->mode == PXLI_SCORE_CONTRAST_STRUCTURE;
    g.others = step.count - 1, g.dssim = e.call->terms[step.term[0]].kind == PXL_DSSIM;
    for (int i = 1; i < step.count; i++) g.neighbours = g.neighbours || is_on_neighbours(e.call, step.term[i]);
    g.shifted = !pass->mostly_outside, g.accumulate = step.accumulate;
    return g;
}

} // namespace strip

bool strip_does(const pxli_call *call, const Step &step) {
    const pxli_pass *pass = step.pass;
    const bool folds = pxli_border_folds(pass->window->border) || pass->identity_x || pass->identity_y;
    const bool one_radius = pass->radii.y == pass->radii.x;
    const bool radius = pass->radius == 3 || pass->radius == 5 || pass->radius == 7;
    const bool scores = pass->mode == PXLI_SCORE_SSIM || pass->mode == PXLI_SCORE_CONTRAST_STRUCTURE;
    const bool outside = pass->reads_sums && pass->window->border == PXL_ZERO; // is not 0 there, but less the base
    if (!scores || !radius || !one_radius || folds || outside || pass->settles || pass->factor > 1 || call->args->weight)
        return false;
    if (pass->outputs && step.gradients && call->args->grad_target) return false; // no map is free for the scores
    if (step.count - pass->scored_count > strip::kMaxOthers) return false;
    for (int i = pass->scored_count; i < step.count; i++)
        if (!strip::takes(call, step, step.term[i])) return false;
    return true;
}

void run_strip(Sequence &s, const Evaluation &e, const Step &step) {
    strip::Args g = strip::args_of(e, step);
    switch (step.pass->radius) {
        case 3: strip::choose_back<3>(s, e, step, g); break;
        case 5: strip::choose_back<5>(s, e, step, g); break;
        default: strip::choose_back<7>(s, e, step, g); break;
    }
}

} // namespace pxli
