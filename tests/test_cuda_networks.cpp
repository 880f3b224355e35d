// Networks on a GPU: what the tests of networks on any device do not see: precisions, gradients that are scaled inside, batches,
// and odd shapes. The same source runs on a real device and on the shim of cuda_host.
#ifdef PXL_TEST_CUDA
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "feature_case.h"

namespace {

class CudaNetworks : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};

Case created(std::vector<pxl_term> terms, Shape shape, pxl_dtype dtype = PXL_F32) {
    Case test = make_case(std::move(terms), shape, dtype);
    test.parsed = false;
    return test;
}
Outcome succeed(const Case &test, const oracle::Inputs &inputs) {
    const Outcome outcome = run(tested_device(), test, inputs);
    EXPECT_EQ(outcome.status, PXL_OK) << outcome.message << describe(test);
    EXPECT_EQ(outcome.damage, "") << describe(test);
    return outcome;
}
// |actual - expected| / |expected|; NaN is no number.
double distance(const oracle::Image &actual, const oracle::Image &expected) {
    double error = 0, norm = 0;
    if (actual.v.size() != expected.v.size()) return INFINITY;
    for (size_t i = 0; i < actual.v.size(); ++i)
        error += std::pow(actual.v[i] - expected.v[i], 2), norm += std::pow(expected.v[i], 2);
    return std::sqrt(error / norm);
}

// ---- Precisions -------------------------------------------------------------------------------------------------------
struct Rounding {
    pxl_precision precision;
    pxl_dtype dtype; // images of that precision
    double unit;     // relative error of one rounding
};
const Rounding roundings[] = {{PXL_PRECISION_F32, PXL_F32, 0x1p-24},
                              {PXL_PRECISION_TF32, PXL_F32, 0x1p-11},
                              {PXL_PRECISION_F16, PXL_F16, 0x1p-11},
                              {PXL_PRECISION_BF16, PXL_BF16, 0x1p-8}};

// Without ReLUs and maxima, which take either side where rounding decides, all that is computed is smooth.
const char *const smooth = "3:c8,c12,A,c16k5", *const bent = "3:8,8,M,12,A,16k5";
constexpr int convolutions = 4; // at most

std::vector<pxl_term> of_each_kind(const char *network, const std::string &layers) {
    const Model &model = model_of(network);
    std::vector<pxl_term> terms;
    for (const pxl_term_kind kind : {PXL_FEATURES, PXL_STYLE, PXL_COSINE, PXL_LPIPS})
        terms.push_back(in_network(model, kind, layers));
    return terms;
}
// Of pred and a darker target, whose features and Gram matrices differ by about as much as they are: what is left of a difference
// has the rounding of both.
oracle::Inputs unlike(const Case &test) {
    oracle::Inputs inputs = make_inputs(test);
    for (double &v : inputs.target.v) v = round_to(test.dtype, 0.5 * v);
    return inputs;
}

void check_precisions(const char *network, const std::string &layers, double (*gradient_error)(double unit)) {
    for (const pxl_term &term : of_each_kind(network, layers))
        for (const Rounding &rounding : roundings) {
            Case test = created({term}, {2, 3, 24, 20});
            test.pattern = Pattern::independent;
            test.terms[0].precision = rounding.precision;
            const oracle::Inputs inputs = unlike(test);
            const oracle::Result expected = feature_reference(test, inputs);
            const Outcome outcome = succeed(test, inputs);
            EXPECT_NEAR(outcome.values[0], expected.values[0], 2 * convolutions * rounding.unit * expected.values[0])
                << describe(test);
            EXPECT_LE(distance(outcome.grad_pred, expected.grad_pred), gradient_error(rounding.unit)) << describe(test);
            EXPECT_LE(distance(outcome.grad_target, expected.grad_target), gradient_error(rounding.unit)) << describe(test);
        }
}
// Each convolution rounds its input, its weights and its output, forward and again backward, at random: as a part of what sums to
// it, which is a few times what it is, the error of a layer is a few units, and they add up over the layers.
TEST_F(CudaNetworks, precision_is_that_of_the_type) {
    check_precisions(smooth, "0:1:3", [](double unit) { return 4 * convolutions * unit; });
}
// A share of the activations in proportion to a layer's error stands so close to a kink that it is taken for one of the other side,
// which changes what they pull back by all of it: in the norm, by the root of the share.
TEST_F(CudaNetworks, precision_with_relus_and_maxima_is_the_root_of_the_type_s) {
    check_precisions(bent, "3:6:9", [](double unit) { return std::sqrt(2 * convolutions * unit); });
}

