/* Between sums and values: see normalise.h. */
#include "normalise.h"

#include <math.h>

/* ---- Reductions on the way ----------------------------------------------------------------------------------------- */
typedef struct reduction {
    const pxli_region *region;
    pxli_partial *parts;
} reduction;

static void merge(pxli_partial *into, const pxli_partial *p) {
    into->sum += p->sum;
    const bool nan = isnan(into->min) || isnan(p->min);
    into->min = nan ? NAN : fmin(into->min, p->min), into->max = nan ? NAN : fmax(into->max, p->max);
}
static void reduce_chunk(const void *arguments, int64_t index, void *scratch) {
    const reduction *r = arguments;
    const pxli_region *g = r->region;
    const int64_t height = g->y1 - g->y0, rows = (g->plane1 - g->plane0) * height, channels = g->tensor->size[1];
    int64_t row = rows * index / PXLI_CHUNKS;
    const int64_t end = rows * (index + 1) / PXLI_CHUNKS;
    pxli_partial *total = &r->parts[index], part;
    (void)scratch;
    *total = (pxli_partial){0, INFINITY, -INFINITY};
    while (row < end) {
        const int64_t plane = g->plane0 + row / height, y = row % height, left = end - row,
                      count = left < height - y ? left : height - y;
        pxli_kernels_for(PXL_F64)->reduce(g, plane / channels, plane % channels, g->y0 + y, g->y0 + y + count, &part);
        merge(total, &part);
        row += count;
    }
}
pxli_partial pxli_reduce_region(const pxli_team *team, const pxli_region *region, pxli_partial *parts) {
    const reduction r = {region, parts};
    pxli_partial total = {0, INFINITY, -INFINITY};
    pxli_run(team, PXLI_CHUNKS, (region->plane1 - region->plane0) * (region->y1 - region->y0) * region->tensor->size[3],
             reduce_chunk, &r);
    for (int i = 0; i < PXLI_CHUNKS; i++) merge(&total, &parts[i]);
    return total;
}

/* ---- Norms --------------------------------------------------------------------------------------------------------- */
/* The sum of one image's weights over the crop. */
static double weights_in(const pxli_team *team, const pxli_call *call, pxli_crop c, int64_t image, pxli_partial *parts) {
    pxl_tensor view = *call->args->weight;
    const int64_t bytes = view.dtype == PXL_F64 ? 8 : 4;
    if (c.x1 <= c.x0 || c.y1 <= c.y0) return 0;
    view.data = (char *)view.data + bytes * (c.x0 * view.stride[3]);
    view.size[3] = c.x1 - c.x0;
    const pxli_region region = {PXLI_NEEDS_SUM, &view, NULL, image, image + 1, c.y0, c.y1};
    return pxli_reduce_region(team, &region, parts).sum;
}

/* Fills norm[.][k] with the sum of what counts, of each image: its positions, or their weights. */
static void count_positions(const pxli_team *team, pxli_call *call, int k, pxli_partial *parts) {
    const pxli_crop c = pxli_crop_of(call, k);
    for (int64_t n = 0; n < call->n; n++)
        call->norm[n * call->count + k] = call->args->weight ? weights_in(team, call, c, n, parts) : pxli_crop_area(c);
}
static bool is_per_image(const pxli_call *call, const pxli_term *term) { return call->args->per_image || term->mean_of_images; }
static void copy_counts(pxli_call *call, int from, int k) {
    for (int64_t n = 0; n < call->n; n++) call->norm[n * call->count + k] = call->norm[n * call->count + from];
}
/* tv with own_counts: from the norm of all pixels to that of the pixels that have a neighbour to the right, or below. */
static void set_own_counts(const pxli_team *team, pxli_call *call, int k, pxli_partial *parts) {
    const pxli_crop c[2] = {{0, call->h, 0, call->w - 1}, {0, call->h - 1, 0, call->w}};
    const bool each = is_per_image(call, &call->terms[k]);
    for (int q = 0; q < 2; q++) {
        double all = 0, own = 0;
        for (int64_t n = 0; n < call->n; n++) {
            double *share = &call->own[2 * (n * call->count + k) + q];
            *share = call->args->weight ? weights_in(team, call, c[q], n, parts) : pxli_crop_area(c[q]);
            all += call->norm[n * call->count + k], own += *share;
        }
        for (int64_t n = 0; n < call->n; n++) {
            double *share = &call->own[2 * (n * call->count + k) + q];
            const double counts = each ? call->norm[n * call->count + k] : all, mine = each ? *share : own;
            *share = mine > 0 ? counts / mine : 0;
        }
    }
}
/* From counts to norms. */
static void finish_norm(pxli_call *call, int k) {
    const pxli_term *term = &call->terms[k];
    double all = 0;
    for (int64_t n = 0; n < call->n; n++) all += call->norm[n * call->count + k];
    for (int64_t n = 0; n < call->n; n++) {
        double *norm = &call->norm[n * call->count + k];
        const double counts = is_per_image(call, term) ? *norm : all;
        *norm = pxli_norm(term->kind, term->reduction, counts, (double)call->c);
    }
}
static bool same_crop(pxli_crop a, pxli_crop b) { return a.y0 == b.y0 && a.y1 == b.y1 && a.x0 == b.x0 && a.x1 == b.x1; }
void pxli_set_norms(const pxli_team *team, pxli_call *call, pxli_partial *parts) {
    for (int k = 0; k < call->count; k++) {
        int same = 0;
        while (same < k && !same_crop(pxli_crop_of(call, same), pxli_crop_of(call, k))) same++;
        if (same < k)
            copy_counts(call, same, k);
        else
            count_positions(team, call, k, parts);
    }
    for (int k = 0; k < call->count; k++)
        if (call->terms[k].own_counts) set_own_counts(team, call, k, parts);
    for (int k = 0; k < call->count; k++) finish_norm(call, k);
}

