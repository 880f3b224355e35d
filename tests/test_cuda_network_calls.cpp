// Calls with networks on a GPU: captured in graphs, on several streams, host threads and devices at once, without some library, in
// other orders of threads. What takes the shim's controls runs on it alone.
#ifdef PXL_TEST_CUDA
#include <thread>

#include "cuda_device.h"
#include "cuda_stream.h"
#include "feature_case.h"
#ifdef PXLI_CUDA_HOST
#include "control.h"
#endif

namespace {

class CudaNetworkCalls : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};

// The model's numbers in a network of one's own, for which nothing is prepared yet.
NetworkPtr fresh(const Model &model) {
    std::vector<std::vector<float>> memory;
    const std::vector<pxl_layer> layers = library_layers(model, memory);
    pxl_network *made = nullptr;
    EXPECT_EQ(pxl_network_create(layers.data(), layers.size(), &made), PXL_OK) << pxl_error_message();
    return NetworkPtr(made);
}
// Two walks through one network, of other precisions, and a term without.
Case mixed_case(const Model &model, const pxl_network *network, Shape shape = {2, 3, 13, 10}) {
    pxl_term style = weighted(0.5, in_network(model, PXL_STYLE, "1:6")), f16 = weighted(2, in_network(model, PXL_FEATURES, "3"));
    f16.precision = PXL_PRECISION_F16;
    Case test = make_case({in_network(model, PXL_LPIPS, "1:3"), style, f16, weighted(0.25, pixel(PXL_L1))}, shape);
    for (pxl_term &term : test.terms)
        if (term.network) term.network = network;
    test.parsed = false, test.own_weights = true, test.upstream = Upstream::given;
    return test;
}
const char *const small = "3:8,8,M,12";
Case mixed_case(Shape shape = {2, 3, 13, 10}) { return mixed_case(model_of(small), model_of(small).network.get(), shape); }

// ---- Captures and streams -----------------------------------------------------------------------------------------------
TEST_F(CudaNetworkCalls, replayed_follow_images_and_weights_in_device_memory) {
    const NetworkPtr network = fresh(model_of(small)); // not used before it is captured
    for (const bool together : {true, false}) {        // pred and target
        Case test = mixed_case(model_of(small), network.get());
        test.grad_target = !together;
        const oracle::Inputs inputs = make_inputs(test);
        const Stream stream;
        Evaluation evaluation(tested_device(), test, inputs);
#ifdef PXLI_CUDA_HOST
        cuda_host::forget_kernels();
        const size_t before = cuda_host::counts().loads_in_captures;
#endif
        ASSERT_EQ(evaluation.prepare(stream), PXL_OK) << pxl_error_message();
        stream.wait();
        Graph graph;
        ASSERT_EQ(graph.capture(stream, evaluation), PXL_OK) << pxl_error_message();
#ifdef PXLI_CUDA_HOST
        EXPECT_EQ(cuda_host::counts().loads_in_captures, before);
#endif
        for (const double factor : {1.0, -0.5, 0.0, 2.0}) {
            oracle::Inputs now = inputs;
            for (double &weight : now.term_weights) weight *= factor;
            for (double &v : now.pred.v) v = round_to(PXL_F32, v * (1 + 0.25 * factor));
            evaluation.set_term_weights(as_floats(now.term_weights));
            evaluation.pred().set(now.pred);
            evaluation.poison_outputs();
            ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
            graph.replay(stream);
            stream.wait();
            const Outcome outcome = evaluation.outcome(PXL_OK);
            EXPECT_EQ(outcome.damage, "");
            ASSERT_EQ(outcome.bits, alone(test, now)) << "factor " << factor;
        }
    }
}

TEST_F(CudaNetworkCalls, host_threads_at_once_on_one_network) {
    std::vector<Case> cases;
    for (int i = 0; i < 3; ++i) { // the first two of one shape
        cases.push_back(mixed_case({1 + i / 2, 3, 13, 10}));
        cases.back().seed += static_cast<uint32_t>(i);
    }
    expect_same_bits_at_once(cases);
}

// ---- Networks and devices ---------------------------------------------------------------------------------------------
TEST_F(CudaNetworkCalls, losses_keep_their_network) {
    NetworkPtr network = fresh(model_of(small));
    const Case test = mixed_case(model_of(small), network.get());
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    network.reset();
    EXPECT_EQ(call.outcome(call.evaluate()).bits, alone(mixed_case(), inputs));
    EXPECT_EQ(call.initialise(), PXL_OK) << pxl_error_message();
}

