/** @file
 * What every call deals in: a status, devices, views of images. A part of pixloss.h, which includes it. */
#ifndef PIXLOSS_TENSOR_H
#define PIXLOSS_TENSOR_H
#ifndef PIXLOSS_H
#error "pixloss/tensor.h is a part of pixloss/pixloss.h, which is to be included"
#endif

/** @defgroup status Status
 * What a call returns, and why it failed.
 * @{ */
/** What became of a call. */
typedef enum pxl_status {
    PXL_OK = 0,                  /**< done */
    PXL_INVALID_ARGUMENT = 1,    /**< outside its documented range, or two arguments that do not fit */
    PXL_SYNTAX_ERROR = 2,        /**< in an expression; the message names the column and the nearest known name */
    PXL_UNSUPPORTED = 3,         /**< valid, but not by this build or on this device; the message says what is missing */
    PXL_WORKSPACE_TOO_SMALL = 4, /**< the message says how many bytes are needed */
    PXL_OUT_OF_MEMORY = 5,       /**< of the few functions that allocate; the message says for what */
    PXL_IO_ERROR = 6,            /**< a file could not be read, or is not what it should be */
    PXL_DEVICE_ERROR = 7         /**< a CUDA call failed; the message names the call, or the kernel */
} pxl_status;
/** The constant's name, "PXL_OK"; "PXL_UNKNOWN_STATUS" for a number that is none. Never NULL. */
PXL_API const char *pxl_status_name(pxl_status status);
/** Of this thread's last failure, in one line; "" before the first. Valid until this thread's next failure. Never NULL. */
PXL_API const char *pxl_error_message(void);
/** "major.minor.patch" of the library that runs. */
PXL_API const char *pxl_version(void);
/** @} */

/** @defgroup tensors Devices and tensors
 * Views of images, wherever and however they lie.
 * @{ */
/** A kind of device. */
typedef enum pxl_device_type {
    PXL_CPU = 0, /**< the host */
    PXL_CUDA = 1 /**< an NVIDIA GPU, in builds with CUDA */
} pxl_device_type;
/** A device of this machine. */
typedef struct pxl_device {
    pxl_device_type type; /**< its kind */
    int index;            /**< CUDA's number of it, from 0; 0 for the CPU */
} pxl_device;
#ifdef __cplusplus
#define PXL_CPU_DEVICE     (pxl_device{PXL_CPU, 0})
#define PXL_CUDA_DEVICE(i) (pxl_device{PXL_CUDA, i})
#else
#define PXL_CPU_DEVICE     ((pxl_device){PXL_CPU, 0})  /**< The pxl_device that is the CPU. */
#define PXL_CUDA_DEVICE(i) ((pxl_device){PXL_CUDA, i}) /**< The pxl_device that is GPU `i`, from 0. */
#endif
/** How many devices of a type this process can use: 1 for the CPU. 0 CUDA devices is no error; pxl_error_message() says why. */
PXL_API pxl_status pxl_device_count(pxl_device_type type, int *count);
/** One line, of `size` bytes at most: "CPU, avx512 (of avx512, avx2, sse2), 2 threads"; a GPU's name, capability, size, driver. */
PXL_API pxl_status pxl_device_describe(pxl_device device, char *text, size_t size);

/** What an element is. */
typedef enum pxl_dtype {
    PXL_F32 = 0,  /**< float */
    PXL_F16 = 1,  /**< IEEE 754 binary16; computed in f32 */
    PXL_BF16 = 2, /**< the upper half of a float; computed in f32 */
    PXL_F64 = 3,  /**< double; on the CPU (reductions also on CUDA) */
    PXL_U8 = 4,   /**< unsigned 8 bit; has no gradient */
    PXL_U16 = 5   /**< unsigned 16 bit; has no gradient */
} pxl_dtype;

/** A view; owns nothing. Element (n,c,y,x) is at `data + n*stride[0] + c*stride[1] + y*stride[2] + x*stride[3]` elements. */
typedef struct pxl_tensor {
    void *data;        /**< element (0,0,0,0), aligned to its type */
    pxl_dtype dtype;   /**< of the elements */
    pxl_device device; /**< where they lie */
    int ndim;          /**< 4: N, C, H, W. Other ranks are PXL_UNSUPPORTED: pass a volume N,C,D,H,W as N,C*D,H,W */
    int64_t size[5];   /**< N, C, H, W; the fifth is not read */
    int64_t stride[5]; /**< in elements, also 0 (inputs) or negative; the fifth is not read */
} pxl_tensor;
/** A dense view of n x c x h x w elements, planes after one another. No checks: a call checks what it is given. */
PXL_API pxl_tensor pxl_nchw(void *data, pxl_dtype dtype, pxl_device device, int64_t n, int64_t c, int64_t h, int64_t w);
/** A dense view of n x c x h x w elements, channels last. No checks: a call checks what it is given. */
PXL_API pxl_tensor pxl_nhwc(void *data, pxl_dtype dtype, pxl_device device, int64_t n, int64_t c, int64_t h, int64_t w);
/** The view of `height` x `width` pixels whose first pixel is (y, x). No checks. */
PXL_API pxl_tensor pxl_crop(pxl_tensor tensor, int64_t y, int64_t x, int64_t height, int64_t width);
/** @} */
#endif
