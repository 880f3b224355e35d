// Each misuse of the host's cuDNN is refused, and with the status of its kind.
#include "test_cudnn.h"

using namespace cudnn_test;

namespace {

constexpr cudnnStatus_t bad = CUDNN_STATUS_BAD_PARAM;
constexpr cudnnStatus_t wrong_type = CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE;
constexpr cudnnStatus_t null = CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
constexpr cudnnStatus_t twice = CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES;

const TensorSpec x_spec = {1, {2, 8, 5, 6}, {240, 1, 48, 8}};
const TensorSpec w_spec = {2, {4, 8, 3, 3}, {72, 1, 24, 8}};
const TensorSpec y_spec = {3, {2, 4, 5, 6}, {120, 1, 24, 4}};

TEST_F(Cudnn, AttributesHaveATypeAndANumber) {
    const Owned d = tensor(x_spec);
    const std::vector<int64_t> nine(9, 1), two(2, 1), none;
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, nine), bad);
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, none), bad);
    EXPECT_EQ(d->set<int32_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT32, {1, 1, 1, 1}), wrong_type);
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, two), bad);
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, 1.0f), wrong_type);
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, int64_t{1}), wrong_type);
    EXPECT_EQ(d->set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2}), bad);
    EXPECT_EQ(cudnnBackendSetAttribute(*d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, nullptr), bad);
    EXPECT_EQ(cudnnBackendSetAttribute(nullptr, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, two.data()), null);
    char text[200] = "";
    cudnnGetLastErrorString(text, sizeof text);
    EXPECT_STRNE(text, "");
    EXPECT_EQ(d->finalize(), success);
}

TEST_F(Cudnn, DescriptorsAreFinalisedOnce) {
    const Owned d = tensor(x_spec);
    int64_t value = 0, count = 0;
    const auto get = [&](ElementType type, int64_t n) {
        return cudnnBackendGetAttribute(*d, CUDNN_ATTR_TENSOR_UNIQUE_ID, type, n, &count, &value);
    };
    EXPECT_EQ(get(CUDNN_TYPE_INT64, 1), CUDNN_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(d->finalize(), success);
    EXPECT_EQ(d->finalize(), bad);
    EXPECT_EQ(d->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, int64_t{7}), bad);
    EXPECT_EQ(get(CUDNN_TYPE_FLOAT, 1), wrong_type);
    EXPECT_EQ(get(CUDNN_TYPE_INT64, -1), bad);
    EXPECT_EQ(get(CUDNN_TYPE_INT64, 1), success);
    EXPECT_EQ(value, 1);
    EXPECT_EQ(cudnnBackendFinalize(nullptr), null);
    EXPECT_EQ(cudnnBackendDestroyDescriptor(nullptr), null);
    EXPECT_EQ(cudnnBackendDestroyDescriptor(&value), bad);
    EXPECT_EQ(cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, nullptr), null);
    cudnnBackendDescriptor_t none = nullptr;
    EXPECT_EQ(cudnnBackendCreateDescriptor(CUDNN_BACKEND_MATMUL_DESCRIPTOR, &none), CUDNN_STATUS_NOT_SUPPORTED);
}

TEST_F(Cudnn, TensorsAreChecked) {
    for (const int name : {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT,
                           CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_ATTR_TENSOR_STRIDES})
        EXPECT_EQ(tensor(x_spec, name)->finalize(), bad) << name;
    const auto status_of = [](void (*change)(TensorSpec &)) {
        TensorSpec spec = x_spec;
        change(spec);
        return tensor(spec)->finalize();
    };
    EXPECT_EQ(status_of([](TensorSpec &s) { s.alignment = 0; }), bad);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.alignment = 2; }), bad);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.alignment = 2, s.type = CUDNN_DATA_HALF; }), success);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.dims[2] = 0; }), bad);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.strides[3] = -8; }), bad);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.strides[3] = 0; }), bad);
    EXPECT_EQ(status_of([](TensorSpec &s) { s.type = CUDNN_DATA_DOUBLE; }), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
    const Owned three = tensor(x_spec);
    three->set<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, {2, 8, 5});
    EXPECT_EQ(three->finalize(), bad);
}

