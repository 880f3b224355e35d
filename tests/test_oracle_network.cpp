// The reference's networks and feature losses: numbers worked out by hand, and gradients against differences of values. What
// torch computes of larger networks is in test_network_values.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>
#include <stdexcept>

#include "oracle/features.h"

namespace {
using oracle::FeatureTerm;
using oracle::Image;
using oracle::Layer;
using oracle::Network;

Image image_of(int64_t c, int64_t h, int64_t w, std::vector<double> values) {
    Image image(1, c, h, w);
    image.v = std::move(values);
    return image;
}

// Copies its input: 1 x 1, weight 1 from each channel to its own.
Network identity(int channels) {
    const std::string text = std::to_string(channels) + ":" + std::to_string(channels) + "k1";
    Network network = oracle::parse_architecture(text);
    for (int c = 0; c < channels; ++c) network[0].weight[c * channels + c] = 1;
    return network;
}

FeatureTerm first_layer() {
    FeatureTerm term;
    term.layers = {0};
    return term;
}

double value(const Network &network, const FeatureTerm &term, const Image &pred, const Image &target) {
    return oracle::batch_value(term, oracle::evaluate(network, term, pred, target, {}).values);
}

// ---- Names and weights ------------------------------------------------------------------------------------------------
TEST(OracleNetwork, layers_have_the_names_of_the_literature) {
    const Network network = oracle::parse_architecture("1:16,16,M,32k5,A,8");
    const std::vector<std::string> names = {"conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1",
                                            "conv2_1", "relu2_1", "pool2",   "conv3_1", "relu3_1"};
    EXPECT_EQ(oracle::layer_names(network), names);
    EXPECT_EQ(network[0].inputs, 1);
    EXPECT_EQ(network[5].inputs, 16);
    EXPECT_EQ(network[5].outputs, 32);
    EXPECT_EQ(network[5].size, 5);
    EXPECT_EQ(network[8].size, 3);
    EXPECT_EQ(network[4].kind, Layer::MAX_POOL);
    EXPECT_EQ(network[7].kind, Layer::AVERAGE_POOL);
    EXPECT_EQ(network[7].outputs, 32);
}

TEST(OracleNetwork, layers_of_vgg_are_numbered_as_in_torchvision) {
    const auto index = [](const char *architecture, const char *name) {
        return oracle::layer_index(oracle::parse_architecture(architecture), name);
    };
    EXPECT_EQ(index("vgg16", "relu1_2"), 3);
    EXPECT_EQ(index("vgg16", "relu2_2"), 8);
    EXPECT_EQ(index("vgg16", "relu3_3"), 15);
    EXPECT_EQ(index("vgg16", "relu4_3"), 22);
    EXPECT_EQ(index("vgg16", "relu5_3"), 29);
    EXPECT_EQ(index("vgg16", "pool5"), 30);
    EXPECT_EQ(index("vgg19", "conv5_4"), 34);
    EXPECT_EQ(index("vgg19", "relu5_4"), 35);
    EXPECT_EQ(index("vgg11", "conv2_1"), 3);
    EXPECT_EQ(index("vgg13", "relu5_2"), 23);
    EXPECT_EQ(index("vgg11", "20"), 20);
    EXPECT_EQ(index("vgg11", "21"), -1);
    EXPECT_EQ(index("vgg11", "relu1_2"), -1);
}

TEST(OracleNetwork, unknown_architectures_are_refused) {
    for (const char *text : {"", "vgg", "16,", "16,X", "k3", "16k", "16k4", "0", "1:", ":16", "16k3x", "a:16"})
        EXPECT_THROW(oracle::parse_architecture(text), std::invalid_argument) << text;
}

// Worked out in integers of unbounded size.
TEST(OracleNetwork, weights_come_from_splitmix) {
    EXPECT_EQ(oracle::uniform(0, 0, 0), 0);
    EXPECT_EQ(oracle::uniform(1, 0, 0), 14819496 / 16777216.0);
    EXPECT_EQ(oracle::uniform(1, 2, 3), 4077602 / 16777216.0);
    Network network = oracle::parse_architecture("6,6");
    oracle::fill_random(network, 1);
    EXPECT_EQ(network[0].weight.size(), 6u * 3 * 9);
    EXPECT_EQ(network[0].weight[0], static_cast<float>(std::sqrt(6.0 / 27) * (2 * 14819496 / 16777216.0 - 1)));
    EXPECT_EQ(network[2].weight[7], static_cast<float>(std::sqrt(6.0 / 54) * (2 * oracle::uniform(1, 1, 7) - 1)));
    EXPECT_EQ(network[2].bias, std::vector<double>(6, 0));
}

// ---- Layers by hand ---------------------------------------------------------------------------------------------------
Network one_kernel() {
    Network network = oracle::parse_architecture("1:1");
    network[0].weight = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    network[0].bias = {10};
    return network;
}

TEST(OracleNetwork, convolutions_are_correlations_with_zeros_around) {
    const std::vector<Image> outputs = oracle::forward(one_kernel(), image_of(1, 2, 2, {1, 2, 3, 4}), 0);
    EXPECT_EQ(outputs[1].v, (std::vector<double>{87, 77, 57, 47}));
    Network wide = oracle::parse_architecture("1:1k5");
    wide[0].weight[2 * 5 + 4] = 1; // two to the right
    EXPECT_EQ(oracle::forward(wide, image_of(1, 1, 4, {1, 2, 3, 4}), 0)[1].v, (std::vector<double>{3, 4, 0, 0}));
    Network two = oracle::parse_architecture("2:1k1");
    two[0].weight = {3, -1};
    EXPECT_EQ(oracle::forward(two, image_of(2, 1, 2, {1, 2, 10, 20}), 1)[1].v, (std::vector<double>{-7, -14}));
    EXPECT_EQ(oracle::forward(two, image_of(2, 1, 2, {1, 2, 10, 2}), 1)[2].v, (std::vector<double>{0, 4}));
}

TEST(OracleNetwork, convolutions_send_gradients_back_the_way_they_came) {
    const std::vector<Image> outputs = oracle::forward(one_kernel(), image_of(1, 2, 2, {1, 2, 3, 4}), 0);
    const std::vector<Image> grads = {Image(), image_of(1, 2, 2, {1, 0, 0, 0})};
    EXPECT_EQ(oracle::backward(one_kernel(), outputs, grads).v, (std::vector<double>{5, 6, 8, 9}));
}

TEST(OracleNetwork, poolings_leave_an_odd_row_and_column_out) {
    const Image input = image_of(1, 3, 5, {1, 2, 5, 7, 99, 4, 3, 6, 6, 99, 99, 99, 99, 99, 99});
    EXPECT_EQ(oracle::forward({{Layer::MAX_POOL, 1, 1, 0, {}, {}}}, input, 0)[1].v, (std::vector<double>{4, 7}));
    EXPECT_EQ(oracle::forward({{Layer::AVERAGE_POOL, 1, 1, 0, {}, {}}}, input, 0)[1].v, (std::vector<double>{2.5, 6}));
}

TEST(OracleNetwork, gradients_at_the_kinks_are_those_of_torch) {
    const Network pool = {{Layer::MAX_POOL, 1, 1, 0, {}, {}}}, relu = {{Layer::RELU, 1, 1, 0, {}, {}}};
    const auto back = [](const Network &network, const Image &input, const Image &grad) {
        return oracle::backward(network, oracle::forward(network, input, 0), {Image(), grad}).v;
    };
    EXPECT_EQ(back(pool, image_of(1, 2, 2, {1, 3, 3, 3}), image_of(1, 1, 1, {5})), (std::vector<double>{0, 5, 0, 0}));
    EXPECT_EQ(back(relu, image_of(1, 1, 3, {-1, 0, 2}), image_of(1, 1, 3, {5, 6, 7})), (std::vector<double>{0, 0, 7}));
}

// ---- Terms by hand ----------------------------------------------------------------------------------------------------
TEST(OracleFeatures, reductions_divide_by_their_counts) {
    const Image pred = image_of(2, 1, 3, {1, 2, 3, 4, 5, 6}), target = image_of(2, 1, 3, {0, 0, 0, 0, 0, 0});
    FeatureTerm term = first_layer();
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), 91 / 6.0);
    term.reduction = PXL_SPATIAL;
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), 91 / 3.0);
    term.reduction = PXL_SUM;
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), 91);
    term.linear = {{1, 0.5}};
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), 14 + 77 / 2.0);
    term.layers = {0, 1}, term.layer_weights = {2, 3}, term.linear = {};
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), 5 * 91);
}

