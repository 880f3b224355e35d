/* Holds the library to what other libraries compute: tests/data/known_values.json, written by tests/data/make_known_values.py,
 * which says what the fields mean. The target of a case is a committed photograph, cropped or mirrored; the prediction is made
 * from it in integers, here as there. Every entry is checked in f64, against the library's own precision; in f32; and in u8
 * where the value does not depend on the scale. What the largest errors were is printed: pixloss_tests
 * --gtest_filter='*KnownValues.Match*'. */
#include <gtest/gtest.h>
#include <pixloss/pixloss.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "device_buffer.h"

namespace {
using nlohmann::json;

/* What f32 may add to an entry's tolerance: of a value, relative; of a gradient or a map, relative to its largest element. An
 * 8-bit value times 1/255 is off by 6e-8 of itself in f32, the difference of two close ones by much more of itself. */
constexpr double kFloatValue = 5e-6, kFloatElement = 3e-5;

std::string path_of(const std::string &file) { return PXL_TEST_DATA "/../../" + file; }

const json &known_values() {
    static const json values = [] {
        std::ifstream file(path_of("tests/data/known_values.json"));
        return file ? json::parse(file) : json::object({{"entries", json::array()}, {"tolerances", {}}, {"cases", {}}});
    }();
    return values;
}

/* ---- Images --------------------------------------------------------------------------------------------------------- */
struct Planes {
    int64_t channels = 0, height = 0, width = 0;
    std::vector<uint8_t> data; // [c,y,x]
    uint8_t &at(int64_t c, int64_t y, int64_t x) { return data[(c * height + y) * width + x]; }
    uint8_t at(int64_t c, int64_t y, int64_t x) const { return data[(c * height + y) * width + x]; }
};

Planes make_planes(int64_t channels, int64_t height, int64_t width) {
    return {channels, height, width, std::vector<uint8_t>(channels * height * width)};
}

Planes read_png(const std::string &file) {
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path_of(file).c_str())) return {};
    image.format = image.format & PNG_FORMAT_FLAG_COLOR ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    std::vector<uint8_t> bytes(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr)) return {};
    const int64_t channels = PNG_IMAGE_PIXEL_CHANNELS(image.format);
    Planes planes = make_planes(channels, image.height, image.width);
    for (int64_t i = 0; i < static_cast<int64_t>(bytes.size()); i++) // [y,x,c]
        planes.at(i % channels, i / channels / planes.width, i / channels % planes.width) = bytes[i];
    return planes;
}

int64_t mirrored(int64_t i, int64_t size) { // abc|cba|abc
    const int64_t r = i % (2 * size);
    return r < size ? r : 2 * size - 1 - r;
}

Planes make_target(const json &spec) {
    const Planes photo = read_png(spec["file"]);
    const bool crop = !spec["crop"].is_null();
    const int64_t top = crop ? spec["crop"][0].get<int64_t>() : 0, left = crop ? spec["crop"][1].get<int64_t>() : 0;
    const int64_t height = crop ? spec["crop"][2].get<int64_t>() : photo.height * spec["tile"][0].get<int64_t>();
    const int64_t width = crop ? spec["crop"][3].get<int64_t>() : photo.width * spec["tile"][1].get<int64_t>();
    Planes target = make_planes(photo.channels, height, width);
    for (int64_t c = 0; c < target.channels; c++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++)
                target.at(c, y, x) = photo.at(c, mirrored(top + y, photo.height), mirrored(left + x, photo.width));
    return target;
}

Planes blurred(const Planes &in) { // 3 x 3 mean, edge pixels replicated
    Planes out = in;
    for (int64_t c = 0; c < in.channels; c++)
        for (int64_t y = 0; y < in.height; y++)
            for (int64_t x = 0; x < in.width; x++) {
                int sum = 0;
                for (int64_t v = y - 1; v <= y + 1; v++)
                    for (int64_t u = x - 1; u <= x + 1; u++)
                        sum += in.at(c, std::clamp<int64_t>(v, 0, in.height - 1), std::clamp<int64_t>(u, 0, in.width - 1));
                out.at(c, y, x) = static_cast<uint8_t>((sum + 4) / 9);
            }
    return out;
}

