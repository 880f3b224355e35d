/* Making networks, and what can be asked of them. */
#include "network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../context.h"
#include "../error.h"
#include "engine.h"

/* ---- Checks -------------------------------------------------------------------------------------------------------- */
static pxl_status check_convolution(const pxl_layer *l, size_t i, int channels) {
    const struct {
        const char *name;
        int value, most;
    } numbers[] = {
        {"inputs", l->inputs, PXLI_MAX_CHANNELS}, {"outputs", l->outputs, PXLI_MAX_CHANNELS}, {"size", l->size, PXLI_MAX_TAPS}};
    for (int k = 0; k < 3; k++)
        if (numbers[k].value < 1 || numbers[k].value > numbers[k].most)
            return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].%s is %d; 1 to %d is needed", i, numbers[k].name,
                             numbers[k].value, numbers[k].most);
    if (l->size % 2 == 0) return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].size is %d; an odd number is needed", i, l->size);
    if (channels && l->inputs != channels)
        return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].inputs is %d, but the layer before gives %d channels", i, l->inputs,
                         channels);
    if (!l->weight) return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].weight is NULL; a convolution needs weights", i);
    return PXL_OK;
}
static pxl_status check_layer(const pxl_layer *l, size_t i, int channels) {
    if (l->struct_size != sizeof *l)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "layers[%zu].struct_size is %zu; it must be sizeof(pxl_layer), %zu, which PXL_LAYER sets", i,
                         l->struct_size, sizeof *l);
    if (l->kind == PXL_CONVOLUTION) return check_convolution(l, i, channels);
    if (l->kind != PXL_RELU && !pxli_is_pool(l->kind))
        return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].kind is %d, which is no pxl_layer_kind", i, (int)l->kind);
    if (!channels)
        return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu].kind is %d; the first layer has to be a convolution", i,
                         (int)l->kind);
    if (l->inputs || l->outputs || l->size || l->weight || l->bias)
        return pxli_fail(PXL_INVALID_ARGUMENT, "layers[%zu] is no convolution, but inputs, outputs, size, weight or bias is set",
                         i);
    return PXL_OK;
}
static pxl_status check_layers(const pxl_layer *layers, size_t count) {
    int channels = 0;
    if (!layers) return pxli_fail(PXL_INVALID_ARGUMENT, "layers is NULL; an array of layers is needed");
    if (count < 1 || count > PXLI_MAX_LAYERS)
        return pxli_fail(PXL_INVALID_ARGUMENT, "count is %zu; a network has 1 to %d layers", count, PXLI_MAX_LAYERS);
    for (size_t i = 0; i < count; i++) {
        const pxl_status status = check_layer(&layers[i], i, channels);
        if (status) return status;
        if (layers[i].kind == PXL_CONVOLUTION) channels = layers[i].outputs;
    }
    return PXL_OK;
}

/* ---- Making -------------------------------------------------------------------------------------------------------- */
static size_t weight_count(const pxl_layer *l) { return (size_t)l->outputs * (size_t)l->inputs * (size_t)(l->size * l->size); }
static size_t float_count(const pxl_layer *layers, size_t count) {
    size_t floats = 0, channels = 0;
    for (size_t i = 0; i < count; i++) {
        if (layers[i].kind == PXL_CONVOLUTION) floats += weight_count(&layers[i]) + (channels = (size_t)layers[i].outputs);
        if (layers[i].linear) floats += channels;
    }
    return floats;
}
static const float *take(float **at, const float *from, size_t count) {
    float *to = *at;
    *at += count;
    if (from)
        memcpy(to, from, count * sizeof *to);
    else
        memset(to, 0, count * sizeof *to);
    return to;
}
static void set_name(pxli_layer *l, int index) {
    if (pxli_is_pool(l->kind))
        snprintf(l->name, sizeof l->name, "pool%d", l->block);
    else
        snprintf(l->name, sizeof l->name, "%s%d_%d", l->kind == PXL_RELU ? "relu" : "conv", l->block, index % 1000);
}
static void fill(pxl_network *to, const pxl_layer *layers) {
    float *at = to->weights;
    int block = 1, index = 0, channels = 0;
    for (int i = 0; i < to->count; i++) {
        const pxl_layer *from = &layers[i];
        pxli_layer *l = &to->layers[i];
        const bool convolution = from->kind == PXL_CONVOLUTION;
        if (convolution) index++, channels = from->outputs;
        *l = (pxli_layer){.kind = from->kind, .inputs = from->inputs, .outputs = channels, .size = from->size, .block = block};
        if (convolution) l->weight = take(&at, from->weight, weight_count(from));
        if (convolution) l->bias = take(&at, from->bias, (size_t)channels);
        if (from->linear) l->linear = take(&at, from->linear, (size_t)channels);
        set_name(l, index);
        if (pxli_is_pool(l->kind)) block++, index = 0;
    }
}
pxl_status pxl_network_create(const pxl_layer *layers, size_t count, pxl_network **network) {
    if (!network) return pxli_fail(PXL_INVALID_ARGUMENT, "network is NULL; a place for the result is needed");
    const pxl_status status = check_layers(layers, count);
    if (status) return status;
    const size_t floats = float_count(layers, count);
    pxl_network *made = calloc(1, sizeof *made);
    float *weights = malloc(floats * sizeof *weights);
    pxli_layer *own = calloc(count, sizeof *own);
    pxli_engine_cache *engines = pxli_engine_cache_create();
    if (!made || !weights || !own || !engines) {
        free(made), free(weights), free(own), pxli_engine_cache_destroy(engines);
        return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a network of %zu weights", floats);
    }
    const char *name = pxli_architecture_name(layers, count);
    made->references = 1;
    made->count = (int)count, made->inputs = layers[0].inputs, made->weights = weights, made->layers = own,
    made->engines = engines;
    snprintf(made->architecture, sizeof made->architecture, "%s", name ? name : "");
    fill(made, layers);
    *network = made;
    return PXL_OK;
}

