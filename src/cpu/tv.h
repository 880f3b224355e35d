/* Total variation alone, one loop a row: a position's two slopes go to itself, to its right and below it, so a row of the gradient
 * needs no slopes but its own and those of the row above. Beside other terms tv is one of the stencils (stencil.h). */
#ifndef PXLI_TV_H
#define PXLI_TV_H
#include "stencil.h"

/* A row at some column. */
typedef struct tv_row {
    const real *row, *below; /* past the last row that row again: a difference of 0 */
    real *above;             /* slopes of the steps from the row above to this one; then from this one to the one below */
    real *out;               /* the gradient */
    real param, scale;
} tv_row;
INLINE tv_row tv_at(tv_row t, int64_t columns) {
    return (tv_row){t.row + columns, t.below + columns, t.above + columns, t.out + columns, t.param, t.scale};
}

INLINE double tv_pulled(pxl_penalty penalty, int64_t n, tv_row t) {
    const real *b = t.row, *c = t.below;
    real *restrict above = t.above, *restrict out = t.out;
    stencil_sum sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        const pxli_charge p = charge_of(penalty, b[i + 1] - b[i], t.param), q = charge_of(penalty, c[i] - b[i], t.param);
        const real left = charge_of(penalty, b[i] - b[i - 1], t.param).slope;
        sum += (stencil_sum)p.value + q.value;
        out[i] = t.scale * ((left - p.slope) + (above[i] - q.slope));
        above[i] = q.slope;
    }
    return (double)sum;
}
INLINE double tv_valued(pxl_penalty penalty, int64_t n, tv_row t) {
    const real *b = t.row, *c = t.below;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        sum += (double)charge_of(penalty, b[i + 1] - b[i], t.param).value;
        sum += (double)charge_of(penalty, c[i] - b[i], t.param).value;
    }
    return sum;
}
INLINE double tv_stepped(pxl_penalty penalty, int64_t n, tv_row t) {
    const real *b = t.row, *c = t.below;
    real *restrict above = t.above;
    for (int64_t i = 0; i < n; i++) above[i] = charge_of(penalty, c[i] - b[i], t.param).slope;
    return 0;
}

typedef enum tv_task {
    TV_PULL,  /* the sum of the charges, and their gradient; of few columns: the sum is of this precision, and it may overflow */
    TV_VALUE, /* the sum of the charges, in double precision */
    TV_STEP   /* `above` for the row below */
} tv_task;
NOINLINE double tv_span(tv_task task, pxl_penalty penalty, int64_t n, tv_row t) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION)                              \
    case PENALTY:                                            \
        return task == TV_PULL    ? tv_pulled(PENALTY, n, t) \
               : task == TV_VALUE ? tv_valued(PENALTY, n, t) \
                                  : tv_stepped(PENALTY, n, t);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
/* Columns [from, to), SPAN at most, of an image w wide; t is at the first of them. */
static double tv_columns(bool pull, pxl_penalty penalty, int64_t from, int64_t to, int64_t w, tv_row t) {
    const int64_t n = to - from;
    const real above = *t.above;
    real padded[SPAN + 2];
    if (from == 0 || to == w) { /* what is not there reads as the pixel beside it: a difference of 0 */
        memcpy(padded + 1, t.row, (size_t)n * sizeof(real));
        padded[0] = from > 0 ? t.row[-1] : t.row[0], padded[n + 1] = to < w ? t.row[n] : t.row[n - 1];
        if (t.below == t.row) t.below = padded + 1;
        t.row = padded + 1;
    }
    double sum = tv_span(pull ? TV_PULL : TV_VALUE, penalty, n, t);
    if (pull && sum - sum != 0) sum = tv_span(TV_VALUE, penalty, n, t); /* in double precision it may be finite */
    if (pull && from == 0) /* but of infinity it is not, and before the first column there is no position */
        *t.out = t.scale * ((above - *t.above) - charge_of(penalty, t.row[1] - t.row[0], t.param).slope);
    return sum;
}
#endif
