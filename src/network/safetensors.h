/* Reads safetensors files: 8 bytes with the length of a JSON header, little-endian; the header, {"name": {"dtype": "F32",
 * "shape": [64, 3, 3, 3], "data_offsets": [0, 6912]}, ..., "__metadata__": {"key": "text"}}; the data, which the tensors cover
 * without a gap or an overlap. Format: https://github.com/huggingface/safetensors. A file is not trusted: all of the header is
 * checked when it is opened, and nothing outside the file is ever read. Messages name the file and the tensor. */
#ifndef PXLI_SAFETENSORS_H
#define PXLI_SAFETENSORS_H
#include <stddef.h>
#include <stdint.h>

#include "pixloss/pixloss.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PXLI_STORED_DIMENSIONS = 8, PXLI_DTYPE_LENGTH = 16 };

typedef struct pxli_tensors pxli_tensors;
typedef struct pxli_stored {
    const char *name;
    char dtype[PXLI_DTYPE_LENGTH]; /* as the format spells it: "F32", "BF16", "F8_E4M3", ... */
    int ndim;
    int64_t size[PXLI_STORED_DIMENSIONS]; /* outermost first, dense; may be 0 */
    const void *data;                     /* at any alignment, little-endian */
    size_t bytes;
} pxli_stored;

/* Maps the file until pxli_tensors_close; it must not be cut short meanwhile, as a page that is gone ends the process.
 * PXL_IO_ERROR: unreadable or malformed. PXL_OUT_OF_MEMORY. PXL_UNSUPPORTED: a build without libjansson. */
pxl_status pxli_tensors_open(const char *path, pxli_tensors **tensors);
/* The same for a file's contents in memory, which stay the caller's and have to outlive the tensors. */
pxl_status pxli_tensors_open_memory(const void *data, size_t bytes, pxli_tensors **tensors);
void pxli_tensors_close(pxli_tensors *tensors); /* NULL is allowed */

/* In the order of the data. What these return lives until the close. */
size_t pxli_tensors_count(const pxli_tensors *tensors);
const pxli_stored *pxli_tensors_at(const pxli_tensors *tensors, size_t i);           /* NULL past the last */
const pxli_stored *pxli_tensors_find(const pxli_tensors *tensors, const char *name); /* NULL: there is none */

/* Every element of an F32, F16 or BF16 tensor; of any other PXL_IO_ERROR. */
pxl_status pxli_stored_to_floats(const pxli_stored *stored, float *out);

#ifdef __cplusplus
}
#endif
#endif
