// Times a case and its yardsticks in turns, so that a disturbance of the machine hits all of them.
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H
#include <map>
#include <string>

#include "device.h"
#include "pace.h"
#include "work.h"

class Contest {
  public:
    // `copy`: the yardstick of memory, `multiply_add`: of arithmetic; either may be nullptr. All must outlive the contest.
    Contest(Device &device, Work &work, Work *copy, Work *multiply_add);
    // Runs each for some milliseconds. The first call ends with the case and the second begins with it: Google Benchmark's loop
    // is in between.
    void sample();
    int64_t runs() const { return own_.runs(); } // of the case in one sample
    double seconds() const { return own_.timing().median; }
    bool is_steady() const; // case and yardsticks
    // Results by name: see counters in README.md. A ratio is left out unless both sides are steady.
    std::map<std::string, double> results() const;

  private:
    void sample_yardsticks();

    Work &work_;
    Work *copy_, *multiply_add_;
    Pace own_, beside_, arithmetic_;
    bool sampled_ = false;
};
#endif
