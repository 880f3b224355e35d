// Between the scales of MS-SSIM, on the device: see ../scales.h. Launched by scales.cu.
#ifndef PXLI_PYRAMID_CUH
#define PXLI_PYRAMID_CUH
#include "passes.cuh"

extern "C" {
#include "../scales.h"
}

namespace pxli {
namespace pyramid {

// Planes of one scale, as a launch goes through them.
struct Planes {
    int64_t channels, count, h, w;
};

struct Halving {
    Planes planes;        // of the coarser scale
    View x, y;            // the images, or the finer scale's sums and differences
    View sum, difference; // written
    pxli_halved rows, columns;
    const double *base; // [planes][2]
    bool images;
};
void launch_halve(Sequence &s, const Halving &g);

// The least and most pixel of both images of a scale, by `parts` blocks for each plane.
struct Extremes {
    Planes planes;
    View sum, difference;
    const double *base;
    double *found; // [planes][parts][4]
    int64_t parts;
};
int64_t parts_of(const Planes &planes);
void launch_extremes(Sequence &s, const Extremes &g);
// From these to range[n], of each image or of all.
void launch_range(Sequence &s, const Extremes &g, const Terms &t, double *range);
// The ranges of term k, one after the other.
void launch_copy_range(Sequence &s, const Terms &t, int k, double *range);

// From the sums of the maps to the term's sums, and to each scale's slopes; after the call's last term, the values.
struct Multiplying {
    pxli_scale_product product;
    double area[PXLI_MAX_SCALES];
    double *loss[PXLI_MAX_SCALES], *slope[PXLI_MAX_SCALES]; // [planes]
    double *products;                                       // [planes]: of the planes that have one together
    int term, together;                                     // channels that have one product
    bool gradients, values;
};
void launch_multiply(Sequence &s, const Terms &t, const Multiplying &m);

// A scale's gradients times its slopes, and what the coarser scale brings.
struct Weighing {
    Planes planes;
    View own[2], coarser[2], to[2];      // by pred and by target; where `to` has no data, not wanted
    pxli_halved rows, columns;           // how the coarser one was made
    const double *slope, *coarser_slope; // [planes]; the latter NULL: what it brings has been weighed
    bool has_coarser, add;
};
void launch_weigh(Sequence &s, const Weighing &g);
// The finest scale's, with the step's terms, which are on pixels.
void launch_weigh_and_charge(Sequence &s, const Evaluation &e, const Step &step, Weighing g);

} // namespace pyramid
} // namespace pxli
#endif
