/* The thread-local message, the names of statuses, the version. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

#ifndef PXLI_VERSION
#define PXLI_VERSION "0.0.0"
#endif
#define PXL_VERSION PXLI_VERSION

static _Thread_local char message[512];

pxl_status pxli_fail(pxl_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    /* One line of a log or a terminal, whatever stands in a text of the caller's that it quotes. */
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return status;
}

const char *pxl_error_message(void) { return message; }

const char *pxl_status_name(pxl_status status) {
    switch (status) {
        case PXL_OK: return "PXL_OK";
        case PXL_INVALID_ARGUMENT: return "PXL_INVALID_ARGUMENT";
        case PXL_SYNTAX_ERROR: return "PXL_SYNTAX_ERROR";
        case PXL_UNSUPPORTED: return "PXL_UNSUPPORTED";
        case PXL_WORKSPACE_TOO_SMALL: return "PXL_WORKSPACE_TOO_SMALL";
        case PXL_OUT_OF_MEMORY: return "PXL_OUT_OF_MEMORY";
        case PXL_IO_ERROR: return "PXL_IO_ERROR";
        case PXL_DEVICE_ERROR: return "PXL_DEVICE_ERROR";
    }
    return "PXL_UNKNOWN_STATUS";
}

const char *pxl_version(void) { return PXL_VERSION; }
