// What a kernel sees of the machine: its place in the grid, shared memory, barriers, exchange within a warp, asynchronous copies.
// Each CUDA thread is a fiber (fibers.h); a fiber runs until it waits, so that threads interleave at barriers and nowhere else.
// A rule broken (threads at different barriers, a shuffle from a lane outside the mask) aborts with the thread and the line.
#ifndef CUDA_HOST_DEVICE_H
#define CUDA_HOST_DEVICE_H
#include <vector_functions.h>
#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_THREAD__)
#define CUDA_HOST_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CUDA_HOST_ASAN 1
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CUDA_HOST_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define CUDA_HOST_ASAN 1
#endif
#endif
#ifndef CUDA_HOST_TSAN
#define CUDA_HOST_TSAN 0
#endif
#ifndef CUDA_HOST_ASAN
#define CUDA_HOST_ASAN 0
#endif

// The shim's own memory accesses are no part of the kernel: the thread sanitizer must not see them.
#if CUDA_HOST_TSAN
#define CUDA_HOST_UNTRACED __attribute__((no_sanitize("thread"), noinline))
#else
#define CUDA_HOST_UNTRACED
#endif

// Set by the scheduler whenever it resumes a thread. Not const: the compiler must read them again after each wait.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuda_host {

struct Place {
    const char *file;
    int line;
};

enum class Operation : uint8_t { sync, shuffle, vote, add, sum_of_block };

// Aborts; the message names the calling thread.
[[noreturn]] void stop(const char *message, Place place);

// Returns the sum of the values of the block's threads.
unsigned wait_for_block(Operation operation, unsigned value, Place place);

// Waits for the lanes of the mask. shuffle: the value of lane `source`; vote: a bit for each lane; add: the sum.
// Only sync orders memory between lanes, as in CUDA.
uint64_t wait_for_warp(Operation operation, unsigned mask, uint64_t value, int source, Place place);

unsigned lane();

void *dynamic_shared_memory();

int compiled_for(); // of the code that runs, see control.h

// A static shared variable: on the heap, so that the address sanitizer fences it; NaN at the start of each block.
class SharedSlot {
  public:
    explicit SharedSlot(size_t bytes);
    void *enter();

  private:
    char *memory_;
    size_t bytes_;
    uint64_t block_ = 0, launch_ = 0; // the last that used it
};

// cp.async. The copy takes place at the wait, so that a missing wait reads poison; in random order it may be at once, so that a
// copy into memory that others still read is seen too.
void copy_async(void *to, const void *from, size_t bytes, size_t zeros, Place place);
void commit_copies();
void wait_copies(size_t groups_left);

template <class T>
T shuffle(unsigned mask, T value, int source, Place place) {
    static_assert(sizeof(T) <= 8, "a shuffle moves 8 bytes at most");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = wait_for_warp(Operation::shuffle, mask, bits, source, place);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}

} // namespace cuda_host

#define PXLI_SHARED(T, name, dims)                                 \
    typedef T name##_type dims;                                    \
    static cuda_host::SharedSlot name##_slot(sizeof(name##_type)); \
    name##_type &name = *static_cast<name##_type *>(name##_slot.enter())

#define PXLI_DYNAMIC_SHARED(T, name) T *const name = static_cast<T *>(cuda_host::dynamic_shared_memory())

// A fiber's local variable is not shared: without this a plain __shared__ would compile and be wrong.
#undef __shared__
#define __shared__ CUDA_HOST_NEEDS_PXLI_SHARED
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __cluster_dims__
#define __cluster_dims__(...)
#undef __grid_constant__
#define __grid_constant__
#undef __maxnreg__
#define __maxnreg__(...)

// Every barrier and shuffle takes its caller's place as two trailing defaults.
#define CUDA_HOST_PLACE_PARAMETERS const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define CUDA_HOST_PLACE            (cuda_host::Place{file, line})

