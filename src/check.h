/* Checks of what callers pass: each names the argument and the value, and looks at no pixel. */
#ifndef PXLI_CHECK_H
#define PXLI_CHECK_H
#include "loss.h"

typedef struct pxli_span { /* the bytes a view may touch: [low, high) */
    uintptr_t low, high;
} pxli_span;
pxli_span pxli_tensor_span(const pxl_tensor *tensor);
int64_t pxli_dtype_bytes(pxl_dtype dtype); /* 0 for a number that is none */

/* The term that maps and statistics are of; NULL if none is windowed. */
const pxli_term *pxli_first_windowed(const pxl_loss *loss);
/* The one whose charges args->pixel_map has; NULL if none is on pixels. */
const pxli_term *pxli_first_pixel(const pxl_loss *loss);
/* Of an integer target beside a floating pred; else {1, 1}. */
pxli_unit pxli_target_unit(const pxl_loss *loss, const pxl_args *args);
/* The factor of `downsample` for an image of this size. */
int pxli_downsample_factor(const pxli_window *window, int64_t height, int64_t width);
/* Sizes after downsampling (piq: whole blocks; vmaf: n / f + (n & 1) as libvmaf has it), and of the map after the border. */
void pxli_pooled_size(const pxli_window *window, int64_t height, int64_t width, int64_t *pooled_height, int64_t *pooled_width);
void pxli_map_size(const pxli_window *window, int64_t height, int64_t width, int64_t *map_height, int64_t *map_width);

/* All that pxl_evaluate and pxl_workspace_size may refuse, but for the workspace itself. */
pxl_status pxli_check_args(const pxl_context *context, const pxl_loss *loss, const pxl_args *args);
pxl_status pxli_check_filter(const pxl_context *context, const pxl_filter *filter, const pxl_tensor *image,
                             const char *image_name, const pxl_tensor *filtered, const char *filtered_name, bool image_is_output);
/* statistics_name NULL: the views are not known yet, for the size of a workspace; they and the gradients are not looked at. */
pxl_status pxli_check_statistics(const pxl_context *context, const pxli_term *term, const pxl_tensor *pred,
                                 const pxl_tensor *target, const pxl_tensor *statistics, const char *statistics_name,
                                 bool statistics_are_output, const pxl_tensor *grad_pred, const pxl_tensor *grad_target);
pxl_status pxli_check_reduce(const pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over, const pxl_tensor *input);
/* The results of a reduction of an `input` that is known to be good: not NULL, aligned, disjoint from it. */
pxl_status pxli_check_results(pxl_reduce_over over, const pxl_tensor *input, const double *results);
/* A workspace pointer: not NULL, aligned to 16 bytes, disjoint from all `count` views in `tensors` (NULL entries are skipped). */
pxl_status pxli_check_workspace(const void *workspace, size_t bytes, size_t needed, const pxl_tensor *const *tensors, int count);
#endif
