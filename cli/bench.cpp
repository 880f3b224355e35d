// `pixloss bench`: how fast a loss is, beside plain loops that move as many bytes.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#if defined _OPENMP
#include <omp.h>
#endif
#if defined __SSE2__
#include <emmintrin.h>
#endif

#include "commands.hpp"
#include "engine.hpp"
#include "report.hpp"

namespace cli {
namespace {

struct Size {
    int64_t n[4];
    int64_t elements() const { return n[0] * n[1] * n[2] * n[3]; }
};

Size parse_size(const std::string &text) {
    Size size{};
    int end = 0;
    long long n[4];
    const bool read = std::sscanf(text.c_str(), "%8lldx%8lldx%8lldx%8lld%n", &n[0], &n[1], &n[2], &n[3], &end) == 4;
    bool valid = read && size_t(end) == text.size();
    int64_t elements = 1;
    for (int i = 0; valid && i < 4; i++) {
        valid = n[i] >= 1 && elements <= (int64_t(1) << 36) / n[i];
        if (valid) elements *= size.n[i] = n[i];
    }
    if (!valid)
        throw UsageError("--size '" + text + "': not four positive numbers like 4x3x1080x1920, at most 2^36 elements in all");
    return size;
}

struct Type {
    pxl_dtype dtype;
    size_t bytes;
};
Type parse_type(const std::string &name) {
    if (name == "f64") return {PXL_F64, 8};
    if (name == "f32") return {PXL_F32, 4};
    return {name == "f16" ? PXL_F16 : PXL_BF16, 2};
}

// Uniform on [0.5, 1), where the 16-bit types are the upper bits of an integer under a fixed exponent.
void put_random(uint64_t bits, Type type, int64_t i, void *data) {
    const double value = 0.5 + double(bits >> 11) * 0x1p-54;
    const float single = float(0.5 + double(bits >> 41) * 0x1p-24);
    if (type.dtype == PXL_F64) static_cast<double *>(data)[i] = value;
    if (type.dtype == PXL_F32) static_cast<float *>(data)[i] = single;
    if (type.dtype == PXL_F16) static_cast<uint16_t *>(data)[i] = uint16_t(0x3800u | (bits >> 54));  // sign, 01110, 10 bits
    if (type.dtype == PXL_BF16) static_cast<uint16_t *>(data)[i] = uint16_t(0x3f00u | (bits >> 57)); // sign, 01111110, 7 bits
}

// In parallel, so that each thread's memory is near it.
void fill_random(int64_t count, Type type, uint64_t seed, void *data) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        uint64_t z = (uint64_t(i) + seed) * 0x9e3779b97f4a7c15u; // splitmix64, by index
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        put_random(z ^ (z >> 31), type, i, data);
    }
}

// The machine's own pace: two arrays read and, with `c`, one written past the caches. `count` words of 16 bytes.
#if defined __SSE2__
using Word = __m128i;
Word both(Word a, Word b) { return _mm_xor_si128(a, b); }
Word sum_of(Word a, Word b) { return _mm_add_epi64(a, b); }
void write_past_caches(Word *out, Word word) { _mm_stream_si128(out, word); }
#else
struct Word {
    uint64_t low, high;
};
Word both(Word a, Word b) { return {a.low ^ b.low, a.high ^ b.high}; }
Word sum_of(Word a, Word b) { return {a.low + b.low, a.high + b.high}; }
void write_past_caches(Word *out, Word word) { *out = word; }
#endif

uint64_t stream(int64_t count, const Word *a, const Word *b, Word *c) {
    uint64_t sum = 0;
    if (c) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < count; i++) write_past_caches(c + i, both(a[i], b[i]));
        return sum;
    }
#pragma omp parallel reduction(+ : sum)
    {
        Word sums[4] = {}; // of their own, or each addition would wait for the one before
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count / 4; i++)
            for (int k = 0; k < 4; k++) sums[k] = sum_of(sums[k], both(a[4 * i + k], b[4 * i + k]));
        uint64_t parts[8];
        std::memcpy(parts, sums, sizeof parts);
        for (uint64_t part : parts) sum += part;
    }
    return sum;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Medians in seconds. The contenders take turns, so that what disturbs the machine disturbs them alike.
std::vector<double> time_in_turns(const std::vector<std::function<void()>> &contenders, int *repetitions) {
    using Clock = std::chrono::steady_clock;
    const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
    for (const auto &run : contenders) run();
    std::vector<std::vector<double>> times(contenders.size());
    const auto start = Clock::now();
    int turns = 0;
    for (; turns < 5 || (turns < 101 && seconds(Clock::now() - start) < 3); turns++)
        for (size_t i = 0; i < contenders.size(); i++) {
            const auto begin = Clock::now();
            contenders[i]();
            times[i].push_back(seconds(Clock::now() - begin));
        }
    *repetitions = turns;
    std::vector<double> medians;
    for (auto &each : times) medians.push_back(median(each));
    return medians;
}