TEST_F(Cudnn, ConvolutionsAreChecked) {
    EXPECT_EQ(convolution()->finalize(), success);
    for (int name = CUDNN_ATTR_CONVOLUTION_COMP_TYPE; name <= CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS; ++name)
        EXPECT_EQ(convolution({1, 1}, {1, 1}, name)->finalize(), bad) << name;
    EXPECT_EQ(convolution({1})->finalize(), bad);
    EXPECT_EQ(convolution({-1, 0})->finalize(), bad);
    const auto status_with = [](Name name, const std::vector<int64_t> &values) {
        const Owned d = convolution();
        EXPECT_EQ(d->set(name, CUDNN_TYPE_INT64, values), success);
        return d->finalize();
    };
    EXPECT_EQ(status_with(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {0, 1}), bad);
    EXPECT_EQ(status_with(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {2, 2}), CUDNN_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(status_with(CUDNN_ATTR_CONVOLUTION_DILATIONS, {2, 1}), CUDNN_STATUS_NOT_SUPPORTED);
    const Owned half = convolution();
    half->set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_HALF);
    EXPECT_EQ(half->finalize(), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
    EXPECT_EQ(pointwise(CUDNN_POINTWISE_ADD, true, CUDNN_ATTR_POINTWISE_MODE)->finalize(), bad);
    EXPECT_EQ(pointwise(CUDNN_POINTWISE_ADD, true, CUDNN_ATTR_POINTWISE_MATH_PREC)->finalize(), bad);
    EXPECT_EQ(pointwise(CUDNN_POINTWISE_MUL)->finalize(), CUDNN_STATUS_NOT_SUPPORTED);
}

// A convolution's operation with one tensor changed.
cudnnStatus_t operation_status(bool backward, void (*change)(TensorSpec &, TensorSpec &, TensorSpec &), int without = -1) {
    TensorSpec image = x_spec, weights = w_spec, response = y_spec;
    change(image, weights, response);
    const Owned x = finished(tensor(image)), w = finished(tensor(weights)), y = finished(tensor(response));
    const Owned settings = finished(convolution());
    return operation(backward, *settings, *x, *w, *y, without)->finalize();
}

TEST_F(Cudnn, OperationsAreChecked) {
    using Spec = TensorSpec;
    for (const bool backward : {false, true}) {
        const auto status_of = [=](void (*change)(Spec &, Spec &, Spec &)) { return operation_status(backward, change); };
        EXPECT_EQ(status_of([](Spec &, Spec &, Spec &) {}), success);
        EXPECT_EQ(status_of([](Spec &, Spec &, Spec &y) { y.dims[2] = 6; }), bad);
        EXPECT_EQ(status_of([](Spec &, Spec &, Spec &y) { y.dims[1] = 5; }), bad);
        EXPECT_EQ(status_of([](Spec &, Spec &, Spec &y) { y.dims[0] = 1; }), bad);
        EXPECT_EQ(status_of([](Spec &, Spec &w, Spec &) { w.dims[1] = 7; }), bad);
        EXPECT_EQ(status_of([](Spec &, Spec &w, Spec &) { w.dims[1] = 4; }), CUDNN_STATUS_NOT_SUPPORTED);
        EXPECT_EQ(status_of([](Spec &x, Spec &, Spec &y) { y.uid = x.uid; }), twice);
        for (int i = 0; i < 6; ++i) {
            const int first =
                backward ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA : CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA;
            EXPECT_EQ(operation_status(
                          backward, [](Spec &, Spec &, Spec &) {}, first + i),
                      bad)
                << first + i;
        }
    }
    const Descriptor d(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    const Owned unfinished = tensor(x_spec), settings = finished(convolution());
    EXPECT_EQ(d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, *unfinished), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    EXPECT_EQ(d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, *settings), CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
    EXPECT_EQ(
        d.set<cudnnBackendDescriptor_t>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, {nullptr}),
        null);
    EXPECT_EQ(d.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, int64_t{1}), wrong_type);
    EXPECT_EQ(d.set<double>(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_DOUBLE, {1.0}), success);
}

// The operands that are set, by name; tensors of y's shape but a bias.
cudnnStatus_t pointwise_status(cudnnPointwiseMode_t mode, const std::vector<Name> &operands, const Dims &b = {1, 4, 1, 1}) {
    std::vector<Owned> owned;
    const Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    owned.push_back(finished(pointwise(mode)));
    EXPECT_EQ(d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *owned.back()), success);
    for (const Name name : operands) {
        TensorSpec spec = y_spec;
        spec.uid = name;
        if (name == CUDNN_ATTR_OPERATION_POINTWISE_BDESC) spec.dims = b;
        owned.push_back(finished(tensor(spec)));
        EXPECT_EQ(d.set(name, *owned.back()), success);
    }
    return d.finalize();
}

TEST_F(Cudnn, PointwiseOperationsAreChecked) {
    constexpr Name x = CUDNN_ATTR_OPERATION_POINTWISE_XDESC, b = CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                   y = CUDNN_ATTR_OPERATION_POINTWISE_YDESC, dx = CUDNN_ATTR_OPERATION_POINTWISE_DXDESC,
                   dy = CUDNN_ATTR_OPERATION_POINTWISE_DYDESC;
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_ADD, {x, b, y}), success);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_ADD, {x, y}), bad);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_ADD, {b, y}), bad);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_ADD, {x, b}), bad);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_ADD, {x, b, y}, {1, 3, 1, 1}), bad);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_RELU_FWD, {x, y}), success);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_RELU_FWD, {x, b, y}), bad);
    EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_RELU_BWD, {x, dx, dy}), success);
    for (const auto &operands : std::vector<std::vector<Name>>{{x, dx}, {x, dy}, {dx, dy}, {y, dx, dy}, {x, y, dx, dy}})
        EXPECT_EQ(pointwise_status(CUDNN_POINTWISE_RELU_BWD, operands), bad);
}

