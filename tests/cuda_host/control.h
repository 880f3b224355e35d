// What a test asks of the shim: failures on demand, the order of threads, and what was called and is still allocated.
#ifndef CUDA_HOST_CONTROL_H
#define CUDA_HOST_CONTROL_H
#include <cuda_runtime_api.h>

#include <cstddef>

namespace cuda_host {

// The order of the threads between barriers and of the blocks. The environment sets the first one: PXLOSS_CUDA_ORDER=forward (the
// default), reverse or random; PXLOSS_CUDA_SEED=number.
enum class Order { forward, reverse, random };
void set_order(Order order, unsigned seed = 1);

// Totals since the program began, and what lives now. api_calls leaves out cudaGetLastError, cudaPeekAtLastError and the texts.
// synchronisations: cudaDeviceSynchronize, cudaStreamSynchronize, cudaEventSynchronize, cudaMemcpy, cudaFree, cudaFreeHost.
struct Counts {
    size_t api_calls, launches, allocations, synchronisations;
    size_t live_allocations, live_host_allocations, live_streams, live_events, live_graphs;
    size_t live_handles, live_descriptors; // of cuDNN and cuBLAS
    size_t loads_in_captures;              // launches during a capture of kernels that nothing had used before: CUDA loads lazily
};
Counts counts();
size_t api_calls();
size_t live_allocations(); // of cudaMalloc and cudaMallocHost

// The nth counted call from now (1: the next, of any host thread) returns `error` and does nothing; the calls that release
// something release it all the same. 0 takes it back. Calls of cuDNN and cuBLAS count, too: they return `library_status`, or if that
// is 0 the status that corresponds to the error.
void fail_call(size_t nth, cudaError_t error = cudaErrorUnknown, int library_status = 0);
bool fail_call_is_pending();    // not reached yet
const char *last_failed_call(); // the name of the call that last returned an error, "" if none

// As after a kernel's illegal address: every counted call returns `error` until cudaSuccess is set. Calls that release still do.
void set_sticky(cudaError_t error);

// The architecture that the kernels which run on a device were compiled for: what cudaFuncGetAttributes tells (ptxVersion). At first
// the device's own, 90 and 89; code for 80 runs on both, too.
void set_compiled_for(int device, int architecture);

// As in a process that has used no kernel yet: what cudaFuncSetAttribute set is gone, and no kernel is loaded.
void forget_kernels();

// cudaMalloc returns cudaErrorMemoryAllocation beyond this many bytes in all on a device (at first 16 GiB).
void set_memory_limit(size_t bytes);

// A library that is not installed: dlopen does not find it, the version is 0 and no handle is created. The environment sets it for
// a whole process, too: PXLOSS_CUDA_MISSING=cudnn, cublas or cudnn,cublas. (Where the shim was built with these libraries' headers.)
enum class Library { cudnn, cublas };
void set_missing(Library library, bool missing);
bool is_missing(Library library);

// What cuDNN does with a graph of more than a convolution: engines that fuse it, or none, which the heuristics tells by a status or
// by an empty list, or only the finalising of each plan.
enum class Fusion { on, refused_by_heuristics, without_engines, refused_by_plans };
void set_cudnn_fusion(Fusion fusion);
Fusion cudnn_fusion();

} // namespace cuda_host
#endif
