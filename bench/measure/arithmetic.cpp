// Windows are separable: a filtered map costs as many multiply-adds as the window has taps down and along. Windowed terms with the same window
// share maps.
#include "arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

namespace measure {
namespace {

struct Term { // "ssim(border=zero, window=7)"
    std::string kind;
    std::map<std::string, std::string> arguments; // "border": "zero"; a word alone is "isotropic": ""

    bool has(const char *name) const { return arguments.count(name) > 0; }
    std::string get(const char *name) const { return has(name) ? arguments.at(name) : ""; }
    bool is_one_of(std::initializer_list<const char *> kinds) const {
        return std::any_of(kinds.begin(), kinds.end(), [&](const char *each) { return kind == each; });
    }
    bool is_windowed() const { return is_one_of({"ssim", "dssim", "ms_ssim", "luminance", "contrast", "structure"}); }
};

Term parse(const std::string &text) {
    const size_t open = text.find('(');
    Term term{text.substr(0, open), {}};
    size_t at = open;
    while (at != std::string::npos && text[at] != ')') {
        const size_t begin = text.find_first_not_of(' ', at + 1), end = text.find_first_of(",)", begin);
        if (begin == std::string::npos || end == std::string::npos) break;
        const std::string argument = text.substr(begin, end - begin);
        const size_t equals = std::min(argument.find('='), argument.size());
        term.arguments[argument.substr(0, equals)] = argument.substr(std::min(equals + 1, argument.size()));
        at = end;
    }
    return term;
}

int taps_of_sigma(double sigma) { return std::max(2 * int(3.5 * sigma + 0.5) + 1, 3); }

// The value of an axis, of "11" or "11:5".
std::string of_axis(const std::string &text, int axis) {
    const size_t colon = text.find(':');
    return colon == std::string::npos ? text : axis == 0 ? text.substr(0, colon) : text.substr(colon + 1);
}
// Defaults as in pixloss.h: pxl_term for blur, pxl_preset_name() for windowed terms.
int taps_of(const Term &term, int axis) {
    if (term.has("window")) return std::atoi(of_axis(term.get("window"), axis).c_str());
    const double sigma = term.has("sigma") ? std::atof(of_axis(term.get("sigma"), axis).c_str()) : 1.5;
    if (term.kind == "blur") return taps_of_sigma(sigma);
    const std::string preset = term.get("preset");
    const bool uniform = (preset == "skimage" || preset == "monai") && !term.has("sigma");
    const bool from_sigma = preset == "skimage" || preset == "monai" || preset == "torchmetrics";
    return uniform ? 7 : from_sigma && !term.has("uniform") ? taps_of_sigma(sigma) : 11;
}

// Down and along.
int taps_of(const Term &term) { return taps_of(term, 0) + taps_of(term, 1); }

// Taps other than 0 of the map's components.
int stencil_taps(const Term &term) {
    if (term.kind == "sobel") return 12;
    if (term.kind == "tv") return 4;
    if (term.kind == "laplacian") return term.get("neighbours") == "8" ? 9 : 5;
    return 0;
}

bool averages_blocks(const Term &term) {
    if (term.has("downsample")) return term.get("downsample") != "1";
    return term.get("preset") == "piq" || term.get("preset") == "vmaf";
}
bool is_countable(const Term &term) {
    if (term.has("weights") || term.get("scales") == "auto") return false; // how many there are is not known here
    return !term.is_one_of({"features", "lpips", "style", "cosine"}) && !averages_blocks(term);
}

// The arguments that decide which maps are filtered, and how.
std::string window_of(const Term &term) {
    std::string window = term.kind == "ms_ssim" ? "scales of " : "";
    for (const auto &[name, value] : term.arguments)
        if (name != "alpha" && name != "beta" && name != "gamma" && name != "reduction") window += name + "=" + value + ",";
    return window;
}

// Maps that the terms of one window need: two means, the second moments of sum and difference, the product of both.
struct Window {
    int taps = 0;
    bool moments = false, covariance = false;
    double pixels = 1; // of all scales, for each of the image's

    void add(const Term &term) {
        taps = taps_of(term);
        const int scales = term.has("scales") ? std::atoi(term.get("scales").c_str()) : 5;
        for (int j = 1; term.kind == "ms_ssim" && j < scales; ++j) pixels += std::pow(0.25, j);
        const bool exponents = term.has("alpha") || term.has("beta") || term.has("gamma");
        moments = moments || term.kind != "luminance";
        covariance = covariance || exponents || term.is_one_of({"contrast", "structure"});
    }
    // Back: the derivatives by a mean for each gradient, those by the other maps once.
    double multiply_adds(int gradients) const {
        const int higher = 2 * moments + covariance, forward = 2 + higher, back = gradients ? gradients + higher : 0;
        return double(taps) * (forward + back) * pixels;
    }
};

} // namespace

double multiply_adds(const std::vector<std::string> &terms, int gradients) {
    std::map<std::string, Window> windows;
    const int there_and_back = gradients ? 2 : 1;
    double sum = 0;
    for (const std::string &text : terms) {
        const Term term = parse(text);
        if (!is_countable(term)) return 0;
        if (term.is_windowed()) windows[window_of(term)].add(term);
        if (term.kind == "blur") sum += there_and_back * taps_of(term);
        sum += there_and_back * stencil_taps(term);
    }
    for (const auto &[name, window] : windows) sum += window.multiply_adds(gradients);
    return sum;
}

double multiply_adds_of_statistics(const std::string &term) { return is_countable(parse(term)) ? 5.0 * taps_of(parse(term)) : 0; }

int blur_taps(const std::vector<std::string> &terms) {
    return terms.size() == 1 && parse(terms[0]).kind == "blur" ? taps_of(parse(terms[0])) / 2 : 0;
}

} // namespace measure
