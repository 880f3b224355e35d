// One loss on one pair of images: the reference in f64 on the CPU, then the device, in several layouts and with several wishes.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "element.hpp"
#include "expression.hpp"
#include "report.hpp"
#include "selftest.hpp"

namespace cli {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// A digit of `choice`, which is used up.
uint64_t draw(uint64_t &choice, uint64_t count) {
    const uint64_t digit = choice % count;
    choice /= count;
    return digit;
}

pxl_tensor exact_view(const std::vector<double> &values, const Size &size) {
    // The C API has one view type for inputs and outputs; inputs are not written to.
    return pxl_nchw(const_cast<double *>(values.data()), PXL_F64, PXL_CPU_DEVICE, size[0], size[1], size[2], size[3]);
}

// In f64 the range of SSIM and PSNR is 1 unless it is given.
std::string for_exact_images(const std::string &expression, pxl_dtype dtype) {
    if (is_floating(dtype)) return expression;
    std::vector<std::string> terms = windowed_terms();
    terms.emplace_back("psnr"), terms.emplace_back("ms_ssim");
    return with_argument(expression, terms, dtype == PXL_U8 ? "data_range=255" : "data_range=65535",
                         {"data_range", "torchmetrics"});
}

double largest(const Result &result) {
    double most = 0;
    for (const auto *gradient : {&result.grad_pred, &result.grad_target})
        for (double value : *gradient) most = std::max(most, std::fabs(value));
    return most;
}

std::vector<double> times(double factor, std::vector<double> values) {
    for (double &value : values) value *= factor;
    return values;
}

// Row by row the terms and their weighted total.
double worst_value(const Subject &subject, const pxl_loss *loss, const Setting &setting, const std::vector<double> &actual,
                   const std::vector<double> &expected) {
    const size_t terms = subject.kinds.size();
    double worst = actual.size() == expected.size() ? 0 : std::numeric_limits<double>::infinity();
    for (size_t row = 0; row + terms < actual.size() && row + terms < expected.size(); row += 1 + terms) {
        double total = 0;
        for (size_t k = 0; k < terms; k++) {
            const double weight = setting.term_weights.empty() ? pxl_loss_term_weight(loss, k) : double(setting.term_weights[k]);
            const size_t i = row + 1 + k;
            worst = std::max(worst, value_error(subject.kinds[k], actual[i], expected[i]));
            if (weight != 0) total += std::fabs(weight) * value_bound(subject.kinds[k], expected[i]);
        }
        worst = std::max(worst, error_in_bounds(actual[row], expected[row], total));
    }
    return worst;
}

} // namespace

struct Comparison::Problem {
    const Subject &subject;
    Loss loss, exact_loss;
    Setting setting;
};

Comparison::Comparison(Device &device, const Pictures &pictures)
    : device_(device),
      pictures_(pictures),
      pred_{Array(device), Array(device), Array(device)},
      target_{Array(device), Array(device), Array(device)},
      weight_{Array(device), Array(device), Array(device)},
      grad_pred_(device),
      grad_target_(device),
      values_(device),
      grad_loss_(device),
      term_weights_(device),
      workspace_(device, 0),
      // Threads that wait for each other cost more than small images.
      one_thread_(make_context(cpu_device(), 1)),
      threaded_(pictures.dtype == PXL_F32 && elements(pictures.size) > 100000) {
    const Size &size = pictures.size;
    for (const Layout layout : layouts) {
        pred_[size_t(layout)].put(pictures.pred, size, pictures.dtype, layout);
        target_[size_t(layout)].put(pictures.target, size, pictures.dtype, layout);
        if (!pictures.weight.empty())
            weight_[size_t(layout)].put(pictures.weight, {size[0], 1, size[2], size[3]}, PXL_F32, layout);
    }
}

