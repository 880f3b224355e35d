// Calls with perceptual terms: targets that are kept, workspaces, repeated and concurrent calls, and what is refused.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "feature_case.h"

namespace {

const char *const small = "3:8,8,M,12,A,16k5";

class FeatureCalls : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};

// Terms that share a network, one that does not, and one without.
std::vector<pxl_term> mixture_of_networks() {
    const Model &model = model_of(small);
    pxl_term ssim = windowed(PXL_SSIM);
    ssim.border = PXL_ZERO;
    return {in_network(model, PXL_LPIPS), weighted(0.5, in_network(model, PXL_STYLE, "1:0.5*6")),
            weighted(2, in_network(model_of("3:5,M,7k1,A,9"), PXL_FEATURES, "0:7")), ssim, weighted(0.25, pixel(PXL_L1))};
}
Case mixed_case(Shape shape = {3, 3, 17, 14}, pxl_dtype dtype = PXL_F32) {
    Case test = make_case(mixture_of_networks(), shape, dtype);
    test.parsed = false;
    return test;
}
bool on_cpu() { return &tested_device() == &cpu(); }
void expect_refused(pxl_status actual, pxl_status expected, const std::string &text) {
    EXPECT_EQ(actual, expected) << text;
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}

// ---- Targets that are kept --------------------------------------------------------------------------------------------
TEST_F(FeatureCalls, kept_targets_give_the_same_bits) {
    for (const pxl_dtype dtype : {PXL_F32, PXL_F16, PXL_U8})
        for (const bool gradients : {false, true}) {
            Case test = mixed_case({3, 3, 17, 14}, dtype);
            test.grad_target = false, test.grad_pred = gradients && is_floating(dtype), test.feature_map = true;
            const oracle::Inputs inputs = make_inputs(test);
            Case other = test;
            other.seed = 77;
            oracle::Inputs changed = make_inputs(other);
            changed.target = inputs.target;
            const Outcome first = run(tested_device(), test, inputs), second = run(tested_device(), test, changed);
            ASSERT_EQ(first.status, PXL_OK) << first.message;

            test.target_use = PXL_TARGET_KEEP;
            Evaluation call(tested_device(), test, inputs);
            ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
            EXPECT_EQ(call.outcome(call.evaluate()).bits, first.bits);
            call.set_target_use(PXL_TARGET_KEPT);
            for (int i = 0; i < 3; ++i) {
                call.pred().set(i % 2 ? inputs.pred : changed.pred);
                call.poison_outputs();
                const Outcome kept = call.outcome(call.evaluate());
                EXPECT_EQ(kept.bits, i % 2 ? first.bits : second.bits) << dtype << ' ' << gradients << ' ' << i;
                EXPECT_EQ(kept.damage, "");
            }
            call.set_target_use(PXL_TARGET_KEEP); // another target
            call.target().set(changed.target), call.pred().set(changed.pred);
            EXPECT_EQ(call.outcome(call.evaluate()).bits, second.bits);
        }
}

// With the gradient of target, too, in the call that keeps.
TEST_F(FeatureCalls, keeping_does_not_change_gradients_of_the_target) {
    Case test = mixed_case();
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome passes = run(tested_device(), test, inputs);
    test.target_use = PXL_TARGET_KEEP;
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    EXPECT_EQ(call.outcome(call.evaluate()).bits, passes.bits);
    call.set_target_use(PXL_TARGET_KEPT);
    call.poison_outputs();
    const Outcome refused = call.outcome(call.evaluate());
    EXPECT_EQ(refused.status, PXL_INVALID_ARGUMENT);
    EXPECT_NE(refused.message.find("grad_target is wanted"), std::string::npos) << refused.message;
    EXPECT_EQ(refused.damage, "");
}

TEST_F(FeatureCalls, keeping_takes_a_larger_workspace) {
    Case test = mixed_case();
    test.grad_target = false;
    const oracle::Inputs inputs = make_inputs(test);
    size_t bytes[3] = {};
    for (int use = 0; use < 3; ++use) {
        test.target_use = static_cast<pxl_target_use>(use);
        Evaluation call(tested_device(), test, inputs);
        ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
        bytes[use] = call.workspace().bytes();
    }
    // (On a GPU small images that pass go through together, which takes memory of its own.)
    EXPECT_TRUE(!computes_f64() || bytes[PXL_TARGET_KEEP] > bytes[PXL_TARGET_PASSES]);
    EXPECT_EQ(bytes[PXL_TARGET_KEEP], bytes[PXL_TARGET_KEPT]);
}