TEST(OracleFeatures, batches_are_means_of_images_or_sums) {
    Image pred(2, 1, 1, 1), target(2, 1, 1, 1);
    pred.v = {1, 3};
    FeatureTerm term = first_layer();
    const oracle::FeatureResult result = oracle::evaluate(identity(1), term, pred, target, oracle::batch_upstream(term, pred.n));
    EXPECT_EQ(result.values, (std::vector<double>{1, 9}));
    EXPECT_EQ(result.grad_pred.v, (std::vector<double>{1, 3}));
    EXPECT_EQ(result.grad_target.v, (std::vector<double>{-1, -3}));
    EXPECT_EQ(oracle::batch_value(term, result.values), 5);
    term.reduction = PXL_SUM;
    EXPECT_EQ(oracle::batch_value(term, result.values), 10);
    EXPECT_EQ(oracle::batch_upstream(term, 2), (std::vector<double>{1, 1}));
}

TEST(OracleFeatures, unit_vectors_differ_by_their_angle) {
    const Image pred = image_of(2, 1, 1, {3, 4}), target = image_of(2, 1, 1, {10, 0});
    FeatureTerm term = first_layer();
    term.transform = FeatureTerm::UNIT, term.reduction = PXL_SPATIAL;
    EXPECT_NEAR(value(identity(2), term, pred, target), 2 * (1 - 0.6), 1e-9);
    EXPECT_GT(std::fabs(value(identity(2), term, pred, target) - 0.8), 1e-11); // 1e-8 / 25 / 2 of the vector
    term.epsilon = FeatureTerm::ADDED;
    EXPECT_NEAR(value(identity(2), term, pred, target), 2 * (1 - 0.6), 1e-10);
    const Image tiny = image_of(2, 1, 1, {1e-4, 0}), none(1, 2, 1, 1);
    EXPECT_NEAR(value(identity(2), term, tiny, none), 1 / std::pow(1 + 1e-6, 2), 1e-12);
    term.epsilon = FeatureTerm::INSIDE_ROOT;
    EXPECT_NEAR(value(identity(2), term, tiny, none), 0.5, 1e-12);
}

