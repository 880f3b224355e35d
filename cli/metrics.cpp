#include "metrics.hpp"

#include <cmath>

namespace cli {

namespace {

std::vector<Metric> pixel_metrics(const std::string &missing) {
    std::vector<Metric> metrics;
    for (const char *name : {"mse", "rmse", "mae", "psnr", "ssim", "dssim", "ms_ssim", "sobel_l1", "laplacian_l1"})
        metrics.push_back({name, name == std::string("psnr") ? " dB" : "", NAN, missing});
    return metrics;
}

// Missing where the preset has none, and where the images are too small for its scales.
void measure_ms_ssim(const std::string &ssim, const Pair &images, Metric &metric) {
    pxl_loss *made = nullptr;
    pxl_status status = pxl_loss_parse(("ms_" + ssim).c_str(), nullptr, &made);
    const Loss loss(made);
    pxl_args args = images.args();
    double values[2];
    size_t bytes;
    args.values = values;
    if (status == PXL_OK) status = pxl_workspace_size(nullptr, loss.get(), &args, &bytes);
    if (status == PXL_INVALID_ARGUMENT || status == PXL_UNSUPPORTED) {
        metric.missing = pxl_error_message();
        return;
    }
    check(status);
    metric.value = 1 - Evaluator(images.device, nullptr, loss.get(), images.args()).run()[1];
}

} // namespace

std::vector<Metric> measure_pixels(const std::string &ssim, const Pair &images) {
    const Loss loss = parse_loss("mse + rmse + l1 + psnr + " + ssim + " + sobel(l1) + laplacian(l1)", "--preset");
    const std::vector<double> v = Evaluator(images.device, nullptr, loss.get(), images.args()).run();
    const double values[] = {v[1], v[2], v[3], v[4], 1 - v[5], v[5] / 2, NAN, v[6], v[7]};
    std::vector<Metric> metrics = pixel_metrics("");
    for (size_t i = 0; i < metrics.size(); i++) {
        metrics[i].value = values[i];
        if (metrics[i].name == "ms_ssim") measure_ms_ssim(ssim, images, metrics[i]);
    }
    return metrics;
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

std::vector<Metric> feature_metrics(const Networks &networks, const std::vector<Distance> &distances,
                                    const std::string &missing) {
    std::vector<Metric> metrics;
    for (const Distance &distance : distances) metrics.push_back({distance.name, "", NAN, missing, networks.named().random});
    return metrics;
}

// Those whose term the images, or the network, do not fit are missing.
std::vector<Metric> measure(const Networks &networks, const std::vector<Distance> &distances, const Pair &images) {
    std::string sum;
    std::vector<Metric> metrics = feature_metrics(networks, distances, "");
    for (const Distance &distance : distances) sum += (sum.empty() ? "" : " + ") + distance.expression;
    try {
        const Loss loss = networks.make(sum);
        const std::vector<double> values = Evaluator(images.device, nullptr, loss.get(), images.args()).run();
        for (size_t i = 0; i < metrics.size(); i++) metrics[i].value = values[i + 1];
    } catch (const LibraryError &error) {
        if (error.status == PXL_UNSUPPORTED) throw Unsupported(std::string("--features: ") + error.what());
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

std::vector<Metric> unmeasured(const Networks &networks, const std::string &reason) {
    std::vector<Metric> metrics = pixel_metrics(reason);
    if (networks.given())
        for (const Metric &metric : feature_metrics(networks, distances(networks), reason)) metrics.push_back(metric);
    return metrics;
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
