#include "pace.h"

#include <algorithm>
#include <chrono>

double Pace::seconds_of(int64_t runs) const { return device_.seconds(run_, runs) / double(runs); }

void Pace::sample() {
    using Clock = std::chrono::steady_clock;
    const auto enough = std::chrono::milliseconds(device_.is_cpu() ? 25 : 5); // a GPU is not shared out in time slices
    seconds_of(1);                                                            // brings into the caches what fits
    runs_ = 1 + int64_t(device_.shortest_sample() / std::max(seconds_of(1), 1e-7));
    const auto start = Clock::now();
    for (int samples = 0; samples < 3 || Clock::now() - start < enough; samples++) seconds_.push_back(seconds_of(runs_));
}
