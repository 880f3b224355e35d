/* The checks of an evaluation and of workspaces, and the sizes that follow from a window. */
#include "check.h"

#include <float.h>
#include <stdio.h>

#include "device.h"
#include "error.h"
#include "network/network.h"
#include "scales.h"
#include "terms.h"
#include "view.h"

/* ---- Sizes ---------------------------------------------------------------------------------------------------------- */

/* round(min / 256): piq rounds as Python does, halves to even; libvmaf as C does, halves up (384 pixels: 2 in both; 640: 2 and
 * 3). */
int pxli_downsample_factor(const pxli_window *window, int64_t height, int64_t width) {
    if (window->downsample != PXL_DOWNSAMPLE_AUTO) return window->downsample > 1 ? window->downsample : 1;
    int64_t least = height < width ? height : width, whole = least / 256, rest = least % 256;
    bool up = rest > 128 || (rest == 128 && (window->symmetric_decimation || whole % 2 == 1));
    int64_t factor = whole + up;
    return factor > 1 ? (int)factor : 1;
}

void pxli_pooled_size(const pxli_window *window, int64_t height, int64_t width, int64_t *pooled_height, int64_t *pooled_width) {
    int factor = pxli_downsample_factor(window, height, width);
    // libvmaf adds the odd pixel, also where it completes no block; without a factor it does not decimate at all.
    bool add_odd = window->symmetric_decimation && factor > 1;
    *pooled_height = height / factor + (add_odd ? height & 1 : 0);
    *pooled_width = width / factor + (add_odd ? width & 1 : 0);
}

static int64_t whole_windows(const pxli_window *window, pxli_axis axis, int64_t size) {
    if (window->border != PXL_VALID || (window->skip_short_axis && size < axis.taps)) return size;
    return size - axis.taps + 1;
}

void pxli_map_size(const pxli_window *window, int64_t height, int64_t width, int64_t *map_height, int64_t *map_width) {
    pxli_pooled_size(window, height, width, map_height, map_width);
    *map_height = whole_windows(window, window->y, *map_height);
    *map_width = whole_windows(window, window->x, *map_width);
}

/* ---- Evaluation ----------------------------------------------------------------------------------------------------- */

/* That the layers of so many images can be counted in bytes, and their rows in the ints of what computes them. */
static pxl_status check_layers(const pxli_term *term, int i, int deepest, const pxl_tensor *pred) {
    const int64_t most = (int64_t)1 << 46, most_row = (int64_t)1 << 28;
    int64_t h = pred->size[2], w = pred->size[3];
    for (int l = 0; l <= deepest; l++) {
        const pxli_layer *layer = &term->features.network->layers[l];
        const int64_t channels = layer->inputs > layer->outputs ? layer->inputs : layer->outputs;
        if (h > most_row || w * channels > most_row || pred->size[0] * h * w * channels > most)
            return pxli_fail(PXL_INVALID_ARGUMENT,
                             "pred is %lld images of %lld x %lld pixels; term %d, %s, makes too much of them: at most 2^46 "
                             "elements in a layer and 2^28 in a row are possible",
                             (long long)pred->size[0], (long long)pred->size[2], (long long)pred->size[3], i, term->name);
        if (pxli_is_pool(layer->kind)) h /= 2, w /= 2;
    }
    return PXL_OK;
}
/* A network against the image: channels, and a size that its poolings leave something of. */
static pxl_status check_features(const pxli_term *term, int i, const pxl_args *args) {
    const pxl_tensor *pred = args->pred;
    const pxli_features *f = &term->features;
    int deepest = 0, halvings = 0;
    for (int l = 0; l < f->count; l++) deepest = f->layer[l] > deepest ? f->layer[l] : deepest;
    for (int l = 0; l <= deepest; l++) halvings += pxli_is_pool(f->network->layers[l].kind);
    if (!pxli_backend_of(pred->device)->engine)
        return pxli_fail(PXL_UNSUPPORTED, "term %d, %s, is not computed on CUDA in this version; it is on the CPU", i,
                         term->name);
    if (pred->size[1] != f->network->inputs && !(pred->size[1] == 1 && f->network->inputs == 3))
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred has %lld channels; term %d, %s, takes %d%s", (long long)pred->size[1], i,
                         term->name, f->network->inputs, f->network->inputs == 3 ? " or 1" : "");
    if (halvings > 30 || pred->size[2] >> halvings < 1 || pred->size[3] >> halvings < 1)
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred is %lld x %lld pixels; term %d, %s, halves them %d times",
                         (long long)pred->size[2], (long long)pred->size[3], i, term->name, halvings);
    if (args->weight)
        return pxli_fail(PXL_INVALID_ARGUMENT, "weight does not go with term %d, %s, whose layers mix neighbouring pixels", i,
                         term->name);
    return check_layers(term, i, deepest, pred);
}

