/* The walk through a network and back: see walk.h. */
#include "walk.h"

#include <string.h>

enum { PRED, TARGET };

/* ---- Terms to walks ------------------------------------------------------------------------------------------------ */
static bool go_together(const pxli_term *a, const pxli_term *b) {
    return a->features.network == b->features.network && a->features.normalize == b->features.normalize &&
           a->features.precision == b->features.precision && a->window.data_range == b->window.data_range;
}
static pxli_walk *walk_for(pxli_call *call, int k) {
    for (int i = 0; i < call->walks; i++)
        if (go_together(&call->terms[call->walk[i].term[0]], &call->terms[k])) return &call->walk[i];
    pxli_walk *walk = &call->walk[call->walks++];
    memset(walk, 0, sizeof *walk);
    return walk;
}
pxl_status pxli_walks_prepare(pxli_call *call, const pxli_engine *engine, const pxl_context *context) {
    call->walks = 0;
    for (int k = 0; k < call->count; k++) {
        if (!pxli_is_features(call->terms[k].kind)) continue;
        pxli_walk *walk = walk_for(call, k);
        walk->term[walk->terms++] = k;
    }
    for (int i = 0; i < call->walks; i++) {
        pxli_walk *walk = &call->walk[i];
        pxli_shape shape = {.engine = engine, .device = call->args->pred->device, .h = call->h, .w = call->w};
        shape.gradients = call->args->grad_pred || call->args->grad_target;
        engine->choose(context, call, &call->terms[walk->term[0]], &shape);
        for (int t = 0; t < walk->terms; t++) {
            const pxli_features *f = &call->terms[walk->term[t]].features;
            for (int l = 0; l < f->count; l++) shape.compared[f->layer[l] / 64] |= (uint64_t)1 << f->layer[l] % 64;
        }
        const pxl_status status = pxli_prepare(call->terms[walk->term[0]].features.network, &shape, &walk->prepared);
        if (status) return status;
    }
    return PXL_OK;
}
void pxli_walks_release(pxli_call *call) {
    for (int i = 0; i < call->walks; i++) pxli_release(call->walk[i].prepared);
}

/* ---- Memory -------------------------------------------------------------------------------------------------------- */
/* Where a walk keeps things: places for what has to stay, and two that take turns for what does not. */
typedef struct memory {
    void *kept[2][PXLI_MAX_LAYERS]; /* by stage; NULL: passes by */
    void *turn[2];
    void *scratch;
} memory;

static size_t bytes_out(const pxli_prepared *p, const pxli_stage *s) {
    return (size_t)(p->shape.batch * s->h * s->w * s->outputs) * pxli_element_bytes(p->shape.precision);
}
static bool wants(const pxli_call *call, int side) { return side == PRED ? call->grad_pred : call->grad_target; }
static size_t largest(size_t a, size_t b) { return a > b ? a : b; }
/* What is kept of one batch of targets. */
static size_t target_bytes(const pxli_prepared *p) {
    size_t bytes = 0;
    for (int s = 0; s < p->stages; s++)
        if (p->stage[s].compared) bytes += pxli_rounded(bytes_out(p, &p->stage[s]));
    return bytes;
}
/* Has the stages that are compared keep the targets that begin with image n. */
static void place_target(const pxli_walk *walk, int64_t n, memory *m) {
    const pxli_prepared *p = walk->prepared;
    char *at = walk->target + (size_t)(n / p->shape.batch) * target_bytes(p);
    for (int s = 0; s < p->stages; s++) {
        if (!p->stage[s].compared) continue;
        m->kept[TARGET][s] = at;
        at += pxli_rounded(bytes_out(p, &p->stage[s]));
    }
}
/* Whether a stage's output stays until the end of an image: to be compared, or for what comes back to be masked and unpooled. */
static bool stays(const pxli_call *call, const pxli_prepared *p, int side, int s) {
    const pxli_stage *stage = &p->stage[s];
    if (stage->compared) return side == PRED || !call->args->target_use; /* else place_target() has a place */
    return wants(call, side) && (stage->relu || (s + 1 < p->stages && p->stage[s + 1].kind == PXL_MAX_POOL));
}
static void place_output(const pxli_call *call, const pxli_prepared *p, int s, pxli_arena *arena, memory *m) {
    const size_t bytes = bytes_out(p, &p->stage[s]);
    const bool stay[2] = {stays(call, p, PRED, s), stays(call, p, TARGET, s)};
    m->kept[PRED][s] = m->kept[TARGET][s] = NULL;
    if (p->shape.joint && (stay[PRED] || stay[TARGET])) {
        char *both = pxli_take(arena, 2 * bytes);
        m->kept[PRED][s] = both, m->kept[TARGET][s] = both ? both + bytes : NULL;
        return;
    }
    for (int side = PRED; side <= TARGET; side++)
        if (stay[side]) m->kept[side][s] = pxli_take(arena, bytes);
}
static void lay_out(const pxli_call *call, const pxli_walk *walk, pxli_arena *arena, memory *m) {
    const pxli_prepared *p = walk->prepared;
    const size_t pixels = (size_t)(p->shape.batch * p->shape.h * p->shape.w);
    size_t turn = pixels * (size_t)p->network->inputs * pxli_element_bytes(p->shape.precision), scratch = p->scratch;
    for (int s = 0; s < p->stages; s++) {
        const pxli_stage *stage = &p->stage[s];
        turn = largest(turn, bytes_out(p, stage));
        place_output(call, p, s, arena, m);
        for (int t = 0; t < walk->terms && stage->compared; t++)
            scratch = largest(scratch, p->shape.engine->partials(p, call, walk->term[t], stage));
    }
    if (p->shape.joint) turn *= 2;
    if (call->args->feature_map) turn = largest(turn, pixels * sizeof(float)); /* the charges */
    m->turn[0] = pxli_take(arena, turn), m->turn[1] = pxli_take(arena, turn);
    m->scratch = pxli_take(arena, scratch);
}
void pxli_walks_layout(pxli_call *call, pxli_arena *arena) {
    for (int i = 0; i < call->walks; i++) {
        const pxli_prepared *p = call->walk[i].prepared;
        const size_t batches = (size_t)((call->n + p->shape.batch - 1) / p->shape.batch);
        call->walk[i].target = call->args->target_use ? pxli_take(arena, batches * target_bytes(p)) : NULL;
    }
    const pxli_arena before = *arena;
    size_t used = arena->used;
    memory m;
    for (int i = 0; i < call->walks; i++) {
        pxli_arena own = before;
        lay_out(call, &call->walk[i], &own, &m);
        used = largest(used, own.used);
    }
    call->walk_arena = before;
    arena->used = used;
}

