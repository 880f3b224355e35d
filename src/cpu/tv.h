/* Total variation alone, one loop a row: a position's two slopes go to itself, to its right and below it, so a row of the gradient
 * needs no slopes but its own and those of the row above. Beside other terms tv is one of the stencils (stencil.h). */
#ifndef PXLI_TV_H
#define PXLI_TV_H
#include "stencil.h"

/* A row at some column. Slopes are scaled before they are added: huge ones may have a sum only then. */
typedef struct tv_row {
    const real *row, *below; /* past the last row that row again: a difference of 0 */
    real *above;             /* scaled slopes of the steps from the row above to this one; then from this one to the one below */
    real *out;               /* the gradient; NULL: not wanted */
    real param, scale;
} tv_row;
INLINE tv_row tv_at(tv_row t, int64_t columns) {
    return (tv_row){t.row + columns, t.below + columns, t.above + columns, t.out ? t.out + columns : NULL, t.param, t.scale};
}

/* VL columns, or the n that are left: their charges, and their gradient. */
INLINE void tv_block(pxl_penalty penalty, int64_t n, tv_row t, real *restrict value, real *restrict gradient) {
    const real *b = t.row, *c = t.below;
    real *restrict above = t.above;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const pxli_charge p = charge_of(penalty, b[i + 1] - b[i], t.param), q = charge_of(penalty, c[i] - b[i], t.param);
        const real left = charge_of(penalty, b[i] - b[i - 1], t.param).slope, down = t.scale * q.slope;
        value[i] = p.value + q.value;
        gradient[i] = (t.scale * left - t.scale * p.slope) + (above[i] - down);
        above[i] = down;
    }
}
/* Whole vectors are streamed block by block: a burst of streamed stores would stand in the way of all others. */
INLINE double tv_pulled(pxl_penalty penalty, bool streams, int64_t n, tv_row t) {
    vf value = {0}, gradient, sum = {0};
    double total = 0;
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        tv_block(penalty, VL, tv_at(t, i), (real *)&value, (real *)&gradient);
        sum += value;
        if (streams)
            stream(t.out + i, gradient);
        else
            *(vu *)(t.out + i) = gradient;
        if (i % SPAN == 0) total += sum_of_lanes(sum), sum = (vf){0};
    }
    if (i < n) {
        value = (vf){0};
        tv_block(penalty, n - i, tv_at(t, i), (real *)&value, (real *)&gradient);
        sum += value;
        store_part(t.out + i, gradient, n - i);
    }
    return total + sum_of_lanes(sum);
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
    for (int64_t i = 0; i < n; i++) above[i] = t.scale * charge_of(penalty, c[i] - b[i], t.param).slope;
    return 0;
}

typedef enum tv_task {
    TV_PULL,   /* the sum of the charges, and their gradient; of SPAN columns in this precision, where it may overflow */
    TV_STREAM, /* the same past the caches, where `out` is aligned */
    TV_VALUE,  /* the sum of the charges, in double precision */
    TV_STEP    /* `above` for the row below */
} tv_task;
NOINLINE double tv_span(tv_task task, pxl_penalty penalty, int64_t n, tv_row t) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION)                              \
    case PENALTY:                                            \
        return task == TV_VALUE  ? tv_valued(PENALTY, n, t)  \
               : task == TV_STEP ? tv_stepped(PENALTY, n, t) \
                                 : tv_pulled(PENALTY, task == TV_STREAM, n, t);
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
    return 0;
}
/* The charges of n columns, in double precision where they are not finite otherwise, and their gradient if it is wanted. */
static double tv_charged(tv_task pull, pxl_penalty penalty, int64_t n, tv_row t) {
    const double sum = t.out ? tv_span(pull, penalty, n, t) : NAN;
    return sum - sum == 0 ? sum : tv_span(TV_VALUE, penalty, n, t);
}
/* VL columns at most, at an edge of an image: what is not there reads as the pixel beside it, a difference of 0. */
static double tv_edge(pxl_penalty penalty, int64_t n, bool first, bool last, tv_row t) {
    const real above = *t.above;
    real padded[VL + 2];
    memcpy(padded + 1, t.row, (size_t)n * sizeof(real));
    padded[0] = first ? t.row[0] : t.row[-1], padded[n + 1] = last ? t.row[n - 1] : t.row[n];
    if (t.below == t.row) t.below = padded + 1;
    t.row = padded + 1;
    const double sum = tv_charged(TV_PULL, penalty, n, t);
    if (t.out && first) /* of infinity it is none, and before the first column there is no position */
        *t.out = (above - *t.above) - t.scale * charge_of(penalty, t.row[1] - t.row[0], t.param).slope;
    return sum;
}
/* Columns [from, to) of an image w wide; t is at the first of them. */
static double tv_columns(pxl_penalty penalty, int64_t from, int64_t to, int64_t w, tv_row t) {
    const int64_t n = to - from, head = from > 0 ? 0 : n < VL ? n : VL, tail = to < w ? 0 : (n - head + VL - 1) % VL + 1;
    const int64_t inner = n - head - (n > head ? tail : 0);
    const tv_task pull = is_aligned(t.out) ? TV_STREAM : TV_PULL;
    double sum = head ? tv_edge(penalty, head, true, head == w, t) : 0;
    if (inner > 0) sum += tv_charged(pull, penalty, inner, tv_at(t, head));
    if (tail && n > head) sum += tv_edge(penalty, tail, false, true, tv_at(t, head + inner));
    return sum;
}
#endif
