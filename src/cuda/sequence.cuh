// The launches of one call, in order, on the caller's stream; with no workspace the same code only counts its bytes, or loads the
// kernels that it would launch.
#ifndef PXLI_SEQUENCE_CUH
#define PXLI_SEQUENCE_CUH
#include <algorithm>
#include <utility>

#include "terms.cuh"

namespace pxli {

pxl_status fail_call(const char *what, cudaError_t error); // of a CUDA call: a status with its name; backend.cu

struct Shape {
    int64_t blocks;
    int threads;
    size_t shared; // dynamic, bytes
};

class Sequence {
  public:
    explicit Sequence(int compiled_for) : mode_(COUNT), compiled_for_(compiled_for) {} // as if kernels were compiled for that
    Sequence(pxl_device device, const pxli_workspace &workspace, bool loads = false)
        : mode_(loads ? LOAD : LAUNCH),
          device_(device.index),
          arena_{reinterpret_cast<uintptr_t>(workspace.data), 0},
          stream_(static_cast<cudaStream_t>(workspace.stream)) {}

    bool counts() const { return mode_ != LAUNCH; } // no kernel runs, and what is taken may have no address
    bool has_memory() const { return mode_ != COUNT; }
    size_t bytes() const { return most_ + PXLI_ALIGN; }
    pxl_status status() const { return status_; }
    void fail(pxl_status status) { status_ = status_ ? status_ : status; }
    cudaStream_t stream() const { return stream_; }

    // Memory of the workspace, until the end or until `release` to an earlier mark.
    template <class T>
    T *take(int64_t count) {
        void *at = pxli_take(&arena_, static_cast<size_t>(count) * sizeof(T));
        most_ = std::max(most_, arena_.used);
        return static_cast<T *>(at);
    }
    size_t mark() const { return arena_.used; }
    void release(size_t mark) { arena_.used = mark; }

    // Whether a kernel may have so many blocks, in all launches that share a ticket; if not, the sequence has failed.
    bool allows(const char *name, int64_t blocks);

    // The architecture that the kernel's code for this device was compiled for: 90 for sm_90.
    template <class... P>
    int compiled_for(const char *name, void (*kernel)(P...)) {
        if (mode_ != COUNT && find(name, reinterpret_cast<const void *>(kernel))) compiled_for_ = attributes_.ptxVersion;
        return compiled_for_;
    }

    // Does nothing after a failure; launches only where there is a workspace.
    template <class... P, class... A>
    void launch(const char *name, void (*kernel)(P...), Shape shape, A &&...args) {
        if (!allows(name, shape.blocks) || mode_ == COUNT || shape.blocks == 0) return;
        if (!prepare(name, reinterpret_cast<const void *>(kernel), shape.shared) || mode_ == LOAD) return;
        cudaLaunchConfig_t config{};
        config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
        config.blockDim = dim3(static_cast<unsigned>(shape.threads));
        config.dynamicSmemBytes = shape.shared, config.stream = stream_;
        const cudaError_t error = cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
        if (error) status_ = fail_call(name, error);
    }
    void clear(void *memory, size_t bytes);

  private:
    bool find(const char *name, const void *kernel); // attributes_
    bool prepare(const char *name, const void *kernel, size_t shared);
    bool allow_shared(const char *name, const void *kernel);
    bool succeeds(const char *name, const char *call, cudaError_t error);

    enum { COUNT, LOAD, LAUNCH } mode_;
    int compiled_for_ = 0, device_ = 0;
    pxli_arena arena_{};
    cudaStream_t stream_ = nullptr;
    size_t most_ = 0;
    pxl_status status_ = PXL_OK;
    const void *found_ = nullptr; // the kernel that attributes_ is of
    cudaFuncAttributes attributes_;
};

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace pxli
#endif
