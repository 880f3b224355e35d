// `pixloss compare`: every metric of two images, or of all images of two folders, and a map of where two differ as a picture.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "commands.hpp"
#include "compare_report.hpp"
#include "draw.hpp"
#include "engine.hpp"
#include "expression.hpp"
#include "folders.hpp"
#include "image.hpp"
#include "metrics.hpp"
#include "network.hpp"
#include "report.hpp"

namespace cli {
namespace {

// The library knows what is near, and what others call a preset.
const std::string &checked_preset(const std::string &preset) {
    pxl_term term = PXL_TERM(PXL_SSIM, 1);
    term.preset = preset.c_str();
    pxl_loss *loss = nullptr;
    const pxl_status status = pxl_loss_create(&term, 1, &loss);
    if (status == PXL_OUT_OF_MEMORY) throw std::bad_alloc();
    const Loss owner(loss);
    if (status == PXL_OK) return preset;
    const std::string message = pxl_error_message(), before = "which is unknown";
    throw UsageError("--preset '" + preset + "': no preset of this name" + message.substr(message.rfind(before) + before.size()));
}

// All that can be known, and be wrong, before any image is read.
struct Task {
    explicit Task(const CompareOptions &given);
    Loss map_loss() const; // the loss whose map is wanted; none: SSIM's