// What pulls on a pixel becomes less with their number: a Gram matrix of many leaves it 1e-9 and less of its slopes.
TEST_F(CudaNetworks, style_of_large_images_has_a_gradient_in_f16) {
    pxl_term style = in_network(model_of("3:c16"), PXL_STYLE, "0");
    style.precision = PXL_PRECISION_F16;
    for (const int64_t size : {24, 97, 256}) {
        Case test = created({style}, {1, 3, size, size});
        test.grad_target = false;
        const oracle::Inputs inputs = unlike(test);
        const Outcome outcome = succeed(test, inputs);
        EXPECT_LE(distance(outcome.grad_pred, feature_reference(test, inputs).grad_pred), 4 * convolutions * 0x1p-11) << size;
    }
}

TEST_F(CudaNetworks, default_precision_is_the_images_own) {
    for (const Rounding &rounding : roundings) {
        if (rounding.precision == PXL_PRECISION_TF32) continue;
        Case test = created(of_each_kind(bent, "3:6:9"), {2, 3, 17, 14}, rounding.dtype);
        for (pxl_term &term : test.terms) term.precision = rounding.precision;
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome named = succeed(test, inputs);
        for (pxl_term &term : test.terms) term.precision = PXL_PRECISION_DEFAULT;
        EXPECT_EQ(succeed(test, inputs).bits, named.bits) << dtype_name(rounding.dtype);
        for (pxl_term &term : test.terms)
            term.precision = rounding.precision == PXL_PRECISION_F16 ? PXL_PRECISION_BF16 : PXL_PRECISION_F16;
        EXPECT_FALSE(succeed(test, inputs).bits == named.bits) << "the precision makes no difference";
    }
}
TEST_F(CudaNetworks, default_precision_of_integers_is_f32) {
    for (const pxl_dtype dtype : {PXL_U8, PXL_U16}) {
        Case test = created(of_each_kind(bent, "3:6"), {1, 3, 12, 14}, dtype);
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome named = succeed(test, inputs);
        for (pxl_term &term : test.terms) term.precision = PXL_PRECISION_DEFAULT;
        EXPECT_EQ(succeed(test, inputs).bits, named.bits);
    }
}
// Terms of several precisions in one network go through it by themselves.
TEST_F(CudaNetworks, precisions_stand_side_by_side) {
    Case test = created({}, {2, 3, 17, 14}), one = test;
    for (const Rounding &rounding : roundings) {
        test.terms.push_back(weighted(0.25, in_network(model_of(bent), PXL_FEATURES, "3:9")));
        test.terms.back().precision = rounding.precision;
    }
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome together = succeed(test, inputs);
    oracle::Image sum = oracle::like(together.grad_pred);
    for (size_t k = 0; k < test.terms.size(); ++k) {
        one.terms = {test.terms[k]};
        const Outcome alone = succeed(one, inputs);
        EXPECT_EQ(together.values[1 + k], alone.values[1]) << k;
        oracle::add_scaled(sum, alone.grad_pred, 1);
    }
    EXPECT_LE(distance(together.grad_pred, sum), 1e-6);
}

