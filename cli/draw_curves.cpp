// A line plot: one curve for each loss over the steps.
#include <algorithm>
#include <cmath>

#include "draw.hpp"

namespace cli {
namespace {

// Okabe and Ito's colours, told apart by colour-blind eyes too.
constexpr Colour palette[] = {{0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45}, {0.80, 0.47, 0.65},
                              {0.34, 0.71, 0.91}, {0.90, 0.62, 0.00}, {0.35, 0.35, 0.35}};
Colour colour_of(size_t curve) { return palette[curve % (sizeof palette / sizeof *palette)]; }

struct Axes {
    Box box;
    double x_low, x_high, y_low, y_high;
    double x(double value) const { return box.x + box.width * (value - x_low) / (x_high - x_low); }
    double y(double value) const { return box.y + box.height * (1 - (value - y_low) / (y_high - y_low)); }
};

Axes axes_for(const std::vector<Curve> &curves, const Box &box) {
    double low = INFINITY, high = -INFINITY, steps = 1;
    for (const Curve &curve : curves) {
        steps = std::max(steps, double(curve.values.size()) - 1);
        for (double value : curve.values)
            if (std::isfinite(value)) low = std::min(low, value), high = std::max(high, value);
    }
    if (!(low <= high)) low = 0, high = 1; // nothing finite to draw
    const double room = std::max(0.06 * (high - low), 1e-3);
    return {box, 0, steps, low - room, high + room};
}

void draw_axes(Canvas &canvas, const Axes &axes, const std::string &x_name, const std::string &y_name) {
    const Box &box = axes.box;
    const double bottom = box.y + box.height;
    const std::vector<double> xs = ticks(axes.x_low, axes.x_high, 8), ys = ticks(axes.y_low, axes.y_high, 7);
    for (double value : xs) {
        const double x = std::round(axes.x(value)) + 0.5;
        canvas.line(x, bottom, x, bottom + 5, ink);
        canvas.text(x, bottom + 21, tick_label(value, xs.size() > 1 ? xs[1] - xs[0] : 1), 13, Align::centre);
    }
    for (double value : ys) {
        const double y = std::round(axes.y(value)) + 0.5;
        canvas.line(box.x, y, box.x + box.width, y, hairline);
        canvas.line(box.x - 5, y, box.x, y, ink);
        canvas.text(box.x - 9, y + 5, tick_label(value, ys.size() > 1 ? ys[1] - ys[0] : 1), 13, Align::right);
    }
    canvas.line(box.x, bottom + 0.5, box.x + box.width, bottom + 0.5, ink);
    canvas.line(box.x + 0.5, box.y, box.x + 0.5, bottom, ink);
    canvas.text(box.x + box.width / 2, bottom + 46, x_name, 14, Align::centre);
    canvas.text(box.x, box.y - 12, y_name, 14);
}

void draw_curve(Canvas &canvas, const Axes &axes, const Curve &curve, Colour colour) {
    std::vector<std::pair<double, double>> points;
    for (size_t i = 0; i < curve.values.size(); i++) {
        if (std::isfinite(curve.values[i])) points.emplace_back(axes.x(double(i)), axes.y(curve.values[i]));
        if (!std::isfinite(curve.values[i]) || i + 1 == curve.values.size()) { // a gap where there is no value
            canvas.path(points, colour, 2);
            points.clear();
        }
    }
}

// Under the plot, where it can cover no curve: as many columns as the longest name allows.
constexpr double legend_row = 24;
struct Legend {
    double width;
    size_t columns, rows;
};
Legend legend_for(Canvas &canvas, const std::vector<Curve> &curves, double width) {
    double longest = 0;
    for (const Curve &curve : curves) longest = std::max(longest, canvas.text_width(curve.name, 14) + 62);
    const size_t columns = std::clamp(size_t(width / longest), size_t(1), curves.size());
    return {std::min(longest, width), columns, (curves.size() + columns - 1) / columns};
}

} // namespace

std::vector<unsigned char> draw_curves(const std::vector<Curve> &curves, const std::string &title, const std::string &x_name,
                                       const std::string &y_name) {
    const double width = 960, plot_height = 420, left = 74, top = 88, right = 32;
    Canvas ruler(1, 1);
    const Legend legend = legend_for(ruler, curves, width - left - right);
    Canvas canvas(width, top + plot_height + 66 + double(legend.rows) * legend_row + 16);
    const Axes axes = axes_for(curves, {left, top, width - left - right, plot_height});
    canvas.text(24, 36, canvas.fitted(title, 18, width - 48, true), 18, Align::left, ink, true);
    draw_axes(canvas, axes, x_name, y_name);
    canvas.clip({left, top - 2, width - left - right + 2, plot_height + 2});
    for (size_t i = 0; i < curves.size(); i++) draw_curve(canvas, axes, curves[i], colour_of(i));
    canvas.unclip();
    for (size_t i = 0; i < curves.size(); i++) {
        const double x = left + double(i % legend.columns) * legend.width;
        const double y = top + plot_height + 66 + double(i / legend.columns) * legend_row + 14;
        canvas.line(x, y - 5, x + 26, y - 5, colour_of(i), 3);
        canvas.text(x + 34, y, canvas.fitted(curves[i].name, 14, legend.width - 40), 14);
    }
    return canvas.png();
}

} // namespace cli
