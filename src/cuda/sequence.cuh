// The launches of one call, in order, on the caller's stream; with no workspace the same code only counts its bytes.
#ifndef PXLI_SEQUENCE_CUH
#define PXLI_SEQUENCE_CUH
#include <algorithm>
#include <cstdio>
#include <utility>

#include "terms.cuh"

namespace pxli {

pxl_status fail_call(const char *what, cudaError_t error); // of a CUDA call: a status with its name, error.cu

struct Shape {
    int64_t blocks;
    int threads;
    size_t shared; // dynamic, bytes
};

struct Capability { // of the device
    int major, minor;
};

class Sequence {
  public:
    Sequence(const pxli_workspace *workspace, Capability capability) // NULL: only count
        : capability_(capability),
          arena_{workspace ? reinterpret_cast<uintptr_t>(workspace->data) : 0, 0},
          stream_(workspace ? static_cast<cudaStream_t>(workspace->stream) : nullptr) {}

    bool counts() const { return arena_.base == 0; }
    size_t bytes() const { return most_ + PXLI_ALIGN; }
    pxl_status status() const { return status_; }
    cudaStream_t stream() const { return stream_; }
    Capability capability() const { return capability_; }

    // Memory of the workspace, until the end or until `release` to an earlier mark.
    template <class T>
    T *take(int64_t count) {
        void *at = pxli_take(&arena_, static_cast<size_t>(count) * sizeof(T));
        most_ = std::max(most_, arena_.used);
        return static_cast<T *>(at);
    }
    size_t mark() const { return arena_.used; }
    void release(size_t mark) { arena_.used = mark; }

    // Does nothing after a failure, or when only counting.
    template <class... P, class... A>
    void launch(const char *name, void (*kernel)(P...), Shape shape, A &&...args) {
        if (counts() || status_ || shape.blocks == 0) return;
        if (shape.shared > 48 * 1024 && !allow_shared(name, kernel, static_cast<int>(shape.shared))) return;
        cudaLaunchConfig_t config{};
        config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
        config.blockDim = dim3(static_cast<unsigned>(shape.threads));
        config.dynamicSmemBytes = shape.shared, config.stream = stream_;
        const cudaError_t error = cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
        if (error) status_ = fail_call(name, error);
    }
    void clear(void *memory, size_t bytes) {
        if (counts() || status_ || !bytes) return;
        const cudaError_t error = cudaMemsetAsync(memory, 0, bytes, stream_);
        if (error) status_ = fail_call("cudaMemsetAsync", error);
    }

  private:
    template <class Kernel>
    bool allow_shared(const char *name, Kernel *kernel, int bytes) {
        const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
        char what[96];
        snprintf(what, sizeof what, "%s: cudaFuncSetAttribute", name);
        if (error) status_ = fail_call(what, error);
        return !error;
    }

    Capability capability_;
    pxli_arena arena_;
    cudaStream_t stream_;
    size_t most_ = 0;
    pxl_status status_ = PXL_OK;
};

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace pxli
#endif
