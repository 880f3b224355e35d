// What pxl_evaluate promises beyond the single term: rows per image, upstream gradients, weights, maps, several groups at once.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "make_case.h"

namespace {

void expect_agrees(const Case &test) {
    const oracle::Inputs inputs = make_inputs(test);
    const oracle::Result expected = reference(test, inputs);
    EXPECT_TRUE(agrees(test, run(test, inputs), expected));
}

std::vector<pxl_term> mixture() {
    pxl_term sobel = PXL_TERM(PXL_SOBEL, 0.1), rmse = PXL_TERM(PXL_RMSE, 0.5);
    sobel.penalty = PXL_CHARBONNIER;
    rmse.mean_of_images = 1;
    return {weighted(0.84, windowed(PXL_SSIM)), weighted(0.16, pixel(PXL_L1)), sobel, rmse};
}

oracle::Inputs image_of(const oracle::Inputs &inputs, int64_t n) {
    oracle::Inputs one = inputs;
    one.pred = oracle::slice(inputs.pred, n), one.target = oracle::slice(inputs.target, n);
    if (!inputs.weight.empty()) one.weight = oracle::slice(inputs.weight, n);
    return one;
}

TEST(Evaluate, per_image_is_a_call_for_each_image) {
    Case test = make_case(mixture(), {3, 2, 33, 45}), single = make_case(mixture(), {1, 2, 33, 45});
    test.per_image = true;
    test.mask = single.mask = Mask::fractional;
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome batch = run(test, inputs);
    ASSERT_EQ(batch.status, PXL_OK) << batch.message;
    for (int64_t n = 0; n < 3; ++n) {
        oracle::Inputs one = image_of(inputs, n);
        one.per_image = false;
        const Outcome alone = run(single, one);
        ASSERT_EQ(alone.status, PXL_OK) << alone.message;
        for (size_t i = 0; i < 5; ++i)
            EXPECT_NEAR(batch.values[static_cast<size_t>(n) * 5 + i], alone.values[i], 1e-7 * std::fabs(alone.values[i]));
        EXPECT_TRUE(close(oracle::slice(batch.grad_pred, n), alone.grad_pred, {}, 1e-6, PXL_F32)) << n;
    }
    expect_agrees(test);
}

TEST(Evaluate, blocks_are_averaged_along_all_of_a_wide_row) {
    pxl_term pooled = windowed(PXL_SSIM);
    pooled.window = 3, pooled.border = PXL_ZERO, pooled.downsample = 2;
    expect_agrees(make_case({pooled}, {1, 1, 9, 1111}));
}

TEST(Evaluate, grad_loss_scales_the_gradient_and_not_the_values) {
    Case test = make_case(mixture(), {2, 1, 30, 31});
    oracle::Inputs inputs = make_inputs(test);
    const Outcome plain = run(test, inputs);
    ASSERT_EQ(plain.status, PXL_OK) << plain.message;
    inputs.grad_loss = {-2};
    const Outcome scaled = run(test, inputs);
    ASSERT_EQ(scaled.status, PXL_OK) << scaled.message;
    EXPECT_EQ(plain.values, scaled.values);
    oracle::Image expected = plain.grad_pred;
    for (double &g : expected.v) g *= -2;
    EXPECT_TRUE(close(scaled.grad_pred, expected, {}, 1e-6, PXL_F32));
    inputs.grad_loss = {0};
    EXPECT_EQ(oracle::max_abs(run(test, inputs).grad_pred), 0);
}

TEST(Evaluate, grad_loss_per_image_scales_each_image) {
    Case test = make_case(mixture(), {3, 1, 30, 31});
    test.per_image = true;
    test.upstream = Upstream::given;
    expect_agrees(test);
    oracle::Inputs inputs = make_inputs(test);
    inputs.grad_loss = {0, 1, 0};
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    EXPECT_EQ(oracle::max_abs(oracle::slice(outcome.grad_pred, 0)), 0);
    EXPECT_GT(oracle::max_abs(oracle::slice(outcome.grad_pred, 1)), 0);
    EXPECT_EQ(oracle::max_abs(oracle::slice(outcome.grad_pred, 2)), 0);
}

TEST(Evaluate, term_weights_take_the_place_of_the_loss_s_own) {
    Case test = make_case(mixture(), {2, 1, 30, 31});
    oracle::Inputs inputs = make_inputs(test);
    inputs.term_weights = {0.25, -1, 0, 2};
    const Outcome given = run(test, inputs);
    EXPECT_TRUE(agrees(test, given, reference(test, inputs)));
    for (size_t i = 0; i < 4; ++i) test.terms[i].weight = inputs.term_weights[i];
    inputs.term_weights.clear();
    const Outcome own = run(test, inputs);
    EXPECT_EQ(own.bits, given.bits);
}

oracle::Inputs equal_images(const Case &test) {
    oracle::Inputs inputs = make_inputs(test);
    inputs.target = inputs.pred;
    return inputs;
}

TEST(Evaluate, psnr_of_equal_images_is_infinite_with_a_gradient_of_0) {
    for (const int of_images : {0, 1}) {
        pxl_term psnr = PXL_TERM(PXL_PSNR, -1);
        psnr.mean_of_images = of_images;
        const Case test = make_case({psnr}, {2, 1, 8, 9});
        const Outcome outcome = run(test, equal_images(test));
        EXPECT_EQ(outcome.values, (std::vector<double>{-infinity, infinity}));
        EXPECT_EQ(oracle::max_abs(outcome.grad_pred), 0);
        for (const double g : outcome.grad_pred.v) EXPECT_EQ(g, 0);
    }
}

TEST(Evaluate, weight_of_0_drops_a_term_that_is_not_finite) {
    const Case own = make_case({pixel(PXL_L1), PXL_TERM(PXL_PSNR, 0)}, {2, 1, 8, 9});
    oracle::Inputs inputs = equal_images(own);
    const std::vector<double> expected = {0, 0, infinity};
    EXPECT_EQ(run(own, inputs).values, expected);
    const Case given = make_case({pixel(PXL_L1), PXL_TERM(PXL_PSNR, 1)}, {2, 1, 8, 9});
    inputs.term_weights = {1, 0};
    const Outcome outcome = run(given, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    EXPECT_EQ(outcome.values, expected);
    for (const double g : outcome.grad_pred.v) EXPECT_EQ(g, 0);
}

// The square of 1e30 is infinite in f32, but not its absolute value.
TEST(Evaluate, weight_of_0_drops_the_gradient_of_a_term_that_overflows) {
    const Case test = make_case({pixel(PXL_L1), weighted(0, windowed(PXL_SSIM)), weighted(0, pixel(PXL_L2))}, {1, 1, 20, 21});
    oracle::Inputs inputs = make_inputs(test);
    inputs.pred.v[200] = static_cast<float>(1e30);
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    const oracle::Result expected = reference(test, inputs);
    EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 1e-6, PXL_F32));
    EXPECT_NEAR(outcome.values[0] / expected.values[0], 1, 1e-6);
}

