// A call on the device: its passes become steps, and what depends on data (sums of weights, ranges, mean squares) is computed
// there too, without waiting. Where nothing depends on data, every step finds norms and ranges in its parameters.
#include "evaluate.cuh"

#include "layers.cuh"
extern "C" {
#include "../network/walk.h"
}

namespace pxli {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxCrops = PXLI_MAX_TERMS + 2;

// ---- Steps --------------------------------------------------------------------------------------------------------------
constexpr int kMaxSteps = 2 * PXLI_MAX_PASSES + PXLI_MAX_TERMS;
struct Steps {
    int count;
    Step step[kMaxSteps];
};

Step &add_step(Steps &steps, Step::Kind kind, const pxli_pass *pass) {
    Step &step = steps.step[steps.count++];
    step = Step{};
    step.kind = kind, step.pass = pass, step.gradients = pass->gradients;
    return step;
}
// The pass's residual terms: all but blurs.
void add_residual(const pxli_call *call, const pxli_pass *pass, Step &step) {
    for (int i = 0; i < pass->residual_count; i++)
        if (call->terms[pass->residual[i]].kind != PXL_BLUR) step.term[step.count++] = pass->residual[i];
}
void add_scored(const pxli_pass *pass, Step &step) {
    for (int i = 0; i < pass->scored_count; i++) step.term[step.count++] = pass->scored[i];
}
void add_steps(const pxli_call *call, const pxli_pass *pass, Steps &steps) {
    Step residual{}, strip{};
    strip.kind = Step::STRIP, residual.pass = strip.pass = pass, strip.gradients = pass->gradients;
    add_residual(call, pass, residual);
    add_scored(pass, strip);
    add_residual(call, pass, strip);
    const bool folds = pass->window && strip_does(call, strip);
    if (residual.count && !folds) add_residual(call, pass, add_step(steps, Step::RESIDUAL, pass));
    for (int i = 0; i < pass->residual_count; i++) {
        if (call->terms[pass->residual[i]].kind != PXL_BLUR) continue;
        Step &blur = add_step(steps, Step::MAPS, pass);
        blur.term[blur.count++] = pass->residual[i];
    }
    if (!pass->window) return;
    if (!folds) strip.count = pass->scored_count;
    Step &scored = add_step(steps, folds || strip_does(call, strip) ? Step::STRIP : Step::MAPS, pass);
    for (int i = 0; i < strip.count; i++) scored.term[scored.count++] = strip.term[i];
}
// The pass that rides, if there is one: see plan.h.
Step riding_of(const pxli_call *call) {
    Step step{};
    if (!pxli_rides(call)) return step;
    step.kind = Step::RESIDUAL, step.pass = &call->pass[0], step.gradients = true, step.last = !call->walks;
    add_residual(call, step.pass, step);
    return step;
}
Steps steps_of(const pxli_call *call) {
    Steps steps{};
    for (int p = pxli_rides(call); p < call->passes; p++) add_steps(call, &call->pass[p], steps);
    if (steps.count && !call->pyramids && !call->walks) steps.step[steps.count - 1].last = true;
    if (call->statistics.window) add_step(steps, Step::MAPS, &call->statistics);
    bool written = call->args->accumulate;
    for (int i = 0; i < steps.count; i++) {
        steps.step[i].accumulate = written;
        written = written || steps.step[i].gradients;
    }
    return steps;
}

// ---- What is known before the call -----------------------------------------------------------------------------------------
double range_of_dtype(pxl_dtype dtype) { return dtype == PXL_U8 ? 255 : dtype == PXL_U16 ? 65535 : 1; }
bool is_per_image(const pxl_args *args, const pxli_term &term) { return args->per_image || term.mean_of_images; }

Term term_of(const pxli_call *call, int k) {
    const pxli_term &from = call->terms[k];
    const bool function = pxli_is_function(&from);
    const double area = pxli_crop_area(pxli_crop_of(call, k)), pixels = static_cast<double>(call->h) * call->w;
    Term t{};
    t.kind = from.kind, t.penalty = function ? PXL_L2 : from.penalty, t.reduction = from.reduction;
    t.border = pxli_stencil_border(from.window.border), t.neighbours = static_cast<unsigned char>(from.neighbours);
    t.isotropic = from.isotropic, t.own_counts = from.own_counts, t.mean_of_images = from.mean_of_images, t.root = from.root;
    t.param = static_cast<float>(from.param), t.eps = from.param, t.weight = from.weight;
    t.alpha = static_cast<float>(from.alpha), t.beta = static_cast<float>(from.beta), t.gamma = static_cast<float>(from.gamma);
    t.k1 = from.window.k1, t.k2 = from.window.k2;
    t.range = from.window.data_range != 0 ? from.window.data_range : range_of_dtype(call->args->pred->dtype);
    t.norm = pxli_norm(from.kind, from.reduction, is_per_image(call->args, from) ? area : area * call->n, call->c);
    t.own[0] = call->w > 1 ? pixels / (static_cast<double>(call->h) * (call->w - 1)) : 0;
    t.own[1] = call->h > 1 ? pixels / (static_cast<double>(call->h - 1) * call->w) : 0;
    return t;
}
Terms terms_of(const pxli_call *call) {
    const pxl_args *args = call->args;
    Terms t{};
    t.count = call->count, t.images = call->n, t.channels = static_cast<int>(call->c), t.per_image = args->per_image;
    t.weights = args->term_weights, t.upstream = args->grad_loss, t.values = args->values, t.values_f32 = args->values_f32;
    bool each = args->per_image;
    for (int k = 0; k < call->count; k++) {
        t.term[k] = term_of(call, k);
        each = each || t.term[k].mean_of_images;
    }
    t.groups = each ? call->n : 1;
    return t;
}

// ---- What depends on data --------------------------------------------------------------------------------------------------
struct Counts { // sums of weights over the crops of the call, [crop][images]; NULL: no weights
    double *sum;
    int crop_of_term[PXLI_MAX_TERMS], crop_of_component[2];
};
struct Extremes { // of pred and target, [images] or [1]; NULL: no data_range depends on them
    double *min_pred, *max_pred, *min_target, *max_target;
};

// Of every `step`-th of an array; ends with a barrier.
__device__ double total_of(const double *from, int step, int64_t images, double *scratch, double *shared) {
    double sum = 0;
    for (int64_t n = threadIdx.x; n < images; n += kThreads) sum += from[n * step];
    sum = block_sum<kThreads>(sum, scratch);
    if (threadIdx.x == 0) shared[0] = sum;
    __syncthreads();
    return shared[0];
}
__device__ double range_from(const Extremes &x, int64_t i) {
    return pxli_range_of(x.min_pred[i], x.max_pred[i], x.min_target[i], x.max_target[i]);
}

// One block. Fills norm, own and range.
__global__ void set_norms(const __grid_constant__ Terms t, const __grid_constant__ Counts counts,
                          const __grid_constant__ Extremes extremes) {
    PXLI_SHARED(double, scratch, [kThreads / 32]);
    PXLI_SHARED(double, total, [1]);
    for (int k = 0; k < t.count; k++) {
        const Term &term = t.term[k];
        const bool each = t.per_image || term.mean_of_images;
        const double *mine = counts.sum ? counts.sum + counts.crop_of_term[k] * t.images : nullptr;
        const double all = mine ? total_of(mine, 1, t.images, scratch, total) : 0;
        for (int64_t n = threadIdx.x; n < t.images; n += kThreads) {
            const double count = each ? (mine ? mine[n] : 0) : all;
            const int64_t at = n * t.count + k;
            t.norm[at] = mine ? pxli_norm(term.kind, term.reduction, count, t.channels) : term.norm;
            t.range[at] = term.range == PXL_FROM_DATA ? range_from(extremes, t.per_image ? n : 0) : term.range;
            t.own[2 * at] = term.own[0], t.own[2 * at + 1] = term.own[1];
        }
        for (int q = 0; q < 2 && mine && term.own_counts; q++) {
            const double *component = counts.sum + counts.crop_of_component[q] * t.images;
            const double own = total_of(component, 1, t.images, scratch, total);
            for (int64_t n = threadIdx.x; n < t.images; n += kThreads) {
                const double less = each ? component[n] : own, more = each ? mine[n] : all;
                t.own[2 * (n * t.count + k) + q] = less > 0 ? more / less : 0;
            }
        }
        __syncthreads();
    }
}

// One block. Fills scale.
__global__ void set_scales(const __grid_constant__ Terms t) {
    PXLI_SHARED(double, scratch, [kThreads / 32]);
    PXLI_SHARED(double, total, [1]);
    for (int k = 0; k < t.count; k++) {
        const Term &term = t.term[k];
        const bool function = is_function(term), each = t.per_image || term.mean_of_images;
        const double weight = weight_of(t, k);
        // The mean that a value is a function of is an image's, or the batch's, whose sums are one or one for each image.
        const double all = !function || each ? 0 : total_of(t.sums + k, t.count, t.groups, scratch, total);
        for (int64_t n = threadIdx.x; n < t.images; n += kThreads) {
            const int64_t at = n * t.count + k;
            double scale = weight * upstream_of(t, n) * t.norm[at];
            if (function)
                scale = pxli_scaled(scale, pxli_slope_of_mean(term.kind, term.eps, (each ? t.sums[at] : all) * t.norm[at]));
            t.scale[at] = weight == 0 ? 0 : scale * share_of(t, k);
        }
    }
}

bool same_crop(pxli_crop a, pxli_crop b) { return a.y0 == b.y0 && a.y1 == b.y1 && a.x0 == b.x0 && a.x1 == b.x1; }
struct Crops {
    int count;
    pxli_crop crop[kMaxCrops];
};
int place_crop(Crops &crops, pxli_crop crop) {
    int i = 0;
    while (i < crops.count && !same_crop(crops.crop[i], crop)) i++;
    if (i == crops.count) crops.crop[crops.count++] = crop;
    return i;
}
Counts count_weights(Sequence &s, const Evaluation &e) {
    Counts counts{};
    Crops crops{};
    if (!e.weight.data) return counts;
    for (int k = 0; k < e.terms.count; k++) counts.crop_of_term[k] = place_crop(crops, pxli_crop_of(e.call, k));
    for (int k = 0; k < e.terms.count; k++) {
        if (!e.terms.term[k].own_counts) continue;
        counts.crop_of_component[0] = place_crop(crops, pxli_crop{0, e.h, 0, e.w - 1});
        counts.crop_of_component[1] = place_crop(crops, pxli_crop{0, e.h - 1, 0, e.w});
    }
    counts.sum = s.take<double>(crops.count * e.n);
    for (int i = 0; i < crops.count; i++) {
        const Region region = {e.weight, View{}, 1, 1, e.n, crops.crop[i]};
        const bool empty = region.crop.y1 <= region.crop.y0 || region.crop.x1 <= region.crop.x0;
        double *const results = s.counts() ? nullptr : counts.sum + i * e.n;
        if (empty)
            s.clear(results, static_cast<size_t>(e.n) * sizeof(double));
        else
            run_reduce(s, PXL_REDUCE_SUM, region, e.ticket, results);
    }
    return counts;
}
Extremes find_extremes(Sequence &s, const Evaluation &e) {
    Extremes x{};
    bool any = false;
    for (int k = 0; k < e.terms.count; k++) any = any || e.terms.term[k].range == PXL_FROM_DATA;
    if (!any) return x;
    const int64_t groups = e.terms.per_image ? e.n : 1, planes = e.n * e.c / groups;
    double **const to[] = {&x.min_pred, &x.max_pred, &x.min_target, &x.max_target};
    for (int i = 0; i < 4; i++) {
        *to[i] = s.take<double>(groups);
        const Region region = {i < 2 ? e.pred : e.target, e.weight, e.c, planes, groups, {0, e.h, 0, e.w}};
        run_reduce(s, i % 2 ? PXL_REDUCE_MAX : PXL_REDUCE_MIN, region, e.ticket, *to[i]);
    }
    return x;
}
bool depends_on_data(const Evaluation &e) {
    bool depends = e.weight.data != nullptr || e.call->mean.residual_count > 0;
    for (int k = 0; k < e.terms.count; k++) depends = depends || e.terms.term[k].range == PXL_FROM_DATA;
    return depends && e.terms.count > 0;
}
void run_mean(Sequence &s, const Evaluation &e) {
    Step step{};
    step.kind = Step::RESIDUAL, step.pass = &e.call->mean;
    add_residual(e.call, &e.call->mean, step);
    if (step.count) run_residual(s, e, step);
}
void fill_tables(Sequence &s, Evaluation &e) {
    Terms &t = e.terms;
    if (!depends_on_data(e)) return;
    const Counts counts = count_weights(s, e);
    const Extremes extremes = find_extremes(s, e);
    const int64_t entries = t.images * t.count;
    double *const scale = s.take<double>(entries);
    t.norm = s.take<double>(entries), t.range = s.take<double>(entries), t.own = s.take<double>(2 * entries);
    s.launch("set_norms", set_norms, {1, kThreads, 0}, t, counts, extremes);
    run_mean(s, e);
    t.scale = scale;
    s.launch("set_scales", set_scales, {1, kThreads, 0}, t);
}

// ---- Gradients that several steps add up ------------------------------------------------------------------------------------
View take_sum(Sequence &s, const Evaluation &e, const View &gradient, const Steps &steps) {
    int writers = e.call->pyramids + e.call->walks;
    for (int i = 0; i < steps.count; i++) writers += steps.step[i].gradients;
    if (!gradient.data || gradient.dtype == PXL_F32 || writers < 2) return gradient;
    float *const sum = s.take<float>(e.n * e.c * e.h * e.w);
    if (e.call->args->accumulate) s.clear(sum, static_cast<size_t>(e.n * e.c * e.h * e.w) * sizeof(float)); // all steps add
    pxl_tensor tensor = pxl_nchw(sum, PXL_F32, PXL_CPU_DEVICE, e.n, e.c, e.h, e.w);
    if (s.counts())
        tensor.data = reinterpret_cast<void *>(uintptr_t{PXLI_ALIGN}); // says that it is wanted, and how it is aligned
    return view_of(&tensor);
}

// The buffers of networks come right after the ticket, where they stay in whatever call: features that are kept are among them.
void take_walks(Sequence &s, pxli_call *call) {
    pxli_arena counted{};
    pxli_walks_layout(call, &counted);
    char *const memory = s.take<char>(static_cast<int64_t>(counted.used));
    if (!s.has_memory()) return;
    pxli_arena arena = {reinterpret_cast<uintptr_t>(memory), 0};
    pxli_walks_layout(call, &arena);
}
bool any_gradient(const Steps &steps) {
    bool any = false;
    for (int i = 0; i < steps.count; i++) any = any || steps.step[i].gradients;
    return any;
}

Evaluation evaluation_of(Sequence &s, pxli_call *call) {
    const pxl_args *args = call->args;
    Evaluation e{};
    e.call = call, e.ticket = take_ticket(s), e.terms = terms_of(call);
    if (call->walks) take_walks(s, call);
    e.pred = view_of(args->pred), e.target = view_of(args->target), e.weight = view_of(args->weight);
    set_unit(e.target, call->target_unit);
    e.grad_pred = view_of(args->grad_pred), e.grad_target = view_of(args->grad_target);
    e.n = call->n, e.c = call->c, e.h = call->h, e.w = call->w;
    e.terms.sums = s.take<double>(e.terms.groups * std::max(e.terms.count, 1));
    if (args->values_f32) { // a call with both needs no less
        double *const exact = s.take<double>((args->per_image ? e.n : 1) * (e.terms.count + 1));
        if (!args->values) e.terms.values = exact;
    }
    return e;
}

} // namespace

