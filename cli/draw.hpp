// Pictures of results, by cairo, as the bytes of a PNG.
#pragma once
#include <cairo.h>

#include <string>
#include <vector>

#include "image.hpp"

namespace cli {

struct Colour {
    double r, g, b;
};
constexpr Colour ink{0.13, 0.13, 0.15}, faint{0.45, 0.45, 0.48}, hairline{0.86, 0.86, 0.88}, white{1, 1, 1};

struct Box {
    double x, y, width, height;
};

enum class Align { left, centre, right };

// A white page to draw on. Sizes are in pixels; y grows downwards; text stands on its baseline.
class Canvas {
  public:
    Canvas(double width, double height);
    ~Canvas();
    Canvas(const Canvas &) = delete;
    Canvas &operator=(const Canvas &) = delete;

    void text(double x, double y, const std::string &text, double size, Align align = Align::left, Colour colour = ink,
              bool bold = false);
    double text_width(const std::string &text, double size, bool bold = false);
    // The text, cut off with an ellipsis where it is wider than `width`.
    std::string fitted(const std::string &text, double size, double width, bool bold = false);
    void line(double x0, double y0, double x1, double y1, Colour colour, double width = 1, bool dashed = false);
    void path(const std::vector<std::pair<double, double>> &points, Colour colour, double width);
    void rectangle(const Box &box, Colour colour, double width = 1);
    void fill(const Box &box, Colour colour);
    // One or three channels on [0, 1] into the box; enlarged without smoothing, so that pixels stay visible.
    void image(const Image &image, const Box &box);
    void clip(const Box &box);
    void unclip();
    std::vector<unsigned char> png() const;

  private:
    void font(double size, bool bold);
    cairo_surface_t *surface_;
    cairo_t *cairo_;
};

// Multiples of 1, 2 or 5 times a power of ten that lie in [low, high], about `count` of them.
std::vector<double> ticks(double low, double high, int count);
// With as many decimals as the step between ticks asks for.
std::string tick_label(double value, double step);
// Colour of viridis at t on [0, 1].
Colour viridis(double t);
// Averaged over blocks until neither side is longer than `limit`; the image itself where it already fits.
Image shrunk(const Image &image, int64_t limit);
// The first channel, or the first three, of an image of 2 or of more than 3 channels.
Image drawable(const Image &image);

// What the ends of the colours stand for. They lie at round numbers, near what the map holds, so that the whole length is used.
struct Scale {
    double low, high;
};
Scale similarity_scale(const Image &map); // ends at 1, where the images agree
Scale distance_scale(const Image &map);   // begins at 0, where they agree
// The map (one channel) in viridis colours, with a title and the scale.
std::vector<unsigned char> draw_map(const Image &map, const Scale &scale, const std::string &title, const std::string &subtitle);

struct Panel {
    std::string name, facts;
    const Image *image;
};
// A row of whole pictures, and under each a detail enlarged.
std::vector<unsigned char> draw_sheet(const std::vector<Panel> &panels, const std::string &title);

struct Curve {
    std::string name;
    std::vector<double> values; // at steps 0, 1, 2, ...
};
std::vector<unsigned char> draw_curves(const std::vector<Curve> &curves, const std::string &title, const std::string &x_name,
                                       const std::string &y_name);

} // namespace cli
