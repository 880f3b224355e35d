#include "alpha.hpp"

#include <cstdlib>
#include <stdexcept>

#include "engine.hpp"
#include "image.hpp"

namespace cli {
namespace {

using Mode = Alpha::Mode;

Alpha solid(const std::string &hex) {
    Alpha alpha{Mode::colour, {}};
    for (size_t c = 0; c < 3; c++) alpha.colour[c] = float(std::strtol(hex.substr(2 * c, 2).c_str(), nullptr, 16)) / 255.0f;
    return alpha;
}

bool is_colour(const std::string &text) {
    return text.size() == 7 && text[0] == '#' && text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
}

// Squares of 8 pixels, the greys of image editors: whatever transparency differs in, some of them shows it.
float checker(int64_t x, int64_t y) { return (x / 8 + y / 8) % 2 ? 0x99 / 255.0f : 0x66 / 255.0f; }

// The first pixel that is not opaque (NaN is not), or -1.
int64_t first_transparent(const Image &image) {
    for (int64_t i = 0; i < image.width * image.height; i++)
        if (image.pixels[size_t((i + 1) * image.channels - 1)] != 1) return i;
    return -1;
}

void check_can_show(const Image &image, int64_t transparent, const Alpha &alpha) {
    if (alpha.mode == Mode::refuse)
        throw std::runtime_error("pixel (" + std::to_string(transparent % image.width) + ", " +
                                 std::to_string(transparent / image.width) +
                                 ") is not opaque; say by --alpha what is behind it: black, white, checker, #rrggbb, or ignore");
    const auto &[red, green, blue] = alpha.colour;
    if (image.channels != 4 && (red != green || green != blue))
        throw std::runtime_error("a colour can be put behind RGB only; give --alpha a grey one");
}

} // namespace

const std::vector<std::string> &alpha_names() {
    static const std::vector<std::string> names = {"refuse", "ignore", "black", "white", "checker"};
    return names;
}

Alpha parse_alpha(const std::string &text) {
    if (text == "refuse") return {};
    if (text == "ignore") return {Mode::ignore, {}};
    if (text == "checker") return {Mode::checker, {}};
    if (text == "black") return solid("000000");
    if (text == "white") return solid("ffffff");
    if (is_colour(text)) return solid(text.substr(1));
    throw UsageError("--alpha '" + text + "': refuse, ignore, black, white, checker or a colour like #ff8000 is needed");
}

Image flatten(const Decoded &decoded, const Alpha &alpha) {
    const Image &image = decoded.image;
    const int64_t channels = image.channels - 1, transparent = first_transparent(image);
    if (transparent >= 0) check_can_show(image, transparent, alpha);
    const bool as_it_is = transparent < 0 || alpha.mode == Mode::ignore;
    Image out(image.width, image.height, channels);
    for (int64_t i = 0; i < image.width * image.height; i++) {
        const float *pixel = &image.pixels[size_t(i * image.channels)], opacity = pixel[channels];
        for (int64_t c = 0; c < channels; c++) {
            float &value = out.pixels[size_t(i * channels + c)] = pixel[c];
            if (as_it_is || opacity == 1) continue;
            const float behind = alpha.mode == Mode::checker ? checker(i % image.width, i / image.width)
                                                             : alpha.colour[channels == 3 ? size_t(c) : 0];
            value = (decoded.premultiplied ? value : opacity * value) + (1 - opacity) * behind;
        }
    }
    return out;
}

} // namespace cli
