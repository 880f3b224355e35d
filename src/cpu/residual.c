/* Residual terms row by row: loss = mean phi(F e), gradient = F' phi'(F e), with F a small linear map of e = pred - target (of
 * pred alone for tv). For output row r of a map of radius R:
 *   row r + 2R of e is filtered along the row                                                            -> across
 *   row r + R of the map: across filtered down, charged; the slopes filtered back along the row            -> back
 *   row r of the gradient: back filtered down by the adjoint
 * Rings of 2R + 1 rows keep what later rows need. Without a gradient the map is at row r itself. */
#include "residual.h"

#include "charge.h"

/* ---- Scratch ------------------------------------------------------------------------------------------------------------ */
static real *take_rows(const residual *z, int64_t rows, pxli_arena *arena) {
    return pxli_take(arena, (size_t)(rows * z->frame.pitch) * sizeof(real));
}
static void take_cache(residual *z, row_cache *cache, int rows, pxli_arena *arena) {
    cache->count = rows;
    cache->data = take_rows(z, rows, arena), cache->row = pxli_take(arena, (size_t)rows * sizeof *cache->row);
}
static void take_term(residual *z, int k, pxli_arena *arena) {
    residual_term *t = &z->terms[k];
    t->term = &z->call->terms[z->pass->residual[k]];
    linear_take(&t->map, t->term->kind, pxli_term_radius(t->term), arena);
    if (!t->map.parts) return;
    t->across = take_rows(z, ring_rows(&t->map), arena);
    t->back = z->gradients ? take_rows(z, ring_rows(&t->map), arena) : NULL;
}

void residual_take(residual *z, const pxli_call *call, const pxli_pass *pass, int64_t width, pxli_arena *arena) {
    const int R = pass->residual_radius;
    bool difference = false, pred = false;
    z->call = call, z->pass = pass;
    z->gradients = pass->gradients && (call->args->grad_pred || call->args->grad_target);
    set_frame(&z->frame, R, width);
    for (int k = 0; k < pass->residual_count; k++) {
        const bool tv = call->terms[pass->residual[k]].kind == PXL_TV;
        pred = pred || tv, difference = difference || !tv;
    }
    if (difference) take_cache(z, &z->difference, 2 * R + 1, arena);
    if (pred) take_cache(z, &z->pred, 3, arena);
    if (call->args->weight) take_cache(z, &z->weights, 2 * R + 2, arena);
    for (int q = 0; q < MAX_PARTS; q++) z->charged[q] = take_rows(z, 1, arena), z->map[q] = take_rows(z, 1, arena);
    z->spare = take_rows(z, 1, arena), z->line = take_rows(z, 1, arena);
    for (int k = 0; k < pass->residual_count; k++) take_term(z, k, arena);
}

