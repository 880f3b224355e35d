/* Holds networks' feature losses to what torch computes: tests/data/network_values.json, written by
 * tests/data/make_network_values.py, which says what the fields mean. The networks' weights and the images come from a generator
 * that is here as well as there. each_case() yields the cases, ready to be evaluated. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "oracle/features.h"

namespace {
using nlohmann::json;
using oracle::FeatureTerm;
using oracle::Image;
using oracle::Network;

/* Both sides compute in float64, in their own order: they differ by 5e-13 at most. */
constexpr double kTolerance = 1e-11;

const json &network_values() {
    static const json values = [] {
        std::ifstream file(PXL_TEST_DATA "/network_values.json");
        return file ? json::parse(file) : json::object({{"cases", json::array()}, {"weights", json::array()}});
    }();
    return values;
}

/* ---- A case --------------------------------------------------------------------------------------------------------- */
struct NetworkCase {
    const json &spec; /* with what is expected */
    const Network &network;
    FeatureTerm term;
    Image pred, target;
};

void fill_biases(Network &network, uint64_t seed) {
    uint64_t convolutions = 0;
    for (oracle::Layer &layer : network) {
        if (layer.kind != oracle::Layer::CONVOLUTION) continue;
        for (size_t o = 0; o < layer.bias.size(); o++) layer.bias[o] = oracle::uniform(seed, convolutions, o) - 0.5;
        convolutions++;
    }
}

/* The latest one is kept: a VGG takes 160 MB. */
const Network &network_of(const std::string &architecture, uint64_t seed, uint64_t bias_seed) {
    static std::string made;
    static Network network;
    const std::string wanted = architecture + "/" + std::to_string(seed) + "/" + std::to_string(bias_seed);
    if (made == wanted) return network;
    network = oracle::parse_architecture(architecture);
    oracle::fill_random(network, seed);
    if (bias_seed != 0) fill_biases(network, bias_seed);
    made = wanted;
    return network;
}

Image empty_image(const json &shape) { return Image(shape[0], shape[1], shape[2], shape[3]); }

/* Bytes times a scale. */
void fill_images(const json &spec, Image &pred, Image &target) {
    const uint64_t seed = spec["seed"];
    const double scale = spec["scale"];
    pred = target = empty_image(spec["shape"]);
    for (size_t i = 0; i < target.v.size(); i++) {
        const double byte = std::floor(256 * oracle::uniform(seed, 0, i));
        const double noise = std::floor(65 * oracle::uniform(seed, 1, i)) - 32;
        target.v[i] = byte * scale;
        pred.v[i] = std::clamp(byte + noise, 0.0, 255.0) * scale;
    }
}

template <typename Value>
Value one_of(const json &spec, const char *field, const std::vector<std::pair<std::string, Value>> &choices) {
    for (const auto &[name, value] : choices)
        if (spec[field] == name) return value;
    throw std::invalid_argument("network_values.json: " + std::string(field) + " = " + spec[field].dump());
}

FeatureTerm term_of(const json &spec, const Network &network) {
    FeatureTerm term;
    for (const std::string name : spec["layers"]) term.layers.push_back(oracle::layer_index(network, name));
    term.layer_weights = spec.value("layer_weights", std::vector<double>());
    term.penalty = one_of<pxl_penalty>(
        spec, "penalty",
        {{"l2", PXL_L2}, {"l1", PXL_L1}, {"huber", PXL_HUBER}, {"smooth_l1", PXL_SMOOTH_L1}, {"charbonnier", PXL_CHARBONNIER}});
    term.param = spec.value("param", 0.0);
    term.reduction = one_of<pxl_reduction>(spec, "reduction", {{"mean", PXL_MEAN}, {"sum", PXL_SUM}, {"spatial", PXL_SPATIAL}});
    term.transform = one_of<FeatureTerm::Transform>(
        spec, "transform", {{"none", FeatureTerm::NONE}, {"unit", FeatureTerm::UNIT}, {"gram", FeatureTerm::GRAM}});
    if (spec.contains("epsilon"))
        term.epsilon = one_of<FeatureTerm::Epsilon>(spec, "epsilon",
                                                    {{"inside root", FeatureTerm::INSIDE_ROOT}, {"added", FeatureTerm::ADDED}});
    term.normalize = one_of<FeatureTerm::Normalize>(
        spec, "normalize", {{"none", FeatureTerm::AS_IS}, {"imagenet", FeatureTerm::IMAGENET}, {"lpips", FeatureTerm::LPIPS}});
    term.data_range = spec["data_range"];
    return term;
}

std::vector<std::vector<double>> linear_weights(uint64_t seed, const FeatureTerm &term, const Network &network) {
    std::vector<std::vector<double>> linear(term.layers.size());
    for (size_t k = 0; k < linear.size(); k++)
        for (int c = 0; c < network[term.layers[k]].outputs; c++) linear[k].push_back(oracle::uniform(seed, k, c));
    return linear;
}

