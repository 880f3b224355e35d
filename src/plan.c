/* Groups the terms of a loss into the fewest passes, and cuts the images into tiles: see plan.h.
 *
 * Windowed terms that share their window share a pass. The residual terms ride along with the first of them that works on whole
 * pixels, else they have a pass of their own. Passes over averaged blocks come last: they add their gradient to what is there. */
#include "plan.h"

#include <string.h>

#include "check.h"
#include "math/window.h"
#include "scales.h"

pxli_radii pxli_radii_of(const pxli_call *call, const pxli_term *term) {
    switch (term->kind) {
        case PXL_SOBEL:
        case PXL_LAPLACIAN:
        case PXL_TV: return (pxli_radii){1, 1};
        case PXL_BLUR: return (pxli_radii){pxli_axis_y(call, &term->window).taps / 2, pxli_axis_x(call, &term->window).taps / 2};
        default: return (pxli_radii){0, 0};
    }
}

/* ---- Tiles: by shape alone, so that neither the shifts nor the order of sums depend on the threads ------------------------- */
enum {
    STRUCTURE_COLUMNS = 640, /* a strip's ring and rows fit L2, its blocks L1 */
    WIDE_COLUMNS = 480,      /* of windows beyond WIDE_RADIUS, whose ring is larger */
    WIDE_RADIUS = 16,
    STRUCTURE_ROWS = 540,  /* the halo of 4R rows is then 4 % */
    STENCIL_COLUMNS = 960, /* some 12 rows of these fit L1 */
    PIXEL_COLUMNS = 4096,
    RESIDUAL_PIXELS = 1 << 17,
    LIKELY_THREADS = 16
};
static int64_t at_least_1(int64_t a) { return a > 1 ? a : 1; }
/* A radius of 0: a term on pixels. */
bool pxli_is_one_loop(const pxli_call *call, const pxli_pass *pass) {
    const pxli_term *term = &call->terms[pass->residual[0]];
    if (pass->residual_count != 1 || call->args->weight) return false;
    return pass->residual_radius == 0 || (term->kind == PXL_TV && !term->isotropic && !term->own_counts);
}
static void set_tiles(const pxli_call *call, pxli_pass *pass) {
    const int R = pass->residual_radius;
    const bool few_rows = R == 0 || pxli_is_one_loop(call, pass); /* are kept */
    const int windowed = pass->radius > WIDE_RADIUS ? WIDE_COLUMNS : STRUCTURE_COLUMNS;
    const int base = pass->window ? windowed : few_rows ? PIXEL_COLUMNS : STENCIL_COLUMNS;
    const int64_t columns = base > 4 * R ? base : 4 * R;
    pass->strips = at_least_1((pass->w + columns / 2) / columns);
    const int64_t width = at_least_1(pass->w / pass->strips), halo_rows = 64 * (1 + R);
    const int64_t residual_rows = RESIDUAL_PIXELS / width > halo_rows ? RESIDUAL_PIXELS / width : halo_rows;
    const int64_t rows = pass->window ? STRUCTURE_ROWS : residual_rows;
    pass->segments = at_least_1((pass->h + rows / 2) / rows);
    while (call->n * call->c * pass->strips * pass->segments < LIKELY_THREADS && pass->h / (pass->segments + 1) >= rows / 3)
        pass->segments++;
}
/* Strips begin at multiples of 16, so that every vector of a strip is aligned if the image is. */
static int64_t strip_begin(const pxli_pass *pass, int64_t k) {
    const int64_t x = (k * pass->w / pass->strips + 15) / 16 * 16;
    return k == 0 ? 0 : x < pass->w ? x : pass->w;
}
int64_t pxli_strip_width(const pxli_pass *pass) {
    const int64_t width = pass->w / pass->strips + 32;
    return width < pass->w ? width : pass->w;
}
pxli_tile pxli_tile_at(const pxli_call *call, const pxli_pass *pass, int64_t index) {
    /* the channels of a tile one after the other: channels last, they lie on the same lines */
    const int64_t channel = index % call->c, at = index / call->c, strip = at % pass->strips,
                  segment = at / pass->strips % pass->segments;
    const int64_t y0 = segment * pass->h / pass->segments, y1 = (segment + 1) * pass->h / pass->segments,
                  x0 = strip_begin(pass, strip), x1 = strip + 1 == pass->strips ? pass->w : strip_begin(pass, strip + 1);
    return (pxli_tile){at / pass->strips / pass->segments, channel, y0, y1, x0, x1};
}

