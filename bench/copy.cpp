// The loops that all cases are measured against. 64-byte vectors for the reads; 16-byte stores, as measured: wider streaming
// stores are no faster, since the line is what goes to memory.
#include "copy.h"

#include <algorithm>
#include <cstring>
#if defined __SSE2__
#include <emmintrin.h>
#endif

namespace {

typedef float Line __attribute__((vector_size(64))); // of a cache
constexpr int64_t block = 256;                       // lines that a thread takes at a time: 16 KiB
constexpr int64_t worth_threads = 4 * block;         // below that, waking them takes longer

// Four sums at once, because one would wait for its own additions.
__attribute__((always_inline)) inline double sum_lines(const Line *a, const Line *b, int64_t count) {
    Line sums[4] = {};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++) sums[k] += a[i + k] + b[i + k];
    for (; i < count; i++) sums[0] += a[i] + b[i];
    sums[0] += sums[1] + (sums[2] + sums[3]);
    float parts[16];
    std::memcpy(parts, sums, sizeof parts);
    double total = 0;
    for (const float part : parts) total += part;
    return total;
}

using Sum = double (*)(const Line *, const Line *, int64_t);
double sum_plain(const Line *a, const Line *b, int64_t count) { return sum_lines(a, b, count); }
#if defined __x86_64__
__attribute__((target("avx512f"))) double sum_avx512(const Line *a, const Line *b, int64_t count) {
    return sum_lines(a, b, count);
}
__attribute__((target("avx2"))) double sum_avx2(const Line *a, const Line *b, int64_t count) { return sum_lines(a, b, count); }
Sum best_sum() { return __builtin_cpu_supports("avx512f") ? sum_avx512 : __builtin_cpu_supports("avx2") ? sum_avx2 : sum_plain; }
#else
Sum best_sum() { return sum_plain; }
#endif

double sum_all(const Line *a, const Line *b, int64_t count) {
    const Sum sum = best_sum();
    double total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total) if (count > worth_threads)
    for (int64_t i = 0; i < count; i += block) total += sum(a + i, b + i, std::min(block, count - i));
    return total;
}

#if defined __SSE2__
void add_streaming(const Line *a, const Line *b, Line *c, int64_t count) {
    const float *x = reinterpret_cast<const float *>(a), *y = reinterpret_cast<const float *>(b);
    float *z = reinterpret_cast<float *>(c);
    for (int64_t i = 0; i < 16 * count; i += 4) _mm_stream_ps(z + i, _mm_add_ps(_mm_load_ps(x + i), _mm_load_ps(y + i)));
    _mm_sfence();
}
#else
void add_streaming(const Line *a, const Line *b, Line *c, int64_t count) {
    for (int64_t i = 0; i < count; i++) c[i] = a[i] + b[i];
}
#endif

void add_all(const Line *a, const Line *b, Line *c, int64_t count) {
#pragma omp parallel for schedule(static) if (count > worth_threads)
    for (int64_t i = 0; i < count; i += block) add_streaming(a + i, b + i, c + i, std::min(block, count - i));
}

// The bytes 0xff that memory begins with are NaN: as fast, but not worth relying on.
void clear(const Memory &memory) {
    constexpr int64_t part = 1 << 16;
    const int64_t size = int64_t(memory.size());
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < size; at += part)
        std::memset(static_cast<char *>(memory.data()) + at, 0, size_t(std::min(part, size - at)));
}

} // namespace

Copy::Copy(size_t bytes, bool write) : a_(bytes), b_(bytes), c_(write ? std::make_unique<Memory>(bytes) : nullptr) {
    clear(a_);
    clear(b_);
}

void Copy::run() {
    [[maybe_unused]] static volatile double sink; // a sum that nobody reads would not be formed
    const auto *a = static_cast<const Line *>(a_.data()), *b = static_cast<const Line *>(b_.data());
    const int64_t lines = int64_t(a_.size() / sizeof(Line));
    if (c_)
        add_all(a, b, static_cast<Line *>(c_->data()), lines);
    else
        sink = sum_all(a, b, lines);
}

double Copy::bytes_to_move() const { return double(a_.size()) * (c_ ? 3 : 2); }
