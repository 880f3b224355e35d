/* The score of the structure pass: from the filtered maps of VL columns to values, and to the derivatives that the backward
 * filters take. See math/ssim.h for the formulas and strip.c for the order of things. */
#include "strip.h"

#include "../math/ssim.h"

#define PXLI_SCORE_TYPE       vf
#define PXLI_SCORE_NAME(name) pxli_vector_##name
#include "../math/ssim_ratios.h"

typedef struct columns { /* those of the block that lie in the tile and count: [low, high) */
    int low, high;
} columns;
static columns counted(const strip *s, int64_t first) {
    const int64_t from = s->tile.x0 > s->pass->map_x0 ? s->tile.x0 : s->pass->map_x0;
    const int64_t to = s->tile.x1 < s->pass->map_x1 ? s->tile.x1 : s->pass->map_x1;
    const int64_t low = from - first > 0 ? from - first : 0, high = to - first < VL ? to - first : VL;
    return (columns){(int)(low < VL ? low : VL), (int)(high > 0 ? high : 0)};
}

/* Rows m0 .. and columns first .. of the map: VL x VL positions in vectors that are columns. */
typedef struct corner {
    int64_t m0, first;
    columns columns;
} corner;
/* Of output q, until the batch's rows are whole: stores of single blocks to as many rows would each wait for its page and line. */
INLINE void keep_columns(const strip *s, corner at, int q, const vf *value) {
    vf rows[VL];
    if (at.columns.low >= at.columns.high) return;
    transpose(value, rows);
    real *const to = s->outputs[q] + s->output_pad + at.first - s->tile.x0;
    for (int l = 0; l < VL; l++) *(vu *)(to + l * s->output_pitch) = rows[l];
}
void store_outputs(const strip *s, int64_t m0) {
    const pxli_pass *p = s->pass;
    const pxl_tensor *tensor = p->outputs ? s->call->args->map : s->call->args->statistics;
    const int64_t first = larger(s->tile.y0, p->map_y0), end = smaller(s->tile.y1, p->map_y1);
    const int64_t x0 = larger(s->tile.x0, p->map_x0), x1 = smaller(s->tile.x1, p->map_x1);
    for (int q = 0; q < s->output_count && x0 < x1; q++) {
        const plane to = plane_of(tensor, s->tile.image, q * s->call->c + s->tile.channel);
        for (int64_t y = larger(m0, first); y < smaller(m0 + VL, end); y++) {
            const real *row = s->outputs[q] + (y - m0) * s->output_pitch + s->output_pad + x0 - s->tile.x0;
            if (is_direct(&to))
                stream_row(direct_row(&to, y - p->map_y0) + x0 - p->map_x0, row, x1 - x0);
            else
                store_row(&to, y - p->map_y0, x0 - p->map_x0, x1 - x0, row, false);
        }
    }
}
static void load_columns(const strip *s, corner at, const pxl_tensor *tensor, int64_t channel, vf *value) {
    const plane p = plane_of(tensor, s->tile.image, channel);
    const int64_t from = at.first > s->pass->map_x0 ? at.first : s->pass->map_x0;
    const int64_t to = at.first + VL < s->pass->map_x1 ? at.first + VL : s->pass->map_x1;
    vf rows[VL];
    memset(rows, 0, sizeof rows);
    for (int l = 0; l < VL && from < to; l++)
        if (at.m0 + l >= s->pass->map_y0 && at.m0 + l < s->pass->map_y1)
            load_row(&p, at.m0 + l - s->pass->map_y0, from - s->pass->map_x0, to - from, (real *)&rows[l] + (from - at.first));
    transpose(rows, value);
}

/* Weights of the block's positions, 0 outside of the image. */
static void load_weights(strip *s, corner at) {
    vf rows[VL];
    const int64_t from = at.first > 0 ? at.first : 0, to = at.first + VL < s->pass->w ? at.first + VL : s->pass->w;
    memset(rows, 0, sizeof rows);
    for (int l = 0; l < VL && from < to; l++)
        if (at.m0 + l >= 0 && at.m0 + l < s->pass->h)
            memcpy((real *)&rows[l] + (from - at.first), reader_weights(&s->reader, at.m0 + l) + from,
                   (size_t)(to - from) * sizeof(real));
    transpose(rows, s->work.weight);
}
static void apply_weights(const strip *s, vf *const m[MAPS]) {
    const strip_work *w = &s->work;
    for (int k = 0; k < s->backs; k++)
        for (int i = 0; i < VL; i++) m[s->taken[k]][i] *= w->weight[i];
}

