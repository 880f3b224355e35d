/* What one call has to do: its terms grouped into passes. A pass is one sweep over the images; a backend runs them in order.
 * Made by plan.c for every call, on the caller's stack and in the caller's workspace; a plan allocates nothing. */
#ifndef PXLI_PLAN_H
#define PXLI_PLAN_H
#include "loss.h"
#include "math/border.h"

/* Bump allocation from the caller's workspace. With base 0 it only counts: the same code sizes a workspace and lays it out. */
typedef struct pxli_arena {
    uintptr_t base;
    size_t used;
} pxli_arena;
enum { PXLI_ALIGN = 64 };
static inline size_t pxli_rounded(size_t bytes) { return (bytes + PXLI_ALIGN - 1) / PXLI_ALIGN * PXLI_ALIGN; }
static inline void *pxli_take(pxli_arena *arena, size_t bytes) {
    const uintptr_t at = (arena->base + arena->used + PXLI_ALIGN - 1) & ~(uintptr_t)(PXLI_ALIGN - 1);
    arena->used = at + bytes - arena->base;
    return arena->base ? (void *)at : NULL;
}

/* The reach of a map along both axes. */
typedef struct pxli_radii {
    int y, x;
} pxli_radii;
static inline int pxli_larger_radius(pxli_radii r) { return r.y > r.x ? r.y : r.x; }

/* Taps near the edges of a folding border, [2 (radius + 1)][2 radius + 1] with the radius of the axis: the first radius + 1
 * positions of a line, then the last. (A mirror at pixel 0 reaches from position -radius to pixel radius; of symmetric to the one before.) */
typedef struct pxli_folds {
    double *forward_x, *adjoint_x, *adjoint_y;
} pxli_folds;

typedef enum pxli_score_mode {
    PXLI_SCORE_SSIM,               /* one term, 1 - SSIM without exponents */
    PXLI_SCORE_CONTRAST_STRUCTURE, /* one scale of ms_ssim, 1 - cs */
    PXLI_SCORE_TERMS,              /* any windowed terms */
    PXLI_SCORE_STATISTICS,         /* write the five statistics */
    PXLI_SCORE_STATISTICS_ADJOINT, /* pull given derivatives back */
} pxli_score_mode;

typedef struct pxli_pass {
    /* Residual terms: indices into the call's terms, and for blur the taps. */
    int residual_count, residual[PXLI_MAX_TERMS];
    double *blur_taps_y[PXLI_MAX_TERMS], *blur_taps_x[PXLI_MAX_TERMS];
    int residual_radius; /* the largest */

    /* Windowed terms. window == NULL: none. */
    const pxli_window *window;
    pxli_score_mode mode;
    int scored_count, scored[PXLI_MAX_TERMS];
    int radius;                  /* the larger of the window's, by which the CPU lays out rows and columns */
    pxli_radii radii;            /* 0 along an axis that is not smoothed */
    bool identity_y, identity_x; /* vainf: this axis is not smoothed */
    bool mostly_outside;         /* of a zero border: even in the middle of the image most of a window's weight is on zeros */
    /* Of symmetric taps the first half, radius + 1: see pxli_tap. */
    double taps_y[PXLI_MAX_WINDOW / 2 + 1], taps_x[PXLI_MAX_WINDOW / 2 + 1];
    pxli_folds folds;
    bool settles;                           /* flat windows: see pxli_settle */
    double variance_factor;                 /* 0 where windows are of one pixel */
    bool means;                             /* only these are: u and v, not their squares */
    bool covariance;                        /* the fifth map, cov(u, v), is needed */
    int64_t map_y0, map_y1, map_x0, map_x1; /* positions that count */

    /* Blocks averaged before the window; sizes are those after it. */
    int factor, block_offset; /* block i begins at pixel i * factor - block_offset */
    int64_t h, w;
    bool reads_sums; /* rows are read as x + y and x - y: of blocks, or of a scale of ms_ssim */

    bool gradients;  /* this pass writes those that the call wants */
    bool accumulate; /* and adds them to what is there */
    bool rides; /* residual terms alone, which run while the last ms_ssim's finest gradient is weighed, and add it to theirs */
    const struct pxli_pyramid *pyramid; /* that one, once it is weighed */
    bool outputs;                       /* this pass writes args->map */

    /* Tiles: (image, channel, segment of rows, strip of columns), by shape alone. */
    int64_t strips, segments;
} pxli_pass;

/* Terms that are compared in one network: walk.h. */
typedef struct pxli_walk {
    int terms, term[PXLI_MAX_TERMS];
    const struct pxli_prepared *prepared;
    char *target; /* features that are kept for later calls, of one image after another; NULL: none */
} pxli_walk;

