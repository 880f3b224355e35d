#include "cases.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace {

enum Devices { CPU = 1, CUDA = 2, ALL = 3 };
struct Row {
    Devices devices;
    const char *loss, *dtype, *size;
};
// The list. A row is timed for the value and for the gradient; the copies are added by themselves, and on cuda the card's roofs.
constexpr const char *full_hd = "1x3x1080x1920", *batch = "16x1x256x256", *tiny = "1x1x64x64", *films = "5x5x1080x1920";
constexpr const char *mixture = "0.5*mse+0.5*ssim+0.1*sobel";
constexpr Row rows[] = {
    {CUDA, "ssim", "f32", films},
    {ALL, "ssim", "f32", full_hd},
    {CPU, "ssim", "f32", batch},
    {CPU, "ssim", "f32", tiny},
    {CUDA, "ssim", "f32", "16x3x256x256"},
    {CUDA, "ssim", "f32", "16x3x256x256,warm"},
    {CUDA, "ssim", "f32", "1x3x256x256,graph"},
    {CUDA, "ssim", "f32", "1x1x64x64,graph"},
    {CUDA, "0.8*l1+0.2*ssim", "f32", films},
    {ALL, mixture, "f32", full_hd},
    {CPU, mixture, "f32", batch},
    {CPU, mixture, "f32", tiny},
    {CPU, "0.84*ssim+0.16*l1", "f32", full_hd},
    // without a window
    {CPU, "mse", "f32", full_hd},
    {CPU, "l1", "f32", full_hd},
    {CPU, "huber", "f32", full_hd},
    {CPU, "charbonnier", "f32", full_hd},
    {CPU, "tv", "f32", full_hd},
    {CPU, "sobel", "f32", full_hd},
    {CPU, "laplacian", "f32", full_hd},
    {CUDA, "mse", "f32", films},
    {CUDA, "l1", "f32", films},
    {CUDA, "charbonnier", "f32", films},
    {CUDA, "tv", "f32", films},
    {CUDA, "sobel", "f32", films},
    {CUDA, "laplacian", "f32", films},
    {ALL, "blur", "f32", full_hd},
    // windows and borders
    {ALL, "ssim(preset=skimage)", "f32", full_hd},
    {CUDA, "ssim(preset=torchmetrics,data_range=1)", "f32", full_hd},
    {ALL, "ssim(window=33)", "f32", full_hd},
    {CPU, "ssim(border=reflect)", "f32", full_hd},
    {CUDA, "ssim(border=zero)", "f32", films}, // fused-ssim's
    {ALL, "ssim(border=zero)", "f32", full_hd},
    // types
    {ALL, "ssim", "f16", full_hd},
    {ALL, "ssim", "bf16", full_hd},
    {CPU, "ssim", "f64", full_hd},
    // how the images lie, and what else is read or written
    {ALL, "ssim", "f32", "1x3x1080x1920,nhwc"},
    {ALL, "ssim", "f32", "1x3x1080x1919,crop"},
    {ALL, "ssim", "f32", "1x3x1080x1920,mask"},
    {ALL, "ssim", "f32", "1x3x1080x1920,both"},
    // that time grows with the pixels alone
    {CPU, "ssim", "f32", "1x1x256x256"},
    {CPU, "ssim", "f32", "1x1x1024x1024"},
    {CPU, "ssim", "f32", "1x1x2048x2048"},
    {CPU, "ssim", "f32", "1x1x4096x4096"},
    {CPU, "ssim", "f32", "1x1x8192x8192"},
    // in a network, with random weights
    {CPU, "features(net=vgg16)", "f32", "4x3x256x256"},
    {CPU, "features(net=vgg16)", "f32", "4x3x256x256,kept"},
    {CUDA, "features(net=vgg16)", "f16", "4x3x256x256"},
    {CUDA, "features(net=vgg16)", "f16", "4x3x256x256,kept"},
    {CUDA, "features(net=vgg16, precision=tf32)", "f32", "4x3x256x256"},
    {CUDA, "features(net=vgg16)", "f32", "4x3x256x256"},
    {CPU, "lpips(net=vgg16)", "f32", "4x3x256x256"},
    // one image, summed
    {CPU, "reduce(sum)", "f32", full_hd},
    {CPU, "reduce(l2)", "f32", full_hd},
    {CUDA, "reduce(sum)", "f32", films},
    {CUDA, "reduce(mean)", "f32", films},
    {CUDA, "reduce(l2)", "f32", films},
    {CUDA, "fma", "f32", tiny},
    {CUDA, "memcpy", "f32", tiny},
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

struct Reduce {
    const char *name;
    pxl_reduce_kind kind;
};
constexpr Reduce reductions[] = {{"reduce(sum)", PXL_REDUCE_SUM}, {"reduce(mean)", PXL_REDUCE_MEAN},
                                 {"reduce(min)", PXL_REDUCE_MIN}, {"reduce(max)", PXL_REDUCE_MAX},
                                 {"reduce(l1)", PXL_REDUCE_L1},   {"reduce(l2)", PXL_REDUCE_L2}};

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
    if (word == "kept") return parsed.kept = true;
    if ((word == "warm" || word == "graph") && parsed.device == "cpu")
        throw std::invalid_argument("--size=...," + word + ": " + word + " needs --device=cuda");
    if (word == "warm") return parsed.warm = true;
    if (word == "graph") return parsed.graph = true;
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
                                    "all, then perhaps ,nhwc or ,crop, ,mask, ,both, and on cuda ,warm or ,graph");
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
    if (is_roof()) return device + "/" + loss;
    return device + "/" + without_spaces(loss) + "/" + dtype_name + "/" + size_name + (gradient ? "/gradient" : "/value");
}

pxl_reduce_kind Case::reduce_kind() const {
    for (const Reduce &reduction : reductions)
        if (loss == reduction.name) return reduction.kind;
    throw std::invalid_argument("--loss=" + loss + ": there are sum, mean, min, max, l1, l2");
}

std::vector<Case> cases_of(const std::string &device, const std::string &loss, const std::string &dtype,
                           const std::string &size) {
    Case gradient{};
    gradient.device = device, gradient.loss = loss, gradient.dtype_name = dtype, gradient.size_name = size;
    gradient.gradient = true, gradient.dtype = parse_dtype(dtype);
    parse_size(size, gradient);
    if (gradient.is_reduction()) gradient.reduce_kind();
    Case value = gradient;
    value.gradient = false;
    if (gradient.is_roof()) return {value};
    std::vector<Case> cases;
    if (!gradient.both && !gradient.graph) cases.push_back(value);
    if (!gradient.is_reduction()) cases.push_back(gradient);
    if (gradient.is_copy() || gradient.graph) return cases;
    const std::string dense = size.substr(0, size.find(','));
    std::vector<Case> copies = cases_of(device, "copy", dtype, gradient.warm ? dense + ",warm" : dense);
    if (gradient.is_reduction()) copies.pop_back(); // it writes nothing
    cases.insert(cases.end(), copies.begin(), copies.end());
    return cases;
}

std::vector<Case> default_cases(const std::string &device) {
    std::vector<Case> cases;
    for (const Row &row : rows)
        if (row.devices & (device == "cpu" ? CPU : CUDA)) add(cases_of(device, row.loss, row.dtype, row.size), cases);
    return cases;
}