class Outputs : public testing::TestWithParam<std::string> {};

void expect_agrees_in_every_way(const Case &test, const oracle::Inputs &inputs, const oracle::Result &expected) {
    for (const Way &way : tested_ways())
        if (way.device->computes(test.dtype)) {
            EXPECT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name();
        }
}

TEST_P(Outputs, map_and_statistics_agree_with_the_oracle) {
    Turn turn(2);
    for (const pxl_term &term : specs_of(GetParam()))
        for (const pxl_dtype dtype : {PXL_F32, PXL_F64, PXL_BF16}) {
            if (!turn.comes()) continue;
            Case test = make_case({PXL_TERM(PXL_TV, 1), term, windowed(PXL_LUMINANCE, "seed")}, {2, 2, 33, 18}, dtype);
            const oracle::Term resolved = oracle::resolve(term);
            if (!oracle::fits(resolved, test.shape.h, test.shape.w)) test.shape = {1, 1, 33, 34};
            test.map = test.statistics = true;
            test.grad_layout = Layout::nhwc;
            const oracle::Inputs inputs = make_inputs(test);
            const oracle::Result expected = reference(test, inputs);
            expect_agrees_in_every_way(test, inputs, expected);
            test.grad_layout = Layout::crop;
            test.values = test.grad_pred = test.grad_target = false;
            expect_agrees_in_every_way(test, inputs, expected);
            if (HasFailure()) return;
        }
}
INSTANTIATE_TEST_SUITE_P(family, Outputs, testing::Values("presets", "ssim", "parts"),
                         [](const auto &info) { return info.param; });

