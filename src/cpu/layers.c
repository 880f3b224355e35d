/* Between convolutions: see layers.h. */
#include "layers.h"

#include "charge.h"
#include "rows.h"

/* ---- Images -------------------------------------------------------------------------------------------------------- */
static void load_image(const pxl_tensor *image, int64_t n, int64_t y, int channels, const float *multiply, const float *add,
                       float *row, float *to) {
    const int64_t w = image->size[3];
    for (int c = 0; c < channels; c++) {
        const plane p = plane_of(image, n, image->size[1] == 1 ? 0 : c);
        const float m = multiply ? multiply[c] : 1, b = add ? add[c] : 0;
        load_row(&p, y, 0, w, row);
        for (int64_t x = 0; x < w; x++) to[x * channels + c] = row[x] * m + b;
    }
}
static void store_gradient(const pxl_tensor *gradient, int64_t n, int64_t y, int channels, const float *multiply, float *row,
                           const float *from) {
    const int64_t w = gradient->size[3];
    const bool one = gradient->size[1] == 1;
    for (int c = 0; c < channels; c++) {
        const float m = multiply ? multiply[c] : 1;
        const bool more = one && c > 0;
        for (int64_t x = 0; x < w; x++) row[x] = (more ? row[x] : 0) + from[x * channels + c] * m;
        if (one && c + 1 < channels) continue;
        const plane p = plane_of(gradient, n, one ? 0 : c);
        store_row(&p, y, 0, w, row, true);
    }
}

/* ---- ReLU and pooling: NaN goes through ---------------------------------------------------------------------------- */
static void relu(const float *restrict in, float *restrict out, int64_t count) {
    for (int64_t i = 0; i < count; i++) out[i] = in[i] <= 0 ? 0 : in[i];
}
static void mask(const float *restrict out, float *restrict gradient, int64_t count) {
    for (int64_t i = 0; i < count; i++) gradient[i] = out[i] <= 0 ? 0 : gradient[i];
}
INLINE vf load_some(const float *p, int64_t n) { return n >= VL ? load(p) : load_part(p, n); }
INLINE void store_some(float *p, vf a, int64_t n) {
    if (n >= VL)
        *(vu *)p = a;
    else
        store_part(p, a, n);
}
INLINE vi is_larger(vf b, vf a) { return (b > a) | (b != b); }
INLINE vf maximum(vf a, vf b) { return choose(is_larger(b, a), b, a); }

/* Four pixels of C channels to one; top: a pixel and the next, bottom: those below. */
static void pool_pixel(pxl_layer_kind kind, int64_t C, const float *top, const float *bottom, float *to) {
    for (int64_t c = 0; c < C; c += VL) {
        const int64_t n = C - c;
        const vf a = load_some(top + c, n), b = load_some(top + C + c, n), d = load_some(bottom + c, n),
                 e = load_some(bottom + C + c, n);
        vf value = ((a + b) + (d + e)) * all(0.25f);
        if (kind == PXL_MAX_POOL) value = maximum(maximum(a, b), maximum(d, e));
        store_some(to + c, value, n);
    }
}
static void pool(const pxli_stage *s, int64_t y, const float *in, float *out) {
    const int64_t C = s->outputs, pitch = s->in_w * C;
    const float *top = in + 2 * y * pitch;
    for (int64_t x = 0; x < s->w; x++) pool_pixel(s->kind, C, top + 2 * x * C, top + 2 * x * C + pitch, out + (y * s->w + x) * C);
}
/* To the first of the four that is the largest, in the order of rows; with masks not where that is 0 (or below). */
static void unpool_max(int64_t C, const float *in, int64_t pitch, bool masks, const float *gradient, float *out) {
    const vf least = all(masks ? 0 : -INFINITY), zero = {0};
    for (int64_t c = 0; c < C; c += VL) {
        const int64_t n = C - c;
        const vf a = load_some(in + c, n), b = load_some(in + C + c, n), d = load_some(in + pitch + c, n),
                 e = load_some(in + pitch + C + c, n), top = maximum(a, b), bottom = maximum(d, e);
        const vi right = is_larger(b, a), low = is_larger(e, d), below = is_larger(bottom, top);
        const vf g = choose(choose(below, bottom, top) <= least, zero, load_some(gradient + c, n));
        store_some(out + c, choose(below | right, zero, g), n), store_some(out + C + c, choose(~below & right, g, zero), n);
        store_some(out + pitch + c, choose(below & ~low, g, zero), n),
            store_some(out + pitch + C + c, choose(below & low, g, zero), n);
    }
}
/* in: read with masks alone. */
static void unpool_mean(int64_t C, const float *in, int64_t pitch, bool masks, const float *restrict gradient,
                        float *restrict out) {
    for (int k = 0; k < 4; k++) {
        const int64_t at = k / 2 * pitch + k % 2 * C;
        for (int64_t c = 0; c < C; c++) out[at + c] = 0.25f * gradient[c];
        if (masks) mask(in + at, out + at, C);
    }
}
static void unpool(const pxli_stage *s, int64_t y, const float *in, bool masks, const float *grad_out, float *grad_in) {
    const int64_t C = s->outputs, pitch = s->in_w * C, rows = y + 1 < s->h ? 2 : s->in_h - 2 * y;
    float *to = grad_in + 2 * y * pitch;
    if (s->in_w % 2 || rows > 2) memset(to, 0, (size_t)(rows * pitch) * sizeof *to);
    for (int64_t x = 0; x < s->w; x++) {
        const int64_t at = 2 * y * pitch + 2 * x * C;
        const float *g = grad_out + (y * s->w + x) * C, *from = in ? in + at : NULL;
        if (s->kind == PXL_MAX_POOL)
            unpool_max(C, from, pitch, masks, g, grad_in + at);
        else
            unpool_mean(C, from, pitch, masks, g, grad_in + at);
    }
}