/* Calls visit(case) for the case of this name, or for all where it is empty. */
void each_case(const std::string &id, const std::function<void(const NetworkCase &)> &visit) {
    for (const json &spec : network_values()["cases"]) {
        if (!id.empty() && spec["id"] != id) continue;
        const Network &network = network_of(spec["architecture"], spec["seed"], spec.value("bias_seed", 0));
        NetworkCase one{spec, network, term_of(spec, network), {}, {}};
        if (spec.contains("linear_seed")) one.term.linear = linear_weights(spec["linear_seed"], one.term, network);
        fill_images(spec["images"], one.pred, one.target);
        visit(one);
    }
}

/* ---- Comparison ----------------------------------------------------------------------------------------------------- */
void expect_close(double got, double expected, double allowed, const std::string &what) {
    EXPECT_TRUE(std::abs(got - expected) <= allowed) /* false for NaN */
        << what << ": " << got << ", expected " << expected << ", off by " << got - expected << ", allowed " << allowed;
}

/* A gradient or a map; the tolerance is relative to its largest element. */
void expect_described(const std::vector<double> &got, const json &expected, double tolerance, const std::string &what) {
    double squares = 0, largest = 0;
    for (double g : got) {
        squares += g * g;
        largest = std::max(largest, std::abs(g));
    }
    expect_close(std::sqrt(squares), expected["norm"], tolerance * expected["norm"].get<double>(), what + ", norm");
    expect_close(largest, expected["largest"], tolerance * expected["largest"].get<double>(), what + ", largest");
    for (const json &element : expected["elements"]) {
        const size_t at = element[0];
        ASSERT_LT(at, got.size()) << what;
        expect_close(got[at], element[1], tolerance * expected["largest"].get<double>(), what + " at " + element.dump());
    }
}

/* values: of the images. */
void expect_values(const std::vector<double> &values, double of_batch, const json &spec, double tolerance) {
    ASSERT_EQ(values.size(), spec["values"].size());
    for (size_t n = 0; n < values.size(); n++) {
        const double expected = spec["values"][n];
        expect_close(values[n], expected, tolerance * std::abs(expected), "value of image " + std::to_string(n));
    }
    expect_close(of_batch, spec["value"], tolerance * std::abs(spec["value"].get<double>()), "value");
}

void check_oracle(const NetworkCase &one) {
    const oracle::FeatureResult result =
        oracle::evaluate(one.network, one.term, one.pred, one.target, oracle::batch_upstream(one.term, one.pred.n));
    ASSERT_NO_FATAL_FAILURE(expect_values(result.values, oracle::batch_value(one.term, result.values), one.spec, kTolerance));
    expect_described(result.grad_pred.v, one.spec["grad_pred"], kTolerance, "gradient of pred");
    expect_described(result.grad_target.v, one.spec["grad_target"], kTolerance, "gradient of target");
    if (!one.spec.contains("map")) return;
    const Image map = oracle::feature_map(one.network, one.term, one.pred, one.target);
    expect_described(map.v, one.spec["map"], kTolerance, "map");
}

/* ---- The tests ------------------------------------------------------------------------------------------------------ */
std::string checksum(const Network &network) { /* of the weights as float32; see checksum() in the script */
    uint64_t total = 0, convolution = 0;
    for (const oracle::Layer &layer : network) {
        if (layer.kind != oracle::Layer::CONVOLUTION) continue;
        convolution++;
        for (uint64_t i = 0; i < layer.weight.size(); i++) {
            const float weight = static_cast<float>(layer.weight[i]);
            uint32_t bits;
            memcpy(&bits, &weight, sizeof bits);
            total += convolution * (2 * i + 1) * bits;
        }
    }
    char text[17];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(total));
    return text;
}

TEST(NetworkValuesFile, is_there_and_complete) {
    EXPECT_GE(network_values()["cases"].size(), 35u) << "tests/data/network_values.json; make_network_values.py makes it";
}

TEST(NetworkValuesFile, weights_are_those_of_python) {
    for (const json &weights : network_values()["weights"])
        EXPECT_EQ(checksum(network_of(weights["architecture"], weights["seed"], 0)), weights["checksum"]) << weights;
}

class NetworkValues : public testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(NetworkValues);

TEST_P(NetworkValues, of_the_oracle) { each_case(GetParam(), check_oracle); }

std::vector<std::string> case_names() {
    std::vector<std::string> names;
    for (const json &spec : network_values()["cases"]) names.push_back(spec["id"]);
    return names;
}

INSTANTIATE_TEST_SUITE_P(Torch, NetworkValues, testing::ValuesIn(case_names()),
                         [](const testing::TestParamInfo<std::string> &info) { return info.param; });
} // namespace
