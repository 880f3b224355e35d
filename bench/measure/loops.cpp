// Sums of integers: their time does not depend on the contents of the arrays. 64-byte vectors for the reads; 16-byte stores, as
// measured: wider streaming stores are no faster, since the line is what goes to memory.
#include "loops.h"

#include <algorithm>
#include <cstring>
#if defined __SSE2__
#include <emmintrin.h>
#endif

#include "threads.h"

namespace measure {
namespace {

typedef uint64_t Line __attribute__((vector_size(line_bytes)));
constexpr int64_t block = 256;               // lines that a thread takes at a time: 16 KiB
constexpr int64_t worth_threads = 4 * block; // below that, waking them takes longer

// Four sums at once, because one would wait for its own additions.
template <bool two>
__attribute__((always_inline)) inline uint64_t sum_lines(const Line *a, const Line *b, int64_t count) {
    Line sums[4] = {};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++) sums[k] += two ? a[i + k] + b[i + k] : a[i + k];
    for (; i < count; i++) sums[0] += two ? a[i] + b[i] : a[i];
    sums[0] += sums[1] + (sums[2] + sums[3]);
    uint64_t parts[8], total = 0;
    std::memcpy(parts, sums, sizeof parts);
    for (const uint64_t part : parts) total += part;
    return total;
}
__attribute__((always_inline)) inline uint64_t sum_both(const Line *a, const Line *b, int64_t count) {
    return b ? sum_lines<true>(a, b, count) : sum_lines<false>(a, a, count);
}

using Sum = uint64_t (*)(const Line *, const Line *, int64_t);
uint64_t sum_plain(const Line *a, const Line *b, int64_t count) { return sum_both(a, b, count); }
#if defined __x86_64__
__attribute__((target("avx512f"))) uint64_t sum_avx512(const Line *a, const Line *b, int64_t count) {
    return sum_both(a, b, count);
}
__attribute__((target("avx2"))) uint64_t sum_avx2(const Line *a, const Line *b, int64_t count) { return sum_both(a, b, count); }
Sum best_sum() { return __builtin_cpu_supports("avx512f") ? sum_avx512 : __builtin_cpu_supports("avx2") ? sum_avx2 : sum_plain; }
#else
Sum best_sum() { return sum_plain; }
#endif

uint64_t sum_all(const Line *a, const Line *b, int64_t count) {
    const Sum sum = best_sum();
    uint64_t total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total) num_threads(threads_in_use()) if (count > worth_threads)
    for (int64_t i = 0; i < count; i += block) total += sum(a + i, b ? b + i : nullptr, std::min(block, count - i));
    return total;
}

#if defined __SSE2__
template <bool two>
void write_streaming(const Line *a, const Line *b, Line *c, int64_t count) {
    const auto *x = reinterpret_cast<const __m128i *>(a), *y = reinterpret_cast<const __m128i *>(b);
    auto *z = reinterpret_cast<__m128i *>(c);
    for (int64_t i = 0; i < 4 * count; i++) _mm_stream_si128(z + i, two ? _mm_add_epi64(x[i], y[i]) : x[i]);
    _mm_sfence();
}
#else
template <bool two>
void write_streaming(const Line *a, const Line *b, Line *c, int64_t count) {
    for (int64_t i = 0; i < count; i++) c[i] = two ? a[i] + b[i] : a[i];
}
#endif

void write_all(const Line *a, const Line *b, Line *c, int64_t count) {
#pragma omp parallel for schedule(static) num_threads(threads_in_use()) if (count > worth_threads)
    for (int64_t i = 0; i < count; i += block) {
        const int64_t lines = std::min(block, count - i);
        b ? write_streaming<true>(a + i, b + i, c + i, lines) : write_streaming<false>(a + i, a + i, c + i, lines);
    }
}

} // namespace

uint64_t stream(const void *a, const void *b, void *c, size_t bytes) {
    const auto *first = static_cast<const Line *>(a), *second = static_cast<const Line *>(b);
    const auto lines = int64_t((bytes + line_bytes - 1) / line_bytes);
    if (!c) return sum_all(first, second, lines);
    write_all(first, second, static_cast<Line *>(c), lines);
    return 0;
}

} // namespace measure
