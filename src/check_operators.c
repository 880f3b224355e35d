/* The checks of the operators: filters, window statistics, reductions. */
#include <math.h>

#include "error.h"
#include "terms.h"
#include "view.h"

static pxl_status check_real(const char *name, const pxl_tensor *tensor) {
    if (tensor->dtype == PXL_F64 && tensor->device.type == PXL_CUDA)
        return pxli_fail(PXL_UNSUPPORTED, "%s is f64 on a CUDA device; f64 images are computed on the CPU alone", name);
    if (tensor->dtype != PXL_U8 && tensor->dtype != PXL_U16) return PXL_OK;
    return pxli_fail(PXL_UNSUPPORTED, "%s is %s; f32, f16, bf16 or f64 is needed", name, pxli_dtype_name(tensor->dtype));
}

/* ---- Filters -------------------------------------------------------------------------------------------------------- */

static pxli_axis filter_axis(pxl_filter_kind kind, int window, double sigma) {
    if (kind == PXL_FILTER_BLUR) return (pxli_axis){window ? window : pxli_gaussian_taps(sigma), sigma};
    return (pxli_axis){kind == PXL_FILTER_BOX ? window : 3, 0};
}
pxli_window pxli_filter_window(const pxl_filter *filter) {
    pxli_window to = {.border = filter->border ? filter->border : PXL_ZERO};
    to.y = filter_axis(filter->kind, filter->window, filter->sigma);
    to.x = filter_axis(filter->kind, filter->window_x ? filter->window_x : filter->window,
                       filter->sigma_x > 0 ? filter->sigma_x : filter->sigma);
    return to;
}

static pxl_status check_filter_enums(const pxl_filter *filter) {
    if (!filter) return pxli_fail(PXL_INVALID_ARGUMENT, "filter is NULL");
    if (filter->struct_size != sizeof *filter)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "filter.struct_size is %zu; it must be sizeof(pxl_filter), %zu, which PXL_FILTER sets",
                         filter->struct_size, sizeof *filter);
    if ((unsigned)filter->kind > PXL_FILTER_BOX)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.kind is %d, which is no pxl_filter_kind", (int)filter->kind);
    if ((unsigned)filter->border > PXL_SYMMETRIC)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.border is %d, which is no pxl_border", (int)filter->border);
    return PXL_OK;
}

