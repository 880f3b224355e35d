// The CUDA backend: the table that api.c calls, devices, and errors. Nothing here waits for the device or allocates.
#include <algorithm>
#include <cstdio>

#include "device_guard.cuh"
#include "evaluate.cuh"
#include "passes.cuh"

extern "C" {
#include "../device.h"
#include "../network/engine.h"
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
} // namespace

pxl_status fail_call(const char *what, cudaError_t error) {
    cudaGetLastError(); // reported here, so it is not the caller's to find
    return pxli_fail(
        PXL_DEVICE_ERROR, "%s: %s (%s)%s", what, cudaGetErrorString(error), cudaGetErrorName(error),
        is_sticky(error) ? "; the device is lost to this process since some earlier kernel, of pixloss or not, failed" : "");
}

} // namespace pxli

using pxli::DeviceGuard;
using pxli::Sequence;

namespace {

// For code of either kind (strip.cuh), so that no call is needed that could fail. 0: refused, with a message.
template <class Run>
size_t count(size_t *least, Run run) {
    *least = 0;
    for (const int compiled_for : {90, 89}) {
        Sequence s(compiled_for);
        run(s);
        if (s.status()) return *least = 0;
        *least = std::max(*least, s.bytes());
    }
    return *least;
}
// run() returns a status; on the call's device.
template <class Run>
pxl_status on(pxl_device device, Run run) {
    const DeviceGuard guard(device.index);
    return guard.status() ? guard.status() : guard.restore(run());
}
template <class Run>
pxl_status launch(pxl_device device, const pxli_workspace &workspace, Run run) {
    return on(device, [&] {
        Sequence s(device, workspace);
        run(s);
        return s.status();
    });
}

size_t size(const pxl_context *, pxli_call *call, size_t *least) {
    return count(least, [=](Sequence &s) { pxli::evaluate(s, call); });
}
// Loads the kernels, too, so that a first evaluation during a stream's capture need not.
pxl_status init(const pxl_context *, pxli_call *call, pxli_workspace workspace) {
    const pxl_device device = call->args->pred->device;
    return on(device, [&] {
        Sequence loading(device, workspace, true), s(device, workspace);
        // Convolutions run once, on zeros, wherever their places are: cuDNN loads its kernels at their first run.
        if (call->walks) s.clear(workspace.data, workspace.bytes);
        pxli::evaluate(loading, call);
        if (!loading.status()) s.clear(pxli::take_ticket(s), sizeof(unsigned));
        return loading.status() ? loading.status() : s.status();
    });
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
    int driver = 0;     // what it stays without one, which the error's text calls too old
    cudaDriverGetVersion(&driver);
    snprintf(reason, size, "%s", driver ? cudaGetErrorString(error) : "no NVIDIA driver is installed");
    return PXL_OK;
}
extern const pxli_backend pxli_cuda_backend = {&pxli_cuda_engine, size,   init,    evaluate, filter_size, filter,
                                               reduce_size,       reduce, describe};
}
