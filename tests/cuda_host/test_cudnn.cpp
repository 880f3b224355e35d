// The host's cuDNN: what each graph computes, engines, captures, and what a test asks of it.
#include "test_cudnn.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace cudnn_test;
using cuda_host::Fusion;

namespace {

void expect_near(const Graph &graph, const std::vector<double> &result, const std::vector<double> &expected) {
    ASSERT_EQ(result.size(), expected.size());
    for (size_t i = 0; i < result.size(); ++i)
        ASSERT_LE(std::abs(result[i] - expected[i]), graph.tolerance(expected[i])) << "element " << i << ": " << result[i];
}

void check(const Problem &problem) {
    const Handle handle;
    const Graph graph(handle, problem);
    ASSERT_EQ(graph.status, success);
    ASSERT_EQ(graph.run(), success);
    expect_near(graph, graph.result(), graph.expected());
}

const std::vector<std::vector<Step>> chains = {
    {},
    {Step::bias},
    {Step::relu},
    {Step::bias, Step::relu},
    {Step::bias, Step::leaky_relu},
    {Step::bias_as_input, Step::relu_loses_nan},
    {Step::relu_gradient},
    {Step::add, Step::relu_gradient},
};

TEST_F(Cudnn, EachPatternTypeAndLayout) {
    for (const cudnnDataType_t type : {CUDNN_DATA_FLOAT, CUDNN_DATA_HALF, CUDNN_DATA_BFLOAT16})
        for (const Layout layout : {Layout::nchw, Layout::nhwc, Layout::cropped})
            for (const bool backward : {false, true})
                for (size_t i = 0; i < chains.size(); ++i) {
                    SCOPED_TRACE(testing::Message() << "type " << type << ", layout " << static_cast<int>(layout) << ", backward "
                                                    << backward << ", chain " << i);
                    Problem problem{type, layout, backward};
                    problem.steps = chains[i];
                    check(problem);
                }
}

TEST_F(Cudnn, EachShape) {
    const Dims images[] = {{1, 1, 1, 1}, {1, 3, 4, 5}, {2, 33, 3, 9}, {1, 40, 8, 3}};
    const std::array<int64_t, 2> windows[] = {{1, 1}, {3, 3}, {2, 5}, {7, 1}};
    for (const Dims &image : images)
        for (const auto &window : windows)
            for (const bool backward : {false, true})
                for (const int64_t pre : {int64_t{0}, window[0] / 2, window[0]}) {
                    Problem problem{CUDNN_DATA_FLOAT, Layout::nhwc, backward, image};
                    problem.outputs = image[1] + 31, problem.rows = window[0], problem.columns = window[1];
                    problem.pre = {pre, window[1] / 2}, problem.post = {window[0] - 1, window[1] - 1};
                    SCOPED_TRACE(testing::Message()
                                 << image[1] << " channels, " << window[0] << " x " << window[1] << ", padding " << pre);
                    check(problem);
                }
}

TEST_F(Cudnn, RoundsToTheResultsType) {
    const Handle handle;
    Problem problem;
    for (const cudnnDataType_t type : {CUDNN_DATA_HALF, CUDNN_DATA_BFLOAT16}) {
        problem.type = type;
        const Graph graph(handle, problem);
        ASSERT_EQ(graph.run(), success);
        double worst = 0;
        const std::vector<double> result = graph.result(), expected = graph.expected();
        for (size_t i = 0; i < result.size(); ++i)
            worst = std::max(worst, std::abs(result[i] - expected[i]) / std::abs(expected[i]));
        EXPECT_GT(worst, type == CUDNN_DATA_HALF ? 0x1p-13 : 0x1p-10);
    }
}

// The weights' NaN, before a relu that propagates it, one that does not, and one whose slope below 0 keeps it.
TEST_F(Cudnn, NanPropagation) {
    const Handle handle;
    for (const Step step : {Step::relu, Step::relu_loses_nan, Step::leaky_relu}) {
        Problem problem;
        problem.steps = {step};
        const Graph graph(handle, problem);
        float *const weights = static_cast<float *>(graph.pointers()[1].second);
        weights[0] = NAN;
        ASSERT_EQ(graph.run(), success);
        EXPECT_EQ(std::isnan(graph.result()[0]), step != Step::relu_loses_nan);
        EXPECT_EQ(graph.result()[0] == 0, step == Step::relu_loses_nan);
    }
}

// ---- Engines -----------------------------------------------------------------------------------------------------------

struct Engine {
    int64_t index;
    std::vector<cudnnBackendNumericalNote_t> numerical;
    std::vector<cudnnBackendBehaviorNote_t> behavior;
};

template <class T>
std::vector<T> get_all(const Descriptor &d, Name name, ElementType type) {
    int64_t count = -1, given = -1;
    EXPECT_EQ(cudnnBackendGetAttribute(d, name, type, 0, &count, nullptr), success);
    std::vector<T> values(static_cast<size_t>(count) + 1);
    EXPECT_EQ(cudnnBackendGetAttribute(d, name, type, count + 1, &given, values.data()), success);
    EXPECT_EQ(given, count);
    values.resize(static_cast<size_t>(count));
    return values;
}

Engine engine_of(const Descriptor &configuration) {
    const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t place = engine;
    int64_t count = 0;
    EXPECT_EQ(
        cudnnBackendGetAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &place),
        success);
    return {get_all<int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64).at(0),
            get_all<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE),
            get_all<cudnnBackendBehaviorNote_t>(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE)};
}

