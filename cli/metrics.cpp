#include "metrics.hpp"

#include <cmath>

namespace cli {

std::vector<Metric> measure_pixels(const std::string &ssim, const Pair &images) {
    const Loss loss = parse_loss("mse + rmse + l1 + psnr + " + ssim + " + sobel(l1) + laplacian(l1)", "--preset");
    const std::vector<double> v = Evaluator(images.device, nullptr, loss.get(), images.args()).run();
    return {{"mse", "", v[1], ""},      {"rmse", "", v[2], ""},      {"mae", "", v[3], ""},      {"psnr", " dB", v[4], ""},
            {"ssim", "", 1 - v[5], ""}, {"dssim", "", v[5] / 2, ""}, {"sobel_l1", "", v[6], ""}, {"laplacian_l1", "", v[7], ""}};
}

namespace {

struct Distance {
    std::string name, expression;
};

std::vector<Distance> distances(const Networks &networks) {
    const std::string layers = networks.layers().empty() ? "" : "(layers=" + networks.layers() + ")";
    std::vector<Distance> all = {{"features", "features" + layers}, {"cosine", "cosine" + layers}, {"style", "style"}};
    if (networks.has_linear()) all.push_back({"lpips", "lpips"});
    return all;
}

// Those whose term the images, or the network, do not fit are missing.
std::vector<Metric> measure(const Networks &networks, const std::vector<Distance> &distances, const Pair &images) {
    std::string sum;
    std::vector<Metric> metrics;
    for (const Distance &distance : distances) {
        sum += (sum.empty() ? "" : " + ") + distance.expression;
        metrics.push_back({distance.name, "", NAN, ""});
    }
    try {
        const Loss loss = networks.make(sum);
        const std::vector<double> values = Evaluator(images.device, nullptr, loss.get(), images.args()).run();
        for (size_t i = 0; i < metrics.size(); i++) metrics[i].value = values[i + 1];
    } catch (const LibraryError &error) {
        if (error.status == PXL_UNSUPPORTED) throw std::runtime_error(std::string("--features: ") + error.what());
        if (error.status != PXL_INVALID_ARGUMENT) throw;
        if (distances.size() == 1) metrics[0].missing = error.what();
        for (size_t i = 0; distances.size() > 1 && i < distances.size(); i++)
            metrics[i] = measure(networks, {distances[i]}, images)[0];
    }
    return metrics;
}

} // namespace

std::vector<Metric> measure_features(const Networks &networks, const Pair &images) {
    return measure(networks, distances(networks), images); // in one loss, which goes through the network once
}

Image ssim_map(const pxl_loss *loss, const Pair &images) {
    int64_t size[4];
    check(pxl_map_size(loss, &images.pred.view(), size));
    const auto channels = size_t(size[1]), count = size_t(size[2] * size[3]);
    std::vector<float> planes(channels * count);
    const DeviceMemory memory(images.device, planes.size() * sizeof(float));
    const pxl_tensor map = pxl_nchw(memory.data(), PXL_F32, images.device.id(), 1, size[1], size[2], size[3]);
    pxl_args args = images.args();
    args.map = &map;
    Evaluator(images.device, nullptr, loss, args).run();
    images.device.download(planes.data(), memory.data(), memory.bytes());
    Image mean(size[3], size[2], 1);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += planes[c * count + i];
        mean.pixels[i] = float(sum / double(channels));
    }
    return mean;
}

FeatureMap feature_map(const pxl_loss *loss, const Pair &images) {
    const int64_t height = images.pred.view().size[2], width = images.pred.view().size[3];
    Image map(width, height, 1);
    const DeviceMemory memory(images.device, map.pixels.size() * sizeof(float));
    const pxl_tensor view = pxl_nchw(memory.data(), PXL_F32, images.device.id(), 1, 1, height, width);
    pxl_args args = images.args();
    args.feature_map = &view;
    const double value = Evaluator(images.device, nullptr, loss, args).run()[0];
    images.device.download(map.pixels.data(), memory.data(), memory.bytes());
    return {map, value};
}

} // namespace cli