/* Of a line: positions low .. high - 1, one after the other. */
static void add_line(const strip *s, int term, columns c) {
    const real *value = (const real *)s->work.value, *weight = (const real *)s->work.weight;
    double sum = 0;
    for (int i = c.low; i < c.high; i++) sum += (double)(s->reader.masked ? value[i] * weight[i] : value[i]);
    s->work.total[term][0] += sum;
}
static void add_total(const strip *s, int term, columns c) {
    const strip_work *w = &s->work;
    vf sum = {0};
    if (s->is_line) {
        add_line(s, term, c);
        return;
    }
    if (s->reader.masked)
        for (int i = c.low; i < c.high; i++) sum += w->value[i] * w->weight[i];
    else
        for (int i = c.low; i < c.high; i++) sum += w->value[i];
    real lanes[VL];
    double *restrict total = s->work.total[term];
    memcpy(lanes, &sum, sizeof lanes);
    for (int l = 0; l < VL; l++) total[l] += (double)lanes[l];
}

INLINE pxli_vector_moments moments_at(const strip *s, int i) {
    vf *const *f = s->work.f;
    const vf mu = f[MAP_U][i], mv = f[MAP_V][i];
    pxli_vector_moments t = {mu + s->two_c,
                             mv + s->gap,
                             (f[MAP_UU][i] - mu * mu) * s->variance_factor,
                             (f[MAP_VV][i] - mv * mv) * s->variance_factor,
                             {0}};
    if (s->forward == MAPS) t.cuv = (f[MAP_UV][i] - mu * mv) * s->variance_factor;
    return t;
}
/* Derivatives to the statistics -> to the filtered maps, whose variances are of shifted values. */
INLINE void pull_back(const strip *s, int i, pxli_vector_score r, vf *const m[MAPS]) {
    vf *const *f = s->work.f;
    const vf mu = f[MAP_U][i], mv = f[MAP_V][i];
    const vf uu = r.su * s->variance_factor, vv = r.sv * s->variance_factor;
    vf u = r.M, v = r.m;
    if (s->forward > MEANS) {
        u -= 2 * mu * uu, v -= 2 * mv * vv;
        m[TO_UU][i] = uu, m[TO_VV][i] = vv;
    }
    if (s->forward == MAPS) {
        const vf uv = r.cuv * s->variance_factor;
        u -= mv * uv, v -= mu * uv;
        m[TO_UV][i] = uv;
    }
    if (s->to_pred) m[TO_PRED][i] = u + v;
    if (s->to_target) m[TO_TARGET][i] = u - v;
}

static void score_ssim(strip *s, vf *const m[MAPS]) {
    for (int i = 0; i < VL; i++) {
        const pxli_vector_score r = pxli_vector_ssim(moments_at(s, i), s->C1, s->C2);
        s->work.value[i] = r.value;
        pull_back(s, i, r, m);
    }
}
static void value_ssim(strip *s) {
    for (int i = 0; i < VL; i++) s->work.value[i] = pxli_vector_ssim(moments_at(s, i), s->C1, s->C2).value;
}

/* A scale of ms_ssim that is not the coarsest. */
static void score_contrast_structure(strip *s, vf *const m[MAPS]) {
    for (int i = 0; i < VL; i++) {
        const pxli_vector_score r = pxli_vector_contrast_structure(moments_at(s, i), s->C2);
        s->work.value[i] = r.value;
        if (s->backs) pull_back(s, i, r, m);
    }
}

/* ---- Any terms: by the scalar definitions, in loops over a block's positions that the compiler makes vectors of ---------------- */
enum { SCORE_RATIOS, SCORE_LUMINANCE, SCORE_CONTRAST, SCORE_STRUCTURE, SCORE_EXPONENTS };
static int score_of(const pxli_term *term) {
    switch (term->kind) {
        case PXL_LUMINANCE: return SCORE_LUMINANCE;
        case PXL_CONTRAST: return SCORE_CONTRAST;
        case PXL_STRUCTURE: return SCORE_STRUCTURE;
        default: return term->alpha == 1 && term->beta == 1 && term->gamma == 1 ? SCORE_RATIOS : SCORE_EXPONENTS;
    }
}
typedef struct derivatives { /* of the weighted sum of the terms, to the statistics */
    real M[POSITIONS], m[POSITIONS], su[POSITIONS], sv[POSITIONS], cuv[POSITIONS];
} derivatives;
typedef struct scoring {
    const real *u, *v, *uu, *vv, *uv; /* the filtered maps */
    real two_c, gap, factor, C1, C2, alpha, beta, gamma, weight;
} scoring;

