// What `pixloss compare` says of its findings: a table, lines of JSON, or lines of CSV.
#pragma once
#include <string>
#include <vector>

#include "metrics.hpp"
#include "network.hpp"

namespace cli {

// What holds for all pairs of images.
struct Conditions {
    std::string preset, expression, device; // expression, device: "" without a loss, on the CPU
    std::vector<NamedNetwork> networks;
};

// All that is said of two images.
struct Findings {
    std::string name, reference, test; // name: of the pair
    int64_t width = 0, height = 0, channels = 0;
    std::vector<Metric> metrics; // the loss last, if there is one
    std::string error;           // why nothing could be measured; "": it could
};

std::string pair_table(const Conditions &conditions, const Findings &findings);
// Of two folders: a line for each pair, then the summary.
std::string pairs_table(const Conditions &conditions, const std::string &reference, const std::string &test,
                        const std::vector<Findings> &all);

// One line.
std::string json_line(const Conditions &conditions, const Findings &findings);
std::string json_summary(const std::vector<Findings> &all, size_t unmatched);

// RFC 4180, but for the end of line, which is \n. `metrics`: the names of the columns.
std::string csv_header(const Conditions &conditions, const std::vector<Metric> &metrics);
std::string csv_line(const Conditions &conditions, const Findings &findings);

} // namespace cli