/* ---- Forward ------------------------------------------------------------------------------------------------------- */
static pxl_status through(const pxli_run_images *run, const memory *m, int side, bool both) {
    const pxli_prepared *p = run->prepared;
    const void *in = m->turn[0];
    pxl_status status = PXL_OK;
    for (int s = 0; !status && s < p->stages; s++) {
        void *out = m->kept[side][s] ? m->kept[side][s] : in == m->turn[0] ? m->turn[1] : m->turn[0];
        status = p->shape.engine->forward(run, &p->stage[s], both, in, out);
        in = out;
    }
    return status;
}
static pxl_status forward(const pxli_run_images *run, const pxli_walk *walk, const memory *m) {
    const pxli_prepared *p = run->prepared;
    const pxli_engine *engine = p->shape.engine;
    const pxl_args *args = run->call->args;
    const size_t image = (size_t)(p->shape.h * p->shape.w * p->network->inputs) * pxli_element_bytes(p->shape.precision);
    pxl_status status = PXL_OK;
    if (p->shape.joint) {
        status = engine->load(run, args->pred, walk->term[0], m->turn[0]);
        if (!status) status = engine->load(run, args->target, walk->term[0], (char *)m->turn[0] + (size_t)p->shape.batch * image);
        return status ? status : through(run, m, PRED, true);
    }
    if (args->target_use != PXL_TARGET_KEPT) {
        status = engine->load(run, args->target, walk->term[0], m->turn[0]);
        if (!status) status = through(run, m, TARGET, false);
    }
    if (!status) status = engine->load(run, args->pred, walk->term[0], m->turn[0]);
    return status ? status : through(run, m, PRED, false);
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------- */
/* What the charges of a layer are multiplied by. */
static double norm_of(const pxli_term *term, const pxli_stage *s) {
    const double pixels = (double)s->h * (double)s->w;
    if (term->kind == PXL_STYLE || (term->kind == PXL_FEATURES && term->reduction == PXL_SUM)) return 1;
    return term->kind == PXL_FEATURES && term->reduction == PXL_MEAN ? 1 / (pixels * s->outputs) : 1 / pixels;
}
/* All terms in one stage: their values, and their gradients on top of what came from below (`add`). */
static pxl_status compare(const pxli_run_images *run, const pxli_walk *walk, const memory *m, int s, int side, bool value,
                          bool add, void *gradient) {
    const pxli_stage *stage = &run->prepared->stage[s];
    for (int t = 0; t < walk->terms; t++) {
        const pxli_term *term = &run->call->terms[walk->term[t]];
        for (int l = 0; l < term->features.count; l++) {
            if (term->features.layer[l] != stage->layer) continue;
            const pxli_comparison c = {.stage = stage,
                                       .term = walk->term[t],
                                       .factor = term->features.weight[l] * norm_of(term, stage),
                                       .value = value,
                                       .add = add,
                                       .mask = stage->relu,
                                       .own = m->kept[side][s],
                                       .other = m->kept[1 - side][s],
                                       .gradient = gradient};
            const pxl_status status = run->prepared->shape.engine->compare(run, &c);
            if (status) return status;
            add = true;
        }
    }
    return PXL_OK;
}
static pxl_status values(const pxli_run_images *run, const pxli_walk *walk, const memory *m) {
    pxl_status status = PXL_OK;
    for (int s = 0; !status && s < run->prepared->stages; s++)
        if (run->prepared->stage[s].compared) status = compare(run, walk, m, s, PRED, true, false, NULL);
    return status;
}

/* ---- The map of where a term comes from ---------------------------------------------------------------------------- */
static int mapped_term(const pxli_call *call) {
    int k = 0;
    while (k < call->count && !pxli_has_feature_map(&call->terms[k])) k++;
    return k;
}
static pxl_status draw_map(const pxli_run_images *run, const pxli_walk *walk, const memory *m) {
    const int k = mapped_term(run->call);
    const pxli_features *f = &run->call->terms[k].features;
    pxl_status status = PXL_OK;
    bool mine = false, add = false;
    for (int t = 0; t < walk->terms; t++) mine = mine || walk->term[t] == k;
    for (int l = 0; mine && !status && l < f->count; l++) {
        int s = 0;
        while (run->prepared->stage[s].layer != f->layer[l]) s++;
        const pxli_stage *stage = &run->prepared->stage[s];
        const double places = run->call->terms[k].reduction == PXL_SUM && run->call->terms[k].kind == PXL_FEATURES
                                  ? 1
                                  : (double)(stage->h * stage->w);
        const pxli_comparison c = {.stage = stage,
                                   .term = k,
                                   .factor = f->weight[l] * norm_of(&run->call->terms[k], stage) * places,
                                   .add = add,
                                   .own = m->kept[PRED][s],
                                   .other = m->kept[TARGET][s]};
        status = run->prepared->shape.engine->map(run, &c, m->turn[0], run->call->args->feature_map);
        add = true;
    }
    return status;
}

/* ---- Backward ------------------------------------------------------------------------------------------------------ */
static pxl_status backward(const pxli_run_images *run, const pxli_walk *walk, const memory *m, int side, bool value) {
    const pxli_prepared *p = run->prepared;
    const pxli_engine *engine = p->shape.engine;
    void *gradient = m->turn[0], *next = m->turn[1];
    pxl_status status = PXL_OK;
    for (int s = p->stages - 1; !status && s >= 0; s--) {
        if (p->stage[s].compared) status = compare(run, walk, m, s, side, value, s + 1 < p->stages, gradient);
        /* A comparison undoes its stage's ReLU; where there is none, what arrives at a ReLU's output has to. */
        if (p->stage[s].kind == PXL_RELU) continue;
        const void *in = s > 0 ? m->kept[side][s - 1] : NULL;
        if (!status) status = engine->backward(run, &p->stage[s], in, pxli_masks(p, s), gradient, next);
        void *t = gradient;
        gradient = next, next = t;
    }
    const pxl_tensor *to = side == PRED ? run->call->grad_pred : run->call->grad_target;
    return status ? status : engine->store(run, to, walk->term[0], gradient);
}

static pxl_status run_walk(pxli_call *call, const pxli_walk *walk, const void *where) {
    memory m;
    pxli_arena arena = call->walk_arena;
    lay_out(call, walk, &arena, &m);
    pxl_status status = PXL_OK;
    for (int64_t n = 0; !status && n < call->n; n += walk->prepared->shape.batch) {
        const int64_t left = call->n - n, batch = walk->prepared->shape.batch;
        const pxli_run_images run = {walk->prepared, call, where, n, left < batch ? left : batch, m.scratch};
        if (walk->target) place_target(walk, n, &m);
        status = forward(&run, walk, &m);
        if (!status && call->args->feature_map) status = draw_map(&run, walk, &m);
        const bool back = (call->grad_pred || call->grad_target) && walk->prepared->shape.engine->pulls(&run, walk);
        if (!status && !(back && call->grad_pred)) status = values(&run, walk, &m);
        if (!status && back && call->grad_pred) status = backward(&run, walk, &m, PRED, true);
        if (!status && back && call->grad_target) status = backward(&run, walk, &m, TARGET, false);
    }
    return status;
}
pxl_status pxli_walks_run(pxli_call *call, const void *where) {
    pxl_status status = PXL_OK;
    for (int i = 0; !status && i < call->walks; i++) status = run_walk(call, &call->walk[i], where);
    return status;
}
