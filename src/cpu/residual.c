/* Residual terms row by row: loss = mean phi(F e), gradient = F' phi'(F e), with F a small linear map of e = pred - target (of
 * pred alone for tv). For output row r of a map of radius R:
 *   row r + 2R of e is pushed (a window filters it along the row)                                         -> across
 *   row r + R of the map, charged; the slopes (a window filters them back along the row)                   -> back
 *   row r of the gradient, from back
 * Rings of 2R + 1 rows keep what later rows need. Without a gradient the map is at row r itself. */
#include "residual.h"

#include "tv.h"

/* ---- Scratch ------------------------------------------------------------------------------------------------------------ */
static real *take_rows(const residual *z, int64_t rows, pxli_arena *arena) {
    return pxli_take(arena, (size_t)(rows * z->frame.pitch) * sizeof(real));
}
static void take_cache(residual *z, row_cache *cache, int rows, pxli_arena *arena) {
    for (cache->count = 1; cache->count < rows;) cache->count *= 2;
    rows = cache->count;
    cache->data = take_rows(z, rows, arena), cache->row = pxli_take(arena, (size_t)rows * sizeof *cache->row);
}
static void take_term(residual *z, int k, pxli_arena *arena) {
    residual_term *t = &z->terms[k];
    t->term = &z->call->terms[z->pass->residual[k]];
    linear_take(&t->map, t->term->kind, t->term->neighbours, pxli_radii_of(z->call, t->term), z->gradients, &z->frame, arena);
    if (t->map.identity || z->single) return;
    ring_take(&t->across, &t->map, &z->frame, t->map.stencil == NO_STENCIL, arena);
    for (int q = 0; q < t->map.components && z->gradients; q++) ring_take(&t->back[q], &t->map, &z->frame, true, arena);
}