/* ---- Charges ------------------------------------------------------------------------------------------------------- */
/* Slopes to the gradient: on top of what is there, and nothing where a ReLU gave 0. */
INLINE void finish(bool add, bool masks, int64_t n, const float *a, const float *slope, float *g) {
    const vf least = all(masks ? 0 : -INFINITY), zero = {0};
    for (int64_t i = 0; i < n; i += VL) {
        vf sum = load_some(slope + i, n - i);
        if (add) sum += load_some(g + i, n - i);
        store_some(g + i, choose(load_some(a + i, n - i) <= least, zero, sum), n - i);
    }
}
static double compare(const pxli_layer_charge *c, int64_t from, int64_t to) {
    enum { GROUP = 256 };
    float d[GROUP];
    double total = 0;
    for (int64_t at = from; at < to; at += GROUP) {
        const int64_t n = to - at < GROUP ? to - at : GROUP;
        const float *a = c->a + at, *b = c->b + at;
        for (int64_t i = 0; i < n; i++) d[i] = a[i] - b[i];
        total += charge(c->penalty, n, d, NULL, c->param, c->scale, d);
        if (c->gradient) finish(c->add, c->mask, n, a, d, c->gradient + at);
    }
    return total;
}

/* Of squares that are beyond f32 it is not known: NaN, rather than 1 / infinity, which says that there is nothing. */
INLINE float inverse_norm(const float *restrict f, int channels) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int c = 0; c < channels; c++) sum += f[c] * f[c];
    return sum < INFINITY ? 1 / sqrtf(1e-8f + sum) : NAN;
}
/* d(F / n) / dF with n = sqrt(1e-8 + F F): for slopes s of F / n it is (s - (F / n) (s . F / n)) / n. */
static double compare_unit(const pxli_layer_charge *c, const float *restrict a, const float *restrict b, float *restrict unit,
                           float *restrict slope) {
    const float na = inverse_norm(a, c->channels), nb = inverse_norm(b, c->channels), scale = c->scale * na;
    const int channels = c->channels;
    float along = 0;
    /* Both rounded before one is taken from the other, so that equal ones leave exactly 0. */
    for (int k = 0; k < channels; k++) unit[k] = a[k] * na, slope[k] = b[k] * nb;
    for (int k = 0; k < channels; k++) slope[k] = unit[k] - slope[k];
    const double sum = charge(c->penalty, channels, slope, c->linear, c->param, 1, slope);
#pragma omp simd reduction(+ : along)
    for (int k = 0; k < channels; k++) along += slope[k] * unit[k];
    for (int k = 0; k < channels; k++) slope[k] = scale * (slope[k] - unit[k] * along);
    return sum;
}
static double compare_units(const pxli_layer_charge *c, int64_t from, int64_t to, float *row) {
    double total = 0;
    for (int64_t i = from; i < to; i++) {
        const int64_t at = i * c->channels;
        float *slope = row + c->channels;
        total += compare_unit(c, c->a + at, c->b + at, row, slope);
        if (c->gradient) finish(c->add, c->mask, c->channels, c->a + at, slope, c->gradient + at);
    }
    return total;
}

extern const pxli_layer_kernels PXLI_NAME(layers);
const pxli_layer_kernels PXLI_NAME(layers) = {load_image, store_gradient, relu, mask, pool, unpool, compare, compare_units};
