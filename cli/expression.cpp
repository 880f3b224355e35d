#include "expression.hpp"

#include <algorithm>
#include <cctype>

#include "pixloss/introspect.h"

namespace cli {
namespace {

bool is_of_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whole words: "imagenet" does not contain "net".
bool contains_any(const std::string &text, const std::vector<std::string> &words) {
    for (size_t i = 0; i < text.size(); i++) {
        const size_t begin = i;
        while (i < text.size() && is_of_word(text[i])) i++;
        if (std::find(words.begin(), words.end(), text.substr(begin, i - begin)) != words.end()) return true;
    }
    return false;
}

size_t distance(const std::string &a, const std::string &b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); i++)
        for (size_t j = 0; j <= b.size(); j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.size()][b.size()];
}

// The terms that have a field of this name, as the library lists them.
std::vector<std::string> terms_with(const std::string &field) {
    std::vector<std::string> names;
    int kind = 0;
    for (size_t i = 0; const char *name = pxl_enum_word("pxl_term_kind", i, &kind); i++)
        for (size_t f = 0; f < pxl_field_count(pxl_term_kind(kind), PXL_PENALTY_DEFAULT); f++) {
            pxl_field_info info = PXL_FIELD_INFO();
            pxl_field_describe(pxl_term_kind(kind), PXL_PENALTY_DEFAULT, f, &info);
            if (info.name == field) names.push_back(name);
        }
    return names;
}

} // namespace

std::string with_argument(const std::string &expression, const std::vector<std::string> &terms, const std::string &argument,
                          const std::vector<std::string> &unless) {
    std::string result;
    for (size_t i = 0; i < expression.size();) {
        const size_t begin = i;
        while (i < expression.size() && is_of_word(expression[i])) i++;
        const std::string word = expression.substr(begin, i - begin);
        const bool wanted = std::find(terms.begin(), terms.end(), word) != terms.end();
        const size_t next = std::min(expression.find_first_not_of(" \t\r\n\v\f", i), expression.size());
        result += word;
        if (next < expression.size() && expression[next] == '(') { // past its arguments: their names are no terms
            const size_t close = expression.find(')', next);
            if (close == std::string::npos) return result + expression.substr(i);
            const std::string arguments = expression.substr(next + 1, close - next - 1);
            result += "(" + (wanted && !contains_any(arguments, unless) ? argument + ", " : "") + arguments + ")";
            i = close + 1;
        } else if (wanted) {
            result += "(" + argument + ")";
        }
        if (i == begin) result += expression[i++];
    }
    return result;
}

const std::vector<std::string> &windowed_terms() {
    static const std::vector<std::string> names = terms_with("downsample");
    return names;
}

const std::vector<std::string> &network_terms() {
    static const std::vector<std::string> names = terms_with("net");
    return names;
}

std::string nearest_name(const std::string &word, const std::vector<std::string> &names) {
    std::string nearest;
    size_t least = std::max<size_t>(2, word.size() / 3) + 1;
    for (const std::string &name : names) {
        const size_t d = distance(word, name);
        if (d < least && d < name.size()) least = d, nearest = name;
    }
    return nearest;
}

} // namespace cli