/* ---- Source rows ---------------------------------------------------------------------------------------------------------- */
typedef struct extent { /* columns */
    int64_t from, to;
} extent;
/* Columns inside the image that some term reads. */
static extent columns_read(const residual *z) {
    const int reach = 2 * z->pass->residual_radius;
    return (extent){larger(z->tile.x0 - reach, 0), smaller(z->tile.x1 + reach, z->call->w)};
}
/* The cache's slot for a row; *known tells whether it holds it already. */
static real *slot_of(const residual *z, row_cache *cache, int64_t row, bool *known) {
    const int64_t slot = row % cache->count;
    *known = cache->row[slot] == row;
    cache->row[slot] = row;
    return cache->data + slot * z->frame.pitch;
}
/* NULL without a weight map */
static const real *weight_row(residual *z, int64_t row) {
    if (!z->weights.count) return NULL;
    bool known;
    real *w = slot_of(z, &z->weights, row, &known);
    const extent e = columns_read(z);
    if (!known) load_row(&z->weight, row, e.from, e.to - e.from, column_at(&z->frame, w, e.from));
    return w;
}
/* A row of an image: where it lies if it can be read there, else converted into `to`. */
static const real *image_row(const plane *p, int64_t row, extent e, real *to) {
    if (is_direct(p)) return direct_row(p, row) + e.from;
    load_row(p, row, e.from, e.to - e.from, to);
    return to;
}
/* The row two below, of both images: a strip jumps from row to row, which hardware does not foresee. */
INLINE void prefetch_rows(const residual *z, int64_t row, extent e) {
    enum { AHEAD = 2, LINE = 64 / sizeof(real) };
    if (e.to - e.from == z->call->w || row + AHEAD >= z->call->h || !is_direct(&z->x) || !is_direct(&z->y)) return;
    const real *x = direct_row(&z->x, row + AHEAD), *y = direct_row(&z->y, row + AHEAD);
    for (int64_t c = e.from; c < e.to; c += LINE) __builtin_prefetch(x + c), __builtin_prefetch(y + c);
}
NOINLINE void subtract(int64_t n, const real *restrict x, const real *restrict y, real *restrict d) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) *(vu *)(d + i) = load(x + i) - load(y + i);
    for (; i < n; i++) d[i] = x[i] - y[i];
}
/* e = pred - target, 0 where masked: selected, since 0 * NaN is NaN */
static real *difference_row(residual *z, int64_t row) {
    bool known;
    real *d = slot_of(z, &z->difference, row, &known);
    if (known) return d;
    const extent e = columns_read(z);
    const real *x = image_row(&z->x, row, e, z->spare), *y = image_row(&z->y, row, e, z->line), *w = weight_row(z, row);
    real *out = column_at(&z->frame, d, e.from);
    prefetch_rows(z, row, e);
    subtract(e.to - e.from, x, y, out);
    if (!w) return d;
    w = column_at(&z->frame, w, e.from);
    for (int64_t i = 0; i < e.to - e.from; i++) out[i] = w[i] != 0 ? out[i] : 0;
    return d;
}
static real *pred_row(residual *z, int64_t row) {
    bool known;
    real *d = slot_of(z, &z->pred, row, &known);
    const extent e = columns_read(z);
    if (!known) load_row(&z->x, row, e.from, e.to - e.from, column_at(&z->frame, d, e.from));
    return d;
}

/* ---- One row of a term's map --------------------------------------------------------------------------------------- */
static void push_across(residual *z, residual_term *t, int64_t row) {
    const int64_t source = pxli_border_index(t->map.border, t->map.h, row);
    real *from = NULL;
    if (source >= 0) {
        from = t->term->kind == PXL_TV ? pred_row(z, source) : difference_row(z, source);
        linear_extend(&t->map, &z->frame, from);
    }
    linear_along(&t->map, &z->frame, from, t->across, row);
}

/* tv: a difference to or from a masked pixel is 0 */
static void mask_steps(residual *z, int64_t row, extent e) {
    const frame *f = &z->frame;
    const real *w = weight_row(z, row), *below = row + 1 < z->call->h ? weight_row(z, row + 1) : w;
    for (int64_t c = e.from; c < e.to; c++) {
        const real here = *column_at(f, w, c), right = c + 1 < z->call->w ? *column_at(f, w, c + 1) : here;
        if (here == 0 || right == 0) *column_at(f, z->map[0], c) = 0;
        if (here == 0 || *column_at(f, below, c) == 0) *column_at(f, z->map[1], c) = 0;
    }
}