/* ---- Passes -------------------------------------------------------------------------------------------------------- */
static void add_residual(const pxli_call *call, pxli_pass *pass, int term) {
    const int radius = pxli_larger_radius(pxli_radii_of(call, &call->terms[term]));
    pass->residual[pass->residual_count++] = term;
    if (radius > pass->residual_radius) pass->residual_radius = radius;
}
static void start_pass(const pxli_call *call, pxli_pass *pass) {
    memset(pass, 0, sizeof *pass);
    pass->factor = 1, pass->h = call->h, pass->w = call->w;
    pass->gradients = call->args->grad_pred || call->args->grad_target;
}

/* Returns the radius. */
static int set_axis(const pxli_call *call, pxli_axis axis, bool identity, double *half) {
    const int R = identity ? 0 : axis.taps / 2;
    double taps[PXLI_MAX_WINDOW] = {1};
    if (!identity) {
        pxli_window_taps(axis.taps, axis.sigma, taps);
        if (call->args->pred->dtype != PXL_F64) pxli_round_taps(axis.taps, taps);
    }
    memcpy(half, taps, (size_t)(R + 1) * sizeof *taps);
    return R;
}
/* The most of a window's weight that lies inside a line of `size` pixels, which is in its middle. */
static double weight_inside(const double *half, int radius, int64_t size) {
    const int64_t middle = (size - 1) / 2;
    double sum = 0;
    for (int k = 0; k <= 2 * radius; k++)
        if (middle + k - radius >= 0 && middle + k - radius < size) sum += pxli_tap(half, radius, k);
    return sum;
}
static void set_window(const pxli_call *call, pxli_pass *pass, const pxli_window *window) {
    const pxli_axis y = pxli_axis_y(call, window), x = pxli_axis_x(call, window);
    const double n = (double)y.taps * x.taps;
    pass->window = window, pass->radius = pxli_larger_radius((pxli_radii){y.taps / 2, x.taps / 2});
    pass->factor = pxli_downsample_factor(window, call->h, call->w);
    pass->block_offset = window->symmetric_decimation ? pass->factor / 2 : 0;
    pass->reads_sums = pass->factor > 1;
    pxli_pooled_size(window, call->h, call->w, &pass->h, &pass->w);
    pass->identity_y = window->skip_short_axis && pass->h < y.taps;
    pass->identity_x = window->skip_short_axis && pass->w < x.taps;
    pass->radii.y = set_axis(call, y, pass->identity_y, pass->taps_y);
    pass->radii.x = set_axis(call, x, pass->identity_x, pass->taps_x);
    const int crop_y = window->border == PXL_VALID ? pass->radii.y : 0;
    const int crop_x = window->border == PXL_VALID ? pass->radii.x : 0;
    pass->map_y0 = crop_y, pass->map_y1 = pass->h - crop_y, pass->map_x0 = crop_x, pass->map_x1 = pass->w - crop_x;
    pass->variance_factor = pass->identity_y && pass->identity_x ? 0 : window->sample_covariance ? n / (n - 1) : 1;
    pass->mostly_outside =
        window->border == PXL_ZERO &&
        weight_inside(pass->taps_y, pass->radii.y, pass->h) * weight_inside(pass->taps_x, pass->radii.x, pass->w) < 0.5;
}