bool Comparison::refer(const Problem &problem, Result &result) const {
    const Size &size = pictures_.size;
    const bool floating = is_floating(pictures_.dtype);
    result.values.assign(size_t(problem.setting.per_image ? size[0] : 1) * (1 + problem.subject.kinds.size()), nan);
    result.grad_pred.assign(floating ? pictures_.pred.size() : 0, nan);
    result.grad_target = result.grad_pred;
    const pxl_tensor pred = exact_view(pictures_.pred, size), target = exact_view(pictures_.target, size),
                     weight = exact_view(pictures_.weight, {size[0], 1, size[2], size[3]}),
                     grad_pred = exact_view(result.grad_pred, size), grad_target = exact_view(result.grad_target, size);
    pxl_args args = PXL_ARGS(&pred, &target);
    if (!pictures_.weight.empty()) args.weight = &weight;
    if (floating) args.grad_pred = &grad_pred, args.grad_target = &grad_target;
    args.values = result.values.data(), args.per_image = problem.setting.per_image;
    if (!problem.setting.grad_loss.empty()) args.grad_loss = problem.setting.grad_loss.data();
    if (!problem.setting.term_weights.empty()) args.term_weights = problem.setting.term_weights.data();
    size_t bytes = 0;
    const pxl_status status = pxl_workspace_size(one_thread_.get(), problem.exact_loss.get(), &args, &bytes);
    if (status == PXL_INVALID_ARGUMENT) return false;
    check(status);
    const DeviceMemory workspace(cpu_device(), bytes);
    check(pxl_workspace_init(one_thread_.get(), problem.exact_loss.get(), &args, workspace.data(), bytes, nullptr));
    check(pxl_evaluate(one_thread_.get(), problem.exact_loss.get(), &args, workspace.data(), bytes, nullptr));
    return true;
}

pxl_status Comparison::evaluate(const Problem &problem, const Delivery &delivery, const Setting &setting,
                                std::vector<double> &values, bool all_threads) {
    const auto layout = size_t(delivery.layout);
    pxl_args args = PXL_ARGS(&pred_[layout].view(), &target_[layout].view());
    if (!pictures_.weight.empty()) args.weight = &weight_[layout].view();
    if (delivery.grad_pred) {
        grad_pred_.clear(pictures_.size, delivery.grad_dtype, delivery.grad_layout);
        args.grad_pred = &grad_pred_.view();
    }
    if (delivery.grad_target) {
        grad_target_.clear(pictures_.size, delivery.grad_dtype, delivery.grad_layout);
        args.grad_target = &grad_target_.view();
    }
    values.assign(values.size(), nan);
    args.values = values_.put(values), args.per_image = setting.per_image;
    args.grad_loss = grad_loss_.put(setting.grad_loss);
    args.term_weights = term_weights_.put(setting.term_weights);
    size_t bytes = 0;
    pxl_context *context = device_.is_cpu() && !all_threads ? one_thread_.get() : nullptr;
    pxl_status status = pxl_workspace_size(context, problem.loss.get(), &args, &bytes);
    if (status) return status;
    workspace_.reserve(bytes);
    status = pxl_workspace_init(context, problem.loss.get(), &args, workspace_.data(), bytes, nullptr);
    if (!status) status = pxl_evaluate(context, problem.loss.get(), &args, workspace_.data(), bytes, nullptr);
    if (!status) values_.get(values);
    return status;
}

namespace {

std::string condition(const Pictures &pictures, const Delivery &delivery, const Setting &setting) {
    std::string text =
        std::string(dtype_name(pictures.dtype)) + " " + size_name(pictures.size) + " " + layout_name(delivery.layout);
    if (!pictures.weight.empty()) text += ", weight map";
    if (setting.per_image) text += ", per image";
    if (!setting.term_weights.empty()) text += ", term weights";
    if (delivery.grad_pred || delivery.grad_target)
        text += std::string(", gradient of ") +
                (!delivery.grad_target ? "pred"
                 : delivery.grad_pred  ? "both"
                                       : "target") +
                " in " + dtype_name(delivery.grad_dtype) + " " + layout_name(delivery.grad_layout);
    return text;
}

} // namespace

