/* Convolutions by oneDNN, which is looked for when they are first asked for. Where it was missing when the library was built, or is
 * missing where it runs, all else works. */
#ifndef PXLI_ONEDNN_H
#define PXLI_ONEDNN_H
#include "engine.h"

pxl_status pxli_onednn_available(void);
/* All convolutions of the stages; fills in p->own and p->scratch. */
pxl_status pxli_onednn_prepare(pxli_prepared *p);
void pxli_onednn_forget(pxli_prepared *p);
pxl_status pxli_onednn_forward(const pxli_prepared *p, const pxli_stage *stage, const float *in, float *out, void *scratch);
pxl_status pxli_onednn_backward(const pxli_prepared *p, const pxli_stage *stage, const float *grad_out, float *grad_in,
                                void *scratch);
/* C = alpha A B + beta C, row-major: m x k times k x n, either transposed. */
pxl_status pxli_onednn_multiply(const pxli_prepared *p, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                                float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                                int64_t ldc);
#endif
