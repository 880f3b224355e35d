// A case of pxl_reduce over all of one image, ready to run.
#ifndef BENCH_REDUCTION_H
#define BENCH_REDUCTION_H
#include <memory>
#include <vector>

#include "cases.h"
#include "device.h"

class Reduction : public Work {
  public:
    // Throws std::runtime_error where the library refuses.
    Reduction(Device &device, const Case &test, int64_t copies = 1);
    Reduction(const Reduction &) = delete;
    Reduction &operator=(const Reduction &) = delete;

    void run() override;
    double fetch(); // the last run's result
    double bytes_to_move() const override { return double(test_.bytes()); }
    Traffic traffic() const override { return {1, false}; }
    const Case &test() const { return test_; }

  private:
    Device &device_;
    Case test_;
    pxl_reduce_kind kind_;
    Image image_;
    std::vector<double> result_;
    std::vector<std::unique_ptr<DeviceImage>> copies_;
    DeviceArray<double> to_;
    std::shared_ptr<void> workspace_;
    size_t workspace_bytes_ = 0, last_ = 0;
};
#endif