static pxl_status check_filter_fields(const pxl_filter *filter) {
    int neighbours = filter->neighbours;
    if (filter->kind != PXL_FILTER_LAPLACIAN && neighbours != 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.neighbours is %d, but only laplacian has them", neighbours);
    if (neighbours != 0 && neighbours != 4 && neighbours != 8)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.neighbours is %d; 4 or 8 is needed", neighbours);
    if (filter->kind != PXL_FILTER_BLUR && filter->sigma != 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.sigma is %g, but only blur has one", filter->sigma);
    if (filter->kind != PXL_FILTER_BLUR && filter->sigma_x != 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.sigma_x is %g, but only blur has one", filter->sigma_x);
    if (filter->kind == PXL_FILTER_BLUR && !(isfinite(filter->sigma) && filter->sigma > 0))
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.sigma is %g; a finite number above 0 is needed", filter->sigma);
    if (!(isfinite(filter->sigma_x) && filter->sigma_x >= 0))
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.sigma_x is %g; a finite number above 0 is needed (0: as sigma)",
                         filter->sigma_x);
    if (filter->kind != PXL_FILTER_BLUR && filter->kind != PXL_FILTER_BOX && filter->window != 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.window is %d, but only blur and box have one", filter->window);
    if (filter->kind != PXL_FILTER_BLUR && filter->kind != PXL_FILTER_BOX && filter->window_x != 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.window_x is %d, but only blur and box have one", filter->window_x);
    if (filter->window_x != 0 && filter->window == 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.window_x is %d, but window is not given, which it goes with",
                         filter->window_x);
    return PXL_OK;
}

/* `given`: the name of what says how many. */
static pxl_status check_filter_taps(const pxl_filter *filter, pxli_axis axis, const char *given) {
    const bool follow = filter->kind == PXL_FILTER_BLUR && filter->window == 0;
    if (follow && axis.taps > PXLI_MAX_BLUR)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.%s is %g, which takes %d taps; at most %d are allowed", given, axis.sigma,
                         axis.taps, PXLI_MAX_BLUR);
    if (axis.taps < 1 || axis.taps > PXLI_MAX_BLUR)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.%s is %d; 1 to %d is needed", given, axis.taps, PXLI_MAX_BLUR);
    if (axis.taps % 2 == 0 && filter->border != PXL_VALID)
        return pxli_fail(PXL_INVALID_ARGUMENT, "filter.%s is %d; an even number is allowed with border = valid only", given,
                         axis.taps);
    return PXL_OK;
}
static pxl_status check_filter_axes(const pxl_filter *filter, pxli_window *window) {
    const bool follow = filter->kind == PXL_FILTER_BLUR && filter->window == 0;
    *window = pxli_filter_window(filter);
    const pxl_status status = check_filter_taps(filter, window->y, follow ? "sigma" : "window");
    if (status || pxli_same_axis(window->y, window->x)) return status;
    return check_filter_taps(filter, window->x, follow ? "sigma_x" : "window_x");
}

static pxl_status check_filter_sizes(const pxl_filter *filter, const pxli_window *window, const pxl_tensor *image,
                                     const char *image_name, const pxl_tensor *filtered, const char *filtered_name) {
    pxl_status status = pxli_check_fits(window, "the filter with border = valid", image_name, image);
    if (status) return status;
    int64_t expected[4] = {image->size[0], image->size[1]};
    bool overflow = filter->kind == PXL_FILTER_SOBEL && __builtin_mul_overflow(expected[1], 2, &expected[1]);
    if (overflow) return pxli_fail(PXL_INVALID_ARGUMENT, "%s.size[1] is %lld; too large", image_name, (long long)image->size[1]);
    pxli_map_size(window, image->size[2], image->size[3], &expected[2], &expected[3]);
    return pxli_check_sizes(filtered_name, filtered, expected,
                            filter->kind == PXL_FILTER_SOBEL ? "N x 2C x H' x W'" : "N x C x H' x W'");
}

pxl_status pxli_check_filter(const pxl_context *context, const pxl_filter *filter, const pxl_tensor *image,
                             const char *image_name, const pxl_tensor *filtered, const char *filtered_name,
                             bool image_is_output) {
    pxli_window window;
    pxl_status status = check_filter_enums(filter);
    if (!status) status = check_filter_fields(filter);
    if (!status) status = check_filter_axes(filter, &window);
    if (!status) status = pxli_check_view(image_name, image, image_is_output);
    if (!status) status = pxli_check_view(filtered_name, filtered, !image_is_output);
    if (!status) status = pxli_check_same_device(filtered_name, filtered, image_name, image);
    if (!status) status = pxli_check_context(context, image_name, image);
    if (!status) status = check_real(image_name, image);
    if (!status && filtered->dtype != image->dtype)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %s, but %s is %s; one dtype is needed", filtered_name,
                         pxli_dtype_name(filtered->dtype), image_name, pxli_dtype_name(image->dtype));
    if (!status) status = check_filter_sizes(filter, &window, image, image_name, filtered, filtered_name);
    if (status) return status;
    pxli_uses uses = {.count = 0};
    pxli_use_tensor(&uses, image_name, image, image_is_output);
    pxli_use_tensor(&uses, filtered_name, filtered, !image_is_output);
    return pxli_check_uses(&uses);
}

/* ---- Statistics ----------------------------------------------------------------------------------------------------- */

static pxl_status check_statistics_term(const pxli_term *term, const pxl_tensor *pred) {
    int factor = pxli_downsample_factor(&term->window, pred->size[2], pred->size[3]);
    if (factor > 1)
        return pxli_fail(PXL_UNSUPPORTED,
                         "term averages over %d x %d pixels first, which pxl_ssim_statistics does not: "
                         "set its downsample to 1",
                         factor, factor);
    return pxli_check_fits(&term->window, "term with border = valid", "pred", pred);
}

static pxl_status check_statistics_view(const pxli_term *term, const pxl_tensor *pred, const pxl_tensor *statistics,
                                        const char *name, bool output) {
    pxl_status status = pxli_check_view(name, statistics, output);
    if (!status) status = pxli_check_same_device(name, statistics, "pred", pred);
    if (status) return status;
    if (statistics->dtype != PXL_F32 && !(statistics->dtype == PXL_F64 && pred->dtype == PXL_F64))
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %s; f32 is needed, or f64 with f64 images", name,
                         pxli_dtype_name(statistics->dtype));
    int64_t expected[4] = {pred->size[0], pred->size[1]};
    if (__builtin_mul_overflow(expected[1], 5, &expected[1]))
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred.size[1] is %lld; too large", (long long)pred->size[1]);
    pxli_map_size(&term->window, pred->size[2], pred->size[3], &expected[2], &expected[3]);
    return pxli_check_sizes(name, statistics, expected, "N x 5C x H' x W'");
}

pxl_status pxli_check_statistics(const pxl_context *context, const pxli_term *term, const pxl_tensor *pred,
                                 const pxl_tensor *target, const pxl_tensor *statistics, const char *statistics_name,
                                 bool statistics_are_output, const pxl_tensor *grad_pred, const pxl_tensor *grad_target) {
    pxl_status status = pxli_check_pair(context, pred, target, false);
    if (!status) status = check_real("pred", pred);
    if (!status) status = check_statistics_term(term, pred);
    if (status || !statistics_name) return status;
    status = check_statistics_view(term, pred, statistics, statistics_name, statistics_are_output);
    if (!status && !statistics_are_output && !grad_pred && !grad_target)
        return pxli_fail(PXL_INVALID_ARGUMENT, "nothing is wanted: both grad_pred and grad_target are NULL");
    if (!status && grad_pred) status = pxli_check_gradient("grad_pred", grad_pred, "pred", pred, pred->dtype == PXL_F64);
    if (!status && grad_target)
        status = pxli_check_gradient("grad_target", grad_target, "target", target, pred->dtype == PXL_F64);
    if (status) return status;
    pxli_uses uses = {.count = 0};
    pxli_use_tensor(&uses, "pred", pred, false);
    pxli_use_tensor(&uses, "target", target, false);
    pxli_use_tensor(&uses, statistics_name, statistics, statistics_are_output);
    pxli_use_tensor(&uses, "grad_pred", grad_pred, true);
    pxli_use_tensor(&uses, "grad_target", grad_target, true);
    return pxli_check_uses(&uses);
}

/* ---- Reductions ----------------------------------------------------------------------------------------------------- */

pxl_status pxli_check_reduce(const pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over, const pxl_tensor *input) {
    if ((unsigned)kind > PXL_REDUCE_L2)
        return pxli_fail(PXL_INVALID_ARGUMENT, "kind is %d, which is no pxl_reduce_kind", (int)kind);
    if ((unsigned)over > PXL_OVER_CHANNEL)
        return pxli_fail(PXL_INVALID_ARGUMENT, "over is %d, which is no pxl_reduce_over", (int)over);
    pxl_status status = pxli_check_view("input", input, false);
    return status ? status : pxli_check_context(context, "input", input);
}

pxl_status pxli_check_results(pxl_reduce_over over, const pxl_tensor *input, const double *results) {
    if (!results) return pxli_fail(PXL_INVALID_ARGUMENT, "results is NULL");
    int64_t count = over == PXL_OVER_ALL ? 1 : over == PXL_OVER_IMAGE ? input->size[0] : input->size[0] * input->size[1];
    pxli_uses uses = {.count = 0};
    pxli_use_tensor(&uses, "input", input, false);
    pxl_status status = pxli_use_array(&uses, "results", results, count, sizeof *results, true);
    return status ? status : pxli_check_uses(&uses);
}
