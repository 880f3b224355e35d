#include "run_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "dtype.h"

pxl_context *context_of(Device &device, int threads) {
    struct Destroy {
        void operator()(pxl_context *context) const { pxl_context_destroy(context); }
    };
    static std::map<std::pair<Device *, int>, std::unique_ptr<pxl_context, Destroy>> contexts;
    auto &context = contexts[{&device, threads}];
    if (!context) {
        pxl_context *made = nullptr;
        EXPECT_EQ(pxl_context_create(device.id(), threads, &made), PXL_OK) << pxl_error_message();
        context.reset(made);
    }
    return context.get();
}

namespace {

std::unique_ptr<DeviceArray<float>> floats(Device &device, const std::vector<double> &from) {
    if (from.empty()) return nullptr;
    return std::make_unique<DeviceArray<float>>(device, std::vector<float>(from.begin(), from.end()), sizeof(float));
}

} // namespace

void PrintTo(const Bits &bits, std::ostream *to) {
    uint64_t hash = 0xCBF29CE484222325u; // FNV-1a
    for (const uint8_t byte : bits.bytes) hash = (hash ^ byte) * 0x100000001B3u;
    *to << bits.bytes.size() << " bytes, hash " << std::hex << hash << std::dec;
}

Evaluation::Evaluation(Device &device, const Case &test, const oracle::Inputs &inputs)
    : device_(device), test_(test), inputs_(inputs) {
    const oracle::Image &x = inputs.pred;
    pred_ = std::make_unique<Tensor>(device, test.pred_layout, test.dtype, x.n, x.c, x.h, x.w);
    target_ = std::make_unique<Tensor>(device, test.target_layout, test.target_dtype(), x.n, x.c, x.h, x.w);
    pred_->set(inputs.pred);
    oracle::Image target = inputs.target;
    const Unit unit = target_unit(test);
    for (double &value : target.v) value = unit.most == 1 ? value : std::round(value * unit.most / unit.range);
    target_->set(target);
    args_ = PXL_ARGS(pred_->view(), target_->view());
    make_weight();
    make_outputs();
    grad_loss_ = floats(device, inputs.grad_loss);
    term_weights_ = floats(device, inputs.term_weights);
    if (grad_loss_) args_.grad_loss = grad_loss_->data();
    if (term_weights_) args_.term_weights = term_weights_->data();
    args_.per_image = test.per_image;
    args_.target_use = test.target_use;
}

void Evaluation::make_weight() {
    if (inputs_.weight.empty()) return;
    const bool repeated = test_.mask == Mask::repeated;
    const oracle::Image stored = repeated ? oracle::slice(inputs_.weight, 0) : inputs_.weight;
    weight_ = std::make_unique<Tensor>(device_, test_.mask_layout, test_.mask_dtype, stored.n, 1, stored.h, stored.w);
    weight_->set(stored);
    weight_view_ = *weight_->view();
    if (repeated) weight_view_.size[0] = inputs_.pred.n, weight_view_.stride[0] = 0;
    args_.weight = &weight_view_;
}

