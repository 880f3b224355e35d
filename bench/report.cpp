#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ostream>

#include "measure/spread.h"

namespace {

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", value);
    return text;
}
// JSON has no NaN.
std::string json_number(double value) { return std::isfinite(value) ? number(value) : "null"; }

const char *behind(const char *argument, const char *name) {
    return std::strncmp(argument, name, std::strlen(name)) == 0 ? argument + std::strlen(name) : nullptr;
}

std::string listed(const std::vector<std::string> &names) {
    constexpr size_t most = 8;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), most); i++) text += "\n    " + names[i];
    return names.size() > most ? text + "\n    and " + std::to_string(names.size() - most) + " others" : text;
}

} // namespace

void JsonWithEnd::Finalize() {
    GetOutputStream() << "\n  ],\n  \"end\": {\n    \"load_avg\": " << json_number(measure::Load::average())
                      << ",\n    \"others_meanwhile\": " << json_number(load_.others_since()) << "\n  }\n}\n";
}

bool writes_json(int argc, char **argv) {
    bool file = false, json = true;
    for (int i = 1; i < argc; i++) {
        if (const char *name = behind(argv[i], "--benchmark_out=")) file = *name != 0;
        if (const char *format = behind(argv[i], "--benchmark_out_format=")) json = std::strcmp(format, "json") == 0;
    }
    return file && json;
}

void describe_load(const measure::Load &load) {
    benchmark::AddCustomContext("others_at_start", number(load.others_at_start()));
    benchmark::AddCustomContext("load_limit", number(measure::load_limit));
    benchmark::AddCustomContext("spread_limit", number(measure::spread_limit));
}

void print_end(const measure::Load &load, const std::vector<std::string> &unsteady) {
    std::fprintf(stderr, "pixloss_bench: %s\n", load.line().c_str());
    for (const std::string &warning : load.warnings()) std::fprintf(stderr, "pixloss_bench: warning: %s\n", warning.c_str());
    if (unsteady.empty()) return;
    std::fprintf(stderr, "pixloss_bench: warning: %zu cases, or the yardsticks beside them, varied by more than %.0f %%:%s\n",
                 unsteady.size(), 100 * measure::spread_limit, listed(unsteady).c_str());
}
