// `pixloss selftest`: every term, type, layout and border on a device against the CPU in f64: the check before trusting a new card
// or driver. selftest_bounds.hpp says what is allowed, and why.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "element.hpp"
#include "report.hpp"
#include "selftest.hpp"

namespace cli {
namespace {

// One pixel; odd, below a tile; across tiles, just; several tiles both ways.
const std::vector<Size> all_sizes = {{1, 1, 1, 1}, {2, 3, 33, 29}, {1, 2, 128, 131}, {1, 1, 260, 517}};
const std::vector<Size> quick_sizes = {{1, 1, 1, 1}, {2, 2, 33, 29}, {1, 1, 20, 140}};
constexpr pxl_dtype dtypes[] = {PXL_F32, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};

struct Failure {
    std::string expression;
    Finding finding;
};

struct Group {
    std::string name;
    int comparisons = 0, failures = 0;
    Errors worst;
    void add(const Finding &finding) {
        comparisons++;
        if (!finding.pass()) failures++;
        worst.include(finding.errors);
    }
    bool pass() const { return comparisons > 0 && failures == 0; }
};

class Report {
  public:
    void add(const std::string &group, const std::string &expression, pxl_dtype dtype, const Finding &finding) {
        find(groups_, group).add(finding);
        find(types_, dtype_name(dtype)).add(finding);
        if (!finding.pass()) failures_.push_back({expression, finding});
    }
    void expect(const std::string &group) { find(groups_, group); } // one without a comparison has failed
    bool pass() const {
        return std::all_of(groups_.begin(), groups_.end(), [](const Group &group) { return group.pass(); });
    }
    const std::vector<Group> &groups() const { return groups_; }
    const std::vector<Group> &types() const { return types_; }
    const std::vector<Failure> &failures() const { return failures_; }
    int comparisons() const {
        int sum = 0;
        for (const Group &group : groups_) sum += group.comparisons;
        return sum;
    }

