// The engine of networks on the device (network/engine.h): convolutions by cuDNN, products of matrices by cuBLAS, all else by kernels
// of our own. Its calls come from the walk, which run_walks starts with what `where` of a run points to.
#include <cstdlib>
#include <cstring>

#include <pthread.h>

#include "device_guard.cuh"
#include "layers.cuh"
extern "C" {
#include "../network/cublas.h"
#include "../network/cudnn.h"
#include "../network/walk.h"
}

namespace pxli {
namespace {

// ---- What is kept on the device -----------------------------------------------------------------------------------------------
// The weights of a network in one precision, and the libraries' handles: shared by all shapes. Made and released under the lock of the
// network's cache.
struct Resident {
    int users;
    pxli_cudnn *cudnn;
    pxli_cublas *cublas;                                                            // NULL: not needed yet
    pthread_mutex_t lock;                                                           // of the handles, for their launches
    char *memory;                                                                   // everything
    size_t weight[PXLI_MAX_LAYERS], bias[PXLI_MAX_LAYERS], linear[PXLI_MAX_LAYERS]; // where it lies; linear 0: none
};
struct Convolution {
    pxli_cudnn_plan *plan;
    bool fused; // with the bias and the ReLU; backward: with the mask
};
struct Prepared {
    Resident *resident;
    struct {
        Convolution forward, backward;
    } stage[PXLI_MAX_LAYERS];
};
Prepared *own_of(const pxli_prepared *p) { return static_cast<Prepared *>(p->own); }

// outputs x inputs x size x size to outputs x size x size x inputs, in the precision.
void pack_weights(const pxli_layer &layer, int dtype, char *to) {
    const int64_t area = static_cast<int64_t>(layer.size) * layer.size;
    int64_t at = 0;
    for (int64_t o = 0; o < layer.outputs; o++)
        for (int64_t k = 0; k < area; k++)
            for (int64_t i = 0; i < layer.inputs; i++, at++) {
                const float w = layer.weight[(o * layer.inputs + i) * area + k];
                switch (dtype) {
                    case PXL_F16: reinterpret_cast<__half *>(to)[at] = __float2half_rn(w); break;
                    case PXL_BF16: reinterpret_cast<__nv_bfloat16 *>(to)[at] = __float2bfloat16_rn(w); break;
                    default: reinterpret_cast<float *>(to)[at] = w; break;
                }
            }
}
size_t weight_count(const pxli_layer &l) {
    return static_cast<size_t>(l.outputs) * static_cast<size_t>(l.inputs) * static_cast<size_t>(l.size) *
           static_cast<size_t>(l.size);
}
// Fills in the places; the bytes of all. Place 0 is nobody's.
size_t place_layers(const pxl_network *network, pxl_precision precision, Resident *r) {
    size_t used = PXLI_ALIGN;
    const auto place = [&](size_t bytes) {
        const size_t at = used;
        used += pxli_rounded(bytes);
        return at;
    };
    for (int i = 0; i < network->count; i++) {
        const pxli_layer &layer = network->layers[i];
        const size_t row = static_cast<size_t>(layer.outputs) * sizeof(float);
        if (layer.weight) r->weight[i] = place(weight_count(layer) * pxli_element_bytes(precision)), r->bias[i] = place(row);
        if (layer.linear) r->linear[i] = place(row);
    }
    return used;
}
pxl_status upload(const pxl_network *network, pxl_precision precision, Resident *r) {
    const size_t bytes = place_layers(network, precision, r);
    char *host = static_cast<char *>(calloc(1, bytes));
    if (!host) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory to pack a network's weights");
    for (int i = 0; i < network->count; i++) {
        const pxli_layer &layer = network->layers[i];
        const size_t row = static_cast<size_t>(layer.outputs) * sizeof(float);
        if (layer.weight) pack_weights(layer, dtype_of(precision), host + r->weight[i]);
        if (layer.weight && layer.bias) memcpy(host + r->bias[i], layer.bias, row);
        if (layer.linear) memcpy(host + r->linear[i], layer.linear, row);
    }
    cudaError_t error = cudaMalloc(reinterpret_cast<void **>(&r->memory), bytes);
    const bool full = error == cudaErrorMemoryAllocation;
    if (!error) error = cudaMemcpy(r->memory, host, bytes, cudaMemcpyHostToDevice);
    if (!error)
        error = cudaStreamSynchronize(nullptr); // the copy's last part may be under way, and other streams do not wait for it
    free(host);
    if (!error) return PXL_OK;
    fail_call("the weights of a network", error);
    return full ? pxli_fail(PXL_OUT_OF_MEMORY, "no memory on the device for the weights of a network, %zu bytes", bytes)
                : PXL_DEVICE_ERROR;
}
void release(Resident *r) {
    if (!r || --r->users) return;
    pxli_cudnn_destroy(r->cudnn), pxli_cublas_destroy(r->cublas);
    if (r->memory && cudaFree(r->memory)) cudaGetLastError(); // nobody is told, so it is not the caller's to find
    pthread_mutex_destroy(&r->lock);
    free(r);
}
Resident *resident_of_another(const pxli_prepared *p) {
    for (const pxli_prepared *other = p->next; other; other = other->next)
        if (other->shape.engine == p->shape.engine && other->shape.device.index == p->shape.device.index &&
            other->shape.precision == p->shape.precision && other->own)
            return own_of(other)->resident;
    return nullptr;
}
pxl_status make_resident(const pxli_prepared *p, Resident **made) {
    Resident *r = static_cast<Resident *>(calloc(1, sizeof(Resident)));
    if (!r || pthread_mutex_init(&r->lock, nullptr)) {
        free(r);
        return pxli_fail(PXL_OUT_OF_MEMORY, "no memory to prepare a network");
    }
    r->users = 1;
    pxl_status status = pxli_cudnn_create(&r->cudnn);
    if (!status) status = upload(p->network, p->shape.precision, r);
    if (status)
        release(r);
    else
        *made = r;
    return status;
}

// ---- Preparing -----------------------------------------------------------------------------------------------------------------
// Fused, or where cuDNN has nothing for that alone.
pxl_status plan(Resident *r, pxli_convolution c, bool fuse, Convolution *made, size_t *scratch) {
    made->fused = c.fused = fuse;
    pthread_mutex_lock(&r->lock); // another shape may be running
    pxl_status status = pxli_cudnn_plan_create(r->cudnn, &c, &made->plan);
    if (status == PXL_UNSUPPORTED && fuse) {
        made->fused = c.fused = false;
        status = pxli_cudnn_plan_create(r->cudnn, &c, &made->plan);
    }
    pthread_mutex_unlock(&r->lock);
    if (!status) *scratch = std::max(*scratch, pxli_cudnn_plan_bytes(made->plan));
    return status;
}
pxl_status plan_stage(pxli_prepared *p, int s) {
    Prepared *own = own_of(p);
    const pxli_stage &stage = p->stage[s];
    const pxli_layer &layer = p->network->layers[stage.convolution];
    pxli_convolution c{};
    c.precision = p->shape.precision, c.relu = stage.relu, c.batch = p->shape.batch * (p->shape.joint ? 2 : 1);
    c.h = stage.h, c.w = stage.w, c.inputs = layer.inputs, c.outputs = layer.outputs, c.size = layer.size;
    pxl_status status = plan(own->resident, c, true, &own->stage[s].forward, &p->scratch);
    c.backward = true, c.relu = false, c.batch = p->shape.batch;
    if (!status && p->shape.gradients) status = plan(own->resident, c, pxli_masks(p, s), &own->stage[s].backward, &p->scratch);
    return status;
}
pxl_status prepare_here(pxli_prepared *p) {
    Prepared *own = static_cast<Prepared *>(calloc(1, sizeof(Prepared)));
    if (!own) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory to prepare a network of %d stages", p->stages);
    p->own = own;
    pxl_status status = PXL_OK;
    own->resident = resident_of_another(p);
    if (own->resident)
        own->resident->users++;
    else
        status = make_resident(p, &own->resident);
    if (!status && p->shape.grams && !own->resident->cublas) status = pxli_cublas_create(&own->resident->cublas);
    for (int s = 0; !status && s < p->stages; s++)
        if (p->stage[s].kind == PXL_CONVOLUTION) status = plan_stage(p, s);
    return status;
}
pxl_status prepare(pxli_prepared *p) {
    const DeviceGuard guard(p->shape.device.index);
    return guard.status() ? guard.status() : guard.restore(prepare_here(p));
}
void forget(pxli_prepared *p) {
    Prepared *own = own_of(p);
    if (!own) return;
    const DeviceGuard guard(p->shape.device.index);
    for (int s = 0; s < p->stages; s++)
        pxli_cudnn_plan_destroy(own->stage[s].forward.plan), pxli_cudnn_plan_destroy(own->stage[s].backward.plan);
    release(own->resident);
    free(own);
    guard.restore(PXL_OK);
}

// ---- How images go through -----------------------------------------------------------------------------------------------------
// Pixels of a batch that keep a large device busy: more at once would only take more memory.
constexpr int64_t kPixels = 1 << 17;
void choose(const pxl_context *, const pxli_call *call, const pxli_term *term, pxli_shape *shape) {
    const pxl_dtype dtype = call->args->pred->dtype;
    const int64_t most = divide_up(kPixels, call->h * call->w), batches = divide_up(call->n, most);
    shape->threads = 1, shape->batch = divide_up(call->n, batches); // as even as may be
    // Both images at once where one would leave the device idle; gradients of target would not lie where cuDNN wants them.
    shape->joint = call->n * call->h * call->w < kPixels && !call->args->target_use && !call->args->grad_target;
    shape->precision = term->features.precision ? term->features.precision
                       : dtype == PXL_F16       ? PXL_PRECISION_F16
                       : dtype == PXL_BF16      ? PXL_PRECISION_BF16
                                                : PXL_PRECISION_F32;
}
bool pulls(const pxli_run_images *, const pxli_walk *) { return true; } // the weights lie on the device

// ---- A walk ----------------------------------------------------------------------------------------------------------------------
struct Walk {
    Sequence &s;
    const Evaluation &e;
    const pxli_walk *walk;
    bool add; // the gradients hold something
    Pull pull;
    Finish finish[PXLI_MAX_TERMS];                       // of each term
    int64_t first[PXLI_MAX_TERMS][PXLI_MAX_TERM_LAYERS]; // block of each of a term's layers, in an image
};
const Walk &walk_of(const pxli_run_images *run) { return *static_cast<const Walk *>(run->where); }
int64_t images_of(const pxli_prepared *p) { return p->shape.batch * (p->shape.joint ? 2 : 1); }
View view_on(const pxli_prepared *p, const void *data, int channels) {
    return layer_view(data, dtype_of(p->shape.precision), channels);
}
const pxli_stage &stage_of(const pxli_prepared *p, int layer) {
    int s = 0;
    while (p->stage[s].layer != layer) s++;
    return p->stage[s];
}
bool is_gram(const pxli_call *call, int term) { return call->terms[term].features.transform == PXLI_TRANSFORM_GRAM; }
// What is charged in a layer: its pixels, or the rows of its Gram matrix.
int64_t charged(const pxli_call *call, int term, const pxli_stage &stage) {
    return is_gram(call, term) ? stage.outputs : stage.h * stage.w;
}

ImageRun image_run(const pxli_run_images *run, const pxl_tensor *image, int term, const void *activations) {
    const pxli_prepared *p = run->prepared;
    const pxli_features &f = run->call->terms[term].features;
    ImageRun r{};
    r.image = view_of(image), r.first = run->first, r.count = run->count, r.batch = p->shape.batch;
    r.h = image->size[2], r.w = image->size[3];
    r.image_channels = static_cast<int>(image->size[1]), r.channels = p->network->inputs;
    r.term = term, r.normalises = f.normalize != PXL_NORMALIZE_NONE, r.of_1 = pxli_normalisation_of(f.normalize, 1);
    r.activations = view_on(p, activations, r.channels);
    return r;
}
pxl_status load_images(const pxli_run_images *run, const pxl_tensor *image, int term, void *to) {
    const Walk &walk = walk_of(run);
    run_load(walk.s, walk.e.terms, image_run(run, image, term, to));
    return walk.s.status();
}
pxl_status store_images(const pxli_run_images *run, const pxl_tensor *gradient, int term, const void *from) {
    const Walk &walk = walk_of(run);
    const View to = gradient == run->call->grad_pred ? walk.e.grad_pred : walk.e.grad_target;
    ImageRun r = image_run(run, gradient, term, from);
    r.image = to, r.add = walk.add;
    run_store(walk.s, walk.e.terms, walk.pull, r);
    return walk.s.status();
}

// ---- Layers ------------------------------------------------------------------------------------------------------------------------
// Also in a sequence that only loads, where there is memory: cuDNN loads its kernels when they first run, which a capture forbids.
pxl_status convolve(const pxli_run_images *run, const Convolution &c, const void *in, const void *weights, const void *third,
                    void *out) {
    const Walk &walk = walk_of(run);
    Resident *r = own_of(run->prepared)->resident;
    if (walk.s.status()) return walk.s.status();
    pthread_mutex_lock(&r->lock);
    const pxl_status status = pxli_cudnn_run(r->cudnn, c.plan, walk.s.stream(), in, weights, third, out, run->scratch);
    pthread_mutex_unlock(&r->lock);
    return status;
}
pxl_status forward(const pxli_run_images *run, const pxli_stage *stage, const void *in, void *out) {
    const Walk &walk = walk_of(run);
    const pxli_prepared *p = run->prepared;
    const int64_t images = images_of(p), pixels = images * stage->h * stage->w;
    const View from = view_on(p, in, stage->inputs), to = view_on(p, out, stage->outputs);
    if (pxli_is_pool(stage->kind)) return run_pool(walk.s, *stage, images, from, to), walk.s.status();
    if (stage->kind == PXL_RELU) return run_bias(walk.s, from, nullptr, true, pixels, stage->outputs, to), walk.s.status();
    const Resident *r = own_of(p)->resident;
    const Convolution &c = own_of(p)->stage[stage - p->stage].forward;
    const char *weights = r->memory + r->weight[stage->convolution], *bias = r->memory + r->bias[stage->convolution];
    const pxl_status status = convolve(run, c, in, weights, bias, out);
    if (!status && !c.fused) run_bias(walk.s, to, reinterpret_cast<const float *>(bias), stage->relu, pixels, stage->outputs, to);
    return status ? status : walk.s.status();
}
pxl_status backward(const pxli_run_images *run, const pxli_stage *stage, const void *in, bool mask, const void *grad_out,
                    void *grad_in) {
    const Walk &walk = walk_of(run);
    const pxli_prepared *p = run->prepared;
    const int64_t images = p->shape.batch;
    const View from = view_on(p, in, stage->inputs), to = view_on(p, grad_in, stage->inputs);
    if (pxli_is_pool(stage->kind)) {
        run_unpool(walk.s, *stage, images, from, mask, view_on(p, grad_out, stage->outputs), to);
        return walk.s.status();
    }
    const Resident *r = own_of(p)->resident;
    const Convolution &c = own_of(p)->stage[stage - p->stage].backward;
    const pxl_status status = convolve(run, c, grad_out, r->memory + r->weight[stage->convolution], in, grad_in);
    if (!status && mask && !c.fused) run_mask(walk.s, from, to, images * stage->in_h * stage->in_w, stage->inputs);
    return status ? status : walk.s.status();
}

// ---- Comparing -----------------------------------------------------------------------------------------------------------------------
LayerRun layer_run(const pxli_run_images *run, const pxli_comparison *c) {
    const pxli_prepared *p = run->prepared;
    const Resident *resident = own_of(p)->resident;
    const pxli_term &term = run->call->terms[c->term];
    LayerRun r{};
    r.own = view_on(p, c->own, c->stage->outputs), r.other = view_on(p, c->other, c->stage->outputs);
    r.gradient = view_on(p, c->gradient, c->stage->outputs);
    if (term.features.linear) r.linear = reinterpret_cast<const float *>(resident->memory + resident->linear[c->stage->layer]);
    r.first = run->first, r.count = run->count, r.pixels = c->stage->h * c->stage->w, r.channels = c->stage->outputs;
    r.term = c->term, r.penalty = term.penalty, r.units = term.features.transform == PXLI_TRANSFORM_UNIT;
    r.param = static_cast<float>(term.param), r.factor = c->factor, r.of_slopes = 1, r.add = c->add, r.mask = c->mask;
    r.blocks = blocks_of(r.pixels, r.channels);
    return r;
}
// Where an image's charges in a layer are left.
void place_partials(const Walk &walk, const pxli_comparison *c, int64_t charged_pixels, LayerRun *r) {
    int t = 0;
    while (walk.walk->term[t] != c->term) t++;
    const Finish &f = walk.finish[t];
    r->stride = f.blocks / walk.e.n, r->blocks = blocks_of(charged_pixels, r->channels);
    if (c->value && f.partials) r->partials = f.partials + r->first * r->stride + walk.first[t][c->entry];
}

struct Grams { // in the scratch
    float *own, *other;
    void *slopes, *workspace;
};
size_t gram_bytes(const pxli_prepared *p, const pxli_stage &s, size_t element) {
    return pxli_rounded(static_cast<size_t>(p->shape.batch) * static_cast<size_t>(s.outputs) * static_cast<size_t>(s.outputs) *
                        element);
}
size_t partials(const pxli_prepared *p, const pxli_call *call, int term, const pxli_stage *s) {
    return is_gram(call, term) ? 2 * gram_bytes(p, *s, sizeof(float)) +
                                     gram_bytes(p, *s, pxli_element_bytes(p->shape.precision)) + PXLI_CUBLAS_WORKSPACE
                               : 0;
}
Grams grams_in(const pxli_prepared *p, const pxli_stage &s, void *scratch) {
    char *at = static_cast<char *>(scratch);
    const auto take = [&](size_t bytes) {
        char *mine = at;
        at += bytes;
        return mine;
    };
    Grams g;
    g.own = reinterpret_cast<float *>(take(gram_bytes(p, s, sizeof(float))));
    g.other = reinterpret_cast<float *>(take(gram_bytes(p, s, sizeof(float))));
    g.slopes = take(gram_bytes(p, s, pxli_element_bytes(p->shape.precision)));
    g.workspace = at;
    return g;
}
pxl_status multiply(const pxli_run_images *run, void *workspace, const pxli_product &product) {
    const Walk &walk = walk_of(run);
    Resident *r = own_of(run->prepared)->resident;
    if (walk.s.status()) return walk.s.status();
    pthread_mutex_lock(&r->lock);
    const pxl_status status = pxli_cublas_multiply(r->cublas, walk.s.stream(), workspace, &product);
    pthread_mutex_unlock(&r->lock);
    return status;
}
// What the slopes of a Gram matrix are multiplied by on their way to features: 2 / (C H W), of which 2 / (H W), as a power of two, is
// taken before they are stored, so that f16 holds them whatever the image's size.
double gram_slope(const pxli_stage &s) {
    return 2 / (static_cast<double>(s.outputs) * static_cast<double>(s.h) * static_cast<double>(s.w));
}
double stored_slope(const pxli_stage &s) { return exp2(floor(log2(2 / (static_cast<double>(s.h) * static_cast<double>(s.w))))); }
// F' F / (C H W), channels by channels.
pxl_status gram(const pxli_run_images *run, const pxli_stage &s, const void *features, const Grams &g, float *to) {
    pxli_product p{};
    p.precision = run->prepared->shape.precision, p.transpose_a = true, p.f32 = true;
    p.m = p.n = s.outputs, p.k = s.h * s.w, p.batch = run->count;
    p.alpha = static_cast<float>(1 / (static_cast<double>(s.outputs) * static_cast<double>(p.k)));
    p.a = p.b = features, p.c = to;
    return multiply(run, g.workspace, p);
}
// d charge / dF = 2 F S / (C H W) for the symmetric slopes S.
pxl_status pull_gram(const pxli_run_images *run, const pxli_comparison *c, const Grams &g) {
    const Walk &walk = walk_of(run);
    const pxli_stage &s = *c->stage;
    pxli_product p{};
    p.precision = run->prepared->shape.precision, p.m = s.h * s.w, p.n = p.k = s.outputs, p.batch = run->count;
    p.alpha = static_cast<float>(gram_slope(s) / stored_slope(s)), p.beta = c->add ? 1.0f : 0.0f;
    p.a = c->own, p.b = g.slopes, p.c = c->gradient;
    const pxl_status status = multiply(run, g.workspace, p);
    if (!status && c->mask)
        run_mask(walk.s, view_on(run->prepared, c->own, s.outputs), view_on(run->prepared, c->gradient, s.outputs),
                 run->count * p.m, s.outputs);
    return status ? status : walk.s.status();
}
pxl_status compare_grams(const pxli_run_images *run, const pxli_comparison *c) {
    const Walk &walk = walk_of(run);
    const pxli_stage &s = *c->stage;
    const Grams g = grams_in(run->prepared, s, run->scratch);
    LayerRun r = layer_run(run, c);
    r.own = layer_view(g.own, PXL_F32, s.outputs), r.other = layer_view(g.other, PXL_F32, s.outputs);
    r.gradient = c->gradient ? view_on(run->prepared, g.slopes, s.outputs) : View{};
    r.pixels = s.outputs, r.add = r.mask = false, r.of_slopes = stored_slope(s);
    place_partials(walk, c, s.outputs, &r);
    pxl_status status = gram(run, s, c->own, g, g.own);
    if (!status) status = gram(run, s, c->other, g, g.other);
    if (status) return status;
    run_charges(walk.s, walk.e.terms, walk.pull, r);
    return c->gradient ? pull_gram(run, c, g) : walk.s.status();
}
pxl_status compare(const pxli_run_images *run, const pxli_comparison *c) {
    const Walk &walk = walk_of(run);
    if (is_gram(run->call, c->term)) return compare_grams(run, c);
    LayerRun r = layer_run(run, c);
    place_partials(walk, c, r.pixels, &r);
    run_charges(walk.s, walk.e.terms, walk.pull, r);
    return walk.s.status();
}
pxl_status map(const pxli_run_images *run, const pxli_comparison *c, float *charges, const pxl_tensor *map) {
    const Walk &walk = walk_of(run);
    run_charge_map(walk.s, layer_run(run, c), c->stage->h, c->stage->w, charges, view_of(map), map->size[2], map->size[3]);
    return walk.s.status();
}

// ---- All walks of a call ---------------------------------------------------------------------------------------------------------------
// Each term's own sums, its layers one behind the other in each image.
void lay_out_sums(Walk &w, const pxli_call *call, bool last) {
    w.pull.count = w.walk->terms;
    for (int t = 0; t < w.walk->terms; t++) {
        const int k = w.walk->term[t];
        const pxli_features &f = call->terms[k].features;
        double most = 0;
        int64_t blocks = 0;
        for (int l = 0; l < f.count; l++) {
            const pxli_stage &stage = stage_of(w.walk->prepared, f.layer[l]);
            w.first[t][l] = blocks, blocks += blocks_of(charged(call, k, stage), stage.outputs);
            const double slope = is_gram(call, k) ? gram_slope(stage) : 1;
            most = std::max(most, f.weight[l] * pxli_layer_norm(&call->terms[k], &stage) * slope);
        }
        Step one{};
        one.count = 1, one.term[0] = k, one.last = last && t + 1 == w.walk->terms;
        w.finish[t] = finish_of(w.s, w.e, one, blocks * w.e.n);
        w.pull.term[t] = static_cast<unsigned char>(k), w.pull.factor[t] = static_cast<float>(most);
    }
}
void run_walk(Sequence &s, const Evaluation &e, pxli_call *call, int i, bool add) {
    Walk w = {s, e, &call->walk[i], add, {}, {}, {}};
    const size_t mark = s.mark();
    lay_out_sums(w, call, i + 1 == call->walks);
    if (call->walk_arena.base && !s.status()) s.fail(pxli_walk_run(call, w.walk, &w));
    for (int t = 0; t < w.walk->terms; t++) run_sums(s, e.terms, w.finish[t]);
    s.release(mark);
}

} // namespace

void run_walks(Sequence &s, const Evaluation &e, pxli_call *call, bool written) {
    for (int i = 0; i < call->walks; i++) run_walk(s, e, call, i, written || i > 0);
}

} // namespace pxli

// Plans are small, and a captured graph needs those that it was captured from.
const pxli_engine pxli_cuda_engine = {256,           pxli_cudnn_available, pxli::choose,   pxli::prepare,
                                      pxli::forget,  pxli::pulls,          pxli::partials, pxli::load_images,
                                      pxli::forward, pxli::compare,        pxli::backward, pxli::store_images,
                                      pxli::map};
