/* The calls that compute: check, plan, hand to the device's backend. */
#include "backend.h"
#include "check.h"
#include "device.h"
#include "error.h"
#include "network/walk.h"
#include "view.h"

/* A backend's size, 0 for what does not fit it: see backend.h. */
static pxl_status fits(size_t bytes) { return bytes ? PXL_OK : PXL_UNSUPPORTED; }
static pxl_status give_size(size_t bytes, size_t *to) {
    const pxl_status status = fits(bytes);
    if (!status) *to = bytes;
    return status;
}

/* ---- Losses -------------------------------------------------------------------------------------------------------- */
/* What the call consists of; its walks are to be released, also after a failure. */
static pxl_status plan(const pxl_context *context, const pxl_loss *loss, const pxl_args *args, pxli_pass *passes,
                       pxli_call *call) {
    pxli_plan(loss, args, passes, call);
    return pxli_walks_prepare(call, pxli_backend_of(args->pred->device)->engine, context);
}
pxl_status pxl_workspace_size(pxl_context *context, const pxl_loss *loss, const pxl_args *args, size_t *bytes) {
    pxl_status status = pxli_check_args(context, loss, args);
    if (status) return status;
    if (!bytes) return pxli_fail(PXL_INVALID_ARGUMENT, "bytes is NULL; the size is written there");
    pxli_pass passes[PXLI_MAX_PASSES];
    pxli_call call;
    size_t least;
    status = plan(context, loss, args, passes, &call);
    if (!status) status = give_size(pxli_backend_of(args->pred->device)->size(context, &call, &least), bytes);
    pxli_walks_release(&call);
    return status;
}

/* An array of the call as a view; none has no extent. */
static pxl_tensor array(const void *data, pxl_dtype dtype, int64_t count) {
    return pxl_nchw((void *)data, dtype, PXL_CPU_DEVICE, 1, 1, 1, data ? count : 0);
}
static int64_t rows(const pxl_args *args) { return args->per_image ? args->pred->size[0] : 1; }
static pxl_status prepare(pxl_context *context, const pxl_loss *loss, const pxl_args *args, const void *workspace, size_t bytes,
                          pxli_pass *passes, pxli_call *call) {
    call->walks = 0;
    pxl_status status = pxli_check_args(context, loss, args);
    if (status) return status;
    const pxl_tensor values = array(args->values, PXL_F64, rows(args) * (loss->count + 1));
    const pxl_tensor values_f32 = array(args->values_f32, PXL_F32, rows(args) * (loss->count + 1));
    const pxl_tensor upstream = array(args->grad_loss, PXL_F32, rows(args));
    const pxl_tensor weights = array(args->term_weights, PXL_F32, loss->count);
    const pxl_tensor *const views[] = {args->pred,  args->target,     args->weight,      args->grad_pred, args->grad_target,
                                       args->map,   args->statistics, args->feature_map, args->pixel_map, &values,
                                       &values_f32, &upstream,        &weights};
    size_t least;
    status = plan(context, loss, args, passes, call);
    if (!status) status = fits(pxli_backend_of(args->pred->device)->size(context, call, &least));
    if (status) return status;
    return pxli_check_workspace(workspace, bytes, least, views, sizeof views / sizeof views[0]);
}
pxl_status pxl_workspace_init(pxl_context *context, const pxl_loss *loss, const pxl_args *args, void *workspace, size_t bytes,
                              pxl_stream stream) {
    pxli_pass passes[PXLI_MAX_PASSES];
    pxli_call call;
    pxl_status status = prepare(context, loss, args, workspace, bytes, passes, &call);
    if (!status && pxli_backend_of(args->pred->device)->init)
        status = pxli_backend_of(args->pred->device)->init(context, &call, (pxli_workspace){workspace, bytes, stream});
    pxli_walks_release(&call);
    return status;
}
pxl_status pxl_evaluate(pxl_context *context, const pxl_loss *loss, const pxl_args *args, void *workspace, size_t bytes,
                        pxl_stream stream) {
    pxli_pass passes[PXLI_MAX_PASSES];
    pxli_call call;
    pxl_status status = prepare(context, loss, args, workspace, bytes, passes, &call);
    if (!status)
        status = pxli_backend_of(args->pred->device)->evaluate(context, &call, (pxli_workspace){workspace, bytes, stream});
    pxli_walks_release(&call);
    return status;
}

