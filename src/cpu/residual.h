/* The residual terms (pixel, sobel, laplacian, tv, blur, and the mean squared error under rmse and psnr), row by row. A pass
 * without windowed terms stores their rows as they are; the structure pass adds its gradient to them. */
#ifndef PXLI_RESIDUAL_H
#define PXLI_RESIDUAL_H
#include "linear.h"
#include "rows.h"

typedef struct residual_term {
    const pxli_term *term;
    linear_map map;      /* parts == 0: the pixels themselves */
    real scale;          /* d total / d sum of this image; 0: leave the gradient alone */
    real own[MAX_PARTS]; /* tv with own_counts: each component's share */
    real *across, *back; /* the map's rings */
} residual_term;

typedef struct row_cache { /* the last few rows of something, computed when first asked for; slot = row % count */
    real *data;
    int64_t *row; /* which row a slot holds; -1: none */
    int count;
} row_cache;

typedef struct residual {
    const pxli_call *call;
    const pxli_pass *pass;
    pxli_tile tile;
    frame frame;
    bool gradients;
    double *sums;
    plane x, y, weight;
    row_cache difference, pred, weights;
    real *map[MAX_PARTS], *charged[MAX_PARTS], *spare, *line;
    residual_term terms[PXLI_MAX_TERMS];
} residual;

void PXLI_NAME(residual_take)(residual *z, const pxli_call *call, const pxli_pass *pass, int64_t width, pxli_arena *arena);
#define residual_take PXLI_NAME(residual_take)
/* Begins a tile; `sums` receives the pass's residual terms' sums as rows are done. */
void PXLI_NAME(residual_start)(residual *z, const pxli_tile *tile, double *sums);
#define residual_start PXLI_NAME(residual_start)
/* Row r, all rows of the tile in order: fills the gradients' rows, element i being column x0 + i; NULL: not wanted. */
void PXLI_NAME(residual_row)(residual *z, int64_t r, real *pred, real *target);
#define residual_row PXLI_NAME(residual_row)
#endif
