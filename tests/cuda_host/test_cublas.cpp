// The host's cuBLAS: products of each type and transposition against a loop in double, what it refuses, captures.
#include "cublas_host.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>

#include "convolution.h"
#include "test_support.h"

namespace {

using cuda_host::Number;
constexpr cublasStatus_t success = CUBLAS_STATUS_SUCCESS, invalid = CUBLAS_STATUS_INVALID_VALUE;

class Cublas : public testing::Test {
  protected:
    void SetUp() override {
        before_ = cuda_host::counts();
        ASSERT_EQ(cublasCreate_v2(&handle), success);
    }
    void TearDown() override {
        EXPECT_EQ(cublasDestroy_v2(handle), success);
        const cuda_host::Counts now = cuda_host::counts();
        EXPECT_EQ(now.live_handles, before_.live_handles);
        EXPECT_EQ(now.live_allocations, before_.live_allocations);
        EXPECT_EQ(now.live_streams + now.live_graphs, before_.live_streams + before_.live_graphs);
    }
    cublasHandle_t handle = nullptr;

  private:
    cuda_host::Counts before_{};
};

Number number_of(cudaDataType type) { return type == CUDA_R_32F ? Number::f32 : type == CUDA_R_16F ? Number::f16 : Number::bf16; }

// Matrices in memory that is longer than they are.
struct Matrix {
    Matrix(cudaDataType type, int rows, int columns, unsigned seed)
        : type(type),
          leading(rows + 2),
          stride(static_cast<long long>(leading) * columns + 3),
          memory(static_cast<size_t>(2 * stride) * cuda_host::bytes_of(number_of(type)), '\xff') {
        for (int64_t b = 0; b < 2; ++b)
            for (int64_t j = 0; j < columns; ++j)
                for (int64_t i = 0; i < rows; ++i) {
                    seed = seed * 1664525u + 1013904223u;
                    cuda_host::store(number_of(type), memory.data(), b * stride + j * leading + i,
                                     static_cast<float>(seed >> 8) / (1 << 23) - 1);
                }
    }
    double at(int64_t b, int64_t i, int64_t j) const {
        return static_cast<double>(cuda_host::load(number_of(type), memory.data(), b * stride + j * leading + i));
    }
    cudaDataType type;
    int leading;
    long long stride;
    Buffer<char> memory;
};

struct Product {
    cudaDataType type = CUDA_R_32F, result = CUDA_R_32F;
    cublasOperation_t ta = CUBLAS_OP_N, tb = CUBLAS_OP_N;
    float alpha = 1, beta = 0;
    cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
    int m = 5, n = 7, k = 19;
};

struct Operands {
    explicit Operands(const Product &p)
        : a(p.type, p.ta ? p.k : p.m, p.ta ? p.m : p.k, 1),
          b(p.type, p.tb ? p.n : p.k, p.tb ? p.k : p.n, 2),
          c(p.result, p.m, p.n, 3) {}
    Matrix a, b, c;
};

cublasStatus_t multiply(cublasHandle_t handle, const Product &p, const Operands &o, int lda = 0) {
    return cublasGemmStridedBatchedEx(handle, p.ta, p.tb, p.m, p.n, p.k, &p.alpha, o.a.memory.data(), p.type,
                                      lda ? lda : o.a.leading, o.a.stride, o.b.memory.data(), p.type, o.b.leading, o.b.stride,
                                      &p.beta, o.c.memory.data(), p.result, o.c.leading, o.c.stride, 2, p.compute,
                                      CUBLAS_GEMM_DEFAULT);
}

// The largest difference, less half a unit in the last place of the result's type.
double worst_error(cublasHandle_t handle, const Product &p) {
    const Operands operands(p), before(p);
    EXPECT_EQ(multiply(handle, p, operands), success);
    const double unit = p.result == CUDA_R_32F ? 0 : p.result == CUDA_R_16F ? 0x1p-11 : 0x1p-8;
    double worst = 0;
    for (int64_t b = 0; b < 2; ++b)
        for (int64_t i = 0; i < p.m; ++i)
            for (int64_t j = 0; j < p.n; ++j) {
                double sum = 0;
                for (int64_t l = 0; l < p.k; ++l)
                    sum += (p.ta ? operands.a.at(b, l, i) : operands.a.at(b, i, l)) *
                           (p.tb ? operands.b.at(b, j, l) : operands.b.at(b, l, j));
                const double expected = p.alpha * sum + (p.beta ? p.beta * before.c.at(b, i, j) : 0);
                const double error = std::abs(operands.c.at(b, i, j) - expected) - 1.01 * unit * std::abs(expected);
                worst = std::isnan(error) ? INFINITY : std::max(worst, error);
            }
    return worst;
}

TEST_F(Cublas, EachTypeAndTransposition) {
    for (const auto &[type, result] : {std::pair{CUDA_R_32F, CUDA_R_32F},
                                       {CUDA_R_16F, CUDA_R_16F},
                                       {CUDA_R_16F, CUDA_R_32F},
                                       {CUDA_R_16BF, CUDA_R_16BF},
                                       {CUDA_R_16BF, CUDA_R_32F}})
        for (const cublasOperation_t ta : {CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C})
            for (const cublasOperation_t tb : {CUBLAS_OP_N, CUBLAS_OP_T})
                for (const float beta : {0.0f, -0.5f})
                    EXPECT_LT(worst_error(handle, {type, result, ta, tb, 0.75f, beta}), 1e-5) << type << result << ta << tb;
}

TEST_F(Cublas, Tf32IsSeen) {
    const auto error = [&](cublasComputeType_t compute) {
        return worst_error(handle, {CUDA_R_32F, CUDA_R_32F, CUBLAS_OP_N, CUBLAS_OP_N, 1, 0, compute});
    };
    EXPECT_GT(error(CUBLAS_COMPUTE_32F_FAST_TF32), 1e-4);
    EXPECT_LT(error(CUBLAS_COMPUTE_32F_FAST_TF32), 1e-2);
    EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), success);
    EXPECT_GT(error(CUBLAS_COMPUTE_32F), 1e-4);
    EXPECT_LT(error(CUBLAS_COMPUTE_32F_PEDANTIC), 1e-5);
    EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH), success);
    EXPECT_LT(error(CUBLAS_COMPUTE_32F), 1e-5);
    EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_FP32_EMULATED_BF16X9_MATH), invalid);
}

