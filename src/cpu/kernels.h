/* What the CPU backend has once per precision and instruction set. */
#ifndef PXLI_KERNELS_H
#define PXLI_KERNELS_H
#include "../backend.h"
#include "../scales.h"

/* What is wanted of some elements: the sum of them, of their magnitudes or squares; or the extremes. */
typedef enum pxli_needs { PXLI_NEEDS_SUM, PXLI_NEEDS_ABSOLUTE, PXLI_NEEDS_SQUARE, PXLI_NEEDS_EXTREMES } pxli_needs;
typedef struct pxli_partial {
    double sum, min, max; /* min and max are NaN if an element is */
} pxli_partial;
typedef struct pxli_region { /* rows [y0, y1) of the planes [plane0, plane1), counted through the images */
    pxli_needs needs;
    const pxl_tensor *tensor, *weight; /* elements whose weight is 0 are left out; NULL: none */
    int64_t plane0, plane1, y0, y1;
} pxli_region;

typedef struct pxli_kernels {
    const char *name; /* of the instruction set */
    /* Scratch that one thread needs for a tile of this pass. */
    size_t (*tile_bytes)(const pxli_call *call, const pxli_pass *pass);
    /* One tile: gradients and maps to the call's tensors, and into `sums` the pass's terms, first residual[], then scored[]. */
    void (*tile)(const pxli_call *call, const pxli_pass *pass, int64_t index, void *scratch, double *sums);
    /* Rows [y0, y1) of a plane of scale j, from the finer one; of its gradient; and what scratch a thread needs for that: pyramid.c. */
    size_t (*pyramid_bytes)(const pxli_call *call);
    void (*halve)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t plane, int64_t y0, int64_t y1, void *scratch);
    void (*weigh)(const pxli_call *call, const pxli_pyramid *p, int j, bool of_target, bool add, int64_t plane, int64_t y0,
                  int64_t y1, void *scratch);
    /* The least and most of both images in a plane of scale j > 0. */
    void (*scale_extremes)(const pxli_call *call, const pxli_pyramid *p, int j, int64_t plane, double extremes[4]);
    /* The charges of a plane's pixels to args->pixel_map. */
    void (*pixel_map)(const pxli_call *call, int64_t plane);
    /* A filter's tiles, numbered 0 to count - 1, and the scratch that one thread needs. */
    int64_t (*filter_tiles)(const pxli_filter_call *call);
    size_t (*filter_bytes)(const pxli_filter_call *call);
    void (*filter)(const pxli_filter_call *call, int64_t index, void *scratch);
    /* Plane `index` (counted through the images) of `from`, in this precision, to that of `to`, or added to it. */
    void (*copy)(const pxl_tensor *from, const pxl_tensor *to, bool add, int64_t index);
    const struct pxli_layer_kernels *layers; /* f32 alone */
    /* Rows [y0, y1) of a plane of the region; f64 alone */
    void (*reduce)(const pxli_region *region, int64_t image, int64_t channel, int64_t y0, int64_t y1, pxli_partial *to);
} pxli_kernels;

/* Those of the instruction set that isa.h names. */
const pxli_kernels *pxli_kernels_for(pxl_dtype dtype);
#endif