/* A penalty's parameter that the precision of the computation does not hold. One that rounds to 0 is below any difference but 0; of
 * huber and pseudo_huber it would be the slope. */
static pxl_status check_parameter(const pxli_term *term, int i, const pxl_args *args) {
    const char *name = pxli_param_name(term->kind, term->penalty);
    const bool f64 = args->pred->dtype == PXL_F64 && !pxli_is_features(term->kind);
    if (!name || f64 || term->kind == PXL_PSNR || term->kind == PXL_MS_SSIM) return PXL_OK;
    const float held = (float)term->param;
    const bool is_slope = term->penalty == PXL_HUBER || term->penalty == PXL_PSEUDO_HUBER;
    if (held <= FLT_MAX && (held > 0 || !is_slope)) return PXL_OK;
    return pxli_fail(PXL_INVALID_ARGUMENT, "term %d, %s: %s is %g, outside of f32, in which these images are computed", i,
                     term->name, name, term->param);
}
/* ms_ssim against the image: a size that halvings leave a window of. */
static pxl_status check_scales(const pxli_term *term, int i, const pxl_args *args) {
    const pxl_tensor *pred = args->pred;
    if (!pxli_scale_count(term, pred->size[2], pred->size[3])) {
        int64_t h, w;
        pxli_scales_need(term, &h, &w);
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred is %lld x %lld pixels; term %d, %s, needs at least %lld x %lld%s",
                         (long long)pred->size[2], (long long)pred->size[3], i, term->name, (long long)h, (long long)w,
                         term->scales.automatic ? "" : ", or scales=auto");
    }
    if (args->weight)
        return pxli_fail(PXL_INVALID_ARGUMENT, "weight does not go with term %d, %s, which averages over pixels", i, term->name);
    return PXL_OK;
}
static double most_of(pxl_dtype dtype) { return dtype == PXL_U8 ? 255 : dtype == PXL_U16 ? 65535 : 1; }
pxli_unit pxli_target_unit(const pxl_loss *loss, const pxl_args *args) {
    pxli_unit unit = {1, most_of(args->target->dtype)};
    if (args->pred->dtype == args->target->dtype || unit.most == 1) return (pxli_unit){1, 1};
    for (int i = loss->count - 1; i >= 0; i--)
        if (loss->terms[i].window.data_range > 0) unit.range = loss->terms[i].window.data_range; /* at last the first one's */
    return unit;
}
/* An integer target beside a floating pred: in one unit for all terms. */
static pxl_status check_target_unit(const pxl_loss *loss, const pxl_args *args) {
    const pxli_unit unit = pxli_target_unit(loss, args);
    const char *types[] = {pxli_dtype_name(args->target->dtype), pxli_dtype_name(args->pred->dtype)};
    for (int i = 0; i < loss->count && unit.most != 1; i++) {
        const pxli_term *term = &loss->terms[i];
        const double range = term->window.data_range;
        if (pxli_is_features(term->kind))
            return pxli_fail(PXL_UNSUPPORTED, "target is %s beside a pred of %s; term %d, %s, takes both of floating type",
                             types[0], types[1], i, term->name);
        if (range > 0 && range != unit.range)
            return pxli_fail(
                PXL_INVALID_ARGUMENT,
                "target is %s beside a pred of %s, but the data_range of term %d, %s, is not the %g of those before it", types[0],
                types[1], i, term->name, unit.range);
    }
    return PXL_OK;
}
/* Every term against the size and type of the image. */
static pxl_status check_terms(const pxl_loss *loss, const pxl_args *args) {
    for (int i = 0; i < loss->count; i++) {
        const pxli_term *term = &loss->terms[i];
        char what[PXLI_MAX_NAME + 32];
        snprintf(what, sizeof what, "term %d, %s,", i, term->name);
        const bool scales = term->kind == PXL_MS_SSIM;
        pxl_status status = scales ? check_scales(term, i, args) : pxli_check_fits(&term->window, what, "pred", args->pred);
        if (status) return status;
        status = check_parameter(term, i, args);
        if (!status && pxli_is_features(term->kind)) status = check_features(term, i, args);
        if (status) return status;
        int factor = pxli_downsample_factor(&term->window, args->pred->size[2], args->pred->size[3]);
        if (args->weight && factor > 1)
            return pxli_fail(PXL_INVALID_ARGUMENT,
                             "weight does not go with term %d, %s, which averages over %d x %d pixels first", i, term->name,
                             factor, factor);
    }
    return PXL_OK;
}

