// How long something takes when nothing disturbs it: the median of many short samples, which passes over the time slices that
// other programs get. (Google Benchmark's time is a mean over the whole loop and contains them.)
#ifndef BENCH_PACE_H
#define BENCH_PACE_H
#include <cstdint>
#include <functional>
#include <vector>

#include "device.h"
#include "measure/spread.h"

class Pace {
  public:
    Pace(Device &device, std::function<void()> run) : device_(device), run_(std::move(run)) {}
    void sample();                                                          // runs it for some milliseconds
    measure::Timing timing() const { return measure::summarise(seconds_); } // of one run, after sample()
    int64_t runs() const { return runs_; }                                  // that one sample is long enough with

  private:
    double seconds_of(int64_t runs) const; // for one of them

    Device &device_;
    std::function<void()> run_;
    int64_t runs_ = 1;
    std::vector<double> seconds_;
};
#endif
