// What evaluate.cu puts together: each step is one function that launches its kernels, or in a counting sequence takes its memory.
#ifndef PXLI_PASSES_CUH
#define PXLI_PASSES_CUH
#include "sequence.cuh"

namespace pxli {

// One step of a call: some terms of one pass, summed and pulled back together.
struct Step {
    enum Kind {
        RESIDUAL, // pixel, sobel, laplacian, tv, rmse's and psnr's square: residual.cu
        STRIP,    // 1 - SSIM in one kernel, with terms on pixels and, of 11 taps, on their neighbours: strip.cu
        MAPS      // any windowed terms, or one blur, by filtered maps in the workspace: maps.cu
    } kind;
    const pxli_pass *pass;
    int count, term[PXLI_MAX_TERMS]; // indices into the call's terms
    bool gradients;                  // writes them
    bool accumulate;                 // adds to what an earlier step wrote, or the caller has
    bool last;                       // of those that sum: writes the values
};

// What all steps of a call share.
struct Evaluation {
    const pxli_call *call;
    Terms terms;
    unsigned *ticket;
    View pred, target, weight;   // weight.data NULL: none
    View grad_pred, grad_target; // data NULL: not wanted
    int64_t n, c, h, w;
};

inline void set_unit(View &v, pxli_unit unit) {
    v.range = static_cast<float>(unit.range), v.most = static_cast<float>(unit.most), v.reciprocal = 1 / v.most;
}
// The end of a step whose launches have `blocks` blocks in all; takes the partial sums.
Finish finish_of(Sequence &s, const Evaluation &e, const Step &step, int64_t blocks);

void run_step(Sequence &s, const Evaluation &e, const Step &step); // one of the next three
void run_residual(Sequence &s, const Evaluation &e, const Step &step);
bool strip_does(const pxli_call *call, const Step &step); // whether run_strip can
void run_strip(Sequence &s, const Evaluation &e, const Step &step);
void run_maps(Sequence &s, const Evaluation &e, const Step &step);

// The call's ms_ssim terms, which add to gradients that were written before, and with the last the terms that ride: scales.cu.
void run_pyramids(Sequence &s, const Evaluation &e, const Step &riding, bool written);
// What the sums and differences of averaged pixels are less, [planes][2]: medians of p + q and of p - q at nine places of a plane, so
// that no outlier is chosen. pool.cu
void run_bases(Sequence &s, const Evaluation &e, double *base);

// results[g] (double, on the device) of the elements of group g: planes g * planes ... (counted through the images) of `tensor`,
// rows [crop.y0, crop.y1), columns [crop.x0, crop.x1). `kind` may be SUM, L1, L2 (the sum of squares), MIN, MAX, MEAN (the sum).
// Where weight.data is given, elements whose weight is 0 are left out (NaN among them too); MIN and MAX of nothing are +-infinity.
struct Region {
    View tensor, weight;
    int64_t channels, planes, groups;
    pxli_crop crop;
};
void run_reduce(Sequence &s, pxl_reduce_kind kind, const Region &region, unsigned *ticket, double *results);

// pxl_reduce: with its own ticket.
void run_public_reduce(Sequence &s, const pxli_reduce_call *call);

// args->pixel_map, of the call's term for it: pixel_map.cu
void run_pixel_map(Sequence &s, const Evaluation &e);
// Copies a dense f32 sum of gradients to the caller's dtype and layout, or adds it: copy.cu
void run_round(Sequence &s, const Evaluation &e, const View &from, const View &to, bool add);

void run_filter(Sequence &s, const pxli_filter_call *call);

} // namespace pxli
#endif