struct Line {
    std::string name, key;
    double seconds, copy_seconds, elements, bytes;
    double rate() const { return elements / seconds / 1e6; }
    double bandwidth() const { return bytes / seconds / 1e9; }
};

std::vector<Line> measure(const BenchOptions &options, const pxl_loss *loss, const Size &size, int *repetitions) {
    const Type type = parse_type(options.dtype);
    const size_t bytes = size_t(size.elements()) * type.bytes;
    const Workspace x(bytes), y(bytes), g(bytes);
    const Context context = make_context(options.threads);
    fill_random(size.elements(), type, 1, x.data());
    fill_random(size.elements(), type, 1u << 20, y.data());
    std::memset(g.data(), 0, bytes);
    const auto view = [&](const Workspace &w) {
        return pxl_nchw(w.data(), type.dtype, PXL_CPU_DEVICE, size.n[0], size.n[1], size.n[2], size.n[3]);
    };
    const pxl_tensor pred = view(x), target = view(y), grad = view(g);
    pxl_args args = PXL_ARGS(&pred, &target);
    Evaluator value(context.get(), loss, args);
    args.grad_pred = &grad;
    Evaluator gradient(context.get(), loss, args);

    const int64_t words = int64_t(bytes / sizeof(Word));
    const auto *a = static_cast<const Word *>(x.data()), *b = static_cast<const Word *>(y.data());
    [[maybe_unused]] static volatile uint64_t sink; // the compiler may not drop a sum that is stored
    const std::vector<double> seconds =
        time_in_turns({[&] { value.run(); }, [&] { gradient.run(); }, [&] { sink = stream(words, a, b, nullptr); },
                       [&] { sink = stream(words, a, b, static_cast<Word *>(g.data())); }},
                      repetitions);
    const double elements = double(size.elements()), moved = double(bytes);
    return {{"value", "value", seconds[0], seconds[2], elements, 2 * moved},
            {"value + gradient", "value_and_gradient", seconds[1], seconds[3], elements, 3 * moved},
            {"copy: 2 reads", "", seconds[2], seconds[2], elements, 2 * moved},
            {"copy: 2 reads, 1 write", "", seconds[3], seconds[3], elements, 3 * moved}};
}

std::string device_line() {
    char text[256] = "";
    check(pxl_device_describe(PXL_CPU_DEVICE, text, sizeof text));
    return text;
}

std::string as_json(const BenchOptions &options, const Size &size, const std::vector<Line> &lines, int repetitions) {
    nlohmann::ordered_json json = {
        {"version", pxl_version()}, {"device", device_line()},    {"loss", options.loss},      {"size", size.n},
        {"dtype", options.dtype},   {"threads", options.threads}, {"repetitions", repetitions}};
    for (const Line &line : lines)
        if (!line.key.empty())
            json[line.key] = {{"seconds", line.seconds},
                              {"mpx_per_s", line.rate()},
                              {"gb_per_s", line.bandwidth()},
                              {"copy_gb_per_s", line.bytes / line.copy_seconds / 1e9},
                              {"fraction_of_copy", line.copy_seconds / line.seconds}};
    return json.dump(2) + "\n";
}

std::string as_table(const BenchOptions &options, const Size &size, const std::vector<Line> &lines, int repetitions) {
    Table table({"", "ms", "Mpx/s", "GB/s", "of copy"});
    for (const Line &line : lines)
        table.row({line.name, format("%.3f", 1e3 * line.seconds), format("%.1f", line.rate()), format("%.2f", line.bandwidth()),
                   line.key.empty() ? "" : format("%.1f %%", 100 * line.copy_seconds / line.seconds)});
    const std::string threads = options.threads ? format(", at most %d threads", options.threads) : "";
    return options.loss + "\n" +
           format("%lld x %lld x %lld x %lld %s, %.2f Mpx", (long long)size.n[0], (long long)size.n[1], (long long)size.n[2],
                  (long long)size.n[3], options.dtype.c_str(), double(size.elements()) / 1e6) +
           "\n" + device_line() + threads + format("; medians of %d\n\n", repetitions) + table.text();
}

} // namespace

void bench(const BenchOptions &options) {
    const Loss loss = parse_loss(options.loss);
    const Size size = parse_size(options.size);
#if defined _OPENMP
    if (options.threads > 0) omp_set_num_threads(options.threads);
#endif
    int repetitions = 0;
    std::vector<Line> lines;
    try {
        lines = measure(options, loss.get(), size, &repetitions);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error("--size " + options.size + ": not enough memory for images of this size");
    }
    print(options.json ? as_json(options, size, lines, repetitions) : as_table(options, size, lines, repetitions));
}

} // namespace cli