/* With a range of its own a constant image has stabilisers of 0. Then all of its windows are flat, unless they reach zeros. */
static bool settles(const pxli_call *call, const pxli_window *w, bool padded) {
    const bool zeros = w->border == PXL_ZERO || padded || call->args->weight;
    return pxli_settles(w->k1, w->k2) || (w->data_range == PXL_FROM_DATA && zeros);
}
static bool has_exponents(const pxli_term *t) {
    return !(t->alpha == 1 && t->beta == 1 && t->gamma == 1);
} /* ssim, dssim alone */
static void add_scored(const pxli_call *call, pxli_pass *pass, int k) {
    const pxli_term *term = &call->terms[k];
    const bool plain = (term->kind == PXL_SSIM || term->kind == PXL_DSSIM) && !has_exponents(term);
    pass->mode = pass->scored_count == 0 && plain ? PXLI_SCORE_SSIM : PXLI_SCORE_TERMS;
    pass->means = (pass->means || pass->scored_count == 0) && term->kind == PXL_LUMINANCE;
    pass->scored[pass->scored_count++] = k;
    pass->settles = settles(call, &term->window, false);
    pass->covariance = pass->covariance || term->kind == PXL_CONTRAST || term->kind == PXL_STRUCTURE || has_exponents(term);
}
static pxli_pass *pass_for(pxli_call *call, const pxli_term *term) {
    for (int p = 0; p < call->passes; p++)
        if (pxli_same_window(call->pass[p].window, &term->window)) return &call->pass[p];
    pxli_pass *pass = &call->pass[call->passes++];
    start_pass(call, pass);
    set_window(call, pass, &term->window);
    return pass;
}

/* Whole pixels first. */
static void order_passes(pxli_call *call) {
    for (int p = 1; p < call->passes; p++)
        for (int q = p; q > 0 && call->pass[q].factor == 1 && call->pass[q - 1].factor > 1; q--) {
            const pxli_pass t = call->pass[q];
            call->pass[q] = call->pass[q - 1], call->pass[q - 1] = t;
        }
}
static void place_residual(pxli_call *call) {
    pxli_pass *pass = NULL;
    for (int k = 0; k < call->count; k++) {
        if (pxli_has_statistics(call->terms[k].kind) || pxli_is_features(call->terms[k].kind)) continue;
        if (!pass && call->passes && call->pass[0].factor == 1) pass = &call->pass[0];
        if (!pass) {
            memmove(call->pass + 1, call->pass, (size_t)call->passes++ * sizeof *call->pass);
            pass = &call->pass[0];
            start_pass(call, pass);
        }
        add_residual(call, pass, k);
    }
}
static void place_mean(pxli_call *call) {
    start_pass(call, &call->mean);
    const bool needed = call->mean.gradients;
    call->mean.gradients = false;
    for (int k = 0; k < call->count && needed; k++)
        if (pxli_is_function(&call->terms[k])) add_residual(call, &call->mean, k);
}

/* Residual terms beside ms_ssim alone. On CUDA those on pixels only: stencils march down strips, which leaves no registers. */
static bool can_ride(const pxli_call *call) {
    const pxli_pass *pass = &call->pass[0];
    if (!call->pyramids || call->passes != 1 || pass->window || !pass->gradients) return false;
    bool pixels = true;
    for (int i = 0; i < pass->residual_count; i++) pixels = pixels && pxli_is_on_pixels(call->terms[pass->residual[i]].kind);
    return pixels || call->args->pred->device.type == PXL_CPU;
}

