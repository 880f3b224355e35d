/* The filter operators and their adjoints on one tile, by the linear maps of the residual terms. */
#include "kernels.h"
#include "linear.h"
#include "rows.h"

enum { COLUMNS = 512, FILTER_ROWS = 256 };

typedef struct filter_tile {
    const pxli_filter_call *call;
    linear_map map;
    frame frame;
    int64_t planes, strips, segments, channels, h, w; /* of the image, the unfiltered side */
    pxli_window window;
    double *down, *along;             /* taps */
    linear_ring ring[MAX_COMPONENTS]; /* backward one for each component */
    real *rows[MAX_COMPONENTS], *line;
} filter_tile;

static pxl_term_kind kind_of(const pxl_filter *filter) {
    switch (filter->kind) {
        case PXL_FILTER_SOBEL: return PXL_SOBEL;
        case PXL_FILTER_LAPLACIAN: return PXL_LAPLACIAN;
        default: return PXL_BLUR;
    }
}
static void take(filter_tile *t, const pxli_filter_call *call, pxli_arena *arena) {
    const pxl_tensor *image = call->adjoint ? call->to : call->from;
    memset(t, 0, sizeof *t);
    t->call = call, t->window = pxli_filter_window(call->filter);
    const pxli_radii radii = {t->window.y.taps / 2, t->window.x.taps / 2};
    const int R = pxli_larger_radius(radii);
    t->channels = image->size[1], t->h = image->size[2], t->w = image->size[3];
    t->planes = image->size[0] * t->channels;
    const int64_t columns = larger(COLUMNS, 4 * R), rows = larger(FILTER_ROWS, 4 * R);
    t->strips = larger((t->w + columns / 2) / columns, 1), t->segments = larger((t->h + rows / 2) / rows, 1);
    set_frame(&t->frame, R, smaller(t->w / t->strips + 32, t->w));
    linear_take(&t->map, kind_of(call->filter), call->filter->neighbours, radii, call->adjoint, &t->frame, arena);
    const size_t row = (size_t)t->frame.pitch * sizeof(real);
    t->down = pxli_take(arena, (size_t)(2 * radii.y + 1) * sizeof(double));
    t->along = pxli_take(arena, (size_t)(2 * radii.x + 1) * sizeof(double));
    for (int q = 0; q < t->map.components; q++) ring_take(&t->ring[q], &t->map, &t->frame, true, arena);
    for (int q = 0; q < MAX_COMPONENTS; q++) t->rows[q] = pxli_take(arena, row);
    t->line = pxli_take(arena, row);
}

static int64_t tiles(const pxli_filter_call *call) {
    filter_tile t;
    pxli_arena arena = {0, 0};
    take(&t, call, &arena);
    return t.planes * t.strips * t.segments;
}
static size_t bytes(const pxli_filter_call *call) {
    filter_tile t;
    pxli_arena arena = {0, 0};
    take(&t, call, &arena);
    return arena.used + PXLI_ALIGN;
}

static void set_taps(pxli_axis axis, double *taps) {
    taps[axis.taps / 2 * 2] = 0; /* an even window leaves the last one 0 */
    pxli_window_taps(axis.taps, axis.sigma, taps);
}
static void start(filter_tile *t, int64_t index, pxli_tile *tile) {
    const int64_t strip = index % t->strips, segment = index / t->strips % t->segments, plane = index / t->strips / t->segments;
    *tile = (pxli_tile){plane / t->channels,          plane % t->channels,
                        segment * t->h / t->segments, (segment + 1) * t->h / t->segments,
                        strip * t->w / t->strips,     (strip + 1) * t->w / t->strips};
    t->frame.x0 = tile->x0, t->frame.x1 = tile->x1;
    set_taps(t->window.y, t->down), set_taps(t->window.x, t->along);
    linear_set(&t->map, &t->frame, t->down, t->along);
    linear_size(&t->map, t->window.border, t->window.y.taps, t->window.x.taps, t->h, t->w);
    const size_t row = (size_t)t->frame.pitch * sizeof(real);
    for (int q = 0; q < t->map.components; q++) ring_clear(&t->ring[q], &t->map, &t->frame);
    memset(t->line, 0, row);
    for (int q = 0; q < MAX_COMPONENTS; q++) memset(t->rows[q], 0, row);
}

