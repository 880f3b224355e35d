/* The residual terms (pixel, sobel, laplacian, tv, blur, and the mean squared error under rmse and psnr), row by row. A pass
 * without windowed terms stores their rows as they are; the structure pass adds its gradient to them. */
#ifndef PXLI_RESIDUAL_H
#define PXLI_RESIDUAL_H
#include "linear.h"
#include "rows.h"

typedef struct residual_term {
    const pxli_term *term;
    linear_map map;
    real scale;                       /* d total / d sum of this image; 0: leave the gradient alone */
    real param;                       /* the penalty's */
    real own[MAX_COMPONENTS];         /* tv with own_counts: each component's share */
    linear_ring across;               /* rows on the way to the map */
    linear_ring back[MAX_COMPONENTS]; /* and from its derivatives */
} residual_term;

typedef struct row_cache { /* the last few rows of something, computed when first asked for; slot = row % count, a power of 2 */
    real *data;
    int64_t *row; /* which row a slot holds; -1: none */
    int count;
} row_cache;

typedef struct residual {
    const pxli_call *call;
    const pxli_pass *pass;
    pxli_tile tile;
    frame frame;
    bool gradients, single; /* single: by residual_single */
    double *sums;
    store_as first; /* how the first map's row of the gradient is stored */
    plane x, y, weight;
    row_cache difference, pred, weights;
    int64_t next; /* the row after the last one read */
    real *map[MAX_COMPONENTS], *charged[MAX_COMPONENTS], *spare, *line;
    residual_term terms[PXLI_MAX_TERMS];
} residual;

void PXLI_NAME(residual_take)(residual *z, const pxli_call *call, const pxli_pass *pass, int64_t width, bool single,
                              pxli_arena *arena);
#define residual_take PXLI_NAME(residual_take)
/* One term, and that a stencil. */
INLINE bool residual_is_stencil(const residual *z) {
    return z->pass->residual_count == 1 && !z->terms[0].map.identity && z->terms[0].map.stencil != NO_STENCIL;
}
/* Begins a tile; `sums` receives the pass's residual terms' sums as rows are done. */
void PXLI_NAME(residual_start)(residual *z, const pxli_tile *tile, double *sums);
#define residual_start PXLI_NAME(residual_start)
/* The rest of the tile is of columns [x0, x1): for terms without neighbours. */
void PXLI_NAME(residual_columns)(residual *z, int64_t x0, int64_t x1);
#define residual_columns PXLI_NAME(residual_columns)
/* Row r, all rows of the tile in order, where one term, on pixels or tv, is all there is and the images can be read, and the
 * gradient written, where they lie. */
bool PXLI_NAME(residual_is_single)(const pxli_call *call, const pxli_pass *pass);
#define residual_is_single PXLI_NAME(residual_is_single)
void PXLI_NAME(residual_single)(residual *z, int64_t r, real *gradient);
#define residual_single PXLI_NAME(residual_single)
/* Row r, all rows of the tile in order: fills the gradients' rows, element i being column x0 + i; NULL: not wanted. */
void PXLI_NAME(residual_row)(residual *z, int64_t r, real *pred, real *target);
#define residual_row PXLI_NAME(residual_row)
#endif
