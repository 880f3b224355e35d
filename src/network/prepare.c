/* Cutting a network down to what a call needs, and keeping what an engine makes of it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "engine.h"

/* ---- Stages -------------------------------------------------------------------------------------------------------- */
static bool is_compared(const pxli_shape *shape, int layer) { return shape->compared[layer / 64] >> layer % 64 & 1; }
static int last_compared(const pxl_network *network, const pxli_shape *shape) {
    int last = 0;
    for (int i = 0; i < network->count; i++)
        if (is_compared(shape, i)) last = i;
    return last;
}
static int cut(const pxl_network *network, const pxli_shape *shape, pxli_stage *stages) {
    int64_t h = shape->h, w = shape->w;
    int count = 0, channels = network->inputs;
    for (int i = 0, last = last_compared(network, shape); i <= last; i++) {
        const pxli_layer *layer = &network->layers[i];
        const bool fused = layer->kind == PXL_RELU && count && stages[count - 1].kind == PXL_CONVOLUTION &&
                           !stages[count - 1].compared && !stages[count - 1].relu;
        pxli_stage *s = &stages[fused ? count - 1 : count++];
        if (!fused) *s = (pxli_stage){.kind = layer->kind, .inputs = channels, .in_h = h, .in_w = w};
        if (pxli_is_pool(layer->kind)) h /= 2, w /= 2;
        if (layer->kind == PXL_CONVOLUTION) s->convolution = i;
        channels = layer->outputs;
        s->relu = layer->kind == PXL_RELU, s->compared = is_compared(shape, i);
        s->layer = i, s->outputs = channels, s->h = h, s->w = w;
    }
    return count;
}

/* ---- The cache ----------------------------------------------------------------------------------------------------- */
struct pxli_engine_cache {
    pthread_mutex_t lock;
    pxli_prepared *first; /* the last one used first */
};
pxli_engine_cache *pxli_engine_cache_create(void) {
    pxli_engine_cache *cache = calloc(1, sizeof *cache);
    if (cache && pthread_mutex_init(&cache->lock, NULL)) free(cache), cache = NULL;
    return cache;
}
static void destroy(pxli_prepared *p) {
    p->shape.engine->forget(p);
    free(p->stage), free(p);
}
void pxli_engine_cache_destroy(pxli_engine_cache *cache) {
    if (!cache) return;
    while (cache->first) {
        pxli_prepared *p = cache->first;
        cache->first = p->next;
        destroy(p);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
static bool same_shape(const pxli_shape *a, const pxli_shape *b) {
    return a->engine == b->engine && a->device.type == b->device.type && a->device.index == b->device.index &&
           a->batch == b->batch && a->joint == b->joint && a->h == b->h && a->w == b->w && a->precision == b->precision &&
           a->threads == b->threads && a->gradients == b->gradients && a->grams == b->grams &&
           !memcmp(a->compared, b->compared, sizeof a->compared);
}
/* Of one engine. */
static void drop_oldest(pxli_engine_cache *cache, const pxli_engine *engine) {
    int count = 0;
    pxli_prepared **oldest = NULL;
    for (pxli_prepared **at = &cache->first; *at; at = &(*at)->next) {
        if ((*at)->shape.engine != engine) continue;
        if (++count > 1 && !(*at)->users) oldest = at;
    }
    if (count <= engine->most_shapes || !oldest) return;
    pxli_prepared *p = *oldest;
    *oldest = p->next;
    destroy(p);
}
static pxl_status make(const pxl_network *network, const pxli_shape *shape, pxli_prepared **made) {
    pxli_prepared *p = calloc(1, sizeof *p);
    pxli_stage *stages = calloc((size_t)network->count, sizeof *stages);
    if (!p || !stages) {
        free(p), free(stages);
        return pxli_fail(PXL_OUT_OF_MEMORY, "no memory to prepare a network of %d layers", network->count);
    }
    p->network = network, p->shape = *shape, p->stage = stages;
    p->stages = cut(network, shape, stages);
    p->next = network->engines->first; /* for the engine to look at */
    const pxl_status status = shape->engine->prepare(p);
    if (status) destroy(p);
    if (!status) *made = p;
    return status;
}
static pxl_status find(const pxl_network *network, const pxli_shape *shape, pxli_prepared **found) {
    pxli_engine_cache *cache = network->engines;
    pxli_prepared **at = &cache->first;
    while (*at && !same_shape(&(*at)->shape, shape)) at = &(*at)->next;
    pxli_prepared *p = *at;
    const pxl_status status = p ? PXL_OK : make(network, shape, &p);
    if (status) return status;
    if (*at) *at = p->next;
    p->next = cache->first, cache->first = p;
    p->users++;
    drop_oldest(cache, shape->engine);
    *found = p;
    return PXL_OK;
}
pxl_status pxli_prepare(const pxl_network *network, const pxli_shape *shape, const pxli_prepared **prepared) {
    pxli_prepared *found = NULL;
    pxl_status status = shape->engine->available();
    if (status) return status;
    pthread_mutex_lock(&network->engines->lock);
    status = find(network, shape, &found);
    pthread_mutex_unlock(&network->engines->lock);
    *prepared = found;
    return status;
}
void pxli_release(const pxli_prepared *prepared) {
    if (!prepared) return;
    pxli_engine_cache *cache = prepared->network->engines;
    pthread_mutex_lock(&cache->lock);
    ((pxli_prepared *)prepared)->users--;
    pthread_mutex_unlock(&cache->lock);
}
