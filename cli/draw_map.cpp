// The SSIM map with its scale.
#include <algorithm>
#include <cmath>

#include "draw.hpp"

namespace cli {
namespace {

// The scale ends at 1, where the images agree, and begins at the round number below the smallest value, so that its whole length
// is used; what the colours stand for is written beside it.
double low_end(const Image &map) {
    double low = 1;
    for (float value : map.pixels)
        if (std::isfinite(value)) low = std::min(low, double(value));
    if (low >= 1) return 0;
    const double step = std::pow(10.0, std::floor(std::log10(1 - low)));
    return 1 - step * std::ceil((1 - low) / step - 1e-9);
}

Image coloured(const Image &map, double low) {
    Image out(map.width, map.height, 3);
    for (size_t i = 0; i < map.pixels.size(); i++) {
        Colour colour = viridis((map.pixels[i] - low) / (1 - low));
        if (std::isnan(map.pixels[i])) colour = {0.75, 0.75, 0.75}; // not in viridis: grey is "no value"
        out.pixels[3 * i] = float(colour.r), out.pixels[3 * i + 1] = float(colour.g), out.pixels[3 * i + 2] = float(colour.b);
    }
    return out;
}

void draw_scale(Canvas &canvas, const Box &box, double low) {
    Image ramp(1, 256, 3);
    for (int i = 0; i < 256; i++) {
        const Colour colour = viridis(1 - i / 255.0);
        ramp.pixels[size_t(3 * i)] = float(colour.r);
        ramp.pixels[size_t(3 * i + 1)] = float(colour.g);
        ramp.pixels[size_t(3 * i + 2)] = float(colour.b);
    }
    canvas.image(ramp, box);
    canvas.rectangle({box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1}, faint);
    const std::vector<double> values = ticks(low, 1, std::clamp(int(box.height / 45), 2, 10));
    const double step = values.size() > 1 ? values[1] - values[0] : 1;
    for (double value : values) {
        const double y = std::round(box.y + box.height * (1 - (value - low) / (1 - low))) + 0.5, right = box.x + box.width;
        canvas.line(right + 1, y, right + 6, y, faint);
        canvas.text(right + 10, y + 5, tick_label(value, step), 13);
    }
}

} // namespace

std::vector<unsigned char> draw_map(const Image &full, const std::string &title, const std::string &subtitle) {
    const double margin = 20, top = 64, scale_width = 18, labels = 80;
    const Image map = shrunk(full, 2048);
    const double zoom = std::max(1.0, std::floor(400.0 / double(std::max(map.width, map.height)))); // small maps enlarged
    const double width = double(map.width) * zoom, height = double(map.height) * zoom, scale_height = std::max(height, 120.0);
    const double page = std::max(margin + width + 24 + scale_width + labels, 420.0);

    Canvas canvas(page, top + scale_height + margin);
    canvas.text(margin, 29, canvas.fitted(title, 16, page - 2 * margin, true), 16, Align::left, ink, true);
    canvas.text(margin, 49, canvas.fitted(subtitle, 12.5, page - 2 * margin), 12.5, Align::left, faint);
    const double low = low_end(full);
    canvas.image(coloured(map, low), {margin, top, width, height});
    draw_scale(canvas, {margin + width + 24, top, scale_width, scale_height}, low);
    return canvas.png();
}

} // namespace cli