uint64_t splitmix64(uint64_t x) {
    uint64_t z = x + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

Planes distorted(Planes planes, const json &distortion) {
    for (int i = 0; i < distortion["blur"].get<int>(); i++) planes = blurred(planes);
    const int noise = distortion["noise"], offset = distortion["offset"];
    const uint64_t seed = distortion["seed"];
    for (uint64_t i = 0; i < planes.data.size(); i++) {
        const uint64_t hash = splitmix64((seed << 32) + i) >> 32;
        const int value = planes.data[i] + offset + static_cast<int>(hash * (2 * noise + 1) >> 32) - noise;
        planes.data[i] = static_cast<uint8_t>(std::clamp(value, 0, 255));
    }
    return planes;
}

std::string fnv1a(const std::vector<uint8_t> &data) { // of every 97th byte
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < data.size(); i += 97) h = (h ^ data[i]) * 0x100000001B3u;
    char text[17];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
    return text;
}

struct Photographs {
    std::array<int64_t, 4> size{}; // N, C, H, W
    std::vector<uint8_t> pred, target;
};

const Photographs &images_of(const std::string &name) {
    static std::map<std::string, Photographs> made;
    if (auto it = made.find(name); it != made.end()) return it->second;
    Photographs &pair = made[name];
    const json &images = known_values()["cases"][name]["images"];
    for (const json &spec : images) {
        const Planes target = make_target(spec), pred = distorted(target, spec["distortion"]);
        pair.size = {static_cast<int64_t>(images.size()), target.channels, target.height, target.width};
        pair.target.insert(pair.target.end(), target.data.begin(), target.data.end());
        pair.pred.insert(pair.pred.end(), pred.data.begin(), pred.data.end());
    }
    return pair;
}

/* ---- One evaluation ------------------------------------------------------------------------------------------------- */
template <typename T>
constexpr pxl_dtype kType = sizeof(T) == 1   ? PXL_U8
                            : sizeof(T) == 4 ? PXL_F32
                                             : PXL_F64;

template <typename T>
std::vector<T> scaled(const std::vector<uint8_t> &bytes) {
    std::vector<T> out(bytes.size());
    for (size_t i = 0; i < bytes.size(); i++)
        out[i] = sizeof(T) == 1 ? static_cast<T>(bytes[i]) : static_cast<T>(bytes[i] / 255.0);
    return out;
}

template <typename T>
using Array = std::unique_ptr<DeviceArray<T>>;

template <typename T>
Array<T> array(const std::vector<T> &values) {
    return std::make_unique<DeviceArray<T>>(tested_device(), values);
}
template <typename T>
Array<T> array(size_t count) { // full of NaN
    return std::make_unique<DeviceArray<T>>(tested_device(), count);
}

template <typename T>
pxl_tensor view(const Array<T> &data, const std::array<int64_t, 4> &s) {
    return pxl_nchw(data->data(), kType<T>, tested_device().id(), s[0], s[1], s[2], s[3]);
}

template <typename T>
std::vector<double> as_double(const Array<T> &data) {
    if (!data) return {};
    const std::vector<T> values = data->get();
    return {values.begin(), values.end()};
}

struct Results {
    double value = NAN;
    std::vector<double> gradient, map;
};

#define REQUIRE_OK(call) ASSERT_EQ(call, PXL_OK) << pxl_error_message()

struct LossDeleter {
    void operator()(pxl_loss *loss) const { pxl_loss_destroy(loss); }
};

void run(const pxl_loss *loss, const pxl_args &args) {
    size_t bytes = 0;
    REQUIRE_OK(pxl_workspace_size(nullptr, loss, &args, &bytes));
    const DeviceBuffer workspace(tested_device(), bytes);
    REQUIRE_OK(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr));
    REQUIRE_OK(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr));
}

