/* Sums and extremes of the rows of a plane, in double (compiled in the f64 builds only). f32 and f64 rows are read where they lie. */
#include <math.h>

#include "kernels.h"
#include "rows.h"

enum { CHUNK = 512 };

/* `needs` and `weighted` are known when compiling; elements of weight 0 are left out. */
#define DEFINE_LOOPS(TYPE)                                                                                                   \
    INLINE void sum_##TYPE(pxli_needs needs, bool weighted, const TYPE *x, const real *w, int64_t n, pxli_partial *p) {      \
        double sum = 0;                                                                                                      \
        _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < n; i++) {                                             \
            const double a = weighted && w[i] == 0 ? 0 : (double)x[i];                                                       \
            sum += needs == PXLI_NEEDS_ABSOLUTE ? fabs(a) : needs == PXLI_NEEDS_SQUARE ? a * a : a;                          \
        }                                                                                                                    \
        p->sum += sum;                                                                                                       \
    }                                                                                                                        \
    /* NaN once, NaN for good: comparisons with NaN are false, so it is looked for by itself. */                             \
    INLINE void extremes_##TYPE(bool weighted, const TYPE *x, const real *w, int64_t n, pxli_partial *p) {                   \
        TYPE min = INFINITY, max = -INFINITY, other = 0;                                                                     \
        _Pragma("omp simd reduction(+ : other) reduction(min : min) reduction(max : max)") for (int64_t i = 0; i < n; i++) { \
            const bool counts = !weighted || w[i] != 0;                                                                      \
            const TYPE low = counts ? x[i] : INFINITY, high = counts ? x[i] : -INFINITY;                                     \
            other += low != low ? 1 : 0;                                                                                     \
            min = low < min ? low : min, max = high > max ? high : max;                                                      \
        }                                                                                                                    \
        if (other > 0) p->min = p->max = NAN;                                                                                \
        if (p->min == p->min) p->min = fmin(p->min, (double)min), p->max = fmax(p->max, (double)max);                        \
    }                                                                                                                        \
    INLINE void add_##TYPE(pxli_needs needs, bool weighted, const TYPE *x, const real *w, int64_t n, pxli_partial *p) {      \
        switch (needs) {                                                                                                     \
            case PXLI_NEEDS_SUM: sum_##TYPE(PXLI_NEEDS_SUM, weighted, x, w, n, p); break;                                    \
            case PXLI_NEEDS_ABSOLUTE: sum_##TYPE(PXLI_NEEDS_ABSOLUTE, weighted, x, w, n, p); break;                          \
            case PXLI_NEEDS_SQUARE: sum_##TYPE(PXLI_NEEDS_SQUARE, weighted, x, w, n, p); break;                              \
            case PXLI_NEEDS_EXTREMES: extremes_##TYPE(weighted, x, w, n, p); break;                                          \
        }                                                                                                                    \
    }
DEFINE_LOOPS(float)
DEFINE_LOOPS(double)

/* A part of a row that is converted first, or weighted. */
static void add_converted(const pxli_region *g, const plane *p, const plane *q, int64_t y, int64_t c, int64_t n,
                          pxli_partial *to) {
    real x[CHUNK], w[CHUNK];
    load_row(p, y, c, n, x);
    if (!g->weight) {
        add_double(g->needs, false, x, NULL, n, to);
        return;
    }
    load_row(q, y, c, n, w);
    add_double(g->needs, true, x, w, n, to);
}
void PXLI_NAME(reduce)(const pxli_region *region, int64_t image, int64_t channel, int64_t y0, int64_t y1, pxli_partial *to);
void PXLI_NAME(reduce)(const pxli_region *region, int64_t image, int64_t channel, int64_t y0, int64_t y1, pxli_partial *to) {
    const plane p = plane_of(region->tensor, image, channel), q = region->weight ? plane_of(region->weight, image, 0) : p;
    const int64_t width = region->tensor->size[3];
    const bool dense = p.dx == 1 && !region->weight;
    *to = (pxli_partial){0, INFINITY, -INFINITY};
    for (int64_t y = y0; y < y1; y++)
        for (int64_t c = 0; c < width; c += CHUNK) { /* sums of sums keep their digits, also where a loop is no vectors */
            const int64_t n = width - c < CHUNK ? width - c : CHUNK;
            if (dense && p.dtype == PXL_F32)
                add_float(region->needs, false, (const float *)p.data + y * p.dy + c, NULL, n, to);
            else if (dense && p.dtype == PXL_F64)
                add_double(region->needs, false, (const double *)p.data + y * p.dy + c, NULL, n, to);
            else
                add_converted(region, &p, &q, y, c, n, to);
        }
}