void Evaluation::make_outputs() {
    const oracle::Image &x = inputs_.pred;
    const auto gradient = [&] {
        return std::make_unique<Tensor>(device_, test_.grad_layout, test_.grad_dtype, x.n, x.c, x.h, x.w);
    };
    if (test_.grad_pred) args_.grad_pred = (grad_pred_ = gradient())->view();
    if (test_.grad_target) args_.grad_target = (grad_target_ = gradient())->view();
    args_.accumulate = test_.accumulate;
    for (const auto *tensor : {&grad_pred_, &grad_target_})
        if (*tensor && test_.accumulate) (*tensor)->set(initial_gradient({x.n, x.c, x.h, x.w}));
    const size_t rows = test_.per_image ? static_cast<size_t>(x.n) : 1;
    if (test_.values) {
        values_ = std::make_unique<DeviceArray<double>>(device_, rows * (1 + test_.terms.size()), sizeof(double));
        args_.values = values_->data();
    }
    if (test_.values_f32) {
        values_f32_ = std::make_unique<DeviceArray<float>>(device_, rows * (1 + test_.terms.size()), sizeof(float));
        args_.values_f32 = values_f32_->data();
    }
    if (test_.feature_map) {
        const pxl_dtype dtype = test_.dtype == PXL_F64 ? PXL_F64 : PXL_F32;
        feature_map_ = std::make_unique<Tensor>(device_, test_.grad_layout, dtype, x.n, 1, x.h, x.w);
        args_.feature_map = feature_map_->view();
    }
    if (test_.pixel_map) {
        const pxl_dtype dtype = test_.dtype == PXL_F64 ? PXL_F64 : PXL_F32;
        pixel_map_ = std::make_unique<Tensor>(device_, test_.grad_layout, dtype, x.n, x.c, x.h, x.w);
        args_.pixel_map = pixel_map_->view();
    }
    if (!test_.map && !test_.statistics) return;
    for (const pxl_term &term : test_.terms) {
        if (!oracle::is_windowed(term.kind)) continue;
        const oracle::Term resolved = oracle::resolve(term);
        const int factor = oracle::downsample_factor(resolved, x.h, x.w);
        const oracle::Image small =
            factor > 1 ? oracle::pool(oracle::Image(1, 1, x.h, x.w), factor, resolved.decimate) : oracle::Image(1, 1, x.h, x.w);
        const int64_t h = oracle::axis_of_rows(resolved, small.h).outputs, w = oracle::axis_of_columns(resolved, small.w).outputs;
        const pxl_dtype dtype = test_.dtype == PXL_F64 ? PXL_F64 : PXL_F32;
        if (test_.map) args_.map = (map_ = std::make_unique<Tensor>(device_, test_.grad_layout, dtype, x.n, x.c, h, w))->view();
        if (test_.statistics)
            args_.statistics =
                (statistics_ = std::make_unique<Tensor>(device_, test_.grad_layout, dtype, x.n, 5 * x.c, h, w))->view();
        return;
    }
}

pxl_status Evaluation::make_loss() {
    if (test_.parsed) return pxl_loss_parse(expression(test_.terms).c_str(), nullptr, loss_.receive());
    return pxl_loss_create(test_.terms.data(), test_.terms.size(), loss_.receive());
}

pxl_status Evaluation::make_workspace(pxl_stream stream) {
    size_t bytes = 0;
    const int threads = test_.workspace_threads ? test_.workspace_threads : test_.threads;
    const pxl_status status = pxl_workspace_size(context_of(device_, threads), loss_, &args_, &bytes);
    if (status) return status;
    // 16: the least alignment that is promised to do.
    workspace_ = std::make_unique<DeviceBuffer>(device_, bytes, 16, poisons_workspaces());
    return initialise(stream);
}

pxl_status Evaluation::initialise(pxl_stream stream) {
    return pxl_workspace_init(context_of(device_, test_.threads), loss_, &args_, workspace_->data(), workspace_->bytes(), stream);
}

pxl_status Evaluation::prepare(pxl_stream stream) {
    const pxl_status status = make_loss();
    return status ? status : make_workspace(stream);
}

pxl_status Evaluation::evaluate(pxl_stream stream) {
    return pxl_evaluate(context_of(device_, test_.threads), loss_, &args_, workspace_->data(), workspace_->bytes(), stream);
}

void Evaluation::poison_outputs() {
    for (const auto *tensor : {&grad_pred_, &grad_target_, &map_, &statistics_, &feature_map_, &pixel_map_})
        if (*tensor) (*tensor)->poison();
    if (values_) values_->poison();
    if (values_f32_) values_f32_->poison();
}