TEST(OracleFeatures, gram_matrices_by_hand) {
    // F = (1 2; 3 4), F F^T = (5 11; 11 25); of target (1 0; 0 0): (1 0; 0 0). Divided by C H W = 4.
    const Image pred = image_of(2, 1, 2, {1, 2, 3, 4}), target = image_of(2, 1, 2, {1, 0, 0, 0});
    FeatureTerm term = first_layer();
    term.transform = FeatureTerm::GRAM;
    const double squares = (16 + 121 + 121 + 625) / 16.0;
    EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), squares / 4);
    for (const pxl_reduction reduction : {PXL_SUM, PXL_SPATIAL}) {
        term.reduction = reduction;
        EXPECT_DOUBLE_EQ(value(identity(2), term, pred, target), squares);
    }
}

TEST(OracleFeatures, inputs_are_normalized) {
    const Image pred(1, 3, 1, 1, 51), target = image_of(3, 1, 1, {0, 51, 51});
    FeatureTerm term = first_layer();
    term.reduction = PXL_SUM, term.data_range = 255;
    EXPECT_DOUBLE_EQ(value(identity(3), term, pred, target), 51 * 51);
    term.normalize = FeatureTerm::IMAGENET;
    EXPECT_DOUBLE_EQ(value(identity(3), term, pred, target), std::pow(0.2 / 0.229, 2));
    term.normalize = FeatureTerm::LPIPS;
    EXPECT_DOUBLE_EQ(value(identity(3), term, pred, target), std::pow(0.4 / 0.458, 2));
    // Zeros lie around the normalized image: at an edge 0.2 counts for its own normalized value alone.
    Network sum = oracle::parse_architecture("1k3");
    sum[0].weight.assign(27, 1);
    term.penalty = PXL_L1;
    const Image at_mean = image_of(3, 1, 1, {0.485 * 255, 0.456 * 255, 0.406 * 255});
    term.normalize = FeatureTerm::IMAGENET;
    const double normalized = (0.2 - 0.485) / 0.229 + (0.2 - 0.456) / 0.224 + (0.2 - 0.406) / 0.225;
    EXPECT_NEAR(value(sum, term, pred, at_mean), -normalized, 1e-14);
    term.normalize = FeatureTerm::LPIPS;
    const double scaled = (2 * (0.2 - 0.485)) / 0.458 + (2 * (0.2 - 0.456)) / 0.448 + (2 * (0.2 - 0.406)) / 0.450;
    EXPECT_NEAR(value(sum, term, pred, at_mean), -scaled, 1e-14);
}

