// A case of a loss, ready to run: images, arguments, workspace.
#ifndef BENCH_EVALUATION_H
#define BENCH_EVALUATION_H
#include <memory>
#include <pixloss/pixloss.hpp>
#include <string>
#include <vector>

#include "cases.h"
#include "device.h"
#include "image.h"

using Loss = std::unique_ptr<pxl_loss, pxl::Destroy>;
Loss parse_loss(const std::string &expression); // throws std::invalid_argument

class Evaluation : public Work {
  public:
    // Throws std::runtime_error where the library refuses. With several copies each run takes the next one.
    Evaluation(Device &device, const pxl_loss *loss, const Case &test, int64_t copies = 1);
    Evaluation(const Evaluation &) = delete;
    Evaluation &operator=(const Evaluation &) = delete;

    void run() override;                   // what is timed
    void fetch();                          // the last run's results, for what follows
    double bytes_to_move() const override; // images, weights, gradients and outputs, each once
    Traffic traffic() const override;
    double multiply_adds() const override;
    int taps() const override;

    const Case &test() const { return test_; }
    const std::vector<double> &values() const { return values_; }
    const Image *grad_pred() const { return grad_pred_.get(); }     // nullptr: not wanted
    const Image *grad_target() const { return grad_target_.get(); } // nullptr: not wanted
    const Image *output() const { return output_.get(); }           // the map or the statistics; nullptr: not wanted

  private:
    struct Set { // a copy of all that a call reads and writes, on the device
        Set(Device &device, Evaluation &of);
        DeviceImage pred, target;
        std::unique_ptr<DeviceImage> weight, grad_pred, grad_target, output;
        DeviceArray<double> values;
        DeviceArray<float> upstream;
        pxl_args args;
    };

    Device &device_;
    const pxl_loss *loss_;
    Case test_;
    Image pred_, target_;
    std::unique_ptr<Image> weight_, grad_pred_, grad_target_, output_;
    std::vector<double> values_;
    std::vector<float> upstream_;
    std::vector<std::unique_ptr<Set>> sets_;
    std::shared_ptr<void> workspace_;
    size_t workspace_bytes_ = 0, last_ = 0;
};
#endif
