/* Contexts: a device, a thread limit, and networks by name. */
#include "context.h"

#include <stdlib.h>

#include "device.h"
#include "error.h"
#include "network/network.h"

pxl_status pxl_context_create(pxl_device device, int threads, pxl_context **context) {
    if (!context) return pxli_fail(PXL_INVALID_ARGUMENT, "context is NULL; a place for the result is needed");
    pxl_status status = pxli_check_device("device", device);
    if (status) return status;
    if (threads < 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "threads is %d; 0 (as many as OpenMP would use) or more is needed", threads);
    pxl_context *made = calloc(1, sizeof *made);
    if (!made) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a context (%zu bytes)", sizeof *made);
    made->device = device;
    made->threads = threads;
    *context = made;
    return PXL_OK;
}

void pxl_context_destroy(pxl_context *context) {
    while (context && context->networks) {
        pxli_named_network *first = context->networks;
        context->networks = first->next;
        pxl_network_destroy(first->network);
        free(first);
    }
    free(context);
}