TEST(OracleFeatures, one_channel_goes_to_all_three) {
    Network network = oracle::parse_architecture("5,M,4");
    oracle::fill_random(network, 3);
    Image grey_pred(2, 1, 6, 5), grey_target(2, 1, 6, 5), pred(2, 3, 6, 5), target(2, 3, 6, 5);
    for (size_t i = 0; i < pred.v.size(); ++i) {
        const size_t at = i / 90 * 30 + i % 30;
        pred.v[i] = grey_pred.v[at] = oracle::uniform(5, 0, at);
        target.v[i] = grey_target.v[at] = oracle::uniform(5, 1, at);
    }
    FeatureTerm term;
    term.layers = {1, 4}, term.normalize = FeatureTerm::IMAGENET;
    const std::vector<double> upstream = {1, -2};
    const oracle::FeatureResult grey = oracle::evaluate(network, term, grey_pred, grey_target, upstream);
    const oracle::FeatureResult colour = oracle::evaluate(network, term, pred, target, upstream);
    EXPECT_EQ(grey.values, colour.values);
    for (int64_t n = 0; n < 2; ++n)
        for (int64_t y = 0; y < 6; ++y)
            for (int64_t x = 0; x < 5; ++x) {
                const Image &g = colour.grad_pred;
                EXPECT_NEAR(grey.grad_pred.at(n, 0, y, x), g.at(n, 0, y, x) + g.at(n, 1, y, x) + g.at(n, 2, y, x), 1e-14);
            }
}

TEST(OracleFeatures, other_channels_are_refused) {
    const Image two(1, 2, 4, 4), grey(1, 1, 4, 4);
    FeatureTerm term = first_layer();
    EXPECT_THROW(value(identity(3), term, two, two), std::invalid_argument);
    EXPECT_THROW(value(identity(2), term, grey, grey), std::invalid_argument);
    term.normalize = FeatureTerm::IMAGENET;
    EXPECT_THROW(value(identity(1), term, grey, grey), std::invalid_argument);
}

TEST(OracleFeatures, maps_are_enlarged_between_pixel_centres) {
    EXPECT_EQ(oracle::enlarged(image_of(1, 1, 2, {0, 4}), 2, 4).v, (std::vector<double>{0, 1, 3, 4, 0, 1, 3, 4}));
    EXPECT_EQ(oracle::enlarged(image_of(1, 1, 1, {7}), 1, 3).v, (std::vector<double>{7, 7, 7}));
    const Network network = oracle::parse_architecture("1:1k1,A");
    FeatureTerm term = first_layer();
    Network copy = network;
    copy[0].weight = {1};
    term.layers = {0, 2}, term.layer_weights = {1, 10};
    const Image pred = image_of(1, 2, 4, {2, 2, 4, 4, 2, 2, 4, 4}), target(1, 1, 2, 4);
    // 4 and 16; pooled the same: 40, 40 + 120 / 4, ...
    EXPECT_EQ(oracle::feature_map(copy, term, pred, target).v, (std::vector<double>{44, 74, 146, 176, 44, 74, 146, 176}));
}

// ---- Gradients against differences of values --------------------------------------------------------------------------
struct Stack {
    const char *name, *architecture;
    std::vector<int> layers;
    int64_t channels, height, width;
};

void PrintTo(const Stack &stack, std::ostream *to) { *to << stack.name; }

const Stack stacks[] = {
    {"plain", "4,M,6", {1, 3, 4}, 3, 6, 8},      {"odd", "4,M,5,A,3", {2, 3, 6, 7}, 3, 11, 7}, {"grey", "4,A,5", {1, 4}, 1, 7, 6},
    {"one", "1:5k5,M,4k1", {0, 2, 4}, 1, 9, 10}, {"four", "4:5k7,A,4k5", {1, 2, 3}, 4, 5, 9},
};

Network filled(const Stack &stack) {
    Network network = oracle::parse_architecture(stack.architecture);
    oracle::fill_random(network, 11);
    uint64_t i = 0;
    for (Layer &layer : network)
        for (double &bias : layer.bias) bias = oracle::uniform(12, 0, i++) - 0.3;
    return network;
}

struct Pair {
    Image pred, target;
};