TEST(Evaluate, map_is_of_the_masked_images) {
    Case test = make_case({windowed(PXL_SSIM, "kornia"), pixel(PXL_L2)}, {2, 1, 20, 31});
    test.mask = Mask::fractional;
    test.map = test.statistics = true;
    expect_agrees(test);
}

TEST(Evaluate, several_windows_in_one_loss) {
    pxl_term fine = windowed(PXL_SSIM, "torchmetrics"), coarse = windowed(PXL_SSIM, "torchmetrics"), pooled = windowed(PXL_DSSIM);
    pxl_term blur = PXL_TERM(PXL_BLUR, 0.3);
    fine.sigma = 0.8, fine.weight = 0.4, coarse.sigma = 2.5, coarse.weight = 0.6, coarse.data_range = 1;
    pooled.downsample = 2, blur.sigma = 2;
    for (const pxl_dtype dtype : {PXL_F64, PXL_F32, PXL_F16}) {
        if (!tested_device().computes(dtype)) continue;
        Case test = make_case({fine, pixel(PXL_HUBER), coarse, blur, pooled, windowed(PXL_STRUCTURE), PXL_TERM(PXL_PSNR, -0.01)},
                              {2, 3, 41, 57}, dtype);
        expect_agrees(test);
        test.per_image = true;
        test.grad_layout = Layout::flip;
        expect_agrees(test);
    }
}

TEST(Evaluate, as_many_terms_as_a_loss_can_have) {
    std::vector<pxl_term> terms;
    for (int i = 0; i < 32; ++i) {
        pxl_term term = i % 4 == 0 ? windowed(PXL_SSIM) : pixel(static_cast<pxl_penalty>(1 + i % 5));
        if (i % 4 == 0) term.window = 3 + 2 * (i / 4), term.sigma = 1 + i / 8.0;
        term.weight = 1.0 / (i + 1);
        terms.push_back(term);
    }
    expect_agrees(make_case(terms, {1, 1, 30, 40}, tested_device().computes(PXL_F64) ? PXL_F64 : PXL_F32));
}

TEST(Evaluate, integers_are_scored_in_their_own_range) {
    for (const pxl_dtype dtype : {PXL_U8, PXL_U16}) {
        Case test =
            make_case({windowed(PXL_SSIM), PXL_TERM(PXL_PSNR, 1), PXL_TERM(PXL_RMSE, 1), pixel(PXL_L1)}, {2, 3, 40, 50}, dtype);
        test.map = true;
        expect_agrees(test);
        test.mask = Mask::fractional;
        test.map = false;
        expect_agrees(test);
        test.grad_pred = true, test.grad_dtype = PXL_F32;
        const Outcome outcome = run(test, make_inputs(test));
        EXPECT_NE(outcome.status, PXL_OK) << "there are no gradients of integers";
        EXPECT_EQ(outcome.damage, "");
    }
}

