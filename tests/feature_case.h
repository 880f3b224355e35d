// Perceptual terms in tests: small networks with the same numbers in the library and in the oracle, and what calls with them give.
#ifndef TESTS_FEATURE_CASE_H
#define TESTS_FEATURE_CASE_H
#include "make_case.h"
#include "oracle/features.h"

struct FreeNetwork {
    void operator()(pxl_network *network) const { pxl_network_destroy(network); }
};
using NetworkPtr = std::unique_ptr<pxl_network, FreeNetwork>;

struct Model {
    std::string name;
    oracle::Network layers;
    std::vector<std::vector<double>> linear; // of each layer; empty: none
    NetworkPtr network;
};
// "3:8,c8k5,M,R,A": as pxl_network_random has it, and c8 for a convolution that no ReLU follows, R for a ReLU alone. Weights, biases
// and, on all layers, linear weights from the oracle's generator. Made once for each text.
const Model &model_of(const std::string &text);
// The same numbers as pxl_layers, in `memory`.
std::vector<pxl_layer> library_layers(const Model &model, std::vector<std::vector<float>> &memory);

// A term in the model's network, named after it. `layers`: as in the manual; empty: the default.
pxl_term in_network(const Model &model, pxl_term_kind kind, const std::string &layers = "");
// The oracle's term, by the manual. L: the data range.
oracle::FeatureTerm oracle_term(const pxl_term &term, double L);
bool is_perceptual(pxl_term_kind kind);

// Terms of all kinds together; every perceptual one made by in_network.
oracle::Result feature_reference(const Case &test, const oracle::Inputs &inputs);
testing::AssertionResult features_agree(const Case &test, const Outcome &outcome, const oracle::Result &expected);
// Values and gradients of the library are the oracle's. float32 sees one of the ReLUs, poolings and penalties that stand within its
// rounding of their kink on the other side now and then, which moves a gradient by more than any tolerance of use; so one of three
// draws of the images has to agree. An error would be in all.
testing::AssertionResult agrees_with_oracle(Case test);

// A case with perceptual terms, whose every condition is drawn at random.
Case random_feature_case(std::mt19937 &random);

// GPUs do not take images of f64: those of the types that the tested device takes.
bool computes_f64();
std::vector<pxl_dtype> dtypes_of_images(std::vector<pxl_dtype> dtypes);

// Skips the test where networks cannot be computed.
#define SKIP_WITHOUT_NETWORKS()                       \
    do {                                              \
        const std::string reason = why_no_networks(); \
        if (!reason.empty()) GTEST_SKIP() << reason;  \
    } while (false)
std::string why_no_networks();
#endif