// ---- Workspaces -------------------------------------------------------------------------------------------------------
TEST_F(FeatureCalls, one_byte_less_than_asked_for_is_refused) {
    const Case test = mixed_case();
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    const pxl_status status = pxl_evaluate(context_of(tested_device(), 1), call.loss(), &call.args(), call.workspace().data(),
                                           call.workspace().bytes() - 1, nullptr);
    const Outcome refused = call.outcome(status);
    EXPECT_EQ(refused.status, PXL_WORKSPACE_TOO_SMALL);
    EXPECT_EQ(refused.damage, "");
    EXPECT_EQ(call.outcome(call.evaluate()).status, PXL_OK);
}

// "Contents are not looked at": what one call left there is of no account to the next.
TEST_F(FeatureCalls, workspace_may_hold_anything) {
    const Case test = mixed_case();
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    const Outcome first = call.outcome(call.evaluate());
    for (const uint8_t byte : {0xff, 0x00, 0x7f}) {
        call.workspace().upload(std::vector<uint8_t>(call.workspace().bytes(), byte));
        ASSERT_EQ(pxl_workspace_init(context_of(tested_device(), 1), call.loss(), &call.args(), call.workspace().data(),
                                     call.workspace().bytes(), nullptr),
                  PXL_OK);
        call.poison_outputs();
        EXPECT_EQ(call.outcome(call.evaluate()).bits, first.bits) << int{byte};
    }
}

// ---- The same bits ----------------------------------------------------------------------------------------------------
TEST_F(FeatureCalls, same_bits_on_every_run) {
    // A GPU has no such threads; and on the CPU's stand-in for one a run takes a second.
    const std::vector<int> counts = on_cpu() ? std::vector<int>{1, 2, 3} : std::vector<int>{1};
    for (const int threads : counts) {
        Case test = mixed_case({2, 3, 67, 71});
        test.threads = threads;
        const oracle::Inputs inputs = make_inputs(test);
        const Outcome first = run(tested_device(), test, inputs);
        ASSERT_EQ(first.status, PXL_OK) << first.message;
        for (int i = 0, again = on_cpu() ? 5 : 2; i < again; ++i)
            EXPECT_EQ(run(tested_device(), test, inputs).bits, first.bits) << threads;
    }
}

// oneDNN shares out the sums of convolutions and of products of matrices otherwise with another number of threads; most of all in
// the Gram matrices of few channels.
TEST_F(FeatureCalls, threads_change_no_more_than_the_last_bits) {
    if (!on_cpu()) GTEST_SKIP() << "a GPU has no such threads";
    Case test = mixed_case({2, 3, 67, 71});
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome one = run(tested_device(), test, inputs);
    for (const int threads : {2, 3, 8}) {
        test.threads = threads;
        const Outcome many = run(tested_device(), test, inputs);
        ASSERT_EQ(many.status, PXL_OK) << many.message;
        for (size_t k = 0; k < one.values.size(); ++k)
            EXPECT_NEAR(many.values[k], one.values[k], 2e-5 * std::fabs(one.values[k])) << threads << ' ' << k;
        EXPECT_TRUE(close(many.grad_pred, one.grad_pred, {}, 1e-5, PXL_F32)) << threads;
        EXPECT_TRUE(close(many.grad_target, one.grad_target, {}, 1e-5, PXL_F32)) << threads;
    }
}

// More shapes than a network keeps what it prepared for, and back.
TEST_F(FeatureCalls, many_shapes_and_back) {
    std::vector<Bits> first;
    for (int round = 0; round < 3; ++round)
        for (int i = 0; i < 24; ++i) {
            const int shape = round == 1 ? 23 - i : i;
            Case test = make_case({in_network(model_of(small), PXL_LPIPS)}, {1, 3, 4 + shape, 30 - shape});
            test.parsed = false, test.grad_target = shape % 3 == 0, test.grad_pred = shape % 2 == 0;
            const Outcome outcome = run(tested_device(), test, make_inputs(test));
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            if (round == 0) first.push_back(outcome.bits);
            EXPECT_EQ(outcome.bits, first[static_cast<size_t>(shape)]) << shape;
        }
}

