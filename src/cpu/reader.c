/* The rows that the structure pass reads: see reader.h. */
#include "reader.h"

#include "../math/window.h"

void reader_take(reader *r, const pxli_call *call, const pxli_pass *pass, int64_t width, int halo, int rows, pxli_arena *arena) {
    const plane x = plane_of(call->args->pred, 0, 0), y = plane_of(call->args->target, 0, 0);
    r->pass = pass;
    r->masked = call->args->weight != NULL;
    const bool fills = pass->reads_sums && pass->window->border == PXL_ZERO; /* outside is not 0, but less the base */
    r->direct = is_direct(&x) && is_direct(&y) && !r->masked && pass->factor == 1 && !fills;
    r->image_h = call->h, r->image_w = call->w;
    r->ring = rows;
    const int64_t held = width + 2 * halo < pass->w ? width + 2 * halo : pass->w;
    r->pitch = held + 2 * READER_PAD;
    const size_t row = (size_t)r->pitch * sizeof(real);
    r->zeros = pxli_take(arena, row);
    if (r->direct) return;
    r->ring_x = pxli_take(arena, row * (size_t)rows), r->ring_y = pxli_take(arena, row * (size_t)rows);
    r->ring_w = r->masked ? pxli_take(arena, row * (size_t)rows) : NULL;
    if (pass->factor == 1) return;
    const size_t pixels = (size_t)((held + 2) * pass->factor);
    r->line = pxli_take(arena, pixels * sizeof(real)), r->other = pxli_take(arena, pixels * sizeof(real));
}

real median(real *a, int n) {
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && a[j] < a[j - 1]; j--) {
            const real t = a[j];
            a[j] = a[j - 1], a[j - 1] = t;
        }
    return n ? a[n / 2] : 0;
}
void centre_of(const plane *x, const plane *y, int64_t h, int64_t w, real *base, real *gap) {
    real sum[9], difference[9];
    int n = 0;
    for (int i = 0; i < 9; i++) {
        const int64_t row = h * (2 * (i / 3) + 1) / 6, column = w * (2 * (i % 3) + 1) / 6;
        real p, q;
        load_row(x, row, column, 1, &p), load_row(y, row, column, 1, &q);
        sum[n] = p + q, difference[n] = p - q;
        if (sum[n] - sum[n] == 0 && difference[n] - difference[n] == 0) n++; /* finite */
    }
    *base = median(sum, n), *gap = median(difference, n);
}

void reader_start(reader *r, const pxli_call *call, const pxli_tile *tile, int halo, int64_t first) {
    r->x = plane_of(call->args->pred, tile->image, tile->channel);
    r->y = target_plane(call, tile->image, tile->channel);
    if (r->masked) r->weight = plane_of(call->args->weight, tile->image, 0);
    r->left = tile->x0 - halo > 0 ? tile->x0 - halo : 0;
    r->right = tile->x1 + halo < r->pass->w ? tile->x1 + halo : r->pass->w;
    r->ready = first;
    r->base = r->gap = 0;
    if (call->base) {
        const double *base = call->base + 2 * (tile->image * call->c + tile->channel);
        r->base = (real)base[0], r->gap = (real)base[1];
    } else if (r->pass->reads_sums) {
        centre_of(&r->x, &r->y, r->image_h, r->image_w, &r->base, &r->gap);
    }
    memset(r->zeros, 0, (size_t)r->pitch * sizeof(real));
}

/* x[i] += sum of (x - k) + (y - k), y[i] += sum of (x - y) - gap, over the columns in source row `row` of blocks [first, first + count) */
static void add_block_row(const reader *r, int64_t row, int64_t first, int64_t count, real *x, real *y) {
    const int f = r->pass->factor;
    const int64_t from = first * f - r->pass->block_offset, to = from + count * f;
    const real k = r->base / 2;
    int64_t low, high;
    pxli_block_span(r->image_w, from, to, &low, &high);
    load_row(&r->x, row, low, high - low, r->line), load_row(&r->y, row, low, high - low, r->other);
    for (int64_t i = 0; i < count; i++)
        for (int64_t c = from + i * f; c < from + (i + 1) * f; c++) {
            const int64_t pixel = pxli_block_pixel(r->image_w, c) - low;
            const real p = r->line[pixel], q = r->other[pixel], difference = p - q, back = difference - p;
            x[i] += (p - k) + (q - k);
            y[i] += (difference - r->gap) + ((p - (difference - back)) - (q + back)); /* and what rounding p - q dropped */
        }
}
static void average_blocks(const reader *r, int64_t row, int64_t first, int64_t count, real *x, real *y) {
    const int f = r->pass->factor;
    const real unit = (real)(1.0 / ((double)f * f));
    memset(x, 0, (size_t)count * sizeof(real)), memset(y, 0, (size_t)count * sizeof(real));
    for (int64_t source = row * f - r->pass->block_offset; source < (row + 1) * f - r->pass->block_offset; source++)
        add_block_row(r, pxli_block_pixel(r->image_h, source), first, count, x, y);
    for (int64_t i = 0; i < count; i++) x[i] *= unit, y[i] *= unit;
}
static void read(const reader *r, int64_t row, int64_t first, int64_t count, real *x, real *y) {
    if (r->pass->factor > 1) {
        average_blocks(r, row, first, count, x, y);
    } else {
        load_row(&r->x, row, first, count, x), load_row(&r->y, row, first, count, y);
    }
}

/* Masked pixels read as 0: selected, since 0 * NaN is NaN. Pixels that lie as they are wanted are read there. */
static void mask_row(const plane *p, int64_t row, int64_t first, int64_t count, const real *w, real *x) {
    const real *from = is_direct(p) ? direct_row(p, row) + first : x;
    for (int64_t i = 0; i < count; i++) x[i] = w[i] != 0 ? from[i] : 0;
}
/* Blocks are not averaged under a mask: such a call is refused (check.c). */
static void fill_masked(reader *r, int64_t row, int64_t count, int64_t at) {
    real *const x = r->ring_x + at, *const y = r->ring_y + at, *const w = r->ring_w + at;
    load_row(&r->weight, row, r->left, count, w);
    if (!is_direct(&r->x)) load_row(&r->x, row, r->left, count, x);
    if (!is_direct(&r->y)) load_row(&r->y, row, r->left, count, y);
    mask_row(&r->x, row, r->left, count, w, x), mask_row(&r->y, row, r->left, count, w, y);
}

static void fill_slot(reader *r, int64_t row, int64_t at) {
    const int64_t source = pxli_border_index(r->pass->window->border, r->pass->h, row), count = r->right - r->left;
    real *const x = r->ring_x + at, *const y = r->ring_y + at;
    if (source < 0) {
        for (int64_t i = 0; i < count; i++) x[i] = -r->base, y[i] = -r->gap;
    } else if (r->masked) {
        fill_masked(r, source, count, at);
    } else {
        read(r, source, r->left, count, x, y);
    }
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
    read(r, y, x, 1, px, py);
    return weight != 0;
}
