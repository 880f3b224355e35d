// What other programs do while something is measured.
#ifndef BENCH_MEASURE_LOAD_H
#define BENCH_MEASURE_LOAD_H
#include <chrono>
#include <string>
#include <vector>

namespace measure {

// Limit of others' share of the processors' time; a warning above it. bench/trust.py has the same.
constexpr double load_limit = 0.10;

// "Others" are the other programs on this machine and, under a hypervisor, other machines on the same processors ("steal"). The
// load average is a worse guide: it remembers the build just before, and counts the measurement itself.
class Load {
  public:
    // Watches the machine for a quarter of a second.
    Load();
    // Others' share of all processors' time, 0 to 1: while the constructor watched, and since then. NaN: unknown (not on Linux).
    double others_at_start() const { return others_at_start_; }
    double others_since() const;
    double average_at_start() const { return average_at_start_; } // the load average over one minute; NaN: unknown
    static double average();

    std::string line() const;                  // all figures, as text
    std::vector<std::string> warnings() const; // one for each figure above the limit

  private:
    struct Moment {
        double busy, all, own; // processor seconds: of everything, idle ones included, and of this process
    };
    static Moment now();
    static double others_between(const Moment &begin, const Moment &end);

    double average_at_start_, others_at_start_;
    Moment start_;
};

} // namespace measure
#endif