Pair images_for(const Stack &stack) {
    Pair pair{Image(2, stack.channels, stack.height, stack.width), Image(2, stack.channels, stack.height, stack.width)};
    for (size_t i = 0; i < pair.pred.v.size(); ++i) {
        pair.target.v[i] = oracle::uniform(21, 0, i);
        pair.pred.v[i] = pair.target.v[i] + (oracle::uniform(21, 1, i) - 0.5) / 2;
    }
    return pair;
}

double weighted_value(const Network &network, const FeatureTerm &term, const Pair &pair, const std::vector<double> &upstream) {
    const std::vector<double> values = oracle::evaluate(network, term, pair.pred, pair.target, {}).values;
    return upstream[0] * values[0] + upstream[1] * values[1];
}

// Every third element of one image, against the central difference.
void check_image(const Network &network, const FeatureTerm &term, Pair &pair, Image &varied, const Image &grad,
                 const std::vector<double> &upstream) {
    const double step = 1e-6, largest = oracle::max_abs(grad);
    EXPECT_GT(largest, 0);
    for (size_t i = 0; i < varied.v.size(); i += 3) {
        const double x = varied.v[i];
        varied.v[i] = x + step;
        const double above = weighted_value(network, term, pair, upstream);
        varied.v[i] = x - step;
        const double below = weighted_value(network, term, pair, upstream);
        varied.v[i] = x;
        EXPECT_NEAR(grad.v[i], (above - below) / (2 * step), 2e-7 * largest) << "element " << i;
    }
}

void check_gradients(const Stack &stack, FeatureTerm term) {
    const Network network = filled(stack);
    Pair pair = images_for(stack);
    const std::vector<double> upstream = {0.75, -1.5};
    term.layers = stack.layers;
    const oracle::FeatureResult result = oracle::evaluate(network, term, pair.pred, pair.target, upstream);
    check_image(network, term, pair, pair.pred, result.grad_pred, upstream);
    check_image(network, term, pair, pair.target, result.grad_target, upstream);
}

class OracleGradients : public testing::TestWithParam<Stack> {};

TEST_P(OracleGradients, of_penalties_and_reductions) {
    const std::pair<pxl_penalty, double> penalties[] = {
        {PXL_L2, 0}, {PXL_L1, 0}, {PXL_HUBER, 0.1}, {PXL_SMOOTH_L1, 0.1}, {PXL_CHARBONNIER, 0.05}};
    for (const auto &[penalty, param] : penalties)
        for (const pxl_reduction reduction : {PXL_MEAN, PXL_SUM, PXL_SPATIAL})
            for (const auto transform : {FeatureTerm::NONE, FeatureTerm::UNIT, FeatureTerm::GRAM}) {
                FeatureTerm term;
                term.penalty = penalty, term.param = param, term.reduction = reduction, term.transform = transform;
                SCOPED_TRACE(testing::Message()
                             << "penalty " << penalty << " reduction " << reduction << " transform " << transform);
                check_gradients(GetParam(), term);
            }
}

TEST_P(OracleGradients, of_weights_and_epsilons) {
    for (const auto epsilon : {FeatureTerm::INSIDE_ROOT, FeatureTerm::ADDED})
        for (const auto transform : {FeatureTerm::NONE, FeatureTerm::UNIT}) {
            FeatureTerm term;
            term.transform = transform, term.epsilon = epsilon, term.reduction = PXL_SPATIAL;
            const Network network = filled(GetParam());
            for (size_t k = 0; k < GetParam().layers.size(); ++k) {
                term.layer_weights.push_back(0.5 + oracle::uniform(31, 0, k));
                term.linear.emplace_back();
                for (int c = 0; c < network[GetParam().layers[k]].outputs; ++c)
                    term.linear.back().push_back(oracle::uniform(31, 1 + k, c));
            }
            check_gradients(GetParam(), term);
        }
}

TEST(OracleGradientsOfInputs, normalized) {
    for (const Stack &stack : stacks)
        for (const auto normalize : {FeatureTerm::IMAGENET, FeatureTerm::LPIPS}) {
            if (oracle::parse_architecture(stack.architecture)[0].inputs != 3) continue;
            SCOPED_TRACE(stack.name);
            FeatureTerm term;
            term.normalize = normalize, term.data_range = 2;
            check_gradients(stack, term);
        }
}

INSTANTIATE_TEST_SUITE_P(Stacks, OracleGradients, testing::ValuesIn(stacks),
                         [](const testing::TestParamInfo<Stack> &info) { return info.param.name; });

} // namespace
