// `pixloss compare`: every metric of two images, as a table or JSON, and the SSIM map as a picture.
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "draw.hpp"
#include "engine.hpp"
#include "expression.hpp"
#include "image.hpp"
#include "report.hpp"

namespace cli {
namespace {

struct Metric {
    std::string name, unit;
    double value;
};

void check_preset(const std::string &preset) {
    std::string known;
    for (size_t i = 0; pxl_preset_name(i); i++) {
        if (preset == pxl_preset_name(i)) return;
        known += (i ? ", " : "") + std::string(pxl_preset_name(i));
    }
    throw UsageError("--preset '" + preset + "': no preset of this name; there are " + known);
}

void check_same_shape(const CompareOptions &options, const Image &reference, const Image &test) {
    if (reference.width == test.width && reference.height == test.height && reference.channels == test.channels) return;
    throw std::runtime_error("the images differ in shape: " + options.reference + " is " + reference.shape() + "; " +
                             options.test + " is " + test.shape());
}

// Both images where they are compared.
struct Pair {
    Pair(Device &on, const Image &reference, const Image &test) : device(on), target(on, reference), pred(on, test) {}
    pxl_args args() const { return PXL_ARGS(&pred.view(), &target.view()); }
    Device &device;
    const DeviceImage target, pred;
};

std::vector<Metric> measure(const std::string &ssim, const Pair &images) {
    const Loss loss = parse_loss("mse + rmse + l1 + psnr + " + ssim + " + sobel(l1) + laplacian(l1)", "--preset");
    const std::vector<double> v = Evaluator(images.device, nullptr, loss.get(), images.args()).run();
    return {{"mse", "", v[1]},      {"rmse", "", v[2]},      {"mae", "", v[3]},      {"psnr", " dB", v[4]},
            {"ssim", "", 1 - v[5]}, {"dssim", "", v[5] / 2}, {"sobel_l1", "", v[6]}, {"laplacian_l1", "", v[7]}};
}

double evaluate(const pxl_loss *loss, const Pair &images) {
    return Evaluator(images.device, nullptr, loss, images.args()).run()[0];
}

// The mean of the channels' maps.
Image ssim_map(const pxl_loss *ssim, const Pair &images) {
    int64_t size[4];
    check(pxl_map_size(ssim, &images.pred.view(), size));
    const auto channels = size_t(size[1]), count = size_t(size[2] * size[3]);
    std::vector<float> planes(channels * count);
    const DeviceMemory memory(images.device, planes.size() * sizeof(float));
    const pxl_tensor map = pxl_nchw(memory.data(), PXL_F32, images.device.id(), 1, size[1], size[2], size[3]);
    pxl_args args = images.args();
    args.map = &map;
    Evaluator(images.device, nullptr, ssim, args).run();
    images.device.download(planes.data(), memory.data(), memory.bytes());
    Image mean(size[3], size[2], 1);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += planes[c * count + i];
        mean.pixels[i] = float(sum / double(channels));
    }
    return mean;
}

nlohmann::ordered_json finite(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string as_json(const CompareOptions &options, const Image &image, const std::vector<Metric> &metrics, const double *loss) {
    nlohmann::ordered_json json = {{"reference", options.reference}, {"test", options.test},       {"width", image.width},
                                   {"height", image.height},         {"channels", image.channels}, {"preset", options.preset}};
    for (const Metric &metric : metrics) {
        json[metric.name] = finite(metric.value);
        if (metric.name == "dssim") json["ms_ssim"] = nullptr;
    }
    json["loss"] = loss ? finite(*loss) : nlohmann::ordered_json();
    // A file's name need not be UTF-8, JSON has to be.
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_table(const CompareOptions &options, const Device &device, const std::string &expression, const Image &image,
                     const std::vector<Metric> &metrics, const double *loss) {
    Table table({"metric", "value"});
    for (const Metric &metric : metrics) table.row({metric.name, number(metric.value) + metric.unit});
    if (loss) table.row({"loss", number(*loss)});
    return "reference  " + options.reference + "\ntest       " + options.test + "\nsize       " + image.shape() +
           "\npreset     " + options.preset + (loss ? "\nloss       " + expression : "") +
           (device.is_cpu() ? "" : "\ndevice     " + device.description()) + "\n\n" + table.text();
}

std::string base_name(const std::string &path) { return path.substr(path.find_last_of('/') + 1); }

} // namespace

void compare(const CompareOptions &options) {
    check_preset(options.preset);
    const std::string ssim_expression = "ssim(preset=" + options.preset + ")";
    std::string expression;
    Loss loss;
    if (options.loss) {
        parse_loss(*options.loss); // as it was typed, for the message
        expression = *options.loss;
        if (options.preset != "wang")
            expression = with_argument(expression, windowed_terms(), "preset=" + options.preset, {"preset"});
        loss = parse_loss(expression);
    }
    const Loss ssim = parse_loss(ssim_expression, "--preset");
    const std::unique_ptr<Device> device = open_device(options.device);
    if (options.map) {
        check_png_name("--map", *options.map);
        for (const std::string &input : {options.reference, options.test}) check_not_input("--map", *options.map, input);
    }
    const Image reference = read_image(options.reference), test = read_image(options.test);
    check_same_shape(options, reference, test);
    std::unique_ptr<OutputFile> map_file;
    if (options.map) map_file = std::make_unique<OutputFile>(*options.map);

    const Pair images(*device, reference, test);
    const std::vector<Metric> metrics = naming(options.test, [&] { return measure(ssim_expression, images); });
    double value = 0;
    if (loss) value = naming(options.test, [&] { return evaluate(loss.get(), images); });
    if (map_file) {
        const Image map = naming(options.test, [&] { return ssim_map(ssim.get(), images); });
        map_file->write(
            draw_map(map, "SSIM map, mean " + format("%.4f", metrics[4].value),
                     base_name(options.test) + " against " + base_name(options.reference) + ", preset " + options.preset));
    }
    const double *value_or_none = loss ? &value : nullptr;
    const std::string text = options.json ? as_json(options, reference, metrics, value_or_none)
                                          : as_table(options, *device, expression, reference, metrics, value_or_none);
    if (map_file) map_file->commit();
    print(text);
}

} // namespace cli