/* ---- Narrow images: other views of the same pixels --------------------------------------------------------------------- */
static bool is_narrow(const pxl_tensor *pred) {
    enum { NARROW = 32 };
    return pred->device.type == PXL_CPU && pred->size[3] <= NARROW && pred->size[2] >= 4 * pred->size[3];
}
typedef void reshape(const pxl_tensor *from, pxl_tensor *to);
static void turn(const pxl_tensor *from, pxl_tensor *to) {
    to->size[2] = from->size[3], to->size[3] = from->size[2];
    to->stride[2] = from->stride[3], to->stride[3] = from->stride[2];
}
void pxli_flatten(const pxl_tensor *from, pxl_tensor *to) {
    *to = *from;
    to->size[2] = 1, to->size[3] = from->size[2] * from->size[3];
    if (from->size[3] == 1) to->stride[3] = from->stride[2];
}
bool pxli_can_flatten(const pxl_tensor *t) { return t->size[3] == 1 || t->stride[2] == t->size[3] * t->stride[3]; }
static const pxl_tensor *reshaped(reshape *function, const pxl_tensor *from, pxl_tensor *to) {
    if (!from) return NULL;
    *to = *from;
    function(from, to);
    return to;
}
static const pxl_args *reshape_all(reshape *function, const pxl_args *args, pxli_call *call) {
    const pxl_tensor *const from[] = {args->pred,        args->target, args->weight,     args->grad_pred,
                                      args->grad_target, args->map,    args->statistics, args->pixel_map};
    pxl_args *to = &call->reshaped;
    *to = *args;
    const pxl_tensor **const at[] = {&to->pred,        &to->target, &to->weight,     &to->grad_pred,
                                     &to->grad_target, &to->map,    &to->statistics, &to->pixel_map};
    for (int i = 0; i < 8; i++) *at[i] = reshaped(function, from[i], &call->reshaped_tensor[i]);
    return to;
}
static const pxl_args *widened(const pxl_loss *loss, const pxl_args *args, pxli_call *call) {
    const pxl_tensor *const views[] = {args->pred,      args->target,      args->weight,
                                       args->grad_pred, args->grad_target, args->pixel_map};
    bool pixels = true;
    for (int i = 0; i < 6; i++) pixels = pixels && (!views[i] || pxli_can_flatten(views[i]));
    if (!is_narrow(args->pred)) return args;
    for (int k = 0; k < loss->count; k++) {
        const pxli_term *term = &loss->terms[k];
        if (pxli_is_features(term->kind)) return args;
        pixels = pixels && pxli_is_on_pixels(term->kind);
    }
    return reshape_all(pixels ? pxli_flatten : turn, args, call);
}

static void set_call(const pxl_args *args, pxli_call *call) {
    call->args = args, call->count = 0, call->passes = call->pyramids = call->walks = 0, call->grad_statistics = NULL;
    call->base = NULL, call->pass = NULL, call->target_unit = (pxli_unit){1, 1};
    call->grad_pred = args->grad_pred, call->grad_target = args->grad_target;
    call->turned = false;
    call->n = args->pred->size[0], call->c = args->pred->size[1], call->h = args->pred->size[2], call->w = args->pred->size[3];
    call->mean.residual_count = 0, call->statistics.window = NULL, call->charged = NULL;
    call->range = call->sums = call->norm = call->scale = call->own = NULL;
}
static void set_statistics(const pxli_term *term, pxli_score_mode mode, pxli_call *call, pxli_pass *pass) {
    start_pass(call, pass);
    pass->gradients = mode == PXLI_SCORE_STATISTICS_ADJOINT;
    set_window(call, pass, &term->window);
    pass->mode = mode, pass->covariance = true;
    set_tiles(call, pass);
}
void pxli_plan_statistics(const pxl_args *args, const pxl_tensor *grad_statistics, const pxli_term *term, pxli_score_mode mode,
                          pxli_call *call) {
    const bool narrow = is_narrow(args->pred);
    set_call(narrow ? reshape_all(turn, args, call) : args, call);
    call->turned = narrow;
    call->grad_statistics = narrow ? reshaped(turn, grad_statistics, &call->reshaped_statistics) : grad_statistics;
    set_statistics(term, mode, call, &call->statistics);
}

