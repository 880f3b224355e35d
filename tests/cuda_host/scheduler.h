// Runs a grid: blocks one after another, the threads of a block from barrier to barrier.
// One grid at a time. Internal to the shim.
#ifndef CUDA_HOST_SCHEDULER_H
#define CUDA_HOST_SCHEDULER_H
#include <functional>

#include "control.h"
#include "device.h"

namespace cuda_host {

struct Grid {
    dim3 grid, block;
    size_t dynamic_bytes;
    int compiled_for;
    const std::function<void()> *thread; // the kernel with its arguments
};

// Returns the bytes of static shared memory that the kernel used.
size_t run_grid(const Grid &grid);

void set_thread_order(Order order, unsigned seed);
bool coin();                 // tossed in random order only; false otherwise
unsigned thread_rank();      // of the running thread within its block
void release_to_block_end(); // of the thread sanitizer's order: what is done so far comes before the next block
void discard_copies(unsigned threads);
void fill_poison(void *memory, size_t bytes);

} // namespace cuda_host
#endif