// Four threads, one loss, shapes that push each other out of what the network keeps.
TEST_F(FeatureCalls, concurrent_calls_on_one_network) {
    constexpr int threads = 4, shapes = 21;
    const int rounds = on_cpu() ? 3 : 1;
    std::vector<Case> cases;
    std::vector<oracle::Inputs> inputs;
    std::vector<Bits> expected;
    for (int i = 0; i < shapes; ++i) {
        cases.push_back(mixed_case({1 + i % 2, 3, 6 + i, 28 - i}));
        inputs.push_back(make_inputs(cases.back()));
        expected.push_back(run(tested_device(), cases.back(), inputs.back()).bits);
    }
    std::atomic<int> wrong{0};
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
            for (int i = 0; i < rounds * shapes; ++i) {
                const auto k = static_cast<size_t>((i * (t + 1) + 5 * t) % shapes);
                wrong += !(run(tested_device(), cases[k], inputs[k]).bits == expected[k]);
            }
        });
    for (std::thread &thread : running) thread.join();
    EXPECT_EQ(wrong, 0);
}

// The last reference may be a loss's.
TEST_F(FeatureCalls, losses_and_contexts_keep_their_network) {
    const Model &model = model_of(small);
    std::vector<std::vector<float>> memory;
    std::vector<pxl_layer> layers = library_layers(model, memory);
    pxl_network *network = nullptr;
    ASSERT_EQ(pxl_network_create(layers.data(), layers.size(), &network), PXL_OK);
    for (auto &numbers : memory) std::fill(numbers.begin(), numbers.end(), NAN); // copied
    pxl_context *context = nullptr;
    ASSERT_EQ(pxl_context_create(PXL_CPU_DEVICE, 1, &context), PXL_OK);
    ASSERT_EQ(pxl_context_add_network(context, "mine", network), PXL_OK);
    pxl_network_destroy(network);
    LossHandle loss;
    ASSERT_EQ(pxl_loss_parse("lpips(net=mine) + style(net=mine)", context, loss.receive()), PXL_OK) << pxl_error_message();
    pxl_context_destroy(context);
    Case test = make_case({in_network(model, PXL_LPIPS), in_network(model, PXL_STYLE)}, {1, 3, 9, 8});
    test.parsed = false;
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK);
    const Outcome expected = call.outcome(call.evaluate());
    call.poison_outputs();
    const pxl_status status = pxl_evaluate(context_of(tested_device(), 1), loss, &call.args(), call.workspace().data(),
                                           call.workspace().bytes(), nullptr);
    EXPECT_EQ(call.outcome(status).bits, expected.bits);
}

// ---- What is refused --------------------------------------------------------------------------------------------------
struct Refused {
    Shape shape;
    const char *network, *layers, *text;
};
TEST_F(FeatureCalls, images_that_do_not_fit_are_refused) {
    const Refused cases[] = {
        {{1, 2, 9, 9}, small, "1", "pred has 2 channels; term 0, features(net=small, layers=1), takes 3 or 1"},
        {{1, 4, 9, 9}, small, "1", "takes 3 or 1"},
        {{1, 3, 9, 9}, "2:8,M", "1", "takes 2"},
        {{1, 1, 9, 9}, "2:8,M", "1", "takes 2"},
        {{1, 3, 3, 9}, small, "8", "pred is 3 x 9 pixels; term 0, features(net=small, layers=8), halves them 2 times"},
        {{1, 3, 9, 1}, small, "pool1", "halves them 1 times"},
    };
    for (const Refused &c : cases) {
        Case test = make_case({in_network(model_of(c.network), PXL_FEATURES, c.layers)}, c.shape);
        test.parsed = false, test.terms[0].precision = PXL_PRECISION_DEFAULT;
        const Outcome outcome = run(tested_device(), test, make_inputs(test));
        EXPECT_EQ(outcome.status, PXL_INVALID_ARGUMENT) << c.text;
        EXPECT_NE(outcome.message.find(c.text), std::string::npos) << c.text << " | " << outcome.message;
        EXPECT_EQ(outcome.damage, "");
    }
    Case smallest = make_case({in_network(model_of(small), PXL_FEATURES, "8")}, {1, 3, 4, 4}); // just fits
    smallest.parsed = false;
    EXPECT_TRUE(agrees_with_oracle(smallest));
}

TEST_F(FeatureCalls, weight_maps_and_maps_without_places_are_refused) {
    Case test = make_case({in_network(model_of(small), PXL_FEATURES, "1")}, {1, 3, 9, 9});
    test.parsed = false, test.mask = Mask::binary;
    Outcome outcome = run(tested_device(), test, make_inputs(test));
    EXPECT_EQ(outcome.status, PXL_INVALID_ARGUMENT);
    EXPECT_NE(outcome.message.find("weight does not go with term 0"), std::string::npos) << outcome.message;
    for (const pxl_term &term : {in_network(model_of(small), PXL_STYLE), pixel(PXL_L1)}) {
        test.terms = {term}, test.mask = Mask::none, test.feature_map = true;
        outcome = run(tested_device(), test, make_inputs(test));
        EXPECT_EQ(outcome.status, PXL_INVALID_ARGUMENT);
        EXPECT_NE(outcome.message.find("feature_map is wanted, but the loss has no term"), std::string::npos) << outcome.message;
    }
}