Outcome Evaluation::failed(pxl_status status) const {
    Outcome outcome;
    outcome.status = status;
    outcome.message = pxl_error_message();
    outcome.damage = damage();
    for (const auto *tensor : {&grad_pred_, &grad_target_, &map_, &statistics_, &feature_map_, &pixel_map_})
        if (*tensor && !(*tensor)->is_unchanged()) outcome.damage += "an output was written by a call that failed; ";
    return outcome;
}

std::string Evaluation::damage() const {
    std::string text;
    for (const auto *tensor : {&pred_, &target_, &weight_})
        if (*tensor && !(*tensor)->is_unchanged()) text += "an input was written; ";
    for (const auto *tensor : {&grad_pred_, &grad_target_, &map_, &statistics_, &feature_map_, &pixel_map_})
        if (*tensor && !(*tensor)->fences_intact()) text += "bytes between or around an output's elements were written; ";
    const auto intact = [](const auto &memory) { return !memory || memory->fences_intact(); };
    if (!intact(values_) || !intact(values_f32_) || !intact(grad_loss_) || !intact(term_weights_) || !intact(workspace_))
        text += "bytes around values, grad_loss, term_weights or workspace were written; ";
    return text;
}

void Evaluation::collect(Outcome &to) const {
    const auto append = [&](const std::vector<uint8_t> &bytes) {
        to.bits.bytes.insert(to.bits.bytes.end(), bytes.begin(), bytes.end());
    };
    if (values_) {
        to.values = values_->get();
        const auto *bytes = reinterpret_cast<const uint8_t *>(to.values.data());
        append({bytes, bytes + to.values.size() * sizeof(double)});
    }
    if (values_f32_) {
        const std::vector<float> rounded = values_f32_->get();
        for (size_t i = 0; i < to.values.size(); ++i) {
            const auto expected = static_cast<float>(to.values[i]);
            if (std::memcmp(&expected, &rounded[i], sizeof expected) && !std::isnan(expected))
                to.damage += "values_f32 are not values rounded; ";
        }
        if (!values_) to.values.assign(rounded.begin(), rounded.end());
        const auto *bytes = reinterpret_cast<const uint8_t *>(rounded.data());
        append({bytes, bytes + rounded.size() * sizeof(float)});
    }
    to.value_bytes = to.bits.bytes.size();
    const auto take = [&](const std::unique_ptr<Tensor> &tensor, oracle::Image &image) {
        if (!tensor) return;
        image = tensor->get();
        append(tensor->element_bytes());
    };
    take(grad_pred_, to.grad_pred);
    take(grad_target_, to.grad_target);
    take(map_, to.map);
    take(statistics_, to.statistics);
    take(feature_map_, to.feature_map);
    take(pixel_map_, to.pixel_map);
}

Outcome Evaluation::outcome(pxl_status status) const {
    if (status) return failed(status);
    Outcome outcome;
    outcome.damage = damage();
    collect(outcome);
    return outcome;
}

Outcome run(Device &device, const Case &test, const oracle::Inputs &inputs) {
    Evaluation call(device, test, inputs);
    pxl_status status = call.prepare();
    if (!status) status = call.evaluate();
    return call.outcome(status);
}

Outcome run(const Way &way, const Case &test, const oracle::Inputs &inputs) {
    const UsingWay using_way(way);
    return run(*way.device, test, inputs);
}

std::vector<oracle::Term> resolve_all(const std::vector<pxl_term> &terms) {
    std::vector<oracle::Term> resolved;
    for (const pxl_term &term : terms) resolved.push_back(oracle::resolve(term));
    return resolved;
}

oracle::Result reference(const Case &test, const oracle::Inputs &inputs) {
    oracle::Inputs with_rounding = inputs;
    with_rounding.rounding = tolerance_of(test.dtype).rounding;
    oracle::Result result = oracle::evaluate(resolve_all(test.terms), with_rounding);
    const oracle::Image before = initial_gradient(test.shape);
    for (oracle::Image *gradient : {&result.grad_pred, &result.grad_target})
        for (size_t i = 0; test.accumulate && i < gradient->v.size(); ++i) gradient->v[i] += before.v[i];
    return result;
}

