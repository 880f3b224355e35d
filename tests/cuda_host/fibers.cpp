#include "fibers.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#if CUDA_HOST_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if CUDA_HOST_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(__x86_64__) || !defined(__ELF__)
#error "tests/cuda_host switches fibers with x86-64 ELF assembly: write cuda_host_switch for this machine"
#endif

extern "C" void cuda_host_switch(void **save_stack_pointer, void *load_stack_pointer);
extern "C" void cuda_host_start();

// A jump, not a return: the processor would predict every return for the stack that was left, wrongly, and take twice as long.
//
// A fiber begins in cuda_host_start with its function in rbx. The undefined rip ends back-traces there; without it the sanitizers
// walk off the end of the stack.
asm(R"(
.text
.globl cuda_host_switch
.hidden cuda_host_switch
.type cuda_host_switch,@function
cuda_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size cuda_host_switch,.-cuda_host_switch
.globl cuda_host_start
.hidden cuda_host_start
.type cuda_host_start,@function
cuda_host_start:
  .cfi_startproc
  .cfi_undefined rip
  call *%rbx
  ud2
  .cfi_endproc
.size cuda_host_start,.-cuda_host_start
)");

namespace cuda_host {
namespace {

constexpr size_t page_bytes = 4096, stack_bytes = 256 << 10; // the sanitizers' frames are large; untouched pages cost nothing

void *scheduler_stack_pointer;
#if CUDA_HOST_ASAN
void *scheduler_fake_stack;
const void *scheduler_stack;
size_t scheduler_stack_bytes;
#endif
#if CUDA_HOST_TSAN
void *scheduler_tsan;
#endif

void allocate_stack(Fiber &fiber) { // below it a page that catches an overflow
    void *const memory =
        mmap(nullptr, page_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page_bytes, PROT_NONE) != 0) {
        std::perror("cuda_host: a fiber's stack");
        std::abort();
    }
    fiber.stack = static_cast<char *>(memory) + page_bytes;
#if CUDA_HOST_TSAN
    fiber.tsan = __tsan_create_fiber(0);
#endif
}

CUDA_HOST_UNTRACED void fiber_main() {
#if CUDA_HOST_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
    thread_main(); // leaves for good
    std::abort();
}

} // namespace

CUDA_HOST_UNTRACED void arm(Fiber &fiber, unsigned colour) {
    if (!fiber.stack) allocate_stack(fiber);
    void **top = reinterpret_cast<void **>(fiber.stack + stack_bytes - colour % 48 * 64);
    for (int i = 0; i < 8; ++i) *--top = nullptr; // the stack pointer is a multiple of 16 in cuda_host_start
    *--top = reinterpret_cast<void *>(&cuda_host_start);
    *--top = nullptr;                               // rbp
    *--top = reinterpret_cast<void *>(&fiber_main); // rbx
    for (int i = 0; i < 4; ++i) *--top = nullptr;   // r12 .. r15
    fiber.stack_pointer = top;
}

CUDA_HOST_UNTRACED void begin_scheduling() {
#if CUDA_HOST_TSAN
    scheduler_tsan = __tsan_get_current_fiber();
#endif
}

// no_sync: a switch orders nothing by itself, or the thread sanitizer would see no race between CUDA threads.
CUDA_HOST_UNTRACED void resume(Fiber &fiber) {
#if CUDA_HOST_ASAN
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack, stack_bytes);
#endif
#if CUDA_HOST_TSAN
    __tsan_switch_to_fiber(fiber.tsan, __tsan_switch_to_fiber_no_sync);
#endif
    cuda_host_switch(&scheduler_stack_pointer, fiber.stack_pointer);
#if CUDA_HOST_ASAN
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
}

CUDA_HOST_UNTRACED void leave(Fiber &fiber, bool for_good) {
    static_cast<void>(for_good);
#if CUDA_HOST_ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber.fake_stack, scheduler_stack, scheduler_stack_bytes);
#endif
#if CUDA_HOST_TSAN
    __tsan_switch_to_fiber(scheduler_tsan, __tsan_switch_to_fiber_no_sync);
#endif
    cuda_host_switch(&fiber.stack_pointer, scheduler_stack_pointer);
#if CUDA_HOST_ASAN
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

#if CUDA_HOST_TSAN
CUDA_HOST_UNTRACED void order_release(void *variable) { __tsan_release(variable); }
CUDA_HOST_UNTRACED void order_acquire(void *variable) { __tsan_acquire(variable); }
#else
void order_release(void *) {}
void order_acquire(void *) {}
#endif

} // namespace cuda_host
