// What `pixloss compare` measures in a pair of images.
#pragma once
#include <string>
#include <vector>

#include "engine.hpp"
#include "image.hpp"
#include "network.hpp"

namespace cli {

// Both images where they are compared.
struct Pair {
    Pair(Device &on, const Image &reference, const Image &test) : device(on), target(on, reference), pred(on, test) {}
    pxl_args args() const { return PXL_ARGS(&pred.view(), &target.view()); }
    Device &device;
    const DeviceImage target, pred;
};

struct Metric {
    std::string name, unit;
    double value;
    std::string missing; // why there is no value; "": there is one
    bool random = false; // of a network with random weights
};

// The same metrics in the same order, each missing because of `reason`.
std::vector<Metric> unmeasured(const Networks &networks, const std::string &reason);

// mse to laplacian_l1.
std::vector<Metric> measure_pixels(const std::string &ssim, const Pair &images);
// features, cosine, style and, if there are weights for it, lpips in the network of --features. One that the images do not fit is
// missing. Throws where networks cannot be run at all.
std::vector<Metric> measure_features(const Networks &networks, const Pair &images);

// Of the first windowed term: the mean of the channels' maps.
Image ssim_map(const pxl_loss *loss, const Pair &images);
struct FeatureMap {
    Image map;
    double value; // of the loss
};
FeatureMap feature_map(const pxl_loss *loss, const Pair &images);

} // namespace cli
