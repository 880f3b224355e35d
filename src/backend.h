/* What a backend provides: the table of things it can compute for arguments that have been checked. An entry that is NULL is not
 * supported there. The *_size functions tell the bytes for the context's threads; *least is what one thread would do with. 0: the
 * call is too large for the backend, PXL_UNSUPPORTED with a message. */
#ifndef PXLI_BACKEND_H
#define PXLI_BACKEND_H
#include "context.h"
#include "plan.h"

typedef struct pxli_filter_call {
    const pxl_filter *filter;
    const pxl_tensor *from, *to;
    bool adjoint;
} pxli_filter_call;
typedef struct pxli_reduce_call {
    pxl_reduce_kind kind;
    pxl_reduce_over over;
    const pxl_tensor *input;
    double *results;
} pxli_reduce_call;
typedef struct pxli_workspace {
    void *data;
    size_t bytes;
    pxl_stream stream;
} pxli_workspace;

typedef struct pxli_backend {
    const struct pxli_engine *engine; /* for networks; NULL: none */
    size_t (*size)(const pxl_context *context, pxli_call *call, size_t *least);
    pxl_status (*init)(const pxl_context *context, pxli_call *call, pxli_workspace workspace); /* NULL: nothing to do */
    pxl_status (*evaluate)(const pxl_context *context, pxli_call *call, pxli_workspace workspace);
    size_t (*filter_size)(const pxl_context *context, const pxli_filter_call *call, size_t *least);
    pxl_status (*filter)(const pxl_context *context, const pxli_filter_call *call, pxli_workspace workspace);
    size_t (*reduce_size)(const pxl_context *context, const pxli_reduce_call *call, size_t *least);
    pxl_status (*reduce)(const pxl_context *context, const pxli_reduce_call *call, pxli_workspace workspace);
    void (*describe)(pxl_device device, char *text, size_t size);
} pxli_backend;

extern const pxli_backend pxli_cpu_backend;
#ifdef PXLI_CUDA
extern const pxli_backend pxli_cuda_backend;
#endif
#endif