void pxli_plan(const pxl_loss *loss, const pxl_args *args, pxli_pass *passes, pxli_call *call) {
    const pxli_term *first = NULL;
    set_call(widened(loss, args, call), call);
    call->turned = call->args != args; /* or flattened, where no term has a window */
    call->pass = passes;
    call->terms = loss->terms, call->count = loss->count, call->target_unit = pxli_target_unit(loss, args);
    for (int k = 0; k < call->count; k++) {
        const pxli_term *term = &call->terms[k];
        if (term->kind == PXL_MS_SSIM) call->pyramid[call->pyramids++] = k;
        if (!pxli_is_windowed(term->kind)) continue;
        pxli_pass *pass = pass_for(call, term);
        add_scored(call, pass, k);
        if (!first) pass->outputs = args->map != NULL, first = term;
    }
    order_passes(call);
    place_residual(call);
    place_mean(call);
    for (int p = 0; p < call->passes; p++) {
        set_tiles(call, &call->pass[p]);
        call->pass[p].accumulate = p > 0 || call->pass[p].factor > 1 || args->accumulate;
    }
    if (can_ride(call)) call->pass[0].rides = true, call->pass[0].accumulate = call->pyramids > 1 || args->accumulate;
    if (call->mean.residual_count) set_tiles(call, &call->mean);
    if (call->args->pixel_map) call->charged = pxli_first_pixel(loss);
    if (call->args->statistics) set_statistics(first, PXLI_SCORE_STATISTICS, call, &call->statistics);
}

/* The images of a scale with their gradients, as arguments of a call. */
static const pxl_args *scale_args(const pxli_call *call, const pxli_scale *s, bool finest, pxli_call *to) {
    to->reshaped = PXL_ARGS(NULL, NULL);
    to->reshaped.pred = finest ? call->args->pred : &s->sum, to->reshaped.target = finest ? call->args->target : &s->difference;
    to->reshaped.grad_pred = call->grad_pred ? &s->grad_pred : NULL;
    to->reshaped.grad_target = call->grad_target ? &s->grad_target : NULL;
    return &to->reshaped;
}
/* Whether a pixel of scale j was averaged with zeros. */
static bool has_padding(const pxli_pyramid *p, int j) {
    bool padding = false;
    for (int i = 1; i <= j; i++)
        padding = padding || (p->scale[i].rows.pad && p->scale[i].rows.before) ||
                  (p->scale[i].columns.pad && p->scale[i].columns.before);
    return padding;
}
void pxli_plan_scale(const pxli_call *call, const pxli_pyramid *p, int j, pxli_pass *pass, pxli_call *to) {
    const bool coarsest = j == p->count - 1;
    set_call(scale_args(call, &p->scale[j], j == 0, to), to);
    to->terms = p->term, to->count = 1, to->passes = 1, to->pass = pass;
    to->range = p->range, to->scale = p->outer, to->base = j ? p->base : NULL;
    if (j == 0) to->target_unit = call->target_unit;
    start_pass(to, pass);
    set_window(to, pass, coarsest ? &p->whole : &p->cropped);
    pass->mode = coarsest ? PXLI_SCORE_SSIM : PXLI_SCORE_CONTRAST_STRUCTURE;
    pass->scored_count = 1, pass->scored[0] = 0;
    pass->settles = settles(to, pass->window, has_padding(p, j));
    pass->reads_sums = j > 0;
    set_tiles(to, pass);
}
pxli_crop pxli_crop_of(const pxli_call *call, int k) {
    const pxl_term_kind kind = call->terms[k].kind;
    if (pxli_is_features(kind) || kind == PXL_MS_SSIM) return (pxli_crop){0, 1, 0, 1}; /* an image counts once */
    for (int p = 0; p < call->passes; p++)
        for (int i = 0; i < call->pass[p].scored_count; i++) {
            const pxli_pass *pass = &call->pass[p];
            if (pass->scored[i] == k) return (pxli_crop){pass->map_y0, pass->map_y1, pass->map_x0, pass->map_x1};
        }
    const bool crops = call->terms[k].window.border == PXL_VALID;
    const pxli_radii r = crops ? pxli_radii_of(call, &call->terms[k]) : (pxli_radii){0, 0};
    return (pxli_crop){r.y, call->h - r.y, r.x, call->w - r.x};
}