// Nothing of one device is taken for another's, and the caller's current device is his again.
TEST_F(CudaNetworkCalls, one_network_on_all_devices_at_once) {
    std::string why_not;
    Device *const second = cuda_device(1, why_not);
    std::vector<Device *> devices = {&tested_device(), &cpu()};
    if (second && second != &tested_device()) devices.push_back(second);
    const NetworkPtr network = fresh(model_of(small));
    const Case test = mixed_case(model_of(small), network.get());
    const oracle::Inputs inputs = make_inputs(test);
    const Outcome expected = run(tested_device(), mixed_case(), inputs);
    for (Device *device : devices) context_of(*device, 1); // not made by two threads at once
    std::vector<std::vector<Outcome>> outcomes(devices.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < devices.size(); ++i)
        threads.emplace_back([&, i] {
            for (int step = 0; step < 3; ++step) outcomes[i].push_back(run(*devices[i], test, inputs));
        });
    for (std::thread &thread : threads) thread.join();
    for (size_t i = 0; i < devices.size(); ++i)
        for (const Outcome &outcome : outcomes[i]) {
            if (devices[i] == &cpu() && outcome.status == PXL_UNSUPPORTED) continue; // no oneDNN
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            for (size_t k = 0; k < expected.values.size(); ++k) // one of the terms is in f16
                EXPECT_NEAR(outcome.values[k], expected.values[k], 1e-2 * std::fabs(expected.values[k])) << i << ' ' << k;
            if (i == 0) {
                EXPECT_EQ(outcome.bits, expected.bits);
            }
        }
}
TEST_F(CudaNetworkCalls, current_device_is_the_caller_s_again) {
    int count = 0, current = -1, before = -1;
    ASSERT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
    if (count < 2) GTEST_SKIP() << "there is one CUDA device; the test takes two";
    ASSERT_EQ(cudaGetDevice(&before), cudaSuccess);
    const int other = tested_device().id().index ? 0 : 1;
    NetworkPtr network = fresh(model_of(small));
    {
        const Case test = mixed_case(model_of(small), network.get());
        const oracle::Inputs inputs = make_inputs(test);
        const Bits expected = alone(mixed_case(), inputs);
        Evaluation call(tested_device(), test, inputs);
        ASSERT_EQ(cudaSetDevice(other), cudaSuccess);
        EXPECT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
        EXPECT_EQ(call.evaluate(), PXL_OK) << pxl_error_message();
        EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
        EXPECT_EQ(current, other);
        EXPECT_EQ(call.outcome(PXL_OK).bits, expected);
    }
    network.reset();
    EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
    EXPECT_EQ(current, other);
    ASSERT_EQ(cudaSetDevice(before), cudaSuccess);
}

#if defined PXLI_CUDA_HOST && defined PXLI_CUDA_HOST_LIBRARIES
// ---- On the shim --------------------------------------------------------------------------------------------------------
TEST_F(CudaNetworkCalls, evaluating_neither_allocates_nor_waits) {
    const Case test = mixed_case();
    const oracle::Inputs inputs = make_inputs(test);
    Evaluation call(tested_device(), test, inputs);
    ASSERT_EQ(call.prepare(), PXL_OK) << pxl_error_message();
    const cuda_host::Counts before = cuda_host::counts();
    for (int i = 0; i < 3; ++i) ASSERT_EQ(call.evaluate(), PXL_OK) << pxl_error_message();
    const cuda_host::Counts after = cuda_host::counts();
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.synchronisations, before.synchronisations);
    EXPECT_EQ(after.live_handles, before.live_handles);
    EXPECT_EQ(after.live_descriptors, before.live_descriptors);
    EXPECT_GT(after.launches, before.launches);
}

TEST_F(CudaNetworkCalls, sizes_share_their_network_s_weights_and_handles) {
    const NetworkPtr network = fresh(model_of(small));
    const auto prepared = [&](Shape shape) {
        const Case test = mixed_case(model_of(small), network.get(), shape);
        const oracle::Inputs inputs = make_inputs(test);
        EXPECT_EQ(run(test, inputs).bits, run(mixed_case(shape), inputs).bits);
        return cuda_host::counts();
    };
    const cuda_host::Counts first = prepared({2, 3, 13, 10}), second = prepared({1, 3, 9, 12});
    EXPECT_EQ(second.live_handles, first.live_handles);
    EXPECT_EQ(second.live_allocations, first.live_allocations);
    EXPECT_GT(second.live_descriptors, first.live_descriptors);
}

