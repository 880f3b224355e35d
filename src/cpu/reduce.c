/* Sums, magnitudes and extremes of the rows of a plane, in double (compiled in the f64 builds only). */
#include <math.h>

#include "kernels.h"
#include "rows.h"

enum { CHUNK = 512 };

/* NaN once, NaN for good: comparisons with NaN are false, so it is looked for by itself. */
static void add_chunk(const real *x, const real *weight, int64_t n, pxli_partial *p) {
    double sum = 0, absolute = 0, square = 0, min = INFINITY, max = -INFINITY, other = 0;
#pragma omp simd reduction(+ : sum, absolute, square, other) reduction(min : min) reduction(max : max)
    for (int64_t i = 0; i < n; i++) {
        const bool counts = !weight || weight[i] != 0;
        const double a = counts ? (double)x[i] : 0, low = counts ? a : INFINITY, high = counts ? a : -INFINITY;
        sum += a, absolute += fabs(a), square += a * a;
        other += a != a ? 1 : 0;
        min = low < min ? low : min, max = high > max ? high : max;
    }
    p->sum += sum, p->absolute += absolute, p->square += square;
    if (other > 0) p->min = p->max = NAN;
    if (p->min == p->min) p->min = min < p->min ? min : p->min, p->max = max > p->max ? max : p->max;
}

void PXLI_NAME(reduce)(const pxl_tensor *tensor, const pxl_tensor *weight, int64_t image, int64_t channel, int64_t y0, int64_t y1,
                       pxli_partial *partial) {
    const plane p = plane_of(tensor, image, channel), q = weight ? plane_of(weight, image, 0) : p;
    const int64_t width = tensor->size[3];
    real x[CHUNK], w[CHUNK];
    *partial = (pxli_partial){0, 0, 0, INFINITY, -INFINITY};
    for (int64_t y = y0; y < y1; y++)
        for (int64_t c = 0; c < width; c += CHUNK) {
            const int64_t n = width - c < CHUNK ? width - c : CHUNK;
            load_row(&p, y, c, n, x);
            if (weight) load_row(&q, y, c, n, w);
            add_chunk(x, weight ? w : NULL, n, partial);
        }
}