// ---- Weights and upstream gradients of any size ---------------------------------------------------------------------
// Gradients are scaled inside by a power of two, so another power of two changes no bit but that.
void expect_scaled(const oracle::Image &actual, const oracle::Image &from, double scale) {
    ASSERT_EQ(actual.v.size(), from.v.size());
    for (size_t i = 0; i < actual.v.size(); ++i) {
        const double expected = round_to(PXL_F32, scale * from.v[i]);
        ASSERT_NEAR(actual.v[i], expected, std::fabs(expected) < 0x1p-126 ? 0x1p-149 : 0) << i << " scale " << scale;
    }
}
Case scaled_case(pxl_precision precision) {
    Case test = created(of_each_kind(bent, "3:6:9"), {2, 3, 17, 14});
    for (pxl_term &term : test.terms) term.precision = precision;
    return test;
}
TEST_F(CudaNetworks, weights_and_upstream_gradients_may_be_of_any_size) {
    for (const pxl_precision precision : {PXL_PRECISION_F16, PXL_PRECISION_BF16, PXL_PRECISION_F32}) {
        Case test = scaled_case(precision);
        oracle::Inputs inputs = make_inputs(test);
        const Outcome plain = succeed(test, inputs);
        for (const double scale : {0x1p-100, 0x1p100}) {
            for (pxl_term &term : test.terms) term.weight = scale;
            const Outcome weights = succeed(test, inputs);
            expect_scaled(weights.grad_pred, plain.grad_pred, scale),
                expect_scaled(weights.grad_target, plain.grad_target, scale);
            for (pxl_term &term : test.terms) term.weight = 1;
            inputs.grad_loss = {scale};
            const Outcome upstream = succeed(test, inputs);
            expect_scaled(upstream.grad_pred, plain.grad_pred, scale);
            for (const pxl_term &term : test.terms) inputs.term_weights.push_back(term.weight / scale);
            EXPECT_EQ(succeed(test, inputs).grad_pred.v, plain.grad_pred.v) << "the one undoes the other";
            inputs.grad_loss.clear(), inputs.term_weights.clear();
        }
        for (const double scale : {1e-30, 1e30}) { // another mantissa, so rounded otherwise
            inputs.grad_loss = {scale};
            oracle::Image expected = oracle::like(plain.grad_pred);
            oracle::add_scaled(expected, plain.grad_pred, round_to(PXL_F32, scale));
            EXPECT_LE(distance(succeed(test, inputs).grad_pred, expected), precision == PXL_PRECISION_BF16 ? 0x1p-7 : 0x1p-10);
        }
    }
}
TEST_F(CudaNetworks, each_image_s_gradient_is_scaled_by_itself) {
    for (const pxl_precision precision : {PXL_PRECISION_F16, PXL_PRECISION_BF16}) {
        Case test = scaled_case(precision);
        test.per_image = true;
        oracle::Inputs inputs = make_inputs(test);
        inputs.grad_loss = {1, 1};
        const Outcome plain = succeed(test, inputs);
        for (const double scale : {0x1p-66, 0x1p60, 0.0}) { // 1e-20, 1e18
            inputs.grad_loss = {scale, 1};
            const Outcome outcome = succeed(test, inputs);
            expect_scaled(oracle::slice(outcome.grad_pred, 0), oracle::slice(plain.grad_pred, 0), scale);
            expect_scaled(oracle::slice(outcome.grad_pred, 1), oracle::slice(plain.grad_pred, 1), 1);
            expect_scaled(oracle::slice(outcome.grad_target, 0), oracle::slice(plain.grad_target, 0), scale);
        }
    }
}

// ---- Batches ------------------------------------------------------------------------------------------------------------
// Images of more pixels than go through together: two batches, of which the second is not full. Another batch may take another
// plan of cuDNN's, which a ReLU makes visible.
class CudaNetworkBatches : public CudaNetworks {
  protected:
    Case batched() const {
        pxl_term features = in_network(model_of("3:c4,M,8,A,6"), PXL_FEATURES, "2:3:6"), style = features;
        style.kind = PXL_STYLE;
        Case test = created({features, weighted(0.5, style)}, {3, 3, 256, 256});
        test.per_image = true, test.pattern = Pattern::independent;
        return test;
    }
    static oracle::Inputs only(const oracle::Inputs &inputs, int64_t n) {
        oracle::Inputs one = inputs;
        one.pred = oracle::slice(inputs.pred, n), one.target = oracle::slice(inputs.target, n);
        return one;
    }
};
TEST_F(CudaNetworkBatches, are_the_images_one_by_one) {
    Case test = batched();
    test.feature_map = true;
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome all = succeed(test, inputs);
    Case one = test;
    one.shape.n = 1;
    for (int64_t n = 0; n < test.shape.n; ++n) {
        const Outcome alone = succeed(one, only(inputs, n));
        for (size_t k = 0; k < 3; ++k)
            EXPECT_NEAR(all.values[3 * static_cast<size_t>(n) + k], alone.values[k], 1e-5 * alone.values[k]) << n << ' ' << k;
        EXPECT_LE(distance(oracle::slice(all.grad_pred, n), alone.grad_pred), 1e-3) << n;
        EXPECT_LE(distance(oracle::slice(all.grad_target, n), alone.grad_target), 1e-3) << n;
        EXPECT_LE(distance(oracle::slice(all.feature_map, n), alone.feature_map), 1e-5) << n;
    }
}
TEST_F(CudaNetworkBatches, keep_their_targets) {
    Case test = batched();
    test.grad_target = false;
    const oracle::Inputs inputs = make_inputs(test);
    const Bits passes = succeed(test, inputs).bits;
    test.target_use = PXL_TARGET_KEEP;
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    EXPECT_EQ(call.outcome(call.evaluate()).bits, passes);
    call.set_target_use(PXL_TARGET_KEPT);
    call.poison_outputs();
    EXPECT_EQ(call.outcome(call.evaluate()).bits, passes);
}