// ---- Graphs ------------------------------------------------------------------------------------------------------------

// A convolution from x to `convolved`, then a relu from `taken` to `result`.
cudnnStatus_t graph_status(const TensorSpec &convolved, const TensorSpec &taken, const TensorSpec &result,
                           bool with_relu = true) {
    const Handle handle;
    const Owned x = finished(tensor(x_spec)), w = finished(tensor(w_spec)), y = finished(tensor(convolved));
    const Owned settings = finished(convolution()), convolve = finished(operation(false, *settings, *x, *w, *y));
    const Owned in = finished(tensor(taken)), out = finished(tensor(result)),
                relu = finished(pointwise(CUDNN_POINTWISE_RELU_FWD));
    const Descriptor activate(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR), graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    EXPECT_EQ(activate.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *relu), success);
    EXPECT_EQ(activate.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *in), success);
    EXPECT_EQ(activate.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *out), success);
    EXPECT_EQ(activate.finalize(), success);
    std::vector<cudnnBackendDescriptor_t> operations = {activate, *convolve}; // in any order
    if (!with_relu) operations.erase(operations.begin());
    EXPECT_EQ(graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle), success);
    EXPECT_EQ(graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations), success);
    return graph.finalize();
}

TensorSpec with(int64_t uid, bool is_virtual) {
    TensorSpec spec = y_spec;
    spec.uid = uid, spec.is_virtual = is_virtual;
    return spec;
}

TEST_F(Cudnn, GraphsAreChecked) {
    EXPECT_EQ(graph_status(with(4, true), with(4, true), with(5, false)), success);
    EXPECT_EQ(graph_status(with(4, false), with(4, false), with(5, false)), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN);
    EXPECT_EQ(graph_status(with(4, true), with(6, true), with(5, false)), bad);
    EXPECT_EQ(graph_status(with(4, true), with(4, true), with(5, true)), bad);
    EXPECT_EQ(graph_status(with(4, true), with(4, true), with(1, false)), twice);
    EXPECT_EQ(graph_status(with(4, true), with(4, false), with(5, false)), twice);
    EXPECT_EQ(graph_status(with(4, false), with(4, true), with(5, false), false), success);
    EXPECT_EQ(graph_status(with(4, true), with(4, true), with(5, false), false), bad);
    TensorSpec half = with(5, false), overlapping = with(5, false);
    half.type = CUDNN_DATA_HALF, overlapping.strides[3] = 3;
    EXPECT_EQ(graph_status(with(4, true), with(4, true), half), CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE);
    EXPECT_EQ(graph_status(with(4, true), with(4, true), overlapping), CUDNN_STATUS_NOT_SUPPORTED_LAYOUT);
}

TEST_F(Cudnn, WhatAGraphIsMadeFromIsRequired) {
    for (const cudnnBackendDescriptorType_t type :
         {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_BACKEND_ENGINE_DESCRIPTOR,
          CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR})
        EXPECT_EQ(Descriptor(type).finalize(), bad) << type;
    const Handle handle;
    const Graph graph(handle, {});
    for (const int64_t index : {-1, 5}) {
        const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
        EXPECT_EQ(engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.descriptor()), success);
        EXPECT_EQ(engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, index), success);
        EXPECT_EQ(engine.finalize(), CUDNN_STATUS_NOT_SUPPORTED);
    }
    const Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    cudnnBackendDescriptor_t place = heuristics;
    EXPECT_EQ(heuristics.set<cudnnBackendDescriptor_t>(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, {place}),
              bad);
}

// ---- Execution ---------------------------------------------------------------------------------------------------------

class CudnnExecution : public Cudnn {
  protected:
    using Pointers = std::vector<std::pair<int64_t, void *>>;

    void SetUp() override {
        Cudnn::SetUp();
        Problem problem;
        problem.steps = {Step::bias};
        handle_ = std::make_unique<Handle>();
        graph_ = std::make_unique<Graph>(*handle_, problem);
        plan_ = finished(graph_->plan(cuda_host::cudnn::plain_engine));
    }
    void TearDown() override {
        plan_.reset(), graph_.reset(), handle_.reset();
        Cudnn::TearDown();
    }
    cudnnStatus_t run(const Pointers &pointers, void *workspace) const {
        const Owned pack = finished(variant_pack(pointers, workspace));
        return cudnnBackendExecute(*handle_, *plan_, *pack);
    }
    // With pointer i in place of what it was.
    cudnnStatus_t run_with(size_t i, void *pointer) const {
        Pointers pointers = graph_->pointers();
        pointers[i].second = pointer;
        return run(pointers, graph_->workspace());
    }