/* `score` is known when compiling: maps that it does not need are not read. */
INLINE pxli_score score_position(int score, const scoring *t, int i) {
    const real mu = t->u[i], mv = t->v[i];
    pxli_moments at = {mu + t->two_c, mv + t->gap, 0, 0, 0};
    if (score == SCORE_LUMINANCE) return pxli_luminance(at, t->C1);
    at.su = (t->uu[i] - mu * mu) * t->factor, at.sv = (t->vv[i] - mv * mv) * t->factor;
    if (score == SCORE_RATIOS) return pxli_ssim(at, t->C1, t->C2);
    at.cuv = (t->uv[i] - mu * mv) * t->factor;
    const real noise = pxli_variance_noise(t->uu[i], t->vv[i]);
    if (score == SCORE_CONTRAST) return pxli_contrast(at, noise, t->C2);
    if (score == SCORE_STRUCTURE) return pxli_structure(at, noise, t->C2);
    return pxli_ssim_exponents(at, noise, t->C1, t->C2, t->alpha, t->beta, t->gamma);
}
INLINE void score_positions(int score, const scoring *t, real *restrict value, derivatives *restrict to) {
#pragma omp simd
    for (int i = 0; i < POSITIONS; i++) {
        const pxli_score r = score_position(score, t, i);
        value[i] = r.value;
        if (!to) continue;
        to->M[i] += t->weight * r.M, to->m[i] += t->weight * r.m;
        if (score == SCORE_LUMINANCE) continue;
        to->su[i] += t->weight * r.su, to->sv[i] += t->weight * r.sv;
        if (score != SCORE_RATIOS) to->cuv[i] += t->weight * r.cuv;
    }
}
NOINLINE void score_all(int score, bool pulls, const scoring *t, real *value, derivatives *to) {
    switch (score) {
#define CASE(SCORE)                                 \
    case SCORE:                                     \
        if (pulls)                                  \
            score_positions(SCORE, t, value, to);   \
        else                                        \
            score_positions(SCORE, t, value, NULL); \
        break;
        CASE(SCORE_RATIOS)
        CASE(SCORE_LUMINANCE)
        CASE(SCORE_CONTRAST)
        CASE(SCORE_STRUCTURE)
        CASE(SCORE_EXPONENTS)
#undef CASE
    }
}
static void score_term(strip *s, int k, derivatives *sum) {
    const pxli_term *term = &s->call->terms[s->pass->scored[k]];
    vf *const *f = s->work.f;
    const real half = term->kind == PXL_DSSIM ? (real)0.5 : 1, weight = s->coefficient[k] * half;
    const scoring t = {(const real *)f[MAP_U],
                       (const real *)f[MAP_V],
                       (const real *)f[MAP_UU],
                       (const real *)f[MAP_VV],
                       (const real *)f[MAP_UV],
                       s->two_c,
                       s->gap,
                       s->variance_factor,
                       s->C1,
                       s->C2,
                       (real)term->alpha,
                       (real)term->beta,
                       (real)term->gamma,
                       weight};
    score_all(score_of(term), s->backs && weight != 0, &t, (real *)s->work.value, sum);
    for (int i = 0; i < VL && term->kind == PXL_DSSIM; i++) s->work.value[i] *= half;
}
static void keep_map(strip *s, corner at, const pxli_term *term) {
    const real factor = term->kind == PXL_DSSIM ? 2 : 1;
    vf map[VL];
    for (int i = 0; i < VL; i++) map[i] = 1 - factor * s->work.value[i];
    keep_columns(s, at, 0, map);
}
static void score_terms(strip *s, corner at, vf *const m[MAPS]) {
    derivatives sum __attribute__((aligned(PXLI_VECTOR_BYTES)));
    if (s->backs) memset(&sum, 0, sizeof sum);
    for (int k = 0; k < s->pass->scored_count; k++) {
        score_term(s, k, &sum);
        add_total(s, k, at.columns);
        if (k == 0 && s->pass->outputs) keep_map(s, at, &s->call->terms[s->pass->scored[k]]);
    }
    for (int i = 0; i < VL && s->backs; i++)
        pull_back(s, i,
                  (pxli_vector_score){{0},
                                      load(sum.M + i * VL),
                                      load(sum.m + i * VL),
                                      load(sum.su + i * VL),
                                      load(sum.sv + i * VL),
                                      load(sum.cuv + i * VL)},
                  m);
}

