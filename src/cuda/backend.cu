// The CUDA backend: the table that api.c calls, devices, and errors. Nothing here waits for the device or allocates.
#include <algorithm>
#include <cstdio>

#include "evaluate.cuh"
#include "passes.cuh"

extern "C" {
#include "../device.h"
}

namespace pxli {

namespace {
// After these the process has lost the device: every later call fails with the same.
bool is_sticky(cudaError_t error) {
    switch (error) {
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchTimeout:
        case cudaErrorAssert:
        case cudaErrorHardwareStackError:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorLaunchFailure:
        case cudaErrorMpsClientTerminated:
        case cudaErrorExternalDevice:
#if CUDART_VERSION >= 12080
        case cudaErrorContained:
        case cudaErrorTensorMemoryLeak:
#endif
        case cudaErrorECCUncorrectable: return true;
        default: return false;
    }
}

// The caller's current device is his again when this goes.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device) {
        error_ = cudaGetDevice(&previous_);
        if (error_ || previous_ == device) return;
        call_ = "cudaSetDevice", error_ = cudaSetDevice(device), changed_ = !error_;
    }
    ~DeviceGuard() {
        if (changed_) cudaSetDevice(previous_);
    }
    DeviceGuard(const DeviceGuard &) = delete;
    DeviceGuard &operator=(const DeviceGuard &) = delete;
    pxl_status status() const { return error_ ? fail_call(call_, error_) : PXL_OK; }

  private:
    int previous_ = 0;
    bool changed_ = false;
    const char *call_ = "cudaGetDevice";
    cudaError_t error_;
};
} // namespace

pxl_status fail_call(const char *what, cudaError_t error) {
    cudaGetLastError(); // reported here, so it is not the caller's to find
    return pxli_fail(
        PXL_DEVICE_ERROR, "%s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
        is_sticky(error) ? "; the device is lost to this process since some earlier kernel, of pixloss or not, failed" : "");
}

} // namespace pxli

using pxli::Capability;
using pxli::DeviceGuard;
using pxli::Sequence;

namespace {

// For a device of either kind, so that no call is needed that could fail.
template <class Run>
size_t count(size_t *least, Run run) {
    *least = 0;
    for (const Capability capability : {Capability{9, 0}, Capability{8, 9}}) {
        Sequence s(nullptr, capability);
        run(s);
        *least = std::max(*least, s.bytes());
    }
    return *least;
}
template <class Run>
pxl_status launch(pxl_device device, const pxli_workspace &workspace, Run run) {
    const DeviceGuard guard(device.index);
    if (guard.status()) return guard.status();
    Capability c{};
    cudaError_t error = cudaDeviceGetAttribute(&c.major, cudaDevAttrComputeCapabilityMajor, device.index);
    if (!error) error = cudaDeviceGetAttribute(&c.minor, cudaDevAttrComputeCapabilityMinor, device.index);
    if (error) return pxli::fail_call("cudaDeviceGetAttribute", error);
    Sequence s(&workspace, c);
    run(s);
    return s.status();
}

size_t size(const pxl_context *, pxli_call *call, size_t *least) {
    return count(least, [=](Sequence &s) { pxli::evaluate(s, call); });
}
pxl_status init(const pxl_context *, pxli_call *call, pxli_workspace workspace) {
    return launch(call->args->pred->device, workspace, [](Sequence &s) { s.clear(pxli::take_ticket(s), sizeof(unsigned)); });
}
pxl_status evaluate(const pxl_context *, pxli_call *call, pxli_workspace workspace) {
    return launch(call->args->pred->device, workspace, [=](Sequence &s) { pxli::evaluate(s, call); });
}

size_t filter_size(const pxl_context *, const pxli_filter_call *call, size_t *least) {
    return count(least, [=](Sequence &s) { pxli::run_filter(s, call); });
}
pxl_status filter(const pxl_context *, const pxli_filter_call *call, pxli_workspace workspace) {
    return launch(call->from->device, workspace, [=](Sequence &s) { pxli::run_filter(s, call); });
}

size_t reduce_size(const pxl_context *, const pxli_reduce_call *call, size_t *least) {
    return count(least, [=](Sequence &s) { pxli::run_public_reduce(s, call); });
}
pxl_status reduce(const pxl_context *, const pxli_reduce_call *call, pxli_workspace workspace) {
    return launch(call->input->device, workspace, [=](Sequence &s) { pxli::run_public_reduce(s, call); });
}

void describe(pxl_device device, char *text, size_t size) {
    cudaDeviceProp p{};
    int driver = 0;
    if (cudaGetDeviceProperties(&p, device.index) || cudaDriverGetVersion(&driver)) {
        snprintf(text, size, "CUDA device %d: %s", device.index, cudaGetErrorString(cudaGetLastError()));
        return;
    }
    snprintf(text, size, "%s, compute capability %d.%d, %d multiprocessors, %.1f GiB, driver for CUDA %d.%d", p.name, p.major,
             p.minor, p.multiProcessorCount, static_cast<double>(p.totalGlobalMem) / (1 << 30), driver / 1000,
             driver % 1000 / 10);
}

} // namespace

extern "C" {
pxl_status pxli_cuda_count(int *count, char *reason, size_t size) {
    *count = 0;
    const cudaError_t error = cudaGetDeviceCount(count);
    if (!error && *count == 0) snprintf(reason, size, "there is none");
    if (!error) return PXL_OK;
    *count = 0;
    if (error != cudaErrorInsufficientDriver && error != cudaErrorNoDevice && error != cudaErrorStubLibrary)
        return pxli::fail_call("cudaGetDeviceCount", error);
    cudaGetLastError(); // no driver, no device: not an error here, and not the caller's to find
    snprintf(reason, size, "%s", cudaGetErrorString(error));
    return PXL_OK;
}
extern const pxli_backend pxli_cuda_backend = {size, init, evaluate, filter_size, filter, reduce_size, reduce, describe};
}
