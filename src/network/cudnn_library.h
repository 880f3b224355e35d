/* cuDNN's functions, as they were found, and what a plan consists of: for cudnn.c and cudnn_graph.c. */
#ifndef PXLI_CUDNN_LIBRARY_H
#define PXLI_CUDNN_LIBRARY_H
#include <cudnn_graph.h>

#include "cudnn.h"

#define PXLI_CUDNN_FUNCTIONS(X) \
    X(GetVersion)               \
    X(GetErrorString)           \
    X(GetLastErrorString)       \
    X(Create)                   \
    X(Destroy)                  \
    X(SetStream)                \
    X(BackendCreateDescriptor)  \
    X(BackendDestroyDescriptor) \
    X(BackendSetAttribute)      \
    X(BackendGetAttribute)      \
    X(BackendFinalize)          \
    X(BackendExecute)
#define PXLI_CUDNN_POINTER(name) __typeof__(&cudnn##name) name;
typedef struct pxli_cudnn_library {
    void *handle;
    PXLI_CUDNN_FUNCTIONS(PXLI_CUDNN_POINTER)
} pxli_cudnn_library;
extern pxli_cudnn_library pxli_cudnn_functions;

/* PXL_OK, or what cuDNN said about `what`. */
pxl_status pxli_cudnn_check(cudnnStatus_t status, const char *what);

struct pxli_cudnn {
    cudnnHandle_t handle;               /* NULL: of a device that is only described */
    cudnnBackendDescriptor_t described; /* that device */
};

/* The tensors of a graph. */
enum { PXLI_CUDNN_IN = 1, PXLI_CUDNN_WEIGHTS, PXLI_CUDNN_THIRD, PXLI_CUDNN_OUT, PXLI_CUDNN_BETWEEN };

enum { PXLI_CUDNN_MAX_DESCRIPTORS = 192 };
/* Descriptors refer to others, which live as long as the plan. */
struct pxli_cudnn_plan {
    int count;
    cudnnBackendDescriptor_t descriptor[PXLI_CUDNN_MAX_DESCRIPTORS];
    cudnnBackendDescriptor_t plan;
    int64_t bytes;
    bool fused;
};
#endif