/* How many of n columns up to e.to hold a difference, for tv with own_counts: none lies past the last column, or row. */
static int64_t differences(const residual *z, int component, int64_t row, extent e) {
    const int64_t n = e.to - e.from;
    if (component == 0) return e.to == z->call->w ? n - 1 : n;
    return row == z->call->h - 1 ? 0 : n;
}
/* Charges the columns of `e`; returns their sum. */
static double charge_columns(residual *z, const residual_term *t, const real *w, int64_t row, extent e) {
    const frame *f = &z->frame;
    const int64_t n = e.to - e.from;
    const real param = (real)t->term->param, *weight = w ? column_at(f, w, e.from) : NULL;
    real *slope[MAX_PARTS] = {column_at(f, z->charged[0], e.from), column_at(f, z->charged[1], e.from)};
    const real *d[MAX_PARTS] = {column_at(f, z->map[0], e.from), column_at(f, z->map[1], e.from)};
    double sum = 0;
    if (n <= 0) return 0;
    if (t->term->isotropic) return charge_isotropic(t->term->penalty, n, d[0], d[1], weight, param, t->scale, slope[0], slope[1]);
    for (int q = 0; q < t->map.components; q++) {
        const int64_t count = t->term->own_counts ? differences(z, q, row, e) : n;
        const real share = t->own[q];
        const double part = charge(t->term->penalty, count, d[q], weight, param, t->scale * share, slope[q]);
        if (count) sum += (double)share * part;
        for (int64_t i = count; i < n; i++) slope[q][i] = 0;
    }
    return sum;
}

/* Row `row` of the map into z->map and its slopes into z->charged, 0 where it does not count. */
static void charge_row(residual *z, residual_term *t, int64_t row, double *sum) {
    const int64_t reach = z->gradients ? t->map.R : 0, x0 = z->tile.x0, x1 = z->tile.x1;
    const extent all = {larger(x0 - reach, t->map.map_x0), smaller(x1 + reach, t->map.map_x1)};
    const real *w = weight_row(z, row);
    linear_down(&t->map, &z->frame, t->across, row, z->map);
    if (w && t->term->kind == PXL_TV) mask_steps(z, row, all);
    charge_columns(z, t, w, row, (extent){all.from, smaller(x0, all.to)});
    const double part = charge_columns(z, t, w, row, (extent){larger(x0, all.from), smaller(x1, all.to)});
    charge_columns(z, t, w, row, (extent){larger(x1, all.from), all.to});
    if (row >= z->tile.y0 && row < z->tile.y1) *sum += part;
    for (int q = 0; q < t->map.components; q++) {
        for (int64_t c = x0 - reach; c < all.from && c < x1 + reach; c++) *column_at(&z->frame, z->charged[q], c) = 0;
        for (int64_t c = larger(all.to, x0 - reach); c < x1 + reach; c++) *column_at(&z->frame, z->charged[q], c) = 0;
    }
}
static void push_back(residual *z, residual_term *t, int64_t row, double *sum) {
    const bool counts = row >= t->map.map_y0 && row < t->map.map_y1;
    if (counts) charge_row(z, t, row, sum);
    if (z->gradients && t->scale != 0) linear_pull_along(&t->map, &z->frame, counts ? z->charged : NULL, t->back, row);
}

/* ---- A tile -------------------------------------------------------------------------------------------------------- */
static int lead_of(const residual *z, const residual_term *t) { return z->gradients ? t->map.R : 0; }

static void clear_rows(const residual *z, real *rows, int64_t count) {
    if (rows) memset(rows, 0, (size_t)(count * z->frame.pitch) * sizeof(real));
}
static void clear_cache(const residual *z, row_cache *cache) {
    for (int i = 0; i < cache->count; i++) cache->row[i] = -1;
    clear_rows(z, cache->data, cache->count);
}

static void start_term(residual *z, int k) {
    residual_term *t = &z->terms[k];
    const pxli_call *call = z->call;
    const pxli_term *term = t->term;
    const int64_t entry = z->tile.image * call->count + z->pass->residual[k];
    const int lead = lead_of(z, t), R = t->map.R;
    t->scale = z->gradients ? to_real(call->scale[entry]) : 0;
    for (int q = 0; q < MAX_PARTS; q++) t->own[q] = term->own_counts ? (real)call->own[2 * entry + q] : 1;
    /* past the last pixel tv reads that pixel again: a difference of 0 */
    linear_size(&t->map, term->kind == PXL_TV ? PXL_REPLICATE : term->window.border, 2 * R + 1, call->h, call->w);
    if (!t->map.parts) return;
    linear_set(&t->map, term->kind, term->neighbours, z->pass->blur_taps[k]);
    clear_rows(z, t->across, ring_rows(&t->map)), clear_rows(z, t->back, ring_rows(&t->map));
    for (int64_t row = z->tile.y0 - lead - R; row < z->tile.y0 + lead + R; row++) {
        push_across(z, t, row);
        if (row - R >= z->tile.y0 - lead && row - R < z->tile.y0 + lead) push_back(z, t, row - R, &z->sums[k]);
    }
}