// The call as the manual shows it, with no context, one image shared by both sides and by the whole batch.
TEST(Evaluate, inputs_may_overlap_and_repeat) {
    Device &device = tested_device();
    std::vector<float> image(64 * 65);
    for (size_t i = 0; i < image.size(); ++i) image[i] = 0.5f + 0.4f * std::sin(0.7f * static_cast<float>(i));
    const DeviceArray<float> shared(device, image), batch(device, std::vector<float>(3 * 64 * 65, 0.25f)),
        output(device, 3 * 64 * 65);
    const DeviceArray<double> values(device, 3);
    pxl_tensor pred = pxl_nchw(batch.data(), PXL_F32, device.id(), 3, 1, 64, 65);
    pxl_tensor target = pxl_nchw(shared.data(), PXL_F32, device.id(), 3, 1, 64, 65);
    pxl_tensor grad = pxl_nchw(output.data(), PXL_F32, device.id(), 3, 1, 64, 65);
    target.stride[0] = 0;
    LossHandle loss;
    ASSERT_EQ(pxl_loss_parse("0.84*ssim + 0.16*l1", nullptr, loss.receive()), PXL_OK) << pxl_error_message();
    const auto evaluate = [&](const pxl_tensor *x, const pxl_tensor *y) {
        pxl_args args = PXL_ARGS(x, y);
        args.grad_pred = &grad, args.values = values.data();
        size_t bytes = 0;
        ASSERT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << pxl_error_message();
        const DeviceBuffer workspace(device, bytes);
        EXPECT_EQ(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
        EXPECT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    };
    evaluate(&target, &target);
    EXPECT_EQ(values.get()[0], 0);
    for (const float g : output.get()) ASSERT_EQ(g, 0);
    evaluate(&pred, &target);
    double mean = 0;
    for (const float value : image) mean += std::fabs(value - 0.25) / static_cast<double>(image.size());
    EXPECT_NEAR(values.get()[2], mean, 1e-6);
    const std::vector<float> gradient = output.get();
    for (size_t i = 0; i < image.size(); ++i)
        ASSERT_EQ(gradient[i], gradient[i + 2 * image.size()]); // same images, same gradients
}

// An axis of one element is never stepped along, so its stride may be anything.
TEST(Evaluate, strides_of_axes_of_one_do_not_matter) {
    Device &device = tested_device();
    const std::vector<float> x(60, 0.75f), y(60, 0.5f);
    const DeviceArray<float> pred_data(device, x), target_data(device, y), grad_data(device, 60);
    const DeviceArray<double> values(device, std::vector<double>(6, 0));
    for (const char *expression : {"tv", "l1", "sobel + tv", "ssim(border=zero) + l1 + tv + blur", "ssim(preset=skimage)",
                                   "ssim(border=zero, downsample=2)"})
        for (const bool tall : {false, true}) {
            LossHandle loss;
            ASSERT_EQ(pxl_loss_parse(expression, nullptr, loss.receive()), PXL_OK) << pxl_error_message();
            pxl_tensor pred = pxl_nchw(pred_data.data(), PXL_F32, device.id(), 1, 1, tall ? 60 : 1, tall ? 1 : 60);
            pxl_tensor target = pred, grad = pred;
            target.data = target_data.data(), grad.data = grad_data.data();
            std::vector<double> outcomes[2];
            for (const bool strange : {false, true}) {
                for (pxl_tensor *tensor : {&pred, &target, &grad})
                    for (int axis = 0; axis < 4 && strange; ++axis)
                        if (tensor->size[axis] == 1) tensor->stride[axis] = std::numeric_limits<int64_t>::max() - 3 * axis;
                pxl_args args = PXL_ARGS(&pred, &target);
                args.grad_pred = &grad, args.values = values.data();
                size_t bytes = 0;
                if (pxl_workspace_size(nullptr, loss, &args, &bytes) == PXL_INVALID_ARGUMENT) continue; // no whole window fits
                const DeviceBuffer workspace(device, bytes);
                ASSERT_EQ(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << expression;
                ASSERT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
                outcomes[strange] = values.get();
                for (const float g : grad_data.get()) outcomes[strange].push_back(g);
            }
            EXPECT_EQ(outcomes[0], outcomes[1]) << expression;
        }
}

// A workspace may serve many calls, one after the other, whatever is in it and in the outputs.
TEST(Evaluate, workspace_serves_again) {
    const Case test = make_case(mixture(), {1, 1, 30, 31});
    const oracle::Inputs inputs = make_inputs(test);
    Device &device = tested_device();
    Tensor pred(device, Layout::nchw, PXL_F32, 1, 1, 30, 31), target(device, Layout::nchw, PXL_F32, 1, 1, 30, 31),
        grad(device, Layout::nchw, PXL_F32, 1, 1, 30, 31);
    target.set(inputs.target);
    LossHandle loss;
    ASSERT_EQ(pxl_loss_create(test.terms.data(), test.terms.size(), loss.receive()), PXL_OK) << pxl_error_message();
    const DeviceArray<double> values(device, 5);
    pxl_args args = PXL_ARGS(pred.view(), target.view());
    args.grad_pred = grad.view(), args.values = values.data();
    size_t bytes = 0;
    ASSERT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << pxl_error_message();
    DeviceBuffer workspace(device, bytes);
    ASSERT_EQ(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    for (const double factor : {1.0, 0.5, 1.0}) {
        oracle::Image scaled = inputs.pred;
        for (double &value : scaled.v) value *= factor;
        pred.set(scaled);
        oracle::Inputs at = inputs;
        at.pred = pred.get();
        ASSERT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
        const oracle::Result expected = reference(test, at);
        EXPECT_NEAR(values.get()[0], expected.values[0], 1e-5 * expected.scale[0]);
        EXPECT_TRUE(close(grad.get(), expected.grad_pred, expected.slack_pred, 1e-4, PXL_F32));
    }
}

} // namespace
