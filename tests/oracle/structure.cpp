#include "structure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "filter.h"

namespace oracle {
namespace {

// All windows of an image, and the one that is looked at: its samples' places in the plane (-1: outside, reads 0) and their
// weights.
struct Windows {
    Axis rows, columns;
    real correction; // of a sample covariance
    std::vector<real> weights;
    std::vector<int64_t> at;
    bool reaches_outside = false;
};

Windows windows_of(const Term &term, const Image &image) {
    const real n = static_cast<real>(term.window_y) * term.window_x;
    Windows windows{
        axis_of_rows(term, image.h), axis_of_columns(term, image.w), term.sample_covariance ? n / (n - 1) : 1, {}, {}};
    for (const double a : windows.rows.weights)
        for (const double b : windows.columns.weights) windows.weights.push_back(static_cast<real>(a) * b);
    windows.at.resize(windows.weights.size());
    return windows;
}

void look_at(Windows &windows, int64_t y, int64_t x, int64_t width) {
    const size_t h = windows.rows.weights.size(), w = windows.columns.weights.size();
    windows.reaches_outside = false;
    for (size_t i = 0; i < h; ++i)
        for (size_t j = 0; j < w; ++j) {
            const int64_t row = windows.rows.source[y * h + i], column = windows.columns.source[x * w + j];
            const bool outside = row < 0 || column < 0;
            windows.at[i * w + j] = outside ? -1 : row * width + column;
            windows.reaches_outside = windows.reaches_outside || outside;
        }
}

Moments moments(const Windows &windows, const double *px, const double *py) {
    Moments m{};
    for (size_t i = 0; i < windows.at.size(); ++i) {
        if (windows.at[i] < 0) continue;
        m.mx += windows.weights[i] * px[windows.at[i]];
        m.my += windows.weights[i] * py[windows.at[i]];
    }
    for (size_t i = 0; i < windows.at.size(); ++i) {
        const bool outside = windows.at[i] < 0;
        const real dx = (outside ? 0 : px[windows.at[i]]) - m.mx, dy = (outside ? 0 : py[windows.at[i]]) - m.my;
        m.vx += windows.weights[i] * dx * dx;
        m.vy += windows.weights[i] * dy * dy;
        m.cov += windows.weights[i] * dx * dy;
    }
    // A variance below the rounding of its mean is that of a flat window.
    if (m.vx < 1e-30L * m.mx * m.mx) m.vx = m.cov = 0;
    if (m.vy < 1e-30L * m.my * m.my) m.vy = m.cov = 0;
    m.vx *= windows.correction, m.vy *= windows.correction, m.cov *= windows.correction;
    return m;
}

// Adds to gx and gy what a change of the window's samples does through its moments.
void scatter(const Windows &windows, const double *px, const double *py, const Moments &m, const Slopes &d, double *gx,
             double *gy) {
    const real k = windows.correction;
    for (size_t i = 0; i < windows.at.size(); ++i) {
        const int64_t at = windows.at[i];
        if (at < 0) continue;
        const real weight = windows.weights[i], dx = px[at] - m.mx, dy = py[at] - m.my;
        gx[at] += static_cast<double>(weight * (d.mx + k * (2 * d.vx * dx + d.cov * dy)));
        gy[at] += static_cast<double>(weight * (d.my + k * (2 * d.vy * dy + d.cov * dx)));
    }
}

// The same with every part's magnitude; a bound, for which double is enough, and quicker.
void scatter_slack(const Windows &windows, const double *px, const double *py, const Moments &m, const Slopes &d, double *gx,
                   double *gy) {
    const auto mx = static_cast<double>(m.mx), my = static_cast<double>(m.my), k = static_cast<double>(windows.correction);
    const auto dmx = static_cast<double>(d.mx), dmy = static_cast<double>(d.my), cov = k * static_cast<double>(d.cov);
    const double vx = 2 * k * static_cast<double>(d.vx), vy = 2 * k * static_cast<double>(d.vy);
    const int64_t *at = windows.at.data();
    for (const double row : windows.rows.weights)
        for (const double column : windows.columns.weights) {
            const int64_t i = *at++;
            if (i < 0) continue;
            const double weight = row * column, dx = std::fabs(px[i] - mx), dy = std::fabs(py[i] - my);
            gx[i] += weight * (dmx + vx * dx + cov * dy), gy[i] += weight * (dmy + vy * dy + cov * dx);
        }
}

Slopes times(const Slopes &s, real factor) {
    return {s.mx * factor, s.my * factor, s.vx * factor, s.vy * factor, s.cov * factor};
}
Slopes plus(const Slopes &a, const Slopes &b) { return {a.mx + b.mx, a.my + b.my, a.vx + b.vx, a.vy + b.vy, a.cov + b.cov}; }
Slopes magnitudes(const Slopes &s) {
    return {std::fabs(s.mx), std::fabs(s.my), std::fabs(s.vx), std::fabs(s.vy), std::fabs(s.cov)};
}

// A ratio of two functions of the moments, (top + C) / (bottom + C); 0/0, which needs C = 0 and nothing in the window, is 1.
struct Factor {
    real value;
    Slopes slopes, parts; // parts: the magnitudes that the slopes are a difference of, for the rounding
};
Factor ratio(real top, const Slopes &top_slopes, real bottom, const Slopes &bottom_slopes) {
    if (bottom == 0) return {1, {}, {}};
    const Slopes a = times(top_slopes, 1 / bottom), b = times(bottom_slopes, -top / (bottom * bottom));
    return {top / bottom, plus(a, b), plus(magnitudes(a), magnitudes(b))};
}

Factor luminance(const Moments &m, real c1) {
    return ratio(2 * m.mx * m.my + c1, {2 * m.my, 2 * m.mx, 0, 0, 0}, m.mx * m.mx + m.my * m.my + c1,
                 {2 * m.mx, 2 * m.my, 0, 0, 0});
}
Factor contrast_structure(const Moments &m, real c2) {
    return ratio(2 * m.cov + c2, {0, 0, 0, 0, 2}, m.vx + m.vy + c2, {0, 0, 1, 1, 0});
}

// sqrt(vx vy), whose slopes are 0 where a variance is: there a change of the other image changes nothing, and a change of the
// flat one adds as much on either side.
Factor geometric_mean(const Moments &m) {
    if (m.vx == 0 || m.vy == 0) return {0, {}, {}};
    const real root = std::sqrt(m.vx * m.vy);
    return {root, {0, 0, m.vy / (2 * root), m.vx / (2 * root), 0}, {}};
}
Factor contrast(const Moments &m, real c2) {
    const Factor root = geometric_mean(m);
    return ratio(2 * root.value + c2, times(root.slopes, 2), m.vx + m.vy + c2, {0, 0, 1, 1, 0});
}
Factor structure(const Moments &m, real c2) {
    const Factor root = geometric_mean(m);
    return ratio(m.cov + c2 / 2, {0, 0, 0, 0, 1}, root.value + c2 / 2, root.slopes);
}

Score of_factor(const Factor &factor, real error) {
    return {factor.value, 1 - factor.value, times(factor.slopes, -1), times(factor.parts, error), 0};
}

// The derivative of f^exponent with f floored at 1e-4, which is a constant below.
real power_slope(real f, real exponent) { return f < 1e-4L ? 0 : exponent * std::pow(f, exponent - 1); }

Score with_exponents(const Term &term, const Moments &m, real c1, real c2, real rounding) {
    const Factor factors[3] = {luminance(m, c1), contrast(m, c2), structure(m, c2)};
    const real exponents[3] = {term.alpha, term.beta, term.gamma};
    real powers[3];
    for (int i = 0; i < 3; ++i) powers[i] = std::pow(std::max(factors[i].value, 1e-4L), exponents[i]);
    Score result;
    result.similarity = powers[0] * powers[1] * powers[2];
    result.loss = 1 - result.similarity;
    for (int i = 0; i < 3; ++i) {
        const real others = powers[(i + 1) % 3] * powers[(i + 2) % 3], f = factors[i].value, error = 16 * rounding;
        const real slope = power_slope(f, exponents[i]);
        // At the floor, and where a small factor has a steep power, rounding moves the slope.
        const real moved = std::max(std::fabs(power_slope(f + error, exponents[i]) - slope),
                                    std::fabs(power_slope(f - error, exponents[i]) - slope));
        result.slopes = plus(result.slopes, times(factors[i].slopes, -slope * others));
        result.uncertainties = plus(result.uncertainties, times(factors[i].parts, (moved + error * slope) * others));
    }
    return result;
}

bool has_exponents(const Term &term) { return term.alpha != 1 || term.beta != 1 || term.gamma != 1; }

Score ssim(const Term &term, const Moments &m, real c1, real c2, real rounding) {
    if (has_exponents(term)) return with_exponents(term, m, c1, c2, rounding);
    const Factor l = luminance(m, c1), cs = contrast_structure(m, c2);
    if (term.without_luminance) return of_factor(cs, 0);
    return of_factor({l.value * cs.value, plus(times(l.slopes, cs.value), times(cs.slopes, l.value)), {}}, 0);
}

template <typename Visit>
void each_window(const Image &image, const Windows &windows, Visit visit) {
    for (int64_t n = 0; n < image.n; ++n)
        for (int64_t c = 0; c < image.c; ++c)
            for (int64_t y = 0; y < windows.rows.outputs; ++y)
                for (int64_t x = 0; x < windows.columns.outputs; ++x) visit(n, c, y, x);
}

void store(Image &statistics, int64_t channels, int64_t n, int64_t c, int64_t y, int64_t x, const Moments &m) {
    const real values[5] = {m.mx, m.my, m.vx, m.vy, m.cov};
    for (int k = 0; k < 5; ++k) statistics.at(n, k * channels + c, y, x) = static_cast<double>(values[k]);
}

} // namespace

namespace {
Axis window_axis(const Term &term, int window, double sigma, int64_t n) {
    Axis axis;
    const int taps = term.skip_short_axis && n < window ? 1 : window;
    axis.weights = sigma > 0 ? gaussian_taps(taps, sigma) : uniform_taps(taps);
    axis.outputs = filtered_size(n, taps, term.border);
    axis.margin = term.border == PXL_VALID ? taps / 2 : 0;
    for (int64_t i = 0; i < axis.outputs; ++i)
        for (int k = 0; k < taps; ++k)
            axis.source.push_back(border_index(term.border, i + first_sample(taps, term.border) + k, n));
    return axis;
}
} // namespace
Axis axis_of_rows(const Term &term, int64_t h) { return window_axis(term, term.window_y, term.sigma_y, h); }
Axis axis_of_columns(const Term &term, int64_t w) { return window_axis(term, term.window_x, term.sigma_x, w); }

Score score(const Term &term, const Moments &m, real range, real rounding) {
    const real c1 = (term.k1 * range) * (term.k1 * range), c2 = (term.k2 * range) * (term.k2 * range);
    if (term.kind == PXL_LUMINANCE) return of_factor(luminance(m, c1), 0);
    if (term.kind == PXL_CONTRAST) return of_factor(contrast(m, c2), 16 * rounding); // square roots and their difference
    if (term.kind == PXL_STRUCTURE) return of_factor(structure(m, c2), 16 * rounding);
    Score result = ssim(term, m, c1, c2, rounding);
    if (term.kind == PXL_DSSIM) {
        result.loss /= 2;
        result.slopes = times(result.slopes, 0.5L);
        result.uncertainties = times(result.uncertainties, 0.5L);
    }
    return result;
}

namespace {

struct Range {
    real least = std::numeric_limits<real>::infinity(), most = -least;
    void widen(real a) { least = std::min(least, a), most = std::max(most, a); }
    real farthest_from(real a) const { return std::max(std::fabs(a - least), std::fabs(a - most)); }
};
// The largest |pred - target| of a plane, and its largest |pred| or |target|.
struct Extent {
    real difference = 0, size = 0;
    Range sums, differences; // pred + target, pred - target
};
Extent extent(const double *px, const double *py, int64_t pixels) {
    Extent largest;
    for (int64_t i = 0; i < pixels; ++i) {
        const real x = px[i], y = py[i];
        largest.difference = std::max(largest.difference, std::fabs(x - y));
        largest.size = std::max(largest.size, std::max(std::fabs(x), std::fabs(y)));
        largest.sums.widen(x + y), largest.differences.widen(x - y);
    }
    return largest;
}

bool has_roots(const Term &term) { return term.kind == PXL_CONTRAST || term.kind == PXL_STRUCTURE || has_exponents(term); }

// How far sqrt(v) may move where v is known to +-error, and counts as 0 up to `cut`.
real root_error(real v, real error, real cut) {
    return std::sqrt(v + error) - (v - error <= cut ? 0 : std::sqrt(std::max<real>(v - error, 0)));
}
// The largest variance that the manual lets count as 0: 5e-7 (f64: 1e-15) of the window's mean of (x + y - 2c)^2 + (x - y - d)^2. 2c and
// d may be whatever x + y and x - y are anywhere.
real cut_of(const Moments &m, real rounding, const Extent &largest) {
    const real sum = largest.sums.farthest_from(m.mx + m.my), difference = largest.differences.farthest_from(m.mx - m.my);
    return rounding / 2 * (2 * (m.vx + m.vy) + sum * sum + difference * difference);
}

// The square roots of contrast and structure: steep where a window is nearly flat, and then so are their slopes. An implementation may
// take a variance within its `error`, or of no more than `cut`, for 0.
void add_rounding_of_roots(const Moments &m, real q, real c2, real error, real cut, real step_error, Score &s) {
    const real sx = std::sqrt(m.vx), sy = std::sqrt(m.vy), least = std::sqrt(error);
    q = std::min(q, sx * sy + c2 / 2);
    s.slack += 2 * (root_error(m.vx, error, cut) * sy + root_error(m.vy, error, cut) * sx + error) / q;
    const real steep = 2 * (sy / std::max(sx, least) + sx / std::max(sy, least)) / q;
    s.uncertainties = plus(s.uncertainties, {steep * step_error, steep * step_error, 0, 0, 0});
    const real smaller = std::min(m.vx, m.vy), turn = smaller - error <= cut ? 1 : error / smaller;
    s.uncertainties = plus(s.uncertainties, times(magnitudes(s.slopes), turn));
}

// What rounding costs an implementation that subtracts a constant of about the image's size from every pixel (as it must, to be
// right where images are nearly equal and flat as a whole): `step` is what is left of the pixels, all of it over a zero border.
// Means are off by rounding * step, and so are the slopes. It shows where a window is dark or flat. (vx + vy) is half of two
// differences, E[u^2] - E[u]^2 of up to 4 step^2 each; two passes of t taps round each by a walk of 2t steps of u = 6e-8 of it, so that
// is off by 2 sqrt(2) sqrt(2t) u step^2, 7 u step^2 with 3 taps (4e-7 in f32) and more with more.
void add_rounding(const Term &term, const Moments &m, real range, real rounding, const Extent &largest, bool outside, Score &s) {
    const real c1 = (term.k1 * range) * (term.k1 * range), c2 = (term.k2 * range) * (term.k2 * range);
    const real p = m.mx * m.mx + m.my * m.my + c1, q = m.vx + m.vy + c2, step = outside ? largest.size : largest.size / 2;
    const real mean_error = rounding / 4 * (largest.difference + (outside ? step : 0)), step_error = rounding / 4 * step;
    const real variance_error = rounding / 2 * step * step;
    if (p > 0) {
        s.uncertainties = plus(s.uncertainties, {mean_error / p, mean_error / p, 0, 0, 0});
        s.slack += mean_error / std::sqrt(p);
    }
    if (q > 0) {
        s.uncertainties = plus(s.uncertainties, {step_error / q, step_error / q, 0, 0, 0});
        s.uncertainties = plus(s.uncertainties, times(magnitudes(s.slopes), variance_error / q));
        s.slack += variance_error / q;
    }
    const real error = step_error * step + rounding / 4 * largest.size * largest.size; // vx, vy: from those of x + y and x - y
    if (c2 > 0 && has_roots(term)) add_rounding_of_roots(m, q, c2, error, cut_of(m, rounding, largest), step_error, s);
}

} // namespace

TermResult windowed_term(const Term &term, const Image &pred, const Image &target, const Image &weight, double range,
                         double rounding, Image *map_output, Image *stats) {
    Windows windows = windows_of(term, pred);
    const Image positions(pred.n, pred.c, windows.rows.outputs, windows.columns.outputs);
    const double factor = reduction_factor(term, positions, weight, windows.rows.margin, windows.columns.margin);
    if (map_output) *map_output = positions;
    if (stats) *stats = Image(pred.n, 5 * pred.c, positions.h, positions.w);
    TermResult result{0, 0, 0, like(pred), like(pred), like(pred), like(pred)};
    std::map<size_t, Extent> largest; // by plane
    for (size_t at = 0; at < pred.v.size(); at += static_cast<size_t>(pred.h * pred.w))
        largest[at] = extent(&pred.v[at], &target.v[at], pred.h * pred.w);
    real sum = 0;
    double weights = 0;
    each_window(pred, windows, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const size_t plane = pred.index(n, c, 0, 0);
        const double *px = &pred.v[plane], *py = &target.v[plane];
        look_at(windows, y, x, pred.w);
        const Moments m = moments(windows, px, py);
        Score s = score(term, m, range, rounding);
        if (rounding > 0) add_rounding(term, m, range, rounding, largest[plane], windows.reaches_outside, s);
        if (map_output) map_output->at(n, c, y, x) = static_cast<double>(s.similarity);
        if (stats) store(*stats, pred.c, n, c, y, x, m);
        const real w = weight_at(weight, n, y + windows.rows.margin, x + windows.columns.margin) * static_cast<real>(factor);
        if (w == 0) return;
        weights += static_cast<double>(w);
        sum += w * s.loss;
        result.value_slack += static_cast<double>(w * s.slack);
        scatter(windows, px, py, m, times(s.slopes, w), &result.grad_pred.v[plane], &result.grad_target.v[plane]);
        const Slopes &u = s.uncertainties;
        if (u.mx + u.my + u.vx + u.vy + u.cov > 0)
            scatter_slack(windows, px, py, m, times(u, w), &result.slack_pred.v[plane], &result.slack_target.v[plane]);
    });
    result.value = static_cast<double>(sum);
    // The square roots of contrast and structure cost an absolute error: they may be 0 for images that differ.
    result.scale = std::fabs(result.value) + (has_roots(term) ? 0.1 * weights : 0);
    return result;
}

