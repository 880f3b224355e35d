// `pixloss fit`: a training loop in small. The model is the image itself, seen through a blur: Adam moves the pixels z so that
//     loss(blur(z), degraded) + roughness * tv(z)
// falls. The library gives the loss's gradient at blur(z); the adjoint of the blur carries it back to z. Undoing a blur amplifies
// noise without bounds, so no loss alone would do: the small price on roughness is what holds the noise down.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "commands.hpp"
#include "draw.hpp"
#include "engine.hpp"
#include "image.hpp"
#include "network.hpp"
#include "report.hpp"

namespace cli {
namespace {

constexpr double blur_sigma = 1.6, noise_sigma = 0.01; // in pixels, and on images on [0, 1]
constexpr double first_rate = 0.02, last_rate = 1e-4;  // of Adam, along half a cosine

pxl_filter blur_filter() {
    pxl_filter filter = PXL_FILTER(PXL_FILTER_BLUR);
    filter.sigma = blur_sigma;
    filter.border = PXL_REPLICATE;
    return filter;
}

// The sum of twelve uniform numbers, less its mean: normal enough, and by integers alone, so the same bits on every platform,
// which neither <random>'s distributions nor libm promise.
class Noise {
  public:
    explicit Noise(uint64_t seed) : state_(seed) {}
    float next() {
        int64_t sum = 0;
        for (int i = 0; i < 12; i++) sum += int64_t(step() >> 32);
        return float(noise_sigma * double(sum - 6 * (int64_t(1) << 32)) / 4294967296.0);
    }

  private:
    uint64_t step() { // splitmix64
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    uint64_t state_;
};

Image degrade(Device &device, const Image &original) {
    Image out(original.width, original.height, original.channels);
    const DeviceImage from(device, original), to(device, out);
    Filter(device, blur_filter(), from.view(), to.view()).apply(from.view(), to.view());
    to.download(out);
    Noise noise(1);
    for (float &value : out.pixels) value = std::clamp(value + noise.next(), 0.0f, 1.0f);
    return out;
}

struct Score {
    double psnr, ssim;
};
Score score(Device &device, const Image &image, const Image &original) {
    const Loss loss = parse_loss("psnr + ssim");
    const DeviceImage pred(device, image), target(device, original);
    const std::vector<double> values = Evaluator(device, nullptr, loss.get(), PXL_ARGS(&pred.view(), &target.view())).run();
    return {values[1], 1 - values[2]};
}

class Adam {
  public:
    explicit Adam(size_t count) : mean_(count), square_(count) {}

    // One step on z + its projection onto [0, 1], where images are.
    void step(std::vector<float> &z, const std::vector<float> &gradient, double rate) {
        const double beta1 = 0.9, beta2 = 0.99;
        power1_ *= beta1, power2_ *= beta2;
        const float scale = float(rate / (1 - power1_)), correction = float(1 / (1 - power2_));
        for (size_t i = 0; i < z.size(); i++) {
            mean_[i] += float(1 - beta1) * (gradient[i] - mean_[i]);
            square_[i] += float(1 - beta2) * (gradient[i] * gradient[i] - square_[i]);
            // Gradients of a mean are as small as 1 / pixels: the guard against a division by 0 must be far smaller.
            z[i] = std::clamp(z[i] - scale * mean_[i] / (std::sqrt(square_[i] * correction) + 1e-20f), 0.0f, 1.0f);
        }
    }

