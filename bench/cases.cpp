#include "cases.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace {

constexpr const char *yardsticks = "Yardsticks"; // the heading of all copies

enum Devices { HEADING = 0, CPU = 1, CUDA = 2, ALL = 3 };
struct Row {
    Devices devices;
    const char *losses; // separated by spaces; the text of a heading
    const char *dtype, *sizes;
};
constexpr Row heading(const char *text) { return {HEADING, text, nullptr, nullptr}; }
// The list. A row is timed for the value and for the gradient; the copies are added by themselves.
constexpr const char *full_hd = "1x3x1080x1920", *batch = "16x1x256x256", *tiny = "1x1x64x64", *films = "5x5x1080x1920";
constexpr const char *thin = "1x1x512x512 1x1x65536x4 1x1x4x65536", *thinnest = "1x1x262144x1 1x1x1x262144";
constexpr const char *mixture = "0.5*mse+0.5*ssim+0.1*sobel";
constexpr Row rows[] = {
    heading("SSIM and mixtures"),
    {CUDA, "ssim", "f32", films},
    {ALL, "ssim", "f32", full_hd},
    {CPU, "ssim", "f32", "16x1x256x256 1x1x64x64"},
    {CUDA, "ssim", "f32", "16x3x256x256 16x3x256x256,warm 1x3x256x256,graph 1x1x64x64,graph"},
    {CUDA, "0.8*l1+0.2*ssim", "f32", films},
    {ALL, mixture, "f32", full_hd},
    {CPU, mixture, "f32", batch},
    {CPU, mixture, "f32", tiny},
    {CPU, "0.84*ssim+0.16*l1", "f32", full_hd},
    heading("MS-SSIM"),
    {ALL, "ms_ssim 0.84*ms_ssim+0.16*l1 0.84*ms_ssim+0.16*l1+0.1*sobel", "f32", full_hd},
    {ALL, "ms_ssim", "f32", "1x3x1080x1920,both"},
    {ALL, "ms_ssim", "f16", full_hd},
    {CPU, "ms_ssim(preset=vainf)", "f32", full_hd}, // pytorch-msssim's
    {CUDA, "ms_ssim", "f32", "5x5x1080x1920 1x3x1080x1920,graph"},
    heading("Without a window"),
    {CPU, "mse l1 huber charbonnier pseudo_huber log_cosh tv tv(root) sobel laplacian", "f32", full_hd},
    {CUDA, "mse l1 charbonnier tv sobel laplacian", "f32", films},
    heading("Windows and borders"),
    {ALL, "ssim(preset=skimage)", "f32", full_hd},
    {CUDA, "ssim(preset=torchmetrics,data_range=1)", "f32", full_hd},
    {ALL, "ssim(window=33) ssim(window=65) ssim(window=11:5)", "f32", full_hd},
    {CPU, "ssim(border=reflect)", "f32", full_hd},
    {CUDA, "ssim(border=zero)", "f32", films}, // fused-ssim's
    {ALL, "ssim(border=zero)", "f32", full_hd},
    heading("Other windowed terms"),
    {CPU, "ssim(alpha=2) contrast structure luminance dssim+luminance", "f32", full_hd},
    {CPU, "ssim", "f32", "1x3x1080x1920,map 1x3x1080x1920,statistics"},
    heading("Blur"),
    {ALL, "blur", "f32", full_hd},
    {CPU, "blur(window=21,sigma=3) blur(window=101,sigma=14) blur(window=255,sigma=36)", "f32", full_hd},
    {CPU, "filter(blur,21) filter(blur,101) filter(blur,255)", "f32", full_hd},
    heading("Types"),
    {ALL, "ssim", "f16", full_hd},
    {ALL, "ssim", "bf16", full_hd},
    {CPU, "ssim", "f64", full_hd},
    {ALL, "ssim", "f16", "1x3x1080x1920,mixed"},
    heading("How the images lie, and what else is read or written"),
    {ALL, "ssim", "f32", "1x3x1080x1920,nhwc 1x3x1080x1919,crop 1x3x1080x1920,mask 1x3x1080x1920,both"},
    {ALL, "ssim", "f32", "1x3x1080x1920,accumulate"},
    heading("Time grows with the pixels alone"),
    {CPU, "ssim", "f32", "1x1x256x256 1x1x1024x1024 1x1x2048x2048 1x1x4096x4096 1x1x8192x8192"},
    heading("Thin images beside a square one of as many pixels"),
    {CPU, "mse l1 sobel laplacian tv ssim(border=zero)", "f32", thin},
    {CPU, "l1 sobel tv ssim(border=zero)", "f32", thinnest},
    heading("In a network, with random weights"),
    {CPU, "features(net=vgg16-random)", "f32", "4x3x256x256 4x3x256x256,kept"},
    {CUDA, "features(net=vgg16-random)", "f16", "4x3x256x256 4x3x256x256,kept"},
    {CUDA, "features(net=vgg16-random,precision=tf32) features(net=vgg16-random)", "f32", "4x3x256x256"},
    {CPU, "lpips(net=vgg16-random)", "f32", "4x3x256x256"},
    heading("One image, reduced"),
    {CPU, "reduce(sum) reduce(mean) reduce(min) reduce(max) reduce(l1) reduce(l2)", "f32", full_hd},
    {CUDA, "reduce(sum) reduce(mean) reduce(l2)", "f32", films},
    heading(yardsticks),
    {ALL, "fma", "f32", tiny},
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
    if (word == "accumulate") return parsed.accumulate = true;
    if (word == "mixed") return parsed.mixed = true;
    if (word == "kept") return parsed.kept = true;
    if (word == "map") return parsed.map = true;
    if (word == "statistics") return parsed.statistics = true;
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
                                    "all, then perhaps ,nhwc or ,crop, ,mask, ,both, ,accumulate, ,mixed, ,kept, ,map or "
                                    ",statistics, and on cuda ,warm or ,graph");
}

