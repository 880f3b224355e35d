// Calls, errors and devices.
#include "runtime.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "scheduler.h"

namespace cuda_host {
namespace {

std::mutex mutex;
Counts count;
size_t fail_at; // the number of the call that fails, 0: none
cudaError_t fail_error, sticky_error = cudaSuccess;
int fail_status; // of a library other than CUDA's, 0: what corresponds to fail_error
const char *failed_call = "";
size_t limit = size_t{16} << 30;
bool must_fail; // the call in progress
thread_local cudaError_t last_error = cudaSuccess;
thread_local int device = 0;

Order order_from(const char *name) {
    static const char *const names[] = {"forward", "reverse", "random"};
    if (!name) return Order::forward;
    for (int i = 0; i < 3; ++i)
        if (!std::strcmp(name, names[i])) return static_cast<Order>(i);
    std::fprintf(stderr, "cuda_host: PXLOSS_CUDA_ORDER=%s is not forward, reverse or random\n", name);
    std::abort();
}

void read_environment() { // once
    static bool is_read = false;
    if (is_read) return;
    is_read = true;
    const char *const seed = std::getenv("PXLOSS_CUDA_SEED");
    set_thread_order(order_from(std::getenv("PXLOSS_CUDA_ORDER")),
                     seed ? static_cast<unsigned>(std::strtoul(seed, nullptr, 10)) : 1);
}

// Success, or the error that a test wants of this call.
cudaError_t wanted_error() {
    if (sticky_error != cudaSuccess) return sticky_error;
    if (count.api_calls != fail_at) return cudaSuccess;
    fail_at = 0;
    return fail_error;
}

cudaError_t keep_error(const char *name, cudaError_t error) {
    if (error == cudaSuccess || error == cudaErrorNotReady) return error;
    failed_call = name;
    return last_error = error;
}

} // namespace

namespace {

// Counts a call. Success, or the error that a test wants of it, when it has released what it releases.
template <class Body>
cudaError_t begin_call(unsigned traits, const Body &body) {
    read_environment();
    ++count.api_calls;
    if (traits & synchronises) ++count.synchronisations;
    const cudaError_t wanted = wanted_error();
    if (wanted == cudaSuccess) return wanted;
    must_fail = true;
    if (traits & releases) body();
    must_fail = false;
    return wanted;
}

} // namespace

cudaError_t call(const char *name, unsigned traits, const std::function<cudaError_t()> &body) {
    const std::lock_guard<std::mutex> lock(mutex);
    const cudaError_t wanted = begin_call(traits, body);
    if (wanted != cudaSuccess) return keep_error(name, wanted);
    const cudaError_t refused = refused_by_capture(traits);
    return keep_error(name, refused != cudaSuccess ? refused : body());
}

int library_call(const char *name, unsigned traits, const std::function<int(cudaError_t)> &status_of,
                 const std::function<int()> &body) {
    const std::lock_guard<std::mutex> lock(mutex);
    const cudaError_t wanted = begin_call(traits, body), refused = wanted == cudaSuccess ? refused_by_capture(traits) : wanted;
    const bool is_sticky = sticky_error != cudaSuccess;
    int status = refused != cudaSuccess ? status_of(refused) : body();
    if (wanted != cudaSuccess && fail_status && !is_sticky) status = fail_status;
    if (status) failed_call = name;
    return status;
}

std::mutex &call_mutex() { return mutex; }
bool call_must_fail() { return must_fail; }
int current_device() { return device; }
size_t memory_limit() { return limit; }
Counts &totals() { return count; }

void set_order(Order order, unsigned seed) {
    const std::lock_guard<std::mutex> lock(mutex);
    read_environment(); // or it would come later
    set_thread_order(order, seed);
}

Counts counts() {
    const std::lock_guard<std::mutex> lock(mutex);
    return count;
}

size_t api_calls() { return counts().api_calls; }

size_t live_allocations() {
    const Counts now = counts();
    return now.live_allocations + now.live_host_allocations;
}

void fail_call(size_t nth, cudaError_t error, int library_status) {
    const std::lock_guard<std::mutex> lock(mutex);
    fail_at = nth ? count.api_calls + nth : 0;
    fail_error = error;
    fail_status = library_status;
}

bool fail_call_is_pending() {
    const std::lock_guard<std::mutex> lock(mutex);
    return fail_at != 0;
}

const char *last_failed_call() {
    const std::lock_guard<std::mutex> lock(mutex);
    return failed_call;
}

void set_sticky(cudaError_t error) {
    const std::lock_guard<std::mutex> lock(mutex);
    sticky_error = error;
}

void set_memory_limit(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex);
    limit = bytes;
}

} // namespace cuda_host

