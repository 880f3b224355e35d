// How long something takes when nothing disturbs it: the median of many short samples, which passes over the time slices that
// other programs get. (Google Benchmark's time is a mean over the whole loop and contains them.)
#ifndef BENCH_PACE_H
#define BENCH_PACE_H
#include <cstdint>
#include <functional>
#include <vector>

class Pace {
  public:
    explicit Pace(std::function<void()> run) : run_(std::move(run)) {}
    void sample();          // runs it for some milliseconds
    double seconds() const; // for one run, after sample()

  private:
    double seconds_of(int64_t runs) const; // for one of them

    std::function<void()> run_;
    std::vector<double> seconds_;
};
#endif
