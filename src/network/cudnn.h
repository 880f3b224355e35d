/* Convolutions by cuDNN 9's graphs. The library is looked for when it is first asked for; where it was missing when this one was
 * built, or is missing where it runs, all else works. Every pointer to data is the device's; activations are N x H x W x C. */
#ifndef PXLI_CUDNN_H
#define PXLI_CUDNN_H
#include <stdbool.h>
#include <stddef.h>

#include "pixloss/pixloss.h"

pxl_status pxli_cudnn_available(void);

/* cuDNN on the current device. Not for two threads at once. */
typedef struct pxli_cudnn pxli_cudnn;
pxl_status pxli_cudnn_create(pxli_cudnn **cudnn);
/* A device that need not be there, as cuDNN's DEVICEPROP descriptors write it: plans can be made for it, not run. */
pxl_status pxli_cudnn_describe(const char *json, pxli_cudnn **cudnn);
void pxli_cudnn_destroy(pxli_cudnn *cudnn); /* NULL is allowed */

typedef struct pxli_convolution {
    pxl_precision precision;
    bool backward; /* from the gradient of the output to that of the input */
    bool fused;    /* forward: plus the bias, of float; backward: 0 where the input is not above 0 */
    bool relu;     /* forward, fused: then a ReLU that leaves NaN */
    int64_t batch, h, w;
    int inputs, outputs, size; /* channels; taps along an axis, odd */
} pxli_convolution;

typedef struct pxli_cudnn_plan pxli_cudnn_plan;
/* Deterministic, in no less than the precision. PXL_UNSUPPORTED, with a message, where cuDNN has nothing for it. */
pxl_status pxli_cudnn_plan_create(pxli_cudnn *cudnn, const pxli_convolution *convolution, pxli_cudnn_plan **plan);
void pxli_cudnn_plan_destroy(pxli_cudnn_plan *plan);       /* NULL is allowed */
size_t pxli_cudnn_plan_bytes(const pxli_cudnn_plan *plan); /* of the workspace */

/* Forward from `in` to `out`; backward from the gradient `in` of the output to the gradient `out` of the input. weights: outputs x
 * size x size x inputs. third: what the fused operation reads, a bias or the input whose ReLU is undone. */
pxl_status pxli_cudnn_run(pxli_cudnn *cudnn, const pxli_cudnn_plan *plan, pxl_stream stream, const void *in, const void *weights,
                          const void *third, void *out, void *workspace);
#endif
