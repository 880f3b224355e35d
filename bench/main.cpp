// pixloss_bench: the cases of cases.cpp, or one of the user's own, on Google Benchmark. README.md says how to read the output.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "cases.h"
#include "check.h"
#include "contest.h"
#include "device.h"
#include "evaluation.h"
#include "filtering.h"
#include "reduction.h"
#include "report.h"

namespace {

constexpr const char *usage =
    "pixloss_bench [--device=cpu|cuda|cuda:N] [--loss=EXPRESSION] [--size=NxCxHxW] [--dtype=f32|f16|bf16|f64]\n"
    "  [Google Benchmark's options]\n"
    "  Without a loss, size and dtype, runs the device's default list (--benchmark_list_tests=true shows it). With any of them\n"
    "  runs that case, the value and the gradient: of ssim on 1x3x1080x1920 in f32 where not said otherwise. A loss may also be\n"
    "  reduce(sum|mean|min|max|l1|l2) or filter(blur,TAPS). After the size may stand ,nhwc or ,crop, ,mask (a weight per\n"
    "  pixel), ,both (the gradients of both images), ,accumulate (added to what is there), ,mixed (all but pred in f32),\n"
    "  ,map or ,statistics (alone), on cuda ,warm (what fits stays in the L2) or ,graph (launched as a CUDA graph). Threads of\n"
    "  the CPU: OMP_NUM_THREADS.\n"
    "  The ratios of_copy and of_fma are left out where either side varied too much; warnings come at the end.\n"
    "  Exit status: 0, 1 if a case failed its check or none was run, 2 for a wrong option.\n\n";

struct Job {
    Device &device;
    Case test;
    bool checked;
    std::string failure; // of the check: "" if it passed
    int64_t runs = 0;    // a sample on a GPU; once chosen the same, since Google Benchmark wants equal repetitions
    bool steady = true;  // case and yardsticks, in all repetitions
};
bool any_failed = false, any_measured = false; // --benchmark_list_tests measures nothing

// What a job runs. Google Benchmark calls a job several times in a row: the last one's stays.
struct Prepared {
    const Job *job = nullptr;
    Loss loss;
    std::unique_ptr<Work> work, graph;
    Work &timed() const { return graph ? *graph : *work; }
};

int64_t copies_of(const Job &job, double bytes) {
    return job.test.warm || job.test.graph ? 1 : job.device.copies_to_be_cold(bytes);
}
std::unique_ptr<Work> make_copy(const Job &job, Traffic traffic) {
    const double arrays = traffic.reads + traffic.writes, bytes = double(job.test.bytes());
    return job.device.make_copy(size_t(job.test.bytes()), traffic, copies_of(job, arrays * bytes));
}

template <typename Tested, typename Check>
std::unique_ptr<Work> checked(Job &job, std::unique_ptr<Tested> work, Check check) {
    if (!job.checked) job.failure = check(*work);
    job.checked = true;
    if (!job.failure.empty()) throw std::runtime_error(job.failure);
    return work;
}
std::unique_ptr<Work> make_work(Job &job, const pxl_loss *loss) {
    const Case &test = job.test;
    const double bytes = double(test.bytes());
    if (test.is_roof()) return job.device.make_roof(test.loss);
    if (test.is_copy()) return make_copy(job, {test.reads_one() ? 1 : 2, test.gradient});
    if (test.is_filter())
        return checked(job, std::make_unique<Filtering>(job.device, test, copies_of(job, 2 * bytes)),
                       [](Filtering &work) { return check_against_f64(work); });
    if (test.is_reduction())
        return checked(job, std::make_unique<Reduction>(job.device, test, copies_of(job, bytes)),
                       [](Reduction &work) { return check_against_f64(work); });
    const int images = 2 + test.gradient + (test.gradient && test.both);
    return checked(job, std::make_unique<Evaluation>(job.device, loss, test, copies_of(job, images * bytes)),
                   [=](Evaluation &work) { return check_against_f64(loss, work); });
}
Work &prepare(Job &job) {
    static Prepared now;
    if (now.job == &job) return now.timed();
    now = Prepared();
    if (job.test.is_expression()) now.loss = parse_loss(job.test.loss);
    now.work = make_work(job, now.loss.get());
    if (job.test.graph) now.graph = job.device.capture(*now.work);
    now.job = &job;
    return now.timed();
}

void time_by_clock(benchmark::State &state, Work &work) {
    for (auto _ : state) {
        work.run();
        benchmark::ClobberMemory();
    }
}
// Several runs a sample, so that neither the events nor the first launch's way to the device count.
void time_by_events(benchmark::State &state, Device &device, Work &work, int64_t runs) {
    while (state.KeepRunningBatch(runs)) state.SetIterationTime(device.seconds([&] { work.run(); }, runs));
}

// By the median of the samples, as the ratios are; Google Benchmark's time is the mean of its loop.
void count_rates(const Contest &contest, const Case &test, const Work &work, benchmark::UserCounters &counters) {
    const double pixels = double(test.elements()), seconds = contest.seconds();
    if (!test.is_roof()) counters["px/s"] = pixels / seconds;
    if (work.taps()) counters["px*taps/s"] = pixels * work.taps() / seconds;
    if (work.bytes_to_move() > 0) counters["B/s"] = work.bytes_to_move() / seconds;
    if (work.multiply_adds() > 0) counters["FMA/s"] = work.multiply_adds() / seconds;
}

// Times the work in Google Benchmark's loop, and before and after that beside its yardsticks.
void measure_job(benchmark::State &state, Job &job, Work &work) {
    const Case &test = job.test;
    const bool alone = test.is_roof() || test.graph;
    const std::unique_ptr<Work> copy = alone ? nullptr : make_copy(job, work.traffic());
    const bool counted = !alone && work.multiply_adds() > 0;
    const std::unique_ptr<Work> fma = counted ? job.device.make_multiply_add(test.dtype, test.elements()) : nullptr;
    Contest contest(job.device, work, copy.get(), fma.get());
    contest.sample();
    if (job.device.is_cpu())
        time_by_clock(state, work);
    else
        time_by_events(state, job.device, work, job.runs = job.runs ? job.runs : contest.runs());
    contest.sample();
    for (const auto &[name, value] : contest.results()) state.counters[name] = value;
    job.steady = job.steady && contest.is_steady();
    count_rates(contest, test, work, state.counters);
    if (!test.group.empty()) state.SetLabel(test.group);
}

void time_job(benchmark::State &state, Job &job) {
    try {
        measure_job(state, job, prepare(job));
        any_measured = true;
    } catch (const std::exception &error) {
        any_failed = true;
        state.SkipWithError(error.what());
    }
}

struct Options {
    bool own_case = false;
    std::string device = "cpu", loss = "ssim", size = "1x3x1080x1920", dtype = "f32";
};

bool take(const char *argument, const char *name, std::string &value) {
    const size_t length = std::strlen(name);
    if (std::strncmp(argument, name, length) != 0) return false;
    value = argument + length;
    return true;
}

// Takes its own options out of the list; the rest are Google Benchmark's.
Options take_options(int &argc, char **argv) {
    Options options;
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        const bool own = take(argv[i], "--loss=", options.loss) || take(argv[i], "--size=", options.size) ||
                         take(argv[i], "--dtype=", options.dtype);
        options.own_case |= own;
        for (const char *name : {"--device", "--loss", "--size", "--dtype"})
            if (!std::strcmp(argv[i], name)) throw std::invalid_argument(std::string(name) + " needs = and a value behind it");
        if (!own && !take(argv[i], "--device=", options.device)) argv[kept++] = argv[i];
    }
    argv[argc = kept] = nullptr;
    return options;
}