static pxl_status check_weight(const pxl_args *args) {
    const pxl_tensor *weight = args->weight, *pred = args->pred;
    if (!weight) return PXL_OK;
    pxl_status status = pxli_check_view("weight", weight, false);
    if (!status) status = pxli_check_same_device("weight", weight, "pred", pred);
    if (status) return status;
    if (weight->dtype != PXL_F32 && !(weight->dtype == PXL_F64 && pred->dtype == PXL_F64))
        return pxli_fail(PXL_INVALID_ARGUMENT, "weight is %s; f32 is needed, or f64 with f64 images",
                         pxli_dtype_name(weight->dtype));
    return pxli_check_sizes("weight", weight, (int64_t[4]){pred->size[0], 1, pred->size[2], pred->size[3]},
                            "N x 1 x H x W of pred");
}

const pxli_term *pxli_first_windowed(const pxl_loss *loss) {
    for (int i = 0; i < loss->count; i++)
        if (pxli_is_windowed(loss->terms[i].kind)) return &loss->terms[i];
    return NULL;
}

/* args->map and args->statistics: `multiple` channels for each of the image's. */
static pxl_status check_map(const pxl_loss *loss, const pxl_args *args, const char *name, const pxl_tensor *map, int multiple) {
    if (!map) return PXL_OK;
    const pxli_term *term = pxli_first_windowed(loss);
    if (!term)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "%s is wanted, but the loss has no windowed term with one (ssim, ...; not ms_ssim)", name);
    pxl_status status = pxli_check_view(name, map, true);
    if (!status) status = pxli_check_same_device(name, map, "pred", args->pred);
    if (status) return status;
    if (map->dtype != PXL_F32 && map->dtype != PXL_F64)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %s; f32 or f64 is needed", name, pxli_dtype_name(map->dtype));
    int64_t expected[4] = {args->pred->size[0], args->pred->size[1]};
    if (__builtin_mul_overflow(expected[1], multiple, &expected[1]))
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred.size[1] is %lld; too large for %s", (long long)args->pred->size[1], name);
    pxli_map_size(&term->window, args->pred->size[2], args->pred->size[3], &expected[2], &expected[3]);
    return pxli_check_sizes(name, map, expected,
                            multiple == 1 ? "N x C x H' x W' of the first windowed term (pxl_map_size)"
                                          : "N x 5C x H' x W' of the first windowed term (pxl_map_size)");
}