  private:
    static Group &find(std::vector<Group> &groups, const std::string &name) {
        for (Group &group : groups)
            if (group.name == name) return group;
        groups.push_back({name, 0, 0, {}});
        return groups.back();
    }
    std::vector<Group> groups_, types_;
    std::vector<Failure> failures_;
};

// Scatters consecutive numbers: which settings a case gets shall not depend on its place in the list by any pattern.
uint64_t scattered(uint64_t number) {
    uint64_t z = (number + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    return (z ^ (z >> 27)) >> 8;
}

class Run {
  public:
    Run(Device &device, bool quick)
        : device_(device), quick_(quick), sizes_(quick ? quick_sizes : all_sizes), subjects_(selftest_subjects()) {
        progress_total_ = int(sizes_.size() * std::size(dtypes) * 2 * subjects_.size());
    }
    Report run() {
        Progress progress("selftest", progress_total_);
        const auto start = std::chrono::steady_clock::now();
        for (const Subject &subject : subjects_) report_.expect(subject.group);
        for (const Size &size : sizes_)
            for (const pxl_dtype dtype : dtypes)
                for (const bool masked : {false, true})
                    for (const bool signs : {false, true}) run_on(make_pictures(size, dtype, masked, signs), progress);
        seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        progress.finish(format("%d comparisons in %.1f s", report_.comparisons(), seconds_));
        return std::move(report_);
    }
    double seconds() const { return seconds_; }
    size_t losses() const { return subjects_.size(); }

  private:
    void run_on(const Pictures &pictures, Progress &progress) {
        Comparison comparison(device_, pictures);
        for (const Subject &subject : subjects_) {
            if (subject.signs != pictures.signs) continue;
            for (const Finding &finding : comparison.run(subject, scattered(number_++), quick_))
                report_.add(subject.group, subject.expression, pictures.dtype, finding);
            progress.update(++done_, size_name(pictures.size) + " " + dtype_name(pictures.dtype) + " " + subject.group);
        }
        if (pictures.signs) return;
        for (const OperatorFinding &each : compare_operators(device_, pictures, scattered(number_++)))
            report_.add(each.group, each.expression, pictures.dtype, each.finding);
    }

    Device &device_;
    bool quick_;
    std::vector<Size> sizes_;
    std::vector<Subject> subjects_;
    Report report_;
    int progress_total_, done_ = 0;
    uint64_t number_ = 0;
    double seconds_ = 0;
};

std::string ratio(double value) { return std::isfinite(value) && value < 1e6 ? format("%.3f", value) : number(value); }

std::string table_of(const std::string &title, const std::vector<Group> &groups) {
    Table table({title, "comparisons", "value", "gradient", ""});
    for (const Group &group : groups)
        table.row({group.name, format("%d", group.comparisons), ratio(group.worst.value), ratio(group.worst.gradient),
                   group.pass() ? "pass" : "FAIL"});
    return table.text();
}

std::string failures_of(const Report &report) {
    const size_t shown = 20;
    std::string text;
    for (size_t i = 0; i < report.failures().size() && i < shown; i++) {
        const auto &[expression, finding] = report.failures()[i];
        text += "\nFAIL " + expression + "\n     " + finding.condition + "\n     " +
                (finding.message.empty() ? "" : finding.message + "; ") + "value " + ratio(finding.errors.value) + ", gradient " +
                ratio(finding.errors.gradient) + " times the bound\n";
    }
    if (report.failures().size() > shown) text += format("\nand %zu more\n", report.failures().size() - shown);
    for (const Group &group : report.groups())
        if (group.comparisons == 0) text += "\nFAIL " + group.name + "\n     nothing could be compared\n";
    return text;
}

std::string as_text(const Device &device, const Run &run, const Report &report) {
    return std::string("pixloss ") + pxl_version() + " selftest of " + device.name() + ", " + device.description() +
           "\nagainst the CPU in f64 on the same rounded pixels. Worst errors, in units of their bounds: less than 1 "
           "passes.\n\n" +
           table_of("loss", report.groups()) + "\n" + table_of("type of the images", report.types()) + failures_of(report) +
           "\n" + (report.pass() ? "PASS" : "FAIL") +
           format(": %zu of %d comparisons failed; %zu losses, %.1f s\n", report.failures().size(), report.comparisons(),
                  run.losses(), run.seconds());
}

nlohmann::ordered_json as_json(const std::vector<Group> &groups) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Group &group : groups)
        list.push_back({{"name", group.name},
                        {"comparisons", group.comparisons},
                        {"failures", group.failures},
                        {"value", group.worst.value}, // null: infinitely wrong
                        {"gradient", group.worst.gradient},
                        {"pass", group.pass()}});
    return list;
}

std::string as_json(const Device &device, const Run &run, const Report &report, bool quick) {
    nlohmann::ordered_json failures = nlohmann::ordered_json::array();
    for (const auto &[expression, finding] : report.failures())
        failures.push_back({{"loss", expression},
                            {"condition", finding.condition},
                            {"message", finding.message},
                            {"value", finding.errors.value},
                            {"gradient", finding.errors.gradient}});
    const nlohmann::ordered_json json = {{"version", pxl_version()},
                                         {"device", device.name()},
                                         {"description", device.description()},
                                         {"quick", quick},
                                         {"losses", run.losses()},
                                         {"comparisons", report.comparisons()},
                                         {"seconds", run.seconds()},
                                         {"groups", as_json(report.groups())},
                                         {"types", as_json(report.types())},
                                         {"failures", failures},
                                         {"pass", report.pass()}};
    return json.dump(2) + "\n";
}

} // namespace

bool selftest(const SelftestOptions &options) {
    const std::unique_ptr<Device> device = open_device(options.device.empty() ? best_device() : options.device);
    Run run(*device, options.quick);
    const Report report = run.run();
    print(options.json ? as_json(*device, run, report, options.quick) : as_text(*device, run, report));
    return report.pass();
}

} // namespace cli
