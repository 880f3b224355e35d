// What the parts of the host runtime share: one lock, the bookkeeping of calls, streams and captures. Internal to the shim.
#ifndef CUDA_HOST_RUNTIME_H
#define CUDA_HOST_RUNTIME_H
#include <cuda_runtime_api.h>

#include <functional>
#include <mutex>

#include "control.h"

namespace cuda_host {

using Work = std::function<void()>;

enum Trait : unsigned {
    plain = 0,
    synchronises = 1, // counted
    conflicts = 2,    // refused while any stream captures
    unsafe = 4,       // refused during a capture whose mode forbids unsafe calls to this thread
    releases = 8,     // does its work even when it is made to fail
};

constexpr int device_count = 2;
constexpr size_t default_shared_bytes = 48 << 10, reserved_shared_bytes = 1 << 10;
// Of a multiprocessor: that of a data centre's card, and of a consumer's. A block may have all but what is reserved.
constexpr size_t multiprocessor_shared_bytes(int device) { return size_t{device == 0 ? 228u : 100u} << 10; }
constexpr size_t max_shared_bytes(int device) { return multiprocessor_shared_bytes(device) - reserved_shared_bytes; }

// Takes the lock, counts, fails when asked to, runs `body` and keeps its error for cudaGetLastError.
cudaError_t call(const char *name, unsigned traits, const std::function<cudaError_t()> &body);

// The same for a call of cuDNN or cuBLAS, whose statuses are 0 where all is well; `status_of` an error of CUDA's.
int library_call(const char *name, unsigned traits, const std::function<int(cudaError_t)> &status_of,
                 const std::function<int()> &body);

std::mutex &call_mutex(); // that lock, for what is not a call

// The rest is for bodies: under the lock.
bool call_must_fail(); // and only what it releases is wanted of the body
int current_device();
size_t memory_limit();
Counts &totals();

cudaError_t refused_by_capture(unsigned traits);                   // spoils the captures that it refuses for
bool device_reaches(const void *memory, size_t bytes, int device); // its own memory, and pinned memory
bool is_stream(cudaStream_t stream);
cudaError_t may_enqueue(cudaStream_t stream);
int device_of(cudaStream_t stream);
bool is_capturing(cudaStream_t stream);
void enqueue(cudaStream_t stream, Work work); // runs at once, or goes into the stream's capture
cudaError_t wait_for(cudaStream_t stream);    // success, or why a host may not wait for it

} // namespace cuda_host
#endif
