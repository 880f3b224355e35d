// /proc/stat counts the ticks of all processors: user, nice, system, idle, iowait, irq, softirq, steal.
#include "load.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

namespace measure {
namespace {

constexpr auto watch = std::chrono::milliseconds(250);

std::string percent(double share) {
    char text[32] = "unknown";
    if (std::isfinite(share)) std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
    return text;
}
std::string number(double value) {
    char text[32] = "unknown";
    if (std::isfinite(value)) std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

void warn(double share, const char *when, std::vector<std::string> &warnings) {
    if (share > load_limit)
        warnings.push_back("others took " + percent(share) + " of the processors' time " + when + ", more than " +
                           percent(load_limit) + ": measure again on a quiet machine");
}

} // namespace

Load::Moment Load::now() {
    timespec own{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    Moment moment = {0, 0, double(own.tv_sec) + 1e-9 * double(own.tv_nsec)};
    std::ifstream file("/proc/stat");
    std::string cpu;
    file >> cpu;
    const double tick = 1 / double(sysconf(_SC_CLK_TCK));
    for (int i = 0; i < 8; i++) {
        double ticks = 0;
        file >> ticks;
        moment.all += tick * ticks;
        if (i != 3 && i != 4) moment.busy += tick * ticks; // neither idle nor waiting for a disk
    }
    return moment;
}

double Load::others_between(const Moment &begin, const Moment &end) {
    const double all = end.all - begin.all;
    if (!(all > 0)) return std::nan("");
    return std::clamp((end.busy - begin.busy - (end.own - begin.own)) / all, 0.0, 1.0);
}

Load::Load() : average_at_start_(average()), others_at_start_(0), start_() {
    const Moment before = now();
    std::this_thread::sleep_for(watch);
    start_ = now();
    others_at_start_ = others_between(before, start_);
}

double Load::others_since() const { return others_between(start_, now()); }

double Load::average() {
    double minute = 0;
    return getloadavg(&minute, 1) == 1 ? minute : std::nan("");
}

std::string Load::line() const {
    return "load average " + number(average_at_start_) + " at the start, " + number(average()) + " at the end; others took " +
           percent(others_at_start_) + " of the processors' time before, " + percent(others_since()) + " meanwhile";
}

std::vector<std::string> Load::warnings() const {
    std::vector<std::string> warnings;
    warn(others_at_start_, "before", warnings);
    warn(others_since(), "meanwhile", warnings);
    return warnings;
}

} // namespace measure
