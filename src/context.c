/* Contexts: a device and a thread limit. */
#include "context.h"

#include <stdlib.h>

#include "error.h"

static pxl_status check_device(pxl_device device) {
    if (device.type == PXL_CUDA)
        return pxli_fail(PXL_UNSUPPORTED, "device is CUDA device %d, but this build has no CUDA backend", device.index);
    if (device.type != PXL_CPU)
        return pxli_fail(PXL_INVALID_ARGUMENT, "device.type is %d; 0 (CPU) or 1 (CUDA) is needed", (int)device.type);
    if (device.index != 0) return pxli_fail(PXL_INVALID_ARGUMENT, "device.index is %d; the only CPU device is 0", device.index);
    return PXL_OK;
}

pxl_status pxl_context_create(pxl_device device, int threads, pxl_context **context) {
    if (!context) return pxli_fail(PXL_INVALID_ARGUMENT, "context is NULL; a place for the result is needed");
    pxl_status status = check_device(device);
    if (status) return status;
    if (threads < 0)
        return pxli_fail(PXL_INVALID_ARGUMENT, "threads is %d; 0 (as many as OpenMP would use) or more is needed", threads);
    pxl_context *made = malloc(sizeof *made);
    if (!made) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a context (%zu bytes)", sizeof *made);
    made->device = device;
    made->threads = threads;
    *context = made;
    return PXL_OK;
}

void pxl_context_destroy(pxl_context *context) { free(context); }

pxl_status pxl_device_count(pxl_device_type type, int *count) {
    if (!count) return pxli_fail(PXL_INVALID_ARGUMENT, "count is NULL; a place for the result is needed");
    if (type != PXL_CPU && type != PXL_CUDA)
        return pxli_fail(PXL_INVALID_ARGUMENT, "type is %d; 0 (CPU) or 1 (CUDA) is needed", (int)type);
    *count = type == PXL_CPU;
    // No failure: the header promises the reason for a count of 0 in the message.
    if (type == PXL_CUDA) pxli_fail(PXL_OK, "there are no CUDA devices: this build has no CUDA backend");
    return PXL_OK;
}
