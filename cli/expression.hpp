// Losses as text, beyond what the library reads.
#pragma once
#include <string>
#include <vector>

namespace cli {

// The expression with `argument` ("preset=skimage") in each term of these names whose own arguments contain none of the words
// `unless`: "ssim + l1" becomes "ssim(preset=skimage) + l1". What is no expression stays none.
std::string with_argument(const std::string &expression, const std::vector<std::string> &terms, const std::string &argument,
                          const std::vector<std::string> &unless);
// The terms that score a window.
const std::vector<std::string> &windowed_terms();
// The terms that put the images through a network.
const std::vector<std::string> &network_terms();

// The one of `names` that a mistyped word is likely to mean: the nearest by insertions, deletions, replacements and exchanges of
// neighbours, if it is near; else "".
std::string nearest_name(const std::string &word, const std::vector<std::string> &names);

} // namespace cli
