/* Networks from safetensors files with torchvision's names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "network.h"
#include "safetensors.h"

/* ---- The architecture that a file's names tell ------------------------------------------------------------------------- */
static bool is_weight(const pxli_stored *stored, int *layer) {
    int length = 0;
    return sscanf(stored->name, "features.%4d.weight%n", layer, &length) == 1 && length && !stored->name[length];
}
static const pxli_stored *find(const pxli_tensors *tensors, int layer, const char *what) {
    char name[48];
    snprintf(name, sizeof name, "features.%d.%s", layer, what);
    return pxli_tensors_find(tensors, name);
}
static pxl_status fail_shape(const char *path, const pxli_stored *s, const char *needed) {
    char shape[200] = "";
    for (int i = 0, used = 0; i < s->ndim && used < 150; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, "%s%lld", i ? " x " : "", (long long)s->size[i]);
    return pxli_fail(PXL_IO_ERROR, "%s: tensor %s is %s; %s is needed", path, s->name, shape, needed);
}
static pxl_status convolution_of(const char *path, const pxli_stored *s, pxl_layer *layer) {
    const int64_t *n = s->size;
    if (s->ndim != 4 || n[0] < 1 || n[0] > PXLI_MAX_CHANNELS || n[1] < 1 || n[1] > PXLI_MAX_CHANNELS || n[2] != n[3] ||
        n[2] < 1 || n[2] > PXLI_MAX_TAPS || n[2] % 2 == 0)
        return fail_shape(path, s, "outputs x inputs x k x k with at most 4096 channels and an odd k up to 15");
    *layer = PXL_LAYER(PXL_CONVOLUTION);
    layer->outputs = (int)n[0], layer->inputs = (int)n[1], layer->size = (int)n[2];
    return PXL_OK;
}
/* A convolution and its ReLU lie two layers before the next convolution, or three with a pooling between them. */
static pxl_status derive(const char *path, const pxli_tensors *tensors, pxl_layer *layers, size_t *count) {
    int channels = 0;
    *count = 0;
    while (*count + 2 <= PXLI_MAX_LAYERS) {
        const pxli_stored *s = find(tensors, (int)*count, "weight");
        const bool gap = !s && *count && *count + 3 <= PXLI_MAX_LAYERS;
        if (gap && (s = find(tensors, (int)*count + 1, "weight"))) layers[(*count)++] = PXL_LAYER(PXL_MAX_POOL);
        if (!s) break;
        pxl_layer *layer = &layers[*count];
        const pxl_status status = convolution_of(path, s, layer);
        if (status) return status;
        char needed[64];
        snprintf(needed, sizeof needed, "outputs x %d x k x k, as the layer before gives,", channels);
        if (channels && layer->inputs != channels) return fail_shape(path, s, needed);
        channels = layer->outputs, layers[*count + 1] = PXL_LAYER(PXL_RELU), *count += 2;
    }
    if (!*count) return pxli_fail(PXL_IO_ERROR, "%s has no tensor features.0.weight, with which a network begins", path);
    if (*count == PXLI_MAX_LAYERS) return PXL_OK;
    layers[*count] = PXL_LAYER(PXL_MAX_POOL);
    if (pxli_architecture_name(layers, *count + 1)) ++*count; /* torchvision's end with a pooling */
    return PXL_OK;
}
/* That no weight is left over. */
static pxl_status check_weights(const char *path, const pxli_tensors *tensors, const pxl_layer *layers, size_t count) {
    int layer;
    for (size_t i = 0; i < pxli_tensors_count(tensors); i++) {
        const pxli_stored *s = pxli_tensors_at(tensors, i);
        if (!is_weight(s, &layer) || (layer >= 0 && (size_t)layer < count && layers[layer].kind == PXL_CONVOLUTION)) continue;
        const pxli_stored *mean = find(tensors, layer, "running_mean");
        if (mean)
            return pxli_fail(PXL_IO_ERROR, "%s: tensor %s is of a batch normalisation, which is not supported", path, mean->name);
        return pxli_fail(PXL_IO_ERROR, "%s: tensor %s is of no convolution of the architecture", path, s->name);
    }
    return PXL_OK;
}

