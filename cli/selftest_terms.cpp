// The losses that `pixloss selftest` runs: every term, penalty, border, preset and reduction.
#include "report.hpp"
#include "selftest.hpp"

namespace cli {
namespace {

const char *const penalties[] = {
    "l2", "l1", "huber, delta=0.125", "smooth_l1, beta=0.25", "charbonnier, eps=0.02", "pseudo_huber, delta=0.125", "log_cosh"};
const char *const borders[] = {"valid", "zero", "reflect", "replicate", "symmetric"};
const char *const reductions[] = {"mean", "sum", "spatial"};

class List {
  public:
    void group(const std::string &name) { group_ = name; }
    void add(const std::string &expression, Kind kind = Kind::plain) { subjects_.push_back({group_, expression, {kind}, false}); }
    // A term with arguments, and with each penalty beside them.
    void add_penalties(const std::string &term, const std::string &arguments) {
        for (const char *penalty : penalties) add(term + "(" + penalty + (arguments.empty() ? "" : ", ") + arguments + ")");
    }
    void add_reductions(const std::string &term, const std::string &arguments) {
        for (const char *reduction : reductions)
            add(term + "(reduction=" + reduction + (arguments.empty() ? "" : ", ") + arguments + ")");
    }
    void add_mix(const std::string &expression, std::vector<Kind> kinds) {
        subjects_.push_back({group_, expression, std::move(kinds), false});
    }
    std::vector<Subject> take() { return std::move(subjects_); }
    void keep_signs() { subjects_.back().signs = true; }

