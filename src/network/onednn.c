/* Convolutions by oneDNN: see onednn.h. */
#include "onednn.h"

#include <stdlib.h>
#include <string.h>

#include "../error.h"

#ifndef PXLI_ONEDNN
static pxl_status missing(void) {
    return pxli_fail(PXL_UNSUPPORTED,
                     "networks on the CPU need oneDNN, without which this library was built (Debian: libdnnl-dev)");
}
pxl_status pxli_onednn_available(void) { return missing(); }
pxl_status pxli_onednn_prepare(pxli_prepared *p) { return (void)p, missing(); }
void pxli_onednn_forget(pxli_prepared *p) { (void)p; }
pxl_status pxli_onednn_forward(const pxli_prepared *p, const pxli_stage *stage, const float *in, float *out, void *scratch) {
    return (void)p, (void)stage, (void)in, (void)out, (void)scratch, missing();
}
pxl_status pxli_onednn_backward(const pxli_prepared *p, const pxli_stage *stage, const float *grad_out, float *grad_in,
                                void *scratch) {
    return (void)p, (void)stage, (void)grad_out, (void)grad_in, (void)scratch, missing();
}
pxl_status pxli_onednn_multiply(const pxli_prepared *p, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                                float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                                int64_t ldc) {
    return (void)p, (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)lda, (void)b,
           (void)ldb, (void)beta, (void)c, (void)ldc, missing();
}
#else
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- The library --------------------------------------------------------------------------------------------------- */
#define FUNCTIONS(X)                      \
    X(engine_create)                      \
    X(engine_destroy)                     \
    X(stream_create)                      \
    X(stream_destroy)                     \
    X(stream_wait)                        \
    X(memory_desc_init_by_tag)            \
    X(memory_desc_get_size)               \
    X(memory_desc_equal)                  \
    X(memory_create)                      \
    X(memory_destroy)                     \
    X(convolution_forward_desc_init)      \
    X(primitive_desc_create)              \
    X(primitive_desc_destroy)             \
    X(primitive_desc_query_md)            \
    X(primitive_create)                   \
    X(primitive_destroy)                  \
    X(primitive_execute)                  \
    X(primitive_attr_create)              \
    X(primitive_attr_destroy)             \
    X(primitive_attr_set_scratchpad_mode) \
    X(primitive_attr_set_post_ops)        \
    X(post_ops_create)                    \
    X(post_ops_destroy)                   \
    X(post_ops_append_eltwise)            \
    X(reorder_primitive_desc_create)      \
    X(sgemm)
#define POINTER(name) __typeof__(&dnnl_##name) name;
static struct {
    void *handle;
    FUNCTIONS(POINTER)
    void (*set_threads)(int); /* of the OpenMP that it was linked with; NULL: of none */
    int (*max_threads)(void);
} dnnl;
static void load_library(void) {
    void *const handle = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    bool complete = handle;
#define LOOK_UP(name) complete = complete && (dnnl.name = (__typeof__(dnnl.name))dlsym(handle, "dnnl_" #name));
    FUNCTIONS(LOOK_UP)
    if (complete) dnnl.set_threads = (__typeof__(dnnl.set_threads))dlsym(handle, "omp_set_num_threads");
    if (complete) dnnl.max_threads = (__typeof__(dnnl.max_threads))dlsym(handle, "omp_get_max_threads");
    if (complete)
        dnnl.handle = handle;
    else if (handle)
        dlclose(handle);
}
pxl_status pxli_onednn_available(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_library);
    if (dnnl.handle) return PXL_OK;
    return pxli_fail(PXL_UNSUPPORTED,
                     "networks on the CPU need oneDNN 2, and libdnnl.so.2 is not to be found here (Debian: libdnnl2)");
}
static pxl_status check(dnnl_status_t status, const char *what) {
    if (status == dnnl_success) return PXL_OK;
    if (status == dnnl_out_of_memory) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for oneDNN (%s)", what);
    return pxli_fail(PXL_UNSUPPORTED, "oneDNN refuses with status %d (%s)", (int)status, what);
}

