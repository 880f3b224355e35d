/* Rows of a scale's gradients times its slope, and what the coarser scale brings: pyramid.c. */
#ifndef PXLI_WEIGH_H
#define PXLI_WEIGH_H
#include "../scales.h"
#include "rows.h"

typedef struct weighing { /* of one plane of a scale; [0] of pred, [1] of target */
    const pxli_scale *coarser;
    plane own[2], brings[2];
    int64_t held[2]; /* the coarser row that `spread` has; -1: none */
    real slope, unit;
    real *spread[2], *row; /* scratch */
} weighing;

/* Elements that a row of scratch takes, with some before and after it: one outside of the image, and alignment. */
enum { WEIGH_PAD = 16 };
INLINE int64_t weigh_pitch(int64_t w) { return (w + 15) / 16 * 16 + 2 * WEIGH_PAD; }

void PXLI_NAME(weigh_take)(weighing *g, const pxli_call *call, pxli_arena *arena);
#define weigh_take PXLI_NAME(weigh_take)
/* Those gradients that the scale has. */
void PXLI_NAME(weigh_start)(weighing *g, const pxli_pyramid *p, int j, int64_t n, int64_t c);
#define weigh_start PXLI_NAME(weigh_start)
/* Columns [x0, x1) of row y to `to`, which may be where they lie. */
void PXLI_NAME(weigh_row)(weighing *g, bool of_target, int64_t y, int64_t x0, int64_t x1, real *to);
#define weigh_row PXLI_NAME(weigh_row)
/* The same, added to rows that begin at column x0; NULL: not wanted. */
void PXLI_NAME(weigh_add)(weighing *g, int64_t y, int64_t x0, int64_t x1, real *pred, real *target);
#define weigh_add PXLI_NAME(weigh_add)
#endif
