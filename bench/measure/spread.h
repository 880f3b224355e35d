// How steady a measurement was.
#ifndef BENCH_MEASURE_SPREAD_H
#define BENCH_MEASURE_SPREAD_H
#include <vector>

namespace measure {

// Limit of the spread of either side of a ratio; above it the ratio is left out. bench/trust.py has the same.
constexpr double spread_limit = 0.20;

struct Timing {
    double minimum, median; // seconds
    double spread;          // (90th - 10th percentile) / median
    bool is_steady() const { return spread <= spread_limit; }
};

double spread(const std::vector<double> &samples); // of one at least
Timing summarise(const std::vector<double> &seconds);

} // namespace measure
#endif