pxl_status pxl_map_size(const pxl_loss *loss, const pxl_tensor *pred, int64_t size[4]) {
    if (!loss) return pxli_fail(PXL_INVALID_ARGUMENT, "loss is NULL; pxl_loss_parse makes one");
    if (!pred) return pxli_fail(PXL_INVALID_ARGUMENT, "pred is NULL; the image is needed for its sizes");
    if (!size) return pxli_fail(PXL_INVALID_ARGUMENT, "size is NULL; four sizes are written there");
    const pxli_term *term = pxli_first_windowed(loss);
    if (!term) return pxli_fail(PXL_INVALID_ARGUMENT, "loss has no windowed term (ssim, ...; not ms_ssim), so it has no map");
    pxl_status status = pxli_check_view("pred", pred, false);
    if (!status) status = pxli_check_fits(&term->window, term->name, "pred", pred);
    if (status) return status;
    size[0] = pred->size[0], size[1] = pred->size[1];
    pxli_map_size(&term->window, pred->size[2], pred->size[3], &size[2], &size[3]);
    return PXL_OK;
}

/* ---- Filters ------------------------------------------------------------------------------------------------------- */
pxl_status pxl_filter_workspace_size(pxl_context *context, const pxl_filter *filter, const pxl_tensor *input,
                                     const pxl_tensor *output, size_t *bytes) {
    const pxl_status status = pxli_check_filter(context, filter, input, "input", output, "output", false);
    if (status) return status;
    if (!bytes) return pxli_fail(PXL_INVALID_ARGUMENT, "bytes is NULL; the size is written there");
    const pxli_filter_call call = {filter, input, output, false};
    size_t least;
    return give_size(pxli_backend_of(input->device)->filter_size(context, &call, &least), bytes);
}
static pxl_status run_filter(pxl_context *context, const pxli_filter_call *call, pxli_workspace workspace) {
    const pxl_tensor *const views[] = {call->from, call->to};
    size_t least;
    pxl_status status = fits(pxli_backend_of(call->from->device)->filter_size(context, call, &least));
    if (!status) status = pxli_check_workspace(workspace.data, workspace.bytes, least, views, 2);
    return status ? status : pxli_backend_of(call->from->device)->filter(context, call, workspace);
}
pxl_status pxl_filter_apply(pxl_context *context, const pxl_filter *filter, const pxl_tensor *input, const pxl_tensor *output,
                            void *workspace, size_t bytes, pxl_stream stream) {
    const pxl_status status = pxli_check_filter(context, filter, input, "input", output, "output", false);
    const pxli_filter_call call = {filter, input, output, false};
    return status ? status : run_filter(context, &call, (pxli_workspace){workspace, bytes, stream});
}
pxl_status pxl_filter_adjoint(pxl_context *context, const pxl_filter *filter, const pxl_tensor *grad_output,
                              const pxl_tensor *grad_input, void *workspace, size_t bytes, pxl_stream stream) {
    const pxl_status status = pxli_check_filter(context, filter, grad_input, "grad_input", grad_output, "grad_output", true);
    const pxli_filter_call call = {filter, grad_output, grad_input, true};
    return status ? status : run_filter(context, &call, (pxli_workspace){workspace, bytes, stream});
}

/* ---- Statistics ---------------------------------------------------------------------------------------------------- */
typedef struct statistics_call { /* what a plan points to */
    pxli_term term;
    pxl_args args;
    pxli_call call;
} statistics_call;

