// `pixloss bench`: how fast a loss is, beside plain loops that move as many bytes and the machine's rate of multiply-adds; on
// CUDA, beside a copy within the device.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#if defined _OPENMP
#include <omp.h>
#endif

#include "commands.hpp"
#include "engine.hpp"
#include "measure/arithmetic.h"
#include "measure/load.h"
#include "measure/loops.h"
#include "measure/multiply_add.h"
#include "measure/spread.h"
#include "measure/threads.h"
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

struct Contender {
    std::function<void()> run;
    double bytes, multiply_adds; // of one run; 0: not counted
};

// How often each contender runs in one sample, after a warm-up. A GPU is measured by events, which are good to a microsecond, and
// its clock rises under load; on the CPU one run is a sample.
std::vector<int> runs_in_a_sample(Device &device, const std::vector<Contender> &contenders) {
    std::vector<int> runs(contenders.size(), 1);
    for (const Contender &contender : contenders) contender.run();
    if (device.is_cpu()) return runs;
    for (size_t i = 0; i < contenders.size(); i++) {
        int count = 1;
        double seconds = 0;
        for (; seconds < 0.05 && count < 100000; count *= 2)
            seconds = device.seconds([&] {
                for (int k = 0; k < count; k++) contenders[i].run();
            });
        const double once = seconds / (count / 2);
        runs[i] = int(std::clamp(0.002 / once, 3.0, 1000.0));
    }
    return runs;
}

// The contenders take turns, so that what disturbs the machine disturbs them alike.
std::vector<measure::Timing> time_in_turns(Device &device, const std::vector<Contender> &contenders, int *repetitions) {
    const std::vector<int> runs = runs_in_a_sample(device, contenders);
    std::vector<std::vector<double>> times(contenders.size());
    double spent = 0;
    int turns = 0;
    for (; turns < 5 || (turns < 101 && spent < 3); turns++)
        for (size_t i = 0; i < contenders.size(); i++) {
            const double seconds = device.seconds([&] {
                for (int k = 0; k < runs[i]; k++) contenders[i].run();
            });
            times[i].push_back(seconds / runs[i]);
            spent += seconds;
        }
    *repetitions = turns;
    std::vector<measure::Timing> timings;
    for (const std::vector<double> &each : times) timings.push_back(measure::summarise(each));
    return timings;
}

// A measured contender.
struct Figure {
    measure::Timing timing;
    double bytes, multiply_adds;
    double bandwidth() const { return bytes / timing.median / 1e9; }
    double arithmetic() const { return multiply_adds / timing.median / 1e9; }
};

struct Line {
    std::string name, key; // "": a yardstick
    Figure own, copy;
    std::optional<Figure> multiply_add;
    double elements;

    double rate() const { return elements / own.timing.median / 1e6; }
    double of_copy() const { return own.bandwidth() / copy.bandwidth(); }
    double of_multiply_add() const { return own.arithmetic() / multiply_add->arithmetic(); }
    bool is_steady() const {
        return own.timing.is_steady() && copy.timing.is_steady() && (!multiply_add || multiply_add->timing.is_steady());
    }
};

std::vector<std::string> term_names(const pxl_loss *loss) {
    std::vector<std::string> names;
    for (size_t i = 0; i < pxl_loss_term_count(loss); i++) names.emplace_back(pxl_loss_term_name(loss, i));
    return names;
}

// The images of a call, and the losses to run on them.
struct Subject {
    Subject(Device &on, const BenchOptions &options, const pxl_loss *loss, const Size &size)
        : device(on),
          type(parse_type(options.dtype)),
          bytes(size_t(size.elements()) * type.bytes),
          terms(term_names(loss)),
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
    std::vector<std::string> terms;
    Context context;
    DeviceMemory x{device, bytes}, y{device, bytes}, g{device, bytes};
    pxl_tensor pred, target, grad;
    std::unique_ptr<Evaluator> value, gradient;
};

