/** @file
 * @brief pixloss: image losses and their exact gradients in one pass over memory.
 *
 * A loss is a weighted sum of terms. A term compares two images, `pred` and `target`, after a *map* (the pixels themselves,
 * their edges, their smoothness, a blur) and charges the difference by a *penalty* (l1, l2, huber, ...); or it scores the
 * statistics of both in a sliding window (ssim, luminance, contrast, structure); or it is a function of the mean squared
 * error (rmse, psnr); or it compares what a network gives for both. One call computes the value of every term and the gradient of
 * the sum.
 *
 *     pxl_loss *loss;                                              // 1. say what to compute: once
 *     pxl_loss_parse("0.84*ssim + 0.16*l1", NULL, &loss);
 *
 *     pxl_tensor pred = pxl_nchw(x, PXL_F32, PXL_CPU_DEVICE, 8, 3, 256, 256), target = ..., grad = ...;
 *     pxl_args args = PXL_ARGS(&pred, &target);                    // 2. say on what: once per shape
 *     args.grad_pred = &grad;
 *     args.values = values;                                        //    1 + terms doubles: total, ssim, l1
 *     size_t bytes;
 *     pxl_workspace_size(NULL, loss, &args, &bytes);
 *     void *workspace = malloc(bytes);
 *     pxl_workspace_init(NULL, loss, &args, workspace, bytes, NULL);
 *
 *     pxl_evaluate(NULL, loss, &args, workspace, bytes, NULL);     // 3. every training step; nothing else happens
 *
 * Conventions, once for all functions:
 *
 * - **Layout.** Sizes are N, C, H, W in this order whatever the memory layout; strides are in elements and arbitrary (also
 *   negative), so NCHW, NHWC, crops, flips and channel slices need no copy. An output may not have a stride of 0 on an axis
 *   longer than 1, nor overlap an input or another output; this is judged by the range of addresses, so interleaved views of one
 *   buffer are refused too. Inputs may overlap freely.
 * - **Devices.** All that a call points to lives on one device: tensors, values, grad_loss, term_weights, results, workspace. CPU
 *   calls are done when they return. CUDA calls are queued to `stream` and return at once: they neither allocate nor wait, may be
 *   captured into a CUDA graph, and leave the current device as it was. What they point to has to live until the stream has
 *   passed them; weight, term_weights and grad_loss are read when the stream gets there, so a captured step follows a schedule.
 *   Structs and losses are read before the call returns.
 * - **Range.** Images are compared as they are. `data_range` is the L of SSIM's and PSNR's definitions: 1 for floating-point
 *   images, 255 for u8 and 65535 for u16 unless it is given.
 * - **Precision.** f32, f16 and bf16 are computed in f32, u8 and u16 too (without gradients); sums are in f64, of small
 *   groups in f32 (16 scores, the charges of sobel, laplacian and tv at 256 columns; on CUDA a few dozen). f64 images (CPU only;
 *   reductions take them everywhere) are computed in f64 throughout: the reference. Networks compute in f32 whatever the images
 *   are, on a GPU in what pxl_precision says; where a sum of squares over channels is beyond f32, unit gives NaN.
 * - **Units.** Pixels, L, delta, beta and eps (psnr's: the square) times a power of two give the same bits, times the same
 *   power, but for psnr, log_cosh and exponents. Squares below the smallest normal number of the type computed in (1.2e-38
 *   for f32) lose digits or vanish: l2, huber, pseudo_huber, log_cosh, rmse, psnr, root of differences below 1e-19; values beyond
 *   the largest (3.4e38) are infinite: the squares of differences above 1.8e19. Windowed terms are computed in units of L, so
 *   they are right for images of any magnitude, or not finite where pixels are 1e19 times L and more; gradients of contrast
 *   and structure fade where they are below 1e-19 times L. Below 1.2e-38 pixels themselves have few digits. delta, beta and
 *   eps are rounded to the type computed in; one beyond f32 is refused where that is f32. A term's weight over what its mean
 *   divides by counts as at most 3.4e38 there.
 * - **Determinism.** Same kind of device, same build, same instruction set, same arguments and alignment: same bits, for any
 *   number of threads, multiprocessors and streams. In networks on the CPU for the same number of threads alone: oneDNN shares
 *   out its sums by it, which changes the last bits, and up to 1e-5 of a style term; on a GPU for the same model of GPU and
 *   versions of cuDNN and cuBLAS, of which no plan is taken that is not deterministic.
 * - **Not a number.** NaN in gives NaN out. A pixel whose weight is 0 contributes nothing, whatever it holds.
 * - **Errors.** Every function that can fail returns a pxl_status and leaves all outputs untouched unless it is PXL_OK;
 *   pxl_error_message() says which argument, which value and what would do. Nothing aborts, prints or throws. A CUDA call that
 *   could not be queued is PXL_DEVICE_ERROR with the kernel's name (some outputs may have been written); one that fails later,
 *   while it runs, is found by the next call that waits, as always in CUDA. Where oneDNN fails in the middle of an evaluation,
 *   for want of memory as a rule, gradients may have been written, too.
 * - **Threads.** Losses and contexts may be shared between threads; a workspace serves one call at a time. After fork() the child
 *   may use on the CPU all that it inherits, workspaces too. If the parent had several threads, the child computes on one, with
 *   the same results, and in networks with those of one thread. A process must not fork while another of its threads is in a call
 *   that uses a network. A CUDA device that the parent has used is of no use to the child, as CUDA has it: PXL_DEVICE_ERROR.
 * - **Memory.** Nothing is allocated by the calls that take a workspace, which is the caller's, aligned to 16 bytes at least; but
 *   a network keeps what it prepared for the last 16 sizes of images (and numbers of threads, with and without gradients; on a
 *   GPU 256), its weights once over, twice with gradients, for all that take them in the same order (as a rule all do; on a GPU
 *   once for each precision), and oneDNN takes some memory of its own in a call. What pxl_workspace_size() has not prepared for
 *   these arguments, the next call does (on a GPU not while a thread captures). A call takes up to 96 KiB of the caller's stack.
 *   A view has at most 2^48 elements; fewer where a CUDA kernel would take more than 2^31 - 1 blocks for them (PXL_UNSUPPORTED,
 *   before anything runs).
 * - **Versions.** Public structs begin with their size (in this version exactly sizeof) and are made by their macro; zero is the
 *   default of every other field, and must be in those that a kind does not use; enums only grow; functions never change. */
