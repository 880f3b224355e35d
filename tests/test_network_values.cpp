/* Holds networks' feature losses to what torch computes: tests/data/network_values.json, written by
 * tests/data/make_network_values.py, which says what the fields mean. The networks' weights and the images come from a generator
 * that is here as well as there. each_case() yields the cases, ready to be evaluated. */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
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

/* ---- The library ---------------------------------------------------------------------------------------------------- */
struct FreeNetwork {
    void operator()(pxl_network *network) const { pxl_network_destroy(network); }
};
struct FreeLoss {
    void operator()(pxl_loss *loss) const { pxl_loss_destroy(loss); }
};

std::vector<float> floats(const std::vector<double> &from) { return {from.begin(), from.end()}; }

/* The same network; linear weights on the layers that the term chose. */
std::unique_ptr<pxl_network, FreeNetwork> library_network(const NetworkCase &one) {
    const pxl_layer_kind kinds[] = {PXL_CONVOLUTION, PXL_RELU, PXL_MAX_POOL, PXL_AVERAGE_POOL};
    std::vector<pxl_layer> layers;
    std::vector<std::vector<float>> memory;
    memory.reserve(3 * one.network.size());
    const auto keep = [&memory](const std::vector<double> &from) { return memory.emplace_back(floats(from)).data(); };
    for (const oracle::Layer &from : one.network) {
        pxl_layer layer = PXL_LAYER(kinds[from.kind]);
        if (from.kind == oracle::Layer::CONVOLUTION) {
            layer.inputs = from.inputs, layer.outputs = from.outputs, layer.size = from.size;
            layer.weight = keep(from.weight), layer.bias = keep(from.bias);
        }
        layers.push_back(layer);
    }
    for (size_t k = 0; k < one.term.linear.size(); k++) layers[one.term.layers[k]].linear = keep(one.term.linear[k]);
    pxl_network *network = nullptr;
    EXPECT_EQ(pxl_network_create(layers.data(), layers.size(), &network), PXL_OK) << pxl_error_message();
    return std::unique_ptr<pxl_network, FreeNetwork>(network);
}

/* lpips, style and cosine where the case is one of these, else features. */
pxl_term library_term(const NetworkCase &one, const pxl_network *network, const std::string &layers) {
    const FeatureTerm &from = one.term;
    const bool lpips = !from.linear.empty(), gram = from.transform == FeatureTerm::GRAM;
    pxl_term term = PXL_TERM(lpips ? PXL_LPIPS : gram ? PXL_STYLE : PXL_FEATURES, 1);
    term.network = network, term.layers = layers.c_str(), term.data_range = from.data_range;
    term.reduction = gram && from.reduction == PXL_SPATIAL ? PXL_MEAN : from.reduction;
    if (lpips) {
        term.reduction = PXL_MEAN;
        return term;
    }
    term.unit = from.transform == FeatureTerm::UNIT;
    term.penalty = from.penalty, term.penalty_param = from.param;
    const pxl_normalize normalize[] = {PXL_NORMALIZE_NONE, PXL_NORMALIZE_IMAGENET, PXL_NORMALIZE_LPIPS};
    term.normalize = normalize[from.normalize];
    return term;
}
std::string layers_of(const NetworkCase &one) {
    std::string text;
    for (size_t k = 0; k < one.term.layers.size(); k++) {
        if (k) text += ':';
        if (!one.term.layer_weights.empty()) text += json(one.term.layer_weights[k]).dump() + "*";
        text += std::to_string(one.term.layers[k]);
    }
    return text;
}
/* What the library has no term for: lpips' own epsilon, a mean over a Gram matrix' entries. */
bool library_has(const NetworkCase &one) {
    if (one.term.epsilon != FeatureTerm::INSIDE_ROOT) return false;
    if (!one.term.linear.empty())
        return one.term.normalize == FeatureTerm::LPIPS && one.term.reduction == PXL_SPATIAL && one.term.penalty == PXL_L2;
    return one.term.transform != FeatureTerm::GRAM || one.term.reduction != PXL_MEAN;
}

/* Of float32, in thousands of products for each output, through up to 16 convolutions; seen within a tenth of these. */
constexpr double kLibraryValue = 1e-5, kLibraryGradient = 1e-4;

