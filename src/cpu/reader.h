/* The rows that the structure pass reads: straight from memory where they lie as the kernels want them, else converted (dtype,
 * stride, blocks averaged, masked pixels zeroed) into a ring of rows, each row once. Rows outside of the image follow the
 * border. */
#ifndef PXLI_READER_H
#define PXLI_READER_H
#include "rows.h"

enum { READER_PAD = 128 }; /* readable elements on both sides of a converted row */

/* Where blocks are averaged, or the images are a scale of ms_ssim, a row of "x" is the mean of (x - k) + (y - k) and one of "y" that of (x - y) - gap, 2 k = base and gap
 * being usual ones: means of x and y rounded one by one would lose their difference. Else they are the images. */
typedef struct reader {
    const pxli_pass *pass;
    plane x, y, weight;
    int64_t image_h, image_w;
    bool masked, direct;
    int64_t left, right; /* columns held, in the image */
    int64_t ready;       /* rows below it are in the ring */
    int64_t pitch;
    int ring;                       /* rows of it */
    real *ring_x, *ring_y, *ring_w; /* slot r % ring holds row r, which may lie outside of the image */
    real *zeros, *line, *other;     /* a row of zeros; source pixels of both images before averaging */
    real base, gap;                 /* see above; 0 for the images themselves */
} reader;

/* The median of n numbers, 0 of none; sorts them. */
real PXLI_NAME(median)(real *a, int n);
#define median PXLI_NAME(median)
/* What sums and differences of two planes are taken less: medians of nine places, of those that are finite. (One pixel may be far from
 * all others, and the sums would keep none of these' digits.) */
void PXLI_NAME(centre_of)(const plane *x, const plane *y, int64_t h, int64_t w, real *base, real *gap);
#define centre_of PXLI_NAME(centre_of)
/* Scratch from the arena for strips of up to `width` columns with `halo` more on both sides. */
void PXLI_NAME(reader_take)(reader *r, const pxli_call *call, const pxli_pass *pass, int64_t width, int halo, int rows,
                            pxli_arena *arena);
#define reader_take PXLI_NAME(reader_take)
/* The tile's planes and columns; the first row that will be asked for. */
void PXLI_NAME(reader_start)(reader *r, const pxli_call *call, const pxli_tile *tile, int halo, int64_t first);
#define reader_start PXLI_NAME(reader_start)
/* Rows [first, first + count) of both images, column c at x[i][c]. Rows may be asked for again while in the ring, never before. */
void PXLI_NAME(reader_rows)(reader *r, int64_t first, int count, const real **x, const real **y);
#define reader_rows PXLI_NAME(reader_rows)
/* Asks for VL columns that are read soon, a quarter of them at a time (0 to 3): all at once would wait for each other. Of the new
 * rows [first, first + count) where they are read from memory block by block; of as many rows after them where whole rows are
 * converted. */
INLINE void reader_prefetch(const reader *r, int64_t first, int count, int quarter, int64_t column) {
    const int64_t y = (r->direct ? first : first + count) + count * quarter / 4, left = r->pass->h - y;
    const int64_t rows = smaller(left, count * (quarter + 1) / 4 - count * quarter / 4);
    if (y < 0 || column < 0 || column + VL > r->pass->w || r->pass->factor > 1) return;
    prefetch_rows(&r->x, y, rows, column), prefetch_rows(&r->y, y, rows, column);
    if (r->masked) prefetch_rows(&r->weight, y, rows, column);
}
/* Weights of a row inside the image, among those last asked for. */
INLINE const real *reader_weights(const reader *r, int64_t row) {
    const int64_t slot = (row % r->ring + r->ring) % r->ring;
    return r->ring_w + slot * r->pitch + READER_PAD - r->left;
}
/* A pixel's entry in the rows; false: masked. For the shifts. */
bool PXLI_NAME(reader_sample)(const reader *r, int64_t y, int64_t x, real *px, real *py);
#define reader_sample PXLI_NAME(reader_sample)
#endif
