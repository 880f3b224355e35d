// pixloss_bench: the cases of cases.cpp, or one of the user's own, on Google Benchmark. README.md says how to read the output.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "cases.h"
#include "check.h"
#include "copy.h"
#include "evaluation.h"
#include "pace.h"

namespace {

constexpr const char *usage =
    "pixloss_bench [--loss=EXPRESSION] [--size=NxCxHxW] [--dtype=f32|f16|bf16|f64] [Google Benchmark's options]\n"
    "  Without the first three, runs the default list (--benchmark_list_tests=true shows it). With any of them runs that case, "
    "the\n"
    "  value and the gradient: of ssim on 1x3x1080x1920 in f32 where not said otherwise. After the size may stand ,nhwc or "
    ",crop,\n"
    "  ,mask (a weight per pixel), ,both (the gradients of both images). Threads: OMP_NUM_THREADS.\n"
    "  Exit status: 0, 1 if a case failed its check or none was run, 2 for a wrong option.\n\n";

struct Job {
    Case test;
    bool checked;
    std::string failure; // of the check: "" if it passed
};
bool any_failed = false;

// Times `run` over Google Benchmark's loop, and on either side of that takes its pace beside the copy's, so that what disturbs
// the machine disturbs both.
void measure(benchmark::State &state, const Case &test, double bytes, const std::function<void()> &run) {
    using benchmark::Counter;
    Copy copy(size_t(test.bytes()), test.gradient);
    Pace beside([&] { copy.run(); }), own(run);
    beside.sample();
    own.sample();
    for (auto _ : state) {
        run();
        benchmark::ClobberMemory();
    }
    own.sample();
    beside.sample();
    state.counters["px/s"] = Counter(double(test.elements()), Counter::kIsIterationInvariantRate);
    state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate);
    state.counters["of_copy"] = (bytes / own.seconds()) / (copy.bytes_to_move() / beside.seconds());
}

void time_copy(benchmark::State &state, const Case &test) {
    Copy copy(size_t(test.bytes()), test.gradient);
    measure(state, test, copy.bytes_to_move(), [&] { copy.run(); });
}

void time_loss(benchmark::State &state, Job &job) {
    const Loss loss = parse_loss(job.test.loss);
    Evaluation evaluation(loss.get(), job.test);
    if (!job.checked) job.failure = check_against_f64(loss.get(), evaluation);
    job.checked = true;
    if (!job.failure.empty()) throw std::runtime_error(job.failure);
    measure(state, job.test, evaluation.bytes_to_move(), [&] { evaluation.run(); });
}

void time_job(benchmark::State &state, Job &job) {
    try {
        if (job.test.is_copy())
            time_copy(state, job.test);
        else
            time_loss(state, job);
    } catch (const std::exception &error) {
        any_failed = true;
        state.SkipWithError(error.what());
    }
}

struct Options {
    bool own_case = false;
    std::string loss = "ssim", size = "1x3x1080x1920", dtype = "f32";
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
        if (!own) argv[kept++] = argv[i];
    }
    argv[argc = kept] = nullptr;
    return options;
}

std::vector<Case> chosen_cases(const Options &options) {
    if (!options.own_case) return default_cases();
    parse_loss(options.loss); // refuses it here, with the column, rather than in each of its cases
    return cases_of(options.loss, options.dtype, options.size);
}

void print_help() {
    std::fputs(usage, stdout);
    benchmark::PrintDefaultHelp();
}

void describe_library() {
    char device[256] = "";
    if (pxl_device_describe(PXL_CPU_DEVICE, device, sizeof device) == PXL_OK) benchmark::AddCustomContext("device", device);
    benchmark::AddCustomContext("pixloss", pxl_version());
}

int run(int argc, char **argv) {
    const Options options = take_options(argc, argv);
    benchmark::Initialize(&argc, argv, print_help);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    std::vector<Job> jobs;
    for (const Case &test : chosen_cases(options)) jobs.push_back({test, false, ""});
    for (Job &job : jobs)
        benchmark::RegisterBenchmark(job.test.name().c_str(), [&job](benchmark::State &state) { time_job(state, job); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
    describe_library();
    const size_t matched = benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
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
