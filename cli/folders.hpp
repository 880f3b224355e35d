// Which image of one folder belongs to which of another.
#pragma once
#include <string>
#include <vector>

namespace cli {

struct FilePair {
    std::string name, reference, test; // the reference's name in its folder; the paths
};

struct Matched {
    std::vector<FilePair> pairs;                        // by name
    std::vector<std::string> reference_only, test_only; // names without a counterpart
};

// Images (by the endings of their names; of subfolders and hidden files none) are matched by their names and, where that leaves some
// over, by their names without the ending: a.png and a.jpg. Throws where that is ambiguous, naming the files, where a folder cannot
// be read, and where there is no pair.
Matched match_folders(const std::string &reference, const std::string &test);

} // namespace cli
