#include "cases.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace {

struct Row {
    const char *loss, *dtype, *size;
};
// The list. A row is timed for the value and for the gradient; the copies are added by themselves.
constexpr const char *full_hd = "1x3x1080x1920", *batch = "16x1x256x256", *tiny = "1x1x64x64";
constexpr const char *mixture = "0.5*mse+0.5*ssim+0.1*sobel";
constexpr Row rows[] = {
    {"ssim", "f32", full_hd},
    {"ssim", "f32", batch},
    {"ssim", "f32", tiny},
    {mixture, "f32", full_hd},
    {mixture, "f32", batch},
    {mixture, "f32", tiny},
    {"0.84*ssim+0.16*l1", "f32", full_hd},
    // without a window
    {"mse", "f32", full_hd},
    {"l1", "f32", full_hd},
    {"huber", "f32", full_hd},
    {"charbonnier", "f32", full_hd},
    {"tv", "f32", full_hd},
    {"sobel", "f32", full_hd},
    {"laplacian", "f32", full_hd},
    {"blur", "f32", full_hd},
    // windows and borders
    {"ssim(preset=skimage)", "f32", full_hd},
    {"ssim(window=33)", "f32", full_hd},
    {"ssim(border=reflect)", "f32", full_hd},
    {"ssim(border=zero)", "f32", full_hd},
    // types
    {"ssim", "f16", full_hd},
    {"ssim", "bf16", full_hd},
    {"ssim", "f64", full_hd},
    // how the images lie, and what else is read or written
    {"ssim", "f32", "1x3x1080x1920,nhwc"},
    {"ssim", "f32", "1x3x1080x1919,crop"},
    {"ssim", "f32", "1x3x1080x1920,mask"},
    {"ssim", "f32", "1x3x1080x1920,both"},
};

struct Type {
    const char *name;
    pxl_dtype dtype;
    int bytes;
};
constexpr Type types[] = {{"f32", PXL_F32, 4}, {"f16", PXL_F16, 2}, {"bf16", PXL_BF16, 2}, {"f64", PXL_F64, 8}};

pxl_dtype parse_dtype(const std::string &name) {
    for (const Type &type : types)
        if (name == type.name) return type.dtype;
    throw std::invalid_argument("--dtype=" + name + ": there are f32, f16, bf16, f64");
}

// "NxCxHxW" to the numbers.
bool parse_numbers(const std::string &text, Case &parsed) {
    constexpr int64_t most = int64_t(1) << 34;
    int64_t *const numbers[] = {&parsed.n, &parsed.c, &parsed.h, &parsed.w};
    int64_t product = 1;
    const char *at = text.c_str();
    for (int i = 0; i < 4; i++) {
        long long number = 0;
        int used = 0;
        if (std::sscanf(at, i ? "x%10lld%n" : "%10lld%n", &number, &used) != 1 || number < 1) return false;
        if (number > most / product) return false;
        product *= *numbers[i] = number;
        at += used;
    }
    return !*at;
}

bool parse_word(const std::string &word, Case &parsed) {
    if (word == "mask") return parsed.mask = true;
    if (word == "both") return parsed.both = true;
    if (word != "nhwc" && word != "crop") return false;
    parsed.layout = word == "nhwc" ? Layout::nhwc : Layout::crop;
    return true;
}

void parse_size(const std::string &text, Case &parsed) {
    std::istringstream words(text);
    std::string word;
    std::getline(words, word, ',');
    bool valid = parse_numbers(word, parsed);
    while (valid && std::getline(words, word, ',')) valid = parse_word(word, parsed);
    if (!valid)
        throw std::invalid_argument("--size=" + text +
                                    ": not four positive numbers like 1x3x1080x1920, at most 2^34 elements in " +
                                    "all, then perhaps ,nhwc or ,crop, ,mask, ,both");
}

std::string without_spaces(std::string text) {
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    return text;
}

// Adds cases that are not there yet.
void add(const std::vector<Case> &from, std::vector<Case> &to) {
    for (const Case &one : from)
        if (std::none_of(to.begin(), to.end(), [&](const Case &other) { return other.name() == one.name(); })) to.push_back(one);
}

} // namespace

int64_t Case::bytes() const {
    for (const Type &type : types)
        if (type.dtype == dtype) return elements() * type.bytes;
    return 0;
}

std::string Case::name() const {
    return "cpu/" + without_spaces(loss) + "/" + dtype_name + "/" + size_name + (gradient ? "/gradient" : "/value");
}

std::vector<Case> cases_of(const std::string &loss, const std::string &dtype, const std::string &size) {
    Case gradient{};
    gradient.loss = loss, gradient.dtype_name = dtype, gradient.size_name = size, gradient.gradient = true;
    gradient.dtype = parse_dtype(dtype);
    parse_size(size, gradient);
    Case value = gradient;
    value.gradient = false;
    std::vector<Case> cases;
    if (!gradient.both) cases.push_back(value);
    cases.push_back(gradient);
    if (gradient.is_copy()) return cases;
    const std::vector<Case> copies = cases_of("copy", dtype, size.substr(0, size.find(',')));
    cases.insert(cases.end(), copies.begin(), copies.end());
    return cases;
}

std::vector<Case> default_cases() {
    std::vector<Case> cases;
    for (const Row &row : rows) add(cases_of(row.loss, row.dtype, row.size), cases);
    return cases;
}
