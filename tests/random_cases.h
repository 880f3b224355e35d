// Lists of random cases by their seeds: random_case() of a generator with that seed.
#ifndef TESTS_RANDOM_CASES_H
#define TESTS_RANDOM_CASES_H
#include <cstdint>

struct RandomCases {
    uint32_t first, count;
};
constexpr RandomCases short_list{0, 1600};       // each time
constexpr RandomCases long_list{1000000, 16000}; // scripts/test.sh --full
#endif
