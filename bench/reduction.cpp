#include "reduction.h"

#include <limits>
#include <stdexcept>

namespace {
void check(pxl_status status) {
    if (status != PXL_OK) throw std::runtime_error(std::string(pxl_status_name(status)) + ": " + pxl_error_message());
}
} // namespace

Reduction::Reduction(Device &device, const Case &test, int64_t copies)
    : device_(device),
      test_(test),
      kind_(test.reduce_kind()),
      image_(test.dtype, test.layout, test.n, test.c, test.h, test.w),
      result_(1, std::numeric_limits<double>::quiet_NaN()),
      to_(device, result_) {
    image_.draw_pred();
    for (int64_t i = 0; i < copies; i++) {
        copies_.push_back(std::make_unique<DeviceImage>(device, image_));
        copies_.back()->upload(image_);
    }
    check(pxl_reduce_workspace_size(nullptr, kind_, PXL_OVER_ALL, copies_[0]->view(), &workspace_bytes_));
    workspace_ = device.allocate(workspace_bytes_);
}

void Reduction::run() {
    last_ = (last_ + 1) % copies_.size();
    check(pxl_reduce(nullptr, kind_, PXL_OVER_ALL, copies_[last_]->view(), to_.data(), workspace_.get(), workspace_bytes_,
                     device_.stream()));
}

double Reduction::fetch() {
    to_.download();
    return result_[0];
}
