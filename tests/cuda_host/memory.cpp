// Device and pinned memory: ordinary heap memory of the exact size, full of NaN, so that the address sanitizer fences it.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>

#include "runtime.h"
#include "scheduler.h"

using cuda_host::call;

namespace {

enum class Space { device, host };

struct Allocation {
    size_t bytes;
    Space space;
    int device;
};

std::map<uintptr_t, Allocation> &allocations() {
    static auto *const all = new std::map<uintptr_t, Allocation>; // outlives every static object that frees memory
    return *all;
}

// The allocation that holds all of these bytes, or nullptr.
const Allocation *find(const void *memory, size_t bytes) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
    auto next = allocations().upper_bound(address);
    if (next == allocations().begin()) return nullptr;
    --next;
    const size_t offset = address - next->first;
    return offset <= next->second.bytes && bytes <= next->second.bytes - offset ? &next->second : nullptr;
}

size_t bytes_in_use(int device) {
    size_t bytes = 0;
    for (const auto &entry : allocations())
        if (entry.second.space == Space::device && entry.second.device == device) bytes += entry.second.bytes;
    return bytes;
}

size_t bytes_free(int device) {
    const size_t used = bytes_in_use(device), limit = cuda_host::memory_limit();
    return used < limit ? limit - used : 0;
}

cudaError_t allocate(void **memory, size_t bytes, Space space) {
    constexpr size_t alignment = 256;
    const int device = cuda_host::current_device();
    if (!memory) return cudaErrorInvalidValue;
    *memory = nullptr;
    if (!bytes) return cudaSuccess;
    if (bytes > bytes_free(device) || posix_memalign(memory, alignment, bytes) != 0) return cudaErrorMemoryAllocation;
    cuda_host::fill_poison(*memory, bytes);
    allocations()[reinterpret_cast<uintptr_t>(*memory)] = {bytes, space, device};
    cuda_host::Counts &totals = cuda_host::totals();
    ++totals.allocations;
    ++(space == Space::device ? totals.live_allocations : totals.live_host_allocations);
    return cudaSuccess;
}

cudaError_t release(void *memory, Space space) {
    if (!memory) return cudaSuccess;
    const auto entry = allocations().find(reinterpret_cast<uintptr_t>(memory));
    if (entry == allocations().end() || entry->second.space != space) return cudaErrorInvalidValue;
    allocations().erase(entry);
    std::free(memory);
    cuda_host::Counts &totals = cuda_host::totals();
    --(space == Space::device ? totals.live_allocations : totals.live_host_allocations);
    return cudaSuccess;
}

// May the device read or write these bytes? It also reaches pinned memory.
bool device_reaches(const void *memory, size_t bytes) { return find(memory, bytes) != nullptr; }

cudaError_t check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (bytes && (!to || !from)) return cudaErrorInvalidValue;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (bytes && to_device && !device_reaches(to, bytes)) return cudaErrorInvalidValue;
    if (bytes && from_device && !device_reaches(from, bytes)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

cudaError_t copy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    cudaError_t error = cuda_host::may_enqueue(stream);
    if (error == cudaSuccess) error = check_copy(to, from, bytes, kind);
    if (error == cudaSuccess && bytes) cuda_host::enqueue(stream, [=] { std::memmove(to, from, bytes); });
    return error;
}

cudaError_t set(void *memory, int value, size_t bytes, cudaStream_t stream) {
    const cudaError_t error = cuda_host::may_enqueue(stream);
    if (error != cudaSuccess || !bytes) return error;
    if (!device_reaches(memory, bytes)) return cudaErrorInvalidValue;
    cuda_host::enqueue(stream, [=] { std::memset(memory, value, bytes); });
    return cudaSuccess;
}

} // namespace

bool cuda_host::device_reaches(const void *memory, size_t bytes, int device) {
    const Allocation *const allocation = find(memory, bytes);
    return allocation && (allocation->space == Space::host || allocation->device == device);
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    return call("cudaMalloc", cuda_host::unsafe, [=] { return allocate(memory, bytes, Space::device); });
}

cudaError_t cudaFree(void *memory) {
    return call("cudaFree", cuda_host::synchronises | cuda_host::unsafe | cuda_host::releases,
                [=] { return release(memory, Space::device); });
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    return call("cudaMallocHost", cuda_host::unsafe, [=] { return allocate(memory, bytes, Space::host); });
}

cudaError_t cudaFreeHost(void *memory) {
    return call("cudaFreeHost", cuda_host::synchronises | cuda_host::unsafe | cuda_host::releases,
                [=] { return release(memory, Space::host); });
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    return call("cudaMemcpy", cuda_host::synchronises | cuda_host::unsafe, [=] { return copy(to, from, bytes, kind, nullptr); });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    return call("cudaMemcpyAsync", cuda_host::plain, [=] { return copy(to, from, bytes, kind, stream); });
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes) {
    return call("cudaMemset", cuda_host::unsafe, [=] { return set(memory, value, bytes, nullptr); });
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    return call("cudaMemsetAsync", cuda_host::plain, [=] { return set(memory, value, bytes, stream); });
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    return call("cudaMemGetInfo", cuda_host::plain, [=] {
        if (!free || !total) return cudaErrorInvalidValue;
        *total = cuda_host::memory_limit();
        *free = bytes_free(cuda_host::current_device());
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *memory) {
    return call("cudaPointerGetAttributes", cuda_host::plain, [=] {
        if (!attributes) return cudaErrorInvalidValue;
        *attributes = {};
        attributes->type = cudaMemoryTypeUnregistered, attributes->device = -1;
        const Allocation *const allocation = find(memory, 1);
        if (!allocation) return cudaSuccess;
        attributes->type = allocation->space == Space::device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
        attributes->device = allocation->device;
        attributes->devicePointer = const_cast<void *>(memory);
        attributes->hostPointer = allocation->space == Space::host ? const_cast<void *>(memory) : nullptr;
        return cudaSuccess;
    });
}