// A window sum of t taps by two passes rounds 2t times, each by u = 6e-8 in f32 (1e-16 in f64) of a partial sum; the errors add
// up like a random walk, sqrt(66) u = 5e-7 for 33 taps. A variance is relative to C2 = 9e-4 at worst a few per cent of the
// pixels' square: a factor of 10 to 30. A value sums thousands of positions, whose errors average out; a gradient element sums
// t^2 positions once more. f16 and bf16 are computed in f32.
Tolerance tolerance_of(pxl_dtype dtype) {
    if (dtype == PXL_F64) return {1e-12, 1e-11, 2e-15};
    return {1e-5, 1e-4, 1e-6};
}

namespace {

// What f32 may add where no window is filtered, from the operations on the way of one element, each of which rounds by
// u = 2^-24 of its result. A difference takes 1 (pixel, tv), a stencil 10 more; a magnitude and a penalty 32, since square roots
// and quotients on a GPU are good to 2^-22 and 2^-21, 4 and 8 u, and two of each may follow one another; a value is summed in
// f32, 8 by 8 on a GPU and over 256 columns in as many sums as a vector has elements on the CPU, then in f64. Errors are relative
// to the sum of the charges, which are of one sign. A gradient of one term takes 3 for weight, mean and upstream, and a stencil's 10 on the way
// back, whose sum may be half as large as its parts; how far a slope may move with its difference, which may be as steep as 1 / eps,
// is in the oracle's slack. Terms may cancel, so several have the general bound. Never more than that.
constexpr double unit_roundoff = 5.97e-8;
bool is_stencil(const pxl_term &term) { return term.kind == PXL_SOBEL || term.kind == PXL_LAPLACIAN; }
double value_operations(const pxl_term &term) {
    if (!is_stencil(term) && term.kind != PXL_PIXEL && term.kind != PXL_TV) return INFINITY;
    return 1 + (is_stencil(term) ? 10 : 0) + 32 + 8;
}
double gradient_operations(const pxl_term &term) {
    if (term.kind == PXL_PIXEL) return 1 + 32 + 8;
    if (!is_stencil(term) && term.kind != PXL_TV) return INFINITY;
    const oracle::Term resolved = oracle::resolve(term);
    const bool has_roots = resolved.isotropic || resolved.penalty >= PXL_CHARBONNIER;
    const double penalty = has_roots ? 32 : resolved.penalty == PXL_SMOOTH_L1 ? 12 : 4; // a root, a quotient, products
    return 2 * (1 + (is_stencil(term) ? 10 : 0) + penalty + 3 + (is_stencil(term) ? 10 : 4));
}

Tolerance tolerance_of(const Case &test) {
    Tolerance tolerance = tolerance_of(test.dtype);
    if (test.dtype == PXL_F64) return tolerance;
    double value = 0, gradient = 0;
    for (const pxl_term &term : test.terms)
        value = std::max(value, value_operations(term)), gradient = std::max(gradient, gradient_operations(term));
    tolerance.value = std::min(tolerance.value, value * unit_roundoff);
    if (test.terms.size() == 1) tolerance.gradient = std::min(tolerance.gradient, gradient * unit_roundoff);
    return tolerance;
}

} // namespace