std::string without_spaces(std::string text) {
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    return text;
}

std::vector<std::string> split(const std::string &text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// Adds cases that are not there yet.
void add(const std::vector<Case> &from, const std::string &group, std::vector<Case> &to) {
    for (const Case &one : from) {
        if (std::any_of(to.begin(), to.end(), [&](const Case &other) { return other.name() == one.name(); })) continue;
        to.push_back(one);
        to.back().group = one.is_copy() ? yardsticks : group;
    }
}

// The loops that move as many arrays as a case does.
std::vector<Case> copies_beside(const Case &test) {
    const std::string dense = test.size_name.substr(0, test.size_name.find(',')), size = test.warm ? dense + ",warm" : dense;
    std::vector<Case> copies = cases_of(test.device, test.reads_one() ? "sweep" : "copy", test.dtype_name, size);
    if (test.is_reduction()) copies.pop_back(); // it writes nothing
    return copies;
}

void check_output(const Case &test) {
    if (!test.wants_output()) return;
    if (!test.is_expression() || test.map == test.statistics || test.both || test.kept || test.graph)
        throw std::invalid_argument("--size=" + test.size_name +
                                    ": ,map or ,statistics is for a loss, without ,both, ,kept, ,graph");
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

bool Case::reads_one() const {
    return loss == "sweep" || is_reduction() || is_filter() || (loss.rfind("tv", 0) == 0 && loss.find('+') == std::string::npos);
}

// The default of a Gaussian with as many taps.
pxl_filter Case::filter() const {
    pxl_filter filter = PXL_FILTER(PXL_FILTER_BLUR);
    int taps = 0, end = 0;
    const bool read = std::sscanf(loss.c_str(), "filter(blur,%4d)%n", &taps, &end) == 1 && size_t(end) == loss.size();
    if (!read || taps < 3 || taps > 1023 || taps % 2 == 0)
        throw std::invalid_argument("--loss=" + loss + ": there is filter(blur,TAPS), with an odd number from 3 to 1023");
    filter.window = taps, filter.sigma = double(taps - 1) / 7;
    return filter;
}

std::vector<Case> cases_of(const std::string &device, const std::string &loss, const std::string &dtype,
                           const std::string &size) {
    Case gradient{};
    gradient.device = device, gradient.loss = loss, gradient.dtype_name = dtype, gradient.size_name = size;
    gradient.gradient = true, gradient.dtype = parse_dtype(dtype);
    parse_size(size, gradient);
    if (gradient.is_reduction()) gradient.reduce_kind();
    if (gradient.is_filter()) gradient.filter();
    check_output(gradient);
    Case value = gradient;
    value.gradient = false;
    if (gradient.is_roof()) return {value};
    std::vector<Case> cases;
    if (!gradient.both && !gradient.graph) cases.push_back(value);
    if (!gradient.is_reduction() && !gradient.wants_output()) cases.push_back(gradient);
    if (gradient.is_copy() || gradient.graph) return cases;
    const std::vector<Case> copies = copies_beside(gradient);
    cases.insert(cases.end(), copies.begin(), copies.end());
    return cases;
}

std::vector<Case> default_cases(const std::string &device) {
    std::vector<Case> cases;
    std::string group;
    for (const Row &row : rows) {
        if (row.devices == HEADING) group = row.losses;
        if (!(row.devices & (device == "cpu" ? CPU : CUDA))) continue;
        for (const std::string &loss : split(row.losses))
            for (const std::string &size : split(row.sizes)) add(cases_of(device, loss, row.dtype, size), group, cases);
    }
    return cases;
}
