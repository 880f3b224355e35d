/* Checks of single views and of the memory that several of them share; what check.c and check_operators.c are made of. */
#ifndef PXLI_VIEW_H
#define PXLI_VIEW_H
#include "check.h"

/* One view: dtype, device, rank, sizes, pointer, extent; of an output also that no two elements coincide. */
pxl_status pxli_check_view(const char *name, const pxl_tensor *tensor, bool output);
/* That `tensor` has the sizes `expected`; `because` ends the message: "as pred has". */
pxl_status pxli_check_sizes(const char *name, const pxl_tensor *tensor, const int64_t expected[4], const char *because);
pxl_status pxli_check_same_device(const char *name, const pxl_tensor *tensor, const char *other_name, const pxl_tensor *other);
pxl_status pxli_check_context(const pxl_context *context, const char *name, const pxl_tensor *tensor);
/* That two images may be compared: valid views of the same device and sizes, on the context's device; of one dtype, or `mixed` as
 * pxl_args has it. */
pxl_status pxli_check_pair(const pxl_context *context, const pxl_tensor *pred, const pxl_tensor *target, bool mixed);
/* The gradient of an image: an output of its sizes, of a floating dtype; f64 where images are computed
 * in that alone. */
pxl_status pxli_check_gradient(const char *name, const pxl_tensor *gradient, const char *image_name, const pxl_tensor *image,
                               bool f64);
/* That whole windows fit where the border is valid, and that averaging leaves something. `what` opens the message. */
pxl_status pxli_check_fits(const pxli_window *window, const char *what, const char *name, const pxl_tensor *image);
const char *pxli_dtype_name(pxl_dtype dtype);

/* The memory that a call reads and writes. */
enum { PXLI_MAX_USES = 14 };
typedef struct pxli_uses {
    struct {
        const char *name;
        pxli_span span;
        bool output;
    } use[PXLI_MAX_USES];
    int count;
} pxli_uses;
/* Both do nothing for NULL. */
void pxli_use_tensor(pxli_uses *uses, const char *name, const pxl_tensor *tensor, bool output);
/* `count` elements of `bytes` each, which is also the alignment; count is that of a checked view times at most PXLI_MAX_TERMS
 * + 1. */
pxl_status pxli_use_array(pxli_uses *uses, const char *name, const void *array, int64_t count, int64_t bytes, bool output);
/* No output shares bytes with anything else, as far as the ranges of addresses tell. */
pxl_status pxli_check_uses(const pxli_uses *uses);
#endif
