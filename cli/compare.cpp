// `pixloss compare`: every metric of two images, as a table or JSON, and a map of where they differ as a picture.
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "draw.hpp"
#include "engine.hpp"
#include "expression.hpp"
#include "image.hpp"
#include "metrics.hpp"
#include "network.hpp"
#include "report.hpp"

namespace cli {
namespace {

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

double evaluate(const pxl_loss *loss, const Pair &images) {
    return Evaluator(images.device, nullptr, loss, images.args()).run()[0];
}

nlohmann::ordered_json finite(double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

// All that is said of two images.
struct Findings {
    const Image &image;
    std::vector<Metric> pixels, features;
    std::vector<NamedNetwork> networks;
    std::string expression; // "": no loss
    double loss = 0;
};

std::string as_json(const CompareOptions &options, const Findings &findings) {
    const Image &image = findings.image;
    nlohmann::ordered_json json = {{"reference", options.reference}, {"test", options.test},       {"width", image.width},
                                   {"height", image.height},         {"channels", image.channels}, {"preset", options.preset}};
    for (const Metric &metric : findings.pixels) {
        json[metric.name] = finite(metric.value);
        if (metric.name == "dssim") json["ms_ssim"] = nullptr;
    }
    for (const Metric &metric : findings.features) json[metric.name] = finite(metric.value);
    json["loss"] = findings.expression.empty() ? nlohmann::ordered_json() : finite(findings.loss);
    if (!findings.networks.empty()) json["networks"] = network_json(findings.networks);
    for (const Metric &metric : findings.features)
        if (!metric.missing.empty()) json["missing"][metric.name] = metric.missing;
    // A file's name need not be UTF-8, JSON has to be.
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_table(const CompareOptions &options, const Device &device, const Findings &findings) {
    Table table({"metric", "value"});
    std::string missing;
    for (const Metric &metric : findings.pixels) table.row({metric.name, number(metric.value) + metric.unit});
    for (const Metric &metric : findings.features) {
        const std::string name = metric.name + (findings.networks[0].random ? " (random weights)" : "");
        table.row({name, metric.missing.empty() ? number(metric.value) : "-"});
        if (!metric.missing.empty()) missing += "\n" + metric.name + " is missing: " + metric.missing;
    }
    if (!findings.expression.empty()) table.row({"loss", number(findings.loss)});
    return "reference  " + options.reference + "\ntest       " + options.test + "\nsize       " + findings.image.shape() +
           "\npreset     " + options.preset + (findings.expression.empty() ? "" : "\nloss       " + findings.expression) +
           network_lines(findings.networks, "network    ") + (device.is_cpu() ? "" : "\ndevice     " + device.description()) +
           "\n\n" + table.text() + (missing.empty() ? "" : missing + "\n");
}

std::string base_name(const std::string &path) { return path.substr(path.find_last_of('/') + 1); }

std::vector<unsigned char> ssim_picture(const CompareOptions &options, const Pair &images, const pxl_loss *ssim, double mean) {
    const Image map = ssim_map(ssim, images);
    return draw_map(map, similarity_scale(map), "SSIM map, mean " + format("%.4f", mean),
                    base_name(options.test) + " against " + base_name(options.reference) + ", preset " + options.preset);
}

std::vector<unsigned char> feature_picture(const CompareOptions &options, const Pair &images, const pxl_loss *loss,
                                           const NamedNetwork &network) {
    const FeatureMap found = feature_map(loss, images);
    return draw_map(found.map, distance_scale(found.map),
                    *options.map_of + " map, " + *options.map_of + " = " + format("%.4g", found.value) +
                        (network.random ? ", random weights" : ""),
                    base_name(options.test) + " against " + base_name(options.reference) + ", " + network.name);
}

// The loss whose map is wanted; none: SSIM's.
Loss map_loss(const CompareOptions &options, const Networks &networks) {
    if (options.map_of && !options.map) throw UsageError("--map-of goes with --map, the file to draw it into");
    if (!options.map_of || *options.map_of == "ssim") return nullptr;
    const bool fallback = networks.given() && *options.map_of != "lpips" && !networks.layers().empty();
    return networks.parse(*options.map_of + (fallback ? "(layers=" + networks.layers() + ")" : ""), "--map-of");
}

} // namespace

void compare(const CompareOptions &options) {
    check_preset(options.preset);
    const std::string ssim_expression = "ssim(preset=" + options.preset + ")";
    const Networks networks(options.network);
    std::string expression;
    Loss loss;
    if (options.loss) {
        loss = networks.parse(*options.loss); // before the preset is in it, for the message
        expression = networks.with_network(*options.loss);
        if (options.preset != "wang")
            expression = with_argument(expression, windowed_terms(), "preset=" + options.preset, {"preset"});
        loss = networks.parse(expression);
    }
    const Loss ssim = parse_loss(ssim_expression, "--preset"), mapped = map_loss(options, networks);
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
    Findings findings{reference, {}, {}, {}, expression};
    findings.pixels = naming(options.test, [&] { return measure_pixels(ssim_expression, images); });
    if (networks.given()) findings.networks.push_back(networks.named());
    if (networks.given()) findings.features = naming(options.test, [&] { return measure_features(networks, images); });
    if (loss) findings.loss = naming(options.test, [&] { return evaluate(loss.get(), images); });
    for (const NamedNetwork &network : networks.used_by({loss.get(), mapped.get()}))
        if (network.name != networks.named().name) findings.networks.push_back(network);
    if (map_file)
        map_file->write(naming(options.test, [&] {
            return mapped ? feature_picture(options, images, mapped.get(), networks.used_by({mapped.get()})[0])
                          : ssim_picture(options, images, ssim.get(), findings.pixels[4].value);
        }));
    const std::string text = options.json ? as_json(options, findings) : as_table(options, *device, findings);
    if (map_file) map_file->commit();
    print(text);
}

} // namespace cli