  private:
    std::vector<float> mean_, square_;
    double power1_ = 1, power2_ = 1;
};

double norm(const std::vector<float> &values) {
    double sum = 0;
    for (float value : values) sum += double(value) * value;
    return std::sqrt(sum);
}

pxl_args with_gradient(const DeviceImage &pred, const DeviceImage &target, const DeviceImage &gradient) {
    pxl_args args = PXL_ARGS(&pred.view(), &target.view());
    args.grad_pred = &gradient.view();
    return args;
}

// Networks see the target once: it stays while the pixels move.
pxl_args with_fixed_target(pxl_args args) {
    args.target_use = PXL_TARGET_KEEP;
    return args;
}

// On a GPU the blur, the losses and their gradients are computed there; two gradients come back in each step and the pixels go
// there, for Adam runs here.
class Descent {
  public:
    Descent(Device &device, const std::string &expression, const pxl_loss *loss, const Image &original, const Image &degraded)
        : name_(expression),
          degraded_(degraded),
          z_(degraded),
          seen_(degraded),
          seen_gradient_(degraded),
          gradient_(degraded),
          rough_gradient_(degraded),
          truth_on_(device, original),
          target_on_(device, degraded),
          z_on_(device, z_),
          seen_on_(device, seen_),
          seen_gradient_on_(device, seen_gradient_),
          gradient_on_(device, gradient_),
          rough_gradient_on_(device, rough_gradient_),
          blur_(device, blur_filter(), z_on_.view(), seen_on_.view()),
          data_(device, nullptr, loss, with_fixed_target(with_gradient(seen_on_, target_on_, seen_gradient_on_))),
          rough_(device, nullptr, tv_.get(), with_gradient(z_on_, target_on_, rough_gradient_on_)),
          psnr_(device, nullptr, psnr_loss_.get(), PXL_ARGS(&z_on_.view(), &truth_on_.view())),
          roughness_(choose_roughness()) {}
    Descent(const Descent &) = delete; // the views point into it
    Descent &operator=(const Descent &) = delete;

    // PSNR against the original before each step and after the last. The descent itself never sees the original.
    std::vector<double> run(int steps, Progress &progress) {
        Adam adam(z_.pixels.size());
        std::vector<double> psnr{psnr_.run()[0]};
        for (int i = 0; i < steps; i++) {
            blur_.apply(z_on_.view(), seen_on_.view());
            const double loss = data_.run()[0] + roughness_ * rough_.run()[0];
            if (!std::isfinite(loss))
                throw std::runtime_error("loss '" + name_ + "' is " + number(loss) + format(" at step %d", i));
            fetch_gradients();
            for (size_t p = 0; p < gradient_.pixels.size(); p++)
                gradient_.pixels[p] += float(roughness_) * rough_gradient_.pixels[p];
            adam.step(z_.pixels, gradient_.pixels, last_rate + (first_rate - last_rate) * 0.5 * (1 + std::cos(M_PI * i / steps)));
            z_on_.upload();
            psnr.push_back(psnr_.run()[0]);
            progress.update(i + 1, format("PSNR %.2f dB", psnr.back()));
        }
        return psnr;
    }
    const Image &image() const { return z_; }

  private:
    // Losses have scales of their own, so one weight cannot fit all. At the true image only noise is left to explain; there the
    // pull of the noise and that of the roughness shall be about equal. The noise's strength is taken as known, its values are
    // not.
    double choose_roughness() {
        Noise other(2);
        for (size_t i = 0; i < seen_.pixels.size(); i++) seen_.pixels[i] = degraded_.pixels[i] + other.next();
        seen_on_.upload();
        data_.launch();
        rough_.launch();
        fetch_gradients();
        const double smooth = norm(rough_gradient_.pixels);
        return smooth > 0 ? norm(gradient_.pixels) / smooth : 0;
    }
    void fetch_gradients() {
        blur_.adjoint(seen_gradient_on_.view(), gradient_on_.view());
        gradient_on_.download(gradient_);
        rough_gradient_on_.download(rough_gradient_);
    }

