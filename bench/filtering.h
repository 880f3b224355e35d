// A case of a filter or its adjoint, ready to run.
#ifndef BENCH_FILTERING_H
#define BENCH_FILTERING_H
#include <memory>
#include <vector>

#include "cases.h"
#include "device.h"

class Filtering : public Work {
  public:
    // Throws std::runtime_error where the library refuses. With several copies each run takes the next one.
    Filtering(Device &device, const Case &test, int64_t copies = 1);
    Filtering(const Filtering &) = delete;
    Filtering &operator=(const Filtering &) = delete;

    void run() override;
    const Image &fetch(); // the last run's output
    double bytes_to_move() const override { return 2 * double(test_.bytes()); }
    Traffic traffic() const override { return {1, true}; }
    double multiply_adds() const override;
    int taps() const override { return filter_.window; }
    const Case &test() const { return test_; }

  private:
    struct Set {
        Set(Device &device, const Image &input, const Image &output) : input(device, input), output(device, output) {
            this->input.upload(input);
        }
        DeviceImage input, output;
    };

    Device &device_;
    Case test_;
    pxl_filter filter_;
    Image input_, output_;
    std::vector<std::unique_ptr<Set>> sets_;
    std::shared_ptr<void> workspace_;
    size_t workspace_bytes_ = 0, last_ = 0;
};
#endif
