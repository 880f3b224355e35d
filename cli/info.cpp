// `pixloss info`: what this build can do on this machine.
#include "commands.hpp"
#include "engine.hpp"
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

// Asks for a distance in the smallest network.
std::string networks() {
    pxl_network *made = nullptr;
    check(pxl_network_random("1:1", 1, &made));
    const Network network(made);
    const Context context = make_context(cpu_device());
    check(pxl_context_add_network(context.get(), "tiny", network.get()));
    const Loss loss = parse_loss("features(net=tiny, layers=0)", "info", context.get());
    const Image image(8, 8, 1);
    const pxl_tensor view = image.view();
    try {
        Evaluator(cpu_device(), nullptr, loss.get(), PXL_ARGS(&view, &view)).run();
    } catch (const LibraryError &error) {
        if (error.status != PXL_UNSUPPORTED) throw;
        return std::string("none: ") + error.what();
    }
    return "VGG and the like, on the CPU by oneDNN";
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
    std::string text = std::string("pixloss ") + pxl_version() + "\n\n";
    text += devices(PXL_CPU, "cpu   ") + devices(PXL_CUDA, "cuda  ");
    text += "network " + networks() + "\nweights " + weights() + "\n";
    text += "images  PNG, JPEG, TIFF\npresets ";
    for (size_t i = 0; pxl_preset_name(i); i++) text += (i ? ", " : "") + std::string(pxl_preset_name(i));
    print(text + "\n");
}

} // namespace cli
