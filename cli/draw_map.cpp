// A map of where images differ, with its scale.
#include <algorithm>
#include <cmath>

#include "draw.hpp"

namespace cli {
namespace {

// The number of one digit at or above `value`, which is positive.
double rounded_up(double value) {
    const double step = std::pow(10.0, std::floor(std::log10(value)));
    return step * std::ceil(value / step - 1e-9);
}

double at(const Scale &scale, double value) { return (value - scale.low) / (scale.high - scale.low); }

Image coloured(const Image &map, const Scale &scale) {
    Image out(map.width, map.height, 3);
    for (size_t i = 0; i < map.pixels.size(); i++) {
        Colour colour = viridis(at(scale, map.pixels[i]));
        if (std::isnan(map.pixels[i])) colour = {0.75, 0.75, 0.75}; // not in viridis: grey is "no value"
        out.pixels[3 * i] = float(colour.r), out.pixels[3 * i + 1] = float(colour.g), out.pixels[3 * i + 2] = float(colour.b);
    }
    return out;
}

void draw_scale(Canvas &canvas, const Box &box, const Scale &scale) {
    Image ramp(1, 256, 3);
    for (int i = 0; i < 256; i++) {
        const Colour colour = viridis(1 - i / 255.0);
        ramp.pixels[size_t(3 * i)] = float(colour.r);
        ramp.pixels[size_t(3 * i + 1)] = float(colour.g);
        ramp.pixels[size_t(3 * i + 2)] = float(colour.b);
    }
    canvas.image(ramp, box);
    canvas.rectangle({box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1}, faint);
    const std::vector<double> values = ticks(scale.low, scale.high, std::clamp(int(box.height / 45), 2, 10));
    const double step = values.size() > 1 ? values[1] - values[0] : scale.high - scale.low;
    for (double value : values) {
        const double y = std::round(box.y + box.height * (1 - at(scale, value))) + 0.5, right = box.x + box.width;
        canvas.line(right + 1, y, right + 6, y, faint);
        canvas.text(right + 10, y + 5, tick_label(value, step), 13);
    }
}

} // namespace

Scale similarity_scale(const Image &map) {
    double low = 1;
    for (float value : map.pixels)
        if (std::isfinite(value)) low = std::min(low, double(value));
    return {low < 1 ? 1 - rounded_up(1 - low) : 0, 1};
}

Scale distance_scale(const Image &map) {
    double high = 0;
    for (float value : map.pixels)
        if (std::isfinite(value)) high = std::max(high, double(value));
    return {0, high >= 1e-9 ? rounded_up(high) : 1}; // less is rounding, and has no labels
}

std::vector<unsigned char> draw_map(const Image &full, const Scale &scale, const std::string &title,
                                    const std::string &subtitle) {
    const double margin = 20, top = 64, scale_width = 18, labels = 80;
    const Image map = shrunk(full, 2048);
    const double zoom = std::max(1.0, std::floor(400.0 / double(std::max(map.width, map.height)))); // small maps enlarged
    const double width = double(map.width) * zoom, height = double(map.height) * zoom, scale_height = std::max(height, 120.0);
    const double page = std::max(margin + width + 24 + scale_width + labels, 420.0);

    Canvas canvas(page, top + scale_height + margin);
    canvas.text(margin, 29, canvas.fitted(title, 16, page - 2 * margin, true), 16, Align::left, ink, true);
    canvas.text(margin, 49, canvas.fitted(subtitle, 12.5, page - 2 * margin), 12.5, Align::left, faint);
    canvas.image(coloured(map, scale), {margin, top, width, height});
    draw_scale(canvas, {margin + width + 24, top, scale_width, scale_height}, scale);
    return canvas.png();
}

} // namespace cli
