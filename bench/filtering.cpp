#include "filtering.h"

#include <stdexcept>

#include "measure/arithmetic.h"

namespace {
void check(pxl_status status) {
    if (status != PXL_OK) throw std::runtime_error(std::string(pxl_status_name(status)) + ": " + pxl_error_message());
}
} // namespace

Filtering::Filtering(Device &device, const Case &test, int64_t copies)
    : device_(device),
      test_(test),
      filter_(test.filter()),
      input_(test.dtype, test.layout, test.n, test.c, test.h, test.w),
      output_(test.dtype, test.layout, test.n, test.c, test.h, test.w) {
    input_.draw_pred();
    for (int64_t i = 0; i < copies; i++) sets_.push_back(std::make_unique<Set>(device, input_, output_));
    const Set &set = *sets_.front();
    check(pxl_filter_workspace_size(nullptr, &filter_, set.input.view(), set.output.view(), &workspace_bytes_));
    workspace_ = device.allocate(workspace_bytes_);
}

void Filtering::run() {
    last_ = (last_ + 1) % sets_.size();
    const Set &set = *sets_[last_];
    const auto call = test_.gradient ? pxl_filter_adjoint : pxl_filter_apply;
    check(call(nullptr, &filter_, set.input.view(), set.output.view(), workspace_.get(), workspace_bytes_, device_.stream()));
}

const Image &Filtering::fetch() {
    sets_[last_]->output.download(output_);
    return output_;
}

double Filtering::multiply_adds() const { return double(test_.elements()) * measure::multiply_adds_of_blur(filter_.window); }
