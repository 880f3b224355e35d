// One evaluation through the public API, in fenced and poisoned memory, and its comparison with the oracle.
#ifndef TESTS_RUN_CASE_H
#define TESTS_RUN_CASE_H
#include <gtest/gtest.h>

#include "cases.h"

// The bytes of all outputs. Those of a call that failed are none, and equal to nothing.
struct Bits {
    std::vector<uint8_t> bytes;
    bool operator==(const Bits &other) const { return !bytes.empty() && bytes == other.bytes; }
};
void PrintTo(const Bits &bits, std::ostream *to); // for Google Test

struct Outcome {
    pxl_status status = PXL_OK;
    std::string message;        // of the failed call
    std::string damage;         // what was written that should not have been; empty: nothing
    std::vector<double> values; // those in f32 where there are no others
    oracle::Image grad_pred, grad_target, map, statistics, feature_map, pixel_map; // empty where not wanted
    Bits bits;
    size_t value_bytes = 0; // at their head
};

class LossHandle {
  public:
    explicit LossHandle(pxl_loss *loss = nullptr) : loss_(loss) {}
    ~LossHandle() { pxl_loss_destroy(loss_); }
    LossHandle(const LossHandle &) = delete;
    LossHandle &operator=(const LossHandle &) = delete;
    pxl_loss **receive() { return &loss_; }
    operator const pxl_loss *() const { return loss_; }

  private:
    pxl_loss *loss_;
};

// All that one call touches, on the device. `test` and `inputs` have to live as long.
class Evaluation {
  public:
    Evaluation(Device &device, const Case &test, const oracle::Inputs &inputs);
    // pxl_loss_parse or pxl_loss_create -> pxl_workspace_size -> pxl_workspace_init.
    pxl_status prepare(pxl_stream stream = nullptr);
    pxl_status initialise(pxl_stream stream = nullptr); // pxl_workspace_init alone, after prepare
    pxl_status evaluate(pxl_stream stream = nullptr);   // pxl_evaluate alone, as often as one likes
    Outcome outcome(pxl_status status) const;           // of the call before; waits for the device
    void poison_outputs();
    // As many as the inputs had.
    void set_grad_loss(const std::vector<float> &values) { grad_loss_->set(values); }
    void set_term_weights(const std::vector<float> &values) { term_weights_->set(values); }
    void set_target_use(pxl_target_use use) { args_.target_use = use; }

    const pxl_loss *loss() const { return loss_; }
    const pxl_args &args() const { return args_; }
    Tensor &pred() { return *pred_; }
    Tensor &target() { return *target_; }
    DeviceBuffer &workspace() { return *workspace_; }

  private:
    void make_outputs();
    void make_weight();
    pxl_status make_loss();
    pxl_status make_workspace(pxl_stream stream);
    Outcome failed(pxl_status status) const;
    std::string damage() const;
    void collect(Outcome &to) const;

    Device &device_;
    const Case &test_;
    const oracle::Inputs &inputs_;
    LossHandle loss_;
    std::unique_ptr<Tensor> pred_, target_, weight_, grad_pred_, grad_target_, map_, statistics_, feature_map_, pixel_map_;
    std::unique_ptr<DeviceArray<double>> values_;
    std::unique_ptr<DeviceArray<float>> values_f32_, grad_loss_, term_weights_;
    std::unique_ptr<DeviceBuffer> workspace_;
    pxl_tensor weight_view_{};
    pxl_args args_{};
};

// All of it once.
Outcome run(Device &device, const Case &test, const oracle::Inputs &inputs);
inline Outcome run(const Case &test, const oracle::Inputs &inputs) { return run(tested_device(), test, inputs); }
Outcome run(const Way &way, const Case &test, const oracle::Inputs &inputs);

std::vector<oracle::Term> resolve_all(const std::vector<pxl_term> &terms);
oracle::Result reference(const Case &test, const oracle::Inputs &inputs);

// Relative errors allowed, by the type that the library computes in.
struct Tolerance {
    double value;    // of a value
    double gradient; // of the largest element
    double rounding; // of one filtered sum; see oracle::TermResult::slack
};
Tolerance tolerance_of(pxl_dtype dtype);

testing::AssertionResult agrees(const Case &test, const Outcome &outcome, const oracle::Result &expected);
// Element by element, |actual - expected| <= tolerance * (largest |expected|) + slack + half an ulp of `stored`. A NaN fails.
testing::AssertionResult close(const oracle::Image &actual, const oracle::Image &expected, const oracle::Image &slack,
                               double tolerance, pxl_dtype stored);

// A context with so many threads, which lives as long as the program.
pxl_context *context_of(Device &device, int threads);
#endif
