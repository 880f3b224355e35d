/* cuDNN's graphs: a convolution and what is fused with it become descriptors, and the first plan of the heuristics' that is
 * deterministic and no less precise than asked for is taken. See cudnn.h. */
#ifdef PXLI_CUDNN
#include <stdio.h>
#include <stdlib.h>

#include "../error.h"
#include "cudnn_library.h"

#define CUDNN pxli_cudnn_functions
typedef cudnnBackendDescriptor_t descriptor;

/* A plan in the making: after a failure nothing more is done. */
typedef struct builder {
    pxli_cudnn *cudnn;
    const pxli_convolution *convolution;
    pxli_cudnn_plan *made;
    cudnnStatus_t status;
} builder;
static descriptor make(builder *b, cudnnBackendDescriptorType_t type) {
    descriptor made = NULL;
    if (!b->status && b->made->count == PXLI_CUDNN_MAX_DESCRIPTORS) b->status = CUDNN_STATUS_NOT_SUPPORTED;
    if (!b->status) b->status = CUDNN.BackendCreateDescriptor(type, &made);
    if (made) b->made->descriptor[b->made->count++] = made;
    return made;
}
static void set(builder *b, descriptor of, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                const void *values) {
    if (!b->status) b->status = CUDNN.BackendSetAttribute(of, name, type, count, values);
}
static void set_descriptor(builder *b, descriptor of, cudnnBackendAttributeName_t name, descriptor value) {
    set(b, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}
static void finalize(builder *b, descriptor d) {
    if (!b->status) b->status = CUDNN.BackendFinalize(d);
}

/* ---- Tensors ------------------------------------------------------------------------------------------------------- */
static cudnnDataType_t type_of(pxl_precision precision) {
    return precision == PXL_PRECISION_F16    ? CUDNN_DATA_HALF
           : precision == PXL_PRECISION_BF16 ? CUDNN_DATA_BFLOAT16
                                             : CUDNN_DATA_FLOAT;
}
/* a x b x c x d in cuDNN's order (N, C, H, W), with channels last in memory. */
static descriptor tensor(builder *b, int64_t uid, cudnnDataType_t type, int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t sizes[] = {n, c, h, w}, strides[] = {h * w * c, 1, w * c, c}, alignment = 16;
    const bool between = uid >= PXLI_CUDNN_BETWEEN;
    descriptor d = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(b, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, sizes);
    set(b, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(b, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(b, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &between);
    finalize(b, d);
    return d;
}
static descriptor image(builder *b, int64_t uid, int channels) {
    const pxli_convolution *c = b->convolution;
    const cudnnDataType_t type = uid >= PXLI_CUDNN_BETWEEN ? CUDNN_DATA_FLOAT : type_of(c->precision);
    return tensor(b, uid, type, c->batch, channels, c->h, c->w);
}

/* ---- Operations ---------------------------------------------------------------------------------------------------- */
static descriptor convolution(builder *b) {
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
    const int64_t dimensions = 2, ones[] = {1, 1}, padding[] = {b->convolution->size / 2, b->convolution->size / 2};
    descriptor d = make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dimensions);
    set(b, d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &arithmetic);
    set(b, d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(b, d, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(b, d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, ones);
    set(b, d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    set(b, d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    finalize(b, d);
    return d;
}
static descriptor weights(builder *b) {
    const pxli_convolution *c = b->convolution;
    return tensor(b, PXLI_CUDNN_WEIGHTS, type_of(c->precision), c->outputs, c->inputs, c->size, c->size);
}
/* The same operation's attributes, forward and backward. */
typedef struct convolution_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t convolution, in, weights, out, alpha, beta;
} convolution_names;
#define NAMES(DIRECTION, NAME, IN, OUT)                                                                                    \
    {                                                                                                                      \
        CUDNN_BACKEND_OPERATION_CONVOLUTION_##DIRECTION##_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_CONV_DESC, \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##IN, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_W,                   \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_##OUT, CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_ALPHA,              \
            CUDNN_ATTR_OPERATION_CONVOLUTION_##NAME##_BETA                                                                 \
    }
static descriptor convolve(builder *b, descriptor out) {
    static const convolution_names directions[] = {NAMES(FORWARD, FORWARD, X, Y), NAMES(BACKWARD_DATA, BWD_DATA, DY, DX)};
    const pxli_convolution *c = b->convolution;
    const convolution_names *names = &directions[c->backward];
    const double one = 1, zero = 0;
    descriptor d = make(b, names->type);
    set_descriptor(b, d, names->convolution, convolution(b));
    set_descriptor(b, d, names->in, image(b, PXLI_CUDNN_IN, c->backward ? c->outputs : c->inputs));
    set_descriptor(b, d, names->weights, weights(b));
    set_descriptor(b, d, names->out, out);
    set(b, d, names->alpha, CUDNN_TYPE_DOUBLE, 1, &one);
    set(b, d, names->beta, CUDNN_TYPE_DOUBLE, 1, &zero);
    finalize(b, d);
    return d;
}
/* The slope of a ReLU below 0 is 1e-15, since with 0 the larger of x and 0 may be taken, which of NaN is 0,
 * whatever is said of NaN. */
static descriptor pointwise(builder *b, cudnnPointwiseMode_t mode) {
    const cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
    const float slope = 1e-15f;
    const cudnnNanPropagation_t nan = CUDNN_PROPAGATE_NAN;
    descriptor d = make(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(b, d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &arithmetic);
    if (mode == CUDNN_POINTWISE_RELU_FWD) {
        set(b, d, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, 1, &nan);
        set(b, d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_FLOAT, 1, &slope);
    }
    finalize(b, d);
    return d;
}
static descriptor add_bias(builder *b, descriptor in, descriptor out) {
    descriptor d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(b, CUDNN_POINTWISE_ADD));
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                   tensor(b, PXLI_CUDNN_THIRD, CUDNN_DATA_FLOAT, 1, b->convolution->outputs, 1, 1));
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    finalize(b, d);
    return d;
}
static descriptor relu(builder *b, descriptor in, descriptor out) {
    descriptor d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(b, CUDNN_POINTWISE_RELU_FWD));
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    finalize(b, d);
    return d;
}
static descriptor mask(builder *b, descriptor in, descriptor out) {
    descriptor d = make(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(b, CUDNN_POINTWISE_RELU_BWD));
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, in);
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, image(b, PXLI_CUDNN_THIRD, b->convolution->inputs));
    set_descriptor(b, d, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, out);
    finalize(b, d);
    return d;
}

/* ---- Graphs -------------------------------------------------------------------------------------------------------- */
static descriptor graph(builder *b) {
    const pxli_convolution *c = b->convolution;
    const int channels = c->backward ? c->inputs : c->outputs;
    descriptor operation[3] = {NULL};
    int count = 0;
    descriptor out = image(b, PXLI_CUDNN_OUT, channels), first = c->fused ? image(b, PXLI_CUDNN_BETWEEN, channels) : out;
    operation[count++] = convolve(b, first);
    if (c->fused && c->backward) operation[count++] = mask(b, first, out);
    if (c->fused && !c->backward) {
        descriptor sum = c->relu ? image(b, PXLI_CUDNN_BETWEEN + 1, channels) : out;
        operation[count++] = add_bias(b, first, sum);
        if (c->relu) operation[count++] = relu(b, sum, out);
    }
    descriptor d = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(b, d, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, operation);
    if (b->cudnn->handle) set(b, d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->cudnn->handle);
    finalize(b, d);
    return d;
}

/* ---- Plans --------------------------------------------------------------------------------------------------------- */
enum { MOST_CONFIGURATIONS = 24 }; /* of a mode */
/* Whether a call succeeded. What cuDNN does not support leaves the next one to be tried; any other failure is one of the plan's: it
 * would be another engine, with other bits, for want of memory. */
static bool works(builder *b, cudnnStatus_t status) {
    const bool next =
        CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED || status == CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED;
    if (!b->status && status && !next) b->status = status;
    return !b->status && !status;
}
/* Of cuDNN 9.8 and later, by their numbers, for builds with earlier headers. */
enum { PXLI_ATTR_ENGINEHEUR_DEVICEPROP = 204, PXLI_ATTR_EXECUTION_PLAN_DEVICEPROP = 407 };
static void set_device(builder *b, descriptor of, int attribute) {
    if (b->cudnn->described) set_descriptor(b, of, (cudnnBackendAttributeName_t)attribute, b->cudnn->described);
}
static int configurations(builder *b, descriptor of, cudnnBackendHeurMode_t mode, descriptor (*found)[MOST_CONFIGURATIONS]) {
    int64_t count = 0, all = 0;
    descriptor d = make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, of);
    set(b, d, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    set_device(b, d, PXLI_ATTR_ENGINEHEUR_DEVICEPROP);
    if (b->status || !works(b, CUDNN.BackendFinalize(d))) return 0;
    /* The number is what there are at most. */
    if (!works(b, CUDNN.BackendGetAttribute(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &all, NULL)))
        return 0;
    if (all > MOST_CONFIGURATIONS) all = MOST_CONFIGURATIONS;
    for (int i = 0; i < all; i++) (*found)[i] = make(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (b->status || !all) return 0;
    if (!works(b,
               CUDNN.BackendGetAttribute(d, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, all, &count, *found)))
        return 0;
    return (int)(count < all ? count : all);
}
static bool allows(pxl_precision precision, cudnnBackendNumericalNote_t note) {
    switch (note) {
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return precision != PXL_PRECISION_F32;
#if CUDNN_VERSION >= 90100
        case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP: return true;
#endif
        default:
            return false; /* nondeterministic, FFT, Winograd, sums in less than f32, inputs rounded to less than their type */
    }
}
static bool suits(builder *b, descriptor configuration) {
    enum { MOST = CUDNN_NUMERICAL_NOTE_TYPE_COUNT };
    cudnnBackendNumericalNote_t note[MOST];
    descriptor engine = make(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    int64_t count = 0;
    bool all = true;
    if (b->status || !works(b, CUDNN.BackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine)))
        return false;
    if (!works(b, CUDNN.BackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, MOST, &count,
                                            note)))
        return false;
    for (int i = 0; i < count && i < MOST; i++) all = all && allows(b->convolution->precision, note[i]);
    return all;
}
/* Whether a configuration becomes b->made's plan. */
static bool take(builder *b, descriptor configuration) {
    int64_t count = 0;
    descriptor d = make(b, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    set_descriptor(b, d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    if (b->cudnn->handle) set(b, d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->cudnn->handle);
    set_device(b, d, PXLI_ATTR_EXECUTION_PLAN_DEVICEPROP);
    if (b->status || !works(b, CUDNN.BackendFinalize(d))) return false;
    if (!works(b, CUDNN.BackendGetAttribute(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                            &b->made->bytes)))
        return false;
    b->made->plan = d;
    return true;
}
static void choose(builder *b, descriptor of) {
    static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    descriptor found[MOST_CONFIGURATIONS];
    for (int m = 0; m < 2 && !b->status; m++)
        for (int i = 0, count = configurations(b, of, modes[m], &found); i < count && !b->status; i++)
            if (suits(b, found[i]) && take(b, found[i])) return;
    if (!b->status) b->status = CUDNN_STATUS_NOT_SUPPORTED;
}
static pxl_status fail_plan(const builder *b) {
    static const char *const names[] = {"f32", "f32", "tf32", "f16", "bf16"};
    const pxli_convolution *c = b->convolution;
    char what[160];
    snprintf(what, sizeof what, "a plan for %lldx%dx%lldx%lld to %d channels, %dx%d taps, %s%s%s", (long long)c->batch, c->inputs,
             (long long)c->h, (long long)c->w, c->outputs, c->size, c->size, names[c->precision], c->backward ? ", backward" : "",
             c->fused ? ", fused" : "");
    return pxli_cudnn_check(b->status, what);
}
pxl_status pxli_cudnn_plan_create(pxli_cudnn *cudnn, const pxli_convolution *c, pxli_cudnn_plan **plan) {
    builder b = {.cudnn = cudnn, .convolution = c, .made = calloc(1, sizeof *b.made)};
    if (!b.made) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for a plan of cuDNN's");
    b.made->fused = c->fused;
    descriptor of = graph(&b);
    if (!b.status) choose(&b, of);
    if (!b.status) return *plan = b.made, PXL_OK;
    const pxl_status status = fail_plan(&b);
    pxli_cudnn_plan_destroy(b.made);
    return status;
}
#else
typedef int pxli_no_cudnn; /* a translation unit holds something */
#endif