/* ---- Convolutions -------------------------------------------------------------------------------------------------- */
/* Weights in the order that primitives want, shared by the sizes of images for which it is the same: for VGGs nearly all. */
typedef struct packed {
    int users; /* convolutions; counted under the lock of the network's cache */
    _Alignas(64) float weights[];
} packed;
typedef struct convolution {
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t in, out, weights, bias, scratch;
    packed *packed;
    const float *bias_data; /* NULL: none */
} convolution;
typedef struct stage {
    convolution forward, backward;
} stage;
typedef struct prepared {
    dnnl_engine_t engine;
    stage stage[]; /* by stage */
} prepared;

/* Of a layer's activations, or of its weights in any order. */
static dnnl_status_t describe(dnnl_memory_desc_t *md, int64_t a, int64_t b, int64_t c, int64_t d, dnnl_format_tag_t tag) {
    return dnnl.memory_desc_init_by_tag(md, 4, (dnnl_dims_t){a, b, c, d}, dnnl_f32, tag);
}
/* 0 of no memory alone. */
static dnnl_status_t size_of(const dnnl_memory_desc_t *md, size_t *bytes) {
    *bytes = dnnl.memory_desc_get_size(md);
    return *bytes || !md->ndims ? dnnl_success : dnnl_runtime_error;
}
static dnnl_status_t query(const_dnnl_primitive_desc_t pd, dnnl_query_t what, dnnl_memory_desc_t *md) {
    const dnnl_memory_desc_t *own = dnnl.primitive_desc_query_md(pd, what, 0);
    if (own) *md = *own;
    return own ? dnnl_success : dnnl_runtime_error;
}

/* Scratch from the caller, and a ReLU after it. Its slope below 0 is 1e-15 and not 0, since for 0 oneDNN takes the larger of x and 0,
 * which of NaN is 0. (1e-15 has a square that is not denormal.) */
static dnnl_status_t make_attributes(bool relu, dnnl_primitive_attr_t *made) {
    dnnl_status_t status = dnnl.primitive_attr_create(made);
    if (!status) status = dnnl.primitive_attr_set_scratchpad_mode(*made, dnnl_scratchpad_mode_user);
    if (status || !relu) return status;
    dnnl_post_ops_t operations;
    status = dnnl.post_ops_create(&operations);
    if (status) return status;
    status = dnnl.post_ops_append_eltwise(operations, 1, dnnl_eltwise_relu, 1e-15f, 0);
    if (!status) status = dnnl.primitive_attr_set_post_ops(*made, operations);
    dnnl.post_ops_destroy(operations);
    return status;
}
typedef struct argument {
    int which;
    const dnnl_memory_desc_t *md;
    const void *data;
} argument;
static dnnl_status_t execute(dnnl_engine_t engine, dnnl_primitive_t primitive, const argument *arguments, int count) {
    enum { MOST = 5 };
    dnnl_exec_arg_t list[MOST];
    dnnl_stream_t stream = NULL;
    int made = 0;
    dnnl_status_t status = dnnl.stream_create(&stream, engine, dnnl_stream_default_flags);
    for (; !status && made < count; made += !status) {
        list[made].arg = arguments[made].which;
        status = dnnl.memory_create(&list[made].memory, arguments[made].md, engine, (void *)arguments[made].data);
    }
    if (!status) status = dnnl.primitive_execute(primitive, stream, count, list);
    if (!status) status = dnnl.stream_wait(stream);
    while (made) dnnl.memory_destroy(list[--made].memory);
    if (stream) dnnl.stream_destroy(stream);
    return status;
}
static dnnl_status_t make_primitive(dnnl_engine_t engine, int size, bool relu, convolution *c) {
    const int64_t inputs = c->in.dims[1], outputs = c->out.dims[1];
    const dnnl_dims_t strides = {1, 1}, padding = {size / 2, size / 2};
    dnnl_memory_desc_t weights;
    dnnl_convolution_desc_t description;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = describe(&weights, outputs, inputs, size, size, dnnl_format_tag_any);
    if (!status) status = dnnl.memory_desc_init_by_tag(&c->bias, 1, (dnnl_dims_t){outputs}, dnnl_f32, dnnl_x);
    if (!status)
        status = dnnl.convolution_forward_desc_init(&description, dnnl_forward_inference, dnnl_convolution_direct, &c->in,
                                                    &weights, c->bias_data ? &c->bias : NULL, &c->out, strides, padding, padding);
    if (!status) status = make_attributes(relu, &attributes);
    if (!status) status = dnnl.primitive_desc_create(&pd, &description, attributes, engine, NULL);
    if (!status) status = dnnl.primitive_create(&c->primitive, pd);
    if (!status) status = query(pd, dnnl_query_weights_md, &c->weights);
    if (!status) status = query(pd, dnnl_query_scratchpad_md, &c->scratch);
    if (pd) dnnl.primitive_desc_destroy(pd);
    if (attributes) dnnl.primitive_attr_destroy(attributes);
    return status;
}
/* The gradient of the input is the convolution of that of the output with the weights turned round and their channels exchanged; it
 * is faster in oneDNN's forward code than in that for gradients. */