template <typename T>
void evaluate(const json &entry, Results &outcome) {
    const Photographs &pair = images_of(entry["case"]);
    const Array<T> pred_data = array(scaled<T>(pair.pred)), target_data = array(scaled<T>(pair.target));
    Array<T> gradient_data;
    using Map = std::conditional_t<sizeof(T) == 8, double, float>;
    Array<Map> map_data;
    const pxl_tensor pred = view(pred_data, pair.size), target = view(target_data, pair.size);
    pxl_tensor gradient, map;
    pxl_args args = PXL_ARGS(&pred, &target);

    pxl_loss *parsed = nullptr;
    REQUIRE_OK(pxl_loss_parse(entry["expression"].get<std::string>().c_str(), nullptr, &parsed));
    std::unique_ptr<pxl_loss, LossDeleter> loss(parsed);
    const int64_t row = 1 + pxl_loss_term_count(parsed);
    const Array<double> values = array<double>(pair.size[0] * row);
    args.values = values->data();
    args.per_image = entry.contains("image");
    if (entry.contains("gradient") && sizeof(T) > 1) {
        gradient_data = array<T>(pair.pred.size());
        gradient = view(gradient_data, pair.size);
        args.grad_pred = &gradient;
    }
    if (entry.contains("map")) {
        const std::array<int64_t, 4> size = entry["map"]["shape"];
        map_data = array<Map>(size[0] * size[1] * size[2] * size[3]);
        map = view(map_data, size);
        args.map = &map;
    }
    run(parsed, args);
    outcome.value = values->get()[args.per_image ? entry["image"].get<int64_t>() * row : 0];
    outcome.gradient = as_double(gradient_data);
    outcome.map = as_double(map_data);
}

/* ---- Comparison ----------------------------------------------------------------------------------------------------- */
double number(const json &value) {
    return value.is_string() ? std::strtod(value.get<std::string>().c_str(), nullptr) : value.get<double>();
}

void expect_close(double got, double expected, double tolerance, const std::string &what) {
    if (std::isinf(expected)) {
        EXPECT_EQ(got, expected) << what;
        return;
    }
    EXPECT_TRUE(std::abs(got - expected) <= tolerance) // false for NaN
        << what << ": " << std::hexfloat << got << std::defaultfloat << " = " << got << ", expected " << expected << ", off by "
        << got - expected << ", allowed " << tolerance;
}

/* The largest errors so far of one type's entries: of the values, relative; of gradients and maps at the pixels of the file,
 * relative to the largest element. */
struct Worst {
    int entries = 0;
    double value = 0, gradient = 0, map = 0;
};
void note_error(double got, double expected, double relative_to, double &worst) {
    if (relative_to != 0 && std::isfinite(expected)) worst = std::max(worst, std::abs(got - expected) / std::abs(relative_to));
}

/* An array against its checksums. `tolerance` is relative to the largest element, and for the sums to what is summed. */
void expect_checksums(const std::vector<double> &got, const json &expected, double tolerance, const std::string &what,
                      double &worst) {
    const std::array<int64_t, 4> size = expected["shape"];
    double sum = 0, absolute = 0, squares = 0;
    for (double g : got) {
        sum += g;
        absolute += std::abs(g);
        squares += g * g;
    }
    const double all = expected["absolute"], all_squares = expected["squares"], largest = expected["largest"];
    expect_close(sum, expected["sum"], tolerance * all, what + ", sum");
    expect_close(absolute, all, tolerance * all, what + ", sum of absolute values");
    expect_close(squares, all_squares, 2 * tolerance * all_squares, what + ", sum of squares");
    for (const json &p : expected["pixels"]) {
        const int64_t n = p[0], c = p[1], y = p[2], x = p[3];
        const int64_t at = ((n * size[1] + c) * size[2] + y) * size[3] + x;
        ASSERT_LT(at, static_cast<int64_t>(got.size()));
        expect_close(got[at], p[4], tolerance * largest, what + " at " + p.dump());
        note_error(got[at], p[4], largest, worst);
    }
}

