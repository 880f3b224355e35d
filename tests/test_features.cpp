// Values, gradients and maps of the perceptual terms on small networks: against the oracle, against each other, and where they have
// to be 0. What torch computes is in test_network_values.cpp; calls, workspaces and threads are in test_feature_calls.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "feature_case.h"

namespace {

class Features : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};

pxl_term with_penalty(pxl_term term, pxl_penalty penalty, double parameter = 0) {
    term.penalty = penalty, term.penalty_param = parameter;
    return term;
}
// ---- Against the oracle -----------------------------------------------------------------------------------------------
void expect_sampled(uint32_t seed, int count) {
    std::mt19937 random(seed);
    Turn turn(2);
    for (int i = 0; i < count && !testing::Test::HasFailure(); ++i) {
        const Case test = random_feature_case(random);
        if (!turn.comes()) continue;
        EXPECT_TRUE(agrees_with_oracle(test)) << "case " << i << " of seed " << seed;
    }
}

class FeaturesSampled : public Features, public testing::WithParamInterface<int> {};
TEST_P(FeaturesSampled, agree_with_the_oracle) { expect_sampled(static_cast<uint32_t>(GetParam()), 60); }
INSTANTIATE_TEST_SUITE_P(Random, FeaturesSampled, testing::Range(0, 4));
INSTANTIATE_TEST_SUITE_P(SlowRandom, FeaturesSampled, testing::Range(100, 140));

// One of each: every penalty and reduction, with unit and without, before and after a ReLU and a pooling.
TEST_F(Features, every_penalty_reduction_and_layer) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    const char *const layers[] = {"conv1_1", "relu1_2", "pool1:0.5*conv2_1", "2*relu2_1:pool2", "9:relu1_1:conv3_1"};
    for (int penalty = PXL_L2; penalty <= PXL_LOG_COSH; ++penalty)
        for (int reduction = PXL_MEAN; reduction <= PXL_SPATIAL; ++reduction)
            for (int unit = 0; unit < 2; ++unit) {
                pxl_term term = in_network(model, PXL_FEATURES, layers[(penalty + reduction + unit) % 5]);
                term =
                    with_penalty(term, static_cast<pxl_penalty>(penalty), penalty > PXL_L1 && penalty < PXL_LOG_COSH ? 0.25 : 0);
                term.reduction = static_cast<pxl_reduction>(reduction), term.unit = unit;
                Case test = make_case({term}, {2, 3, 9, 11});
                test.parsed = false;
                EXPECT_TRUE(agrees_with_oracle(test));
            }
}

TEST_F(Features, default_layers_and_parameters) {
    for (const char *text : {"3:8,8,M,12,A,16k5", "3:8,8,M,5,5,M,8,8,8,M,6,M,9,9,M,4"})
        for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_STYLE, PXL_COSINE}) {
            Case test = make_case({in_network(model_of(text), kind)}, {1, 3, 35, 33});
            test.parsed = false;
            EXPECT_TRUE(agrees_with_oracle(test));
        }
}

// ---- Against each other -----------------------------------------------------------------------------------------------
Outcome evaluate(std::vector<pxl_term> terms, Shape shape = {2, 3, 17, 14}, pxl_dtype dtype = PXL_F32, bool per_image = false) {
    Case test = make_case(std::move(terms), shape, dtype);
    test.parsed = false, test.per_image = per_image;
    return run(tested_device(), test, make_inputs(test));
}
void expect_near(const oracle::Image &actual, const oracle::Image &expected, double tolerance, const char *what) {
    EXPECT_TRUE(close(actual, expected, {}, tolerance, PXL_F32)) << what;
}

