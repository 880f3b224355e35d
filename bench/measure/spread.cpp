#include "spread.h"

#include <algorithm>

namespace measure {
namespace {

// Between two samples by a straight line.
double percentile(const std::vector<double> &sorted, double share) {
    const double at = share * double(sorted.size() - 1);
    const auto below = size_t(at), above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

std::vector<double> sorted(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    return samples;
}
double spread_of(const std::vector<double> &sorted) {
    return (percentile(sorted, 0.9) - percentile(sorted, 0.1)) / percentile(sorted, 0.5);
}

} // namespace

double spread(const std::vector<double> &samples) { return spread_of(sorted(samples)); }

Timing summarise(const std::vector<double> &seconds) {
    const std::vector<double> all = sorted(seconds);
    return {all.front(), percentile(all, 0.5), spread_of(all)};
}

} // namespace measure
