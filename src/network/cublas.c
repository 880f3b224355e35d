/* cuBLAS: see cublas.h. */
#include "cublas.h"

#include "../error.h"

#ifndef PXLI_CUBLAS
static pxl_status missing(void) {
    return pxli_fail(PXL_UNSUPPORTED,
                     "style on a GPU needs cuBLAS, without which this library was built (its headers: "
                     "scripts/setup.sh --cuda, PIXLOSS_CUBLAS)");
}
pxl_status pxli_cublas_available(void) { return missing(); }
pxl_status pxli_cublas_create(pxli_cublas **cublas) { return (void)cublas, missing(); }
void pxli_cublas_destroy(pxli_cublas *cublas) { (void)cublas; }
pxl_status pxli_cublas_multiply(pxli_cublas *cublas, pxl_stream stream, void *workspace, const pxli_product *p) {
    return (void)cublas, (void)stream, (void)workspace, (void)p, missing();
}
#else
#include <cublas_v2.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- The library --------------------------------------------------------------------------------------------------- */
#define FUNCTIONS(X)                       \
    X(Create, cublasCreate_v2)             \
    X(Destroy, cublasDestroy_v2)           \
    X(SetStream, cublasSetStream_v2)       \
    X(SetMathMode, cublasSetMathMode)      \
    X(SetWorkspace, cublasSetWorkspace_v2) \
    X(GetStatusString, cublasGetStatusString) X(GemmStridedBatched, cublasGemmStridedBatchedEx)
#define POINTER(name, function) __typeof__(&function) name;
static struct {
    void *handle;
    FUNCTIONS(POINTER)
} cublas;

/* What is called has not changed since CUDA 12. */
static void load_library(void) {
    cublas.handle = dlopen("libcublas.so.13", RTLD_NOW | RTLD_LOCAL);
    if (!cublas.handle) cublas.handle = dlopen("libcublas.so.12", RTLD_NOW | RTLD_LOCAL);
#define LOOK_UP(name, function) \
    if (cublas.handle && !(cublas.name = (__typeof__(cublas.name))dlsym(cublas.handle, #function))) cublas.handle = NULL;
    FUNCTIONS(LOOK_UP)
}
pxl_status pxli_cublas_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    if (cublas.handle) return PXL_OK;
    return pxli_fail(PXL_UNSUPPORTED,
                     "style on a GPU needs cuBLAS, and libcublas.so.13 is not to be found here (PyPI: "
                     "nvidia-cublas; its folder goes into LD_LIBRARY_PATH)");
}
static pxl_status check(cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS) return PXL_OK;
    const pxl_status ours = status == CUBLAS_STATUS_ALLOC_FAILED    ? PXL_OUT_OF_MEMORY
                            : status == CUBLAS_STATUS_NOT_SUPPORTED ? PXL_UNSUPPORTED
                                                                    : PXL_DEVICE_ERROR;
    return pxli_fail(ours, "cuBLAS, %s: %s", what, cublas.GetStatusString(status));
}

/* ---- Products ------------------------------------------------------------------------------------------------------ */
struct pxli_cublas {
    cublasHandle_t handle;
};
pxl_status pxli_cublas_create(pxli_cublas **to) {
    pxl_status status = pxli_cublas_available();
    if (status) return status;
    pxli_cublas *made = calloc(1, sizeof *made);
    if (!made) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for cuBLAS' handle");
    status = check(cublas.Create(&made->handle), "cublasCreate");
    if (status) return free(made), status;
    /* Sums in f32 also where the result is f16. */
    status = check(cublas.SetMathMode(made->handle, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION), "cublasSetMathMode");
    if (status) return pxli_cublas_destroy(made), status;
    *to = made;
    return PXL_OK;
}
void pxli_cublas_destroy(pxli_cublas *of) {
    if (!of) return;
    cublas.Destroy(of->handle);
    free(of);
}
static cudaDataType type_of(pxl_precision precision) {
    return precision == PXL_PRECISION_F16 ? CUDA_R_16F : precision == PXL_PRECISION_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}
/* cuBLAS takes columns for rows: it is asked for the transposed product, B' A'. */
static cublasStatus_t multiply(cublasHandle_t handle, const pxli_product *p) {
    const cudaDataType type = type_of(p->precision), result = p->f32 ? CUDA_R_32F : type;
    const cublasComputeType_t arithmetic = p->precision == PXL_PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    return cublas.GemmStridedBatched(handle, p->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                                     p->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p->n, (int)p->m, (int)p->k, &p->alpha, p->b,
                                     type, (int)(p->transpose_b ? p->k : p->n), p->k * p->n, p->a, type,
                                     (int)(p->transpose_a ? p->m : p->k), p->m * p->k, &p->beta, p->c, result, (int)p->n,
                                     p->m * p->n, (int)p->batch, arithmetic, CUBLAS_GEMM_DEFAULT);
}
pxl_status pxli_cublas_multiply(pxli_cublas *of, pxl_stream stream, void *workspace, const pxli_product *p) {
    if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || p->batch > INT32_MAX)
        return pxli_fail(PXL_UNSUPPORTED, "a layer of %lld x %lld is too large for cuBLAS", (long long)p->m, (long long)p->k);
    pxl_status status = check(cublas.SetStream(of->handle, stream), "cublasSetStream");
    void *aligned = (void *)(((uintptr_t)workspace + PXLI_CUBLAS_ALIGN - 1) / PXLI_CUBLAS_ALIGN * PXLI_CUBLAS_ALIGN);
    const size_t bytes = PXLI_CUBLAS_WORKSPACE - PXLI_CUBLAS_ALIGN;
    if (!status) status = check(cublas.SetWorkspace(of->handle, aligned, bytes), "cublasSetWorkspace");
    return status ? status : check(multiply(of->handle, p), "a product of matrices");
}
#endif