struct LibraryResult {
    pxl_status status = PXL_OK;
    double value = 0;
    std::vector<float> grad_pred, grad_target;
};
LibraryResult run_library(const NetworkCase &one) {
    LibraryResult result;
    const auto network = library_network(one);
    const std::string layers = layers_of(one);
    const pxl_term term = library_term(one, network.get(), layers);
    pxl_loss *made = nullptr;
    result.status = pxl_loss_create(&term, 1, &made);
    const std::unique_ptr<pxl_loss, FreeLoss> loss(made);
    std::vector<float> x = floats(one.pred.v), y = floats(one.target.v);
    result.grad_pred = result.grad_target = std::vector<float>(x.size());
    const auto view = [&one](std::vector<float> &v) {
        return pxl_nchw(v.data(), PXL_F32, PXL_CPU_DEVICE, one.pred.n, one.pred.c, one.pred.h, one.pred.w);
    };
    const pxl_tensor pred = view(x), target = view(y), grad_pred = view(result.grad_pred), grad_target = view(result.grad_target);
    pxl_args args = PXL_ARGS(&pred, &target);
    double values[2] = {};
    args.values = values, args.grad_pred = &grad_pred, args.grad_target = &grad_target;
    size_t bytes = 0;
    if (!result.status) result.status = pxl_workspace_size(nullptr, loss.get(), &args, &bytes);
    std::vector<double> workspace(bytes / sizeof(double) + 2, std::nan("")); /* aligned to 16 bytes by malloc */
    if (!result.status) result.status = pxl_evaluate(nullptr, loss.get(), &args, workspace.data(), bytes, nullptr);
    result.value = values[1];
    return result;
}

/* The largest difference of an element, relative to the largest element. */
double worst(const std::vector<float> &got, const std::vector<double> &expected) {
    double difference = 0, largest = 0;
    for (size_t i = 0; i < got.size(); i++) {
        difference = std::max(difference, std::abs(got[i] - expected[i]));
        largest = std::max(largest, std::abs(expected[i]));
    }
    return difference / largest;
}
/* Among a million ReLUs and poolings, one often stands so near to its kink that float32 sees it open on the other side, which moves
 * the gradient by more than any tolerance of use. With pixels moved by 1e-5 it is another one or none, so one of a few tries has
 * to agree; an error of the library would be in all. */
void expect_gradients(NetworkCase one) {
    double pred = 0, target = 0;
    for (uint64_t attempt = 0; attempt < 6; attempt++) {
        for (size_t i = 0; i < one.pred.v.size() && attempt; i++) {
            const double step = std::ldexp(one.term.data_range, -16);
            one.pred.v[i] = std::max(0.0, one.pred.v[i] + step * std::floor(3 * oracle::uniform(attempt, 2, i) - 1));
            one.target.v[i] = std::max(0.0, one.target.v[i] + step * std::floor(3 * oracle::uniform(attempt, 3, i) - 1));
        }
        const LibraryResult got = run_library(one);
        const oracle::FeatureResult expected =
            oracle::evaluate(one.network, one.term, one.pred, one.target, oracle::batch_upstream(one.term, one.pred.n));
        pred = worst(got.grad_pred, expected.grad_pred.v), target = worst(got.grad_target, expected.grad_target.v);
        if (pred <= kLibraryGradient && target <= kLibraryGradient) return;
    }
    ADD_FAILURE() << "gradients are off by " << pred << " of pred's largest element, " << target << " of target's";
}

void check_library(const NetworkCase &one) {
    if (!library_has(one)) GTEST_SKIP() << "the library has no such term";
    const LibraryResult got = run_library(one);
    if (got.status == PXL_UNSUPPORTED) GTEST_SKIP() << pxl_error_message();
    ASSERT_EQ(got.status, PXL_OK) << pxl_error_message();
    expect_close(got.value, one.spec["value"], kLibraryValue * one.spec["value"].get<double>(), "value");
    expect_gradients(one);
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
TEST_P(NetworkValues, of_the_library) { each_case(GetParam(), check_library); }

std::vector<std::string> case_names(bool vgg) {
    std::vector<std::string> names;
    for (const json &spec : network_values()["cases"])
        if ((spec["architecture"].get<std::string>().rfind("vgg", 0) == 0) == vgg) names.push_back(spec["id"]);
    return names;
}

INSTANTIATE_TEST_SUITE_P(Torch, NetworkValues, testing::ValuesIn(case_names(false)),
                         [](const testing::TestParamInfo<std::string> &info) { return info.param; });
INSTANTIATE_TEST_SUITE_P(SlowTorch, NetworkValues, testing::ValuesIn(case_names(true)),
                         [](const testing::TestParamInfo<std::string> &info) { return info.param; });
} // namespace