TEST_F(Features, gradients_are_added_to_what_is_there) {
    const Model &model = model_of("3:8,8,M,12,A,16k5"), &other = model_of("3:8,8,M,5,5,M,8,8,8,M,6,M,9,9,M,4");
    const std::vector<std::vector<pxl_term>> lists = {{in_network(model, PXL_FEATURES)},
                                                      {in_network(model, PXL_LPIPS), pixel(PXL_L1)},
                                                      {in_network(model, PXL_FEATURES), in_network(other, PXL_STYLE)}};
    for (const auto &terms : lists)
        for (const pxl_dtype grad_dtype : {PXL_F32, PXL_F16}) {
            Case test = make_case(terms, {2, 3, 17, 34});
            test.parsed = false, test.grad_dtype = grad_dtype;
            const oracle::Inputs inputs = make_inputs(test);
            const Outcome alone = run(tested_device(), test, inputs);
            test.accumulate = true;
            const Outcome added = run(tested_device(), test, inputs);
            ASSERT_EQ(added.status, PXL_OK) << added.message;
            oracle::Image sum = alone.grad_pred;
            const oracle::Image before = initial_gradient(test.shape);
            for (size_t i = 0; i < sum.v.size(); ++i) sum.v[i] += before.v[i];
            EXPECT_TRUE(close(added.grad_pred, sum, {}, 1e-3, grad_dtype)) << describe(test);
        }
}
TEST_F(Features, of_images_of_two_types_are_those_of_one) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    Case test = make_case({in_network(model, PXL_FEATURES)}, {1, 3, 17, 34});
    test.parsed = false, test.mixed = true, test.other_dtype = PXL_F16;
    const oracle::Inputs inputs = make_inputs(test); // whose target is rounded to f16
    const Outcome mixed = run(tested_device(), test, inputs);
    ASSERT_EQ(mixed.status, PXL_OK) << mixed.message;
    test.mixed = false;
    EXPECT_EQ(mixed.bits, run(tested_device(), test, inputs).bits);
}

TEST_F(Features, cosine_is_half_the_squared_distance_of_units) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    const Outcome cosine = evaluate({in_network(model, PXL_COSINE, "1:0.5*8")});
    pxl_term unit = in_network(model, PXL_FEATURES, "0.5*1:0.25*8");
    unit.unit = 1, unit.reduction = PXL_SPATIAL;
    EXPECT_EQ(cosine.bits, evaluate({unit}).bits);
}

// Linear weights of 1 in random networks.
TEST_F(Features, lpips_is_a_sum_of_squared_distances_of_units) {
    pxl_network *made = nullptr;
    ASSERT_EQ(pxl_network_random("8,8,M,12,A,16k5", 5, &made), PXL_OK) << pxl_error_message();
    const NetworkPtr network(made);
    pxl_term lpips = PXL_TERM(PXL_LPIPS, 1), unit = PXL_TERM(PXL_FEATURES, 1);
    lpips.network = unit.network = made;
    unit.layers = "relu1_2:relu2_1:relu3_1", unit.unit = 1, unit.reduction = PXL_SPATIAL, unit.normalize = PXL_NORMALIZE_LPIPS;
    EXPECT_EQ(evaluate({lpips}).bits, evaluate({unit}).bits);
}

TEST_F(Features, style_of_one_channel_is_the_difference_of_mean_squares) {
    const Model &model = model_of("3:c1k1");
    Case test = make_case({in_network(model, PXL_STYLE, "0")}, {1, 3, 7, 6});
    test.parsed = false;
    const oracle::Inputs inputs = make_inputs(test);
    double squares[2] = {};
    for (const bool target : {false, true}) {
        const oracle::Image f = oracle::forward(model.layers, target ? inputs.target : inputs.pred, 0)[1];
        for (const double v : f.v) squares[target] += v * v / 42;
    }
    const double expected = (squares[0] - squares[1]) * (squares[0] - squares[1]);
    EXPECT_NEAR(run(tested_device(), test, inputs).values[1], expected, 1e-5 * expected);
}

