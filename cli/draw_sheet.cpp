// The contact sheet of `fit`: whole pictures in a row, a detail enlarged under each.
#include <algorithm>
#include <cmath>

#include "draw.hpp"

namespace cli {
namespace {

constexpr double margin = 24, gap = 14, header = 56, caption = 50;
constexpr double cell = 340; // width of a picture
constexpr size_t columns = 5;

Image cropped(const Image &image, int64_t x0, int64_t y0, int64_t width, int64_t height) {
    Image out(width, height, image.channels);
    for (int64_t y = 0; y < height; y++)
        std::copy_n(&image.pixels[size_t(((y0 + y) * image.width + x0) * image.channels)], width * image.channels,
                    &out.pixels[size_t(y * width * image.channels)]);
    return out;
}

// The detail is where pixels some way apart differ most: edges, not a flat background, nor a texture too fine to survive a blur.
struct Detail {
    int64_t x = 0, y = 0, width = 0, height = 0;
};

double contrast(const Image &image, const Detail &detail) {
    constexpr int64_t apart = 4;
    const int64_t pixel = image.channels, row = image.width * image.channels;
    double sum = 0;
    for (int64_t y = detail.y + apart; y < detail.y + detail.height; y++)
        for (int64_t x = detail.x + apart; x < detail.x + detail.width; x++) {
            const float *at = &image.pixels[size_t(y * row + x * pixel)];
            sum += std::fabs(at[0] - at[-apart * pixel]) + std::fabs(at[0] - at[-apart * row]);
        }
    return sum;
}

Detail busiest(const Image &image, double aspect) {
    Detail best;
    best.width = std::clamp<int64_t>(image.width / 4, 1, 113);
    best.height = std::clamp<int64_t>(int64_t(std::lround(double(best.width) * aspect)), 1, image.height);
    const int64_t step_x = std::max<int64_t>(1, best.width / 4), step_y = std::max<int64_t>(1, best.height / 4);
    double most = -1;
    for (Detail each = best; each.y + each.height <= image.height; each.y += step_y)
        for (each.x = 0; each.x + each.width <= image.width; each.x += step_x)
            if (const double found = contrast(image, each); found > most) most = found, best = each;
    return best;
}

void draw_panel(Canvas &canvas, const Panel &panel, const Detail &detail, double x, double y, double height) {
    const Image full = drawable(*panel.image);
    canvas.text(x, y + 18, canvas.fitted(panel.name, 15, cell, true), 15, Align::left, ink, true);
    canvas.text(x, y + 38, canvas.fitted(panel.facts, 13.5, cell), 13.5, Align::left, faint);
    y += caption;
    canvas.image(shrunk(full, 4096), {x, y, cell, height});
    const double scale = cell / double(full.width);
    const Box mark{x + double(detail.x) * scale, y + double(detail.y) * scale, double(detail.width) * scale,
                   double(detail.height) * scale};
    canvas.rectangle(mark, {0, 0, 0}, 5);
    canvas.rectangle(mark, white, 2);
    canvas.image(cropped(full, detail.x, detail.y, detail.width, detail.height),
                 {x, y + height + gap / 2, cell, cell * double(detail.height) / double(detail.width)});
}

} // namespace

std::vector<unsigned char> draw_sheet(const std::vector<Panel> &panels, const std::string &title) {
    const Image &first = *panels.front().image;
    // Very long or very wide pictures are drawn within these proportions.
    const double height = std::clamp(cell * double(first.height) / double(first.width), 40.0, 3 * cell);
    const Detail detail = busiest(first, std::clamp(double(first.height) / double(first.width), 0.25, 1.0));
    const double detail_height = cell * double(detail.height) / double(detail.width);
    const double band = caption + height + gap / 2 + detail_height + gap;
    const size_t across = std::min(columns, panels.size()), bands = (panels.size() + across - 1) / across;

    Canvas canvas(2 * margin + double(across) * cell + double(across - 1) * gap, header + double(bands) * band + margin - gap);
    canvas.text(margin, 36, canvas.fitted(title, 19, double(across) * cell, true), 19, Align::left, ink, true);
    for (size_t i = 0; i < panels.size(); i++)
        draw_panel(canvas, panels[i], detail, margin + double(i % across) * (cell + gap), header + double(i / across) * band,
                   height);
    return canvas.png();
}

} // namespace cli
