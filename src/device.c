/* Which devices there are, and which backend computes on them. */
#include "device.h"

#include <stdio.h>

#include "error.h"

enum { REASON = 256 };
#ifdef PXLI_CUDA
static pxl_status cuda_count(int *count, char *reason) { return pxli_cuda_count(count, reason, REASON); }
#else
static pxl_status cuda_count(int *count, char *reason) {
    snprintf(reason, REASON, "this build has no CUDA backend");
    *count = 0;
    return PXL_OK;
}
#endif

const pxli_backend *pxli_backend_of(pxl_device device) {
#ifdef PXLI_CUDA
    if (device.type == PXL_CUDA) return &pxli_cuda_backend;
#endif
    (void)device;
    return &pxli_cpu_backend;
}

static pxl_status check_cuda(const char *name, int index) {
    char reason[REASON];
    int count;
    const pxl_status status = cuda_count(&count, reason);
    if (status) return status;
    if (count == 0) return pxli_fail(PXL_UNSUPPORTED, "%s is CUDA device %d, but %s", name, index, reason);
    if (index < 0 || index >= count)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is CUDA device %d; there are 0 to %d", name, index, count - 1);
    return PXL_OK;
}
pxl_status pxli_check_device(const char *name, pxl_device device) {
    if (device.type == PXL_CUDA) return check_cuda(name, device.index);
    if (device.type != PXL_CPU)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s.type is %d; 0 (CPU) or 1 (CUDA) is needed", name, (int)device.type);
    if (device.index != 0) return pxli_fail(PXL_INVALID_ARGUMENT, "%s.index is %d; the only CPU device is 0", name, device.index);
    return PXL_OK;
}

pxl_status pxl_device_count(pxl_device_type type, int *count) {
    char reason[REASON];
    if (!count) return pxli_fail(PXL_INVALID_ARGUMENT, "count is NULL; a place for the result is needed");
    if (type != PXL_CPU && type != PXL_CUDA)
        return pxli_fail(PXL_INVALID_ARGUMENT, "type is %d; 0 (CPU) or 1 (CUDA) is needed", (int)type);
    int found = 1;
    const pxl_status status = type == PXL_CPU ? PXL_OK : cuda_count(&found, reason);
    if (status) return status;
    *count = found;
    /* No failure: the header promises the reason for a count of 0 in the message. */
    if (*count == 0) pxli_fail(PXL_OK, "there are no CUDA devices: %s", reason);
    return PXL_OK;
}

pxl_status pxl_device_describe(pxl_device device, char *text, size_t size) {
    if (!text || !size) return pxli_fail(PXL_INVALID_ARGUMENT, "text is NULL or size is 0; room for the description is needed");
    const pxl_status status = pxli_check_device("device", device);
    if (!status) pxli_backend_of(device)->describe(device, text, size);
    return status;
}