using cuda_host::call;

namespace {

struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};

#define ERROR_TEXT(error, text) \
    { error, #error, text }
const ErrorText error_texts[] = {
    ERROR_TEXT(cudaSuccess, "no error"),
    ERROR_TEXT(cudaErrorInvalidValue, "invalid argument"),
    ERROR_TEXT(cudaErrorMemoryAllocation, "out of memory"),
    ERROR_TEXT(cudaErrorInitializationError, "initialization error"),
    ERROR_TEXT(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR_TEXT(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR_TEXT(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR_TEXT(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR_TEXT(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR_TEXT(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    ERROR_TEXT(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR_TEXT(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR_TEXT(cudaErrorNotReady, "device not ready"),
    ERROR_TEXT(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR_TEXT(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR_TEXT(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR_TEXT(cudaErrorNotSupported, "operation not supported"),
    ERROR_TEXT(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR_TEXT(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ERROR_TEXT(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    ERROR_TEXT(cudaErrorStreamCaptureUnmatched, "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR_TEXT(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    ERROR_TEXT(cudaErrorUnknown, "unknown error"),
};
#undef ERROR_TEXT

const ErrorText *find_text(cudaError_t error) {
    for (const ErrorText &text : error_texts)
        if (text.error == error) return &text;
    return nullptr;
}

// An H100, near enough, and a consumer's card of the generation before. 0 for what is not listed.
int attribute_value(cudaDeviceAttr attribute, int device) {
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock:
        case cudaDevAttrMaxBlockDimX:
        case cudaDevAttrMaxBlockDimY: return 1024;
        case cudaDevAttrMaxBlockDimZ: return 64;
        case cudaDevAttrMaxGridDimX: return 0x7fffffff;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ: return 65535;
        case cudaDevAttrMaxSharedMemoryPerBlock: return cuda_host::default_shared_bytes;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: return static_cast<int>(cuda_host::max_shared_bytes(device));
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: return static_cast<int>(cuda_host::multiprocessor_shared_bytes(device));
        case cudaDevAttrReservedSharedMemoryPerBlock: return cuda_host::reserved_shared_bytes;
        case cudaDevAttrTotalConstantMemory: return 64 << 10;
        case cudaDevAttrWarpSize: return 32;
        case cudaDevAttrMaxRegistersPerBlock:
        case cudaDevAttrMaxRegistersPerMultiprocessor: return 64 << 10;
        case cudaDevAttrClockRate: return 1980000;
        case cudaDevAttrMemoryClockRate: return 2619000;
        case cudaDevAttrGlobalMemoryBusWidth: return 5120;
        case cudaDevAttrMultiProcessorCount: return 132;
        case cudaDevAttrMaxThreadsPerMultiProcessor: return 2048;
        case cudaDevAttrMaxBlocksPerMultiprocessor: return 32;
        case cudaDevAttrL2CacheSize: return 50 << 20;
        case cudaDevAttrComputeCapabilityMajor: return device == 0 ? 9 : 8; // two kinds, for code that tells them apart
        case cudaDevAttrComputeCapabilityMinor: return device == 0 ? 0 : 9;
        case cudaDevAttrConcurrentKernels:
        case cudaDevAttrUnifiedAddressing:
        case cudaDevAttrStreamPrioritiesSupported:
        case cudaDevAttrManagedMemory:
        case cudaDevAttrMemoryPoolsSupported:
        case cudaDevAttrCooperativeLaunch: return 1;
        case cudaDevAttrAsyncEngineCount: return 3;
        case cudaDevAttrTextureAlignment: return 512;
        case cudaDevAttrPciBusId: return 1 + device;
        default: return 0;
    }
}

cudaError_t fill_properties(cudaDeviceProp *p, int device) {
    const auto value = [device](cudaDeviceAttr attribute) { return attribute_value(attribute, device); };
    std::memset(p, 0, sizeof(*p));
    std::strcpy(p->name, device == 0 ? "pixloss CUDA host (sm_90)" : "pixloss CUDA host (sm_89)");
    p->major = value(cudaDevAttrComputeCapabilityMajor), p->minor = value(cudaDevAttrComputeCapabilityMinor);
    p->warpSize = 32;
    p->totalGlobalMem = cuda_host::memory_limit();
    p->sharedMemPerBlock = cuda_host::default_shared_bytes;
    p->sharedMemPerBlockOptin = cuda_host::max_shared_bytes(device);
    p->sharedMemPerMultiprocessor = static_cast<size_t>(value(cudaDevAttrMaxSharedMemoryPerMultiprocessor));
    p->reservedSharedMemPerBlock = static_cast<size_t>(value(cudaDevAttrReservedSharedMemoryPerBlock));
    p->totalConstMem = static_cast<size_t>(value(cudaDevAttrTotalConstantMemory));
    p->regsPerBlock = p->regsPerMultiprocessor = value(cudaDevAttrMaxRegistersPerBlock);
    p->maxThreadsPerBlock = 1024, p->maxThreadsPerMultiProcessor = 2048, p->maxBlocksPerMultiProcessor = 32;
    for (int i = 0; i < 3; ++i) {
        p->maxThreadsDim[i] = i < 2 ? 1024 : 64;
        p->maxGridSize[i] = i ? 65535 : 0x7fffffff;
    }
    p->multiProcessorCount = value(cudaDevAttrMultiProcessorCount);
    p->memoryBusWidth = value(cudaDevAttrGlobalMemoryBusWidth);
    p->l2CacheSize = value(cudaDevAttrL2CacheSize);
    p->asyncEngineCount = 3, p->concurrentKernels = 1, p->unifiedAddressing = 1, p->managedMemory = 1;
    p->pciBusID = value(cudaDevAttrPciBusId);
    return cudaSuccess;
}

bool is_device(int device) { return device >= 0 && device < cuda_host::device_count; }

} // namespace

cudaError_t cudaGetLastError() {
    const cudaError_t error = cudaPeekAtLastError();
    cuda_host::last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError() {
    const std::lock_guard<std::mutex> lock(cuda_host::mutex);
    return cuda_host::sticky_error != cudaSuccess ? cuda_host::sticky_error : cuda_host::last_error;
}

const char *cudaGetErrorName(cudaError_t error) {
    const ErrorText *const text = find_text(error);
    return text ? text->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    const ErrorText *const text = find_text(error);
    return text ? text->text : "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int *count) {
    return call("cudaGetDeviceCount", cuda_host::plain, [=] {
        if (!count) return cudaErrorInvalidValue;
        *count = cuda_host::device_count;
        return cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int *device) {
    return call("cudaGetDevice", cuda_host::plain, [=] {
        if (!device) return cudaErrorInvalidValue;
        *device = cuda_host::device;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int device) {
    return call("cudaSetDevice", cuda_host::plain, [=] {
        if (!is_device(device)) return cudaErrorInvalidDevice;
        cuda_host::device = device;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    return call("cudaDeviceGetAttribute", cuda_host::plain, [=] {
        if (!value || attribute <= 0 || attribute >= cudaDevAttrMax) return cudaErrorInvalidValue;
        if (!is_device(device)) return cudaErrorInvalidDevice;
        *value = attribute_value(attribute, device);
        return cudaSuccess;
    });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    return call("cudaGetDeviceProperties", cuda_host::plain, [=] {
        if (!properties) return cudaErrorInvalidValue;
        return is_device(device) ? fill_properties(properties, device) : cudaErrorInvalidDevice;
    });
}

static cudaError_t store_version(const char *name, int *version) {
    return call(name, cuda_host::plain, [=] {
        if (!version) return cudaErrorInvalidValue;
        *version = CUDART_VERSION;
        return cudaSuccess;
    });
}

cudaError_t cudaDriverGetVersion(int *version) { return store_version("cudaDriverGetVersion", version); }
cudaError_t cudaRuntimeGetVersion(int *version) { return store_version("cudaRuntimeGetVersion", version); }