static float *turn_round(const pxli_layer *l) {
    const int area = l->size * l->size;
    float *turned = malloc((size_t)l->outputs * (size_t)l->inputs * (size_t)area * sizeof *turned);
    for (int64_t o = 0; turned && o < l->outputs; o++)
        for (int64_t i = 0; i < l->inputs; i++)
            for (int k = 0; k < area; k++)
                turned[(i * l->outputs + o) * area + k] = l->weight[(o * l->inputs + i) * area + area - 1 - k];
    return turned;
}
static dnnl_status_t reorder(dnnl_engine_t engine, const dnnl_memory_desc_t *from_md, const float *from,
                             const dnnl_memory_desc_t *to_md, float *to) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    const argument arguments[] = {{DNNL_ARG_FROM, from_md, from}, {DNNL_ARG_TO, to_md, to}};
    dnnl_status_t status = dnnl.reorder_primitive_desc_create(&pd, from_md, engine, to_md, engine, NULL);
    if (!status) status = dnnl.primitive_create(&primitive, pd);
    if (!status) status = execute(engine, primitive, arguments, 2);
    if (primitive) dnnl.primitive_destroy(primitive);
    if (pd) dnnl.primitive_desc_destroy(pd);
    return status;
}
static dnnl_status_t pack(dnnl_engine_t engine, const pxli_layer *layer, bool turned, convolution *c) {
    dnnl_memory_desc_t plain;
    size_t bytes;
    dnnl_status_t status = describe(&plain, c->out.dims[1], c->in.dims[1], layer->size, layer->size, dnnl_oihw);
    if (!status) status = size_of(&c->weights, &bytes);
    if (status) return status;
    float *round = turned ? turn_round(layer) : NULL;
    c->packed = aligned_alloc(64, sizeof *c->packed + (bytes + 63) / 64 * 64);
    if (c->packed) c->packed->users = 1;
    if (!c->packed || (turned && !round)) status = dnnl_out_of_memory;
    if (!status) status = reorder(engine, &plain, turned ? round : layer->weight, &c->weights, c->packed->weights);
    free(round);
    return status;
}
static convolution *convolution_of(const pxli_prepared *p, int stage, bool backward) {
    prepared *own = p->own;
    return backward ? &own->stage[stage].backward : &own->stage[stage].forward;
}
/* What another size of images has packed of these weights in that order, or NULL. */
static packed *find_packed(const pxli_prepared *p, int layer, bool backward, const dnnl_memory_desc_t *order) {
    for (const pxli_prepared *other = p->next; other; other = other->next) {
        if (other->shape.engine != p->shape.engine) continue;
        for (int s = 0; s < other->stages; s++) {
            const convolution *c = convolution_of(other, s, backward);
            if (other->stage[s].kind == PXL_CONVOLUTION && other->stage[s].convolution == layer && c->packed &&
                dnnl.memory_desc_equal(&c->weights, order))
                return c->packed;
        }
    }
    return NULL;
}
static dnnl_status_t make_convolution(pxli_prepared *p, const pxli_stage *s, bool backward) {
    const pxli_layer *layer = &p->network->layers[s->convolution];
    const dnnl_engine_t engine = ((const prepared *)p->own)->engine;
    convolution *c = convolution_of(p, (int)(s - p->stage), backward);
    size_t scratch;
    c->bias_data = backward ? NULL : layer->bias;
    dnnl_status_t status = describe(backward ? &c->out : &c->in, p->shape.batch, layer->inputs, s->in_h, s->in_w, dnnl_nhwc);
    if (!status) status = describe(backward ? &c->in : &c->out, p->shape.batch, layer->outputs, s->h, s->w, dnnl_nhwc);
    if (!status) status = make_primitive(engine, layer->size, s->relu && !backward, c);
    if (!status) status = size_of(&c->scratch, &scratch);
    if (status) return status;
    if (scratch > p->scratch) p->scratch = scratch;
    packed *shared = find_packed(p, s->convolution, backward, &c->weights);
    if (!shared) return pack(engine, layer, backward, c);
    shared->users++, c->packed = shared;
    return dnnl_success;
}