Image statistics(const Term &term, const Image &pred, const Image &target) {
    Windows windows = windows_of(term, pred);
    Image result(pred.n, 5 * pred.c, windows.rows.outputs, windows.columns.outputs);
    each_window(pred, windows, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const size_t plane = pred.index(n, c, 0, 0);
        look_at(windows, y, x, pred.w);
        store(result, pred.c, n, c, y, x, moments(windows, &pred.v[plane], &target.v[plane]));
    });
    return result;
}

void statistics_adjoint(const Term &term, const Image &pred, const Image &target, const Image &grad, Image &grad_pred,
                        Image &grad_target) {
    Windows windows = windows_of(term, pred);
    grad_pred = like(pred), grad_target = like(pred);
    each_window(pred, windows, [&](int64_t n, int64_t c, int64_t y, int64_t x) {
        const size_t plane = pred.index(n, c, 0, 0);
        const double *px = &pred.v[plane], *py = &target.v[plane];
        const Slopes slopes{grad.at(n, c, y, x), grad.at(n, pred.c + c, y, x), grad.at(n, 2 * pred.c + c, y, x),
                            grad.at(n, 3 * pred.c + c, y, x), grad.at(n, 4 * pred.c + c, y, x)};
        look_at(windows, y, x, pred.w);
        scatter(windows, px, py, moments(windows, px, py), slopes, &grad_pred.v[plane], &grad_target.v[plane]);
    });
}

} // namespace oracle