const pxli_term *pxli_first_pixel(const pxl_loss *loss) {
    for (int i = 0; i < loss->count; i++)
        if (loss->terms[i].kind == PXL_PIXEL) return &loss->terms[i];
    return NULL;
}
/* Of one charge for each pixel: `channels` of them. */
static pxl_status check_image_map(const pxl_args *args, const char *name, const pxl_tensor *map, int64_t channels,
                                  const char *sizes) {
    const pxl_tensor *pred = args->pred;
    pxl_status status = pxli_check_view(name, map, true);
    if (!status) status = pxli_check_same_device(name, map, "pred", pred);
    if (status) return status;
    if (map->dtype != PXL_F32 && map->dtype != PXL_F64)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %s; f32 or f64 is needed", name, pxli_dtype_name(map->dtype));
    return pxli_check_sizes(name, map, (int64_t[4]){pred->size[0], channels, pred->size[2], pred->size[3]}, sizes);
}
static pxl_status check_pixel_map(const pxl_loss *loss, const pxl_args *args) {
    if (!args->pixel_map) return PXL_OK;
    if (!pxli_first_pixel(loss))
        return pxli_fail(PXL_INVALID_ARGUMENT, "pixel_map is wanted, but the loss has no term on pixels (mse, l1, ...)");
    return check_image_map(args, "pixel_map", args->pixel_map, args->pred->size[1], "as pred has");
}
static pxl_status check_feature_map(const pxl_loss *loss, const pxl_args *args) {
    bool any = false;
    for (int i = 0; i < loss->count; i++) any = any || pxli_has_feature_map(&loss->terms[i]);
    if (!args->feature_map) return PXL_OK;
    if (!any) return pxli_fail(PXL_INVALID_ARGUMENT, "feature_map is wanted, but the loss has no term features, lpips or cosine");
    return check_image_map(args, "feature_map", args->feature_map, 1, "N x 1 x H x W of pred");
}

static pxl_status check_memory(const pxl_loss *loss, const pxl_args *args) {
    int64_t rows = args->per_image ? args->pred->size[0] : 1, row = 1 + loss->count, count;
    if (__builtin_mul_overflow(rows, row, &count))
        return pxli_fail(PXL_INVALID_ARGUMENT, "pred.size[0] is %lld; too large for a row of values per image", (long long)rows);
    pxli_uses uses = {.count = 0};
    pxli_use_tensor(&uses, "pred", args->pred, false);
    pxli_use_tensor(&uses, "target", args->target, false);
    pxli_use_tensor(&uses, "weight", args->weight, false);
    pxli_use_tensor(&uses, "grad_pred", args->grad_pred, true);
    pxli_use_tensor(&uses, "grad_target", args->grad_target, true);
    pxli_use_tensor(&uses, "map", args->map, true);
    pxli_use_tensor(&uses, "statistics", args->statistics, true);
    pxli_use_tensor(&uses, "feature_map", args->feature_map, true);
    pxli_use_tensor(&uses, "pixel_map", args->pixel_map, true);
    pxl_status status = pxli_use_array(&uses, "values", args->values, count, sizeof *args->values, true);
    if (!status) status = pxli_use_array(&uses, "values_f32", args->values_f32, count, sizeof *args->values_f32, true);
    if (!status) status = pxli_use_array(&uses, "grad_loss", args->grad_loss, rows, sizeof *args->grad_loss, false);
    if (!status)
        status = pxli_use_array(&uses, "term_weights", args->term_weights, loss->count, sizeof *args->term_weights, false);
    return status ? status : pxli_check_uses(&uses);
}

