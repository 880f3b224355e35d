// The strokes that all pictures are made of.
#include "draw.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <stdexcept>

#include "report.hpp"
#include "viridis.hpp"

namespace cli {

Canvas::Canvas(double width, double height)
    : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, int(std::ceil(width)), int(std::ceil(height)))),
      cairo_(cairo_create(surface_)) {
    if (cairo_status(cairo_) != CAIRO_STATUS_SUCCESS) throw std::bad_alloc();
    cairo_set_source_rgb(cairo_, 1, 1, 1);
    cairo_paint(cairo_);
}

Canvas::~Canvas() {
    cairo_destroy(cairo_);
    cairo_surface_destroy(surface_);
}

void Canvas::font(double size, bool bold) {
    cairo_select_font_face(cairo_, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo_, size);
}

double Canvas::text_width(const std::string &text, double size, bool bold) {
    font(size, bold);
    cairo_text_extents_t extents;
    cairo_text_extents(cairo_, text.c_str(), &extents);
    return extents.x_advance;
}

void Canvas::text(double x, double y, const std::string &text, double size, Align align, Colour colour, bool bold) {
    const double width = text_width(text, size, bold);
    cairo_set_source_rgb(cairo_, colour.r, colour.g, colour.b);
    cairo_move_to(cairo_, std::round(x - (align == Align::left ? 0 : align == Align::right ? width : width / 2)), std::round(y));
    cairo_show_text(cairo_, text.c_str());
}

std::string Canvas::fitted(const std::string &text, double size, double width, bool bold) {
    if (text_width(text, size, bold) <= width) return text;
    std::string shorter = text;
    const auto cut = [&] {
        // A whole UTF-8 character: its continuation bytes are 10xxxxxx.
        while (!shorter.empty() && (shorter.back() & 0xc0) == 0x80) shorter.pop_back();
        if (!shorter.empty()) shorter.pop_back();
    };
    while (!shorter.empty() && text_width(shorter + "…", size, bold) > width) cut();
    return shorter + "…";
}

void Canvas::line(double x0, double y0, double x1, double y1, Colour colour, double width, bool dashed) {
    const double dash[] = {5, 4};
    cairo_set_dash(cairo_, dash, dashed ? 2 : 0, 0);
    cairo_set_source_rgb(cairo_, colour.r, colour.g, colour.b);
    cairo_set_line_width(cairo_, width);
    cairo_move_to(cairo_, x0, y0);
    cairo_line_to(cairo_, x1, y1);
    cairo_stroke(cairo_);
    cairo_set_dash(cairo_, dash, 0, 0);
}

void Canvas::path(const std::vector<std::pair<double, double>> &points, Colour colour, double width) {
    cairo_set_source_rgb(cairo_, colour.r, colour.g, colour.b);
    cairo_set_line_width(cairo_, width);
    cairo_set_line_join(cairo_, CAIRO_LINE_JOIN_ROUND);
    cairo_new_path(cairo_);
    for (const auto &[x, y] : points) cairo_line_to(cairo_, x, y);
    cairo_stroke(cairo_);
}

void Canvas::rectangle(const Box &box, Colour colour, double width) {
    cairo_set_source_rgb(cairo_, colour.r, colour.g, colour.b);
    cairo_set_line_width(cairo_, width);
    cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
    cairo_stroke(cairo_);
}

void Canvas::fill(const Box &box, Colour colour) {
    cairo_set_source_rgb(cairo_, colour.r, colour.g, colour.b);
    cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
    cairo_fill(cairo_);
}

void Canvas::clip(const Box &box) {
    cairo_save(cairo_);
    cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
    cairo_clip(cairo_);
}

void Canvas::unclip() { cairo_restore(cairo_); }

