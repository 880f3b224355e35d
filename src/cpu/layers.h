/* What happens to activations between convolutions, once for each instruction set; f32, H x W x C. */
#ifndef PXLI_LAYERS_H
#define PXLI_LAYERS_H
#include "../network/engine.h"

/* A term in a layer, for one image. */
typedef struct pxli_layer_charge {
    pxl_penalty penalty;
    float param;
    const float *linear; /* NULL: none */
    const float *a, *b;  /* [pixels][channels] */
    int channels;
    float scale; /* of the gradient */
    bool add, mask;
    float *gradient; /* of a; NULL: not wanted */
} pxli_layer_charge;

typedef struct pxli_layer_kernels {
    /* Row y of an image into `channels` channels, times multiply[c] plus add[c] (both NULL: as it is); an image of one channel goes
     * to all. row: a row's elements of scratch. */
    void (*load)(const pxl_tensor *image, int64_t n, int64_t y, int channels, const float *multiply, const float *add, float *row,
                 float *to);
    /* The way back of a gradient, added to what is there. */
    void (*store)(const pxl_tensor *gradient, int64_t n, int64_t y, int channels, const float *multiply, float *row,
                  const float *from);
    void (*relu)(const float *in, float *out, int64_t count);
    /* 0 where the output of a ReLU is. */
    void (*mask)(const float *out, float *gradient, int64_t count);
    /* Row y of what is pooled. */
    void (*pool)(const pxli_stage *stage, int64_t y, const float *in, float *out);
    /* Rows 2y and 2y + 1 of the gradient of what is pooled (the last time all that are left), with mask: of a ReLU undone. in: NULL
     * where an average is undone without a mask. */
    void (*unpool)(const pxli_stage *stage, int64_t y, const float *in, bool mask, const float *grad_out, float *grad_in);
    /* Elements [from, to) as they are; pixels [from, to) divided by their norms (row: 2 channels' elements of scratch). The sum of the
     * charges; the gradient goes where c says. */
    double (*compare)(const pxli_layer_charge *c, int64_t from, int64_t to);
    double (*compare_units)(const pxli_layer_charge *c, int64_t from, int64_t to, float *row);
} pxli_layer_kernels;
#endif