void run_step(Sequence &s, const Evaluation &e, const Step &step) {
    const size_t mark = s.mark();
    switch (step.kind) {
        case Step::RESIDUAL: run_residual(s, e, step); break;
        case Step::STRIP: run_strip(s, e, step); break;
        case Step::MAPS: run_maps(s, e, step); break;
    }
    s.release(mark);
}

unsigned *take_ticket(Sequence &s) { return s.take<unsigned>(1); }

Finish finish_of(Sequence &s, const Evaluation &e, const Step &step, int64_t blocks) {
    Finish f{};
    f.ticket = e.ticket, f.blocks = blocks, f.slots = step.count, f.values = step.last;
    f.partials = s.take<double>(blocks * std::max(step.count, 1));
    for (int i = 0; i < step.count; i++) f.term[i] = static_cast<unsigned char>(step.term[i]);
    return f;
}

void evaluate(Sequence &s, pxli_call *call) {
    const Steps steps = steps_of(call);
    Evaluation e = evaluation_of(s, call);
    fill_tables(s, e);
    const View pred = e.grad_pred, target = e.grad_target;
    e.grad_pred = take_sum(s, e, pred, steps), e.grad_target = take_sum(s, e, target, steps);
    for (int i = 0; i < steps.count; i++) run_step(s, e, steps.step[i]);
    const bool accumulate = call->args->accumulate, written = accumulate || any_gradient(steps);
    run_pyramids(s, e, riding_of(call), written);
    run_walks(s, e, call, written || call->pyramids > 0);
    if (call->charged) run_pixel_map(s, e);
    if (e.grad_pred.data != pred.data) run_round(s, e, e.grad_pred, pred, accumulate);
    if (e.grad_target.data != target.data) run_round(s, e, e.grad_target, target, accumulate);
}

} // namespace pxli
