/* cuDNN: the library, a handle, and running a plan. See cudnn.h; plans are made in cudnn_graph.c. */
#include "cudnn.h"

#include "../error.h"

#ifndef PXLI_CUDNN
static pxl_status missing(void) {
    return pxli_fail(PXL_UNSUPPORTED,
                     "networks on a GPU need cuDNN 9, without which this library was built (its headers: "
                     "scripts/setup.sh --cuda, PIXLOSS_CUDNN)");
}
pxl_status pxli_cudnn_available(void) { return missing(); }
pxl_status pxli_cudnn_create(pxli_cudnn **cudnn) { return (void)cudnn, missing(); }
pxl_status pxli_cudnn_describe(const char *json, pxli_cudnn **cudnn) { return (void)json, (void)cudnn, missing(); }
void pxli_cudnn_destroy(pxli_cudnn *cudnn) { (void)cudnn; }
pxl_status pxli_cudnn_plan_create(pxli_cudnn *cudnn, const pxli_convolution *convolution, pxli_cudnn_plan **plan) {
    return (void)cudnn, (void)convolution, (void)plan, missing();
}
void pxli_cudnn_plan_destroy(pxli_cudnn_plan *plan) { (void)plan; }
size_t pxli_cudnn_plan_bytes(const pxli_cudnn_plan *plan) { return (void)plan, 0; }
pxl_status pxli_cudnn_run(pxli_cudnn *cudnn, const pxli_cudnn_plan *plan, pxl_stream stream, const void *in, const void *weights,
                          const void *third, void *out, void *workspace) {
    return (void)cudnn, (void)plan, (void)stream, (void)in, (void)weights, (void)third, (void)out, (void)workspace, missing();
}
#else
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cudnn_library.h"

/* ---- The library --------------------------------------------------------------------------------------------------- */
pxli_cudnn_library pxli_cudnn_functions;
#define CUDNN pxli_cudnn_functions

static void load_library(void) {
    CUDNN.handle = dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL);
#define LOOK_UP(name) \
    if (CUDNN.handle && !(CUDNN.name = (__typeof__(CUDNN.name))dlsym(CUDNN.handle, "cudnn" #name))) CUDNN.handle = NULL;
    PXLI_CUDNN_FUNCTIONS(LOOK_UP)
}
pxl_status pxli_cudnn_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    if (CUDNN.handle) return PXL_OK;
    return pxli_fail(PXL_UNSUPPORTED,
                     "networks on a GPU need cuDNN 9, and libcudnn.so.9 is not to be found here (PyPI: "
                     "nvidia-cudnn-cu13; its folder goes into LD_LIBRARY_PATH)");
}
pxl_status pxli_cudnn_check(cudnnStatus_t status, const char *what) {
    if (status == CUDNN_STATUS_SUCCESS) return PXL_OK;
    char said[512] = "";
    CUDNN.GetLastErrorString(said, sizeof said);
    const bool full = status == CUDNN_STATUS_ALLOC_FAILED || status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    const pxl_status ours = full                                                          ? PXL_OUT_OF_MEMORY
                            : CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED ? PXL_UNSUPPORTED
                                                                                          : PXL_DEVICE_ERROR;
    return pxli_fail(ours, "cuDNN %zu, %s: %s%s%.300s", CUDNN.GetVersion(), what, CUDNN.GetErrorString(status), *said ? ": " : "",
                     said);
}

/* ---- A device ------------------------------------------------------------------------------------------------------ */
static pxl_status allocate(pxli_cudnn **made) {
    const pxl_status status = pxli_cudnn_available();
    if (status) return status;
    *made = calloc(1, sizeof **made);
    return *made ? PXL_OK : pxli_fail(PXL_OUT_OF_MEMORY, "no memory for cuDNN's handle");
}
static pxl_status give(pxl_status status, pxli_cudnn *made, pxli_cudnn **to) {
    if (status) pxli_cudnn_destroy(made), made = NULL;
    if (!status) *to = made;
    return status;
}
pxl_status pxli_cudnn_create(pxli_cudnn **cudnn) {
    pxli_cudnn *made = NULL;
    pxl_status status = allocate(&made);
    if (!status) status = pxli_cudnn_check(CUDNN.Create(&made->handle), "cudnnCreate");
    return give(status, made, cudnn);
}
static cudnnStatus_t describe(const char *json, cudnnBackendDescriptor_t *made) {
    enum { DEVICEPROP = 38, JSON = 2702 }; /* of cuDNN 9.8 and later, for builds with earlier headers */
    cudnnStatus_t status = CUDNN.BackendCreateDescriptor((cudnnBackendDescriptorType_t)DEVICEPROP, made);
    if (!status)
        status =
            CUDNN.BackendSetAttribute(*made, (cudnnBackendAttributeName_t)JSON, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    return status ? status : CUDNN.BackendFinalize(*made);
}
pxl_status pxli_cudnn_describe(const char *json, pxli_cudnn **cudnn) {
    pxli_cudnn *made = NULL;
    pxl_status status = allocate(&made);
    if (!status) status = pxli_cudnn_check(describe(json, &made->described), "describing a device");
    return give(status, made, cudnn);
}
void pxli_cudnn_destroy(pxli_cudnn *cudnn) {
    if (!cudnn) return;
    if (cudnn->handle) CUDNN.Destroy(cudnn->handle);
    if (cudnn->described) CUDNN.BackendDestroyDescriptor(cudnn->described);
    free(cudnn);
}

/* ---- Running ------------------------------------------------------------------------------------------------------- */
void pxli_cudnn_plan_destroy(pxli_cudnn_plan *plan) {
    if (!plan) return;
    while (plan->count) CUDNN.BackendDestroyDescriptor(plan->descriptor[--plan->count]);
    free(plan);
}
size_t pxli_cudnn_plan_bytes(const pxli_cudnn_plan *plan) { return (size_t)plan->bytes; }

typedef struct variant {
    int64_t uid[4];
    const void *data[4];
    int count;
    void *workspace;
} variant;
static void add(variant *v, int64_t uid, const void *data) { v->uid[v->count] = uid, v->data[v->count++] = data; }
static cudnnStatus_t pack(const variant *v, cudnnBackendDescriptor_t to) {
    cudnnStatus_t status = CUDNN.BackendSetAttribute(to, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, v->count, v->uid);
    if (!status)
        status = CUDNN.BackendSetAttribute(to, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, v->count, v->data);
    if (!status) status = CUDNN.BackendSetAttribute(to, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &v->workspace);
    return status ? status : CUDNN.BackendFinalize(to);
}
pxl_status pxli_cudnn_run(pxli_cudnn *cudnn, const pxli_cudnn_plan *plan, pxl_stream stream, const void *in, const void *weights,
                          const void *third, void *out, void *workspace) {
    variant v = {.workspace = workspace};
    cudnnBackendDescriptor_t packed = NULL;
    add(&v, PXLI_CUDNN_IN, in), add(&v, PXLI_CUDNN_WEIGHTS, weights), add(&v, PXLI_CUDNN_OUT, out);
    if (plan->fused) add(&v, PXLI_CUDNN_THIRD, third);
    cudnnStatus_t status = CUDNN.SetStream(cudnn->handle, stream);
    if (!status) status = CUDNN.BackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &packed);
    if (!status) status = pack(&v, packed);
    if (!status) status = CUDNN.BackendExecute(cudnn->handle, plan->plan, packed);
    const pxl_status result = pxli_cudnn_check(status, "a convolution"); /* before another call changes what it said last */
    if (packed) CUDNN.BackendDestroyDescriptor(packed);
    return result;
}
#endif
