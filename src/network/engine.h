/* What runs the layers of networks on a device, and what is kept of it between calls.
 *
 * Activations are dense N x H x W x C, so that a pixel's channels lie together. All of an engine's work goes on in places of the
 * workspace that the walk (walk.h) gives it. */
#ifndef PXLI_ENGINE_H
#define PXLI_ENGINE_H
#include "../plan.h"
#include "network.h"

/* A step through a network: a layer, or a convolution with the ReLU that follows it unless its own output is compared. */
typedef struct pxli_stage {
    pxl_layer_kind kind;
    bool relu;       /* its output comes out of a ReLU */
    bool compared;   /* some term looks at it */
    int layer;       /* the last one that it stands for */
    int convolution; /* the layer of its weights */
    int inputs, outputs;
    int64_t in_h, in_w, h, w;
} pxli_stage;

/* A network cut down to what is compared, for one size of images, as an engine prepared it. */
typedef struct pxli_prepared pxli_prepared;
typedef struct pxli_shape {
    const struct pxli_engine *engine;
    pxl_device device;
    int64_t batch, h, w; /* batch: images of pred that go together */
    bool joint;          /* followed by those of target */
    pxl_precision precision;
    int threads;
    bool gradients, grams;                   /* wanted; some term's transform */
    uint64_t compared[PXLI_MAX_LAYERS / 64]; /* a bit for each layer */
} pxli_shape;
struct pxli_prepared {
    pxli_prepared *next; /* of the same network, also while this one is prepared */
    int users;           /* calls that hold it */
    const pxl_network *network;
    pxli_shape shape;
    int stages;
    pxli_stage *stage;
    size_t scratch; /* bytes for one stage's work */
    void *own;      /* the engine's */
};

/* One evaluation's work in some of its images. */
typedef struct pxli_run_images {
    const pxli_prepared *prepared;
    pxli_call *call;
    const void *where;    /* threads, or a stream: the backend's own */
    int64_t first, count; /* images, at most the shape's batch: what lies in the places of more is never read */
    void *scratch;
} pxli_run_images;
/* A term in a layer. */
typedef struct pxli_comparison {
    const pxli_stage *stage;
    int entry;               /* of the term's layers */
    int term;                /* of the call */
    double factor;           /* the term's value is the sum over layers of factor times the charges */
    bool value;              /* add the charges to the call's sums */
    bool add, mask;          /* to the gradient that is there; 0 where the ReLU of the stage is */
    const void *own, *other; /* the activations whose gradient is wanted, and the other image's */
    void *gradient;          /* NULL: not wanted */
} pxli_comparison;

typedef struct pxli_engine {
    int most_shapes;               /* that a network keeps: so that images of many sizes do not fill the memory */
    pxl_status (*available)(void); /* PXL_OK, or why this process cannot use it */
    /* Fills in how a call's images go through: threads, precision, batch, joint; the rest of the shape is there. */
    void (*choose)(const pxl_context *context, const pxli_call *call, const pxli_term *term, pxli_shape *shape);
    pxl_status (*prepare)(pxli_prepared *prepared); /* fills in own and scratch */
    void (*forget)(pxli_prepared *prepared);        /* frees own, which may be NULL. One of a network at a time, as prepare */
    /* Whether anything comes back from the images of a run, as far as the host can know. */
    bool (*pulls)(const pxli_run_images *run, const pxli_walk *walk);
    size_t (*partials)(const pxli_prepared *prepared, const pxli_call *call, int term,
                       const pxli_stage *stage); /* bytes that compare needs */
    pxl_status (*load)(const pxli_run_images *run, const pxl_tensor *image, int term, void *to);
    /* Of a batch, or where the shape is joint of two, one behind the other. */
    pxl_status (*forward)(const pxli_run_images *run, const pxli_stage *stage, const void *in, void *out);
    pxl_status (*compare)(const pxli_run_images *run, const pxli_comparison *comparison);
    /* The gradient of a stage's input from that of its output, whose ReLU has been undone. mask: of the input's ReLU is undone, too. */
    pxl_status (*backward)(const pxli_run_images *run, const pxli_stage *stage, const void *in, bool mask, const void *grad_out,
                           void *grad_in);
    pxl_status (*store)(const pxli_run_images *run, const pxl_tensor *gradient, int term, const void *from);
    /* What each pixel of a layer is charged, times c->factor, enlarged to the image and added to `map`, which the first layer
     * (c->add false) overwrites; in `charges`, a float for each pixel of the layer. */
    pxl_status (*map)(const pxli_run_images *run, const pxli_comparison *c, float *charges, const pxl_tensor *map);
} pxli_engine;
extern const pxli_engine pxli_cpu_engine;
extern const pxli_engine pxli_cuda_engine; /* of builds with CUDA */
static inline size_t pxli_element_bytes(pxl_precision precision) {
    return precision == PXL_PRECISION_F16 || precision == PXL_PRECISION_BF16 ? 2 : 4;
}
/* What the charges of a layer are multiplied by. */
static inline double pxli_layer_norm(const pxli_term *term, const pxli_stage *s) {
    const double pixels = (double)s->h * (double)s->w;
    if (term->kind == PXL_STYLE || (term->kind == PXL_FEATURES && term->reduction == PXL_SUM)) return 1;
    return term->kind == PXL_FEATURES && term->reduction == PXL_MEAN ? 1 / (pixels * s->outputs) : 1 / pixels;
}
/* What comes back to the input of stage s is masked by the ReLU before it: a comparison has not done so there. */
static inline bool pxli_masks(const pxli_prepared *p, int s) {
    return s > 0 && p->stage[s - 1].relu && !p->stage[s - 1].compared;
}

/* ---- What is kept with a network ------------------------------------------------------------------------------------- */
typedef struct pxli_engine_cache pxli_engine_cache;
pxli_engine_cache *pxli_engine_cache_create(void);
void pxli_engine_cache_destroy(pxli_engine_cache *cache); /* NULL is allowed */
/* The network prepared for a shape, made if it is not there yet; to be released. */
pxl_status pxli_prepare(const pxl_network *network, const pxli_shape *shape, const pxli_prepared **prepared);
void pxli_release(const pxli_prepared *prepared); /* NULL is allowed */

/* Factors of each channel of a normalised image: x times multiply plus add. */
typedef struct pxli_normalisation {
    float multiply[3], add[3];
} pxli_normalisation;
static inline pxli_normalisation pxli_normalisation_of(pxl_normalize normalize, double L) {
    static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};
    static const double shift[3] = {-0.030, -0.088, -0.188}, scale[3] = {0.458, 0.448, 0.450};
    pxli_normalisation n = {{1, 1, 1}, {0, 0, 0}};
    for (int c = 0; c < 3 && normalize == PXL_NORMALIZE_IMAGENET; c++)
        n.multiply[c] = (float)(1 / (L * deviation[c])), n.add[c] = (float)(-mean[c] / deviation[c]);
    for (int c = 0; c < 3 && normalize == PXL_NORMALIZE_LPIPS; c++)
        n.multiply[c] = (float)(2 / (L * scale[c])), n.add[c] = (float)((-1 - shift[c]) / scale[c]);
    return n;
}
#endif
