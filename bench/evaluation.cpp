#include "evaluation.h"

#include <cstring>
#include <limits>
#include <stdexcept>

#include "measure/arithmetic.h"

namespace {

void check(pxl_status status) {
    if (status != PXL_OK) throw std::runtime_error(std::string(pxl_status_name(status)) + ": " + pxl_error_message());
}

pxl_dtype other_dtype(const Case &test) { return test.mixed ? PXL_F32 : test.dtype; }

std::unique_ptr<Image> make_gradient(const Case &test) {
    auto gradient = std::make_unique<Image>(other_dtype(test), test.layout, test.n, test.c, test.h, test.w);
    if (test.accumulate) gradient->clear();
    return gradient;
}

std::unique_ptr<Image> make_weights(const Case &test) {
    auto weights = std::make_unique<Image>(PXL_F32, Layout::nchw, test.n, 1, test.h, test.w);
    weights->draw_weights();
    return weights;
}

// The map or the statistics; nullptr: not wanted.
std::unique_ptr<Image> make_output(const pxl_loss *loss, const Case &test, const Image &pred) {
    if (!test.wants_output()) return nullptr;
    int64_t size[4];
    check(pxl_map_size(loss, pred.view(), size));
    const int64_t channels = test.statistics ? 5 * size[1] : size[1];
    return std::make_unique<Image>(test.dtype == PXL_F64 ? PXL_F64 : PXL_F32, Layout::nchw, size[0], channels, size[2], size[3]);
}

std::vector<std::string> term_names(const pxl_loss *loss) {
    std::vector<std::string> names;
    for (size_t i = 0; i < pxl_loss_term_count(loss); i++) names.emplace_back(pxl_loss_term_name(loss, i));
    return names;
}

// tv alone does not look at the target.
bool reads_target(const pxl_loss *loss) {
    for (size_t i = 0; i < pxl_loss_term_count(loss); i++)
        if (std::strncmp(pxl_loss_term_name(loss, i), "tv", 2) != 0) return true;
    return false;
}

} // namespace

Loss parse_loss(const std::string &expression) {
    pxl_loss *loss = nullptr;
    if (pxl_loss_parse(expression.c_str(), nullptr, &loss) != PXL_OK)
        throw std::invalid_argument("--loss=" + expression + ": " + pxl_error_message());
    return Loss(loss);
}

Evaluation::Set::Set(Device &device, Evaluation &of)
    : pred(device, of.pred_),
      target(device, of.target_),
      values(device, of.values_),
      upstream(device, of.upstream_),
      args(PXL_ARGS(pred.view(), target.view())) {
    const auto place = [&](const std::unique_ptr<Image> &image, std::unique_ptr<DeviceImage> &at, const pxl_tensor *&argument) {
        if (!image) return;
        at = std::make_unique<DeviceImage>(device, *image);
        argument = at->view();
    };
    place(of.weight_, weight, args.weight);
    place(of.grad_pred_, grad_pred, args.grad_pred);
    place(of.grad_target_, grad_target, args.grad_target);
    pred.upload(of.pred_), target.upload(of.target_), upstream.upload();
    args.accumulate = of.test_.accumulate;
    if (args.accumulate && grad_pred) grad_pred->upload(*of.grad_pred_);
    if (args.accumulate && grad_target) grad_target->upload(*of.grad_target_);
    if (weight) weight->upload(*of.weight_);
    if (!of.output_) args.values = values.data();
    place(of.output_, output, of.test_.map ? args.map : args.statistics);
    // A mean's gradient is about 1/N, which f16 does not hold for a large image: as in mixed-precision training, it is scaled.
    if (of.test_.gradient) args.grad_loss = upstream.data();
    if (of.test_.kept) args.target_use = PXL_TARGET_KEEP;
}

Evaluation::Evaluation(Device &device, const pxl_loss *loss, const Case &test, int64_t copies)
    : device_(device),
      loss_(loss),
      test_(test),
      pred_(test.dtype, test.layout, test.n, test.c, test.h, test.w),
      target_(other_dtype(test), test.layout, test.n, test.c, test.h, test.w),
      weight_(test.mask ? make_weights(test) : nullptr),
      grad_pred_(test.gradient ? make_gradient(test) : nullptr),
      grad_target_(test.gradient && test.both ? make_gradient(test) : nullptr),
      output_(make_output(loss, test, pred_)),
      values_(1 + pxl_loss_term_count(loss), std::numeric_limits<double>::quiet_NaN()),
      upstream_(1, float(test.elements())) {
    pred_.draw_pred();
    target_.draw_target();
    for (int64_t i = 0; i < copies; i++) sets_.push_back(std::make_unique<Set>(device, *this));
    const pxl_args *args = &sets_.front()->args;
    check(pxl_workspace_size(nullptr, loss, args, &workspace_bytes_));
    workspace_ = device.allocate(workspace_bytes_);
    check(pxl_workspace_init(nullptr, loss, args, workspace_.get(), workspace_bytes_, device.stream()));
    if (!test.kept) return;
    run(); // all sets hold the same target
    for (const auto &set : sets_) set->args.target_use = PXL_TARGET_KEPT;
}

void Evaluation::run() {
    last_ = (last_ + 1) % sets_.size();
    check(pxl_evaluate(nullptr, loss_, &sets_[last_]->args, workspace_.get(), workspace_bytes_, device_.stream()));
}

void Evaluation::fetch() {
    Set &set = *sets_[last_];
    if (output_) set.output->download(*output_);
    if (!output_) set.values.download();
    if (grad_pred_) set.grad_pred->download(*grad_pred_);
    if (grad_target_) set.grad_target->download(*grad_target_);
}

double Evaluation::bytes_to_move() const {
    double bytes = double(pred_.bytes()) + (reads_target(loss_) ? double(target_.bytes()) : 0);
    for (const Image *gradient : {grad_pred_.get(), grad_target_.get()})
        if (gradient) bytes += double(gradient->bytes()) * (test_.accumulate ? 2 : 1);
    const int64_t weights = weight_ ? test_.n * test_.h * test_.w * int64_t(sizeof(float)) : 0;
    return bytes + double(weights) + (output_ ? double(output_->bytes()) : 0);
}

Traffic Evaluation::traffic() const { return {1 + reads_target(loss_), test_.gradient || test_.wants_output()}; }

double Evaluation::multiply_adds() const {
    const std::vector<std::string> terms = term_names(loss_);
    const int gradients = (grad_pred_ != nullptr) + (grad_target_ != nullptr);
    const double each =
        test_.statistics ? measure::multiply_adds_of_statistics(terms[0]) : measure::multiply_adds(terms, gradients);
    return double(test_.elements()) * each;
}

int Evaluation::taps() const { return measure::blur_taps(term_names(loss_)); }