std::vector<Figure> figures_of(Device &device, const std::vector<Contender> &contenders, int *repetitions) {
    const std::vector<measure::Timing> timings = time_in_turns(device, contenders, repetitions);
    std::vector<Figure> figures;
    for (size_t i = 0; i < timings.size(); i++) figures.push_back({timings[i], contenders[i].bytes, contenders[i].multiply_adds});
    return figures;
}

// The loss: its value, and its value and gradient.
std::vector<Contender> contenders_of(const Subject &subject) {
    const double bytes = double(subject.bytes), elements = bytes / double(subject.type.bytes);
    return {{[&] { subject.value->launch(); }, 2 * bytes, elements * measure::multiply_adds(subject.terms, 0)},
            {[&] { subject.gradient->launch(); }, 3 * bytes, elements * measure::multiply_adds(subject.terms, 1)}};
}

std::vector<Line> measure_cpu(const Subject &subject, double elements, int *repetitions) {
    [[maybe_unused]] static volatile uint64_t sink; // the compiler may not drop a sum that is stored
    const void *const x = subject.x.data(), *const y = subject.y.data();
    void *const g = subject.g.data();
    const size_t bytes = subject.bytes;
    const measure::MultiplyAdd loop(measure::instruction_set(subject.device.description()),
                                    subject.type.dtype == PXL_F64 ? measure::MultiplyAdd::DOUBLE : measure::MultiplyAdd::SINGLE,
                                    int64_t(elements));
    std::vector<Contender> contenders = contenders_of(subject);
    const bool counted = contenders[0].multiply_adds > 0;
    contenders.push_back({[=] { sink = measure::stream(x, y, nullptr, bytes); }, 2 * double(bytes), 0});
    contenders.push_back({[=] { sink = measure::stream(x, y, g, bytes); }, 3 * double(bytes), 0});
    if (counted) contenders.push_back({[&] { loop.run(); }, 0, loop.count()});
    const std::vector<Figure> f = figures_of(subject.device, contenders, repetitions);
    const auto multiply_add = counted ? std::optional<Figure>(f[4]) : std::nullopt;
    std::vector<Line> lines = {{"value", "value", f[0], f[2], multiply_add, elements},
                               {"value + gradient", "value_and_gradient", f[1], f[3], multiply_add, elements},
                               {"copy: 2 reads", "", f[2], f[2], {}, elements},
                               {"copy: 2 reads, 1 write", "", f[3], f[3], {}, elements}};
    if (counted) lines.push_back({format("multiply-adds: %.0f G/s", f[4].arithmetic()), "", f[4], f[4], {}, 0});
    return lines;
}

std::vector<Line> measure_cuda(const Subject &subject, double elements, int *repetitions) {
    std::vector<Contender> contenders = contenders_of(subject);
    contenders.push_back(
        {[&] { subject.device.copy(subject.g.data(), subject.x.data(), subject.bytes); }, 2 * double(subject.bytes), 0});
    const std::vector<Figure> f = figures_of(subject.device, contenders, repetitions);
    return {{"value", "value", f[0], f[2], {}, elements},
            {"value + gradient", "value_and_gradient", f[1], f[2], {}, elements},
            {"copy: 1 read, 1 write", "", f[2], f[2], {}, elements}};
}

// What a run has found.
struct Report {
    const BenchOptions &options;
    const Device &device;
    const Size &size;
    const std::vector<NamedNetwork> &networks;
    const measure::Load &load;
    std::vector<Line> lines;
    int repetitions;

    std::vector<std::string> warnings() const {
        std::vector<std::string> warnings = load.warnings();
        for (const Line &line : lines)
            if (!line.key.empty() && !line.is_steady())
                warnings.push_back(line.name + ", or what it is compared with, varied by more than " +
                                   format("%.0f %%", 100 * measure::spread_limit));
        return warnings;
    }
};

