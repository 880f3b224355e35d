/* Networks: layers with their weights, on the host, shared by reference. */
#ifndef PXLI_NETWORK_H
#define PXLI_NETWORK_H
#include <stdbool.h>

#include "pixloss/pixloss.h"

enum { PXLI_MAX_LAYERS = 256, PXLI_MAX_CHANNELS = 4096, PXLI_MAX_TAPS = 15, PXLI_LAYER_NAME = 16, PXLI_NETWORK_NAME = 64 };

typedef struct pxli_layer {
    pxl_layer_kind kind;
    int inputs, outputs, size; /* outputs: of the other kinds, too, what they give */
    int block;                 /* from 1: the poolings before it, and this one */
    const float *weight;       /* outputs x inputs x size x size */
    const float *bias;         /* outputs */
    const float *linear;       /* outputs, or NULL */
    char name[PXLI_LAYER_NAME];
} pxli_layer;

typedef struct pxli_engine_cache pxli_engine_cache;
struct pxl_network {
    int references; /* atomic */
    bool random;    /* weights drawn from `seed` */
    uint64_t seed;
    int inputs, count;
    char architecture[PXLI_NETWORK_NAME]; /* vgg16, or "" */
    float *weights;                       /* of all layers */
    pxli_layer *layers;
    pxli_engine_cache *engines; /* what engines made of it: engine.h */
};

/* In a context's list. */
typedef struct pxli_named_network {
    struct pxli_named_network *next;
    pxl_network *network;
    char name[PXLI_NETWORK_NAME];
} pxli_named_network;

pxl_network *pxli_network_retain(const pxl_network *network);
/* The layer of that name or number; -1: none. */
int pxli_network_find_layer(const pxl_network *network, const char *name, size_t length);
/* The last ReLU of a block; -1: it has none. */
int pxli_network_last_relu(const pxl_network *network, int block);
static inline bool pxli_is_pool(pxl_layer_kind kind) { return kind == PXL_MAX_POOL || kind == PXL_AVERAGE_POOL; }

/* Layers as an architecture says (pxl_network_random), without weights; at most PXLI_MAX_LAYERS. */
pxl_status pxli_architecture_parse(const char *architecture, pxl_layer *layers, size_t *count);
/* "vgg16" for layers that are torchvision's; NULL: another. */
const char *pxli_architecture_name(const pxl_layer *layers, size_t count);
/* That an expression may name a network so: letters, digits, _, - and . */
bool pxli_is_network_name(const char *name, size_t length);
#endif
