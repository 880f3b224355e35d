/* Architectures: torchvision's VGGs by name, and lists in the manner of its configurations. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../error.h"
#include "network.h"

static const struct {
    const char *name, *list;
} known[] = {
    {"vgg11", "64,M,128,M,256,256,M,512,512,M,512,512,M"},
    {"vgg13", "64,64,M,128,128,M,256,256,M,512,512,M,512,512,M"},
    {"vgg16", "64,64,M,128,128,M,256,256,256,M,512,512,512,M,512,512,512,M"},
    {"vgg19", "64,64,M,128,128,M,256,256,256,256,M,512,512,512,512,M,512,512,512,512,M"},
};
enum { KNOWN = sizeof known / sizeof *known };

typedef struct reader {
    const char *text, *at;
    int channels;
    pxl_layer *layers;
    size_t count;
} reader;

static pxl_status fail(const reader *r, const char *expected) {
    return pxli_fail(PXL_INVALID_ARGUMENT, "architecture is \"%.60s\"; at character %d %s is needed", r->text,
                     (int)(r->at - r->text) + 1, expected);
}
/* A number from 1 to `most`, or 0. */
static int read_number(reader *r, int most) {
    int value = 0;
    while (isdigit((unsigned char)*r->at) && value <= most) value = 10 * value + (*r->at++ - '0');
    return value <= most ? value : 0;
}
static pxl_status add(reader *r, pxl_layer layer) {
    if (r->count == PXLI_MAX_LAYERS)
        return pxli_fail(PXL_INVALID_ARGUMENT, "architecture \"%.60s\" has more than %d layers", r->text, PXLI_MAX_LAYERS);
    r->layers[r->count++] = layer;
    return PXL_OK;
}
static pxl_status read_convolution(reader *r) {
    pxl_layer layer = PXL_LAYER(PXL_CONVOLUTION);
    layer.inputs = r->channels, layer.outputs = read_number(r, PXLI_MAX_CHANNELS), layer.size = 3;
    if (!layer.outputs) return fail(r, "M, A, or a number of channels from 1 to 4096");
    if (*r->at == 'k') {
        r->at++, layer.size = read_number(r, PXLI_MAX_TAPS);
        if (layer.size % 2 == 0) return fail(r, "an odd size of the kernel, 1 to 15,");
    }
    r->channels = layer.outputs;
    const pxl_status status = add(r, layer);
    return status ? status : add(r, PXL_LAYER(PXL_RELU));
}
static pxl_status read_layers(reader *r) {
    for (;;) {
        const char c = *r->at;
        const pxl_status status = c == 'M'   ? (r->at++, add(r, PXL_LAYER(PXL_MAX_POOL)))
                                  : c == 'A' ? (r->at++, add(r, PXL_LAYER(PXL_AVERAGE_POOL)))
                                             : read_convolution(r);
        if (status) return status;
        if (!*r->at) return PXL_OK;
        if (*r->at++ != ',') return r->at--, fail(r, "a comma or the end");
    }
}

pxl_status pxli_architecture_parse(const char *architecture, pxl_layer *layers, size_t *count) {
    reader r = {architecture, architecture, 3, layers, 0};
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(architecture, known[i].name)) r.at = r.text = known[i].list;
    const char *colon = strchr(r.at, ':');
    if (colon) {
        r.channels = read_number(&r, PXLI_MAX_CHANNELS);
        if (!r.channels || *r.at != ':') return fail(&r, "a number of channels from 1 to 4096 and a colon");
        r.at++;
    }
    const pxl_status status = read_layers(&r);
    *count = r.count;
    return status;
}

static bool same_layers(const pxl_layer *a, const pxl_layer *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (a[i].kind != b[i].kind || a[i].inputs != b[i].inputs || a[i].outputs != b[i].outputs || a[i].size != b[i].size)
            return false;
    return true;
}
const char *pxli_architecture_name(const pxl_layer *layers, size_t count) {
    pxl_layer other[PXLI_MAX_LAYERS];
    size_t others;
    for (int i = 0; i < KNOWN; i++)
        if (!pxli_architecture_parse(known[i].name, other, &others) && others == count && same_layers(layers, other, count))
            return known[i].name;
    return NULL;
}

/* Whatever the locale. */
static bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool pxli_is_network_name(const char *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (!is_letter_or_digit(name[i]) && !strchr("_-.", name[i])) return false;
    return length > 0 && length < PXLI_NETWORK_NAME;
}