    std::string name_;
    const Image &degraded_;
    Image z_, seen_, seen_gradient_, gradient_, rough_gradient_;
    DeviceImage truth_on_, target_on_, z_on_, seen_on_, seen_gradient_on_, gradient_on_, rough_gradient_on_;
    Loss tv_ = parse_loss("tv(isotropic)"), psnr_loss_ = parse_loss("psnr");
    Filter blur_;
    Evaluator data_, rough_, psnr_;
    double roughness_;
};

struct Result {
    std::string name;
    Image image;
    std::vector<double> psnr;
    double ssim, seconds;
    std::string weights; // "random weights", for the pictures
};

Result recover(Device &device, const std::string &expression, const pxl_loss *loss, const Image &original, const Image &degraded,
               int steps) {
    const auto start = std::chrono::steady_clock::now();
    Progress progress(expression, steps);
    Descent descent(device, expression, loss, original, degraded);
    std::vector<double> psnr = descent.run(steps, progress);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    Result result{expression, descent.image(), std::move(psnr), score(device, descent.image(), original).ssim, seconds, ""};
    progress.finish(format("%d steps in %.1f s, PSNR %.2f -> %.2f dB", steps, seconds, result.psnr.front(), result.psnr.back()));
    return result;
}

void check_range(const Image &image, const std::string &path) {
    for (float value : image.pixels)
        if (!(value >= 0 && value <= 1))
            throw std::runtime_error(display_name(path) + ": has a value of " + number(value) + "; fit needs values on [0, 1]");
}

std::string facts(double psnr, double ssim) { return format("PSNR %.2f dB    SSIM %.4f", psnr, ssim); }

std::vector<unsigned char> sheet(const std::string &title, const Image &original, const Image &degraded, const Score &before,
                                 const std::vector<Result> &results) {
    std::vector<Panel> panels{{"original", original.shape(), &original},
                              {"degraded", facts(before.psnr, before.ssim), &degraded}};
    for (const Result &result : results)
        panels.push_back({result.name,
                          facts(result.psnr.back(), result.ssim) + (result.weights.empty() ? "" : "    " + result.weights),
                          &result.image});
    return draw_sheet(panels, title);
}

std::vector<unsigned char> plot(const std::string &title, const std::vector<Result> &results) {
    std::vector<Curve> curves;
    for (const Result &result : results)
        curves.push_back({result.name + (result.weights.empty() ? "" : ", " + result.weights), result.psnr});
    return draw_curves(curves, title, "step", "PSNR against the original (dB)");
}

// Else the table seems to say that mse is the best loss.
std::string why_mse(const std::vector<Result> &results) {
    const auto best = std::max_element(results.begin(), results.end(),
                                       [](const Result &a, const Result &b) { return a.psnr.back() < b.psnr.back(); });
    if (results.size() < 2 || (best->name != "mse" && best->name != "l2")) return "";
    return best->name + " has the best PSNR because PSNR is a function of it, 10 log10(1 / mse): a descent on " + best->name +
           " is one on PSNR\n";
}

std::string report(const Score &before, const std::vector<Result> &results) {
    Table table({"loss", "PSNR", "SSIM", "seconds"});
    table.row({"(degraded)", format("%.2f dB", before.psnr), format("%.4f", before.ssim), ""});
    for (const Result &result : results)
        table.row(
            {result.name, format("%.2f dB", result.psnr.back()), format("%.4f", result.ssim), format("%.1f", result.seconds)});
    return table.text() + why_mse(results);
}

std::string curves_path(const std::string &out) {
    check_png_name("--out", out);
    return out.substr(0, out.size() - 4) + "-curves.png";
}

} // namespace

void fit(const FitOptions &options) {
    std::vector<std::string> names = options.losses;
    if (names.empty()) names = {"mse", "0.84*ssim + 0.16*l1", "0.8*l1 + 0.2*ssim + 0.05*sobel"};
    std::vector<Loss> losses;
    const Networks networks(options.network);
    std::vector<const pxl_loss *> used;
    for (const std::string &name : names) used.push_back(losses.emplace_back(networks.parse(name)).get());
    const Alpha alpha = parse_alpha(options.alpha);
    const std::unique_ptr<Device> device = open_device(options.device);
    const std::string second_path = curves_path(options.out);
    for (const std::string &output : {options.out, second_path}) check_not_input("--out", output, options.image);
    const Image original = read_image(options.image, alpha);
    check_range(original, options.image);
    OutputFile pictures(options.out), curves(second_path); // before the work: it would be lost

    const Image degraded = degrade(*device, original);
    const Score before = naming(options.image, [&] { return score(*device, degraded, original); });
    std::vector<Result> results;
    for (size_t i = 0; i < names.size(); i++) {
        results.push_back(naming(options.image,
                                 [&] { return recover(*device, names[i], losses[i].get(), original, degraded, options.steps); }));
        for (const NamedNetwork &network : networks.used_by({used[i]}))
            if (network.random) results.back().weights = "random weights";
    }

    const std::string title =
        base_name(display_name(options.image)) +
        format(": blur of sigma %g px and noise of sigma %g, recovered in %d steps", blur_sigma, noise_sigma, options.steps);
    pictures.write(sheet(title, original, degraded, before, results));
    curves.write(plot(title, results));
    pictures.commit();
    curves.commit();
    print(
        report(before, results) +
        "\ndescent   on loss(blur(pixels), degraded) + roughness * tv(isotropic), roughness by the known strength of the noise" +
        "\npictures  " + pictures.path() + "\ncurves    " + curves.path() + network_lines(networks.used_by(used), "network   ") +
        "\n");
}

} // namespace cli