inline void __syncthreads(CUDA_HOST_PLACE_PARAMETERS) {
    cuda_host::wait_for_block(cuda_host::Operation::sync, 0, CUDA_HOST_PLACE);
}
inline int __syncthreads_count(int p, CUDA_HOST_PLACE_PARAMETERS) {
    return static_cast<int>(cuda_host::wait_for_block(cuda_host::Operation::sum_of_block, p != 0, CUDA_HOST_PLACE));
}
inline int __syncthreads_or(int p, CUDA_HOST_PLACE_PARAMETERS) {
    return cuda_host::wait_for_block(cuda_host::Operation::sum_of_block, p != 0, CUDA_HOST_PLACE) != 0;
}
inline int __syncthreads_and(int p, CUDA_HOST_PLACE_PARAMETERS) {
    return cuda_host::wait_for_block(cuda_host::Operation::sum_of_block, p == 0, CUDA_HOST_PLACE) == 0;
}
inline void __syncwarp(unsigned mask = ~0u, CUDA_HOST_PLACE_PARAMETERS) {
    cuda_host::wait_for_warp(cuda_host::Operation::sync, mask, 0, 0, CUDA_HOST_PLACE);
}

template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, CUDA_HOST_PLACE_PARAMETERS) {
    const int lane = static_cast<int>(cuda_host::lane());
    return cuda_host::shuffle(mask, v, (lane & ~(width - 1)) | (source & (width - 1)), CUDA_HOST_PLACE);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, CUDA_HOST_PLACE_PARAMETERS) {
    const int lane = static_cast<int>(cuda_host::lane()), from = lane ^ bits;
    return cuda_host::shuffle(mask, v, from / width > lane / width ? lane : from, CUDA_HOST_PLACE);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, CUDA_HOST_PLACE_PARAMETERS) {
    const int lane = static_cast<int>(cuda_host::lane()), from = lane + static_cast<int>(delta);
    return cuda_host::shuffle(mask, v, from / width != lane / width ? lane : from, CUDA_HOST_PLACE);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, CUDA_HOST_PLACE_PARAMETERS) {
    const int lane = static_cast<int>(cuda_host::lane()), from = lane - static_cast<int>(delta);
    return cuda_host::shuffle(mask, v, from < (lane & ~(width - 1)) ? lane : from, CUDA_HOST_PLACE);
}

inline unsigned __ballot_sync(unsigned mask, int p, CUDA_HOST_PLACE_PARAMETERS) {
    return static_cast<unsigned>(cuda_host::wait_for_warp(cuda_host::Operation::vote, mask, p != 0, 0, CUDA_HOST_PLACE));
}
inline int __any_sync(unsigned mask, int p, CUDA_HOST_PLACE_PARAMETERS) { return __ballot_sync(mask, p, file, line) != 0; }
inline int __all_sync(unsigned mask, int p, CUDA_HOST_PLACE_PARAMETERS) { return __ballot_sync(mask, !p, file, line) == 0; }
inline unsigned __reduce_add_sync(unsigned mask, unsigned v, CUDA_HOST_PLACE_PARAMETERS) {
    return static_cast<unsigned>(cuda_host::wait_for_warp(cuda_host::Operation::add, mask, v, 0, CUDA_HOST_PLACE));
}
inline int __reduce_add_sync(unsigned mask, int v, CUDA_HOST_PLACE_PARAMETERS) {
    return static_cast<int>(__reduce_add_sync(mask, static_cast<unsigned>(v), file, line));
}

inline void __pipeline_memcpy_async(void *to, const void *from, size_t bytes, size_t zeros = 0, CUDA_HOST_PLACE_PARAMETERS) {
#if CUDA_HOST_ASAN // the copy itself is far from here: let an overrun be reported where it was asked for
    static_cast<void>(*static_cast<volatile const char *>(to)),
        static_cast<void>(static_cast<volatile const char *>(to)[bytes - 1]);
    const auto *const source = static_cast<volatile const char *>(from);
    if (zeros < bytes) static_cast<void>(source[0]), static_cast<void>(source[bytes - zeros - 1]);
#endif
    cuda_host::copy_async(to, from, bytes, zeros, CUDA_HOST_PLACE);
}
inline void __pipeline_commit() { cuda_host::commit_copies(); }
inline void __pipeline_wait_prior(size_t groups_left) { cuda_host::wait_copies(groups_left); }

#undef CUDA_HOST_PLACE_PARAMETERS
#undef CUDA_HOST_PLACE
#endif
