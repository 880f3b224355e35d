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

/* VL x VL values between a plane of an output tensor and vectors that are columns, rows m0 .. and columns first .. of the map */
typedef struct corner {
    int64_t m0, first;
    columns columns;
} corner;
static void store_columns(const strip *s, corner at, const pxl_tensor *tensor, int64_t channel, const vf *value) {
    const plane p = plane_of(tensor, s->tile.image, channel);
    vf rows[VL];
    transpose(value, rows);
    for (int l = 0; l < VL; l++) {
        const int64_t y = at.m0 + l;
        if (y < s->tile.y0 || y >= s->tile.y1 || y < s->pass->map_y0 || y >= s->pass->map_y1 || at.columns.high <= at.columns.low)
            continue;
        store_row(&p, y - s->pass->map_y0, at.first + at.columns.low - s->pass->map_x0, at.columns.high - at.columns.low,
                  (const real *)&rows[l] + at.columns.low, false);
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

static void add_total(const strip *s, int term, columns c) {
    const strip_work *w = &s->work;
    vf sum = {0};
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
    vf u = r.M - 2 * mu * uu, v = r.m - 2 * mv * vv;
    if (s->forward == MAPS) {
        const vf uv = r.cuv * s->variance_factor;
        u -= mv * uv, v -= mu * uv;
        m[TO_UV][i] = uv;
    }
    if (s->to_pred) m[TO_PRED][i] = u + v;
    if (s->to_target) m[TO_TARGET][i] = u - v;
    m[TO_UU][i] = uu, m[TO_VV][i] = vv;
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

/* ---- Any terms: lane by lane, with the scalar definitions ---- */
static void score_term(strip *s, int k, pxli_vector_score *sum) {
    const pxli_term *term = &s->call->terms[s->pass->scored[k]];
    const real half = term->kind == PXL_DSSIM ? (real)0.5 : 1, weight = s->coefficient[k] * half;
    const real alpha = (real)term->alpha, beta = (real)term->beta, gamma = (real)term->gamma;
    for (int i = 0; i < VL; i++) {
        const pxli_vector_moments t = moments_at(s, i);
        for (int l = 0; l < VL; l++) {
            const pxli_moments at = {t.M[l], t.m[l], t.su[l], t.sv[l], t.cuv[l]};
            const real noise = pxli_variance_noise(s->work.f[MAP_UU][i][l], s->work.f[MAP_VV][i][l]);
            const pxli_score r = pxli_score_of(term->kind, at, noise, s->C1, s->C2, alpha, beta, gamma);
            s->work.value[i][l] = r.value * half;
            if (weight == 0) continue;
            sum[i].M[l] += weight * r.M, sum[i].m[l] += weight * r.m;
            sum[i].su[l] += weight * r.su, sum[i].sv[l] += weight * r.sv, sum[i].cuv[l] += weight * r.cuv;
        }
    }
}
static void store_map(strip *s, corner at, const pxli_term *term) {
    const real factor = term->kind == PXL_DSSIM ? 2 : 1;
    vf map[VL];
    for (int i = 0; i < VL; i++) map[i] = 1 - factor * s->work.value[i];
    store_columns(s, at, s->call->args->map, s->tile.channel, map);
}
static void score_terms(strip *s, corner at, vf *const m[MAPS]) {
    pxli_vector_score sum[VL];
    memset(sum, 0, sizeof sum);
    for (int k = 0; k < s->pass->scored_count; k++) {
        score_term(s, k, sum);
        add_total(s, k, at.columns);
        if (k == 0 && s->pass->outputs) store_map(s, at, &s->call->terms[s->pass->scored[k]]);
    }
    for (int i = 0; i < VL && s->backs; i++) pull_back(s, i, sum[i], m);
}

/* ---- The statistics themselves: mx = (M+m)/2, vx = (su+sv)/4 + cuv/2, vxy = (su-sv)/4 ---- */
static void store_statistics(strip *s, corner at) {
    const int64_t c = s->tile.channel, channels = s->call->c;
    vf out[MAPS][VL];
    for (int i = 0; i < VL; i++) {
        const pxli_vector_moments t = moments_at(s, i);
        out[0][i] = (t.M + t.m) / 2, out[1][i] = (t.M - t.m) / 2;
        out[2][i] = (t.su + t.sv) / 4 + t.cuv / 2, out[3][i] = (t.su + t.sv) / 4 - t.cuv / 2;
        out[4][i] = (t.su - t.sv) / 4;
    }
    for (int q = 0; q < MAPS; q++) store_columns(s, at, s->call->args->statistics, q * channels + c, out[q]);
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

void score_block(strip *s, int64_t m0, int64_t column, vf *const m[MAPS]) {
    const int64_t first = column - s->R;
    const corner at = {m0, first, counted(s, first)};
    if (!s->backs && at.columns.low >= at.columns.high) return;
    if (s->reader.masked) load_weights(s, at);
    switch (s->pass->mode) {
        case PXLI_SCORE_SSIM:
            if (s->backs)
                score_ssim(s, m);
            else
                value_ssim(s);
            if (s->call->terms[s->pass->scored[0]].kind == PXL_DSSIM)
                for (int i = 0; i < VL; i++) s->work.value[i] *= (real)0.5;
            add_total(s, 0, at.columns);
            if (s->pass->outputs) store_map(s, at, &s->call->terms[s->pass->scored[0]]);
            break;
        case PXLI_SCORE_TERMS: score_terms(s, at, m); break;
        case PXLI_SCORE_STATISTICS: store_statistics(s, at); break;
        case PXLI_SCORE_STATISTICS_ADJOINT: statistics_adjoint(s, at, m); break;
    }
    if (s->backs && s->reader.masked) apply_weights(s, m);
}