// Values and gradients of a sum are the sums of those of its terms, whether they share a network or not.
TEST_F(Features, sums_are_those_of_separate_losses) {
    const Model &a = model_of("3:8,8,M,12,A,16k5"), &b = model_of("3:5,M,7k1,A,9");
    pxl_term ssim = windowed(PXL_SSIM), imagenet = in_network(a, PXL_FEATURES, "1:8"), lpips = in_network(a, PXL_LPIPS);
    ssim.border = PXL_ZERO, imagenet.normalize = PXL_NORMALIZE_IMAGENET;
    const std::vector<pxl_term> terms = {weighted(0.5, ssim),
                                         weighted(2, in_network(a, PXL_STYLE, "3:0.5*6")),
                                         weighted(-0.25, in_network(a, PXL_COSINE, "3:8")),
                                         weighted(0.125, imagenet),
                                         weighted(1, pixel(PXL_L1)),
                                         weighted(3, in_network(b, PXL_FEATURES, "0:7")),
                                         weighted(1, lpips),
                                         PXL_TERM(PXL_SOBEL, 0.25)};
    for (const pxl_dtype dtype : dtypes_of_images({PXL_F32, PXL_F64, PXL_F16})) {
        const Outcome together = evaluate(terms, {2, 3, 17, 14}, dtype);
        ASSERT_EQ(together.status, PXL_OK) << together.message;
        oracle::Image grad_pred(2, 3, 17, 14), grad_target = grad_pred;
        double total = 0;
        for (size_t k = 0; k < terms.size(); ++k) {
            const Outcome alone = evaluate({terms[k]}, {2, 3, 17, 14}, dtype);
            EXPECT_NEAR(together.values[1 + k], alone.values[1], 1e-6 * std::fabs(alone.values[1])) << "term " << k;
            total += alone.values[0];
            oracle::add_scaled(grad_pred, alone.grad_pred, 1), oracle::add_scaled(grad_target, alone.grad_target, 1);
        }
        EXPECT_NEAR(together.values[0], total, 1e-6 * std::fabs(total));
        const double tolerance = dtype == PXL_F16 ? 4e-3 : 1e-5;
        expect_near(together.grad_pred, grad_pred, tolerance, "grad_pred");
        expect_near(together.grad_target, grad_target, tolerance, "grad_target");
    }
}

TEST_F(Features, one_channel_goes_to_all_three_inputs) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    for (int normalize = PXL_NORMALIZE_NONE; normalize <= PXL_NORMALIZE_LPIPS; ++normalize) {
        pxl_term term = in_network(model, PXL_FEATURES, "2:8");
        term.normalize = static_cast<pxl_normalize>(normalize);
        Case grey = make_case({term}, {2, 1, 9, 8}), colour = make_case({term}, {2, 3, 9, 8});
        grey.parsed = colour.parsed = false;
        const oracle::Inputs inputs = make_inputs(grey);
        oracle::Inputs three;
        three.pred = three.target = oracle::Image(2, 3, 9, 8);
        for (size_t i = 0; i < three.pred.v.size(); ++i) {
            const size_t from = i / 216 * 72 + i % 72;
            three.pred.v[i] = inputs.pred.v[from], three.target.v[i] = inputs.target.v[from];
        }
        const Outcome one = run(tested_device(), grey, inputs), all = run(tested_device(), colour, three);
        ASSERT_EQ(one.status, PXL_OK) << one.message;
        EXPECT_EQ(one.values, all.values);
        oracle::Image sum = oracle::like(one.grad_pred);
        for (size_t i = 0; i < all.grad_pred.v.size(); ++i) sum.v[i / 216 * 72 + i % 72] += all.grad_pred.v[i];
        expect_near(one.grad_pred, sum, 1e-6, "gradient");
    }
}

TEST_F(Features, data_range_is_the_largest_value) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    const pxl_term lpips = in_network(model, PXL_LPIPS);
    Case bytes = make_case({lpips}, {1, 3, 9, 8}, PXL_U8), floats = make_case({lpips}, {1, 3, 9, 8}), given = floats;
    bytes.parsed = floats.parsed = given.parsed = false;
    given.terms[0].data_range = 255;
    const oracle::Inputs inputs = make_inputs(bytes);
    oracle::Inputs unit = inputs;
    for (auto *image : {&unit.pred, &unit.target})
        for (double &v : image->v) v = static_cast<float>(v / 255);
    const double value = run(tested_device(), floats, unit).values[1];
    EXPECT_NEAR(run(tested_device(), bytes, inputs).values[1], value, 1e-5 * value);
    EXPECT_EQ(run(tested_device(), given, inputs).values, run(tested_device(), bytes, inputs).values);
}

// ---- Zeros ------------------------------------------------------------------------------------------------------------
std::vector<pxl_term> all_kinds(const Model &model) {
    std::vector<pxl_term> terms = {in_network(model, PXL_LPIPS), in_network(model, PXL_COSINE, "1:6:8"),
                                   with_penalty(in_network(model, PXL_STYLE), PXL_L1), in_network(model, PXL_STYLE, "0:9")};
    for (const pxl_penalty penalty : {PXL_L2, PXL_L1, PXL_HUBER, PXL_SMOOTH_L1}) {
        terms.push_back(with_penalty(in_network(model, PXL_FEATURES, "0:1:4:8"), penalty));
        terms.back().unit = penalty == PXL_L1, terms.back().normalize = PXL_NORMALIZE_IMAGENET;
    }
    return terms;
}

