/* MS-SSIM (Wang, Simoncelli, Bovik 2003) of images x and y, for each channel of each image: with loss_j the mean of 1 - cs over scale j,
 * or of 1 - ssim at the coarsest, and F_j = 1 - loss_j,
 *
 *     1 - MS-SSIM = -expm1(sum over j of weight_j log F_j),  d / d loss_j = weight_j MS-SSIM / F_j.
 *
 * Each scale's map and its gradient are those of a windowed term on the halved images. As the slopes are known only once all scales are,
 * the gradients are left without them; from coarse to fine, each is multiplied by its factor and given what the halving's adjoint brings
 * from the scale below. Scales hold sums and differences of the images, whose difference would drown in x and y rounded one by one. */
#include "scales.h"

#include <math.h>
#include <string.h>

#include "math/window.h"

/* ---- Sizes ---------------------------------------------------------------------------------------------------------- */
static pxli_halved axis(pxli_halving halving, int64_t n, bool odd) {
    const bool front = odd && (halving == PXLI_HALVE_FRONT || halving == PXLI_HALVE_PAD);
    return (pxli_halved){n, halving == PXLI_HALVE_DROP ? n / 2 : (n + 1) / 2, front, halving == PXLI_HALVE_PAD};
}
void pxli_halve(pxli_halving halving, int64_t h, int64_t w, pxli_halved *rows, pxli_halved *columns) {
    const bool either = halving == PXLI_HALVE_FRONT && (h % 2 || w % 2);
    *rows = axis(halving, h, either || h % 2), *columns = axis(halving, w, either || w % 2);
}

/* Whether the first `count` scales fit an axis of n pixels, whose length after halving does not depend on the other axis. */
static bool fit_axis(const pxli_term *term, int taps, int count, int64_t n) {
    for (int j = 0; j < count; j++) {
        const bool whole = term->window.border == PXL_VALID || (term->scales.crop && j < count - 1);
        if (n < (whole ? taps : 1)) return false;
        n = axis(term->scales.halving, n, n % 2).to;
    }
    return true;
}
static bool fit(const pxli_term *term, int count, int64_t h, int64_t w) {
    return fit_axis(term, term->window.y.taps, count, h) && fit_axis(term, term->window.x.taps, count, w);
}
int pxli_scale_count(const pxli_term *term, int64_t h, int64_t w) {
    int count = term->scales.count;
    if (!term->scales.automatic) return fit(term, count, h, w) ? count : 0;
    while (count > 0 && !fit(term, count, h, w)) count--;
    return count;
}
void pxli_scales_need(const pxli_term *term, int64_t *h, int64_t *w) {
    const int count = term->scales.automatic ? 1 : term->scales.count;
    for (*h = 1; !fit_axis(term, term->window.y.taps, count, *h);) ++*h;
    for (*w = 1; !fit_axis(term, term->window.x.taps, count, *w);) ++*w;
}

