// The functions of cuBLAS on the host that multiply batches of matrices. Each call takes the shim's lock and counts as one of CUDA's.
#include "cublas_host.h"

#include <algorithm>
#include <set>
#include <vector>

#include "control.h"
#include "convolution.h"
#include "runtime.h"
#include "scheduler.h"

struct cublasContext {
    int device;
    cudaStream_t stream;
    cublasMath_t math;
    void *workspace; // the caller's, nullptr: that of the handle
    size_t workspace_bytes;
};

namespace {

using cuda_host::Number;

constexpr cublasStatus_t success = CUBLAS_STATUS_SUCCESS, invalid = CUBLAS_STATUS_INVALID_VALUE;
constexpr cublasStatus_t unsupported = CUBLAS_STATUS_NOT_SUPPORTED;

std::set<cublasHandle_t> &live_handles() {
    static auto *const all = new std::set<cublasHandle_t>;
    return *all;
}

int status_of(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t call(const char *name, unsigned traits, const std::function<int()> &body) {
    return static_cast<cublasStatus_t>(cuda_host::library_call(name, traits, status_of, body));
}

cublasStatus_t call_with(const char *name, cublasHandle_t handle, const std::function<int()> &body) {
    return call(name, cuda_host::plain, [&] { return live_handles().count(handle) ? body() : CUBLAS_STATUS_NOT_INITIALIZED; });
}

// ---- The product -------------------------------------------------------------------------------------------------------

// Column-major: element (row, column) of matrix `batch` is data[batch * stride + column * leading + row], as it is stored.
struct Matrix {
    void *data;
    cudaDataType type;
    int rows, columns, leading;
    long long stride;
};

struct Product { // c = alpha * op(a) * op(b) + beta * c
    Matrix a, b, c;
    bool transpose_a, transpose_b, to_tf32;
    int m, n, k, batches;
    float alpha, beta;
    void *workspace;
    size_t workspace_bytes;
};

Number number_of(cudaDataType type) { return type == CUDA_R_32F ? Number::f32 : type == CUDA_R_16F ? Number::f16 : Number::bf16; }
bool is_supported(cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF; }

// op(matrix) of a batch, as floats: [columns][rows] after op.
std::vector<float> unpack(const Matrix &matrix, int64_t batch, bool transpose, bool to_tf32) {
    const int64_t rows = matrix.rows, columns = matrix.columns, leading = matrix.leading;
    std::vector<float> values(static_cast<size_t>(rows * columns));
    for (int64_t j = 0; j < columns; ++j)
        for (int64_t i = 0; i < rows; ++i) {
            const float value = cuda_host::load(number_of(matrix.type), matrix.data, batch * matrix.stride + j * leading + i);
            values[static_cast<size_t>(transpose ? i * columns + j : j * rows + i)] =
                to_tf32 ? cuda_host::round_to_tf32(value) : value;
        }
    return values;
}

void add_column(const float *a, float b, int64_t m, float *sums) {
    for (int64_t i = 0; i < m; ++i) sums[i] += a[i] * b;
}

void store_column(const Product &p, int64_t batch, int64_t j, const float *sums) {
    const Number number = number_of(p.c.type);
    for (int64_t i = 0; i < p.m; ++i) {
        const int64_t at = batch * p.c.stride + j * p.c.leading + i;
        const float old = p.beta != 0 ? p.beta * cuda_host::load(number, p.c.data, at) : 0.0f; // not read otherwise: may be NaN
        cuda_host::store(number, p.c.data, at, p.alpha * sums[i] + old);
    }
}

void run(const Product &p) {
    if (p.workspace) cuda_host::fill_poison(p.workspace, p.workspace_bytes);
    std::vector<float> sums(static_cast<size_t>(p.m));
    for (int64_t batch = 0; batch < p.batches; ++batch) {
        const std::vector<float> a = unpack(p.a, batch, p.transpose_a, p.to_tf32),
                                 b = unpack(p.b, batch, p.transpose_b, p.to_tf32);
        for (int64_t j = 0; j < p.n; ++j) {
            std::fill(sums.begin(), sums.end(), 0.0f);
            for (int64_t l = 0; l < p.k; ++l)
                add_column(a.data() + l * p.m, b[static_cast<size_t>(j * p.k + l)], p.m, sums.data());
            store_column(p, batch, j, sums.data());
        }
    }
}

// ---- Checks ------------------------------------------------------------------------------------------------------------

cublasStatus_t check_memory(const Matrix &matrix, int batches, int device) {
    if (!matrix.rows || !matrix.columns || !batches) return success;
    const size_t element = cuda_host::bytes_of(number_of(matrix.type));
    const int64_t last = (batches - 1) * matrix.stride + int64_t{matrix.columns - 1} * matrix.leading + matrix.rows;
    if (!matrix.data || reinterpret_cast<uintptr_t>(matrix.data) % element) return invalid;
    return cuda_host::device_reaches(matrix.data, static_cast<size_t>(last) * element, device) ? success
                                                                                               : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t check_shapes(const Product &p) {
    if (p.m < 0 || p.n < 0 || p.k < 0 || p.batches < 0) return invalid;
    for (const Matrix *matrix : {&p.a, &p.b, &p.c})
        if (matrix->leading < std::max(1, matrix->rows) || matrix->stride < 0) return invalid;
    const bool overlaps = p.batches > 1 && p.c.stride < int64_t{p.c.columns - 1} * p.c.leading + p.c.rows;
    return overlaps ? invalid : success; // batches of results one over the other
}

cublasStatus_t check_types(const Product &p, cublasComputeType_t compute) {
    if (!is_supported(p.a.type) || p.a.type != p.b.type) return unsupported;
    if (p.c.type != p.a.type && p.c.type != CUDA_R_32F) return unsupported;
    const bool known = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                       (compute == CUBLAS_COMPUTE_32F_FAST_TF32 && p.a.type == CUDA_R_32F);
    return known ? success : unsupported;
}

cublasStatus_t check_handle(const cublasContext &handle) {
    if (cuda_host::may_enqueue(handle.stream) != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
    if (handle.device != cuda_host::current_device() || cuda_host::device_of(handle.stream) != handle.device)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    // The handle's own workspace would have to be allocated, and would be shared by all graphs.
    return cuda_host::is_capturing(handle.stream) && !handle.workspace ? CUBLAS_STATUS_ALLOC_FAILED : success;
}

cublasStatus_t multiply(const cublasContext &handle, const Product &p, cublasComputeType_t compute) {
    cublasStatus_t status = check_types(p, compute);
    if (status == success) status = check_shapes(p);
    if (status == success) status = check_handle(handle);
    for (const Matrix *matrix : {&p.a, &p.b, &p.c})
        if (status == success) status = check_memory(*matrix, p.batches, handle.device);
    if (status != success || !p.m || !p.n || !p.batches) return status;
    ++cuda_host::totals().launches;
    cuda_host::enqueue(handle.stream, [p] { run(p); });
    return success;
}

bool is_operation(cublasOperation_t operation) {
    return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

bool uses_tf32(const cublasContext &handle, cublasComputeType_t compute, cudaDataType type) {
    const bool by_mode = (handle.math & 15) == CUBLAS_TF32_TENSOR_OP_MATH && compute == CUBLAS_COMPUTE_32F;
    return type == CUDA_R_32F && (by_mode || compute == CUBLAS_COMPUTE_32F_FAST_TF32);
}

cublasStatus_t set_workspace(cublasContext &handle, void *workspace, size_t bytes) {
    constexpr uintptr_t alignment = 256;
    if (reinterpret_cast<uintptr_t>(workspace) % alignment || (!workspace && bytes)) return invalid;
    if (workspace && !cuda_host::device_reaches(workspace, bytes, handle.device)) return invalid;
    handle.workspace = workspace, handle.workspace_bytes = bytes;
    return success;
}

} // namespace

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    return call("cublasCreate", cuda_host::unsafe, [=] {
        if (!handle) return invalid;
        *handle = nullptr;
        if (cuda_host::is_missing(cuda_host::Library::cublas)) return CUBLAS_STATUS_NOT_INITIALIZED;
        *handle = new cublasContext{cuda_host::current_device(), nullptr, CUBLAS_DEFAULT_MATH, nullptr, 0};
        live_handles().insert(*handle);
        ++cuda_host::totals().live_handles;
        return success;
    });
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    return call("cublasDestroy", cuda_host::synchronises | cuda_host::unsafe | cuda_host::releases, [=] {
        if (!live_handles().erase(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
        --cuda_host::totals().live_handles;
        delete handle;
        return success;
    });
}

// As documented, it takes the caller's workspace away.
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    return call_with("cublasSetStream", handle, [=] {
        if (!cuda_host::is_stream(stream) || cuda_host::device_of(stream) != handle->device) return invalid;
        handle->stream = stream, handle->workspace = nullptr, handle->workspace_bytes = 0;
        return success;
    });
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    return call_with("cublasSetWorkspace", handle, [=] { return set_workspace(*handle, workspace, bytes); });
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    return call_with("cublasSetMathMode", handle, [=] {
        const int kind = mode & 15, flags = mode & ~(15 | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
        if (flags || kind > CUBLAS_TF32_TENSOR_OP_MATH) return invalid;
        handle->math = mode;
        return success;
    });
}

const char *cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS: return "success";
        case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
        case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
        case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
        case CUBLAS_STATUS_EXECUTION_FAILED: return "the function failed to launch on the GPU";
        case CUBLAS_STATUS_INTERNAL_ERROR: return "an internal operation failed";
        case CUBLAS_STATUS_NOT_SUPPORTED: return "the requested functionality is not supported";
        default: return "unknown status";
    }
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                                          int k, const void *alpha, const void *A, cudaDataType Atype, int lda,
                                          long long int strideA, const void *B, cudaDataType Btype, int ldb,
                                          long long int strideB, const void *beta, void *C, cudaDataType Ctype, int ldc,
                                          long long int strideC, int batchCount, cublasComputeType_t computeType,
                                          cublasGemmAlgo_t) {
    return call_with("cublasGemmStridedBatchedEx", handle, [=] {
        if (!is_operation(transa) || !is_operation(transb) || !alpha || !beta) return invalid;
        const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
        const Product product{{const_cast<void *>(A), Atype, ta ? k : m, ta ? m : k, lda, strideA},
                              {const_cast<void *>(B), Btype, tb ? n : k, tb ? k : n, ldb, strideB},
                              {C, Ctype, m, n, ldc, strideC},
                              ta,
                              tb,
                              uses_tf32(*handle, computeType, Atype),
                              m,
                              n,
                              k,
                              batchCount,
                              *static_cast<const float *>(alpha),
                              *static_cast<const float *>(beta),
                              handle->workspace,
                              handle->workspace_bytes};
        return multiply(*handle, product, computeType);
    });
}