TEST_F(Features, equal_images_give_exactly_zero) {
    for (const pxl_term &term : all_kinds(model_of("3:8,8,M,12,A,16k5")))
        for (const bool zeros : {false, true}) {
            Case test = make_case({term}, {2, 3, 19, 23});
            test.parsed = false, test.threads = 2;
            oracle::Inputs inputs = make_inputs(test);
            if (zeros) inputs.pred = oracle::like(inputs.pred);
            inputs.target = inputs.pred;
            const Outcome outcome = run(tested_device(), test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_EQ(outcome.values, (std::vector<double>{0, 0})) << describe(test);
            EXPECT_EQ(oracle::max_abs(outcome.grad_pred), 0) << describe(test);
            EXPECT_EQ(oracle::max_abs(outcome.grad_target), 0) << describe(test);
        }
}

TEST_F(Features, a_black_image_agrees) {
    for (const pxl_term &term : all_kinds(model_of("3:8,8,M,12,A,16k5"))) {
        Case test = make_case({term}, {1, 3, 11, 9});
        test.parsed = false;
        oracle::Inputs inputs = make_inputs(test);
        inputs.pred = oracle::like(inputs.pred);
        test.grad_target = false; // at ties of black regions poolings may take another of equal maxima
        EXPECT_TRUE(features_agree(test, run(tested_device(), test, inputs), feature_reference(test, inputs)));
    }
}

// ---- What is not finite -----------------------------------------------------------------------------------------------
TEST_F(Features, nan_and_infinity_do_not_get_lost) {
    for (const pxl_term &term : all_kinds(model_of("3:8,8,M,12,A,16k5")))
        for (const double value : {nan_value, infinity, -infinity})
            for (const bool in_target : {false, true}) {
                Case test = make_case({term}, {2, 3, 12, 13});
                test.parsed = false, test.per_image = true;
                oracle::Inputs inputs = make_inputs(test);
                const Outcome clean = run(tested_device(), test, inputs);
                (in_target ? inputs.target : inputs.pred).at(1, 1, 5, 6) = value;
                const Outcome outcome = run(tested_device(), test, inputs);
                ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
                EXPECT_EQ(outcome.values[0], clean.values[0]) << describe(test);
                EXPECT_FALSE(std::isfinite(outcome.values[3])) << value << describe(test);
                EXPECT_TRUE(std::isnan(outcome.values[3]) || !std::isnan(value)) << describe(test);
                EXPECT_EQ(oracle::slice(outcome.grad_pred, 0).v, oracle::slice(clean.grad_pred, 0).v) << describe(test);
            }
}

// "A weight of 0 drops the term from the total and the gradient, even if its value is not finite."
TEST_F(Features, weights_of_zero_drop_what_is_not_finite) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    for (const pxl_term &term : all_kinds(model))
        for (const int beside : {0, 1}) { // a term in the same layers, or outside of networks
            pxl_term other = beside ? pixel(PXL_L1) : with_penalty(in_network(model, PXL_FEATURES, "0:1:4:8"), PXL_L1);
            other.weight = 1;
            pxl_term dropped = weighted(0, term);
            dropped.data_range = PXL_FROM_DATA;
            Case test = make_case({dropped, other}, {1, 3, 12, 13}), alone = make_case({other}, {1, 3, 12, 13});
            test.parsed = alone.parsed = false;
            oracle::Inputs inputs = make_inputs(test);
            inputs.pred.at(0, 1, 5, 6) = nan_value;
            const Outcome both = run(tested_device(), test, inputs), one = run(tested_device(), alone, inputs);
            ASSERT_EQ(both.status, PXL_OK) << both.message;
            EXPECT_TRUE(std::isnan(both.values[1])) << describe(test);
            EXPECT_EQ(both.bits.bytes.size(), one.bits.bytes.size() + sizeof(double));
            for (size_t i = 0; i < one.grad_pred.v.size(); ++i)
                EXPECT_TRUE(both.grad_pred.v[i] == one.grad_pred.v[i] || std::isnan(one.grad_pred.v[i])) << describe(test);
        }
}