/* ---- Layout --------------------------------------------------------------------------------------------------------- */
static pxl_dtype dtype_of(const pxli_call *call) { return call->args->pred->dtype == PXL_F64 ? PXL_F64 : PXL_F32; }
/* Rows begin at multiples of 64 bytes. */
static pxl_tensor take_planes(const pxli_call *call, int64_t h, int64_t w, pxli_arena *arena) {
    const int64_t pitch = (w + 15) / 16 * 16;
    pxl_tensor t = pxl_nchw(NULL, dtype_of(call), call->args->pred->device, call->n, call->c, h, pitch);
    t.data = pxli_take(arena, (size_t)(call->n * call->c * h * pitch) * (t.dtype == PXL_F64 ? 8 : 4));
    t.size[3] = w;
    return t;
}
static void layout_scale(const pxli_call *call, pxli_pyramid *p, int j, pxli_arena *arena) {
    pxli_scale *s = &p->scale[j];
    const size_t table = (size_t)(call->n * call->c) * sizeof(double);
    s->loss = pxli_take(arena, table), s->slope = pxli_take(arena, table);
    if (j > 0) s->sum = take_planes(call, s->h, s->w, arena), s->difference = take_planes(call, s->h, s->w, arena);
    if (j == 0 && p->direct) {
        if (call->grad_pred) s->grad_pred = *call->grad_pred;
        if (call->grad_target) s->grad_target = *call->grad_target;
        return;
    }
    if (call->grad_pred) s->grad_pred = take_planes(call, s->h, s->w, arena);
    if (call->grad_target) s->grad_target = take_planes(call, s->h, s->w, arena);
}
static bool is_dense(const pxl_tensor *t, pxl_dtype dtype) { return !t || (t->dtype == dtype && t->stride[3] == 1); }
static pxli_scale_product product_of(const pxli_scales *s, int count) {
    pxli_scale_product p = {count, s->clamp, s->eps, {0}};
    double sum = 0;
    for (int j = 0; j < count; j++) sum += s->weight[j];
    for (int j = 0; j < count; j++) p.weight[j] = count < s->count ? s->weight[j] / sum : s->weight[j];
    return p;
}
void pxli_pyramid_layout(const pxli_call *call, int i, pxli_pyramid *p, pxli_arena *arena) {
    memset(p, 0, sizeof *p);
    p->index = call->pyramid[i], p->term = &call->terms[p->index];
    p->count = call->turned ? pxli_scale_count(p->term, call->w, call->h) : pxli_scale_count(p->term, call->h, call->w);
    p->whole = p->term->window; /* of calls that are not turned themselves */
    p->whole.y = pxli_axis_y(call, &p->term->window), p->whole.x = pxli_axis_x(call, &p->term->window);
    p->cropped = p->whole;
    p->channels = call->c;
    if (p->term->scales.crop) p->cropped.border = PXL_VALID;
    p->product = product_of(&p->term->scales, p->count);
    p->direct = i == 0 && call->passes - pxli_rides(call) == 0 && !call->args->accumulate &&
                is_dense(call->grad_pred, dtype_of(call)) && is_dense(call->grad_target, dtype_of(call));
    p->base = pxli_take(arena, (size_t)(2 * call->n * call->c) * sizeof(double));
    p->range = pxli_take(arena, (size_t)call->n * sizeof(double)), p->outer = pxli_take(arena, (size_t)call->n * sizeof(double));
    if (p->term->scales.own_ranges && p->term->window.data_range == PXL_FROM_DATA)
        p->extremes = pxli_take(arena, (size_t)(4 * call->n * call->c) * sizeof(double));
    p->scale[0].h = call->h, p->scale[0].w = call->w;
    for (int j = 0; j < p->count; j++) {
        pxli_scale *s = &p->scale[j];
        if (j > 0) {
            pxli_halve(p->term->scales.halving, s[-1].h, s[-1].w, &s->rows, &s->columns);
            s->h = s->rows.to, s->w = s->columns.to;
        }
        layout_scale(call, p, j, arena);
    }
}

/* ---- Data ranges of their own ---------------------------------------------------------------------------------------- */
static double most(double a, double b) { return a > b || a != a ? a : b; } /* NaN stays */
static double range_of_planes(const double *e, int64_t planes) {
    double all[4] = {-e[0], e[1], -e[2], e[3]};
    for (int64_t i = 1; i < planes; i++)
        for (int k = 0; k < 4; k++) all[k] = most(all[k], k % 2 ? e[4 * i + k] : -e[4 * i + k]);
    return pxli_range_of(-all[0], all[1], -all[2], all[3]);
}
void pxli_set_scale_range(const pxli_pyramid *p, const pxli_call *call) {
    const bool each = call->args->per_image;
    for (int64_t n = 0; n < call->n; n++)
        p->range[n] =
            each ? range_of_planes(p->extremes + 4 * n * call->c, call->c) : range_of_planes(p->extremes, call->n * call->c);
}

/* ---- Value and slopes ------------------------------------------------------------------------------------------------ */
static double mean_of(const pxli_pyramid *p, int j, int64_t at, int64_t channels) {
    double sum = 0;
    for (int64_t c = 0; c < channels; c++) sum += p->scale[j].loss[at + c];
    return sum / ((double)channels * p->scale[j].area);
}
void pxli_weigh_scales(const pxli_pyramid *p, const pxli_call *call) {
    const int64_t together = p->term->scales.mean_of_channels ? call->c : 1;
    const bool gradients = call->args->grad_pred || call->args->grad_target;
    for (int64_t n = 0; n < call->n; n++) {
        double total = 0;
        for (int64_t c = 0; c < call->c; c += together) {
            const int64_t at = n * call->c + c;
            double slope[PXLI_MAX_SCALES];
            for (int j = 0; j < p->count; j++) slope[j] = mean_of(p, j, at, together);
            total += (double)together * pxli_multiply_scales(&p->product, slope);
            const bool counts = gradients && call->scale[n * call->count + p->index] != 0;
            for (int j = 0; j < p->count && gradients; j++)
                for (int64_t k = 0; k < together; k++) p->scale[j].slope[at + k] = counts ? slope[j] : 0;
        }
        call->sums[n * call->count + p->index] = total;
    }
}
