// MS-SSIM on the device: halves the images, runs the structure step on each scale, weighs the scales, and adds their gradients up from
// coarse to fine, all without waiting. See ../scales.h.
#include "pyramid.cuh"

namespace pxli {
namespace {

using namespace pyramid;

struct Run {
    Sequence &s;
    const Evaluation &e;
    pxli_pyramid p;
    double *products; // [planes]
};
Planes planes_of(const Run &r, int j) { return {r.e.c, r.e.n * r.e.c, r.p.scale[j].h, r.p.scale[j].w}; }

// The pyramid's memory. One that only counts has addresses, too: a tensor without one is not wanted.
Run lay_out(Sequence &s, const Evaluation &e, int i) {
    Run r = {s, e, {}, nullptr};
    pxli_arena counted{};
    pxli_pyramid_layout(e.call, i, &r.p, &counted);
    char *const memory = s.take<char>(static_cast<int64_t>(counted.used));
    pxli_arena arena = {memory ? reinterpret_cast<uintptr_t>(memory) : uintptr_t{PXLI_ALIGN}, 0};
    pxli_pyramid_layout(e.call, i, &r.p, &arena);
    r.products = s.take<double>(e.n * e.c);
    return r;
}

void halve_all(const Run &r) {
    run_bases(r.s, r.e, r.p.base);
    for (int j = 1; j < r.p.count; j++) {
        const pxli_scale &finer = r.p.scale[j - 1], &to = r.p.scale[j];
        Halving g{};
        g.planes = planes_of(r, j), g.images = j == 1, g.base = r.p.base;
        g.x = g.images ? r.e.pred : view_of(&finer.sum), g.y = g.images ? r.e.target : view_of(&finer.difference);
        g.sum = view_of(&to.sum), g.difference = view_of(&to.difference);
        g.rows = to.rows, g.columns = to.columns;
        launch_halve(r.s, g);
    }
}

void set_range(const Run &r, int j) {
    if (j == 0 && r.e.terms.range) launch_copy_range(r.s, r.e.terms, r.p.index, r.p.range);
    if (j == 0 || !r.p.extremes) return;
    const size_t mark = r.s.mark();
    Extremes g{};
    g.planes = planes_of(r, j), g.sum = view_of(&r.p.scale[j].sum), g.difference = view_of(&r.p.scale[j].difference);
    g.base = r.p.base, g.parts = parts_of(g.planes), g.found = r.s.take<double>(4 * g.planes.count * g.parts);
    launch_extremes(r.s, g);
    launch_range(r.s, g, r.e.terms, r.p.range);
    r.s.release(mark);
}
// The one term of a scale's call: its planes are summed apart, and its gradient has all factors but the scale's own slope.
Terms terms_of(const Run &r, int j) {
    Terms t = r.e.terms;
    t.count = 1, t.groups = r.e.n * r.e.c, t.sums = r.p.scale[j].loss, t.values = nullptr;
    t.weights = t.weights ? t.weights + r.p.index : nullptr;
    t.norm = t.scale = t.own = nullptr, t.range = t.range ? r.p.range : nullptr;
    t.term[0] = r.e.terms.term[r.p.index], t.term[0].norm /= r.p.scale[j].area;
    return t;
}
void run_scale(Run &r, int j) {
    pxli_call call;
    pxli_pass pass;
    pxli_plan_scale(r.e.call, &r.p, j, &pass, &call);
    r.p.scale[j].area = static_cast<double>(pass.map_y1 - pass.map_y0) * static_cast<double>(pass.map_x1 - pass.map_x0);
    Evaluation e = r.e;
    e.call = &call, e.terms = terms_of(r, j);
    e.pred = view_of(call.args->pred), e.target = view_of(call.args->target);
    set_unit(e.target, call.target_unit);
    e.grad_pred = view_of(call.args->grad_pred), e.grad_target = view_of(call.args->grad_target);
    e.h = call.h, e.w = call.w;
    Step step{};
    step.pass = &pass, step.count = 1, step.gradients = pass.gradients;
    step.kind = strip_does(&call, step) ? Step::STRIP : Step::MAPS;
    run_step(r.s, e, step);
}

void multiply(const Run &r, bool values) {
    Multiplying m{};
    m.product = r.p.product, m.products = r.products, m.term = r.p.index, m.values = values;
    m.together = r.p.term->scales.mean_of_channels ? static_cast<int>(r.e.c) : 1;
    m.gradients = r.e.grad_pred.data || r.e.grad_target.data;
    for (int j = 0; j < r.p.count; j++)
        m.area[j] = r.p.scale[j].area, m.loss[j] = r.p.scale[j].loss, m.slope[j] = r.p.scale[j].slope;
    launch_multiply(r.s, r.e.terms, m);
}
// The finest scale's go to the call's gradients.
Weighing weighing_of(const Run &r, int j) {
    const pxli_scale *s = &r.p.scale[j], *coarser = j + 1 < r.p.count ? s + 1 : nullptr;
    Weighing g{};
    g.planes = planes_of(r, j), g.slope = s->slope, g.has_coarser = coarser != nullptr;
    g.own[0] = view_of(&s->grad_pred), g.own[1] = view_of(&s->grad_target);
    g.to[0] = j ? g.own[0] : r.e.grad_pred, g.to[1] = j ? g.own[1] : r.e.grad_target;
    if (!coarser) return g;
    g.coarser[0] = view_of(&coarser->grad_pred), g.coarser[1] = view_of(&coarser->grad_target);
    g.rows = coarser->rows, g.columns = coarser->columns;
    g.coarser_slope = j + 2 == r.p.count ? coarser->slope : nullptr;
    return g;
}
void weigh(const Run &r, const Step &riding, bool add) {
    if (!r.e.grad_pred.data && !r.e.grad_target.data) return;
    for (int j = r.p.count - 2; j > 0; j--) launch_weigh(r.s, weighing_of(r, j));
    Weighing finest = weighing_of(r, 0);
    finest.add = add;
    if (riding.count)
        launch_weigh_and_charge(r.s, r.e, riding, finest);
    else
        launch_weigh(r.s, finest);
}

void run_pyramid(Sequence &s, const Evaluation &e, int i, const Step &riding, bool add) {
    const size_t mark = s.mark();
    Run r = lay_out(s, e, i);
    halve_all(r);
    for (int j = 0; j < r.p.count; j++) set_range(r, j), run_scale(r, j);
    multiply(r, i + 1 == e.call->pyramids && !e.call->walks && !riding.count);
    weigh(r, riding, add);
    s.release(mark);
}

} // namespace

void run_pyramids(Sequence &s, const Evaluation &e, const Step &riding, bool written) {
    for (int i = 0; i < e.call->pyramids; i++)
        run_pyramid(s, e, i, i + 1 == e.call->pyramids ? riding : Step{}, written || i > 0);
}

} // namespace pxli
