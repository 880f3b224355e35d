// `pixloss bench`: how fast a loss is, beside plain loops that move as many bytes; on CUDA beside a copy within the device.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#if defined _OPENMP
#include <omp.h>
#endif
#if defined __SSE2__
#include <emmintrin.h>
#endif

#include "commands.hpp"
#include "engine.hpp"
#include "network.hpp"
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

// Numbers `first`, `first` + 1, ... of a sequence. In parallel, so that each thread's memory is near it.
void fill_random(int64_t first, int64_t count, Type type, uint64_t seed, void *data) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        uint64_t z = (uint64_t(first + i) + seed) * 0x9e3779b97f4a7c15u; // splitmix64, by index
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        put_random(z ^ (z >> 31), type, i, data);
    }
}

void fill_random(Device &device, int64_t count, Type type, uint64_t seed, void *data) {
    if (device.is_cpu()) return fill_random(0, count, type, seed, data);
    const int64_t piece = 1 << 24;
    std::vector<unsigned char> bytes(size_t(std::min(count, piece)) * type.bytes);
    for (int64_t first = 0; first < count; first += piece) {
        const int64_t now = std::min(piece, count - first);
        fill_random(first, now, type, seed, bytes.data());
        device.upload(static_cast<unsigned char *>(data) + size_t(first) * type.bytes, bytes.data(), size_t(now) * type.bytes);
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

// As many as the library takes of those that OpenMP would use: see pxl_context_create.
int threads_in_use() {
#if defined _OPENMP
    return std::min({omp_get_max_threads(), omp_get_thread_limit(), std::max(4 * omp_get_num_procs(), 8)});
#else
    return 1;
#endif
}

using Contender = std::function<void()>;

// How often each contender runs in one sample, after a warm-up. A GPU is measured by events, which are good to a microsecond, and
// its clock rises under load; on the CPU one run is a sample.
std::vector<int> runs_in_a_sample(Device &device, const std::vector<Contender> &contenders) {
    std::vector<int> runs(contenders.size(), 1);
    for (const Contender &run : contenders) run();
    if (device.is_cpu()) return runs;
    for (size_t i = 0; i < contenders.size(); i++) {
        int count = 1;
        double seconds = 0;
        for (; seconds < 0.05 && count < 100000; count *= 2)
            seconds = device.seconds([&] {
                for (int k = 0; k < count; k++) contenders[i]();
            });
        const double once = seconds / (count / 2);
        runs[i] = int(std::clamp(0.002 / once, 3.0, 1000.0));
    }
    return runs;
}

// Medians in seconds. The contenders take turns, so that what disturbs the machine disturbs them alike.
std::vector<double> time_in_turns(Device &device, const std::vector<Contender> &contenders, int *repetitions) {
    const std::vector<int> runs = runs_in_a_sample(device, contenders);
    std::vector<std::vector<double>> times(contenders.size());
    double spent = 0;
    int turns = 0;
    for (; turns < 5 || (turns < 101 && spent < 3); turns++)
        for (size_t i = 0; i < contenders.size(); i++) {
            const double seconds = device.seconds([&] {
                for (int k = 0; k < runs[i]; k++) contenders[i]();
            });
            times[i].push_back(seconds / runs[i]);
            spent += seconds;
        }
    *repetitions = turns;
    std::vector<double> medians;
    for (auto &each : times) medians.push_back(median(each));
    return medians;
}

struct Line {
    std::string name, key;
    double seconds, copy_bandwidth, elements, bytes;
    double rate() const { return elements / seconds / 1e6; }
    double bandwidth() const { return bytes / seconds / 1e9; }
    double fraction() const { return bandwidth() / copy_bandwidth; }
};

// The images of a call, and the losses to run on them.
struct Subject {
    Subject(Device &on, const BenchOptions &options, const pxl_loss *loss, const Size &size)
        : device(on),
          type(parse_type(options.dtype)),
          bytes(size_t(size.elements()) * type.bytes),
          context(make_context(device, options.threads)) {
        fill_random(device, size.elements(), type, 1, x.data());
        fill_random(device, size.elements(), type, 1u << 20, y.data());
        if (device.is_cpu()) std::memset(g.data(), 0, bytes);
        const auto view = [&](const DeviceMemory &w) {
            return pxl_nchw(w.data(), type.dtype, device.id(), size.n[0], size.n[1], size.n[2], size.n[3]);
        };
        pred = view(x), target = view(y), grad = view(g);
        pxl_args args = PXL_ARGS(&pred, &target);
        value = std::make_unique<Evaluator>(device, context.get(), loss, args);
        args.grad_pred = &grad;
        gradient = std::make_unique<Evaluator>(device, context.get(), loss, args);
    }
    Device &device;
    Type type;
    size_t bytes;
    Context context;
    DeviceMemory x{device, bytes}, y{device, bytes}, g{device, bytes};
    pxl_tensor pred, target, grad;
    std::unique_ptr<Evaluator> value, gradient;
};

std::vector<Line> measure_cpu(const Subject &subject, double elements, int *repetitions) {
    const auto words = int64_t(subject.bytes / sizeof(Word));
    const auto *a = static_cast<const Word *>(subject.x.data()), *b = static_cast<const Word *>(subject.y.data());
    auto *c = static_cast<Word *>(subject.g.data());
    [[maybe_unused]] static volatile uint64_t sink; // the compiler may not drop a sum that is stored
    const std::vector<double> seconds =
        time_in_turns(subject.device,
                      {[&] { subject.value->launch(); }, [&] { subject.gradient->launch(); },
                       [&] { sink = stream(words, a, b, nullptr); }, [&] { sink = stream(words, a, b, c); }},
                      repetitions);
    const double two = 2 * double(subject.bytes), three = 3 * double(subject.bytes);
    const double reads = two / seconds[2] / 1e9, copies = three / seconds[3] / 1e9;
    return {{"value", "value", seconds[0], reads, elements, two},
            {"value + gradient", "value_and_gradient", seconds[1], copies, elements, three},
            {"copy: 2 reads", "", seconds[2], reads, elements, two},
            {"copy: 2 reads, 1 write", "", seconds[3], copies, elements, three}};
}

std::vector<Line> measure_cuda(const Subject &subject, double elements, int *repetitions) {
    const std::vector<double> seconds =
        time_in_turns(subject.device,
                      {[&] { subject.value->launch(); }, [&] { subject.gradient->launch(); },
                       [&] { subject.device.copy(subject.g.data(), subject.x.data(), subject.bytes); }},
                      repetitions);
    const double two = 2 * double(subject.bytes), three = 3 * double(subject.bytes), copies = two / seconds[2] / 1e9;
    return {{"value", "value", seconds[0], copies, elements, two},
            {"value + gradient", "value_and_gradient", seconds[1], copies, elements, three},
            {"copy: 1 read, 1 write", "", seconds[2], copies, elements, two}};
}

std::string as_json(const BenchOptions &options, const Device &device, const Size &size, const std::vector<Line> &lines,
                    int repetitions, const std::vector<NamedNetwork> &networks) {
    const auto threads = device.is_cpu() ? nlohmann::ordered_json(threads_in_use()) : nlohmann::ordered_json();
    nlohmann::ordered_json json = {{"version", pxl_version()},  {"device", device.description()},
                                   {"loss", options.loss},      {"size", size.n},
                                   {"dtype", options.dtype},    {"threads", threads},
                                   {"repetitions", repetitions}};
    for (const Line &line : lines)
        if (!line.key.empty())
            json[line.key] = {{"seconds", line.seconds},
                              {"mpx_per_s", line.rate()},
                              {"gb_per_s", line.bandwidth()},
                              {"copy_gb_per_s", line.copy_bandwidth},
                              {"fraction_of_copy", line.fraction()}};
    if (!networks.empty()) json["networks"] = network_json(networks);
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"; // a file's name need not be UTF-8
}

std::string as_table(const BenchOptions &options, const Device &device, const Size &size, const std::vector<Line> &lines,
                     int repetitions, const std::vector<NamedNetwork> &networks) {
    Table table({"", "ms", "Mpx/s", "GB/s", "of copy"});
    for (const Line &line : lines)
        table.row({line.name, format("%.3f", 1e3 * line.seconds), format("%.1f", line.rate()), format("%.2f", line.bandwidth()),
                   line.key.empty() ? "" : format("%.1f %%", 100 * line.fraction())});
    return options.loss + network_lines(networks, "") + "\n" +
           format("%lld x %lld x %lld x %lld %s, %.2f Mpx", (long long)size.n[0], (long long)size.n[1], (long long)size.n[2],
                  (long long)size.n[3], options.dtype.c_str(), double(size.elements()) / 1e6) +
           "\n" + device.description() + format("; medians of %d\n\n", repetitions) + table.text();
}

} // namespace

void bench(const BenchOptions &options) {
    const Networks networks(options.network);
    const Loss loss = networks.parse(options.loss);
    const std::vector<NamedNetwork> used = networks.used_by({loss.get()});
    const Size size = parse_size(options.size);
    const std::unique_ptr<Device> device = open_device(options.device);
    if (options.threads && !device->is_cpu()) throw UsageError("--threads is for the CPU, not with --device " + options.device);
#if defined _OPENMP
    if (options.threads > 0) omp_set_num_threads(options.threads);
#endif
    int repetitions = 0;
    std::vector<Line> lines;
    try {
        const Subject subject(*device, options, loss.get(), size);
        const auto elements = double(size.elements());
        lines = device->is_cpu() ? measure_cpu(subject, elements, &repetitions) : measure_cuda(subject, elements, &repetitions);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error("--size " + options.size + ": not enough memory for images of this size");
    }
    print(options.json ? as_json(options, *device, size, lines, repetitions, used)
                       : as_table(options, *device, size, lines, repetitions, used));
}

} // namespace cli
