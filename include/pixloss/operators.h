/** @file
 * The filters, statistics and reductions that the losses are made of, each a call of its own, and their adjoints. pixloss.h
 * includes this file. */
#ifndef PIXLOSS_OPERATORS_H
#define PIXLOSS_OPERATORS_H
#include "pixloss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup operators Operators
 * Linear filters of each plane and their adjoints, the statistics of SSIM's window and theirs, reductions. Each is called as a
 * loss is: first the bytes of its workspace, then itself.
 * @{ */
/** A linear filter of each plane. Images f32, f16, bf16 or f64; input and output of one dtype. */
typedef enum pxl_filter_kind {
    PXL_FILTER_SOBEL = 0, /**< two components: output channel c is `[-1 0 1; -2 0 2; -1 0 1] *` channel c, output channel C + c
                                   its transpose */
    PXL_FILTER_LAPLACIAN = 1, /**< as PXL_LAPLACIAN; neighbours = 4 or 8 */
    PXL_FILTER_BLUR = 2,      /**< Gaussian, normalised to a sum of 1 */
    PXL_FILTER_BOX = 3        /**< mean over window x window_x; out of the image counts as the border says */
} pxl_filter_kind;
/** A filter; made by PXL_FILTER(). Zero is the default of every field that has one. */
typedef struct pxl_filter {
    size_t struct_size;   /**< sizeof(pxl_filter) */
    pxl_filter_kind kind; /**< which */
    pxl_border border;    /**< default zero */
    int neighbours;       /**< laplacian: 4 (default) or 8 */
    int window;           /**< blur, box: taps, 1 to 1023; even only with border = valid. blur's default:
                               2 int(3.5 sigma + 0.5) + 1; box has none */
    int window_x;         /**< taps along rows, those of `window` being down columns; 0: the same */
    double sigma;         /**< blur: > 0, in pixels */
    double sigma_x;       /**< along rows likewise; 0: the same */
} pxl_filter;
#ifdef __cplusplus
static inline pxl_filter PXL_FILTER(pxl_filter_kind kind) {
    pxl_filter filter = {};
    filter.struct_size = sizeof filter, filter.kind = kind;
    return filter;
}
#else
/** A pxl_filter of this kind, the other fields 0. */
#define PXL_FILTER(kind_) ((pxl_filter){.struct_size = sizeof(pxl_filter), .kind = (kind_)})
#endif
/** Bytes of scratch of pxl_filter_apply(); the adjoint with input and output exchanged needs no more. */
PXL_API pxl_status pxl_filter_workspace_size(pxl_context *context, const pxl_filter *filter, const pxl_tensor *input,
                                             const pxl_tensor *output, size_t *bytes);
/** The filtered image: input N x C x H x W -> output N x kC x H' x W', k = 2 for sobel, else 1; H' = H but H - window + 1 for
 * valid, W' likewise. */
PXL_API pxl_status pxl_filter_apply(pxl_context *context, const pxl_filter *filter, const pxl_tensor *input,
                                    const pxl_tensor *output, void *workspace, size_t bytes, pxl_stream stream);
/** The filter's transpose, border included: grad_output N x kC x H' x W' -> grad_input N x C x H x W, with
 * `<filter(a), b> = <a, adjoint(b)>` for all a, b. */
PXL_API pxl_status pxl_filter_adjoint(pxl_context *context, const pxl_filter *filter, const pxl_tensor *grad_output,
                                      const pxl_tensor *grad_input, void *workspace, size_t bytes, pxl_stream stream);

/** Bytes of scratch of pxl_ssim_statistics() and of its adjoint. */
PXL_API pxl_status pxl_ssim_statistics_workspace_size(pxl_context *context, const pxl_term *term, const pxl_tensor *pred,
                                                      const pxl_tensor *target, size_t *bytes);
/** The window's statistics: channels [0,C) of `statistics` are the means mx, then my, the variances vx, vy, and the covariance
 * vxy. `term` is a windowed term (PXL_TERM(PXL_SSIM, 1)) whose window, sigma, uniform, border, sample_covariance and preset say
 * how; one that averages over blocks first is PXL_UNSUPPORTED. pred, target: f32, f16, bf16, f64; statistics: N x 5C x H' x W',
 * f32, or f64 with f64 images. */
PXL_API pxl_status pxl_ssim_statistics(pxl_context *context, const pxl_term *term, const pxl_tensor *pred,
                                       const pxl_tensor *target, const pxl_tensor *statistics, void *workspace, size_t bytes,
                                       pxl_stream stream);
/** The gradients of `sum(grad_statistics * statistics(pred, target))`, products element by element; either output may be NULL. */
PXL_API pxl_status pxl_ssim_statistics_adjoint(pxl_context *context, const pxl_term *term, const pxl_tensor *pred,
                                               const pxl_tensor *target, const pxl_tensor *grad_statistics,
                                               const pxl_tensor *grad_pred, const pxl_tensor *grad_target, void *workspace,
                                               size_t bytes, pxl_stream stream);

/** A deterministic reduction of any dtype, summed in f64; NaN anywhere gives NaN. */
typedef enum pxl_reduce_kind {
    PXL_REDUCE_SUM = 0,  /**< the sum */
    PXL_REDUCE_MEAN = 1, /**< the mean */
    PXL_REDUCE_MIN = 2,  /**< the smallest */
    PXL_REDUCE_MAX = 3,  /**< the largest */
    PXL_REDUCE_L1 = 4,   /**< sum of `|x|` */
    PXL_REDUCE_L2 = 5    /**< `sqrt` of the sum of squares */
} pxl_reduce_kind;
/** What one result is of. */
typedef enum pxl_reduce_over {
    PXL_OVER_ALL = 0,    /**< everything: one result */
    PXL_OVER_IMAGE = 1,  /**< one for each image: N */
    PXL_OVER_CHANNEL = 2 /**< one for each channel of each image: N x C */
} pxl_reduce_over;
/** Bytes of scratch of pxl_reduce(). */
PXL_API pxl_status pxl_reduce_workspace_size(pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over,
                                             const pxl_tensor *input, size_t *bytes);
/** Reduces `input` to `results`: as many doubles as `over` says, on the tensor's device. */
PXL_API pxl_status pxl_reduce(pxl_context *context, pxl_reduce_kind kind, pxl_reduce_over over, const pxl_tensor *input,
                              double *results, void *workspace, size_t bytes, pxl_stream stream);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
