#ifndef PXLI_CONTEXT_H
#define PXLI_CONTEXT_H
#include "pixloss/pixloss.h"

struct pxl_context {
    pxl_device device;
    int threads;                         /* 0: as many as OpenMP would use */
    struct pxli_named_network *networks; /* network/network.h */
};
#endif