/* oneDNN takes as many threads as its OpenMP would, when a primitive is made and when it runs. Its OpenMP may be another one than this
 * library's (GCC's, where clang built the library), which the dynamic linker decides: so both get the limit. */
typedef struct limits {
    int own, onednn; /* of this library's OpenMP, and of oneDNN's */
} limits;
static limits set_limits(limits threads) {
    limits before = {0, 0};
    const bool other = dnnl.set_threads && dnnl.max_threads;
#ifdef _OPENMP
    before.own = omp_get_max_threads();
#endif
    if (other) before.onednn = dnnl.max_threads();
#ifdef _OPENMP
    omp_set_num_threads(threads.own);
#endif
    if (other) dnnl.set_threads(threads.onednn);
    return before;
}
static limits set_threads(const pxli_prepared *p) { return set_limits((limits){p->shape.threads, p->shape.threads}); }
pxl_status pxli_onednn_prepare(pxli_prepared *p) {
    prepared *own = calloc(1, sizeof *own + (size_t)p->stages * sizeof own->stage[0]);
    if (!own) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory to prepare a network of %d stages", p->stages);
    const limits before = set_threads(p);
    p->own = own;
    dnnl_status_t status = dnnl.engine_create(&own->engine, dnnl_cpu, 0);
    for (int s = 0; !status && s < p->stages; s++)
        for (int backward = 0; !status && backward <= p->shape.gradients; backward++)
            if (p->stage[s].kind == PXL_CONVOLUTION) status = make_convolution(p, &p->stage[s], backward);
    set_limits(before);
    return check(status, "preparing a network");
}
static void forget(const convolution *c) {
    if (c->primitive) dnnl.primitive_destroy(c->primitive);
    if (c->packed && !--c->packed->users) free(c->packed);
}
void pxli_onednn_forget(pxli_prepared *p) {
    prepared *own = p->own;
    if (!own) return;
    for (int s = 0; s < p->stages; s++) forget(&own->stage[s].forward), forget(&own->stage[s].backward);
    if (own->engine) dnnl.engine_destroy(own->engine);
    free(own);
}

/* ---- Running ------------------------------------------------------------------------------------------------------- */
static pxl_status convolve(const pxli_prepared *p, const convolution *c, const float *in, float *out, void *scratch) {
    const argument arguments[] = {{DNNL_ARG_SRC, &c->in, in},
                                  {DNNL_ARG_WEIGHTS, &c->weights, c->packed->weights},
                                  {DNNL_ARG_DST, &c->out, out},
                                  {DNNL_ARG_SCRATCHPAD, &c->scratch, scratch},
                                  {DNNL_ARG_BIAS, &c->bias, c->bias_data}};
    const prepared *own = p->own;
    const limits before = set_threads(p);
    const dnnl_status_t status = execute(own->engine, c->primitive, arguments, c->bias_data ? 5 : 4);
    set_limits(before);
    return check(status, "a convolution");
}
pxl_status pxli_onednn_forward(const pxli_prepared *p, const pxli_stage *s, const float *in, float *out, void *scratch) {
    const prepared *own = p->own;
    return convolve(p, &own->stage[s - p->stage].forward, in, out, scratch);
}
pxl_status pxli_onednn_backward(const pxli_prepared *p, const pxli_stage *s, const float *grad_out, float *grad_in,
                                void *scratch) {
    const prepared *own = p->own;
    return convolve(p, &own->stage[s - p->stage].backward, grad_out, grad_in, scratch);
}
pxl_status pxli_onednn_multiply(const pxli_prepared *p, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                                float alpha, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                                int64_t ldc) {
    const limits before = set_threads(p);
    const dnnl_status_t status =
        dnnl.sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    set_limits(before);
    return check(status, "a product of matrices");
}
#endif