#ifndef PIXLOSS_H
#define PIXLOSS_H
#include <stddef.h>
#include <stdint.h>

#if defined PXL_STATIC
#define PXL_API
#elif defined _WIN32
#define PXL_API __declspec(dllimport)
#else
#define PXL_API __attribute__((visibility("default"))) /**< How each function is exported, or imported. */
#endif
#ifdef __cplusplus
extern "C" {
#endif

#include "tensor.h"

/** @defgroup contexts Contexts
 * Needed to limit the threads, and for networks of one's own in expressions.
 * @{ */
/** A device and what belongs to it: a limit on threads, networks by name. NULL does wherever a context is asked for: the tensors'
 * device, all its threads. */
typedef struct pxl_context pxl_context;
/** Makes a context. `threads`: at most so many on the CPU; 0: as many as OpenMP would. Never more than 4 a processor (or 8). */
PXL_API pxl_status pxl_context_create(pxl_device device, int threads, pxl_context **context);
/** Gives it back. NULL is allowed. */
PXL_API void pxl_context_destroy(pxl_context *context);
/** @} */

#include "networks.h"

/** @defgroup losses Losses
 * What is computed: terms with their weights, as structs or as an expression.
 * @{ */
/** What a term compares. In formulas `e = pred - target`, `*` is a correlation, and L the data range.
 *
 * - **Maps** (pixel to blur, features to style) are charged by a penalty.
 * - **Functions of the mean squared error** (rmse, psnr) have a reduction of their own.
 * - **Windowed terms** (ssim to structure) score the statistics of both images in a window (Wang et al., "Image quality
 *   assessment", IEEE TIP 13(4), 2004). With window means mx, my, variances vx, vy, covariance vxy,
 *   `C1 = (k1 L)^2`, `C2 = (k2 L)^2`, `C3 = C2/2`:
 *
 *       l = (2 mx my + C1) / (mx^2 + my^2 + C1)
 *       c = (2 sqrt(vx vy) + C2) / (vx + vy + C2)
 *       s = (vxy + C3) / (sqrt(vx vy) + C3)
 *
 *   As terms they are 0 for equal images, exactly. contrast, structure and exponents need the standard deviations apart:
 *   a variance counts as 0, with a slope of 0, where it is at most 5e-7 (f64: 1e-15) of the window's mean of
 *   `(x + y - 2c)^2 + (x - y - d)^2`, which is what it is computed from; c and d are medians of nine pixels of a tile. */
typedef enum pxl_term_kind {
    PXL_PIXEL = 0,     /**< `e` itself; penalty l2 by default: the mean squared error */
    PXL_SOBEL = 1,     /**< both of `[-1 0 1; -2 0 2; -1 0 1] * e` and its transpose, unnormalised, charges added; default l1 */
    PXL_LAPLACIAN = 2, /**< `[0 1 0; 1 -4 1; 0 1 0] * e`, or with neighbours = 8 `[1 1 1; 1 -8 1; 1 1 1] * e`; default l1 */
    PXL_TV = 3,        /**< forward differences of pred alone to the right and down, 0 past the last; default l1 (anisotropic) */
    PXL_BLUR = 4,      /**< Gaussian of `e`, `window` taps, `sigma` (1.5); default l2 */
    PXL_FEATURES = 5,  /**< `layers` of a network: sum over the layers of their weight times the charges of `F - G`, with F and G
                            what the layer gives for pred and target, of size C' x H' x W' there; with `unit` F and G are divided
                            by their norm over the channels first, `sqrt(1e-8 + sum F^2)`; default l2 */
    PXL_LPIPS = 6,  /**< features with unit, where each channel's charge is multiplied by the network's linear weight: summed over
                            channels, mean over pixels (Zhang et al., 2018; torchmetrics' norm); layers: the last ReLU of each of
                            the first five blocks; normalize: lpips */
    PXL_STYLE = 7,  /**< the same of the Gram matrices F F^T / (C' H' W'), charges added: with l2 the squared Frobenius norm
                            (Johnson et al., 2016); layers: the last ReLU of each of the first four blocks */
    PXL_COSINE = 8, /**< 1 - the cosine between F and G over the channels (with the norm of unit), mean over pixels */
    PXL_RMSE = 16,  /**< `sqrt(MSE)`; the gradient at 0 is 0 */
    PXL_PSNR = 17,  /**< `10 log10(L^2 / (MSE + eps))` in dB: the metric itself, so as a loss it takes a negative weight; infinite
                            for equal images unless eps > 0; the gradient there is 0 */
    PXL_SSIM = 32,  /**< `1 - l^alpha c^beta s^gamma`; with exponents of 1: 1 - SSIM */
    PXL_DSSIM = 33, /**< `(1 - l^alpha c^beta s^gamma) / 2` */
    PXL_LUMINANCE = 34, /**< `1 - l` */
    PXL_CONTRAST = 35,  /**< `1 - c` */
    PXL_STRUCTURE = 36, /**< `1 - s` */
    PXL_MS_SSIM = 37,   /**< 1 - MS-SSIM (Wang, Simoncelli, Bovik, "Multiscale structural similarity", Asilomar 2003): for each
                            channel of each image `1 - product over j of F_j^weight_j`, F_j the mean of c s over the image halved j
                            times (j = 0, 1, ...), at the last of the scales of l c s. With border = valid a window has
                            to fit there: by default 161 pixels each way, else PXL_INVALID_ARGUMENT */
    PXL_ENL = 38        /**< not in this version */
} pxl_term_kind;

/** How a difference d is charged. With a vector map (sobel, tv) the components' charges are added, or with `isotropic` the
 * magnitude `sqrt(dx^2 + dy^2)` is charged once; its gradient is 0 where the magnitude is. */
typedef enum pxl_penalty {
    PXL_PENALTY_DEFAULT = 0, /**< the map's own, see pxl_term_kind; charbonnier when `isotropic` is set */
    PXL_L2 = 1,              /**< `d^2` */
    PXL_L1 = 2,              /**< `|d|`; the gradient at 0 is 0 */
    PXL_HUBER = 3,           /**< `d^2/2` if `|d| <= delta`, else `delta (|d| - delta/2)`; delta = 1 */
    PXL_SMOOTH_L1 = 4,       /**< `huber(beta) / beta`; beta = 1 */
    PXL_CHARBONNIER = 5,     /**< `sqrt(d^2 + eps^2)`; eps = 1e-3 */
    PXL_PSEUDO_HUBER = 6,    /**< `delta^2 (sqrt(1 + (d / delta)^2) - 1)`; delta = 1, which is kornia's charbonnier_loss */
    PXL_LOG_COSH = 7         /**< `log(cosh(d))` */
} pxl_penalty;
/** What becomes of the charges. With S their sum over the positions of the map, each times its weight if there is a weight map,
 * and H' x W' the size of the map, which is that of the image but for border = valid. Per image (args.per_image) the same with
 * N = 1. ms_ssim: a channel of an image is one value, H' = W' = 1. features: C, H', W' are those of each layer. lpips, style,
 * cosine: mean (or spatial) or sum is over the images. */
typedef enum pxl_reduction {
    PXL_MEAN = 0,   /**< S / (N C H' W'), or S / (C sum of weights) */
    PXL_SUM = 1,    /**< `S` */
    PXL_SPATIAL = 2 /**< C times the mean: a sum over channels, a mean over pixels */
} pxl_reduction;
/** What is done to an image, whose values lie in [0, L], before it enters a network. */
typedef enum pxl_normalize {
    PXL_NORMALIZE_DEFAULT = 0,  /**< none; for lpips: lpips */
    PXL_NORMALIZE_NONE = 1,     /**< x */
    PXL_NORMALIZE_IMAGENET = 2, /**< `(x / L - mean) / std` with torchvision's (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225) */
    PXL_NORMALIZE_LPIPS = 3 /**< `(2 x / L - 1 - shift) / scale` with lpips' (-0.030, -0.088, -0.188) and (0.458, 0.448, 0.450) */
} pxl_normalize;
/** In what a network computes on a GPU: products of f32, tf32, f16 or bf16, always summed in f32; tf32, f16 and bf16 on tensor
 * cores. On the CPU it is f32 in any case. */
typedef enum pxl_precision {
    PXL_PRECISION_DEFAULT = 0, /**< as the images' type has it: f32 for all but f16 and bf16 */
    PXL_PRECISION_F32 = 1,     /**< 24 bits of mantissa */
    PXL_PRECISION_TF32 = 2,    /**< 11 bits, f32's range */
    PXL_PRECISION_F16 = 3,     /**< 11 bits */
    PXL_PRECISION_BF16 = 4     /**< 8 bits, f32's range */
} pxl_precision;
/** What becomes of a factor of ms_ssim that is not above 0, which has no power. Where one counts as 0, so does MS-SSIM, and the
 * gradient of that channel (with torchmetrics: of that image) is 0. A scale of weight 0 does not count, whatever its factor. */
typedef enum pxl_clamp {
    PXL_CLAMP_DEFAULT = 0, /**< eps; with a preset, and without an eps, relu */
    PXL_CLAMP_EPS = 1,     /**< a factor below `eps` (penalty_param, below 1; default 1e-4) counts as eps, with a slope of 0 */
    PXL_CLAMP_RELU = 2,    /**< one below 0 counts as 0 */
    PXL_CLAMP_SIMPLE = 3,  /**< all factors are (1 + F_j) / 2 */
    PXL_CLAMP_NONE = 4     /**< none: a negative factor makes value and gradients NaN */
} pxl_clamp;
/** What lies outside the image. A default is that of the preset; for sobel, laplacian and blur it is zero. */
typedef enum pxl_border {
    PXL_BORDER_DEFAULT = 0, /**< see above */
    PXL_VALID = 1,          /**< nothing: only whole windows count, the map is smaller */
    PXL_ZERO = 2,           /**< zeros */
    PXL_REFLECT = 3,        /**< the image mirrored without repeating its edge pixel, `dcb|abcd|cba` */
    PXL_REPLICATE = 4,      /**< its edge pixel, `aaa|abcd|ddd` */
    PXL_SYMMETRIC = 5       /**< mirrored with its edge pixel, `cba|abcd|dcb`, which SciPy calls reflect */
} pxl_border;

/** data_range: max - min of pred or of target, whichever is larger, over the pixels whose weight is not 0, of the batch, or of
 * each image with per_image; a constant for the gradient. */
#define PXL_FROM_DATA (-1.0)
/** downsample: `max(1, round(min(H, W) / 256))`; halves to even as piq, up as vmaf has it. */
#define PXL_DOWNSAMPLE_AUTO (-1)
/** scales: as many as fit the image; with another border than valid all. */
#define PXL_SCALES_AUTO (-1)
/** An exact 0 for k1, k2, alpha, beta, gamma, where 0 stands for the default. */
#define PXL_EXACT_ZERO 1e-300

/** One term; made by PXL_TERM(). Zero is the default of every field but the weight. What windowed terms have, ms_ssim has too, but
 * for downsample. */
typedef struct pxl_term {
    size_t struct_size;      /**< sizeof(pxl_term) */
    pxl_term_kind kind;      /**< what it compares */
    double weight;           /**< finite; 0 computes the value and leaves the gradient alone */
    pxl_reduction reduction; /**< default mean; rmse and psnr have none */
    pxl_penalty penalty;     /**< of a map; default: the map's own */
    double penalty_param;    /**< delta, beta or eps, > 0, default the penalty's; psnr: its eps, >= 0, default 0; ms_ssim: see
                               pxl_clamp */
    int isotropic;           /**< sobel, tv: 1: the magnitude is charged */
    int own_counts;          /**< tv, mean, not isotropic: 1: each direction over its own H (W-1) or (H-1) W differences */
    int root;                /**< tv: 1: the square root of the reduction, of l2, then its default; the gradient at 0 is 0 */
    int neighbours;          /**< laplacian: 4 (default) or 8 */
    int mean_of_images;      /**< rmse, psnr, tv: 1: the mean of each image's own; 0: one value of the whole batch */
    pxl_border border;       /**< sobel, laplacian, blur, windowed terms */
    int window;              /**< taps, odd: windowed terms 3 to 65, blur 3 to 1023 (default 2 int(3.5 sigma + 0.5) + 1) */
    int window_x;            /**< taps along rows, those of `window` being down columns (window=11:5); 0: the same */
    double sigma;            /**< of the Gaussian, in pixels, > 0; not with uniform. Default 1.5 */
    double sigma_x;          /**< along rows likewise (sigma=1.5:0.8); 0: the same. Default taps follow from each */
    int uniform;             /**< windowed terms: 1: all taps equal */
    double k1;               /**< windowed terms: C1 = (k1 L)^2, up to 1e15, or PXL_EXACT_ZERO; default 0.01. Below 1e-15 it
                               counts as 1e-15, so that flat windows have a score: 1 where C1 or C2 is below the rounding
                               of the statistics (docs/numerics.md) */
    double k2;               /**< windowed terms: C2 = (k2 L)^2, the same; default 0.03 */
    double data_range;       /**< L > 0, or PXL_FROM_DATA; windowed terms, psnr, networks. Default 1, 255 (u8) or 65535 (u16) */
    int sample_covariance;   /**< windowed terms: 1: variances times n / (n - 1), n taps in all */
    int downsample;          /**< windowed terms: mean over blocks of so many pixels first, at most H and W; 1: not; or
                               PXL_DOWNSAMPLE_AUTO */
    double alpha;            /**< ssim, dssim: exponent of l, up to 100, or PXL_EXACT_ZERO; default 1. Unless all three are 1,
                               factors below 1e-4 count as 1e-4, with a slope of 0 */
    double beta;             /**< ssim, dssim: the same of c */
    double gamma;            /**< ssim, dssim: the same of s */
    int scales;              /**< ms_ssim: so many of the weights, 1 to 8, or PXL_SCALES_AUTO; default: all of them */
    const char *weights; /**< ms_ssim: of the scales, the finest first, "0.2:0.5:0.3": 1 to 8 numbers from 0 to 100, in at most
                               191 characters, whose sum is above 0 (with scales auto the first one); NULL:
                               0.0448:0.2856:0.3001:0.2363:0.1333. Where only the first are used they are divided by their sum */
    pxl_clamp clamp;     /**< ms_ssim */
    const char *preset;  /**< windowed terms: sets what is zero above; NULL: "wang", for ms_ssim with clamp eps. See
                            pxl_preset_name() */
    const pxl_network *network; /**< features, lpips, style, cosine; NULL: the random one that `net` names */
    const char *net;    /**< vgg16-random (11, 13, 19): weights of seed 1. With a `network`: its name, in the term's name */
    const char *layers; /**< names or numbers from 0, each with its weight if that is not 1: "relu1_2:0.5*relu2_2:15"; at most 16.
                             features' and cosine's default: relu1_2:relu2_2:relu3_3, or what of these there is */
    pxl_normalize normalize; /**< none (lpips: its own); needs three channels: an image of one enters as all of them */
    int unit;                /**< features: 1: F and G are divided by their norm, see PXL_FEATURES */
    pxl_precision precision; /**< features, lpips, style, cosine, on a GPU */
} pxl_term;
#ifdef __cplusplus
static inline pxl_term PXL_TERM(pxl_term_kind kind, double weight) {
    pxl_term term = {};
    term.struct_size = sizeof term, term.kind = kind, term.weight = weight;
    return term;
}
#else
/** A pxl_term of this kind and weight, everything else its default. */
#define PXL_TERM(kind_, weight_) ((pxl_term){.struct_size = sizeof(pxl_term), .kind = (kind_), .weight = (weight_)})
#endif
/** The presets of windowed terms, index 0, 1, ...; NULL past the last. All have k1 = 0.01, k2 = 0.03, and L = 1 but torchmetrics
 * (from the data):
 *
 *     wang         11-tap Gaussian, sigma 1.5, whole windows only; = pytorch-msssim, MONAI's SSIMLoss, scikit-image with
 *                  gaussian_weights = True and use_sample_covariance = False
 *     vainf        wang, but an axis shorter than the window is not smoothed (pytorch-msssim's convention; with another border than
 *                  valid it is, as in wang)
 *     skimage      uniform 7x7, sample covariance, valid: scikit-image's defaults; with a sigma: a Gaussian, taps as in blur
 *     tf           tf.image.ssim: wang
 *     torchmetrics reflect border, taps from sigma as in blur
 *     piq          wang after averaging over blocks (downsample = auto)
 *     kornia       reflect border, window 11, sigma 1.5 (kornia.metrics.ssim: its window_size is the caller's; without its 1e-12)
 *     fused-ssim   zero border, same size, without its clamps
 *     seed         zero border, same size (3D Gaussian splatting)
 *     monai        uniform 7x7, sample covariance, valid (MONAI before 1.2)
 *     vmaf         wang after decimation with a symmetric border (libvmaf, iqa; there the window is rounded to six digits): floor(H
 *                  / factor) rows, and as in libvmaf one more where H is odd, though its block may reach past the image
 *
 * On photographs in f64 each agrees with its library to 10 digits and more where the library computes in float64 throughout;
 * where it rounds (float32 windows of pytorch-msssim, tf, MONAI), to what that leaves. tests/data/known_values.json has the
 * numbers, docs/definitions.md the measured errors.
 *
 * ms_ssim knows five of them: how they halve an axis of odd length, and what else they do.
 *
 *     none, wang, tf  the last pixel counts twice
 *     vainf           pairs begin before the first pixel, with a 0
 *     piq             the same with the first pixel twice, on both axes if either is odd (an even one then loses its last pixel);
 *                     given weights are divided by their sum
 *     torchmetrics    the last pixel does not count; one factor for all channels of an image, their mean; whole windows only at all
 *                     scales but the last; L, unless given, is each scale's own */
PXL_API const char *pxl_preset_name(size_t index);

/** What is to be computed: terms and their weights. Never changes once made, and may be used by several threads at once. */
typedef struct pxl_loss pxl_loss;
/** Makes a loss of 1 to 32 terms, which are copied (networks are kept alive). A field that the term's kind does not use has to be
 * 0; the message names the term and the field, "terms[2].window". */
PXL_API pxl_status pxl_loss_create(const pxl_term *terms, size_t count, pxl_loss **loss);
/** Makes a loss of an expression, "0.84*ssim(window=11, sigma=1.5, border=valid) + 0.16*l1 + 0.1*sobel(charbonnier, eps=1e-3)".
 *
 * - `expression = term { ("+" | "-") term }`
 * - `term = [ "-" ] [ number "*" ] name [ "(" argument { "," argument } ")" ]`
 * - **name**: pixel sobel laplacian tv blur | features lpips style cosine |
 *   ssim dssim ms_ssim luminance contrast structure | rmse psnr |
 *   and the pixel map by its penalty: mse (= l2), l1 (= mae), huber, smooth_l1, charbonnier, pseudo_huber, log_cosh; up to 32 terms
 * - **argument**: a penalty (l1, l2 = mse, huber, smooth_l1, charbonnier, pseudo_huber, log_cosh), a flag (isotropic, anisotropic,
 *   squared (= l2), own_counts, root, unit, uniform, sample_covariance, mean_of_images) or field = value: delta, beta, eps,
 *   reduction (mean sum spatial), neighbours, border (valid zero reflect replicate symmetric; also written padding), window, sigma
 *   (a number, or vertical:horizontal, 11:5), net, layers, normalize (none imagenet lpips), precision (f32 tf32 f16 bf16), k1, k2,
 *   alpha, beta, gamma, data_range, downsample, scales (these a number or auto), weights, clamp (eps relu simple none),
 *   preset (in ssim, beta is the exponent; in smooth_l1 the penalty's)
 *
 * Reads no file. `context` may be NULL. net=NAME is a network that was added to the context, or vgg16-random (11, 13, 19), with
 * random weights of seed 1. Without net it is the context's vgg16, or its only network. An error names its column, from 1. */
PXL_API pxl_status pxl_loss_parse(const char *expression, pxl_context *context, pxl_loss **loss);
/** The number of its terms; 0 for NULL. */
PXL_API size_t pxl_loss_term_count(const pxl_loss *loss);
/** The term as in an expression, without its weight, for logs: "sobel(charbonnier, eps=0.001)". NULL past the last. Lives as
 * long as the loss. */
PXL_API const char *pxl_loss_term_name(const pxl_loss *loss, size_t term);
/** The term's weight; NaN past the last. */
PXL_API double pxl_loss_term_weight(const pxl_loss *loss, size_t term);
/** Gives it back. NULL is allowed. */
PXL_API void pxl_loss_destroy(pxl_loss *loss);
/** @} */

/** @defgroup evaluation Evaluation
 * A loss on images: once per shape a workspace, then one call each step.
 * @{ */
/** What becomes of the target in the networks of features and its like, for targets that stay while pred changes. */
typedef enum pxl_target_use {
    PXL_TARGET_PASSES = 0, /**< its features are computed, and forgotten */
    PXL_TARGET_KEEP = 1,   /**< computed, and kept in the workspace, which is larger for it */
    PXL_TARGET_KEPT = 2    /**< those that the last call with PXL_TARGET_KEEP left in this workspace, which no other call may have
                                used since (that is not noticed, and the values are wrong); all other arguments but the contents
                                of pred as they were then, and no grad_target */
} pxl_target_use;
/** What a loss is evaluated on, and what is wanted of it; made by PXL_ARGS(). A pointer that is NULL: not given, not wanted. */
typedef struct pxl_args {
    size_t struct_size;     /**< sizeof(pxl_args) */
    const pxl_tensor *pred; /**< N x C x H x W */
    /** Sizes and device of pred; its dtype or, beside a floating pred, f32, f16, bf16, u8 or u16. Integers are then read times
     * L / 255 or L / 65535, with L the data_range that terms state (one for all; else 1), and not in a network. */
    const pxl_tensor *target;
    /** N x 1 x H x W, >= 0, f32, or f64 with f64 images; a stride of 0 repeats it; NULL: all 1. A position of a map counts with
     * the weight of its pixel. Where the weight is 0 both images read as 0 (a difference that tv takes to or from there is 0),
     * and the gradients are 0. Not together with downsample, ms_ssim or terms in a network. If all weights that count are 0, the
     * mean is 0. The weights themselves are not checked: a negative one counts as it is, NaN gives NaN. */
    const pxl_tensor *weight;
    /** d total / d pred: sizes of pred; f32, f16, bf16, with a pred of f64 also f64. Elements of a mean over a megapixel are below
     * f16's smallest normal number: scale them by grad_loss, or give an f32 tensor. */
    const pxl_tensor *grad_pred;
    const pxl_tensor *grad_target; /**< d total / d target, the same; not of integers */
    const float *grad_loss;        /**< the upstream gradient of the total; NULL: 1. With per_image one per image */
    /** One per term, finite, in place of the loss's own; NULL: the loss's own. A weight of 0 drops the term from the total and
     * the gradient, even if its value is not finite. (CUDA does not look at them before: one that is not finite makes the total
     * and the gradient NaN.) */
    const float *term_weights;
    double *values;        /**< the weighted total, then each term's value without its weight: 1 + terms of them */
    int per_image;         /**< 1: values has N rows, one per image, and grad_loss N entries */
    const pxl_tensor *map; /**< N x C x H' x W', f32 or f64: SSIM (or l, c, s) of the first windowed term, not of ms_ssim */
    const pxl_tensor *statistics; /**< N x 5C x H' x W', f32 or f64: of the first windowed term, see pxl_ssim_statistics() */
    pxl_target_use target_use;    /**< what becomes of the target in a network */
    /** N x 1 x H x W, f32 or f64: of the first term of kind features, lpips or cosine, where in the image it comes from: the
     * charges at each place of a layer (those of lpips(spatial=True)), enlarged bilinearly to the image and added up over the
     * layers. Its mean is the term's value, but for what enlarging leaves (with reduction = sum it has the charges as they
     * are). */
    const pxl_tensor *feature_map;
    int accumulate; /**< 1: gradients are added to what is there, in the precision of the computation; takes a larger workspace */
    float *values_f32; /**< what `values` is, rounded: in its place or beside it */
    /** N x C x H x W, f32 or f64: of the first term on pixels (mse, l1, huber, ...), the charge of each pixel, times its weight if
     * there is a weight map: what frameworks have as reduction = none. */
    const pxl_tensor *pixel_map;
} pxl_args;
#ifdef __cplusplus
static inline pxl_args PXL_ARGS(const pxl_tensor *pred, const pxl_tensor *target) {
    pxl_args args = {};
    args.struct_size = sizeof args, args.pred = pred, args.target = target;
    return args;
}
#else
/** The pxl_args of these images, from which nothing is wanted yet. */
#define PXL_ARGS(pred_, target_) ((pxl_args){.struct_size = sizeof(pxl_args), .pred = (pred_), .target = (target_)})
#endif
/** Sizes N, C, H', W' of args.map for these images, after downsampling and the border; PXL_INVALID_ARGUMENT if no term is
 * windowed. */
PXL_API pxl_status pxl_map_size(const pxl_loss *loss, const pxl_tensor *pred, int64_t size[4]);
/** A cudaStream_t; NULL on the CPU, and CUDA's default stream otherwise. */
typedef void *pxl_stream;

/** Bytes of scratch for exactly these arguments' shapes, dtypes and wishes, and the context's threads; contents are not looked
 * at.
 *
 * On the CPU some hundred KiB a thread, whatever the image; for terms in a network besides the activations of one image and its
 * target (vgg16 to relu3_3, with a gradient: 1.9 KB a pixel). On CUDA some KiB for `ssim` and all that has no window, and up to
 * about 100 MiB of maps where windows are wide, masked or fold at the border; for terms in a network the activations of some
 * images, as many as have 131,072 pixels together, and what cuDNN asks for. On both, for ms_ssim about 3 bytes, and 5 for each
 * gradient, for every pixel and channel of all images (twice as many in f64), which several such terms share; and where several
 * windows, or averaged blocks, add up to a gradient in a dtype that would round each (f16, bf16; f32 for f64 images), that
 * gradient as it is computed. */
PXL_API pxl_status pxl_workspace_size(pxl_context *context, const pxl_loss *loss, const pxl_args *args, size_t *bytes);
/** Once per workspace, before its first evaluation; again only if one failed. (On CUDA it zeroes a counter, and loads the kernels
 * of this evaluation, so that a capture does not have to: convolutions run once, on zeros. Evaluations of other losses and
 * shapes that need no more bytes may share the workspace.) */
PXL_API pxl_status pxl_workspace_init(pxl_context *context, const pxl_loss *loss, const pxl_args *args, void *workspace,
                                      size_t bytes, pxl_stream stream);
/** Values and gradients. At least one output of pxl_args is wanted. On the CPU a
 * workspace sized for fewer threads limits the call to so many; PXL_WORKSPACE_TOO_SMALL if it is not enough for one. */
PXL_API pxl_status pxl_evaluate(pxl_context *context, const pxl_loss *loss, const pxl_args *args, void *workspace, size_t bytes,
                                pxl_stream stream);
/** @} */

#ifdef __cplusplus
}
#endif

#include "operators.h"
#endif