// `scale` brings the gradients to the range of the 16-bit types: the upstream gradient does it on the device.
Finding Comparison::compare(const Problem &problem, const Delivery &delivery, const Result &expected, double scale) {
    Setting setting = problem.setting;
    if (scale != 1 && setting.grad_loss.empty()) setting.grad_loss.assign(size_t(setting.per_image ? pictures_.size[0] : 1), 1);
    for (float &upstream : setting.grad_loss) upstream = float(upstream * scale);
    Finding finding{{}, condition(pictures_, delivery, setting), ""};
    std::vector<double> values(expected.values.size()), again(values.size()), gradient;
    if (const pxl_status status = evaluate(problem, delivery, setting, values, false)) {
        finding.message = std::string(pxl_status_name(status)) + ": " + pxl_error_message();
        if (status == PXL_DEVICE_ERROR)
            throw LibraryError(problem.subject.expression + ", " + finding.condition + ": " + finding.message);
        return finding;
    }
    finding.errors.value = worst_value(problem.subject, problem.loss.get(), setting, values, expected.values);
    std::vector<std::vector<unsigned char>> bits;
    const auto judge = [&](Array &array, const std::vector<double> &right) {
        if (!array.get(gradient)) finding.message = "elements outside of the gradient's view were written";
        finding.errors.gradient =
            std::max(finding.errors.gradient, gradient_error(gradient, times(scale, right), delivery.grad_dtype));
        bits.push_back(array.bytes());
    };
    if (delivery.grad_pred) judge(grad_pred_, expected.grad_pred);
    if (delivery.grad_target) judge(grad_target_, expected.grad_target);

    check(evaluate(problem, delivery, setting, again, threaded_)); // the same bits on every run, for any number of threads
    bool same = std::memcmp(values.data(), again.data(), values.size() * sizeof(double)) == 0;
    if (delivery.grad_target) grad_target_.get(gradient), same = same && bits.back() == grad_target_.bytes();
    if (delivery.grad_pred) grad_pred_.get(gradient), same = same && bits.front() == grad_pred_.bytes();
    if (!same) finding.message = "a second run gave other bits";
    return finding;
}

std::vector<Finding> Comparison::run(const Subject &subject, uint64_t choice, bool quick) {
    Problem problem{
        subject, parse_loss(subject.expression), parse_loss(for_exact_images(subject.expression, pictures_.dtype)), {}};
    const auto images = size_t(pictures_.size[0]);
    problem.setting.per_image = images > 1 && draw(choice, 2);
    const size_t upstreams = problem.setting.per_image ? images : 1;
    if (draw(choice, 2))
        for (size_t i = 0; i < upstreams; i++) problem.setting.grad_loss.push_back(i % 2 ? -0.5F : 1.25F);
    if (draw(choice, 3) == 0)
        for (size_t k = 0; k < subject.kinds.size(); k++) problem.setting.term_weights.push_back(0.75F - 0.25F * float(k));
    Result expected;
    if (!refer(problem, expected)) return {};

    // Of one pixel the structure is 1 whatever it holds: all of its gradient is rounding.
    const bool one_pixel = pictures_.size[2] * pictures_.size[3] == 1;
    const bool roots = std::count(subject.kinds.begin(), subject.kinds.end(), Kind::root) > 0;
    const bool floating = is_floating(pictures_.dtype) && !(one_pixel && roots);
    const double most = largest(expected), scale = most > 0 ? std::ldexp(1, -std::ilogb(most)) : 1;
    std::vector<Finding> findings;
    for (uint64_t turn = 0; turn < (quick || !floating ? 1 : 2); turn++) {
        Delivery delivery;
        delivery.layout = layouts[draw(choice, 3)], delivery.grad_layout = layouts[draw(choice, 3)];
        delivery.grad_dtype = draw(choice, 2) ? pictures_.dtype : PXL_F32;
        const uint64_t wish = draw(choice, 4); // the gradient of pred is what training asks for
        delivery.grad_pred = floating && (turn == 0 ? wish != 1 : wish > 1);
        delivery.grad_target = floating && (turn == 0 ? wish < 2 : wish % 2 == 1);
        findings.push_back(compare(problem, delivery, expected, scale));
    }
    return findings;
}

} // namespace cli
