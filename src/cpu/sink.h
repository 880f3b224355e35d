/* Where the gradient's rows go: straight to memory where they may, else by way of a few rows, converted (dtype, stride, added
 * to what is there, spread over averaged blocks) once a batch is done. The residual terms' rows come first; the structure's are
 * added. */
#ifndef PXLI_SINK_H
#define PXLI_SINK_H
#include "rows.h"

typedef struct sink {
    const pxl_tensor *tensor; /* NULL: this gradient is not wanted */
    const pxli_pass *pass;
    plane plane, weight;
    bool masked; /* a masked pixel was read as 0, whatever it holds: its gradient is 0 */
    int64_t image_h, image_w, x0, x1, pitch;
    bool has_rows; /* residual terms fill the rows before */
    bool direct;   /* a block's values may be stored where they belong */
    bool plain;    /* a row's may: nothing is added to or converted */
    real *rows;    /* [VL][pitch], element i is column x0 + i */
    real *spread;  /* one row of the image, when blocks were averaged; of weights, with a mask */
} sink;

INLINE void sink_take(sink *s, const pxli_call *call, const pxli_pass *pass, const pxl_tensor *tensor, int64_t width,
                      pxli_arena *arena) {
    s->tensor = tensor, s->pass = pass, s->image_h = call->h, s->image_w = call->w;
    if (!tensor) return;
    const plane p = plane_of(tensor, 0, 0);
    s->has_rows = pass->residual_count > 0;
    s->masked = call->args->weight != NULL;
    s->plain = is_direct(&p) && !pass->accumulate && pass->factor == 1;
    s->direct = s->plain && !s->masked;
    s->pitch = (width + VL - 1) / VL * VL + VL;
    s->rows = pxli_take(arena, (size_t)(s->pitch * VL) * sizeof(real));
    s->spread = pass->factor > 1 || s->masked ? pxli_take(arena, (size_t)((width + 2) * pass->factor) * sizeof(real)) : NULL;
}
INLINE void sink_open(sink *s, const pxli_call *call, const pxli_tile *tile) {
    if (s->tensor) s->plane = plane_of(s->tensor, tile->image, tile->channel);
    if (s->tensor && s->masked) s->weight = plane_of(call->args->weight, tile->image, 0);
    s->x0 = tile->x0, s->x1 = tile->x1;
}
/* Rows are of columns [x0, x1) from now on. */
INLINE void sink_columns(sink *s, int64_t x0, int64_t x1) { s->x0 = x0, s->x1 = x1; }
/* The row that residual terms fill; NULL if there is none. */
INLINE real *sink_row(const sink *s, int b) { return s->tensor ? s->rows + b * s->pitch : NULL; }
INLINE void sink_start(sink *s, int low, int high) {
    if (!s->tensor || s->has_rows) return;
    for (int b = low; b < high; b++) memset(s->rows + b * s->pitch, 0, (size_t)(s->x1 - s->x0) * sizeof(real));
}

/* Asks for VL columns of rows that sink_flush writes, where it does not write whole lines. */
INLINE void sink_prefetch(const sink *s, int64_t y, int64_t rows, int64_t x) {
    if (s->tensor && !s->plain && s->pass->factor == 1 && x + VL <= s->x1) prefetch_rows(&s->plane, y, rows, x);
}
/* Rows [low, high) of a block of VL columns, n of which are the tile's: row b is row y + b of the image, from column x on. */
INLINE void sink_store(const sink *s, vf *restrict g, int low, int high, int64_t y, int64_t x, int n) {
    const int64_t pitch = s->pitch, dy = s->plane.dy;
    real *const rows = s->rows + (x - s->x0);
    for (int b = low; b < high && s->has_rows; b++) g[b] += load(rows + b * pitch);
    if (!s->direct) {
        for (int b = low; b < high; b++) *(vu *)(rows + b * pitch) = g[b];
        return;
    }
    real *const to = direct_row(&s->plane, y + low) + x; /* rows before it may not exist, and a stride may be anything then */
    if (n == VL && is_aligned(to) && dy % VL == 0)
        for (int b = low; b < high; b++) stream(to + (b - low) * dy, g[b]);
    else if (n == VL)
        for (int b = low; b < high; b++) *(vu *)(to + (b - low) * dy) = g[b];
    else
        for (int b = low; b < high; b++) store_part(to + (b - low) * dy, g[b], n);
}

/* Each pixel of a block receives the block's gradient over the block's size, as often as the block reads it. */
static void sink_spread(const sink *s, int64_t row, const real *g) {
    const int f = s->pass->factor;
    const int64_t count = s->x1 - s->x0, from = s->x0 * f - s->pass->block_offset, to = from + count * f;
    int64_t low, high;
    pxli_block_span(s->image_w, from, to, &low, &high);
    const real unit = (real)(1.0 / ((double)f * f));
    memset(s->spread, 0, (size_t)(high - low) * sizeof(real));
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = from + i * f; x < from + (i + 1) * f; x++)
            s->spread[pxli_block_pixel(s->image_w, x) - low] += unit * g[i];
    for (int64_t y = row * f - s->pass->block_offset; y < (row + 1) * f - s->pass->block_offset; y++)
        store_row(&s->plane, pxli_block_pixel(s->image_h, y), low, high - low, s->spread, true);
}

static void sink_mask_row(const sink *s, int64_t y, real *g) {
    const bool direct = is_direct(&s->weight);
    const real *const w = direct ? direct_row(&s->weight, y) + s->x0 : s->spread;
    if (!direct) load_row(&s->weight, y, s->x0, s->x1 - s->x0, s->spread);
    for (int64_t i = 0; i < s->x1 - s->x0; i++) g[i] = w[i] != 0 ? g[i] : 0;
}
/* Stores the batch's rows, unless sink_store has (`stored`: it was called for all of them) and could do so directly. */
static void sink_flush(sink *s, int64_t first, int low, int high, bool stored) {
    if (!s->tensor || (s->direct && stored)) return;
    for (int b = low; b < high; b++) {
        real *g = s->rows + b * s->pitch;
        if (s->masked) sink_mask_row(s, first + b, g);
        if (s->pass->factor > 1)
            sink_spread(s, first + b, g);
        else if (s->plain)
            stream_row(direct_row(&s->plane, first + b) + s->x0, g, s->x1 - s->x0);
        else
            store_row(&s->plane, first + b, s->x0, s->x1 - s->x0, g, s->pass->accumulate);
    }
}
#endif
