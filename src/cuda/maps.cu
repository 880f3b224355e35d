// The general path: any windowed terms, statistics and blurs, by filtered maps in the workspace; see maps.cuh.
#include "maps.cuh"

namespace pxli {
namespace {

using namespace maps;

bool is_blur(const Evaluation &e, const Step &step) { return step.count == 1 && e.call->terms[step.term[0]].kind == PXL_BLUR; }

// The averaged blocks of a step, and their gradients.
struct Blocks {
    Pool pool;
    float *x, *y, *grad_pred, *grad_target; // gradients NULL: not wanted, or only counting
};
View blocks_view(const Pool &pool, float *data, pxl_dtype dtype) {
    const pxl_tensor tensor = pxl_nchw(data, dtype, PXL_CPU_DEVICE, pool.n, pool.c, pool.h, pool.w);
    return view_of(&tensor);
}
Blocks take_blocks(Sequence &s, const Evaluation &e, const Step &step, Plan &p) {
    const pxli_pass *pass = step.pass;
    Blocks b{};
    b.pool = {e.n, e.c, e.h, e.w, pass->h, pass->w, pass->factor, pass->block_offset};
    const int64_t count = e.n * e.c * pass->h * pass->w;
    b.x = s.take<float>(count), b.y = s.take<float>(count);
    double *const bases = s.take<double>(2 * e.n * e.c);
    p.images = {blocks_view(b.pool, b.x, PXL_F32), blocks_view(b.pool, b.y, PXL_F32), View{}, true, bases};
    if (p.backs & TO_PRED) b.grad_pred = s.take<float>(count), p.grad_pred = blocks_view(b.pool, b.grad_pred, PXL_F32);
    if (p.backs & TO_TARGET) b.grad_target = s.take<float>(count), p.grad_target = blocks_view(b.pool, b.grad_target, PXL_F32);
    run_bases(s, e, bases);
    run_average(s, b.pool, e.pred, e.target, bases, b.x, b.y);
    return b;
}

void plan_window(Sequence &s, const Evaluation &e, const Step &step, Plan &p) {
    const pxli_pass *pass = step.pass;
    Tiles &t = p.tiles;
    t.channels = e.c, t.h = pass->h, t.w = pass->w;
    t.map_y0 = pass->map_y0, t.map_y1 = pass->map_y1, t.map_x0 = pass->map_x0, t.map_x1 = pass->map_x1;
    p.border = pass->window->border, p.mostly_outside = pass->mostly_outside;
    p.x = given_axis(s, pass->radii.x, pass->taps_x), p.y = given_axis(s, pass->radii.y, pass->taps_y);
    p.backs = !step.gradients ? 0
                              : (e.grad_pred.data ? TO_PRED : 0) | (e.grad_target.data ? TO_TARGET : 0) | TO_SQUARES |
                                    (pass->covariance ? TO_PRODUCT : 0);
}
void plan_blur(Sequence &s, const Evaluation &e, const Step &step, Plan &p) {
    const pxli_window &window = e.call->terms[step.term[0]].window;
    Tiles &t = p.tiles;
    const bool crops = window.border == PXL_VALID;
    const int crop_y = crops ? window.y.taps / 2 : 0, crop_x = crops ? window.x.taps / 2 : 0;
    t.channels = e.c, t.h = e.h, t.w = e.w;
    t.map_y0 = crop_y, t.map_y1 = e.h - crop_y, t.map_x0 = crop_x, t.map_x1 = e.w - crop_x;
    p.border = window.border;
    gaussian_axes(s, window, p);
    p.backs = step.gradients ? TO_PRED : 0; // the target's gradient is its negative
}
void plan_folds(Sequence &s, Plan &p) {
    if (!p.backs) return;
    const auto border = static_cast<pxl_border>(p.border);
    p.x = folded(s, p.x, border, p.tiles.w), p.y = folded(s, p.y, border, p.tiles.h);
}

void run_tiles(Sequence &s, const Evaluation &e, const Step &step, Plan &p) {
    const int64_t most = p.at_once, patches = patches_of(score_patches(p));
    p.slots.first = s.take<float>(most * p.slots.first_slot), p.slots.second = s.take<float>(most * p.slots.second_slot);
    Finish f{};
    if (step.count && s.allows("score", p.count * patches)) f = finish_of(s, e, step, p.count * patches);
    for (int64_t tile = 0; tile < p.count; tile += s.counts() ? p.count : most) {
        const int64_t tiles = std::min(most, p.count - tile);
        p.slots.tile = tile, f.first = tile * patches;
        launch_along(s, p, tiles);
        launch_score(s, e, step, p, f, tiles);
        if (!p.backs) continue;
        launch_pull_down(s, p, tiles);
        launch_pull_along(s, step, p, tiles);
    }
}

} // namespace

void run_maps(Sequence &s, const Evaluation &e, const Step &step) {
    Plan p{};
    Blocks blocks{};
    const bool blur = is_blur(e, step), averaged = !blur && step.pass->factor > 1;
    p.images = {e.pred, e.target, e.weight, step.pass->reads_sums, e.call->base};
    p.grad_pred = e.grad_pred, p.grad_target = e.grad_target;
    blur ? plan_blur(s, e, step, p) : plan_window(s, e, step, p);
    if (averaged) blocks = take_blocks(s, e, step, p);
    set_tiles(p, e.n * e.c, blur ? 1 : step.pass->covariance ? 5 : 4, p.backs != 0);
    plan_folds(s, p);
    p.constants = s.take<Constants>(p.count);
    launch_constants(s, e, step, p);
    run_tiles(s, e, step, p);
    if (averaged && p.backs & TO_PRED) run_spread(s, blocks.pool, blocks.grad_pred, e.grad_pred, step.accumulate);
    if (averaged && p.backs & TO_TARGET) run_spread(s, blocks.pool, blocks.grad_target, e.grad_target, step.accumulate);
}

} // namespace pxli
