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

} // namespace

void info() {
    std::string text = std::string("pixloss ") + pxl_version() + "\n\n";
    text += devices(PXL_CPU, "cpu   ") + devices(PXL_CUDA, "cuda  ");
    text += "images  PNG, JPEG, TIFF\npresets ";
    for (size_t i = 0; pxl_preset_name(i); i++) text += (i ? ", " : "") + std::string(pxl_preset_name(i));
    print(text + "\n");
}

} // namespace cli
