#include "folders.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <map>
#include <stdexcept>

#include "report.hpp"

namespace cli {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>; // sorted

// Of formats that cannot be read, too: such a file was meant to be compared, and that it cannot be has to be said.
bool is_image_name(const std::string &name) {
    static const Names endings = {".avif", ".bmp", ".dng", ".exr",  ".gif", ".hdr", ".heic", ".heif", ".j2k",
                                  ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl", ".pam",  ".pbm",  ".pfm",
                                  ".pgm",  ".png", ".pnm", ".ppm",  ".psd", ".tga", ".tif",  ".tiff", ".webp"};
    std::string ending = fs::path(name).extension().string(); // of a hidden file ".png" none
    for (char &c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
    return name[0] != '.' && std::binary_search(endings.begin(), endings.end(), ending);
}

Names images_in(const std::string &folder) {
    Names names;
    std::error_code error, no_matter;
    fs::directory_iterator entry(folder, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        // A link to nothing is said to be missing when it is read; a pipe would be waited for.
        if (is_image_name(name) && (entry->is_regular_file(no_matter) || !entry->exists(no_matter))) names.push_back(name);
    }
    if (error) throw std::runtime_error(folder + ": " + error.message());
    std::sort(names.begin(), names.end());
    return names;
}

Names difference(const Names &a, const Names &b) {
    Names result;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(result));
    return result;
}

std::map<std::string, Names> by_stem(const Names &names) {
    std::map<std::string, Names> stems;
    for (const std::string &name : names) stems[fs::path(name).stem().string()].push_back(name);
    return stems;
}

std::string count_of(const std::string &folder, size_t images) {
    return folder + " has " + (images == 1 ? "1 image" : format("%zu images", images));
}

} // namespace

Matched match_folders(const std::string &reference, const std::string &test) {
    const Names references = images_in(reference), tests = images_in(test);
    Matched matched;
    const auto pair = [&](const std::string &name, const std::string &other) {
        matched.pairs.push_back({name, (fs::path(reference) / name).string(), (fs::path(test) / other).string()});
    };
    for (const std::string &name : references)
        if (std::binary_search(tests.begin(), tests.end(), name)) pair(name, name);

    const std::map<std::string, Names> left = by_stem(difference(references, tests)),
                                       right = by_stem(difference(tests, references));
    for (const auto &[stem, names] : left) {
        const auto others = right.find(stem);
        if (others == right.end()) {
            matched.reference_only.insert(matched.reference_only.end(), names.begin(), names.end());
            continue;
        }
        if (names.size() > 1 || others->second.size() > 1)
            throw std::runtime_error(reference + " has " + listed(names) + ", " + test + " has " + listed(others->second) +
                                     ": which belongs to which?");
        pair(names[0], others->second[0]);
    }
    for (const auto &[stem, names] : right)
        if (!left.count(stem)) matched.test_only.insert(matched.test_only.end(), names.begin(), names.end());
    if (matched.pairs.empty())
        throw std::runtime_error("no names in common: " + count_of(reference, references.size()) + ", " +
                                 count_of(test, tests.size()));
    std::sort(matched.pairs.begin(), matched.pairs.end(), [](const FilePair &a, const FilePair &b) { return a.name < b.name; });
    return matched;
}

} // namespace cli