/* ---- Layout -------------------------------------------------------------------------------------------------------- */
typedef void taps_at(const double *taps, int radius, pxl_border border, int64_t size, int64_t position, double *out);
static double *take_folds(const pxli_pass *pass, taps_at *function, const double *half, int R, int64_t size, pxli_arena *arena) {
    const int count = 2 * (R + 1);
    double taps[PXLI_MAX_WINDOW];
    pxli_whole_taps(half, R, taps);
    double *folds = pxli_take(arena, (size_t)(count * (2 * R + 1)) * sizeof *folds);
    for (int i = 0; i < count && folds; i++) {
        const int64_t position = i <= R ? i : size - count + i;
        if (position >= 0 && position < size) function(taps, R, pass->window->border, size, position, folds + i * (2 * R + 1));
    }
    return folds;
}
static double *take_blur(pxli_axis axis, pxli_arena *arena) {
    double *taps = pxli_take(arena, (size_t)axis.taps * sizeof *taps);
    if (taps) pxli_window_taps(axis.taps, axis.sigma, taps);
    return taps;
}
static void layout_pass(const pxli_call *call, pxli_pass *pass, pxli_arena *arena) {
    for (int k = 0; k < pass->residual_count; k++) {
        const pxli_term *term = &call->terms[pass->residual[k]];
        if (term->kind != PXL_BLUR) continue;
        const pxli_axis y = pxli_axis_y(call, &term->window), x = pxli_axis_x(call, &term->window);
        pass->blur_taps_y[k] = take_blur(y, arena);
        pass->blur_taps_x[k] = pxli_same_axis(y, x) ? pass->blur_taps_y[k] : take_blur(x, arena);
    }
    if (!pass->window || !pxli_border_folds(pass->window->border)) return;
    pass->folds.forward_x = take_folds(pass, pxli_forward_taps, pass->taps_x, pass->radii.x, pass->w, arena);
    if (!pass->gradients) return;
    pass->folds.adjoint_x = take_folds(pass, pxli_adjoint_taps, pass->taps_x, pass->radii.x, pass->w, arena);
    pass->folds.adjoint_y = take_folds(pass, pxli_adjoint_taps, pass->taps_y, pass->radii.y, pass->h, arena);
}
void pxli_layout_pass(pxli_call *scale, pxli_arena *arena) { layout_pass(scale, scale->pass, arena); }
static const pxl_tensor *take_sum(const pxli_call *call, const pxl_tensor *gradient, pxl_tensor *sum, pxli_arena *arena) {
    const pxl_dtype dtype = call->args->pred->dtype == PXL_F64 ? PXL_F64 : PXL_F32;
    const bool rides = pxli_rides(call);
    const bool adds = call->passes - rides + call->pyramids + call->walks > 1 || (call->passes && call->pass[0].factor > 1);
    if (!adds || !gradient || gradient->dtype == dtype) return gradient;
    *sum = pxl_nchw(NULL, dtype, gradient->device, call->n, call->c, call->h, call->w);
    sum->data = pxli_take(arena, (size_t)(call->n * call->c * call->h * call->w) * (dtype == PXL_F64 ? 8 : 4));
    return sum;
}
void pxli_plan_layout(pxli_call *call, pxli_arena *arena) {
    call->grad_pred = take_sum(call, call->args->grad_pred, &call->sum_pred, arena);
    call->grad_target = take_sum(call, call->args->grad_target, &call->sum_target, arena);
    const size_t table = (size_t)(call->n * call->count) * sizeof(double);
    call->sums = pxli_take(arena, table), call->norm = pxli_take(arena, table), call->scale = pxli_take(arena, table);
    call->own = pxli_take(arena, 2 * table), call->range = pxli_take(arena, table);
    if (call->mean.residual_count) layout_pass(call, &call->mean, arena);
    if (call->statistics.window) layout_pass(call, &call->statistics, arena);
    for (int p = 0; p < call->passes; p++) layout_pass(call, &call->pass[p], arena);
}