template <typename T>
void check(const json &entry, Worst &worst) {
    SCOPED_TRACE(entry["id"].get<std::string>() + ": " + entry["expression"].get<std::string>() + " on " +
                 (sizeof(T) == 1   ? "u8"
                  : sizeof(T) == 4 ? "f32"
                                   : "f64") +
                 " images; " + entry["source"].get<std::string>());
    Results outcome;
    ASSERT_NO_FATAL_FAILURE(evaluate<T>(entry, outcome));
    const json &tolerance = known_values()["tolerances"][entry["tolerance"].get<std::string>()];
    const double expected = number(entry["value"]), relative = tolerance["relative"], in_float = sizeof(T) == 8 ? 0 : 1;
    const double absolute = in_float != 0 ? tolerance.value("absolute_in_float", tolerance["absolute"].get<double>())
                                          : tolerance["absolute"].get<double>();
    expect_close(outcome.value, expected, absolute + (relative + in_float * kFloatValue) * std::abs(expected), "value");
    worst.entries++;
    note_error(outcome.value, expected, expected, worst.value);
    const double element = 10 * relative + in_float * kFloatElement; // a gradient adds filters to those of the value
    if (!outcome.gradient.empty()) expect_checksums(outcome.gradient, entry["gradient"], element, "gradient", worst.gradient);
    if (!outcome.map.empty()) expect_checksums(outcome.map, entry["map"], element, "map", worst.map);
}

/* ---- The tests ------------------------------------------------------------------------------------------------------ */
std::string group_of(const json &entry) { // "ssim.skimage" of "ssim.skimage/astronaut"
    const std::string id = entry["id"];
    return id.substr(0, id.find('/'));
}

std::vector<std::string> groups() {
    std::vector<std::string> names;
    for (const json &entry : known_values()["entries"]) names.push_back(group_of(entry));
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

TEST(KnownValuesFile, IsThereAndComplete) {
    EXPECT_GT(known_values()["entries"].size(), 250u) << "tests/data/known_values.json; scripts/known_values.sh makes it";
}

TEST(KnownValuesFile, ImagesAreThoseOfPython) {
    for (const auto &[name, description] : known_values()["cases"].items()) {
        const Photographs &pair = images_of(name);
        EXPECT_EQ((std::vector<int64_t>(pair.size.begin(), pair.size.end())), description["shape"].get<std::vector<int64_t>>())
            << name;
        EXPECT_EQ(fnv1a(pair.pred), description["pred_fnv1a"]) << name;
        EXPECT_EQ(fnv1a(pair.target), description["target_fnv1a"]) << name;
    }
}

void print_worst(const char *type, const Worst &worst) {
    if (worst.entries == 0) return;
    std::printf("  %s: %d values to %.1e", type, worst.entries, worst.value);
    if (worst.gradient > 0) std::printf(", gradients to %.1e", worst.gradient);
    if (worst.map > 0) std::printf(", maps to %.1e", worst.map);
    std::printf("\n");
}

class KnownValues : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KnownValues);

TEST_P(KnownValues, Match) {
    Worst doubles, floats, bytes;
    for (const json &entry : known_values()["entries"]) {
        if (group_of(entry) != GetParam()) continue;
        if (tested_device().computes(PXL_F64)) check<double>(entry, doubles);
        check<float>(entry, floats);
        if (entry.value("u8", false)) check<uint8_t>(entry, bytes);
    }
    print_worst("f64", doubles), print_worst("f32", floats), print_worst("u8", bytes);
}

INSTANTIATE_TEST_SUITE_P(Libraries, KnownValues, testing::ValuesIn(groups()),
                         [](const testing::TestParamInfo<std::string> &info) {
                             std::string name = info.param;
                             std::replace_if(
                                 name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
                             return name;
                         });
} // namespace
