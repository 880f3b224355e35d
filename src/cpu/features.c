/* The CPU's engine for networks: convolutions by oneDNN, all else by kernels of our own, in rows or chunks over the threads. */
#include <string.h>

#include "../network/onednn.h"
#include "kernels.h"
#include "layers.h"
#include "threads.h"

static const pxli_layer_kernels *kernels(void) { return pxli_kernels_for(PXL_F32)->layers; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- Scratch: oneDNN's; or a row for each thread; or the sums of chunks and what a chunk needs ---------------------------- */
enum { CHUNK = 1 << 14 }; /* elements */
static size_t row_bytes(const pxli_prepared *p) {
    const int64_t elements = p->shape.w > 2 * PXLI_MAX_CHANNELS ? p->shape.w : 2 * PXLI_MAX_CHANNELS;
    return pxli_rounded((size_t)elements * sizeof(float));
}
static int64_t pixels_per_chunk(const pxli_stage *s) { return s->outputs < CHUNK ? CHUNK / s->outputs : 1; }
/* Of a layer, or of its Gram matrix. */
static int64_t chunks_of(const pxli_stage *s) {
    const int64_t pixels = s->h * s->w > s->outputs ? s->h * s->w : s->outputs;
    return (pixels + pixels_per_chunk(s) - 1) / pixels_per_chunk(s);
}
static size_t sum_bytes(const pxli_stage *s) { return pxli_rounded((size_t)chunks_of(s) * sizeof(double)); }
static size_t gram_bytes(const pxli_stage *s) { return (size_t)s->outputs * (size_t)s->outputs * sizeof(float); }
static size_t partials(const pxli_prepared *p, const pxli_call *call, int term, const pxli_stage *s) {
    const bool gram = call->terms[term].features.transform == PXLI_TRANSFORM_GRAM;
    return sum_bytes(s) + row_bytes(p) * (size_t)p->shape.threads + (gram ? 3 * gram_bytes(s) : 0);
}
static pxl_status prepare(pxli_prepared *p) {
    const pxl_status status = pxli_onednn_prepare(p);
    const size_t rows = row_bytes(p) * (size_t)p->shape.threads;
    if (p->scratch < rows) p->scratch = rows;
    return status;
}

/* One image after another: an image keeps all threads busy, and memory does not grow with their number. */
static void choose(const pxl_context *context, const pxli_call *call, const pxli_term *term, pxli_shape *shape) {
    (void)call, (void)term;
    shape->threads = pxli_threads(context), shape->precision = PXL_PRECISION_F32, shape->batch = 1;
}
/* A term whose weight is 0 leaves the gradient alone, whatever its value is. */
static bool pulls(const pxli_run_images *run, const pxli_walk *walk) {
    bool any = false;
    for (int t = 0; t < walk->terms; t++) any = any || run->call->scale[run->first * run->call->count + walk->term[t]] != 0;
    return any;
}

/* `where` is the call's team; its threads are those that the network was prepared for, or fewer. */
static pxli_team team_of(const pxli_run_images *run, void *scratch) {
    const pxli_team *team = run->where;
    return (pxli_team){(int)smaller(team->threads, run->prepared->shape.threads), scratch, row_bytes(run->prepared)};
}

/* ---- Images -------------------------------------------------------------------------------------------------------- */
typedef struct image_run {
    const pxl_tensor *image;
    int64_t n;
    int channels;
    pxli_normalisation normalisation;
    bool normalises;
    float *activations;
    bool back;
} image_run;
static void image_row(const void *arguments, int64_t y, void *scratch) {
    const image_run *r = arguments;
    float *row = r->activations + y * r->image->size[3] * r->channels;
    const float *multiply = r->normalises ? r->normalisation.multiply : NULL, *add = r->normalises ? r->normalisation.add : NULL;
    if (r->back)
        kernels()->store(r->image, r->n, y, r->channels, multiply, scratch, row);
    else
        kernels()->load(r->image, r->n, y, r->channels, multiply, add, scratch, row);
}
static pxl_status run_image(const pxli_run_images *run, const pxl_tensor *image, int term, float *activations, bool back) {
    const pxli_features *f = &run->call->terms[term].features;
    const double L = pxli_data_range(run->call->range[run->first * run->call->count + term]);
    const image_run r = {
        image,       run->first, f->network->inputs, pxli_normalisation_of(f->normalize, L), f->normalize != PXL_NORMALIZE_NONE,
        activations, back};
    const pxli_team team = team_of(run, run->scratch);
    pxli_run(&team, image->size[2], image->size[2] * image->size[3], image_row, &r);
    return PXL_OK;
}
static pxl_status load(const pxli_run_images *run, const pxl_tensor *image, int term, void *to) {
    return run_image(run, image, term, to, false);
}
static pxl_status store(const pxli_run_images *run, const pxl_tensor *gradient, int term, const void *from) {
    return run_image(run, gradient, term, (float *)from, true);
}

/* ---- Layers -------------------------------------------------------------------------------------------------------- */
typedef struct layer_run {
    const pxli_stage *stage;
    const float *in, *grad_out;
    float *out;
    bool mask;
} layer_run;
static void pool_row(const void *arguments, int64_t y, void *scratch) {
    const layer_run *r = arguments;
    (void)scratch;
    kernels()->pool(r->stage, y, r->in, r->out);
}
static void unpool_row(const void *arguments, int64_t y, void *scratch) {
    const layer_run *r = arguments;
    (void)scratch;
    kernels()->unpool(r->stage, y, r->in, r->mask, r->grad_out, r->out);
}
static void relu_row(const void *arguments, int64_t y, void *scratch) {
    const layer_run *r = arguments;
    const int64_t count = r->stage->w * r->stage->outputs;
    (void)scratch;
    kernels()->relu(r->in + y * count, r->out + y * count, count);
}
/* A row of the stage's input, whose gradient is `out`. */
static void mask_row(const void *arguments, int64_t y, void *scratch) {
    const layer_run *r = arguments;
    const int64_t count = r->stage->in_w * r->stage->inputs;
    (void)scratch;
    kernels()->mask(r->in + y * count, r->out + y * count, count);
}
static void over_rows(const pxli_run_images *run, int64_t rows, pxli_task *task, const layer_run *r) {
    const pxli_team team = team_of(run, run->scratch);
    pxli_run(&team, rows, rows * r->stage->w * r->stage->outputs, task, r);
}
static pxl_status forward(const pxli_run_images *run, const pxli_stage *stage, const void *in, void *out) {
    const layer_run r = {stage, in, NULL, out, false};
    if (stage->kind == PXL_CONVOLUTION) return pxli_onednn_forward(run->prepared, stage, in, out, run->scratch);
    over_rows(run, stage->h, stage->kind == PXL_RELU ? relu_row : pool_row, &r);
    return PXL_OK;
}
static pxl_status backward(const pxli_run_images *run, const pxli_stage *stage, const void *in, bool mask, const void *grad_out,
                           void *grad_in) {
    const layer_run r = {stage, in, grad_out, grad_in, mask};
    if (stage->kind != PXL_CONVOLUTION) return over_rows(run, stage->h, unpool_row, &r), PXL_OK;
    const pxl_status status = pxli_onednn_backward(run->prepared, stage, grad_out, grad_in, run->scratch);
    if (!status && mask) over_rows(run, stage->in_h, mask_row, &r);
    return status;
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */
typedef struct charge_run {
    pxli_layer_charge charge;
    bool units;
    int64_t pixels, chunk;
    double *sums;
} charge_run;
static void charge_chunk(const void *arguments, int64_t index, void *scratch) {
    const charge_run *r = arguments;
    const int64_t from = index * r->chunk, to = smaller(from + r->chunk, r->pixels), C = r->charge.channels;
    r->sums[index] =
        r->units ? kernels()->compare_units(&r->charge, from, to, scratch) : kernels()->compare(&r->charge, from * C, to * C);
}
/* The sum of the charges of `pixels` x `channels`. */
static double run_charges(const pxli_run_images *run, const pxli_layer_charge *charge, bool units, const pxli_stage *s,
                          int64_t pixels) {
    const pxli_team team = team_of(run, (char *)run->scratch + sum_bytes(s));
    const charge_run r = {*charge, units, pixels, pixels_per_chunk(s), run->scratch};
    const int64_t chunks = (pixels + r.chunk - 1) / r.chunk;
    double sum = 0;
    pxli_run(&team, chunks, pixels * s->outputs, charge_chunk, &r);
    for (int64_t i = 0; i < chunks; i++) sum += r.sums[i];
    return sum;
}
/* Gram matrices of both, their charges, and back: d charge / dF = 2 F S / (C H W) for the symmetric slopes S. */
static pxl_status run_grams(const pxli_run_images *run, const pxli_layer_charge *charge, const pxli_stage *s, double *sum) {
    const pxli_prepared *p = run->prepared;
    const int64_t C = s->outputs, pixels = s->h * s->w;
    const float unit = (float)(1 / ((double)C * (double)pixels));
    float *own = (float *)((char *)run->scratch + sum_bytes(s) + row_bytes(p) * (size_t)p->shape.threads);
    float *other = own + C * C, *slopes = charge->gradient ? other + C * C : NULL;
    pxl_status status = pxli_onednn_multiply(p, true, false, C, C, pixels, unit, charge->a, C, charge->a, C, 0, own, C);
    if (!status) status = pxli_onednn_multiply(p, true, false, C, C, pixels, unit, charge->b, C, charge->b, C, 0, other, C);
    if (status) return status;
    const pxli_layer_charge entries = {charge->penalty, charge->param, NULL,  own,   other,
                                       s->outputs,      charge->scale, false, false, slopes};
    *sum = run_charges(run, &entries, false, s, C);
    if (!slopes) return PXL_OK;
    status = pxli_onednn_multiply(p, false, false, pixels, C, C, 2 * unit, charge->a, C, slopes, C, charge->add ? 1 : 0,
                                  charge->gradient, C);
    const pxli_stage rows = {.in_w = s->w, .inputs = s->outputs, .w = s->w, .outputs = s->outputs};
    const layer_run r = {&rows, charge->a, NULL, charge->gradient, true};
    if (!status && charge->mask) over_rows(run, s->h, mask_row, &r);
    return status;
}
static pxli_layer_charge charge_of(const pxli_run_images *run, const pxli_comparison *c, double scale) {
    const pxli_term *term = &run->call->terms[c->term];
    const float *linear = term->features.linear ? run->prepared->network->layers[c->stage->layer].linear : NULL;
    return (pxli_layer_charge){term->penalty,     (float)term->param, linear, c->own,  c->other,
                               c->stage->outputs, (float)scale,       c->add, c->mask, c->gradient};
}
static void pass_row(const void *arguments, int64_t y, void *scratch) {
    const layer_run *r = arguments;
    const int64_t count = r->stage->w * r->stage->outputs;
    if (r->in)
        mask_row(arguments, y, scratch);
    else
        memset(r->out + y * count, 0, (size_t)count * sizeof *r->out);
}
/* What a term whose weight is 0 does to the gradient, whatever it is compared to: what came from below, or 0. */
static void pass_gradient(const pxli_run_images *run, const pxli_comparison *c) {
    const pxli_stage *s = c->stage, rows = {.in_w = s->w, .inputs = s->outputs, .w = s->w, .outputs = s->outputs};
    const layer_run r = {&rows, c->add ? c->own : NULL, NULL, c->gradient, true};
    if (!c->add || c->mask) over_rows(run, s->h, pass_row, &r);
}
static pxl_status compare(const pxli_run_images *run, const pxli_comparison *c) {
    pxli_call *call = run->call;
    const pxli_term *term = &call->terms[c->term];
    const pxli_stage *s = c->stage;
    const int64_t slot = run->first * call->count + c->term;
    const bool pulls = c->gradient && call->scale[slot] != 0;
    pxli_layer_charge charge = charge_of(run, c, pulls ? call->scale[slot] * c->factor : 0);
    if (!pulls) charge.gradient = NULL;
    if (c->gradient && !pulls) pass_gradient(run, c);
    if (!pulls && !c->value) return PXL_OK;
    double sum = 0;
    pxl_status status = PXL_OK;
    if (term->features.transform == PXLI_TRANSFORM_GRAM)
        status = run_grams(run, &charge, s, &sum);
    else
        sum = run_charges(run, &charge, term->features.transform == PXLI_TRANSFORM_UNIT, s, s->h * s->w);
    if (c->value) call->sums[slot] += c->factor * sum;
    return status;
}

/* ---- Maps ---------------------------------------------------------------------------------------------------------- */
typedef struct map_run {
    pxli_layer_charge charge;
    const pxli_comparison *comparison;
    bool units;
    float *charges;
    const pxl_tensor *map;
    int64_t n;
} map_run;
static void charge_row(const void *arguments, int64_t y, void *scratch) {
    const map_run *r = arguments;
    const int64_t w = r->comparison->stage->w, C = r->charge.channels;
    for (int64_t i = y * w; i < (y + 1) * w; i++) {
        const double sum = r->units ? kernels()->compare_units(&r->charge, i, i + 1, scratch)
                                    : kernels()->compare(&r->charge, i * C, (i + 1) * C);
        r->charges[i] = (float)(sum * r->comparison->factor);
    }
}
/* Where a pixel lies between two places of a layer, as torch's align_corners=False. */
typedef struct between {
    int64_t from, to;
    float share; /* of `to` */
} between;
static between place(int64_t i, int64_t pixels, int64_t places) {
    const double at = ((double)i + 0.5) * (double)places / (double)pixels - 0.5, inside = at > 0 ? at : 0;
    const int64_t from = (int64_t)inside;
    return (between){from, smaller(from + 1, places - 1), (float)(inside - (double)from)};
}
static void map_row(const void *arguments, int64_t y, void *scratch) {
    const map_run *r = arguments;
    const pxli_stage *s = r->comparison->stage;
    const pxl_tensor *map = r->map;
    const between v = place(y, map->size[2], s->h);
    const float *top = r->charges + v.from * s->w, *bottom = r->charges + v.to * s->w;
    (void)scratch;
    for (int64_t x = 0; x < map->size[3]; x++) {
        const between u = place(x, map->size[3], s->w);
        const float above = top[u.from] + u.share * (top[u.to] - top[u.from]),
                    below = bottom[u.from] + u.share * (bottom[u.to] - bottom[u.from]);
        const int64_t at = r->n * map->stride[0] + y * map->stride[2] + x * map->stride[3];
        const float value = above + v.share * (below - above);
        if (map->dtype == PXL_F64)
            ((double *)map->data)[at] = r->comparison->add ? ((double *)map->data)[at] + (double)value : (double)value;
        else
            ((float *)map->data)[at] = r->comparison->add ? ((float *)map->data)[at] + value : value;
    }
}
static pxl_status map(const pxli_run_images *run, const pxli_comparison *c, float *charges, const pxl_tensor *map) {
    const pxli_term *term = &run->call->terms[c->term];
    const map_run r = {charge_of(run, c, 0), c, term->features.transform == PXLI_TRANSFORM_UNIT, charges, map, run->first};
    const pxli_team team = team_of(run, run->scratch);
    pxli_run(&team, c->stage->h, c->stage->h * c->stage->w * c->stage->outputs, charge_row, &r);
    pxli_run(&team, map->size[2], map->size[2] * map->size[3], map_row, &r);
    return PXL_OK;
}

const pxli_engine pxli_cpu_engine = {
    16, pxli_onednn_available, choose, prepare, pxli_onednn_forget, pulls, partials, load, forward, compare, backward, store,
    map};
