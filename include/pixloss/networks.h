/** @file
 * The networks of the perceptual terms: layers, weights, files. A part of pixloss.h, which includes it. */
#ifndef PIXLOSS_NETWORKS_H
#define PIXLOSS_NETWORKS_H
#ifndef PIXLOSS_H
#error "pixloss/networks.h is a part of pixloss/pixloss.h, which is to be included"
#endif

/** @defgroup networks Networks
 * For the perceptual terms: on the CPU by oneDNN, on a GPU by cuDNN and cuBLAS, which are looked for at run time.
 * @{ */
/** A stack of layers, as VGG's, through which `features`, `lpips`, `style` and `cosine` put both images. */
typedef struct pxl_network pxl_network;
/** What a layer does. */
typedef enum pxl_layer_kind {
    PXL_CONVOLUTION = 0, /**< size x size, stride 1, zero padding of size / 2, a bias */
    PXL_RELU = 1,        /**< max(x, 0); NaN goes through */
    PXL_MAX_POOL = 2,    /**< 2 x 2, stride 2; an odd last row or column is dropped. The gradient goes to the first of equals */
    PXL_AVERAGE_POOL = 3 /**< the mean over the same */
} pxl_layer_kind;
/** One layer of a network; made by PXL_LAYER(). */
typedef struct pxl_layer {
    size_t struct_size;  /**< sizeof(pxl_layer) */
    pxl_layer_kind kind; /**< what it does; what follows is a convolution's, but for `linear` */
    int inputs;          /**< channels that it takes, 1 to 4096 */
    int outputs;         /**< channels that it gives, 1 to 4096 */
    int size;            /**< taps along each axis, odd, 1 to 15 */
    const float *weight; /**< outputs x inputs x size x size; copied */
    const float *bias;   /**< outputs; NULL: zeros; copied */
    const float *linear; /**< what lpips multiplies each channel of this layer by, in its distance; NULL: none */
} pxl_layer;
#ifdef __cplusplus
static inline pxl_layer PXL_LAYER(pxl_layer_kind kind) {
    pxl_layer layer = {};
    layer.struct_size = sizeof layer, layer.kind = kind;
    return layer;
}
#else
/** A pxl_layer of this kind, the other fields 0. */
#define PXL_LAYER(kind_) ((pxl_layer){.struct_size = sizeof(pxl_layer), .kind = (kind_)})
#endif
/** Makes a network of 1 to 256 layers, each with the channels that the one before it gives. */
PXL_API pxl_status pxl_network_create(const pxl_layer *layers, size_t count, pxl_network **network);
/** Makes a network of random weights, the same for the same seed everywhere. `architecture`: vgg11, vgg13, vgg16, vgg19
 * (torchvision's `features`), or a list in the manner of torchvision, "3:64,64,M,128k5,A": the image's channels (3 if left out),
 * then for each convolution, which a ReLU follows, its output channels and k with its size (3 if left out), M for max pooling
 * and A for average pooling. Weights are drawn from `+-sqrt(6 / (inputs size^2))` (He et al., 2015, "Delving deep into
 * rectifiers"), biases are 0, lpips' weights 1. Distances in random features tell structure apart and suit tests; they are not
 * those of the trained network. */
PXL_API pxl_status pxl_network_random(const char *architecture, uint64_t seed, pxl_network **network);
/** Reads weights from a safetensors file with torchvision's names, features.N.weight and features.N.bias, N the layer's number,
 * in f32, f16 or bf16; tensors of other names are passed over. `architecture` NULL: one that follows from the names and shapes
 * (pooling is by the maximum). linear_path: lpips' weights, lin0.weight, lin1.weight, ... of the last ReLU of each block; NULL:
 * none. PXL_IO_ERROR names file and tensor (libjansson may misread it without memory). scripts/convert_weights.py makes both. */
PXL_API pxl_status pxl_network_load(const char *path, const char *architecture, const char *linear_path, pxl_network **network);
/** Gives it back. Losses and contexts that use it keep it alive. NULL is allowed. On a GPU not before the streams have passed the
 * calls that use it, and not while CUDA graphs in which such calls were captured are launched. */
PXL_API void pxl_network_destroy(pxl_network *network);
/** The number of its layers; 0 for NULL. */
PXL_API size_t pxl_network_layer_count(const pxl_network *network);
/** A layer's name: conv1_1, relu1_1, ..., pool1, conv2_1. Blocks end with their pooling, convolutions count in the block. NULL
 * past the last. */
PXL_API const char *pxl_network_layer_name(const pxl_network *network, size_t layer);
/** Makes a network known to expressions that are parsed with this context, under a name of letters, digits, _, - and . ; one that
 * is known already is replaced (for later expressions). Not while another thread uses the context. */
PXL_API pxl_status pxl_context_add_network(pxl_context *context, const char *name, pxl_network *network);
/** @} */
#endif
