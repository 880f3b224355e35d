/* The rows that the structure pass reads: see reader.h. */
#include "reader.h"

#include "../math/window.h"

void reader_take(reader *r, const pxli_call *call, const pxli_pass *pass, int64_t width, int halo, int rows, pxli_arena *arena) {
    const plane x = plane_of(call->args->pred, 0, 0), y = plane_of(call->args->target, 0, 0);
    r->pass = pass;
    r->masked = call->args->weight != NULL;
    r->direct = is_direct(&x) && is_direct(&y) && !r->masked && pass->factor == 1;
    r->image_h = call->h, r->image_w = call->w;
    r->ring = rows;
    const int64_t held = width + 2 * halo < pass->w ? width + 2 * halo : pass->w;
    r->pitch = held + 2 * READER_PAD;
    const size_t row = (size_t)r->pitch * sizeof(real);
    r->zeros = pxli_take(arena, row);
    if (r->direct) return;
    r->ring_x = pxli_take(arena, row * (size_t)rows), r->ring_y = pxli_take(arena, row * (size_t)rows);
    r->ring_w = r->masked ? pxli_take(arena, row * (size_t)rows) : NULL;
    r->line = pass->factor > 1 ? pxli_take(arena, (size_t)((held + 2) * pass->factor) * sizeof(real)) : NULL;
}

void reader_start(reader *r, const pxli_call *call, const pxli_tile *tile, int halo, int64_t first) {
    r->x = plane_of(call->args->pred, tile->image, tile->channel);
    r->y = plane_of(call->args->target, tile->image, tile->channel);
    if (r->masked) r->weight = plane_of(call->args->weight, tile->image, 0);
    r->left = tile->x0 - halo > 0 ? tile->x0 - halo : 0;
    r->right = tile->x1 + halo < r->pass->w ? tile->x1 + halo : r->pass->w;
    r->ready = first;
    memset(r->zeros, 0, (size_t)r->pitch * sizeof(real));
}

/* dst[i] += sum over the block's columns of source row y, for blocks [first, first + count) */
static void add_block_row(const reader *r, const plane *p, int64_t y, int64_t first, int64_t count, real *dst) {
    const int f = r->pass->factor;
    const int64_t from = first * f - r->pass->block_offset, to = from + count * f;
    int64_t low, high;
    pxli_block_span(r->image_w, from, to, &low, &high);
    load_row(p, y, low, high - low, r->line);
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = from + i * f; x < from + (i + 1) * f; x++) dst[i] += r->line[pxli_block_pixel(r->image_w, x) - low];
}
static void average_blocks(const reader *r, const plane *p, int64_t row, int64_t first, int64_t count, real *dst) {
    const int f = r->pass->factor;
    const real unit = (real)(1.0 / ((double)f * f));
    memset(dst, 0, (size_t)count * sizeof(real));
    for (int64_t y = row * f - r->pass->block_offset; y < (row + 1) * f - r->pass->block_offset; y++)
        add_block_row(r, p, pxli_block_pixel(r->image_h, y), first, count, dst);
    for (int64_t i = 0; i < count; i++) dst[i] *= unit;
}
static void read(const reader *r, const plane *p, int64_t row, int64_t first, int64_t count, real *dst) {
    if (r->pass->factor > 1)
        average_blocks(r, p, row, first, count, dst);
    else
        load_row(p, row, first, count, dst);
}

/* Masked pixels read as 0: selected, since 0 * NaN is NaN */
static void mask_row(int64_t count, const real *restrict w, real *restrict x) {
    for (int64_t i = 0; i < count; i++) x[i] = w[i] != 0 ? x[i] : 0;
}

static void fill_slot(reader *r, int64_t row, int64_t at) {
    const int64_t source = pxli_border_index(r->pass->window->border, r->pass->h, row), count = r->right - r->left;
    real *const x = r->ring_x + at, *const y = r->ring_y + at;
    if (source < 0) {
        memset(x, 0, (size_t)count * sizeof(real)), memset(y, 0, (size_t)count * sizeof(real));
        return;
    }
    read(r, &r->x, source, r->left, count, x), read(r, &r->y, source, r->left, count, y);
    if (!r->masked) return;
    load_row(&r->weight, source, r->left, count, r->ring_w + at);
    mask_row(count, r->ring_w + at, x), mask_row(count, r->ring_w + at, y);
}

void reader_rows(reader *r, int64_t first, int count, const real **x, const real **y) {
    for (int i = 0; i < count; i++) {
        const int64_t row = first + i;
        if (r->direct) {
            const int64_t source = pxli_border_index(r->pass->window->border, r->pass->h, row);
            x[i] = source < 0 ? r->zeros - r->left : direct_row(&r->x, source);
            y[i] = source < 0 ? r->zeros - r->left : direct_row(&r->y, source);
            continue;
        }
        const int64_t slot = (row % r->ring + r->ring) % r->ring, at = slot * r->pitch + READER_PAD;
        if (row >= r->ready) fill_slot(r, row, at), r->ready = row + 1;
        x[i] = r->ring_x + at - r->left, y[i] = r->ring_y + at - r->left;
    }
}

bool reader_sample(const reader *r, int64_t y, int64_t x, real *px, real *py) {
    real weight = 1;
    if (r->masked) load_row(&r->weight, y, x, 1, &weight);
    read(r, &r->x, y, x, 1, px), read(r, &r->y, y, x, 1, py);
    return weight != 0;
}