cudnnStatus_t ask(const Graph &graph, cudnnBackendHeurMode_t mode, std::vector<Engine> &engines) {
    const Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    EXPECT_EQ(heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.descriptor()), success);
    EXPECT_EQ(heuristics.set<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {mode}), success);
    const cudnnStatus_t status = heuristics.finalize();
    if (status != success) return status;
    int64_t number = 0;
    EXPECT_EQ(
        cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &number, nullptr),
        success);
    std::vector<Owned> configurations;
    std::vector<cudnnBackendDescriptor_t> places;
    for (int64_t i = 0; i < number; ++i) {
        configurations.push_back(std::make_unique<Descriptor>(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
        places.push_back(*configurations.back());
    }
    int64_t count = -1;
    EXPECT_EQ(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, number, &count,
                                       places.data()),
              success);
    EXPECT_LT(count, number);
    for (int64_t i = 0; i < count; ++i) engines.push_back(engine_of(*configurations[static_cast<size_t>(i)]));
    return success;
}

TEST_F(Cudnn, HeuristicsListEnginesWithTheirNotes) {
    const Handle handle;
    const Graph graph(handle, {});
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B}) {
        std::vector<Engine> engines;
        ASSERT_EQ(ask(graph, mode, engines), success);
        ASSERT_EQ(engines.size(), 5u);
        EXPECT_EQ(engines[0].numerical, std::vector{CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC});
        EXPECT_EQ(engines[1].numerical, (std::vector{CUDNN_NUMERICAL_NOTE_TENSOR_CORE}));
        EXPECT_EQ(engines[1].behavior, std::vector{CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
        EXPECT_EQ(engines[2].numerical.size(), 2u);
        EXPECT_TRUE(engines[4].numerical.empty() && engines[4].behavior.empty());
        EXPECT_EQ(engines[4].index, cuda_host::cudnn::plain_engine);
    }
    std::vector<Engine> fallback;
    ASSERT_EQ(ask(graph, CUDNN_HEUR_MODE_FALLBACK, fallback), success);
    ASSERT_EQ(fallback.size(), 1u);
    EXPECT_EQ(fallback[0].index, cuda_host::cudnn::plain_engine);
    EXPECT_EQ(ask(graph, CUDNN_HEUR_MODE_INSTANT, fallback), CUDNN_STATUS_NOT_SUPPORTED);
}

double worst_difference(const std::vector<double> &a, const std::vector<double> &b) {
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
    return worst;
}

TEST_F(Cudnn, EnginesDifferAsTheirNotesSay) {
    const Handle handle;
    const Graph graph(handle, {});
    const auto results = [&](int engine) {
        EXPECT_EQ(graph.run(engine), success);
        return graph.result();
    };
    EXPECT_EQ(results(cuda_host::cudnn::plain_engine), results(cuda_host::cudnn::plain_engine));
    for (const int engine : {cuda_host::cudnn::tensor_core, cuda_host::cudnn::reduced}) {
        const double difference = worst_difference(results(engine), graph.expected());
        EXPECT_GT(difference, 1e-4);
        EXPECT_LT(difference, 1e-2);
        EXPECT_EQ(results(engine), results(engine));
    }
    const std::vector<double> first = results(cuda_host::cudnn::nondeterministic);
    for (int i = 0; i < 5; ++i) EXPECT_NE(results(cuda_host::cudnn::nondeterministic), first);
    EXPECT_EQ(graph.plan(cuda_host::cudnn::without_plan)->finalize(), CUDNN_STATUS_NOT_SUPPORTED);
}

TEST_F(Cudnn, NondeterminismIsSeenInEachType) {
    const Handle handle;
    for (const cudnnDataType_t type : {CUDNN_DATA_HALF, CUDNN_DATA_BFLOAT16}) {
        Problem problem;
        problem.type = type;
        const Graph graph(handle, problem);
        ASSERT_EQ(graph.run(0), success);
        const std::vector<double> first = graph.result();
        ASSERT_EQ(graph.run(0), success);
        EXPECT_NE(graph.result(), first);
    }
}

TEST_F(Cudnn, TheWorkspaceIsLeftFullOfNan) {
    const Handle handle;
    const Graph graph(handle, {});
    const Owned plan = finished(graph.plan(cuda_host::cudnn::plain_engine));
    const auto size = static_cast<size_t>(workspace_size(*plan));
    std::memset(graph.workspace(), 0, size + 4);
    ASSERT_EQ(graph.run(), success);
    float values[2];
    std::memcpy(&values[0], static_cast<char *>(graph.workspace()) + size - 4, 4);
    std::memcpy(&values[1], static_cast<char *>(graph.workspace()) + size, 4);
    EXPECT_TRUE(std::isnan(values[0]));
    EXPECT_EQ(values[1], 0.0f);
}

// ---- Captures ----------------------------------------------------------------------------------------------------------

TEST_F(Cudnn, CaptureAndReplay) {
    const Handle handle;
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    Problem problem;
    problem.steps = {Step::bias, Step::relu};
    const Graph graph(handle, problem);
    Owned plan = finished(graph.plan(cuda_host::cudnn::plain_engine));
    const Owned pack = finished(variant_pack(graph.pointers(), graph.workspace()));
    ASSERT_EQ(cudnnSetStream(handle, stream), success);
    const std::vector<double> before = graph.result();
    cudaGraph_t captured = nullptr;
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(cudnnBackendExecute(handle, *plan, *pack), success);
    ASSERT_EQ(cudaStreamEndCapture(stream, &captured), cudaSuccess);
    EXPECT_EQ(graph.result(), before);
    ASSERT_EQ(cudaGraphInstantiate(&exec, captured, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    expect_near(graph, graph.result(), graph.expected());
    float *const weights = static_cast<float *>(graph.pointers()[1].second);
    std::memset(weights, 0, 4 * 9 * 5 * 9); // read anew by each launch
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_GT(worst_difference(graph.result(), graph.expected()), 0.1);
    plan.reset();
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_TRUE(std::isnan(graph.result()[0])) << "a graph outlives the plan that it was captured from";
    cudaGraphExecDestroy(exec), cudaGraphDestroy(captured), cudaStreamDestroy(stream);
}

TEST_F(Cudnn, PlansAndHandlesAreNotMadeInACapture) {
    const Handle handle;
    const Graph graph(handle, {});
    const Owned plan = graph.plan(cuda_host::cudnn::plain_engine);
    cudaStream_t stream = nullptr;
    cudaGraph_t captured = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(plan->finalize(), CUDNN_STATUS_EXECUTION_FAILED_CUDART);
    cudnnHandle_t other = nullptr;
    EXPECT_EQ(cudnnCreate(&other), CUDNN_STATUS_EXECUTION_FAILED_CUDART);
    EXPECT_EQ(cudaStreamEndCapture(stream, &captured), cudaErrorStreamCaptureInvalidated);
    cudaStreamDestroy(stream);
}

// ---- What a test asks of it --------------------------------------------------------------------------------------------

TEST_F(Cudnn, FusionCanBeSwitchedOff) {
    const Handle handle;
    Problem fused;
    fused.steps = {Step::bias};
    const Graph graph(handle, fused), single(handle, {});
    std::vector<Engine> engines;
    cuda_host::set_cudnn_fusion(Fusion::refused_by_heuristics);
    EXPECT_EQ(ask(graph, CUDNN_HEUR_MODE_A, engines), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN);
    cuda_host::set_cudnn_fusion(Fusion::without_engines);
    EXPECT_EQ(ask(graph, CUDNN_HEUR_MODE_FALLBACK, engines), success);
    EXPECT_TRUE(engines.empty());
    cuda_host::set_cudnn_fusion(Fusion::refused_by_plans);
    EXPECT_EQ(ask(graph, CUDNN_HEUR_MODE_A, engines), success);
    EXPECT_EQ(engines.size(), 5u);
    EXPECT_EQ(graph.plan(cuda_host::cudnn::plain_engine)->finalize(), CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN);
    EXPECT_EQ(single.run(), success);
}

TEST_F(Cudnn, EachCallCanBeMadeToFail) {
    const auto work = [] {
        cudnnHandle_t handle = nullptr;
        cudnnBackendDescriptor_t tensor = nullptr;
        const int64_t uid = 1;
        cudnnStatus_t status = cudnnCreate(&handle);
        if (status == success) status = cudnnSetStream(handle, nullptr);
        if (status == success) status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &tensor);
        if (status == success) status = cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
        const cudnnStatus_t released[] = {tensor ? cudnnBackendDestroyDescriptor(tensor) : success,
                                          handle ? cudnnDestroy(handle) : success};
        for (const cudnnStatus_t other : released)
            if (status == success) status = other;
        return status;
    };
    const char *const names[] = {"cudnnCreate",
                                 "cudnnSetStream",
                                 "cudnnBackendCreateDescriptor",
                                 "cudnnBackendSetAttribute",
                                 "cudnnBackendDestroyDescriptor",
                                 "cudnnDestroy"};
    for (size_t n = 1; n <= 6; ++n) {
        cuda_host::fail_call(n);
        EXPECT_EQ(work(), CUDNN_STATUS_EXECUTION_FAILED_CUDART) << n;
        EXPECT_FALSE(cuda_host::fail_call_is_pending());
        EXPECT_STREQ(cuda_host::last_failed_call(), names[n - 1]);
        EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    }
    cuda_host::fail_call(3, cudaErrorMemoryAllocation);
    EXPECT_EQ(work(), CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED);
    cuda_host::fail_call(3, cudaErrorUnknown, CUDNN_STATUS_LICENSE_ERROR);
    EXPECT_EQ(work(), CUDNN_STATUS_LICENSE_ERROR);
    EXPECT_EQ(work(), success);
}

TEST_F(Cudnn, IsFoundByName) {
    for (const char *const file : {static_cast<const char *>(nullptr), "libcudnn.so.9"}) {
        void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(library, nullptr);
        const auto version = reinterpret_cast<size_t (*)()>(dlsym(library, "cudnnGetVersion"));
        ASSERT_NE(version, nullptr);
        EXPECT_EQ(version(), size_t{CUDNN_VERSION});
        for (const char *const name :
             {"cudnnGetErrorString", "cudnnGetLastErrorString", "cudnnCreate", "cudnnDestroy", "cudnnSetStream",
              "cudnnBackendCreateDescriptor", "cudnnBackendDestroyDescriptor", "cudnnBackendSetAttribute",
              "cudnnBackendGetAttribute", "cudnnBackendFinalize", "cudnnBackendExecute"})
            EXPECT_NE(dlsym(library, name), nullptr) << name;
        dlclose(library);
    }
    EXPECT_EQ(dlopen("libno_such_library.so.1", RTLD_NOW), nullptr);
}

TEST_F(Cudnn, CanBeMissing) {
    cuda_host::set_missing(cuda_host::Library::cudnn, true);
    EXPECT_EQ(dlopen("libcudnn.so.9", RTLD_NOW), nullptr);
    EXPECT_NE(dlerror(), nullptr);
    EXPECT_EQ(cudnnGetVersion(), 0u);
    cudnnHandle_t handle = nullptr;
    EXPECT_EQ(cudnnCreate(&handle), CUDNN_STATUS_NOT_INITIALIZED);
    void *const other = dlopen("libcublas.so.13", RTLD_NOW);
    EXPECT_NE(other, nullptr);
    dlclose(other);
    cuda_host::set_missing(cuda_host::Library::cudnn, false);
}

// In a process of its own: see CMakeLists.txt.
TEST_F(Cudnn, CanBeMissingFromTheBeginning) {
    const char *const missing = std::getenv("PXLOSS_CUDA_MISSING");
    if (!missing) GTEST_SKIP() << "PXLOSS_CUDA_MISSING is not set";
    EXPECT_EQ(dlopen("libcudnn.so.9", RTLD_NOW) == nullptr, std::strstr(missing, "cudnn") != nullptr);
    EXPECT_EQ(dlopen("libcublas.so.13", RTLD_NOW) == nullptr, std::strstr(missing, "cublas") != nullptr);
}

} // namespace