TEST_F(Features, large_values_are_right_or_not_finite) {
    for (const pxl_term &term : all_kinds(model_of("3:8,8,M,12,A,16k5")))
        for (const double scale : {1e3, 1e6, 1e12, 1e18, 1e30}) {
            Case test = make_case({term}, {1, 3, 8, 9});
            test.parsed = false;
            oracle::Inputs inputs = make_inputs(test);
            for (auto *image : {&inputs.pred, &inputs.target})
                for (double &v : image->v) v = static_cast<float>(v * scale);
            const Outcome outcome = run(tested_device(), test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            const double expected = feature_reference(test, inputs).values[1], value = outcome.values[1];
            EXPECT_TRUE(!std::isfinite(value) || std::fabs(value - expected) <= 1e-3 * expected)
                << scale << ' ' << value << ' ' << expected << ' ' << describe(test);
        }
}

// ---- Maps -------------------------------------------------------------------------------------------------------------
// The manual's map: of features with a mean over channels, too.
oracle::Image expected_map(const pxl_term &term, const oracle::Inputs &inputs) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    const oracle::FeatureTerm all = oracle_term(term, inputs.type_range);
    oracle::Image map(inputs.pred.n, 1, inputs.pred.h, inputs.pred.w);
    for (size_t k = 0; k < all.layers.size(); ++k) {
        oracle::FeatureTerm one = all;
        one.layers = {all.layers[k]}, one.layer_weights = {all.layer_weights[k]};
        if (!all.linear.empty()) one.linear = {all.linear[k]};
        const bool mean = term.kind == PXL_FEATURES && term.reduction == PXL_MEAN;
        const double channels = model.layers[static_cast<size_t>(all.layers[k])].outputs;
        oracle::add_scaled(map, oracle::feature_map(model.layers, one, inputs.pred, inputs.target), mean ? 1 / channels : 1);
    }
    return map;
}

TEST_F(Features, map_is_the_oracles_and_its_mean_the_value) {
    const Model &model = model_of("3:8,8,M,12,A,16k5");
    for (const pxl_dtype dtype : dtypes_of_images({PXL_F32, PXL_F64, PXL_U8}))
        for (pxl_term term : all_kinds(model)) {
            if (term.kind == PXL_STYLE) continue;
            if (term.unit && dtype == PXL_F64) term.reduction = PXL_SPATIAL;
            for (const bool gradients : {false, true}) {
                Case test = make_case({PXL_TERM(PXL_PIXEL, 1), term}, {2, 3, 16, 24}, dtype);
                test.parsed = false, test.feature_map = true, test.grad_layout = gradients ? Layout::flip : Layout::nhwc;
                if (!gradients) test.grad_pred = test.grad_target = test.values = false;
                const oracle::Inputs inputs = make_inputs(test);
                const Outcome outcome = run(tested_device(), test, inputs);
                ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
                EXPECT_EQ(outcome.damage, "");
                expect_near(outcome.feature_map, expected_map(term, inputs), 5e-5, describe(test).c_str());
            }
        }
}

// Where a layer has the image's size nothing is enlarged, and the mean of the map is the value.
TEST_F(Features, mean_of_a_map_of_the_images_size_is_the_value) {
    for (pxl_term term : all_kinds(model_of("3:8,8,M,12,A,16k5"))) {
        if (term.kind == PXL_STYLE) continue;
        term.layers = "0:0.5*3";
        Case test = make_case({term}, {2, 3, 11, 10});
        test.parsed = false, test.feature_map = true;
        const Outcome outcome = run(tested_device(), test, make_inputs(test));
        ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
        double mean = 0;
        for (const double v : outcome.feature_map.v) mean += v / static_cast<double>(outcome.feature_map.v.size());
        EXPECT_NEAR(mean, outcome.values[1], 1e-5 * mean) << describe(test);
    }
}

// ---- Long images --------------------------------------------------------------------------------------------------------
// Without ReLUs: among so many pixels some stand at their kink. Without style: oneDNN sums so many products in f32 to four digits only
// of the difference of two Gram matrices.
TEST(SlowFeatures, images_of_a_million_pixels_in_a_line) {
    SKIP_WITHOUT_NETWORKS();
    for (const Shape &shape : {Shape{1, 3, 1, 1 << 20}, Shape{1, 3, 1 << 20, 1}})
        for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_COSINE}) {
            Case test = make_case({in_network(model_of("3:c6,c5"), kind, "0:1")}, shape);
            test.parsed = false, test.threads = 2;
            EXPECT_TRUE(agrees_with_oracle(test));
        }
}

} // namespace