static void plan_statistics(statistics_call *s, pxli_score_mode mode, const pxl_tensor *grad_statistics) {
    pxli_plan_statistics(&s->args, grad_statistics, &s->term, mode, &s->call);
    s->args.struct_size = sizeof s->args;
}
pxl_status pxl_ssim_statistics_workspace_size(pxl_context *context, const pxl_term *term, const pxl_tensor *pred,
                                              const pxl_tensor *target, size_t *bytes) {
    statistics_call s = {.args = {.pred = pred, .target = target, .grad_pred = pred, .grad_target = pred}};
    pxl_status status = pxli_windowed_resolve(term, "term", &s.term);
    if (!status) status = pxli_check_statistics(context, &s.term, pred, target, NULL, NULL, true, NULL, NULL);
    if (status) return status;
    if (!bytes) return pxli_fail(PXL_INVALID_ARGUMENT, "bytes is NULL; the size is written there");
    size_t least, largest = 0;
    const pxli_score_mode modes[] = {PXLI_SCORE_STATISTICS, PXLI_SCORE_STATISTICS_ADJOINT};
    for (int i = 0; i < 2; i++) {
        plan_statistics(&s, modes[i], NULL);
        const size_t needed = pxli_backend_of(pred->device)->size(context, &s.call, &least);
        if (!needed) return give_size(0, bytes);
        largest = needed > largest ? needed : largest;
    }
    return give_size(largest, bytes);
}
static pxl_status run_statistics(pxl_context *context, statistics_call *s, pxli_workspace workspace) {
    const pxl_args *a = &s->args;
    const pxl_tensor *const views[] = {a->pred, a->target, a->statistics, a->grad_pred, a->grad_target, s->call.grad_statistics};
    size_t least;
    pxl_status status = fits(pxli_backend_of(a->pred->device)->size(context, &s->call, &least));
    if (!status) status = pxli_check_workspace(workspace.data, workspace.bytes, least, views, 6);
    return status ? status : pxli_backend_of(a->pred->device)->evaluate(context, &s->call, workspace);
}
pxl_status pxl_ssim_statistics(pxl_context *context, const pxl_term *term, const pxl_tensor *pred, const pxl_tensor *target,
                               const pxl_tensor *statistics, void *workspace, size_t bytes, pxl_stream stream) {
    statistics_call s = {.args = {.pred = pred, .target = target, .statistics = statistics}};
    pxl_status status = pxli_windowed_resolve(term, "term", &s.term);
    if (!status) status = pxli_check_statistics(context, &s.term, pred, target, statistics, "statistics", true, NULL, NULL);
    if (status) return status;
    plan_statistics(&s, PXLI_SCORE_STATISTICS, NULL);
    return run_statistics(context, &s, (pxli_workspace){workspace, bytes, stream});
}
pxl_status pxl_ssim_statistics_adjoint(pxl_context *context, const pxl_term *term, const pxl_tensor *pred,
                                       const pxl_tensor *target, const pxl_tensor *grad_statistics, const pxl_tensor *grad_pred,
                                       const pxl_tensor *grad_target, void *workspace, size_t bytes, pxl_stream stream) {
    statistics_call s = {.args = {.pred = pred, .target = target, .grad_pred = grad_pred, .grad_target = grad_target}};
    pxl_status status = pxli_windowed_resolve(term, "term", &s.term);
    if (!status)
        status = pxli_check_statistics(context, &s.term, pred, target, grad_statistics, "grad_statistics", false, grad_pred,
                                       grad_target);
    if (status) return status;
    plan_statistics(&s, PXLI_SCORE_STATISTICS_ADJOINT, grad_statistics);
    return run_statistics(context, &s, (pxli_workspace){workspace, bytes, stream});
}

/* ---- Reductions ---------------------------------------------------------------------------------------------------- */
pxl_status pxl_reduce_workspace_size(pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over, const pxl_tensor *input,
                                     size_t *bytes) {
    const pxl_status status = pxli_check_reduce(context, kind, over, input);
    if (status) return status;
    if (!bytes) return pxli_fail(PXL_INVALID_ARGUMENT, "bytes is NULL; the size is written there");
    const pxli_reduce_call call = {kind, over, input, NULL};
    size_t least;
    return give_size(pxli_backend_of(input->device)->reduce_size(context, &call, &least), bytes);
}
pxl_status pxl_reduce(pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over, const pxl_tensor *input, double *results,
                      void *workspace, size_t bytes, pxl_stream stream) {
    pxl_status status = pxli_check_reduce(context, kind, over, input);
    if (status) return status;
    if ((status = pxli_check_results(over, input, results))) return status;
    const pxli_reduce_call call = {kind, over, input, results};
    size_t least;
    if ((status = fits(pxli_backend_of(input->device)->reduce_size(context, &call, &least)))) return status;
    const int64_t groups = over == PXL_OVER_ALL ? 1 : input->size[0] * (over == PXL_OVER_CHANNEL ? input->size[1] : 1);
    const pxl_tensor written = array(results, PXL_F64, groups), *const views[] = {input, &written};
    status = pxli_check_workspace(workspace, bytes, least, views, 2);
    return status ? status : pxli_backend_of(input->device)->reduce(context, &call, (pxli_workspace){workspace, bytes, stream});
}