/* ---- Weights ------------------------------------------------------------------------------------------------------- */
static pxl_status read_floats(const char *path, const pxli_stored *s, size_t count, float **to) {
    *to = malloc(count * sizeof **to);
    if (!*to) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for tensor %s of %s", s->name, path);
    const pxl_status status = pxli_stored_to_floats(s, *to);
    if (status != PXL_IO_ERROR) return status;
    return pxli_fail(status, "%s: tensor %s is of type %s; F32, F16 or BF16 is needed", path, s->name, s->dtype);
}
static pxl_status read_layer(const char *path, const pxli_tensors *tensors, int index, pxl_layer *layer) {
    const pxli_stored *weight = find(tensors, index, "weight"), *bias = find(tensors, index, "bias");
    if (!weight || !bias)
        return pxli_fail(PXL_IO_ERROR, "%s has no tensor features.%d.%s", path, index, weight ? "bias" : "weight");
    pxl_layer stored = PXL_LAYER(PXL_CONVOLUTION);
    char needed[96];
    pxl_status status = convolution_of(path, weight, &stored);
    if (status) return status;
    snprintf(needed, sizeof needed, "%d x %d x %d x %d", layer->outputs, layer->inputs, layer->size, layer->size);
    if (stored.outputs != layer->outputs || stored.inputs != layer->inputs || stored.size != layer->size)
        return fail_shape(path, weight, needed);
    snprintf(needed, sizeof needed, "%d", layer->outputs);
    if (bias->ndim != 1 || bias->size[0] != layer->outputs) return fail_shape(path, bias, needed);
    float *floats = NULL;
    status =
        read_floats(path, weight, (size_t)layer->outputs * (size_t)layer->inputs * (size_t)(layer->size * layer->size), &floats);
    layer->weight = floats;
    if (status) return status;
    status = read_floats(path, bias, (size_t)layer->outputs, &floats);
    layer->bias = floats;
    return status;
}
/* lin0, lin1, ...: one for the last ReLU of each block. */
static pxl_status read_linear(const char *path, const pxli_tensors *tensors, pxl_layer *layers, size_t count) {
    int number = 0, channels = 0;
    pxl_layer *relu = NULL;
    for (size_t i = 0; i <= count; i++) {
        const bool end = i == count || pxli_is_pool(layers[i].kind);
        if (!end && layers[i].kind == PXL_CONVOLUTION) channels = layers[i].outputs;
        if (!end && layers[i].kind == PXL_RELU) relu = &layers[i];
        if (!end || !relu) continue;
        char name[32], needed[64];
        snprintf(name, sizeof name, "lin%d.weight", number++);
        const pxli_stored *s = pxli_tensors_find(tensors, name);
        if (!s) return pxli_fail(PXL_IO_ERROR, "%s has no tensor %s", path, name);
        snprintf(needed, sizeof needed, "%d, or 1 x %d x 1 x 1,", channels, channels);
        int64_t elements = 1;
        for (int k = 0; k < s->ndim; k++) elements = s->size[k] == 1 || elements == 1 ? elements * s->size[k] : -1;
        if (elements != channels) return fail_shape(path, s, needed);
        float *floats = NULL;
        const pxl_status status = read_floats(path, s, (size_t)channels, &floats);
        relu->linear = floats, relu = NULL;
        if (status) return status;
    }
    return PXL_OK;
}
static void release(pxl_layer *layers, size_t count) {
    for (size_t i = 0; i < count; i++)
        free((void *)layers[i].weight), free((void *)layers[i].bias), free((void *)layers[i].linear);
}
static pxl_status read_network(const char *path, const char *architecture, pxl_layer *layers, size_t *count) {
    pxli_tensors *tensors = NULL;
    pxl_status status = pxli_tensors_open(path, &tensors);
    if (status) return status;
    status = architecture ? pxli_architecture_parse(architecture, layers, count) : derive(path, tensors, layers, count);
    if (!status) status = check_weights(path, tensors, layers, *count);
    for (size_t i = 0; !status && i < *count; i++)
        if (layers[i].kind == PXL_CONVOLUTION) status = read_layer(path, tensors, (int)i, &layers[i]);
    pxli_tensors_close(tensors);
    return status;
}
static pxl_status add_linear(const char *path, pxl_layer *layers, size_t count) {
    pxli_tensors *tensors = NULL;
    pxl_status status = pxli_tensors_open(path, &tensors);
    if (!status) status = read_linear(path, tensors, layers, count);
    pxli_tensors_close(tensors);
    return status;
}
pxl_status pxl_network_load(const char *path, const char *architecture, const char *linear_path, pxl_network **network) {
    pxl_layer layers[PXLI_MAX_LAYERS];
    size_t count = 0;
    if (!path) return pxli_fail(PXL_INVALID_ARGUMENT, "path is NULL; a safetensors file is needed");
    if (!network) return pxli_fail(PXL_INVALID_ARGUMENT, "network is NULL; a place for the result is needed");
    memset(layers, 0, sizeof layers);
    pxl_status status = read_network(path, architecture, layers, &count);
    if (!status && linear_path) status = add_linear(linear_path, layers, count);
    if (!status) status = pxl_network_create(layers, count, network);
    release(layers, count);
    return status;
}