    const CompareOptions &options;
    const std::string ssim_expression;
    const Networks networks;
    const Alpha alpha;
    Loss loss, ssim, mapped;
    std::unique_ptr<Device> device;
    Conditions conditions;
};

Loss Task::map_loss() const {
    if (options.map_of && !options.map) throw UsageError("--map-of goes with --map, the file to draw it into");
    if (!options.map_of || *options.map_of == "ssim") return nullptr;
    if (!networks.given())
        throw UsageError("--map-of '" + *options.map_of + "' needs a network: --features FILE, or --features random");
    const bool fallback = *options.map_of != "lpips" && !networks.layers().empty();
    return networks.parse(*options.map_of + (fallback ? "(layers=" + networks.layers() + ")" : ""), "--map-of");
}

Task::Task(const CompareOptions &given)
    : options(given),
      ssim_expression("ssim(preset=" + checked_preset(options.preset) + ")"),
      networks(options.network),
      alpha(parse_alpha(options.alpha)) {
    conditions.preset = options.preset;
    if (options.loss) {
        loss = networks.parse(*options.loss); // before the preset is in it, for the message
        conditions.expression = networks.with_network(*options.loss);
        if (options.preset != "wang")
            conditions.expression =
                with_argument(conditions.expression, windowed_terms(), "preset=" + options.preset, {"preset"});
        loss = networks.parse(conditions.expression);
    }
    ssim = parse_loss(ssim_expression, "--preset");
    mapped = map_loss();
    device = open_device(options.device);
    if (!device->is_cpu()) conditions.device = device->description();
    if (networks.given()) conditions.networks.push_back(networks.named());
    for (const NamedNetwork &network : networks.used_by({loss.get(), mapped.get()}))
        if (network.name != networks.named().name) conditions.networks.push_back(network);
}

// ---- Two images ----
struct Images {
    Images(const std::string &reference_path, const std::string &test_path, const Alpha &alpha)
        : reference(read_image(reference_path, alpha)), test(read_image(test_path, alpha)) {
        if (reference.shape() != test.shape())
            throw std::runtime_error("the images differ in shape: " + display_name(reference_path) + " is " + reference.shape() +
                                     "; " + display_name(test_path) + " is " + test.shape());
    }
    Image reference, test;
};

double evaluate(const pxl_loss *loss, const Pair &images) {
    return Evaluator(images.device, nullptr, loss, images.args()).run()[0];
}

Findings measure(const Task &task, const FilePair &files, const Pair &pair, const Image &image) {
    Findings findings{files.name, files.reference, files.test, image.width, image.height, image.channels, {}, ""};
    return naming(files.test, [&] {
        findings.metrics = measure_pixels(task.ssim_expression, pair);
        if (task.networks.given())
            for (const Metric &metric : measure_features(task.networks, pair)) findings.metrics.push_back(metric);
        if (task.loss) findings.metrics.push_back({"loss", "", evaluate(task.loss.get(), pair), ""});
        return findings;
    });
}

std::vector<unsigned char> ssim_picture(const CompareOptions &options, const Pair &images, const pxl_loss *ssim, double mean) {
    const Image map = ssim_map(ssim, images);
    return draw_map(map, similarity_scale(map), "SSIM map, mean " + format("%.4f", mean),
                    base_name(display_name(options.test)) + " against " + base_name(display_name(options.reference)) +
                        ", preset " + options.preset);
}

std::vector<unsigned char> feature_picture(const CompareOptions &options, const Pair &images, const pxl_loss *loss,
                                           const NamedNetwork &network) {
    const FeatureMap found = feature_map(loss, images);
    return draw_map(
        found.map, distance_scale(found.map),
        *options.map_of + " map, " + *options.map_of + " = " + format("%.4g", found.value) +
            (network.random ? ", random weights" : ""),
        base_name(display_name(options.test)) + " against " + base_name(display_name(options.reference)) + ", " + network.name);
}

std::vector<unsigned char> picture(const Task &task, const Pair &images, double ssim) {
    return naming(task.options.test, [&] {
        if (!task.mapped) return ssim_picture(task.options, images, task.ssim.get(), ssim);
        return feature_picture(task.options, images, task.mapped.get(), task.networks.used_by({task.mapped.get()})[0]);
    });
}

double value_of(const Findings &findings, const std::string &name) {
    for (const Metric &metric : findings.metrics)
        if (metric.name == name) return metric.value;
    throw std::logic_error("no metric " + name);
}

void compare_images(const Task &task) {
    const CompareOptions &options = task.options;
    if (options.summary) throw UsageError("--summary goes with two folders");
    if (options.map) {
        check_png_name("--map", *options.map);
        for (const std::string &input : {options.reference, options.test}) check_not_input("--map", *options.map, input);
    }
    const Images images(options.reference, options.test, task.alpha);
    std::unique_ptr<OutputFile> map_file;
    if (options.map) map_file = std::make_unique<OutputFile>(*options.map);
    const Pair pair(*task.device, images.reference, images.test);
    const Findings findings = measure(task, {"", options.reference, options.test}, pair, images.test);
    if (map_file) {
        map_file->write(picture(task, pair, value_of(findings, "ssim")));
        map_file->commit();
    }
    if (options.json) return print(json_line(task.conditions, findings));
    if (options.csv) return print(csv_header(task.conditions, findings.metrics) + csv_line(task.conditions, findings));
    print(pair_table(task.conditions, findings));
}

// ---- Two folders ----
void warn(const std::string &message) { std::cerr << "pixloss: " << printable(message) << std::endl; }

void warn_unmatched(const std::string &folder, const std::vector<std::string> &names, const std::string &other) {
    if (!names.empty())
        warn(folder + ": " + listed(names) + (names.size() == 1 ? " has" : " have") + " no counterpart in " + other);
}

std::vector<Metric> columns(const Task &task, const std::string &missing) {
    std::vector<Metric> metrics = unmeasured(task.networks, missing);
    if (task.loss) metrics.push_back({"loss", "", 0, missing});
    return metrics;
}

// An error of these images does not stop the others; one that all share does.
Findings try_pair(const Task &task, const FilePair &files) {
    std::string error;
    try {
        const Images images(files.reference, files.test, task.alpha);
        return measure(task, files, Pair(*task.device, images.reference, images.test), images.test);
    } catch (const Unsupported &) {
        throw;
    } catch (const std::bad_alloc &) {
        error = files.test + ": not enough memory";
    } catch (const std::runtime_error &thrown) {
        error = thrown.what();
    }
    return {files.name, files.reference, files.test, 0, 0, 0, columns(task, error), error};
}

void print_line(const Task &task, const Findings &findings) {
    if (task.options.json) print(json_line(task.conditions, findings));
    if (task.options.csv) print(csv_line(task.conditions, findings));
}

// One at a time; lines are printed as they come, so that an interruption costs no more than what was not measured yet.
std::vector<Findings> compare_pairs(const Task &task, const std::vector<FilePair> &pairs) {
    Progress progress("compare", int(pairs.size()));
    std::vector<Findings> all;
    for (const FilePair &files : pairs) {
        progress.update(int(all.size()), format("%zu of %zu", all.size(), pairs.size()));
        const Findings &findings = all.emplace_back(try_pair(task, files));
        if (task.options.json || task.options.csv || !findings.error.empty()) progress.clear();
        if (!findings.error.empty()) warn(findings.error);
        print_line(task, findings);
    }
    return all;
}

bool compare_folders(const Task &task) {
    const CompareOptions &options = task.options;
    if (options.map) throw UsageError("--map goes with two images, not with folders");
    if (options.summary && !options.json) throw UsageError("--summary goes with --json; the table has one in any case");
    const Matched matched = match_folders(options.reference, options.test);
    warn_unmatched(options.reference, matched.reference_only, options.test);
    warn_unmatched(options.test, matched.test_only, options.reference);
    if (options.csv) print(csv_header(task.conditions, columns(task, "")));
    const std::vector<Findings> all = compare_pairs(task, matched.pairs);
    if (options.summary) print(json_summary(all, matched.reference_only.size() + matched.test_only.size()));
    if (!options.json && !options.csv) print(pairs_table(task.conditions, options.reference, options.test, all));
    return std::all_of(all.begin(), all.end(), [](const Findings &findings) { return findings.error.empty(); });
}

bool is_folder(const std::string &path) {
    std::error_code error; // one that is missing is said to be so when it is read
    return path != standard_input && std::filesystem::is_directory(path, error);
}

[[noreturn]] void refuse_mixture(const std::string &folder, const std::string &other) {
    std::error_code error;
    if (other != standard_input && !std::filesystem::exists(other, error))
        throw std::runtime_error(other + ": No such file or directory");
    throw std::runtime_error(folder + ": is a directory, but " + display_name(other) +
                             " is not; two images or two folders are needed");
}

} // namespace

bool compare(const CompareOptions &options) {
    const std::string &reference = options.reference, &test = options.test;
    if (reference == standard_input && test == standard_input)
        throw UsageError("REFERENCE and TEST cannot both be standard input");
    const Task task(options);
    const bool folders = is_folder(reference);
    if (folders != is_folder(test)) refuse_mixture(folders ? reference : test, folders ? test : reference);
    if (folders) return compare_folders(task);
    compare_images(task);
    return true;
}

} // namespace cli