    std::unique_ptr<Handle> handle_;
    std::unique_ptr<Graph> graph_;
    Owned plan_;
};

TEST_F(CudnnExecution, NeedsAPointerForEachTensorAndNoMore) {
    const Pointers all = graph_->pointers();
    EXPECT_EQ(run(all, graph_->workspace()), success);
    for (size_t i = 0; i < all.size(); ++i) {
        Pointers fewer = all;
        fewer.erase(fewer.begin() + static_cast<long>(i));
        EXPECT_EQ(run(fewer, graph_->workspace()), bad);
        EXPECT_EQ(run_with(i, nullptr), null);
    }
    for (const int64_t id : {int64_t{100}, int64_t{77}}) { // a virtual tensor's, nobody's
        Pointers more = all;
        more.emplace_back(id, all[0].second);
        EXPECT_EQ(run(more, graph_->workspace()), bad);
    }
    Pointers repeated = all;
    repeated.push_back(all[0]);
    EXPECT_EQ(variant_pack(repeated, graph_->workspace())->finalize(), twice);
    const Owned uneven = variant_pack(all, graph_->workspace());
    uneven->set<void *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, {all[0].second});
    EXPECT_EQ(uneven->finalize(), bad);
}

TEST_F(CudnnExecution, ChecksMemory) {
    const Pointers all = graph_->pointers();
    std::vector<float> host(4000);
    char *const weights = static_cast<char *>(all[1].second);
    EXPECT_EQ(run_with(1, weights + 2), CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
    EXPECT_EQ(run_with(1, weights + 4), CUDNN_STATUS_EXECUTION_FAILED); // one element too far
    EXPECT_EQ(run_with(1, host.data()), CUDNN_STATUS_EXECUTION_FAILED);
    EXPECT_EQ(run_with(0, all[2].second), bad); // the input is where the result goes
    EXPECT_EQ(run(all, nullptr), null);
    const Buffer<char> small(static_cast<size_t>(workspace_size(*plan_)) - 1);
    EXPECT_EQ(run(all, small.data()), CUDNN_STATUS_EXECUTION_FAILED);
    const Buffer<char> shared(1 << 20);
    Pointers pointers = all;
    pointers[3].second = shared.data();
    EXPECT_EQ(run(pointers, shared.data()), bad);
}

// The activation that a gradient is masked by may be where the result goes, but for that exactly there.
TEST_F(CudnnExecution, TheResultMayTakeThePlaceOfAnActivation) {
    Problem problem;
    problem.backward = true, problem.steps = {Step::relu_gradient};
    const Graph graph(*handle_, problem);
    plan_ = finished(graph.plan(cuda_host::cudnn::plain_engine));
    Pointers pointers = graph.pointers();
    pointers[2].second = pointers[3].second;
    EXPECT_EQ(run(pointers, graph.workspace()), success);
    EXPECT_NEAR(*static_cast<const float *>(pointers[2].second), graph.expected()[0], 1e-5);
    const Buffer<char> larger(1 << 14);
    pointers[2].second = larger.data(), pointers[3].second = larger.data() + 4;
    EXPECT_EQ(run(pointers, graph.workspace()), bad);
}

TEST_F(CudnnExecution, ChecksHandlesPlansAndStreams) {
    const Owned pack = finished(variant_pack(graph_->pointers(), graph_->workspace()));
    const Owned unfinished = graph_->plan(cuda_host::cudnn::plain_engine);
    EXPECT_EQ(cudnnBackendExecute(nullptr, *plan_, *pack), null);
    EXPECT_EQ(cudnnBackendExecute(*handle_, *unfinished, *pack), CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    EXPECT_EQ(cudnnBackendExecute(*handle_, *pack, *plan_), CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE);
    ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
    EXPECT_EQ(cudnnBackendExecute(*handle_, *plan_, *pack), CUDNN_STATUS_EXECUTION_FAILED_CUDART);
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cudnnSetStream(*handle_, stream), bad);
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    cudaStreamDestroy(stream);
    EXPECT_EQ(cudnnSetStream(*handle_, stream), bad);
    EXPECT_EQ(cudnnSetStream(nullptr, nullptr), bad);
    EXPECT_EQ(cudnnDestroy(nullptr), bad);
    EXPECT_STREQ(cudnnGetErrorString(CUDNN_STATUS_BAD_PARAM), "CUDNN_STATUS_BAD_PARAM");
}

} // namespace
