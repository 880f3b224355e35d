/* The thread-local message behind pxl_error_message(). */
#ifndef PXLI_ERROR_H
#define PXLI_ERROR_H
#include "pixloss/pixloss.h"

/* Stores the message (never allocates, cuts at 511 bytes) and returns `status`, so that a check reads
 *     return pxli_fail(PXL_INVALID_ARGUMENT, "window is %d; an odd number from 3 to 65 is needed", window); */
pxl_status pxli_fail(pxl_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