  private:
    std::string group_;
    std::vector<Subject> subjects_;
};

std::string border_of(const std::string &border) { return "border=" + border; }

void add_pixel(List &list) {
    for (const char *name : {"mse", "l1", "huber", "smooth_l1", "charbonnier", "pseudo_huber", "log_cosh"}) {
        list.group(name);
        list.add(name);
        list.add_reductions(name, "");
    }
    list.group("pixel, penalties");
    list.add_penalties("pixel", "");
}

void add_edges(List &list) {
    for (const std::string border : borders) {
        list.group("sobel " + border);
        list.add_penalties("sobel", border_of(border));
        list.add_reductions("sobel", border_of(border));
        list.add_penalties("sobel", "isotropic, " + border_of(border));
        list.group("laplacian " + border);
        list.add_penalties("laplacian", border_of(border));
        list.add_penalties("laplacian", "neighbours=8, " + border_of(border));
        list.add_reductions("laplacian", border_of(border));
    }
    list.group("tv");
    list.add_penalties("tv", "");
    list.add_reductions("tv", "");
    list.group("tv isotropic");
    list.add_penalties("tv", "isotropic");
    list.add_reductions("tv", "isotropic");
    list.group("tv own_counts");
    list.add_penalties("tv", "own_counts");
    list.group("tv root");
    list.add_reductions("tv", "root");
    list.add("tv(root, own_counts)");
    list.add("tv(mean_of_images, reduction=sum)");
    list.add("tv(root, mean_of_images, reduction=sum)");
}

void add_blur(List &list) {
    for (const std::string border : borders) {
        list.group("blur " + border);
        for (const char *size : {"window=3, sigma=0.8", "window=11, sigma=1.5", "sigma=2", "window=33, sigma=4",
                                 "window=35, sigma=6", "window=5:15, sigma=1:2"})
            list.add("blur(" + border_of(border) + ", " + size + ")");
        list.add_reductions("blur", border_of(border));
        for (const char *penalty : penalties) {
            list.add("blur(" + std::string(penalty) + ", " + border_of(border) + ")");
            if (penalty == std::string("l1")) list.keep_signs();
        }
    }
}

void add_means(List &list) {
    list.group("rmse");
    list.add("rmse");
    list.add("rmse(mean_of_images)");
    list.group("psnr");
    for (const char *arguments : {"", "(mean_of_images)", "(eps=0.01)", "(data_range=3)", "(data_range=auto)"})
        list.add(std::string("-1*psnr") + arguments, Kind::logarithm);
}

void add_ssim(List &list) {
    for (size_t i = 0; pxl_preset_name(i); i++) {
        const std::string preset = pxl_preset_name(i);
        list.group("ssim preset=" + preset);
        list.add("ssim(preset=" + preset + ")");
        list.add("dssim(preset=" + preset + ")");
        list.add("luminance(preset=" + preset + ")");
    }
    for (const int window : {3, 5, 7, 9, 11, 13, 15, 17, 25, 33}) {
        list.group(format("ssim window=%d", window));
        for (const std::string border : borders) {
            list.add(format("ssim(window=%d, sigma=%g, ", window, window / 6.0) + border_of(border) + ")");
            list.add(format("ssim(window=%d, uniform, ", window) + border_of(border) + ")");
        }
    }
    for (const std::string border : borders) {
        list.group("ssim " + border);
        list.add_reductions("ssim", border_of(border));
        list.add_reductions("dssim", border_of(border));
        list.add("ssim(window=11:5, " + border_of(border) + ")");
        list.add("ssim(window=3:17, uniform, " + border_of(border) + ")");
        list.add("ssim(window=7, sample_covariance, k1=0.02, k2=0.05, " + border_of(border) + ")");
        list.add("ssim(k1=0, " + border_of(border) + ")");
        list.add("ssim(data_range=auto, " + border_of(border) + ")");
    }
    list.group("ssim downsample");
    for (const char *factor : {"2", "3", "5", "auto"}) {
        list.add(std::string("ssim(window=3, sigma=1, border=reflect, downsample=") + factor + ")");
        list.add(std::string("ssim(preset=vmaf, downsample=") + factor + ")");
    }
}

void add_parts(List &list) {
    for (const char *term : {"luminance", "contrast", "structure"}) {
        list.group(term);
        const Kind kind = term == std::string("luminance") ? Kind::plain : Kind::root;
        for (const std::string border : borders)
            for (const char *window : {"", "window=5, uniform, ", "window=19, "})
                list.add(std::string(term) + "(" + window + border_of(border) + ")", kind);
    }
    list.group("ssim exponents");
    for (const std::string border : borders)
        for (const char *exponents : {"alpha=2", "beta=1.5", "gamma=0.5", "alpha=0.5, beta=2, gamma=2", "gamma=0"})
            list.add("ssim(" + std::string(exponents) + ", window=7, " + border_of(border) + ")", Kind::root);
}

void add_scales(List &list) {
    list.group("ms_ssim");
    list.add("ms_ssim");
    for (const std::string border : borders) {
        list.add("ms_ssim(window=3, sigma=0.8, scales=3, " + border_of(border) + ")");
        list.add("ms_ssim(window=3:5, sigma=0.8:1.2, scales=3, " + border_of(border) + ")");
        list.add("ms_ssim(window=7, uniform, sample_covariance, scales=2, " + border_of(border) + ")");
        list.add("ms_ssim(scales=auto, " + border_of(border) + ")");
    }
    list.add_reductions("ms_ssim", "window=7, scales=2");
    for (const char *clamp : {"eps, eps=0.3", "relu", "simple"})
        list.add("ms_ssim(window=7, weights=0.2:2:0.5, clamp=" + std::string(clamp) + ")");
    list.add("ms_ssim(window=7, scales=2, data_range=auto)");
    for (const char *preset : {"wang", "vainf", "tf", "torchmetrics", "piq"})
        list.add("ms_ssim(preset=" + std::string(preset) + ", sigma=0.8, scales=2)");
}

void add_mixes(List &list) {
    const Kind p = Kind::plain, r = Kind::root, l = Kind::logarithm;
    list.group("mixes");
    list.add_mix("0.84*ssim + 0.16*l1", {p, p});
    list.add_mix("0.5*mse + 0.5*ssim + 0.1*sobel", {p, p, p});
    list.add_mix("0.8*l1 + 0.2*ssim(preset=seed) + 0.05*sobel(isotropic) + 1e-3*tv", {p, p, p, p});
    list.add_mix("ssim + ssim(window=7, border=zero) + laplacian(huber, delta=0.1)", {p, p, p});
    list.add_mix("ssim + dssim + luminance + contrast + structure", {p, p, p, r, r});
    list.add_mix("0.3*rmse - 0.01*psnr + ssim(border=reflect)", {p, l, p});
    list.add_mix("0*tv + l1 + 2*blur(sigma=2)", {p, p, p});
    list.add_mix("mse + l1 + charbonnier", {p, p, p});
    list.add_mix("0.84*ms_ssim(scales=auto) + 0.16*l1 + 0.1*sobel", {p, p, p});
}

} // namespace

std::vector<Subject> selftest_subjects() {
    List list;
    add_pixel(list);
    add_edges(list);
    add_blur(list);
    add_means(list);
    add_ssim(list);
    add_parts(list);
    add_scales(list);
    add_mixes(list);
    return list.take();
}

} // namespace cli
