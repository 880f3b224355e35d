// Transparency: the library has none, so what lies behind an image has to be said.
#pragma once
#include <array>
#include <string>
#include <vector>

namespace cli {

struct Image;
struct Decoded;

struct Alpha {
    enum class Mode { refuse, ignore, colour, checker } mode = Mode::refuse;
    std::array<float, 3> colour{}; // of Mode::colour, on [0, 1]
};

// Those with a name: "refuse", "ignore", "black", "white", "checker".
const std::vector<std::string> &alpha_names();
// One of these or "#rrggbb", as given with --alpha; a UsageError for all else.
Alpha parse_alpha(const std::string &text);

// The image without its alpha channel, put in front of what `alpha` says, in the values that the file holds. "refuse" throws unless
// it is opaque everywhere.
Image flatten(const Decoded &decoded, const Alpha &alpha);

} // namespace cli
