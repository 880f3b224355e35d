#ifndef PXLI_CONTEXT_H
#define PXLI_CONTEXT_H
#include "network/network.h"

typedef struct pxli_named_network {
    struct pxli_named_network *next;
    pxl_network *network;
    char name[PXLI_NETWORK_NAME];
} pxli_named_network;

struct pxl_context {
    pxl_device device;
    int threads; /* 0: as many as OpenMP would use */
    pxli_named_network *networks;
};
#endif
