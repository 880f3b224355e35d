/* The description of a loss with every default filled in. Made by loss.c, read by everything else. */
#ifndef PXLI_LOSS_H
#define PXLI_LOSS_H
#include <stdbool.h>

#include "math/scales.h"
#include "math/value.h"
#include "pixloss/pixloss.h"

enum { PXLI_MAX_TERMS = 32, PXLI_MAX_NAME = 640, PXLI_MAX_WINDOW = 65, PXLI_MAX_BLUR = 1023 };

/* An integer pixel is read as itself times range / most; {1, 1}: as it is. A division, so that it is what frameworks make of it. */
typedef struct pxli_unit {
    double range, most;
} pxli_unit;

/* The filter along one axis. */
typedef struct pxli_axis {
    int taps;     /* odd */
    double sigma; /* 0: uniform */
} pxli_axis;
static inline bool pxli_same_axis(pxli_axis a, pxli_axis b) { return a.taps == b.taps && a.sigma == b.sigma; }
/* A window and what is needed to score its statistics; two windowed terms that agree in all of it share a pass. */
typedef struct pxli_window {
    pxl_border border;         /* never PXL_BORDER_DEFAULT */
    pxli_axis y, x;            /* down the columns of the caller's image, and along its rows */
    bool sample_covariance;    /* variances times n / (n - 1), n = y.taps x.taps */
    bool skip_short_axis;      /* vainf: an axis shorter than the window is not smoothed */
    bool symmetric_decimation; /* vmaf: blocks centred on the multiples of the factor, border symmetric */
    int downsample;            /* 1, a factor, or PXL_DOWNSAMPLE_AUTO */
    double k1, k2;
    double data_range; /* 0: 1, or the largest value of u8 and u16; PXL_FROM_DATA; or the value */
} pxli_window;

/* What is compared of a layer's output. */
typedef enum pxli_transform { PXLI_TRANSFORM_NONE, PXLI_TRANSFORM_UNIT, PXLI_TRANSFORM_GRAM } pxli_transform;
enum { PXLI_MAX_TERM_LAYERS = 16, PXLI_MAX_LAYERS_TEXT = 255, PXLI_MAX_WEIGHTS_TEXT = 191 };
/* Of features, lpips, style, cosine. */
typedef struct pxli_features {
    const pxl_network *network; /* kept alive by the loss */
    pxl_normalize normalize;    /* never PXL_NORMALIZE_DEFAULT */
    pxl_precision precision;
    pxli_transform transform;
    bool linear; /* each channel's charge times the layer's linear weight */
    int count, layer[PXLI_MAX_TERM_LAYERS];
    double weight[PXLI_MAX_TERM_LAYERS];
} pxli_features;

/* How an axis is halved where its length is odd. */
typedef enum pxli_halving {
    PXLI_HALVE_REPEAT, /* the last pixel counts twice */
    PXLI_HALVE_FRONT,  /* pairs begin one before the first pixel, which counts twice; both axes if either is odd */
    PXLI_HALVE_PAD,    /* the same, but a 0 stands there */
    PXLI_HALVE_DROP    /* the last pixel does not count */
} pxli_halving;
/* Of ms_ssim. */
typedef struct pxli_scales {
    int count; /* weights; the finest scale's first */
    double weight[PXLI_MAX_SCALES];
    bool automatic;  /* as many of them as fit the image, their weights divided by their sum */
    pxl_clamp clamp; /* never PXL_CLAMP_DEFAULT */
    double eps;      /* the least factor; 0 but for PXL_CLAMP_EPS */
    pxli_halving halving;
    bool mean_of_channels; /* torchmetrics: one factor for all channels of an image */
    bool crop;             /* the same: all scales but the last count whole windows only */
    bool own_ranges;       /* the same: a data range from the data is each scale's own */
} pxli_scales;

typedef struct pxli_term {
    pxl_term_kind kind;
    double weight;
    pxl_reduction reduction;
    pxl_penalty penalty; /* never PXL_PENALTY_DEFAULT for a map */
    double param;        /* delta, beta, eps */
    bool isotropic, own_counts, root, mean_of_images;
    int neighbours;
    double alpha, beta, gamma; /* 1 by default */
    /* Windowed terms: all of it. sobel, laplacian, blur: border and axes (3 taps for the stencils). psnr, features and its like:
     * data_range. Else zero. */
    pxli_window window;
    pxli_features features;
    pxli_scales scales;
    char name[PXLI_MAX_NAME]; /* as in an expression, without the weight: what differs from the defaults, and given penalty
                                 parameters */
} pxli_term;

struct pxl_loss {
    int count;
    pxli_term terms[]; /* count of them */
};

/* Scored from windowed statistics of the image, or of its scales. */
static inline bool pxli_has_statistics(pxl_term_kind kind) { return kind >= PXL_SSIM; }
static inline bool pxli_is_windowed(pxl_term_kind kind) { return pxli_has_statistics(kind) && kind != PXL_MS_SSIM; }

/* Whether charges lie at places of a layer. */
static inline bool pxli_has_feature_map(const pxli_term *term) { return pxli_is_features(term->kind) && term->kind != PXL_STYLE; }

static inline bool pxli_is_function(const pxli_term *term) { return pxli_is_function_of_mean(term->kind, term->root); }

/* Whether two terms are scored from the same statistics. */
static inline bool pxli_same_window(const pxli_window *a, const pxli_window *b) {
    return a->border == b->border && pxli_same_axis(a->y, b->y) && pxli_same_axis(a->x, b->x) &&
           a->sample_covariance == b->sample_covariance && a->skip_short_axis == b->skip_short_axis &&
           a->symmetric_decimation == b->symmetric_decimation && a->downsample == b->downsample && a->k1 == b->k1 &&
           a->k2 == b->k2 && a->data_range == b->data_range;
}

/* The border and both axes of a filter; 3 taps for the stencils. Of a blur or box taps may be even. check_operators.c */
pxli_window pxli_filter_window(const pxl_filter *filter);

/* Checks one public term, which has to be a windowed one, and fills in every default. `where` names it in messages: "term". Used
 * by pxl_ssim_statistics; losses use pxli_term_resolve_at (terms.h). */
pxl_status pxli_windowed_resolve(const pxl_term *from, const char *where, pxli_term *to);
#endif