testing::AssertionResult close(const oracle::Image &actual, const oracle::Image &expected, const oracle::Image &slack,
                               double tolerance, pxl_dtype stored) {
    if (actual.v.size() != expected.v.size())
        return testing::AssertionFailure() << actual.v.size() << " elements instead of " << expected.v.size();
    const double largest = oracle::max_abs(expected);
    size_t worst = 0, failures = 0;
    double worst_excess = 0;
    for (size_t i = 0; i < actual.v.size(); ++i) {
        // 1e-17: the oracle's own rounding, where a gradient is 0. What is stored may be larger than what is expected.
        const double own = slack.empty() ? 0 : slack.v[i];
        const double allowed = tolerance * largest + own + half_ulp(stored, std::fabs(expected.v[i]) + own) * 1.01 + 1e-17;
        const double error = std::fabs(actual.v[i] - expected.v[i]);
        if (error <= allowed) continue;
        ++failures;
        const double excess = std::isnan(error) ? INFINITY : error / allowed;
        if (excess > worst_excess) worst_excess = excess, worst = i;
    }
    if (!failures) return testing::AssertionSuccess();
    const auto w = static_cast<size_t>(expected.w), h = static_cast<size_t>(expected.h), c = static_cast<size_t>(expected.c);
    return testing::AssertionFailure() << failures << " of " << actual.v.size() << " elements differ, worst at (n "
                                       << worst / w / h / c << ", c " << worst / w / h % c << ", y " << worst / w % h << ", x "
                                       << worst % w << "): " << actual.v[worst] << " instead of " << expected.v[worst]
                                       << " (largest " << largest << "), " << worst_excess << " times what is allowed";
}

namespace {

testing::AssertionResult values_agree(const Case &test, const std::vector<double> &actual, const oracle::Result &expected) {
    if (actual.size() != expected.values.size())
        return testing::AssertionFailure() << actual.size() << " values instead of " << expected.values.size();
    const size_t row = 1 + test.terms.size();
    for (size_t k = 0; k < actual.size(); ++k) {
        const size_t i = k / row * row + (k + 1) % row; // the terms before their total
        if (actual[i] == expected.values[i]) continue;  // infinities
        const double rounding = test.values ? 0 : half_ulp(PXL_F32, expected.values[i]) * 1.01;
        const double allowed = tolerance_of(test).value * expected.scale[i] + expected.value_slack[i] + rounding;
        if (!(std::fabs(actual[i] - expected.values[i]) <= allowed))
            return testing::AssertionFailure()
                   << "values[" << i << "] is " << actual[i] << " instead of " << expected.values[i] << ", off by "
                   << actual[i] - expected.values[i] << " where " << allowed << " is allowed";
    }
    return testing::AssertionSuccess();
}

} // namespace

testing::AssertionResult agrees(const Case &test, const Outcome &outcome, const oracle::Result &expected) {
    if (outcome.status)
        return testing::AssertionFailure() << pxl_status_name(outcome.status) << ": " << outcome.message << "\n  "
                                           << describe(test);
    if (!outcome.damage.empty()) return testing::AssertionFailure() << outcome.damage << "\n  " << describe(test);
    testing::AssertionResult result = testing::AssertionSuccess();
    const Tolerance tolerance = tolerance_of(test);
    const pxl_dtype map_dtype = test.dtype == PXL_F64 ? PXL_F64 : PXL_F32;
    const double map_tolerance = test.dtype == PXL_F64 ? 1e-12 : 1e-4; // single windows, some of them nearly flat
    if (test.values || test.values_f32) result = values_agree(test, outcome.values, expected);
    if (!result) return result << "\n  " << describe(test);
    if (test.grad_pred)
        result = close(outcome.grad_pred, expected.grad_pred, expected.slack_pred, tolerance.gradient, test.grad_dtype);
    if (!result) return result << "\n  in grad_pred of " << describe(test);
    if (test.grad_target)
        result = close(outcome.grad_target, expected.grad_target, expected.slack_target, tolerance.gradient, test.grad_dtype);
    if (!result) return result << "\n  in grad_target of " << describe(test);
    if (test.map) result = close(outcome.map, expected.map, {}, map_tolerance, map_dtype);
    if (!result) return result << "\n  in the map of " << describe(test);
    if (test.statistics) result = close(outcome.statistics, expected.statistics, {}, map_tolerance, map_dtype);
    if (!result) return result << "\n  in the statistics of " << describe(test);
    if (test.pixel_map) result = close(outcome.pixel_map, expected.pixel_map, {}, tolerance.value, map_dtype);
    if (!result) return result << "\n  in the pixel map of " << describe(test);
    return result;
}
