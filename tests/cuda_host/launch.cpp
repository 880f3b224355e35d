// Launches, with the driver's checks.
#include "launch.h"

#include <algorithm>
#include <map>

#include "runtime.h"
#include "scheduler.h"

using cuda_host::call;

namespace cuda_host {
namespace {

struct KernelState {
    size_t static_bytes = 0;            // known once it has run
    size_t opted_in[device_count] = {}; // cudaFuncAttributeMaxDynamicSharedMemorySize, per device
    bool loaded[device_count] = {};
};

std::map<const void *, KernelState> &all_kernels() {
    static auto *const all = new std::map<const void *, KernelState>;
    return *all;
}
// Of a kernel that is used, which loads it.
KernelState &state_of(const void *kernel, bool in_capture = false) {
    KernelState &state = all_kernels()[kernel];
    bool &loaded = state.loaded[current_device()];
    if (in_capture && !loaded) ++totals().loads_in_captures;
    loaded = true;
    return state;
}

int code_of[device_count] = {90, 89}; // the architecture that a device's code was compiled for

bool is_valid_shape(dim3 grid, dim3 block) {
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535) return false;
    if (!block.x || !block.y || !block.z || block.x > 1024 || block.y > 1024 || block.z > 64) return false;
    return uint64_t{block.x} * block.y * block.z <= 1024;
}

bool is_supported(const cudaLaunchAttribute &attribute) {
    const auto &cluster = attribute.val.clusterDim;
    if (attribute.id == cudaLaunchAttributeClusterDimension) return cluster.x * cluster.y * cluster.z == 1;
    return attribute.id != cudaLaunchAttributeCooperative || !attribute.val.cooperative;
}

cudaError_t check_shared_memory(const KernelState &kernel, size_t dynamic_bytes) {
    const size_t opted_in = kernel.opted_in[current_device()], bytes = dynamic_bytes + kernel.static_bytes;
    const bool fits = bytes <= default_shared_bytes || dynamic_bytes <= opted_in;
    return fits && bytes <= max_shared_bytes(current_device()) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t check_launch(const cudaLaunchConfig_t &config, const KernelState &kernel, size_t parameter_bytes) {
    constexpr size_t max_parameter_bytes = 4096;
    if (!is_valid_shape(config.gridDim, config.blockDim)) return cudaErrorInvalidConfiguration;
    if (parameter_bytes > max_parameter_bytes) return cudaErrorInvalidValue;
    if (!std::all_of(config.attrs, config.attrs + (config.attrs ? config.numAttrs : 0), is_supported))
        return cudaErrorNotSupported;
    const cudaError_t error = may_enqueue(config.stream);
    if (error != cudaSuccess) return error;
    if (device_of(config.stream) != current_device()) return cudaErrorInvalidResourceHandle;
    return check_shared_memory(kernel, config.dynamicSmemBytes);
}

cudaError_t set_attribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    KernelState &state = state_of(kernel);
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return value <= 100 ? cudaSuccess : cudaErrorInvalidValue;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0) return cudaErrorInvalidValue;
    if (static_cast<size_t>(value) + state.static_bytes > max_shared_bytes(current_device())) return cudaErrorInvalidValue;
    state.opted_in[current_device()] = static_cast<size_t>(value);
    return cudaSuccess;
}

int blocks_per_multiprocessor(const KernelState &kernel, int threads, size_t dynamic_bytes) {
    const size_t total_bytes = multiprocessor_shared_bytes(current_device()), reserved_bytes = reserved_shared_bytes;
    if (check_shared_memory(kernel, dynamic_bytes) != cudaSuccess) return 0;
    const int by_threads = 2048 / ((threads + 31) / 32 * 32);
    const int by_memory = static_cast<int>(total_bytes / (dynamic_bytes + kernel.static_bytes + reserved_bytes));
    return std::min({32, by_threads, by_memory});
}

} // namespace

cudaError_t launch(const cudaLaunchConfig_t *config, const void *kernel, size_t parameter_bytes, std::function<void()> thread) {
    return call("cudaLaunchKernelEx", plain, [&] {
        if (!config || !kernel) return cudaErrorInvalidValue;
        KernelState &state = state_of(kernel, is_capturing(config->stream));
        const cudaError_t error = check_launch(*config, state, parameter_bytes);
        if (error != cudaSuccess) return error;
        ++totals().launches;
        enqueue(config->stream, [&state, grid = config->gridDim, block = config->blockDim, bytes = config->dynamicSmemBytes,
                                 code = code_of[current_device()], thread = std::move(thread)] {
            state.static_bytes = std::max(state.static_bytes, run_grid({grid, block, bytes, code, &thread}));
        });
        return check_shared_memory(state, config->dynamicSmemBytes); // static memory is known only now
    });
}

void set_compiled_for(int device, int architecture) {
    const std::lock_guard<std::mutex> lock(call_mutex());
    code_of[device] = architecture;
}

void forget_kernels() {
    const std::lock_guard<std::mutex> lock(call_mutex());
    for (auto &kernel : all_kernels()) {
        const size_t static_bytes = kernel.second.static_bytes;
        kernel.second = KernelState{};
        kernel.second.static_bytes = static_bytes;
    }
}

} // namespace cuda_host

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    return call("cudaFuncSetAttribute", cuda_host::plain,
                [=] { return kernel ? cuda_host::set_attribute(kernel, attribute, value) : cudaErrorInvalidDeviceFunction; });
}

// Registers are not known: 0.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *kernel) {
    return call("cudaFuncGetAttributes", cuda_host::plain, [=] {
        if (!attributes || !kernel) return cudaErrorInvalidValue;
        const cuda_host::KernelState &state = cuda_host::state_of(kernel);
        *attributes = {};
        attributes->sharedSizeBytes = state.static_bytes;
        attributes->maxThreadsPerBlock = 1024;
        attributes->maxDynamicSharedSizeBytes = static_cast<int>(
            std::max(state.opted_in[cuda_host::current_device()], cuda_host::default_shared_bytes - state.static_bytes));
        attributes->ptxVersion = attributes->binaryVersion = cuda_host::code_of[cuda_host::current_device()];
        return cudaSuccess;
    });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel, int threads, size_t dynamic_bytes) {
    return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", cuda_host::plain, [=] {
        if (!blocks || !kernel || threads < 1 || threads > 1024) return cudaErrorInvalidValue;
        *blocks = cuda_host::blocks_per_multiprocessor(cuda_host::state_of(kernel), threads, dynamic_bytes);
        return cudaSuccess;
    });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *kernel, int threads,
                                                                   size_t dynamic_bytes, unsigned) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, kernel, threads, dynamic_bytes);
}
