/* Losses: made from an array of terms, immutable afterwards. */
#include "loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "terms.h"

pxl_status pxli_loss_allocate(size_t count, pxl_loss **loss) {
    size_t bytes = sizeof(pxl_loss) + count * sizeof(pxli_term);
    pxl_loss *made = malloc(bytes);
    if (!made) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a loss (%zu bytes)", bytes);
    made->count = (int)count;
    *loss = made;
    return PXL_OK;
}

pxl_status pxl_loss_create(const pxl_term *terms, size_t count, pxl_loss **loss) {
    if (!loss) return pxli_fail(PXL_INVALID_ARGUMENT, "loss is NULL; a place for the result is needed");
    if (!terms) return pxli_fail(PXL_INVALID_ARGUMENT, "terms is NULL; an array of terms is needed");
    if (count < 1 || count > PXLI_MAX_TERMS)
        return pxli_fail(PXL_INVALID_ARGUMENT, "count is %zu; a loss has 1 to %d terms", count, PXLI_MAX_TERMS);
    pxl_loss *made = NULL;
    pxl_status status = pxli_loss_allocate(count, &made);
    if (status) return status;
    made->count = 0;
    for (size_t i = 0; !status && i < count; i++) {
        char where[16];
        snprintf(where, sizeof where, "terms[%u]", (unsigned)i % PXLI_MAX_TERMS);
        const pxli_place place = {.term = where, .before = made->terms, .before_count = (int)i};
        status = pxli_term_resolve_at(&terms[i], &place, &made->terms[i]);
        if (!status) made->count = (int)i + 1;
    }
    if (status)
        pxl_loss_destroy(made);
    else
        *loss = made;
    return status;
}

void pxli_terms_release(const pxli_term *terms, size_t count) {
    for (size_t i = 0; i < count; i++) pxl_network_destroy((pxl_network *)terms[i].features.network);
}
void pxl_loss_destroy(pxl_loss *loss) {
    if (loss) pxli_terms_release(loss->terms, (size_t)loss->count);
    free(loss);
}

size_t pxl_loss_term_count(const pxl_loss *loss) { return loss ? (size_t)loss->count : 0; }

const char *pxl_loss_term_name(const pxl_loss *loss, size_t term) {
    return term < pxl_loss_term_count(loss) ? loss->terms[term].name : NULL;
}

double pxl_loss_term_weight(const pxl_loss *loss, size_t term) {
    return term < pxl_loss_term_count(loss) ? loss->terms[term].weight : NAN;
}