/* ---- The statistics themselves: mx = (M+m)/2, vx = (su+sv)/4 + cuv/2, vxy = (su-sv)/4 ---- */
INLINE vf statistic(const strip *s, int q, int i) {
    const pxli_vector_moments t = moments_at(s, i);
    switch (q) {
        case 0: return (t.M + t.m) / 2;
        case 1: return (t.M - t.m) / 2;
        case 2: return (t.su + t.sv) / 4 + t.cuv / 2;
        case 3: return (t.su + t.sv) / 4 - t.cuv / 2;
        default: return (t.su - t.sv) / 4;
    }
}
/* One after the other: the columns of one stay in registers. */
static void keep_statistics(strip *s, corner at) {
    _Pragma("GCC unroll 5") for (int q = 0; q < MAPS; q++) {
        vf out[VL];
        UNROLL for (int i = 0; i < VL; i++) out[i] = statistic(s, q, i);
        keep_columns(s, at, q, out);
    }
}
static void statistics_adjoint(strip *s, corner at, vf *const m[MAPS]) {
    vf *const *g = s->work.upstream;
    for (int q = 0; q < MAPS; q++) load_columns(s, at, s->call->grad_statistics, q * s->call->c + s->tile.channel, g[q]);
    for (int i = 0; i < VL; i++) {
        const vf both = g[2][i] + g[3][i];
        pull_back(s, i,
                  (pxli_vector_score){{0},
                                      (g[0][i] + g[1][i]) / 2,
                                      (g[0][i] - g[1][i]) / 2,
                                      (both + g[4][i]) / 4,
                                      (both - g[4][i]) / 4,
                                      (g[2][i] - g[3][i]) / 2},
                  m);
    }
}

static void settle(const strip *s) {
    vf *const *f = s->work.f;
    real *restrict u = (real *)f[MAP_U], *restrict v = (real *)f[MAP_V];
    real *restrict uu = (real *)f[MAP_UU], *restrict vv = (real *)f[MAP_VV];
    const bool squares = s->forward > MEANS;
    for (int i = 0; i < POSITIONS; i++) {
        const pxli_maps read = {u[i], v[i], squares ? uu[i] : 0, squares ? vv[i] : 0};
        const pxli_maps to = pxli_settle(read, s->two_c, s->gap, s->C1, s->C2);
        u[i] = to.u, v[i] = to.v;
        if (squares) uu[i] = to.uu, vv[i] = to.vv;
    }
}

static int64_t clamped(int64_t position) { return larger(0, smaller(position, POSITIONS)); }
static void score_at(strip *s, corner at, vf *const m[MAPS]) {
    if (s->pass->settles) settle(s);
    switch (s->pass->mode) {
        case PXLI_SCORE_SSIM:
            if (s->backs)
                score_ssim(s, m);
            else
                value_ssim(s);
            if (s->call->terms[s->pass->scored[0]].kind == PXL_DSSIM)
                for (int i = 0; i < VL; i++) s->work.value[i] *= (real)0.5;
            add_total(s, 0, at.columns);
            if (s->pass->outputs) keep_map(s, at, &s->call->terms[s->pass->scored[0]]);
            break;
        case PXLI_SCORE_CONTRAST_STRUCTURE:
            score_contrast_structure(s, m);
            add_total(s, 0, at.columns);
            break;
        case PXLI_SCORE_TERMS: score_terms(s, at, m); break;
        case PXLI_SCORE_STATISTICS: keep_statistics(s, at); break;
        case PXLI_SCORE_STATISTICS_ADJOINT: statistics_adjoint(s, at, m); break;
    }
    if (s->backs && s->reader.masked) apply_weights(s, m);
}

void score_block(strip *s, int64_t m0, int64_t column, vf *const m[MAPS]) {
    const int64_t first = column - s->R;
    const corner at = {m0, first, counted(s, first)};
    if (!s->backs && at.columns.low >= at.columns.high) return;
    if (s->reader.masked) load_weights(s, at);
    score_at(s, at, m);
}
void score_line(strip *s, int64_t first, vf *const m[MAPS]) {
    const int64_t from = larger(s->tile.x0, s->pass->map_x0), to = smaller(s->tile.x1, s->pass->map_x1);
    const corner at = {0, first, {(int)clamped(from - first), (int)clamped(to - first)}};
    if (s->reader.masked) {
        const int64_t x0 = larger(first, 0), x1 = smaller(first + POSITIONS, s->pass->w);
        memset(s->work.weight, 0, POSITIONS * sizeof(real));
        if (x0 < x1)
            memcpy((real *)s->work.weight + (x0 - first), reader_weights(&s->reader, 0) + x0, (size_t)(x1 - x0) * sizeof(real));
    }
    score_at(s, at, m);
}