TEST_F(CudaNetworkCalls, order_of_threads_and_blocks_changes_no_bit) {
    struct Forward {
        ~Forward() { cuda_host::set_order(cuda_host::Order::forward); }
    } afterwards;
    for (const char *network : {small, "3:5,7k1,A,9", "3:c6,R,c5,M,R", "1:1,A,1"}) {
        const Model &model = model_of(network);
        const bool three = model.layers[0].inputs == 3;
        Case test = make_case({in_network(model, PXL_FEATURES, "0:3"), in_network(model, PXL_STYLE, "1"),
                               in_network(model, PXL_COSINE, "1:3"), in_network(model, three ? PXL_LPIPS : PXL_FEATURES, "1")},
                              {3, model.layers[0].inputs, 23, 19}, PXL_F16);
        test.parsed = false, test.per_image = true, test.terms[0].precision = PXL_PRECISION_F16, test.feature_map = true;
        const oracle::Inputs inputs = make_inputs(test);
        const Bits forward = alone(test, inputs);
        cuda_host::set_order(cuda_host::Order::reverse);
        EXPECT_EQ(alone(test, inputs), forward) << "in reverse: " << network;
        for (const unsigned seed : {1u, 2u}) {
            cuda_host::set_order(cuda_host::Order::random, seed);
            EXPECT_EQ(alone(test, inputs), forward) << "at random: " << network;
        }
        cuda_host::set_order(cuda_host::Order::forward);
    }
}

// Where cuDNN has no engine for a convolution with its bias, ReLU or mask, kernels of our own do the same.
TEST_F(CudaNetworkCalls, what_cudnn_does_not_fuse_is_done_after_it) {
    using cuda_host::Fusion;
    struct Fused {
        ~Fused() { cuda_host::set_cudnn_fusion(Fusion::on); }
    } afterwards;
    for (const char *text : {small, "3:5,7k1,A,9k5"}) {
        const Case fused = mixed_case(model_of(text), model_of(text).network.get());
        const oracle::Inputs inputs = make_inputs(fused);
        const Outcome expected = run(fused, inputs);
        for (const Fusion mode : {Fusion::refused_by_heuristics, Fusion::without_engines, Fusion::refused_by_plans}) {
            cuda_host::set_cudnn_fusion(mode);
            const NetworkPtr network = fresh(model_of(text));
            const Case test = mixed_case(model_of(text), network.get());
            const size_t launches = cuda_host::counts().launches;
            const Outcome outcome = run(test, inputs);
            ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
            EXPECT_GT(cuda_host::counts().launches, launches);
            for (size_t k = 0; k < expected.values.size(); ++k) // the sum of the f16 term is rounded before its bias is added
                EXPECT_NEAR(outcome.values[k], expected.values[k], 2e-3 * std::fabs(expected.values[k])) << k;
            EXPECT_TRUE(close(outcome.grad_pred, expected.grad_pred, {}, 5e-3, PXL_F32)) << text;
            EXPECT_TRUE(close(outcome.grad_target, expected.grad_target, {}, 5e-3, PXL_F32)) << text;
        }
    }
}

// Libraries that go away while the program runs; test_cuda_network_failures.cpp has those that never were there.
TEST_F(CudaNetworkCalls, without_a_library_are_refused_with_its_name) {
    using cuda_host::Library;
    const Model &model = model_of(small);
    const NetworkPtr first = fresh(model); // finds both, where no test has before
    const Case found = mixed_case(model, first.get());
    ASSERT_EQ(run(found, make_inputs(found)).status, PXL_OK) << pxl_error_message();
    for (const Library library : {Library::cudnn, Library::cublas}) {
        const NetworkPtr network = fresh(model);
        Case test = mixed_case(model, network.get());
        const oracle::Inputs inputs = make_inputs(test);
        cuda_host::set_missing(library, true);
        const Outcome refused = run(test, inputs);
        EXPECT_NE(refused.status, PXL_OK);
        EXPECT_NE(refused.message.find(library == Library::cudnn ? "cuDNN" : "cuBLAS"), std::string::npos) << refused.message;
        EXPECT_EQ(refused.damage, "");
        cuda_host::set_missing(library, false);
        EXPECT_EQ(run(test, inputs).status, PXL_OK) << pxl_error_message();
    }
}
#endif

} // namespace
#endif
