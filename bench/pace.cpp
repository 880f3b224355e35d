#include "pace.h"

#include <algorithm>
#include <chrono>

namespace {
using Clock = std::chrono::steady_clock;
}

double Pace::seconds_of(int64_t runs) const {
    const auto begin = Clock::now();
    for (int64_t i = 0; i < runs; i++) run_();
    return std::chrono::duration<double>(Clock::now() - begin).count() / double(runs);
}

void Pace::sample() {
    constexpr auto enough = std::chrono::milliseconds(25);
    constexpr double shortest = 20e-6; // of a sample, beside which reading the clock is nothing
    run_();                            // brings into the caches what fits
    const int64_t runs = 1 + int64_t(shortest / std::max(seconds_of(1), 1e-7));
    const auto start = Clock::now();
    for (int samples = 0; samples < 3 || Clock::now() - start < enough; samples++) seconds_.push_back(seconds_of(runs));
}

double Pace::seconds() const {
    std::vector<double> sorted = seconds_;
    const auto middle = sorted.begin() + std::ptrdiff_t(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
}
