// pixloss_digest [section ...]: prints the lines of all sections, or of the named ones; counts and
// times go to stderr.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "digest.h"

namespace {

struct Section {
    const char *name;
    void (*add)(Digest &digest);
};
constexpr Section sections[] = {{"terms", add_terms},           {"shapes", add_shapes},    {"large", add_large},
                                {"mixes", add_mixes},           {"sampled", add_sampled},  {"maps", add_maps},
                                {"not_finite", add_not_finite}, {"filters", add_filters},  {"statistics", add_statistics},
                                {"reductions", add_reductions}, {"networks", add_networks}};

bool is_wanted(const Section &section, int count, char **names) {
    for (int i = 1; i < count; ++i)
        if (!std::strcmp(names[i], section.name)) return true;
    return count == 1;
}

bool is_section(const char *name) {
    for (const Section &section : sections)
        if (!std::strcmp(name, section.name)) return true;
    return false;
}

void add_section(Digest &digest, const Section &section) {
    const auto start = std::chrono::steady_clock::now();
    const size_t before = digest.cases();
    digest.open(section.name);
    section.add(digest);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cerr << "pixloss_digest: " << section.name << ", " << digest.cases() - before << " cases, " << seconds.count() << " s\n";
}

} // namespace

int main(int count, char **arguments) {
    setenv("PXLOSS_TEST_DEVICE", "all", 0); // every way to compute
    std::ios::sync_with_stdio(false);
    for (int i = 1; i < count; ++i)
        if (!is_section(arguments[i])) {
            std::cerr << "pixloss_digest: unknown section '" << arguments[i] << "'\n";
            return 2;
        }
    for (const Way &way : tested_ways()) std::cout << "# way: " << way.name() << '\n';
    Digest digest;
    for (const Section &section : sections)
        if (is_wanted(section, count, arguments)) add_section(digest, section);
    std::cout.flush();
    return std::cout ? 0 : 1;
}