static void take_caches(residual *z, pxli_arena *arena) {
    const int R = z->pass->residual_radius;
    bool difference = false, pred = false;
    for (int k = 0; k < z->pass->residual_count; k++) {
        const bool tv = z->call->terms[z->pass->residual[k]].kind == PXL_TV;
        pred = pred || tv, difference = difference || !tv;
    }
    if (difference) take_cache(z, &z->difference, 2 * R + 1, arena);
    if (pred) take_cache(z, &z->pred, 3, arena);
    if (z->call->args->weight) take_cache(z, &z->weights, 2 * R + 2, arena);
    for (int q = 0; q < MAX_COMPONENTS; q++) z->charged[q] = take_rows(z, 1, arena), z->map[q] = take_rows(z, 1, arena);
    z->spare = take_rows(z, 1, arena), z->line = take_rows(z, 1, arena);
}
void residual_take(residual *z, const pxli_call *call, const pxli_pass *pass, int64_t width, bool single, pxli_arena *arena) {
    z->call = call, z->pass = pass, z->single = single;
    z->gradients = pass->gradients && (call->args->grad_pred || call->args->grad_target);
    set_frame(&z->frame, pass->residual_radius, width);
    if (single)
        z->charged[0] = take_rows(z, 1, arena);
    else
        take_caches(z, arena);
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
    const int64_t slot = row & (cache->count - 1);
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
/* The row after the last one read, of both images (tv alone reads one), at column `from`: while this row is worked on, memory need
 * not be idle. Where there is none, or it has to be converted, what this row's own columns are. */
INLINE next_rows next_rows_at(const residual *z, int64_t from, const real *own) {
    if (z->next >= z->call->h || !is_direct(&z->x) || !is_direct(&z->y)) return (next_rows){own, own};
    const real *x = direct_row(&z->x, z->next) + from;
    return (next_rows){x, z->difference.count ? direct_row(&z->y, z->next) + from : x};
}
/* n columns at once. Always inlined: gcc takes a function that only prefetches for one without effect, and drops the call. */
INLINE void prefetch_next(next_rows next, int64_t n) {
    for (int64_t i = 0; i < n; i += VL) __builtin_prefetch(next.x + i), __builtin_prefetch(next.y + i);
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
    z->next = row + 1;
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
    if (known) return d;
    z->next = row + 1;
    load_row(&z->x, row, e.from, e.to - e.from, column_at(&z->frame, d, e.from));
    return d;
}

/* ---- One row of a term's map --------------------------------------------------------------------------------------- */
static void push_across(residual *z, residual_term *t, int64_t row) {
    const int64_t source = pxli_border_index(t->map.border, t->map.h, row);
    real *from = NULL;
    if (source >= 0) from = t->term->kind == PXL_TV ? pred_row(z, source) : difference_row(z, source);
    linear_push(&t->map, &z->frame, from, &t->across, row);
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
/* The map's columns of `e`, charged; returns their sum. */
static double charge_map(residual *z, const residual_term *t, const real *w, int64_t row, extent e, real *const slopes[]) {
    const frame *f = &z->frame;
    const int64_t n = e.to - e.from;
    const real param = t->param, *weight = w ? column_at(f, w, e.from) : NULL;
    real *slope[MAX_COMPONENTS] = {column_at(f, slopes[0], e.from), column_at(f, slopes[1], e.from)};
    const real *d[MAX_COMPONENTS] = {column_at(f, z->map[0], e.from), column_at(f, z->map[1], e.from)};
    double sum = 0;
    prefetch_next(next_rows_at(z, e.from, d[0]), n);
    if (t->map.stencil != NO_STENCIL) linear_row(&t->map, f, &t->across, row, e.from, e.to, z->map);
    if (w && t->term->kind == PXL_TV) mask_steps(z, row, e);
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
/* The same; in one loop where it can be. */
static double charge_span(residual *z, const residual_term *t, const real *w, int64_t row, extent e, real *const slopes[]) {
    const frame *f = &z->frame;
    const bool plain = t->map.stencil != NO_STENCIL && !w && !t->term->isotropic && !t->term->own_counts;
    if (!plain) return charge_map(z, t, w, row, e, slopes);
    const stencil_rows s = rows_around(&t->map, f, &t->across, row, e.from);
    const double sum = stencil_charge(t->map.stencil, t->term->penalty, e.to - e.from, s, next_rows_at(z, e.from, s.row[1]),
                                      t->param, t->scale, column_at(f, slopes[0], e.from), column_at(f, slopes[1], e.from));
    return sum - sum == 0 ? sum : charge_map(z, t, w, row, e, slopes); /* not finite: in double precision it may be */
}

static double charge_columns(residual *z, const residual_term *t, const real *w, int64_t row, extent e, real *const slopes[]) {
    double sum = 0;
    for (int64_t c = e.from; c < e.to; c += SPAN) {
        const extent span = {c, smaller(c + SPAN, e.to)};
        sum += charge_span(z, t, w, row, span, slopes);
    }
    return sum;
}

/* Row `row` of the map, its slopes into `slopes`, 0 where it does not count. */
static void charge_row(residual *z, residual_term *t, int64_t row, real *const slopes[], double *sum) {
    const int64_t reach = z->gradients ? t->map.R.x : 0, x0 = z->tile.x0, x1 = z->tile.x1;
    const extent all = {larger(x0 - reach, t->map.map_x0), smaller(x1 + reach, t->map.map_x1)};
    const real *w = weight_row(z, row);
    linear_extend_around(&t->map, &z->frame, &t->across, row);
    if (t->map.stencil == NO_STENCIL) linear_row(&t->map, &z->frame, &t->across, row, x0, x1, z->map);
    charge_columns(z, t, w, row, (extent){all.from, smaller(x0, all.to)}, slopes);
    const double part = charge_columns(z, t, w, row, (extent){larger(x0, all.from), smaller(x1, all.to)}, slopes);
    charge_columns(z, t, w, row, (extent){larger(x1, all.from), all.to}, slopes);
    if (row >= z->tile.y0 && row < z->tile.y1) *sum += part;
    for (int q = 0; q < t->map.components; q++) {
        for (int64_t c = x0 - reach; c < all.from && c < x1 + reach; c++) *column_at(&z->frame, slopes[q], c) = 0;
        for (int64_t c = larger(all.to, x0 - reach); c < x1 + reach; c++) *column_at(&z->frame, slopes[q], c) = 0;
    }
}
static void push_back(residual *z, residual_term *t, int64_t row, double *sum) {
    const bool counts = row >= t->map.map_y0 && row < t->map.map_y1, pull = z->gradients && t->scale != 0;
    real *slopes[MAX_COMPONENTS] = {z->charged[0], z->charged[1]};
    for (int q = 0; q < t->map.components && pull; q++)
        slopes[q] = derivatives_row(&t->map, &z->frame, &t->back[q], row, z->charged[q]);
    if (counts) charge_row(z, t, row, slopes, sum);
    for (int q = 0; q < t->map.components && pull; q++) linear_pull(&t->map, &z->frame, &t->back[q], row, slopes[q], !counts);
}

/* ---- One term alone ----------------------------------------------------------------------------------------------------- */
/* Functions of a mean are those of squares. */
static pxl_penalty penalty_of(const pxli_term *term) { return pxli_is_function(term) ? PXL_L2 : term->penalty; }
bool residual_is_single(const pxli_call *call, const pxli_pass *pass) {
    const plane x = plane_of(call->args->pred, 0, 0), y = plane_of(call->args->target, 0, 0);
    const bool tv = call->terms[pass->residual[0]].kind == PXL_TV; /* which does not read the target */
    return pxli_is_one_loop(call, pass) && is_direct(&x) && (tv || is_direct(&y));
}
/* Row r at the tile's first column. */
static tv_row tv_row_at(const residual *z, int64_t r, real *gradient) {
    const residual_term *t = &z->terms[0];
    const real *row = direct_row(&z->x, r) + z->tile.x0, *below = r + 1 < z->call->h ? row + z->x.dy : row;
    return (tv_row){row, below, z->charged[0], gradient, t->param, t->scale};
}
static void start_tv(residual *z) {
    const int64_t above = z->tile.y0 - 1;
    if (above >= 0) tv_span(TV_STEP, z->terms[0].term->penalty, z->tile.x1 - z->tile.x0, tv_row_at(z, above, NULL));
}
void residual_single(residual *z, int64_t r, real *gradient) {
    const residual_term *t = &z->terms[0];
    const int64_t x0 = z->tile.x0, n = z->tile.x1 - x0;
    real *const to = t->scale != 0 ? gradient : NULL; /* a term of weight 0 has no gradient, even where its slope is NaN */
    if (t->map.identity)
        z->sums[0] +=
            charge_pair(penalty_of(t->term), n, direct_row(&z->x, r) + x0, direct_row(&z->y, r) + x0, t->param, t->scale, to);
    else
        z->sums[0] += tv_columns(t->term->penalty, x0, x0 + n, z->call->w, tv_row_at(z, r, to));
    if (gradient && !to) memset(gradient, 0, (size_t)n * sizeof(real));
}

/* ---- A tile -------------------------------------------------------------------------------------------------------- */
static int lead_of(const residual *z, const residual_term *t) { return z->gradients ? t->map.R.y : 0; }

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
    const pxli_radii radii = t->map.R;
    const int lead = lead_of(z, t), R = radii.y;
    const double scale = z->gradients ? call->scale[entry] : 0,
                 lift = PXLI_DOUBLE ? 1 : pxli_lift_of(pxli_is_function(term), scale);
    t->scale = to_real(scale / lift), t->param = pxli_is_function(term) ? (real)lift : (real)term->param;
    if (z->single && term->kind == PXL_TV && t->scale != 0) start_tv(z);
    for (int q = 0; q < MAX_COMPONENTS; q++) t->own[q] = term->own_counts ? (real)call->own[2 * entry + q] : 1;
    /* past the last pixel tv reads that pixel again: a difference of 0 */
    linear_size(&t->map, term->kind == PXL_TV ? PXL_REPLICATE : term->window.border, 2 * radii.y + 1, 2 * radii.x + 1, call->h,
                call->w);
    if (t->map.identity || z->single) return;
    linear_set(&t->map, &z->frame, z->pass->blur_taps_y[k], z->pass->blur_taps_x[k]);
    ring_clear(&t->across, &t->map, &z->frame);
    for (int q = 0; q < t->map.components; q++) ring_clear(&t->back[q], &t->map, &z->frame);
    for (int64_t row = z->tile.y0 - lead - R; row < z->tile.y0 + lead + R; row++) {
        push_across(z, t, row);
        if (row - R >= z->tile.y0 - lead && row - R < z->tile.y0 + lead) push_back(z, t, row - R, &z->sums[k]);
    }
}

void residual_start(residual *z, const pxli_tile *tile, double *sums) {
    z->tile = *tile, z->sums = sums;
    z->frame.x0 = tile->x0, z->frame.x1 = tile->x1;
    z->x = plane_of(z->call->args->pred, tile->image, tile->channel);
    z->y = target_plane(z->call, tile->image, tile->channel);
    if (z->weights.count) z->weight = plane_of(z->call->args->weight, tile->image, 0);
    clear_cache(z, &z->difference), clear_cache(z, &z->pred), clear_cache(z, &z->weights);
    for (int q = 0; q < MAX_COMPONENTS; q++) clear_rows(z, z->charged[q], 1), clear_rows(z, z->map[q], 1);
    for (int k = 0; k < z->pass->residual_count; k++) start_term(z, k);
}

void residual_columns(residual *z, int64_t x0, int64_t x1) {
    z->tile.x0 = z->frame.x0 = x0, z->tile.x1 = z->frame.x1 = x1;
    if (z->difference.count) z->difference.row[0] = -1; /* R = 0: one row */
    for (int i = 0; i < z->weights.count; i++) z->weights.row[i] = -1;
}

/* Adds the term's gradient of row r to `gradient`; the first term sets it instead. */
static void pixel_row(residual *z, residual_term *t, int64_t r, real *gradient, bool first, double *sum) {
    const int64_t n = z->tile.x1 - z->tile.x0, x0 = z->tile.x0;
    const real *w = weight_row(z, r), *d = column_at(&z->frame, difference_row(z, r), x0);
    real *slope = first && gradient ? gradient : column_at(&z->frame, z->charged[0], x0);
    *sum += charge(penalty_of(t->term), n, d, w ? column_at(&z->frame, w, x0) : NULL, t->param, t->scale, slope);
    if (slope == gradient && t->scale == 0) memset(gradient, 0, (size_t)n * sizeof(real));
    if (!gradient || slope == gradient || t->scale == 0) return;
    for (int64_t i = 0; i < n; i++) gradient[i] += slope[i];
}
static void map_row(residual *z, residual_term *t, int64_t r, real *gradient, bool first, double *sum) {
    const int lead = lead_of(z, t);
    push_across(z, t, r + lead + t->map.R.y);
    push_back(z, t, r + lead, sum);
    if (gradient && t->scale != 0) linear_gradient(&t->map, &z->frame, t->back, r, gradient, first ? z->first : STORE_ADD);
    if (gradient && t->scale == 0 && first) memset(gradient, 0, (size_t)(z->tile.x1 - z->tile.x0) * sizeof(real));
}

void residual_row(residual *z, int64_t r, real *pred, real *target) {
    const int64_t n = z->tile.x1 - z->tile.x0;
    real *const gradient = pred ? pred : target; /* of the terms of e: that of target is its negative */
    bool first = true;
    for (int k = 0; k < z->pass->residual_count; k++) {
        residual_term *t = &z->terms[k];
        if (t->term->kind == PXL_TV) continue;
        if (t->map.identity)
            pixel_row(z, t, r, gradient, first, &z->sums[k]);
        else
            map_row(z, t, r, gradient, first, &z->sums[k]);
        first = false;
    }
    for (int64_t i = 0; i < n && target; i++) target[i] = first ? 0 : -gradient[i];
    for (int k = 0; k < z->pass->residual_count; k++) {
        if (z->terms[k].term->kind != PXL_TV) continue;
        map_row(z, &z->terms[k], r, pred, first, &z->sums[k]);
        first = false;
    }
}

/* ---- Charges of single pixels -------------------------------------------------------------------------------------------- */
NOINLINE void charge_each(pxl_penalty penalty, int64_t n, const real *d, const real *w, real param, real *value) {
    switch (penalty) {
#define CASE(PENALTY, FUNCTION)                                                        \
    case PENALTY:                                                                      \
        for (int64_t i = 0; i < n; i++) value[i] = w[i] * FUNCTION(d[i], param).value; \
        break;
        PXLI_PENALTIES(CASE)
#undef CASE
        case PXL_PENALTY_DEFAULT: break;
    }
}
void PXLI_NAME(pixel_map)(const pxli_call *call, int64_t index);
void PXLI_NAME(pixel_map)(const pxli_call *call, int64_t index) {
    const pxl_args *args = call->args;
    const int64_t n = index / call->c, c = index % call->c;
    const plane x = plane_of(args->pred, n, c), y = target_plane(call, n, c), map = plane_of(args->pixel_map, n, c);
    const plane weight = args->weight ? plane_of(args->weight, n, 0) : x;
    real p[SPAN], q[SPAN], w[SPAN];
    for (int i = 0; i < SPAN; i++) w[i] = 1;
    for (int64_t row = 0; row < call->h; row++)
        for (int64_t at = 0; at < call->w; at += SPAN) {
            const int64_t count = smaller(SPAN, call->w - at);
            load_row(&x, row, at, count, p), load_row(&y, row, at, count, q);
            if (args->weight) load_row(&weight, row, at, count, w);
            for (int64_t i = 0; i < count; i++) p[i] = w[i] != 0 ? p[i] - q[i] : 0;
            charge_each(call->charged->penalty, count, p, w, (real)call->charged->param, q);
            store_row(&map, row, at, count, q, false);
        }
}
