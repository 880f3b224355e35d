// One evaluation through the public API, in fenced and poisoned memory, and its comparison with the oracle.
#ifndef TESTS_RUN_CASE_H
#define TESTS_RUN_CASE_H
#include <gtest/gtest.h>

#include "cases.h"

struct Outcome {
    pxl_status status = PXL_OK;
    std::string message; // of the failed call
    std::string damage;  // what was written that should not have been; empty: nothing
    std::vector<double> values;
    oracle::Image grad_pred, grad_target, map, statistics; // empty where not wanted
    std::vector<uint8_t> bits;                             // of all outputs
};

// pxl_loss_parse or pxl_loss_create -> pxl_workspace_size -> pxl_workspace_init -> pxl_evaluate.
Outcome run(Device &device, const Case &test, const oracle::Inputs &inputs);

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
#endif
