#include "compare_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "report.hpp"

namespace cli {
namespace {

using Json = nlohmann::ordered_json;

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// A file's name need not be UTF-8, JSON has to be.
std::string line_of(const Json &json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// ---- The summary ----
struct Summary {
    std::string name;
    double mean, median, least, most;
    std::string worst; // the name of a pair
};

bool larger_is_better(const std::string &metric) { return metric == "psnr" || metric == "ssim"; }

// Of one metric of the pairs that could be compared. If one has no value or NaN, neither has the summary: any figure would pass over
// a pair.
Summary summary_of(const std::vector<const Findings *> &pairs, size_t metric) {
    std::vector<double> values;
    for (const Findings *pair : pairs) values.push_back(pair->metrics[metric].value);
    const std::string &name = pairs[0]->metrics[metric].name;
    const auto undefined = std::find_if(values.begin(), values.end(), [](double value) { return std::isnan(value); });
    const auto least = std::min_element(values.begin(), values.end()), most = std::max_element(values.begin(), values.end());
    const auto worst = undefined != values.end() ? undefined : larger_is_better(name) ? least : most;
    const std::string &worst_name = pairs[size_t(worst - values.begin())]->name;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    if (undefined != values.end()) return {name, nan, nan, nan, nan, worst_name};
    double sum = 0;
    for (const double value : values) sum += value;
    return {name, sum / double(values.size()), median(values), *least, *most, worst_name};
}

std::vector<const Findings *> compared(const std::vector<Findings> &all) {
    std::vector<const Findings *> pairs;
    for (const Findings &findings : all)
        if (findings.error.empty()) pairs.push_back(&findings);
    return pairs;
}

std::vector<Summary> summaries(const std::vector<Findings> &all) {
    const std::vector<const Findings *> pairs = compared(all);
    std::vector<Summary> result;
    for (size_t i = 0; !pairs.empty() && i < pairs[0]->metrics.size(); i++) result.push_back(summary_of(pairs, i));
    return result;
}

// ---- Tables ----
// A line of a terminal has no room for all metrics of the pixels: these, and those of --features and --loss.
bool has_column(const std::string &metric) {
    static const char *const left_out[] = {"rmse", "dssim", "sobel_l1", "laplacian_l1"};
    return std::find(std::begin(left_out), std::end(left_out), metric) == std::end(left_out);
}

constexpr int digits = 6;

std::string rows_of(const std::vector<Findings> &all) {
    std::vector<std::string> header = {"image"};
    for (const Metric &metric : all[0].metrics)
        if (has_column(metric.name)) header.push_back(metric.name + (metric.unit.empty() ? "" : "," + metric.unit));
    Table table(header);
    for (const Findings &findings : all) {
        std::vector<std::string> row = {findings.name};
        for (const Metric &metric : findings.metrics)
            if (has_column(metric.name)) row.push_back(metric.missing.empty() ? number(metric.value, digits) : "-");
        table.row(row);
    }
    return table.text();
}

std::string summary_table(const std::vector<Findings> &all) {
    const size_t count = compared(all).size();
    Table table({count == 1 ? "of 1 pair" : format("of %zu pairs", count), "mean", "median", "min", "max", "worst"});
    for (const Summary &each : summaries(all))
        table.row({each.name, number(each.mean, digits), number(each.median, digits), number(each.least, digits),
                   number(each.most, digits), each.worst});
    return table.text();
}

// Lines of a key and a value. `extent`: of the size, or of the number of pairs.
std::string heading(const Conditions &conditions, const std::string &reference, const std::string &test,
                    const std::string &extent) {
    return "reference  " + printable(reference) + "\ntest       " + printable(test) + "\n" + extent + "\npreset     " +
           conditions.preset + (conditions.expression.empty() ? "" : "\nloss       " + conditions.expression) +
           network_lines(conditions.networks, "network    ") +
           (conditions.device.empty() ? "" : "\ndevice     " + conditions.device) + "\n\n";
}

} // namespace

std::string pair_table(const Conditions &conditions, const Findings &findings) {
    Table table({"metric", "value"});
    std::string missing;
    for (const Metric &metric : findings.metrics) {
        table.row({metric.name + (metric.random ? " (random weights)" : ""),
                   metric.missing.empty() ? number(metric.value) + metric.unit : "-"});
        if (!metric.missing.empty()) missing += "\n" + metric.name + " is missing: " + metric.missing;
    }
    const std::string size = "size       " + Image::shape(findings.width, findings.height, findings.channels);
    return heading(conditions, display_name(findings.reference), display_name(findings.test), size) + table.text() +
           (missing.empty() ? "" : missing + "\n");
}

std::string pairs_table(const Conditions &conditions, const std::string &reference, const std::string &test,
                        const std::vector<Findings> &all) {
    return heading(conditions, reference, test, format("pairs      %zu", all.size())) + rows_of(all) +
           (compared(all).empty() ? "" : "\n" + summary_table(all));
}

std::string json_line(const Conditions &conditions, const Findings &findings) {
    Json json = {{"reference", findings.reference}, {"test", findings.test}};
    if (!findings.error.empty()) {
        json["error"] = findings.error;
        return line_of(json);
    }
    json["width"] = findings.width, json["height"] = findings.height, json["channels"] = findings.channels;
    json["preset"] = conditions.preset;
    for (const Metric &metric : findings.metrics) json[metric.name] = finite(metric.value);
    if (conditions.expression.empty()) json["loss"] = nullptr;
    if (!conditions.networks.empty()) json["networks"] = network_json(conditions.networks);
    for (const Metric &metric : findings.metrics)
        if (!metric.missing.empty()) json["missing"][metric.name] = metric.missing;
    return line_of(json);
}

std::string json_summary(const std::vector<Findings> &all, size_t unmatched) {
    const size_t count = compared(all).size();
    Json json = {{"pairs", count}, {"failed", all.size() - count}, {"unmatched", unmatched}};
    for (const Summary &each : summaries(all))
        json[each.name] = {{"mean", finite(each.mean)},
                           {"median", finite(each.median)},
                           {"min", finite(each.least)},
                           {"max", finite(each.most)},
                           {"worst", each.worst}};
    return line_of({{"summary", json}});
}

// ---- CSV ----
namespace {

std::string quoted(const std::string &field) {
    if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
    std::string text = "\"";
    for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
    return text + "\"";
}

std::string csv_row(const std::vector<std::string> &fields) {
    std::string text;
    for (size_t i = 0; i < fields.size(); i++) text += (i ? "," : "") + quoted(fields[i]);
    return text + "\n";
}

std::string network_names(const Conditions &conditions) {
    std::string names;
    for (const NamedNetwork &network : conditions.networks) names += (names.empty() ? "" : " ") + network.name;
    return names;
}

} // namespace

std::string csv_header(const Conditions &conditions, const std::vector<Metric> &metrics) {
    std::vector<std::string> fields = {"reference", "test", "width", "height", "channels", "preset"};
    for (const Metric &metric : metrics) fields.push_back(metric.name);
    if (!conditions.networks.empty()) fields.emplace_back("networks");
    fields.emplace_back("error");
    return csv_row(fields);
}

std::string csv_line(const Conditions &conditions, const Findings &findings) {
    std::vector<std::string> fields = {findings.reference, findings.test};
    for (const int64_t size : {findings.width, findings.height, findings.channels})
        fields.push_back(findings.error.empty() ? std::to_string(size) : "");
    fields.push_back(conditions.preset);
    for (const Metric &metric : findings.metrics) fields.push_back(metric.missing.empty() ? number(metric.value) : "");
    if (!conditions.networks.empty()) fields.push_back(network_names(conditions));
    fields.push_back(findings.error);
    return csv_row(fields);
}

} // namespace cli