/* ---- Data ranges --------------------------------------------------------------------------------------------------- */
/* Over the images [first, last). */
static pxli_partial extremes_in(const pxli_team *team, const pxli_call *call, const pxl_tensor *tensor, int64_t first,
                                int64_t last, pxli_partial *parts) {
    const pxli_region region = {PXLI_NEEDS_EXTREMES, tensor, call->args->weight, first * call->c, last * call->c, 0, call->h};
    return pxli_reduce_region(team, &region, parts);
}
static double range_from_data(const pxli_team *team, const pxli_call *call, int64_t first, int64_t last, pxli_partial *parts) {
    const pxli_partial x = extremes_in(team, call, call->args->pred, first, last, parts);
    const pxli_partial y = extremes_in(team, call, call->args->target, first, last, parts);
    const double range = call->target_unit.range, most = call->target_unit.most;
    return pxli_range_of(x.min, x.max, y.min * range / most, y.max * range / most);
}
static double range_of_dtype(pxl_dtype dtype) { return dtype == PXL_U8 ? 255 : dtype == PXL_U16 ? 65535 : 1; }
void pxli_set_ranges(const pxli_team *team, pxli_call *call, pxli_partial *parts) {
    bool any = false;
    for (int k = 0; k < call->count; k++) any = any || call->terms[k].window.data_range == PXL_FROM_DATA;
    const bool each = call->args->per_image;
    double measured = any && !each ? range_from_data(team, call, 0, call->n, parts) : 0;
    for (int64_t n = 0; n < call->n; n++) {
        if (any && each) measured = range_from_data(team, call, n, n + 1, parts);
        for (int k = 0; k < call->count; k++) {
            const double given = call->terms[k].window.data_range;
            call->range[n * call->count + k] = given == PXL_FROM_DATA ? measured
                                               : given != 0           ? given
                                                                      : range_of_dtype(call->args->pred->dtype);
        }
    }
}

/* ---- Functions of a mean ------------------------------------------------------------------------------------------- */
static double function_of(const pxli_term *term, double range, double mean) {
    return pxli_function_of_mean(term->kind, term->param, range, mean);
}
/* The mean that image n's value is a function of. */
static double mean_for(const pxli_call *call, int k, int64_t n) {
    if (is_per_image(call, &call->terms[k])) return call->sums[n * call->count + k] * call->norm[n * call->count + k];
    double sum = 0;
    for (int64_t i = 0; i < call->n; i++) sum += call->sums[i * call->count + k];
    return sum * call->norm[k];
}

static double weight_of(const pxli_call *call, int k) {
    return call->args->term_weights ? (double)call->args->term_weights[k] : call->terms[k].weight;
}
static double scale_of(const pxli_call *call, int k, int64_t n, double mean) {
    const pxl_args *args = call->args;
    const pxli_term *term = &call->terms[k];
    const double upstream = !args->grad_loss ? 1 : (double)args->grad_loss[args->per_image ? n : 0], weight = weight_of(call, k);
    if (weight == 0) return 0;
    double scale = weight * upstream * call->norm[n * call->count + k];
    if (pxli_is_function(term)) scale = pxli_scaled(scale, pxli_slope_of_mean(term->kind, term->param, mean));
    return term->mean_of_images && !args->per_image ? scale / (double)call->n : scale;
}
void pxli_set_scales(pxli_call *call) {
    if (!call->args->grad_pred && !call->args->grad_target) return;
    for (int k = 0; k < call->count; k++) {
        const bool function = pxli_is_function(&call->terms[k]), each = is_per_image(call, &call->terms[k]);
        double mean = function && !each ? mean_for(call, k, 0) : 0;
        for (int64_t n = 0; n < call->n; n++) {
            if (function && each) mean = mean_for(call, k, n);
            call->scale[n * call->count + k] = scale_of(call, k, n, mean);
        }
    }
}

/* ---- Values -------------------------------------------------------------------------------------------------------- */
static double image_value(const pxli_call *call, int k, int64_t n) {
    const pxli_term *term = &call->terms[k];
    const double mean = call->sums[n * call->count + k] * call->norm[n * call->count + k];
    return pxli_is_function(term) ? function_of(term, call->range[n * call->count + k], mean) : mean;
}
static double batch_value(const pxli_call *call, int k) {
    const pxli_term *term = &call->terms[k];
    if (pxli_is_function(term) && !term->mean_of_images) return function_of(term, call->range[k], mean_for(call, k, 0));
    double value = 0;
    for (int64_t n = 0; n < call->n; n++) value += image_value(call, k, n);
    return term->mean_of_images ? value / (double)call->n : value;
}
static void store_values(const pxli_call *call, int64_t n, const double *row) {
    const pxl_args *args = call->args;
    const int64_t first = n * (call->count + 1);
    for (int k = 0; k <= call->count; k++) {
        if (args->values) args->values[first + k] = row[k];
        if (args->values_f32) args->values_f32[first + k] = (float)row[k];
    }
}
void pxli_write_values(const pxli_call *call) {
    const int64_t rows = call->args->per_image ? call->n : 1;
    for (int64_t n = 0; n < rows; n++) {
        double row[1 + PXLI_MAX_TERMS] = {0};
        for (int k = 0; k < call->count; k++) {
            const double weight = weight_of(call, k);
            row[1 + k] = call->args->per_image ? image_value(call, k, n) : batch_value(call, k);
            if (weight != 0) row[0] += weight * row[1 + k];
        }
        store_values(call, n, row);
    }
}
