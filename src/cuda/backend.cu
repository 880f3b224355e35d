// The CUDA backend: the table that api.c calls, devices, and errors. Nothing here waits for the device or allocates.
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
        case cudaErrorECCUncorrectable: return true;
        default: return false;
    }
}

// The caller's current device is his again when this goes.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device) {
        error_ = cudaGetDevice(&previous_);
        if (!error_ && previous_ != device) error_ = cudaSetDevice(device), changed_ = !error_;
    }
    ~DeviceGuard() {
        if (changed_) cudaSetDevice(previous_);
    }
    DeviceGuard(const DeviceGuard &) = delete;
    DeviceGuard &operator=(const DeviceGuard &) = delete;
    pxl_status status() const { return error_ ? fail_call("cudaSetDevice", error_) : PXL_OK; }

  private:
    int previous_ = 0;
    bool changed_ = false;
    cudaError_t error_;
};
} // namespace

pxl_status fail_call(const char *what, cudaError_t error) {
    cudaGetLastError(); // reported here, so it is not the caller's to find
    return pxli_fail(PXL_DEVICE_ERROR, "%s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
                     is_sticky(error) ? "; the device is lost to this process since some earlier kernel, of pixloss or not, failed"
                                      : "");
}

} // namespace pxli

using pxli::DeviceGuard;
using pxli::Sequence;

namespace {

template <class Run>
size_t count(size_t *least, Run run) {
    Sequence s(nullptr);
    run(s);
    *least = s.bytes();
    return s.bytes();
}
template <class Run>
pxl_status launch(pxl_device device, const pxli_workspace &workspace, Run run) {
    const DeviceGuard guard(device.index);
    if (guard.status()) return guard.status();
    Sequence s(&workspace);
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
             p.minor, p.multiProcessorCount, static_cast<double>(p.totalGlobalMem) / (1 << 30), driver / 1000, driver % 1000 / 10);
}

} // namespace

extern "C" {
int pxli_cuda_count(char *reason, size_t size) {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error) {
        cudaGetLastError();
        snprintf(reason, size, "%s", cudaGetErrorString(error));
        return 0;
    }
    if (devices == 0) snprintf(reason, size, "there is none");
    return devices;
}
extern const pxli_backend pxli_cuda_backend = {size, init, evaluate, filter_size, filter, reduce_size, reduce, describe};
}