static pxl_status check_scalars(const pxl_loss *loss, const pxl_args *args) {
    if (!loss) return pxli_fail(PXL_INVALID_ARGUMENT, "loss is NULL");
    if (!args) return pxli_fail(PXL_INVALID_ARGUMENT, "args is NULL");
    if (args->struct_size != sizeof *args)
        return pxli_fail(PXL_INVALID_ARGUMENT, "args.struct_size is %zu; it must be sizeof(pxl_args), %zu, which PXL_ARGS sets",
                         args->struct_size, sizeof *args);
    if (args->per_image != 0 && args->per_image != 1)
        return pxli_fail(PXL_INVALID_ARGUMENT, "args.per_image is %d; 0 or 1 is needed", args->per_image);
    if (args->accumulate != 0 && args->accumulate != 1)
        return pxli_fail(PXL_INVALID_ARGUMENT, "args.accumulate is %d; 0 or 1 is needed", args->accumulate);
    if (args->target_use < PXL_TARGET_PASSES || args->target_use > PXL_TARGET_KEPT)
        return pxli_fail(PXL_INVALID_ARGUMENT, "args.target_use is %d; a pxl_target_use, 0 to 2, is needed",
                         (int)args->target_use);
    if (args->target_use == PXL_TARGET_KEPT && args->grad_target)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "args.target_use is PXL_TARGET_KEPT, but grad_target is wanted, which needs more than "
                         "what was kept");
    if (!args->values && !args->values_f32 && !args->grad_pred && !args->grad_target && !args->map && !args->statistics &&
        !args->feature_map && !args->pixel_map)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "nothing is wanted: all of values, values_f32, grad_pred, grad_target, map, "
                         "statistics, feature_map and pixel_map are NULL");
    return PXL_OK;
}

pxl_status pxli_check_args(const pxl_context *context, const pxl_loss *loss, const pxl_args *args) {
    pxl_status status = check_scalars(loss, args);
    if (!status) status = pxli_check_pair(context, args->pred, args->target, true);
    if (!status) status = check_weight(args);
    if (!status && args->grad_pred)
        status = pxli_check_gradient("grad_pred", args->grad_pred, "pred", args->pred, args->pred->dtype == PXL_F64);
    if (!status && args->grad_target)
        status = pxli_check_gradient("grad_target", args->grad_target, "target", args->target, args->pred->dtype == PXL_F64);
    if (!status) status = check_terms(loss, args);
    if (!status) status = check_target_unit(loss, args);
    if (!status) status = check_map(loss, args, "map", args->map, 1);
    if (!status) status = check_map(loss, args, "statistics", args->statistics, 5);
    if (!status) status = check_feature_map(loss, args);
    if (!status) status = check_pixel_map(loss, args);
    return status ? status : check_memory(loss, args);
}

/* ---- Workspaces ----------------------------------------------------------------------------------------------------- */

pxl_status pxli_check_workspace(const void *workspace, size_t bytes, size_t needed, const pxl_tensor *const *tensors, int count) {
    if (!workspace) return pxli_fail(PXL_INVALID_ARGUMENT, "workspace is NULL; %zu bytes are needed", needed);
    if ((uintptr_t)workspace % 16)
        return pxli_fail(PXL_INVALID_ARGUMENT, "workspace is %p, which is not aligned to 16 bytes", workspace);
    if (bytes < needed) return pxli_fail(PXL_WORKSPACE_TOO_SMALL, "the workspace has %zu bytes; %zu are needed", bytes, needed);
    uintptr_t low = (uintptr_t)workspace, high;
    if (__builtin_add_overflow(low, bytes, &high))
        return pxli_fail(PXL_INVALID_ARGUMENT, "bytes is %zu; a workspace at %p cannot be so large", bytes, workspace);
    for (int i = 0; i < count; i++) {
        if (!tensors[i] || !tensors[i]->size[3]) continue;
        pxli_span span = pxli_tensor_span(tensors[i]);
        if (span.low < high && low < span.high)
            return pxli_fail(PXL_INVALID_ARGUMENT, "the workspace, %zu bytes from %p, overlaps a tensor of the call, from %p",
                             bytes, workspace, (void *)span.low);
    }
    return PXL_OK;
}