TEST_F(FeatureCalls, bad_feature_maps_and_target_uses_are_refused) {
    const Case test = make_case({in_network(model_of(small), PXL_FEATURES, "1")}, {1, 3, 9, 8});
    const oracle::Inputs inputs = make_inputs(test);
    Case created = test;
    created.parsed = false;
    Evaluation call(tested_device(), created, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    DeviceArray<double> memory(tested_device(), 72);
    const auto refused = [&](const std::string &text, pxl_dtype dtype, int64_t c, int64_t h, int64_t w, void *data) {
        const pxl_tensor map = pxl_nchw(data, dtype, tested_device().id(), 1, c, h, w);
        pxl_args args = call.args();
        args.feature_map = &map;
        size_t bytes = 0;
        expect_refused(pxl_workspace_size(nullptr, call.loss(), &args, &bytes), PXL_INVALID_ARGUMENT, text);
    };
    refused("feature_map is f16; f32 or f64 is needed", PXL_F16, 1, 9, 8, memory.data());
    refused("feature_map.size[1] is 3; 1 is needed", PXL_F32, 3, 9, 2, memory.data());
    refused("feature_map.size[3] is 7; 8 is needed", PXL_F32, 1, 9, 7, memory.data());
    refused("feature_map.data is NULL", PXL_F32, 1, 9, 8, nullptr);
    refused("overlaps feature_map", PXL_F32, 1, 9, 8, call.args().grad_pred->data);
    for (const int use : {-1, 3}) {
        pxl_args args = call.args();
        std::memcpy(&args.target_use, &use, sizeof use);
        size_t bytes = 0;
        expect_refused(pxl_workspace_size(nullptr, call.loss(), &args, &bytes), PXL_INVALID_ARGUMENT, "args.target_use is ");
    }
}

// One pixel that is repeated takes no memory; the layers would.
TEST_F(FeatureCalls, huge_images_are_refused_and_no_size_overflows) {
    const pxl_term term = in_network(model_of("3:c6,A,R,c5,M,R,R,4"), PXL_FEATURES, "0");
    LossHandle loss;
    ASSERT_EQ(pxl_loss_create(&term, 1, loss.receive()), PXL_OK);
    float pixel = 0.5f;
    const int64_t shapes[][3] = {{1, int64_t{1} << 23, int64_t{1} << 23},
                                 {1, 1, int64_t{1} << 44},
                                 {1, int64_t{1} << 44, 1},
                                 {int64_t{1} << 44, 1, 1},
                                 {int64_t{1} << 20, 1 << 12, 1 << 12}};
    for (const auto &s : shapes) {
        pxl_tensor image = pxl_nchw(&pixel, PXL_F32, PXL_CPU_DEVICE, s[0], 3, s[1], s[2]);
        for (int64_t &stride : image.stride) stride = 0;
        double values[2];
        for (const int use : {PXL_TARGET_PASSES, PXL_TARGET_KEEP}) {
            pxl_args args = PXL_ARGS(&image, &image);
            args.values = values, args.target_use = static_cast<pxl_target_use>(use);
            size_t bytes = 0;
            expect_refused(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_INVALID_ARGUMENT, "makes too much of them");
        }
    }
}

TEST_F(FeatureCalls, statistics_of_a_term_without_a_window_are_refused) {
    const pxl_term term = in_network(model_of(small), PXL_FEATURES, "1");
    std::vector<float> pixels(3 * 81, 0.5f), statistics(15 * 81);
    const pxl_tensor image = pxl_nchw(pixels.data(), PXL_F32, PXL_CPU_DEVICE, 1, 3, 9, 9);
    size_t bytes = 0;
    expect_refused(pxl_ssim_statistics_workspace_size(nullptr, &term, &image, &image, &bytes), PXL_INVALID_ARGUMENT,
                   "term is of kind features");
    pxl_term random = PXL_TERM(PXL_COSINE, 1);
    random.net = "vgg16-random"; // a network of its own, to be let go of
    expect_refused(pxl_ssim_statistics_workspace_size(nullptr, &random, &image, &image, &bytes), PXL_INVALID_ARGUMENT,
                   "term is of kind cosine");
}

} // namespace
