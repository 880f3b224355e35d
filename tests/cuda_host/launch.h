// The templates of cuda_runtime.h through which the library launches; the checks are in launch.cpp.
#ifndef CUDA_HOST_LAUNCH_H
#define CUDA_HOST_LAUNCH_H
#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cuda_host {

// Checks as the driver does; then runs the grid, or adds it to the graph that the stream is being captured into.
cudaError_t launch(const cudaLaunchConfig_t *config, const void *kernel, size_t parameter_bytes, std::function<void()> thread);

// Bytes of a kernel's parameters, each at its own alignment.
template <class... P>
constexpr size_t parameter_bytes() {
    size_t bytes = 0;
    ((bytes = (bytes + alignof(P) - 1) / alignof(P) * alignof(P) + sizeof(P)), ...);
    return bytes;
}

} // namespace cuda_host

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A &&...arguments) {
    static_assert((!std::is_reference_v<P> && ...), "a kernel takes its parameters by value");
    static_assert((std::is_trivially_copyable_v<P> && ...), "parameters are copied as bytes");
    // Converted as in a call, as by the real one.
    const std::tuple<P...> parameters = [](P... values) { return std::tuple<P...>(values...); }(std::forward<A>(arguments)...);
    return cuda_host::launch(config, reinterpret_cast<const void *>(kernel), cuda_host::parameter_bytes<P...>(),
                             [kernel, parameters] { std::apply(kernel, parameters); });
}

template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute attribute, int value) {
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <class... P>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, void (*kernel)(P...)) {
    return cudaFuncGetAttributes(attributes, reinterpret_cast<const void *>(kernel));
}

template <class... P>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void (*kernel)(P...), int threads, size_t dynamic_bytes) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void *>(kernel), threads, dynamic_bytes);
}

template <class T>
cudaError_t cudaMalloc(T **memory, size_t bytes) {
    return cudaMalloc(reinterpret_cast<void **>(memory), bytes);
}

template <class T>
cudaError_t cudaMallocHost(T **memory, size_t bytes, unsigned = 0) {
    return cudaMallocHost(reinterpret_cast<void **>(memory), bytes);
}
#endif
