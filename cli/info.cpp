// `pixloss info`: what this build can do on this machine.
#include "commands.hpp"
#include "engine.hpp"
#include "metrics.hpp"
#include "pixloss/introspect.h"
#include "report.hpp"

namespace cli {
namespace {

std::string devices(pxl_device_type type, const std::string &name) {
    int count = 0;
    check(pxl_device_count(type, &count));
    if (count == 0) return name + "  " + pxl_error_message() + "\n";
    std::string text;
    for (int i = 0; i < count; i++) {
        char line[256] = "";
        check(pxl_device_describe({type, i}, line, sizeof line));
        const std::string numbered = type == PXL_CUDA ? "cuda:" + std::to_string(i) : name;
        text += numbered + "  " + line + "\n";
    }
    return text;
}

// Why a distance in the smallest network cannot be computed on the device; "": it can.
std::string why_not(Device &device, const std::string &term) {
    pxl_network *made = nullptr;
    check(pxl_network_random("1:1", 1, &made));
    const Network network(made);
    const Context context = make_context(device);
    check(pxl_context_add_network(context.get(), "tiny", network.get()));
    const Loss loss = parse_loss(term, "info", context.get());
    const Image image(8, 8, 1);
    const Pair images(device, image, image);
    try {
        Evaluator(device, nullptr, loss.get(), images.args()).run();
    } catch (const LibraryError &error) {
        return error.what();
    }
    return "";
}

// The libraries are looked for when they are needed: whether they are found shows when they are used.
std::string networks() {
    const std::string features = "features(net=tiny, layers=0)", style = "style(net=tiny, layers=0)";
    std::string missing = why_not(cpu_device(), features);
    std::string text = missing.empty() ? "VGG and the like, on the CPU by oneDNN" : "none: " + missing;
    if (best_device() == "cpu") return text;
    const std::unique_ptr<Device> device = open_device(best_device());
    missing = why_not(*device, features);
    text += "\n        on " + device->name() + (missing.empty() ? " by cuDNN" : " none: " + missing);
    if (!missing.empty()) return text;
    missing = why_not(*device, style);
    return text + (missing.empty() ? ", style by cuBLAS" : "; no style: " + missing);
}

// The program itself has no weights: a library that can read safetensors says so, one that cannot says that.
std::string weights() {
    pxl_network *none = nullptr;
    if (pxl_network_load("/proc/self/exe", nullptr, nullptr, &none) != PXL_UNSUPPORTED) return "safetensors, or random";
    const std::string message = pxl_error_message();
    return "random: " + message.substr(message.find(": ") + 2);
}

} // namespace

void info() {
    check_isa();
    std::string text = std::string("pixloss ") + pxl_version() + "\n\n";
    text += devices(PXL_CPU, "cpu   ") + devices(PXL_CUDA, "cuda  ");
    text += "network " + networks() + "\nweights " + weights() + "\n";
    text += "images  PNG, JPEG, TIFF\nterms   ";
    for (size_t i = 0; const char *name = pxl_enum_word("pxl_term_kind", i, nullptr); i++)
        text += (i ? ", " : "") + std::string(name);
    text += "\npresets ";
    for (size_t i = 0; pxl_preset_name(i); i++) text += (i ? ", " : "") + std::string(pxl_preset_name(i));
    print(text + "\n");
}

} // namespace cli
