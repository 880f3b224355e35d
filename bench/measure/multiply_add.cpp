#include "multiply_add.h"

#include <cstring>

#include "threads.h"

namespace measure {
namespace {

// Two units with a latency of 4 cycles need 8 chains; separate multiplications and additions need more. 12 chains and the factor
// fit in 16 registers.
constexpr int chains = 12, rounds = 1 << 15; // about 0.1 ms
constexpr int64_t worth_threads = 1 << 14;   // pixels; the library works on fewer with one thread

// v = v/2 + 1/2 stays between 0 and `chains`, and never becomes denormal. The numbers are volatile, or the compiler would drop a
// chain whose value does not change.
volatile float one_half = 0.5f, first = 0;
template <typename Number, int lanes>
__attribute__((always_inline)) inline double run_chains(int count) {
    typedef Number Vector __attribute__((vector_size(lanes * sizeof(Number))));
    const Vector half = Vector{} + Number(one_half), zero = Vector{} + Number(first);
    Vector v[chains];
    for (int k = 0; k < chains; k++) v[k] = zero + Number(k);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < chains; k++) v[k] = v[k] * half + half;
    Number parts[lanes];
    for (int k = 1; k < chains; k++) v[0] += v[k];
    std::memcpy(parts, &v[0], sizeof parts);
    double total = 0;
    for (const Number part : parts) total += double(part);
    return total;
}

struct Build {
    const char *instruction_set;
    int lanes[2]; // of float, of double
    double (*chains[2])(int rounds);
};

double plain_single(int count) { return run_chains<float, 4>(count); }
double plain_double(int count) { return run_chains<double, 2>(count); }
#if defined __x86_64__
__attribute__((target("avx512f"))) double avx512_single(int count) { return run_chains<float, 16>(count); }
__attribute__((target("avx512f"))) double avx512_double(int count) { return run_chains<double, 8>(count); }
__attribute__((target("avx2,fma"))) double avx2_single(int count) { return run_chains<float, 8>(count); }
__attribute__((target("avx2,fma"))) double avx2_double(int count) { return run_chains<double, 4>(count); }
#endif
constexpr Build builds[] = {
#if defined __x86_64__
    {"avx512", {16, 8}, {avx512_single, avx512_double}},
    {"avx2", {8, 4}, {avx2_single, avx2_double}},
#endif
    {"", {4, 2}, {plain_single, plain_double}},
};

const Build &build_of(const std::string &instruction_set) {
    const Build *build = builds;
    while (*build->instruction_set && instruction_set != build->instruction_set) build++;
    return *build;
}

} // namespace

std::string instruction_set(const std::string &description) {
    const std::string begin = "CPU, ";
    const size_t end = description.find(" (of ");
    if (description.compare(0, begin.size(), begin) != 0 || end == std::string::npos) return "";
    return description.substr(begin.size(), end - begin.size());
}

MultiplyAdd::MultiplyAdd(const std::string &instruction_set, Precision precision, int64_t pixels)
    : chains_(build_of(instruction_set).chains[precision]),
      lanes_(build_of(instruction_set).lanes[precision]),
      threads_(pixels < worth_threads ? 1 : threads_in_use()) {}

void MultiplyAdd::run() const {
    [[maybe_unused]] static volatile double sink; // a number that nobody reads would not be formed
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total) num_threads(threads_) if (threads_ > 1)
    for (int thread = 0; thread < threads_; thread++) total += chains_(rounds);
    sink = total;
}

double MultiplyAdd::count() const { return double(lanes_) * chains * rounds * threads_; }

} // namespace measure