// ---- Odd things ----------------------------------------------------------------------------------------------------------
struct Odd {
    const char *network, *layers;
    Shape shape;
};
// One channel for three; numbers of channels that vectors do not divide; kernels of 1, 5 and 7; a layer before its ReLU and after;
// averages behind ReLUs; odd sizes for maxima; one channel; one pixel.
const Odd oddities[] = {{"3:8,8,M,12,A,16k5", "1:8", {2, 1, 13, 9}}, {"3:5,7k1,A,9", "1:3:6", {2, 3, 15, 11}},
                        {"3:17,33k7,M,5k5", "3:6", {1, 3, 9, 12}},   {"3:c6,R,c5,R,R", "0:1:2:4", {2, 3, 8, 7}},
                        {"3:c6,R,c5,R,R", "0:4", {2, 3, 8, 7}},      {"3:c6,A,R,c5,M,R", "1:2:4:5", {2, 3, 9, 11}},
                        {"3:8,A,8,A,M,4", "7", {2, 3, 19, 17}},      {"3:6,M,5,M,7", "1:7", {2, 3, 11, 13}},
                        {"1:4,M,1,A,1", "3:6", {3, 1, 13, 14}},      {"2:c3,A,M,c1k1", "0:2:3", {1, 2, 7, 9}},
                        {"3:1,1,1", "1:3:5", {2, 3, 6, 5}},          {"3:31,64k1", "1:3", {1, 3, 1, 1}}};
TEST_F(CudaNetworks, odd_shapes_agree_with_the_oracle) {
    for (const Odd &odd : oddities)
        for (const pxl_term_kind kind : {PXL_FEATURES, PXL_STYLE})
            for (const pxl_reduction reduction : {PXL_MEAN, PXL_SUM, PXL_SPATIAL}) {
                if (kind == PXL_STYLE && reduction == PXL_SPATIAL) continue;
                Case test = created({in_network(model_of(odd.network), kind, odd.layers)}, odd.shape);
                test.terms[0].reduction = reduction, test.per_image = reduction == PXL_SPATIAL;
                EXPECT_TRUE(agrees_with_oracle(test));
            }
}
// A unit of one channel is its sign: what comes back is rounding, but not more.
TEST_F(CudaNetworks, units_of_one_channel_are_signs) {
    for (const char *network : {"3:1,1,1", "3:c1k1"}) {
        Case test = created({in_network(model_of(network), PXL_COSINE, "0")}, {2, 3, 9, 7});
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome outcome = succeed(test, inputs);
        EXPECT_NEAR(outcome.values[1], feature_reference(test, inputs).values[1], 1e-5) << network;
        for (const double g : outcome.grad_pred.v) EXPECT_TRUE(std::isfinite(g)) << network;
    }
}
TEST_F(CudaNetworks, nan_in_an_image_stays_in_it) {
    for (const pxl_precision precision : {PXL_PRECISION_F32, PXL_PRECISION_F16})
        for (const bool in_target : {false, true}) {
            Case test = created(of_each_kind(bent, "1:6:9"), {3, 3, 17, 14});
            for (pxl_term &term : test.terms) term.precision = precision;
            test.per_image = true;
            oracle::Inputs inputs = make_inputs(test);
            const Outcome before = succeed(test, inputs);
            (in_target ? inputs.target : inputs.pred).at(1, 1, 8, 7) = std::numeric_limits<double>::quiet_NaN();
            const Outcome after = succeed(test, inputs);
            const size_t row = 1 + test.terms.size();
            for (size_t i = 0; i < before.values.size(); ++i) {
                if (i / row == 1)
                    EXPECT_TRUE(std::isnan(after.values[i])) << i;
                else
                    EXPECT_EQ(after.values[i], before.values[i]) << i;
            }
            for (const int64_t n : {0, 2}) {
                EXPECT_EQ(oracle::slice(after.grad_pred, n).v, oracle::slice(before.grad_pred, n).v) << n;
                EXPECT_EQ(oracle::slice(after.grad_target, n).v, oracle::slice(before.grad_target, n).v) << n;
            }
        }
}

} // namespace
#endif
