/* The structure pass: SSIM's windowed statistics, their score and its gradient for one tile, marching down a strip of columns. */
#ifndef PXLI_STRIP_H
#define PXLI_STRIP_H
#include "reader.h"

enum {
    MAX_RADIUS = PXLI_MAX_WINDOW / 2,
    HALO = 2 * MAX_RADIUS,
    ROWS = VL + HALO,
    MAX_LAG = (HALO + VL - 1) / VL * VL, /* columns by which the output trails the input: 2 radius, in whole blocks */
    TILES = MAX_LAG / VL + 1,
    WRAP = 32 / VL, /* blocks between two moves of a sliding window */
    MEANS = 2,      /* forward: u, v; */
    MAPS = 5        /* u, v, u^2, v^2, uv; backward: to pred, to target, to E u^2, E v^2, E uv */
};
enum { MAP_U = 0, MAP_V = 1, MAP_UU = 2, MAP_VV = 3, MAP_UV = 4 };
enum { TO_PRED = 0, TO_TARGET = 1, TO_UU = 2, TO_VV = 3, TO_UV = 4 };

enum { POSITIONS = VL * VL }; /* of a block */

typedef struct block { /* u and v of VL columns, VL + 2 radius rows */
    vf *u, *v;
} block;

/* A vector is one column of VL rows in T, M, f, weight, value; one row of VL columns in out and blocks. Packed for the radius
 * and maps in use: with strides of 4 KiB the maps would fight for the same sets of L1. */
typedef struct strip_work {
    vf *T[MAPS]; /* [2 radius + VL WRAP]: vertically filtered, columns sliding */
    vf *M[MAPS]; /* [lag + VL WRAP]: derivatives, columns sliding */
    vf *f[MAPS], *out[MAPS], *weight, *value;
    vf *upstream[MAPS]; /* of the statistics' adjoint */
    block blocks[TILES];
    double (*total)[VL]; /* of each scored term, a lane a row */
} strip_work;

/* An image of one row: arrays along it, see line.c. */
typedef struct line {
    real *u, *v, *product, *f[MAPS], *back[MAPS], *out[MAPS];
} line;

typedef struct strip {
    const pxli_call *call;
    const pxli_pass *pass;
    pxli_tile tile;
    reader reader;
    strip_work work;
    vf *ring;   /* [blocks][MAPS][2 radius]: rows of the vertical adjoint that the next batch needs */
    int R, lag; /* R: the larger radius, by which rows and columns are laid out; each axis reads its own, from `shift` on */
    pxli_radii radii, shift;
    int forward, taken[MAPS], backs; /* maps: forward 2, 4 or 5; those of the derivatives in use */
    bool to_pred, to_target;
    bool is_line;
    line line;
    bool exact; /* x - y is rounded more coarsely than v: keep what rounding drops */
    real taps_x[PXLI_MAX_WINDOW], taps_y[PXLI_MAX_WINDOW], variance_factor;
    real scale;            /* of pixels as they are read: see pxli_window_scale */
    real c, d, two_c, gap; /* in these units */
    real C1, C2, unit;     /* unit: of the gradient in these units */
    real *outputs
        [MAPS]; /* [VL][output_pitch]: a batch's rows of the map, or of the statistics; the tile's first column is at output_pad */
    int output_count;
    int64_t output_pad, output_pitch;
    real coefficient[PXLI_MAX_TERMS]; /* of each scored term's derivatives */
    real outside[MAPS];               /* a map's value where both images are 0 */
} strip;

/* One batch of map rows m0 .. m0 + VL - 1, columns c - R ..: scores f, leaves derivatives in m[map][0..VL). score.c */
void PXLI_NAME(score_block)(strip *s, int64_t m0, int64_t column, vf *const m[MAPS]);
#define score_block PXLI_NAME(score_block)
/* Positions first .. first + POSITIONS - 1 of a line, in place of a block's. */
void PXLI_NAME(score_line)(strip *s, int64_t first, vf *const m[MAPS]);
#define score_line PXLI_NAME(score_line)
/* Rows m0 .. of what the pass gives at each position, once all blocks of the batch are scored. */
void PXLI_NAME(store_outputs)(const strip *s, int64_t m0);
#define store_outputs PXLI_NAME(store_outputs)

/* Near the edges of a folding border: the row of `folds` for position p of a line, or NULL. */
INLINE const double *fold_at(const double *folds, int R, int64_t size, int64_t p) {
    if (!folds || p < 0 || p >= size) return NULL;
    if (p <= R) return folds + p * (2 * R + 1);
    return size - p <= R + 1 ? folds + (2 * (R + 1) - (size - p)) * (2 * R + 1) : NULL;
}

/* ---- One row: line.c ---- */
void PXLI_NAME(line_take)(strip *s, int64_t width, pxli_arena *arena);
/* The row's sums into s->work.total[.][0], its gradients added to pred's and target's rows, where these are wanted. */
void PXLI_NAME(line_run)(strip *s, real *pred, real *target);
#define line_take PXLI_NAME(line_take)
#define line_run  PXLI_NAME(line_run)
#endif
