#include "evaluation.h"

#include <cstring>
#include <limits>
#include <stdexcept>

namespace {

void check(pxl_status status) {
    if (status != PXL_OK) throw std::runtime_error(std::string(pxl_status_name(status)) + ": " + pxl_error_message());
}

std::unique_ptr<Image> make_gradient(const Case &test) {
    return std::make_unique<Image>(test.dtype, test.layout, test.n, test.c, test.h, test.w);
}

std::unique_ptr<Image> make_weights(const Case &test) {
    auto weights = std::make_unique<Image>(PXL_F32, Layout::nchw, test.n, 1, test.h, test.w);
    weights->draw_weights();
    return weights;
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

Evaluation::Evaluation(const pxl_loss *loss, const Case &test)
    : loss_(loss),
      test_(test),
      pred_(test.dtype, test.layout, test.n, test.c, test.h, test.w),
      target_(test.dtype, test.layout, test.n, test.c, test.h, test.w),
      weight_(test.mask ? make_weights(test) : nullptr),
      grad_pred_(test.gradient ? make_gradient(test) : nullptr),
      grad_target_(test.gradient && test.both ? make_gradient(test) : nullptr),
      values_(1 + pxl_loss_term_count(loss), std::numeric_limits<double>::quiet_NaN()),
      upstream_(float(test.elements())),
      args_(PXL_ARGS(pred_.view(), target_.view())) {
    pred_.draw_pred();
    target_.draw_target();
    args_.values = values_.data();
    if (weight_) args_.weight = weight_->view();
    if (grad_pred_) args_.grad_pred = grad_pred_->view();
    if (grad_target_) args_.grad_target = grad_target_->view();
    // A mean's gradient is about 1/N, which f16 does not hold for a large image: as in mixed-precision training, it is scaled.
    if (test.gradient) args_.grad_loss = &upstream_;
    size_t bytes = 0;
    check(pxl_workspace_size(nullptr, loss, &args_, &bytes));
    workspace_ = std::make_unique<Memory>(bytes);
    check(pxl_workspace_init(nullptr, loss, &args_, workspace_->data(), bytes, nullptr));
}

void Evaluation::run() { check(pxl_evaluate(nullptr, loss_, &args_, workspace_->data(), workspace_->size(), nullptr)); }

double Evaluation::bytes_to_move() const {
    const int images = 1 + reads_target(loss_) + (grad_pred_ != nullptr) + (grad_target_ != nullptr);
    const int64_t weights = weight_ ? test_.n * test_.h * test_.w * int64_t(sizeof(float)) : 0;
    return double(images * test_.bytes() + weights);
}