void Canvas::image(const Image &image, const Box &box) {
    const auto byte = [](float value) {
        return uint32_t(std::lround(255 * (value > 0 ? std::min(value, 1.0f) : 0.0f)));
    }; // NaN is 0
    cairo_surface_t *pixels = cairo_image_surface_create(CAIRO_FORMAT_RGB24, int(image.width), int(image.height));
    if (cairo_surface_status(pixels) != CAIRO_STATUS_SUCCESS) throw std::bad_alloc();
    unsigned char *data = cairo_image_surface_get_data(pixels);
    const int pitch = cairo_image_surface_get_stride(pixels);
    const int64_t green = image.channels == 3 ? 1 : 0, blue = 2 * green;
    for (int64_t y = 0; y < image.height; y++)
        for (int64_t x = 0; x < image.width; x++) {
            const float *in = &image.pixels[size_t((y * image.width + x) * image.channels)];
            const uint32_t value = byte(in[0]) << 16 | byte(in[green]) << 8 | byte(in[blue]);
            std::memcpy(data + y * pitch + 4 * x, &value, sizeof value);
        }
    cairo_surface_mark_dirty(pixels);
    cairo_save(cairo_);
    cairo_translate(cairo_, box.x, box.y);
    cairo_scale(cairo_, box.width / double(image.width), box.height / double(image.height));
    cairo_set_source_surface(cairo_, pixels, 0, 0);
    const bool larger = box.width >= double(image.width);
    cairo_pattern_set_filter(cairo_get_source(cairo_), larger ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_BEST);
    cairo_pattern_set_extend(cairo_get_source(cairo_), CAIRO_EXTEND_PAD); // no white seam at the edges
    cairo_rectangle(cairo_, 0, 0, double(image.width), double(image.height));
    cairo_fill(cairo_);
    cairo_restore(cairo_);
    cairo_surface_destroy(pixels);
}

std::vector<unsigned char> Canvas::png() const {
    std::vector<unsigned char> bytes;
    const auto append = [](void *out, const unsigned char *data, unsigned length) {
        auto *target = static_cast<std::vector<unsigned char> *>(out);
        try {
            target->insert(target->end(), data, data + length);
        } catch (const std::bad_alloc &) {
            return CAIRO_STATUS_NO_MEMORY; // no exception may pass through cairo
        }
        return CAIRO_STATUS_SUCCESS;
    };
    const cairo_status_t status = cairo_surface_write_to_png_stream(surface_, append, &bytes);
    if (status != CAIRO_STATUS_SUCCESS) throw std::runtime_error(std::string("cairo: ") + cairo_status_to_string(status));
    return bytes;
}

namespace {
double tick_step(double low, double high, int count) {
    const double rough = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(rough)));
    return power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
}
} // namespace

std::vector<double> ticks(double low, double high, int count) {
    std::vector<double> values;
    if (!(high > low)) return {low};
    const double step = tick_step(low, high, count);
    // Index times step, not a running sum, and a hair of slack: the last tick must not be lost to rounding.
    for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) values.push_back(i == 0 ? 0.0 : i * step);
    return values;
}

std::string tick_label(double value, double step) {
    const int decimals = std::clamp(int(-std::floor(std::log10(step) + 1e-9)), 0, 9);
    return format("%.*f", decimals, value);
}

Colour viridis(double t) {
    const int index = int(std::lround(255 * std::clamp(std::isnan(t) ? 0.0 : t, 0.0, 1.0)));
    const auto value = [&](int channel) {
        const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
        const char *hex = viridis_hex + 6 * index + 2 * channel;
        return (16 * digit(hex[0]) + digit(hex[1])) / 255.0;
    };
    return {value(0), value(1), value(2)};
}

Image shrunk(const Image &image, int64_t limit) {
    const int64_t factor = (std::max(image.width, image.height) + limit - 1) / limit;
    if (factor <= 1) return image;
    Image out((image.width + factor - 1) / factor, (image.height + factor - 1) / factor, image.channels);
    for (int64_t y = 0; y < out.height; y++)
        for (int64_t x = 0; x < out.width; x++)
            for (int64_t c = 0; c < image.channels; c++) {
                const int64_t bottom = std::min((y + 1) * factor, image.height), right = std::min((x + 1) * factor, image.width);
                double sum = 0;
                for (int64_t v = y * factor; v < bottom; v++)
                    for (int64_t u = x * factor; u < right; u++)
                        sum += image.pixels[size_t((v * image.width + u) * image.channels + c)];
                out.pixels[size_t((y * out.width + x) * image.channels + c)] =
                    float(sum / double((bottom - y * factor) * (right - x * factor)));
            }
    return out;
}

Image drawable(const Image &image) {
    if (image.channels == 1 || image.channels == 3) return image;
    Image out(image.width, image.height, image.channels < 3 ? 1 : 3);
    for (int64_t i = 0; i < image.width * image.height; i++)
        for (int64_t c = 0; c < out.channels; c++)
            out.pixels[size_t(i * out.channels + c)] = image.pixels[size_t(i * image.channels + c)];
    return out;
}

} // namespace cli
