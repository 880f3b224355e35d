// The yardstick of what is bound by memory: plain loops over arrays, as fast as the machine can move them.
#ifndef BENCH_MEASURE_LOOPS_H
#define BENCH_MEASURE_LOOPS_H
#include <cstddef>
#include <cstdint>

namespace measure {

constexpr size_t line_bytes = 64; // of a cache; arrays are aligned to it, and as long as whole lines

// Reads `a` and `b`, and writes their sum to `c` past the caches. `b` may be nullptr: reads `a` alone. `c` may be nullptr:
// returns the sum of all, which the caller has to use, or the compiler drops the loop. `bytes` of each array, rounded up to whole
// lines. All threads of OpenMP take part unless the arrays are small.
uint64_t stream(const void *a, const void *b, void *c, size_t bytes);

} // namespace measure
#endif
