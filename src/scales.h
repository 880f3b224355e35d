/* The scales of MS-SSIM: sizes, and what a pyramid of them holds. It knows no device; their product is in math/scales.h. */
#ifndef PXLI_SCALES_H
#define PXLI_SCALES_H
#include "math/scales.h"
#include "plan.h"

/* Both axes of an image. */
void pxli_halve(pxli_halving halving, int64_t h, int64_t w, pxli_halved *rows, pxli_halved *columns);

/* How many scales of a checked term an image of this size has; 0: none fits. */
int pxli_scale_count(const pxli_term *term, int64_t h, int64_t w);
/* The least height and width for all of the term's scales, or with automatic ones for the first. */
void pxli_scales_need(const pxli_term *term, int64_t *h, int64_t *w);

/* One scale. Of the finest, sums and differences are the images themselves. */
typedef struct pxli_scale {
    int64_t h, w;
    pxli_halved rows, columns;         /* how the finer scale was halved into it */
    pxl_tensor sum, difference;        /* x + y and x - y of the halved images, less `base` */
    pxl_tensor grad_pred, grad_target; /* of this scale's map, times `outer`; then of the total */
    double *loss;                      /* [n][c]: the sum of 1 - cs over the map, or of 1 - ssim at the coarsest */
    double *slope;                     /* [n][c]: of the product to that scale's mean; times `outer`, of the total to that sum */
    double area;                       /* positions of the map */
} pxli_scale;
typedef struct pxli_pyramid {
    const pxli_term *term;
    int index, count; /* of the term in its loss; scales */
    int64_t channels;
    bool direct;                /* the finest gradient is computed where it belongs */
    pxli_window whole, cropped; /* of the coarsest scale, of the others */
    pxli_scale_product product;
    double *base;     /* [n][c][2]: what sums and differences of a plane are less: see reader.h */
    double *range;    /* [n] */
    double *extremes; /* [n][c][4]: the least and most of pred and of target, where scales have ranges of their own; else NULL */
    double *outer;    /* [n]: d total / d sum of a scale's map, but for its own factor's slope */
    pxli_scale scale[PXLI_MAX_SCALES];
} pxli_pyramid;
/* Takes the arrays of term call->pyramid[i] from the arena. */
void pxli_pyramid_layout(const pxli_call *call, int i, pxli_pyramid *p, pxli_arena *arena);
/* The call whose images are scale j of the pyramid, and whose one pass leaves the sums of its map and their gradient. */
void pxli_plan_scale(const pxli_call *call, const pxli_pyramid *p, int j, pxli_pass *pass, pxli_call *to);
/* That pass's arrays. */
void pxli_layout_pass(pxli_call *scale, pxli_arena *arena);
/* From p->extremes of a scale to p->range. */
void pxli_set_scale_range(const pxli_pyramid *p, const pxli_call *call);
/* From the sums of the maps to the term's sums, and to each scale's slope. */
void pxli_weigh_scales(const pxli_pyramid *p, const pxli_call *call);
#endif
