/* Which devices there are. */
#ifndef PXLI_DEVICE_H
#define PXLI_DEVICE_H
#include "backend.h"

/* The backend of a device that has been checked. */
const pxli_backend *pxli_backend_of(pxl_device device);
/* That the device exists and this build can use it; `name` opens the message: "pred.device". */
pxl_status pxli_check_device(const char *name, pxl_device device);
#ifdef PXLI_CUDA
/* How many CUDA devices this process can use, 0 with the reason in `reason`; PXL_DEVICE_ERROR if that could not be found out. */
pxl_status pxli_cuda_count(int *count, char *reason, size_t size);
#endif
#endif