/* ---- Random weights ------------------------------------------------------------------------------------------------ */
/* Splitmix64 of a number for each weight: the same everywhere, and easily made again in another language. */
static void draw(float *to, const pxl_layer *l, uint64_t seed, uint64_t convolution) {
    const double bound = sqrt(6.0 / ((double)l->inputs * l->size * l->size));
    const size_t count = weight_count(l);
    for (size_t i = 0; i < count; i++) {
        uint64_t z = seed * 0x9E3779B97F4A7C15u + (convolution << 40) + i;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        to[i] = (float)(bound * (2 * ((double)(z >> 40) * 0x1p-24) - 1));
    }
}
static void draw_all(pxl_layer *layers, size_t count, uint64_t seed, float *at) {
    uint64_t convolution = 0;
    for (size_t i = 0; i < count; i++) {
        if (layers[i].kind != PXL_CONVOLUTION) continue;
        draw(at, &layers[i], seed, convolution++);
        layers[i].weight = at;
        at += weight_count(&layers[i]);
    }
}
pxl_status pxl_network_random(const char *architecture, uint64_t seed, pxl_network **network) {
    pxl_layer layers[PXLI_MAX_LAYERS];
    float ones[PXLI_MAX_CHANNELS];
    size_t count;
    if (!architecture) return pxli_fail(PXL_INVALID_ARGUMENT, "architecture is NULL; \"vgg16\" or the like is needed");
    if (!network) return pxli_fail(PXL_INVALID_ARGUMENT, "network is NULL; a place for the result is needed");
    pxl_status status = pxli_architecture_parse(architecture, layers, &count);
    if (status) return status;
    const size_t floats = float_count(layers, count);
    float *weights = malloc(floats * sizeof *weights);
    if (!weights) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a network of %zu weights", floats);
    draw_all(layers, count, seed, weights);
    for (int i = 0; i < PXLI_MAX_CHANNELS; i++) ones[i] = 1;
    for (size_t i = 0; i < count; i++)
        if (layers[i].kind == PXL_RELU) layers[i].linear = ones;
    status = pxl_network_create(layers, count, network);
    if (!status) (*network)->random = true, (*network)->seed = seed;
    free(weights);
    return status;
}

/* ---- Questions ----------------------------------------------------------------------------------------------------- */
pxl_network *pxli_network_retain(const pxl_network *network) {
    pxl_network *own = (pxl_network *)network;
    if (own) __atomic_fetch_add(&own->references, 1, __ATOMIC_RELAXED);
    return own;
}
void pxl_network_destroy(pxl_network *network) {
    if (!network || __atomic_fetch_sub(&network->references, 1, __ATOMIC_ACQ_REL) > 1) return;
    pxli_engine_cache_destroy(network->engines);
    free(network->weights), free(network->layers), free(network);
}
size_t pxl_network_layer_count(const pxl_network *network) { return network ? (size_t)network->count : 0; }
const char *pxl_network_layer_name(const pxl_network *network, size_t layer) {
    return layer < pxl_network_layer_count(network) ? network->layers[layer].name : NULL;
}
int pxli_network_find_layer(const pxl_network *network, const char *name, size_t length) {
    size_t digits = 0;
    long number = 0;
    while (digits < length && digits < 6 && name[digits] >= '0' && name[digits] <= '9')
        number = 10 * number + (name[digits++] - '0');
    if (digits && digits == length) return number < network->count ? (int)number : -1;
    for (int i = 0; i < network->count; i++)
        if (strlen(network->layers[i].name) == length && !memcmp(network->layers[i].name, name, length)) return i;
    return -1;
}
int pxli_network_last_relu(const pxl_network *network, int block) {
    int found = -1;
    for (int i = 0; i < network->count; i++)
        if (network->layers[i].block == block && network->layers[i].kind == PXL_RELU) found = i;
    return found;
}

pxl_status pxl_context_add_network(pxl_context *context, const char *name, pxl_network *network) {
    if (!context) return pxli_fail(PXL_INVALID_ARGUMENT, "context is NULL; networks are known to a context");
    if (!name || !pxli_is_network_name(name, strlen(name)))
        return pxli_fail(PXL_INVALID_ARGUMENT, "name is \"%.80s\"; up to %d letters, digits, _, - and . are needed",
                         name ? name : "", PXLI_NETWORK_NAME - 1);
    if (!network) return pxli_fail(PXL_INVALID_ARGUMENT, "network is NULL; pxl_network_load makes one");
    pxli_named_network *named = context->networks;
    while (named && strcmp(named->name, name)) named = named->next;
    if (!named) {
        named = calloc(1, sizeof *named);
        if (!named) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for the name of a network");
        snprintf(named->name, sizeof named->name, "%s", name);
        named->next = context->networks, context->networks = named;
    }
    pxl_network *before = named->network;
    named->network = pxli_network_retain(network);
    pxl_network_destroy(before);
    return PXL_OK;
}
