// The layers of networks on the device: what network.cu launches between convolutions. Activations are dense N x H x W x C of
// the walk's precision, read and written as float. ReLUs and poolings let NaN through.
#ifndef PXLI_LAYERS_CUH
#define PXLI_LAYERS_CUH
#include "passes.cuh"
extern "C" {
#include "../network/engine.h"
}

namespace pxli {

// Activations or something of their shape: four channels at a time, where their number allows it.
inline View layer_view(const void *data, int dtype, int channels) {
    View v{};
    v.data = static_cast<char *>(const_cast<void *>(data)), v.dtype = dtype, v.vector = channels % 4 == 0;
    return v;
}
inline int dtype_of(pxl_precision precision) {
    return precision == PXL_PRECISION_F16 ? PXL_F16 : precision == PXL_PRECISION_BF16 ? PXL_BF16 : PXL_F32;
}
__device__ inline void load_some(const View &v, int64_t at, int count, float (&a)[4]) {
    if (v.vector) return load4(v, at, a);
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = i < count ? load(v, at + i) : 0;
}
__device__ inline void store_some(const View &v, int64_t at, int count, const float (&a)[4]) {
    if (v.vector) return store4(v, at, a);
#pragma unroll
    for (int i = 0; i < 4; i++)
        if (i < count) store(v, at + i, a[i]);
}

// Gradients in a network are multiplied by a power of two, of each image, so that f16 holds them: the largest of what any layer's
// charges are multiplied by becomes 1 to 2. The images' gradients are divided by it again.
struct Pull {
    int count;
    unsigned char term[PXLI_MAX_TERMS];
    float factor[PXLI_MAX_TERMS]; // the largest of a term's layers
};
// Whether some term does not leave image n's gradient alone.
__device__ inline bool pulls_at(const Terms &t, const Pull &p, int64_t n) {
    bool any = false;
    for (int i = 0; i < p.count; i++) any = any || scale_of(t, p.term[i], n) != 0;
    return any;
}
__device__ inline double pull_of(const Terms &t, const Pull &p, int64_t n) {
    double most = 0;
    for (int i = 0; i < p.count; i++) most = fmax(most, fabs(scale_of(t, p.term[i], n) * static_cast<double>(p.factor[i])));
    if (!(most > 1e-200 && most < 1e200)) return 1;
    int exponent;
    frexp(most, &exponent);
    return ldexp(1.0, 1 - exponent);
}

// ---- Images and layers: layers.cu ------------------------------------------------------------------------------------------
struct ImageRun {
    View image;
    int64_t first, count, batch; // images: from `first` on `count`, in places of `batch`
    int64_t h, w;
    int image_channels, channels, term;
    bool normalises, add;    // add: to the gradient that is there
    pxli_normalisation of_1; // for L = 1
    View activations;
};
void run_load(Sequence &s, const Terms &t, const ImageRun &r);
void run_store(Sequence &s, const Terms &t, const Pull &pull, const ImageRun &r); // r.image is the gradient

// out = in, plus a bias (NULL: none), then a ReLU where that is wanted; out may be in
void run_bias(Sequence &s, const View &in, const float *bias, bool relu, int64_t pixels, int channels, const View &out);
// gradient = 0 where out, of a ReLU, is
void run_mask(Sequence &s, const View &out, const View &gradient, int64_t pixels, int channels);
void run_pool(Sequence &s, const pxli_stage &stage, int64_t images, const View &in, const View &out);
void run_unpool(Sequence &s, const pxli_stage &stage, int64_t images, const View &in, bool masks, const View &grad_out,
                const View &grad_in);

// ---- Charges: layer_charges.cu ----------------------------------------------------------------------------------------------
struct LayerRun {
    View own, other, gradient;   // gradient.data NULL: none; it may be of another type
    const float *linear;         // NULL: none
    int64_t first, count;        // images
    int64_t pixels;              // of one
    int channels, term, penalty; // of the call
    bool units;                  // pixels divided by their norms
    float param;
    double factor;    // of the charges
    double of_slopes; // a power of two, for slopes alone
    bool add, mask;
    double *partials; // of image `first`; NULL: no values
    int64_t stride;   // from an image's partial sums to the next one's
    int64_t blocks;   // of an image: blocks_of
};
// Blocks, and so partial sums, of an image's layer.
int64_t blocks_of(int64_t pixels, int channels);
void run_charges(Sequence &s, const Terms &t, const Pull &pull, const LayerRun &r);
// The sums of a term's partials, and after the call's last term the values.
void run_sums(Sequence &s, const Terms &t, const Finish &f);
// What each pixel is charged, times the factor, to charges[count][pixels]; then enlarged to images of the map.
void run_charge_map(Sequence &s, const LayerRun &r, int64_t h, int64_t w, float *charges, const View &map, int64_t map_h,
                    int64_t map_w);

// The walks of a call: network.cu. Memory is that of pxli_walks_layout; `written`: the gradients hold something.
void run_walks(Sequence &s, const Evaluation &e, pxli_call *call, bool written);

} // namespace pxli
#endif