std::vector<Case> chosen_cases(const Options &options, const std::string &device) {
    if (!options.own_case) return default_cases(device);
    const std::vector<Case> cases = cases_of(device, options.loss, options.dtype, options.size);
    // Refuses it here, with the column, rather than in each of its cases.
    if (cases[0].is_expression()) parse_loss(options.loss);
    return cases;
}

void print_help() {
    std::fputs(usage, stdout);
    benchmark::PrintDefaultHelp();
}

void describe_library(const Device &device) {
    char text[256] = "";
    if (pxl_device_describe(device.id(), text, sizeof text) == PXL_OK) benchmark::AddCustomContext("device", text);
    benchmark::AddCustomContext("pixloss", pxl_version());
    for (const auto &[name, value] : device.properties()) benchmark::AddCustomContext(name, value);
}
double least(const std::vector<double> &repetitions) { return *std::min_element(repetitions.begin(), repetitions.end()); }
void register_job(Job &job) {
    auto *const registered =
        benchmark::RegisterBenchmark(job.test.name().c_str(), [&job](benchmark::State &state) { time_job(state, job); });
    registered->Unit(benchmark::kMicrosecond);
    registered->ComputeStatistics("min", least);
    registered->ComputeStatistics("spread", measure::spread, benchmark::kPercentage);
    job.device.is_cpu() ? registered->UseRealTime() : registered->UseManualTime();
}

std::vector<std::string> names_of_unsteady(const std::vector<Job> &jobs) {
    std::vector<std::string> names;
    for (const Job &job : jobs)
        if (!job.steady) names.push_back(job.test.name());
    return names;
}

int run(int argc, char **argv) {
    const Options options = take_options(argc, argv);
    const bool json = writes_json(argc, argv);
    benchmark::Initialize(&argc, argv, print_help);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    Device &device = open_device(options.device);
    std::vector<Job> jobs;
    for (const Case &test : chosen_cases(options, device.is_cpu() ? "cpu" : "cuda")) jobs.push_back({device, test, false, ""});
    for (Job &job : jobs) register_job(job);
    const measure::Load load;
    describe_library(device);
    describe_load(load);
    JsonWithEnd file(load);
    const size_t matched = json ? benchmark::RunSpecifiedBenchmarks(nullptr, &file) : benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    if (any_measured) print_end(load, names_of_unsteady(jobs));
    return matched == 0 || any_failed ? 1 : 0;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "pixloss_bench: %s\n", error.what());
        return 2;
    }
}