nlohmann::ordered_json line_json(const Line &line) {
    nlohmann::ordered_json json = {{"seconds", line.own.timing.median},       {"min_seconds", line.own.timing.minimum},
                                   {"spread", line.own.timing.spread},        {"mpx_per_s", line.rate()},
                                   {"gb_per_s", line.own.bandwidth()},        {"copy_gb_per_s", line.copy.bandwidth()},
                                   {"copy_seconds", line.copy.timing.median}, {"copy_min_seconds", line.copy.timing.minimum},
                                   {"copy_spread", line.copy.timing.spread},  {"fraction_of_copy", line.of_copy()}};
    if (line.multiply_add) {
        json["gfma_per_s"] = line.own.arithmetic();
        json["machine_gfma_per_s"] = line.multiply_add->arithmetic();
        json["fma_spread"] = line.multiply_add->timing.spread;
        json["fraction_of_fma"] = line.of_multiply_add();
    }
    json["steady"] = line.is_steady();
    return json;
}

std::string as_json(const Report &report) {
    const Device &device = report.device;
    const auto threads = device.is_cpu() ? nlohmann::ordered_json(measure::threads_in_use()) : nlohmann::ordered_json();
    nlohmann::ordered_json json = {{"version", pxl_version()},         {"device", device.description()},
                                   {"loss", report.options.loss},      {"size", report.size.n},
                                   {"dtype", report.options.dtype},    {"threads", threads},
                                   {"repetitions", report.repetitions}};
    for (const Line &line : report.lines)
        if (!line.key.empty()) json[line.key] = line_json(line);
    json["load"] = {{"average_at_start", report.load.average_at_start()},
                    {"average_at_end", measure::Load::average()},
                    {"others_at_start", report.load.others_at_start()},
                    {"others_meanwhile", report.load.others_since()}};
    json["warnings"] = report.warnings();
    if (!report.networks.empty()) json["networks"] = network_json(report.networks);
    return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"; // a file's name need not be UTF-8
}

std::string share(double value, const Figure &a, const Figure &b) {
    return a.timing.is_steady() && b.timing.is_steady() ? format("%.1f %%", 100 * value) : "-";
}

std::vector<std::string> cells(const Line &line) {
    const bool moves = line.own.bytes > 0;
    return {line.name,
            format("%.3f", 1e3 * line.own.timing.median),
            format("%.3f", 1e3 * line.own.timing.minimum),
            format("%.0f %%", 100 * line.own.timing.spread),
            moves ? format("%.1f", line.rate()) : "",
            moves ? format("%.2f", line.own.bandwidth()) : "",
            line.key.empty() ? "" : share(line.of_copy(), line.own, line.copy),
            line.multiply_add ? share(line.of_multiply_add(), line.own, *line.multiply_add) : ""};
}

std::string as_table(const Report &report) {
    const int64_t *n = report.size.n;
    Table table({"", "ms", "fastest", "spread", "Mpx/s", "GB/s", "of copy", "of FMA"});
    for (const Line &line : report.lines) table.row(cells(line));
    std::string text = report.options.loss + network_lines(report.networks, "") + "\n" +
                       format("%lld x %lld x %lld x %lld %s, %.2f Mpx", (long long)n[0], (long long)n[1], (long long)n[2],
                              (long long)n[3], report.options.dtype.c_str(), double(report.size.elements()) / 1e6) +
                       "\n" + report.device.description() + format("; medians of %d\n\n", report.repetitions) + table.text() +
                       "\n" + report.load.line() + "\n";
    for (const std::string &warning : report.warnings()) text += "warning: " + warning + "\n";
    return text;
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
    const measure::Load load;
    Report report = {options, *device, size, used, load, {}, 0};
    try {
        const Subject subject(*device, options, loss.get(), size);
        const auto elements = double(size.elements());
        report.lines = device->is_cpu() ? measure_cpu(subject, elements, &report.repetitions)
                                        : measure_cuda(subject, elements, &report.repetitions);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error("--size " + options.size + ": not enough memory for images of this size");
    }
    print(options.json ? as_json(report) : as_table(report));
}

} // namespace cli
