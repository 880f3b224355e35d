// The difference of two images as a network sees them: of what chosen layers put out for each, charged and added up.
#ifndef ORACLE_FEATURES_H
#define ORACLE_FEATURES_H
#include "image.h"
#include "network.h"
#include "pixloss/pixloss.h"

namespace oracle {

struct FeatureTerm {
    enum Transform {
        NONE,
        UNIT, // divided at each pixel by the norm over channels
        GRAM, // F F^T / (C H W)
    };
    enum Epsilon {
        INSIDE_ROOT, // sqrt(1e-8 + sum of squares): torchmetrics
        ADDED,       // sqrt(sum of squares) + 1e-10: lpips
    };
    enum Normalize { AS_IS, IMAGENET, LPIPS };

    std::vector<int> layers;           // indices
    std::vector<double> layer_weights; // per chosen layer; empty: 1
    pxl_penalty penalty = PXL_L2;
    double param = 0; // delta, beta, eps
    pxl_reduction reduction = PXL_MEAN;
    Transform transform = NONE;
    Epsilon epsilon = INSIDE_ROOT;
    std::vector<std::vector<double>> linear; // per chosen layer and channel; empty: 1. Not with GRAM.
    Normalize normalize = AS_IS;
    double data_range = 1;
};

struct FeatureResult {
    std::vector<double> values;   // per image
    Image grad_pred, grad_target; // of the sum of upstream[n] * values[n]
};

// upstream: per image; empty: no gradients. An image of one channel goes to all three inputs of a network that has three.
FeatureResult evaluate(const Network &network, const FeatureTerm &term, const Image &pred, const Image &target,
                       const std::vector<double> &upstream);
// Of a batch: the mean of its images' values, or their sum where the reduction is PXL_SUM; and what evaluate() takes as
// upstream then, for an upstream gradient of 1.
double batch_value(const FeatureTerm &term, const std::vector<double> &values);
std::vector<double> batch_upstream(const FeatureTerm &term, int64_t images);

// lpips(spatial=True): what each pixel of a layer adds up to over its channels, enlarged to H x W, summed over layers.
Image feature_map(const Network &network, const FeatureTerm &term, const Image &pred, const Image &target);
// Bilinear, torch's align_corners=False.
Image enlarged(const Image &image, int64_t h, int64_t w);

} // namespace oracle
#endif