void residual_start(residual *z, const pxli_tile *tile, double *sums) {
    z->tile = *tile, z->sums = sums;
    z->frame.x0 = tile->x0, z->frame.x1 = tile->x1;
    z->x = plane_of(z->call->args->pred, tile->image, tile->channel);
    z->y = plane_of(z->call->args->target, tile->image, tile->channel);
    if (z->weights.count) z->weight = plane_of(z->call->args->weight, tile->image, 0);
    clear_cache(z, &z->difference), clear_cache(z, &z->pred), clear_cache(z, &z->weights);
    for (int q = 0; q < MAX_PARTS; q++) clear_rows(z, z->charged[q], 1), clear_rows(z, z->map[q], 1);
    for (int k = 0; k < z->pass->residual_count; k++) start_term(z, k);
}

/* rmse and psnr are functions of the mean square. */
static pxl_penalty penalty_of(const pxli_term *term) { return pxli_is_function_of_mean(term->kind) ? PXL_L2 : term->penalty; }
/* Adds the term's gradient of row r to `gradient`; the first term sets it instead. */
static void pixel_row(residual *z, residual_term *t, int64_t r, real *gradient, bool first, double *sum) {
    const int64_t n = z->tile.x1 - z->tile.x0, x0 = z->tile.x0;
    const real *w = weight_row(z, r), *d = column_at(&z->frame, difference_row(z, r), x0);
    real *slope = first && gradient ? gradient : column_at(&z->frame, z->charged[0], x0);
    *sum += charge(penalty_of(t->term), n, d, w ? column_at(&z->frame, w, x0) : NULL, (real)t->term->param, t->scale, slope);
    if (slope == gradient && t->scale == 0) memset(gradient, 0, (size_t)n * sizeof(real));
    if (!gradient || slope == gradient || t->scale == 0) return;
    for (int64_t i = 0; i < n; i++) gradient[i] += slope[i];
}
static void map_row(residual *z, residual_term *t, int64_t r, real *gradient, double *sum) {
    const int lead = lead_of(z, t);
    push_across(z, t, r + lead + t->map.R);
    push_back(z, t, r + lead, sum);
    if (gradient && t->scale != 0) linear_pull_down(&t->map, &z->frame, t->back, r, gradient);
}

void residual_row(residual *z, int64_t r, real *pred, real *target) {
    const int64_t n = z->tile.x1 - z->tile.x0;
    real *const gradient = pred ? pred : target; /* of the terms of e: that of target is its negative */
    bool first = true;
    for (int k = 0; k < z->pass->residual_count; k++) {
        residual_term *t = &z->terms[k];
        if (t->term->kind == PXL_TV) continue;
        if (first && gradient && t->map.parts) memset(gradient, 0, (size_t)n * sizeof(real));
        if (t->map.parts)
            map_row(z, t, r, gradient, &z->sums[k]);
        else
            pixel_row(z, t, r, gradient, first, &z->sums[k]);
        first = false;
    }
    if (first && gradient) memset(gradient, 0, (size_t)n * sizeof(real));
    if (target)
        for (int64_t i = 0; i < n; i++) target[i] = -gradient[i];
    for (int k = 0; k < z->pass->residual_count; k++)
        if (z->terms[k].term->kind == PXL_TV) map_row(z, &z->terms[k], r, pred, &z->sums[k]);
}