TEST_F(Cublas, ArgumentsAreChecked) {
    const Product good;
    const Operands operands(good);
    EXPECT_EQ(multiply(handle, good, operands, 4), invalid); // less than the rows
    EXPECT_EQ(multiply(nullptr, good, operands), CUBLAS_STATUS_NOT_INITIALIZED);
    Product p = good;
    p.m = -1;
    EXPECT_EQ(multiply(handle, p, operands), invalid);
    p = good, p.k = 500;                               // beyond the end of its memory
    EXPECT_EQ(multiply(handle, p, operands), invalid); // b's leading dimension
    p = good, p.n = 20;
    EXPECT_EQ(multiply(handle, p, operands), invalid); // results that overlap
    p = good, p.compute = CUBLAS_COMPUTE_64F;
    EXPECT_EQ(multiply(handle, p, operands), CUBLAS_STATUS_NOT_SUPPORTED);
    p = good, p.type = CUDA_R_64F;
    EXPECT_EQ(multiply(handle, p, operands), CUBLAS_STATUS_NOT_SUPPORTED);
    const float one = 1, zero = 0;
    float *const c = reinterpret_cast<float *>(operands.c.memory.data());
    const auto with = [&](const void *a, const float *alpha) {
        return cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, alpha, a, CUDA_R_32F, 2, 4, c, CUDA_R_32F, 2,
                                          4, &zero, c, CUDA_R_32F, 2, 4, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    };
    EXPECT_EQ(with(c, nullptr), invalid);
    EXPECT_EQ(with(nullptr, &one), invalid);
    float host[4];
    EXPECT_EQ(with(host, &one), CUBLAS_STATUS_EXECUTION_FAILED);
    EXPECT_EQ(cublasDestroy_v2(nullptr), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_STREQ(cublasGetStatusString(invalid), "an unsupported value or parameter was passed to the function");
}

TEST_F(Cublas, WorkspacesAreTheDevicesAndAligned) {
    const Buffer<char> workspace(4096);
    std::vector<char> host(4096);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, workspace.data(), 4096), success);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, workspace.data() + 16, 1024), invalid);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, workspace.data(), 4097), invalid);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, nullptr, 4096), invalid);
    EXPECT_EQ(multiply(handle, {}, Operands(Product())), success);
    EXPECT_EQ(workspace.get()[4095], '\xff'); // NaN
}

TEST_F(Cublas, ACaptureNeedsTheCallersWorkspace) {
    const Buffer<char> workspace(4096);
    const Product product;
    const Operands operands(product);
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, workspace.data(), 4096), success);
    EXPECT_EQ(cublasSetStream_v2(handle, stream), success); // takes the workspace away
    const double before = operands.c.at(0, 0, 0);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(multiply(handle, product, operands), CUBLAS_STATUS_ALLOC_FAILED);
    EXPECT_EQ(cublasSetWorkspace_v2(handle, workspace.data(), 4096), success);
    EXPECT_EQ(multiply(handle, product, operands), success);
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(operands.c.at(0, 0, 0), before);
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    EXPECT_NE(operands.c.at(0, 0, 0), before);
    cudaGraphExecDestroy(exec), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
}

TEST_F(Cublas, CallsFailOnDemandAndTheLibraryCanBeMissing) {
    const Operands operands{Product()};
    cuda_host::fail_call(1);
    EXPECT_EQ(multiply(handle, {}, operands), CUBLAS_STATUS_EXECUTION_FAILED);
    EXPECT_STREQ(cuda_host::last_failed_call(), "cublasGemmStridedBatchedEx");
    cuda_host::fail_call(1, cudaErrorUnknown, CUBLAS_STATUS_INTERNAL_ERROR);
    EXPECT_EQ(multiply(handle, {}, operands), CUBLAS_STATUS_INTERNAL_ERROR);
    cuda_host::set_missing(cuda_host::Library::cublas, true);
    EXPECT_EQ(dlopen("libcublas.so.13", RTLD_NOW), nullptr);
    cublasHandle_t other = nullptr;
    EXPECT_EQ(cublasCreate_v2(&other), CUBLAS_STATUS_NOT_INITIALIZED);
    cuda_host::set_missing(cuda_host::Library::cublas, false);
    void *const library = dlopen("libcublas.so.13", RTLD_NOW);
    ASSERT_NE(library, nullptr);
    for (const char *const name : {"cublasCreate_v2", "cublasDestroy_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2",
                                   "cublasSetMathMode", "cublasGetStatusString", "cublasGemmStridedBatchedEx"})
        EXPECT_NE(dlsym(library, name), nullptr) << name;
    dlclose(library);
}

} // namespace