enum { PXLI_MAX_PASSES = PXLI_MAX_TERMS + 1 };
typedef struct pxli_call {
    const pxli_term *terms;
    int count;
    const pxl_args *args; /* images and outputs: the caller's, or `reshaped` */
    pxl_args reshaped;    /* other views of the same: see pxli_plan */
    pxl_tensor reshaped_tensor[8], reshaped_statistics;
    const pxl_tensor *grad_statistics;
    /* Where the passes write: the caller's, or, if several passes add up and its dtype would round each, a dense tensor of the
     * workspace in the precision of the computation. */
    const pxl_tensor *grad_pred, *grad_target;
    pxl_tensor sum_pred, sum_target;
    int64_t n, c, h, w;
    bool turned;              /* rows of these views are the caller's columns: see pxli_axis_y */
    pxli_unit target_unit;    /* of the target's pixels: see pxl_args */
    pxli_pass mean;           /* value pass for functions of a mean (rmse, psnr); residual_count 0: not needed */
    pxli_pass statistics;     /* for args->statistics; window NULL: not needed */
    const pxli_term *charged; /* whose charges args->pixel_map has; NULL: not needed */
    pxli_pass *pass;          /* the caller's, room for PXLI_MAX_PASSES; of a scale for one */
    int passes;
    int pyramids, pyramid[PXLI_MAX_TERMS]; /* indices of the ms_ssim terms; after the passes, each in the memory of the others */
    pxli_arena pyramid_arena;              /* where their memory begins */
    const double *base;                    /* of a scale: what its sums and differences are less, [n][c][2] */
    int walks;                             /* last; they add to the gradients */
    pxli_walk walk[PXLI_MAX_TERMS];
    pxli_arena walk_arena; /* where their buffers begin */
    double *range;         /* [n][count]: L, see pxli_range_of */
    double *sums;          /* [n][count]: of each image, before any normalisation */
    double *norm;          /* [n][count]: mean = norm * sum, of the image or of the batch */
    double *scale;         /* [n][count]: d total / d sum, upstream gradient and weight included */
    double *own;           /* [n][count][2]: tv with own_counts: what turns the pixels' norm into that of each component */
} pxli_call;

/* The axes of a term's window down the columns of the call's views and along their rows. */
static inline pxli_axis pxli_axis_y(const pxli_call *call, const pxli_window *window) {
    return call->turned ? window->x : window->y;
}
static inline pxli_axis pxli_axis_x(const pxli_call *call, const pxli_window *window) {
    return call->turned ? window->y : window->x;
}

/* Tap k of the 2 radius + 1 whose first half a pass has; and all of them. */
static inline double pxli_tap(const double *half, int radius, int k) { return half[k <= radius ? k : 2 * radius - k]; }
static inline void pxli_whole_taps(const double *half, int radius, double taps[PXLI_MAX_WINDOW]) {
    for (int k = 0; k <= 2 * radius; k++) taps[k] = pxli_tap(half, radius, k);
}

typedef struct pxli_tile {
    int64_t image, channel, y0, y1, x0, x1;
} pxli_tile;

typedef struct pxli_crop { /* positions [y0, y1) x [x0, x1) */
    int64_t y0, y1, x0, x1;
} pxli_crop;
static inline double pxli_crop_area(pxli_crop c) { return (double)(c.y1 - c.y0) * (double)(c.x1 - c.x0); }
/* Of term k's map inside the image: what its mean is taken over. */
pxli_crop pxli_crop_of(const pxli_call *call, int k);

/* Groups the terms of `loss` for these arguments (already checked). Allocation happens in pxli_plan_layout. On the CPU, where a row
 * of few pixels takes as long as one of many, narrow and tall images are turned on their side, with the windows (all else is the
 * same along both axes), or for terms on pixels alone seen as one row. */
void pxli_plan(const pxl_loss *loss, const pxl_args *args, pxli_pass *passes, pxli_call *call);
/* Takes the CPU's arrays from the arena and, unless it only counts, fills blurs' taps and folds. */
void pxli_plan_layout(pxli_call *call, pxli_arena *arena);
/* The same for the statistics of `term` alone, into call->statistics; args holds the images and outputs. */
void pxli_plan_statistics(const pxl_args *args, const pxl_tensor *grad_statistics, const pxli_term *term, pxli_score_mode mode,
                          pxli_call *call);

/* Whether the only pass does. */
static inline bool pxli_rides(const pxli_call *call) { return call->passes == 1 && call->pass[0].rides; }

static inline int64_t pxli_tile_count(const pxli_call *call, const pxli_pass *pass) {
    return call->n * call->c * pass->strips * pass->segments;
}
pxli_tile pxli_tile_at(const pxli_call *call, const pxli_pass *pass, int64_t index);
/* The widest strip of the pass. */
int64_t pxli_strip_width(const pxli_pass *pass);
/* Whether one term is all there is, and a row of it can be done in one loop, which keeps few rows. */
bool pxli_is_one_loop(const pxli_call *call, const pxli_pass *pass);
/* Whether a view's rows lie one after the other; then all of them as one row. */
bool pxli_can_flatten(const pxl_tensor *tensor);
void pxli_flatten(const pxl_tensor *from, pxl_tensor *to);
/* Of a residual term's map in the call's views. */
pxli_radii pxli_radii_of(const pxli_call *call, const pxli_term *term);
/* The pixels [low, high) that positions [from, to) read. */
static inline void pxli_block_span(int64_t size, int64_t from, int64_t to, int64_t *low, int64_t *high) {
    *low = to > size && 2 * size - to < from ? 2 * size - to : from, *high = -from > to ? -from : to;
    if (*low < 0) *low = 0;
    if (*high > size) *high = size;
}
#endif