/* Row `row` of the extended image. */
static void push_row(filter_tile *t, const pxli_tile *tile, int64_t row) {
    const int64_t source = pxli_border_index(t->map.border, t->h, row);
    const int64_t from = larger(tile->x0 - 2 * t->map.R.x, 0), to = smaller(tile->x1 + 2 * t->map.R.x, t->w);
    real *const line = t->map.stencil == NO_STENCIL ? t->line : ring_row(&t->map, &t->frame, t->ring, row);
    if (source >= 0) {
        const plane p = plane_of(t->call->from, tile->image, tile->channel);
        load_row(&p, source, from, to - from, column_at(&t->frame, line, from));
    }
    linear_push(&t->map, &t->frame, source >= 0 ? line : NULL, t->ring, row);
}
static void forward(filter_tile *t, const pxli_tile *tile) {
    const linear_map *m = &t->map;
    const int64_t y0 = larger(tile->y0, m->map_y0), y1 = smaller(tile->y1, m->map_y1);
    const int64_t x0 = larger(tile->x0, m->map_x0), x1 = smaller(tile->x1, m->map_x1);
    for (int64_t row = y0 - m->R.y; row < y0 + m->R.y; row++) push_row(t, tile, row);
    for (int64_t row = y0; row < y1 && x0 < x1; row++) {
        push_row(t, tile, row + m->R.y);
        linear_extend_around(m, &t->frame, t->ring, row);
        linear_row(m, &t->frame, t->ring, row, x0, x1, t->rows);
        for (int q = 0; q < m->components; q++) {
            const plane p = plane_of(t->call->to, tile->image, q * t->channels + tile->channel);
            store_row(&p, row - m->map_y0, x0 - m->map_x0, x1 - x0, column_at(&t->frame, t->rows[q], x0), false);
        }
    }
}

/* Row `row` of the derivatives, pulled back along. */
static void pull_row(filter_tile *t, const pxli_tile *tile, int64_t row) {
    const linear_map *m = &t->map;
    const bool counts = row >= m->map_y0 && row < m->map_y1;
    const int64_t from = larger(tile->x0 - m->R.x, m->map_x0), to = smaller(tile->x1 + m->R.x, m->map_x1);
    for (int q = 0; q < m->components; q++) {
        const plane p = plane_of(t->call->from, tile->image, q * t->channels + tile->channel);
        real *const line = derivatives_row(m, &t->frame, &t->ring[q], row, t->rows[q]);
        if (counts && from < to) load_row(&p, row - m->map_y0, from - m->map_x0, to - from, column_at(&t->frame, line, from));
        linear_pull(m, &t->frame, &t->ring[q], row, line, !counts);
    }
}
static void backward(filter_tile *t, const pxli_tile *tile) {
    const plane p = plane_of(t->call->to, tile->image, tile->channel);
    const int R = t->map.R.y;
    for (int64_t row = tile->y0 - R; row < tile->y0 + R; row++) pull_row(t, tile, row);
    for (int64_t row = tile->y0; row < tile->y1; row++) {
        pull_row(t, tile, row + R);
        linear_gradient(&t->map, &t->frame, t->ring, row, t->line, STORE_SET);
        store_row(&p, row, tile->x0, tile->x1 - tile->x0, t->line, false);
    }
}

static void run(const pxli_filter_call *call, int64_t index, void *scratch) {
    filter_tile t;
    pxli_tile tile;
    pxli_arena arena = {(uintptr_t)scratch, 0};
    take(&t, call, &arena);
    start(&t, index, &tile);
    if (call->adjoint)
        backward(&t, &tile);
    else
        forward(&t, &tile);
}

void PXLI_NAME(reduce)(const pxli_region *region, int64_t image, int64_t channel, int64_t y0, int64_t y1, pxli_partial *to);
void PXLI_NAME(copy)(const pxl_tensor *from, const pxl_tensor *to, bool add, int64_t index);
size_t PXLI_NAME(tile_bytes)(const pxli_call *call, const pxli_pass *pass);
void PXLI_NAME(tile)(const pxli_call *call, const pxli_pass *pass, int64_t index, void *scratch, double *sums);
size_t PXLI_NAME(pyramid_bytes)(const pxli_call *call);
void PXLI_NAME(halve)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, int64_t y0, int64_t y1, void *memory);
void PXLI_NAME(weigh)(const pxli_call *call, const pxli_pyramid *p, int j, bool of_target, bool add, int64_t index, int64_t y0,
                      int64_t y1, void *memory);
void PXLI_NAME(scale_extremes)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t index, double extremes[4]);
void PXLI_NAME(pixel_map)(const pxli_call *call, int64_t index);

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)
const pxli_kernels *PXLI_NAME(kernels)(void);
#if PXLI_DOUBLE
#define LAYERS NULL
#define REDUCE PXLI_NAME(reduce)
#else
extern const struct pxli_layer_kernels PXLI_NAME(layers);
#define LAYERS &PXLI_NAME(layers)
#define REDUCE NULL
#endif
const pxli_kernels *PXLI_NAME(kernels)(void) {
    static const pxli_kernels kernels = {TEXT(PXLI_ISA),
                                         PXLI_NAME(tile_bytes),
                                         PXLI_NAME(tile),
                                         PXLI_NAME(pyramid_bytes),
                                         PXLI_NAME(halve),
                                         PXLI_NAME(weigh),
                                         PXLI_NAME(scale_extremes),
                                         PXLI_NAME(pixel_map),
                                         tiles,
                                         bytes,
                                         run,
                                         PXLI_NAME(copy),
                                         LAYERS,
                                         REDUCE};
    return &kernels;
}
