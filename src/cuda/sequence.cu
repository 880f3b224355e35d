// What a launch takes besides the launch itself: limits, the kernel's code, shared memory.
#include "sequence.cuh"

#include <cstdio>

namespace pxli {

namespace {
constexpr size_t kUnasked = 48 * 1024; // bytes of shared memory, static and dynamic, that every kernel may have
constexpr size_t kStatic = 16 * 1024;  // more than any kernel has of the static
} // namespace

bool Sequence::succeeds(const char *name, const char *call, cudaError_t error) {
    char what[96];
    snprintf(what, sizeof what, "%s: %s", name, call);
    if (error) status_ = fail_call(what, error);
    return !error;
}

bool Sequence::allows(const char *name, int64_t blocks) {
    if (!status_ && blocks > INT32_MAX)
        status_ =
            pxli_fail(PXL_UNSUPPORTED, "%s: the images take %lld blocks of threads; at most %d are possible. Pass fewer images",
                      name, static_cast<long long>(blocks), INT32_MAX);
    return !status_;
}

// Asking for a kernel's attributes also loads it, where CUDA loads lazily.
bool Sequence::find(const char *name, const void *kernel) {
    if (status_) return false;
    if (found_ == kernel) return true;
    if (!succeeds(name, "cudaFuncGetAttributes", cudaFuncGetAttributes(&attributes_, kernel))) return false;
    found_ = kernel;
    return true;
}

bool Sequence::prepare(const char *name, const void *kernel, size_t shared) {
    const bool small = shared <= kUnasked - kStatic;
    if (small && mode_ == LAUNCH) return true;
    if (!find(name, kernel)) return false;
    // What a kernel may have is above kUnasked once it was asked for.
    return small || attributes_.maxDynamicSharedSizeBytes > static_cast<int>(kUnasked) || allow_shared(name, kernel);
}

// All that there is, whatever the launch takes: the attribute belongs to the kernel, so other threads' launches see it too.
bool Sequence::allow_shared(const char *name, const void *kernel) {
    int most = 0;
    if (!succeeds(name, "cudaDeviceGetAttribute",
                  cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_)))
        return false;
    most -= static_cast<int>(attributes_.sharedSizeBytes);
    found_ = nullptr;
    return succeeds(name, "cudaFuncSetAttribute",
                    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
}

void Sequence::clear(void *memory, size_t bytes) {
    if (counts() || status_ || !bytes) return;
    const cudaError_t error = cudaMemsetAsync(memory, 0, bytes, stream_);
    if (error) status_ = fail_call("cudaMemsetAsync", error);
}

} // namespace pxli
