/* Products of matrices on a GPU by cuBLAS, which is looked for when it is first asked for. Every pointer to data is the device's. */
#ifndef PXLI_CUBLAS_H
#define PXLI_CUBLAS_H
#include <stdbool.h>
#include <stddef.h>

#include "pixloss/pixloss.h"

pxl_status pxli_cublas_available(void);

/* cuBLAS on the current device. Not for two threads at once. */
typedef struct pxli_cublas pxli_cublas;
pxl_status pxli_cublas_create(pxli_cublas **cublas);
void pxli_cublas_destroy(pxli_cublas *cublas); /* NULL is allowed */

enum { PXLI_CUBLAS_ALIGN = 256, PXLI_CUBLAS_WORKSPACE = (4 << 20) + PXLI_CUBLAS_ALIGN }; /* bytes that it works in */

/* C = alpha A B + beta C for each of `batch`, dense and row-major: m x k times k x n, either stored transposed. The type of A and B, and
 * of C unless it is f32, is the precision's. */
typedef struct pxli_product {
    pxl_precision precision;
    bool transpose_a, transpose_b, f32;
    int64_t m, n, k, batch;
    float alpha, beta;
    const void *a, *b;
    void *c;
} pxli_product;
pxl_status pxli_cublas_multiply(pxli_cublas *cublas, pxl_stream stream, void *workspace, const pxli_product *p);
#endif
