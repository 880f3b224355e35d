// One fiber per CUDA thread of a block: its stack, and the switch from the scheduler to it and back. Internal to the shim.
// The switch is a page of x86-64 assembly: swapcontext makes a system call each time (some 330 ns against 3), and Boost.Context
// would be a dependency for one function. Control words (MXCSR, x87) are left alone, as kernels do not change them.
#ifndef CUDA_HOST_FIBERS_H
#define CUDA_HOST_FIBERS_H
#include "device.h"

namespace cuda_host {

struct Fiber {
    void *stack_pointer = nullptr;
    char *stack = nullptr;
    void *fake_stack = nullptr; // the address sanitizer's
    void *tsan = nullptr;       // the thread sanitizer's
};

// Makes the fiber start anew in thread_main() (scheduler.cpp) when it is next resumed. `colour` staggers the stacks' tops, which
// would otherwise all fall into the same cache sets.
void arm(Fiber &fiber, unsigned colour);

void resume(Fiber &fiber);               // scheduler -> fiber, until it leaves
void leave(Fiber &fiber, bool for_good); // fiber -> scheduler
void begin_scheduling();                 // the calling host thread is the scheduler from now on

void thread_main();

// No-ops without the thread sanitizer.
void order_release(void *variable);
void order_acquire(void *variable);

} // namespace cuda_host
#endif
