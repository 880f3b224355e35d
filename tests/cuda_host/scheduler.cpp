#include "scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "fibers.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_host {
namespace {

constexpr unsigned max_threads = 1024;

enum class Wait : uint8_t { none, block, warp, done };

struct Thread {
    Fiber fiber;
    uint3 index{};
    unsigned rank = 0;
    Wait wait = Wait::done;
    Operation operation = Operation::sync;
    Place place{"", 0};
    unsigned mask = 0;
    int source = 0;
    uint64_t value = 0, result = 0;
    unsigned warp_syncs = 0; // how many __syncwarp it has passed
    unsigned parities = 0;   // of warp_syncs of each lane of its warp, at its last __syncwarp
};

// Variables of the thread sanitizer's happens-before, one byte each. A barrier takes the two in turn: a thread that has run
// ahead to the next barrier must not order what others do after this one.
struct OrderVariables {
    char block_start, block_end, barrier[2], warp[max_threads][2];
};

Thread threads[max_threads];
unsigned order[max_threads];
OrderVariables variables;
Thread *running;
unsigned thread_count;
const std::function<void()> *thread_body;
char *dynamic_memory;
size_t dynamic_bytes, static_bytes;
int code; // of the kernel: the architecture that it is compiled for
uint64_t blocks_run, launches_run, barriers_run;
unsigned barrier_sum;

Order thread_order = Order::forward;
uint64_t random_state = 1;

CUDA_HOST_UNTRACED uint64_t next_random() { // xorshift64*
    random_state ^= random_state >> 12, random_state ^= random_state << 25, random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull >> 11;
}

[[noreturn]] void stop_for(const char *message, const Thread &a, const Thread *b) {
    std::fprintf(stderr, "cuda_host: %s: block (%u,%u,%u) thread (%u,%u,%u) at %s:%d", message, blockIdx.x, blockIdx.y,
                 blockIdx.z, a.index.x, a.index.y, a.index.z, a.place.file, a.place.line);
    if (b) std::fprintf(stderr, ", thread (%u,%u,%u) at %s:%d", b->index.x, b->index.y, b->index.z, b->place.file, b->place.line);
    std::fprintf(stderr, "\n");
    std::abort();
}

// The lanes of the warp that begins at `first` and exist.
CUDA_HOST_UNTRACED unsigned lanes_from(unsigned first) { return thread_count - first < 32 ? thread_count - first : 32; }

// Has every lane of this lane's mask that has not exited come to the same operation?
CUDA_HOST_UNTRACED bool mask_is_complete(const Thread &thread, const Thread *warp, unsigned lanes) {
    for (unsigned k = 0; k < lanes; ++k) {
        const Thread &other = warp[k];
        if (!(thread.mask >> k & 1) || other.wait == Wait::done) continue;
        if (other.wait != Wait::warp || other.mask != thread.mask || other.operation != thread.operation) return false;
    }
    return true;
}

CUDA_HOST_UNTRACED uint64_t shuffled_value(const Thread &thread, const Thread *warp, unsigned lanes) {
    const unsigned source = static_cast<unsigned>(thread.source);
    if (source >= lanes || !(thread.mask >> source & 1)) stop_for("shuffle from a lane outside the mask", thread, nullptr);
    if (warp[source].wait != Wait::warp) stop_for("shuffle from a lane that has exited", thread, &warp[source]);
    return warp[source].value;
}

CUDA_HOST_UNTRACED void exchange(unsigned mask, Thread *warp, unsigned lanes) {
    uint64_t votes = 0, sum = 0;
    unsigned parities = 0;
    for (unsigned k = 0; k < lanes; ++k) {
        parities |= (warp[k].warp_syncs & 1) << k;
        if (!(mask >> k & 1) || warp[k].wait != Wait::warp) continue;
        votes |= (warp[k].value & 1) << k, sum += warp[k].value;
    }
    for (unsigned k = 0; k < lanes; ++k) {
        Thread &thread = warp[k];
        if (!(mask >> k & 1) || thread.wait != Wait::warp) continue;
        thread.parities = parities;
        if (thread.operation == Operation::shuffle)
            thread.result = shuffled_value(thread, warp, lanes);
        else
            thread.result = thread.operation == Operation::vote ? votes : sum;
    }
    for (unsigned k = 0; k < lanes; ++k)
        if ((mask >> k & 1) && warp[k].wait == Wait::warp) warp[k].wait = Wait::none;
}

// True if lanes of this warp may go on.
CUDA_HOST_UNTRACED bool release_warp(unsigned first) {
    Thread *const warp = threads + first;
    const unsigned lanes = lanes_from(first);
    bool any = false;
    for (unsigned k = 0; k < lanes; ++k) {
        if (warp[k].wait != Wait::warp) continue;
        if (!(warp[k].mask >> k & 1)) stop_for("a lane calls a *_sync whose mask lacks it", warp[k], nullptr);
        if (!mask_is_complete(warp[k], warp, lanes)) continue;
        exchange(warp[k].mask, warp, lanes);
        any = true;
    }
    return any;
}

CUDA_HOST_UNTRACED void set_order_of_pass() {
    if (thread_order != Order::random) return; // laid down by run_grid
    for (unsigned i = thread_count; i > 1; --i) {
        const unsigned k = static_cast<unsigned>(next_random() % i), other = order[k];
        order[k] = order[i - 1], order[i - 1] = other;
    }
}

CUDA_HOST_UNTRACED void resume_thread(Thread &thread) {
    running = &thread;
    threadIdx = thread.index;
    resume(thread.fiber);
}

// One turn for every thread that can run.
CUDA_HOST_UNTRACED bool run_pass() {
    bool any = false;
    set_order_of_pass();
    for (unsigned i = 0; i < thread_count; ++i) {
        Thread &thread = threads[order[i]];
        if (thread.wait != Wait::none) continue;
        resume_thread(thread);
        any = true;
    }
    for (unsigned first = 0; first < thread_count; first += 32) any |= release_warp(first);
    return any;
}

// Nobody can run: they are all at one barrier, or all done, or it is an error. True at a barrier, which is then open.
CUDA_HOST_UNTRACED bool open_barrier() {
    const Thread *waiting = nullptr, *exited = nullptr, *stuck = nullptr;
    for (unsigned i = 0; i < thread_count; ++i) {
        const Thread &thread = threads[i];
        if (thread.wait == Wait::done) exited = &thread;
        if (thread.wait == Wait::warp) stuck = &thread;
        if (thread.wait != Wait::block) continue;
        if (!waiting) waiting = &thread;
        if (thread.place.line != waiting->place.line || thread.operation != waiting->operation)
            stop_for("threads meet at different __syncthreads", *waiting, &thread);
    }
    if (stuck) stop_for("deadlock: a lane waits for others of its warp", *stuck, waiting);
    if (!waiting) return false;
    if (exited) stop_for("__syncthreads after threads of the block have exited", *waiting, exited);
    unsigned sum = 0;
    for (unsigned i = 0; i < thread_count; ++i) sum += static_cast<unsigned>(threads[i].value), threads[i].wait = Wait::none;
    barrier_sum = sum;
    ++barriers_run;
    return true;
}

CUDA_HOST_UNTRACED void run_block() {
    ++blocks_run;
    fill_poison(dynamic_memory, dynamic_bytes);
    discard_copies(thread_count);
    for (unsigned i = 0; i < thread_count; ++i) {
        arm(threads[i].fiber, i);
        threads[i].wait = Wait::none;
    }
    order_release(&variables.block_start);
    do {
        while (run_pass()) {
        }
    } while (open_barrier());
    order_acquire(&variables.block_end);
}

void lay_out_threads(const Grid &grid) {
    thread_count = grid.block.x * grid.block.y * grid.block.z;
    for (unsigned i = 0; i < thread_count; ++i) {
        threads[i].rank = i;
        threads[i].index = uint3{i % grid.block.x, i / grid.block.x % grid.block.y, i / (grid.block.x * grid.block.y)};
        order[i] = thread_order == Order::reverse ? thread_count - 1 - i : i;
    }
}

uint64_t greatest_common_divisor(uint64_t a, uint64_t b) { return b ? greatest_common_divisor(b, a % b) : a; }

// Block number i of the order: in random order factor * i + offset modulo the count, which is a permutation and needs no memory.
struct BlockOrder {
    uint64_t count, factor = 1, offset = 0;

    explicit BlockOrder(uint64_t blocks) : count(blocks) {
        if (thread_order == Order::reverse) factor = count - 1, offset = count - 1;
        if (thread_order != Order::random) return;
        do factor = next_random() % count;
        while (greatest_common_divisor(factor, count) != 1);
        offset = next_random() % count;
    }
    uint64_t operator[](uint64_t i) const {
        __extension__ using Wide = unsigned __int128;
        return static_cast<uint64_t>((static_cast<Wide>(factor) * i + offset) % count);
    }
};

void allocate_dynamic_memory(size_t bytes) { // of exactly this size: the address sanitizer fences it
    if (dynamic_memory && dynamic_bytes == bytes) return;
    std::free(dynamic_memory);
    dynamic_memory = static_cast<char *>(std::malloc(bytes));
    dynamic_bytes = bytes;
    if (!dynamic_memory && bytes) std::abort();
}

} // namespace

CUDA_HOST_UNTRACED void thread_main() {
    order_acquire(&variables.block_start);
    (*thread_body)();
    order_release(&variables.block_end);
    running->wait = Wait::done;
    leave(running->fiber, true);
}

size_t run_grid(const Grid &grid) {
    begin_scheduling();
    allocate_dynamic_memory(grid.dynamic_bytes);
    lay_out_threads(grid);
    blockDim = grid.block, gridDim = grid.grid;
    thread_body = grid.thread;
    ++launches_run, static_bytes = 0, code = grid.compiled_for;
    const uint64_t row = grid.grid.x, plane = row * grid.grid.y;
    const BlockOrder blocks(plane * grid.grid.z);
    for (uint64_t i = 0; i < blocks.count; ++i) {
        const uint64_t b = blocks[i];
        blockIdx =
            uint3{static_cast<unsigned>(b % row), static_cast<unsigned>(b % plane / row), static_cast<unsigned>(b / plane)};
        run_block();
    }
    running = nullptr;
    return static_bytes;
}

void stop(const char *message, Place place) {
    running->place = place;
    stop_for(message, *running, nullptr);
}

CUDA_HOST_UNTRACED unsigned wait_for_block(Operation operation, unsigned value, Place place) {
    Thread *const thread = running;
    char *const variable = &variables.barrier[barriers_run & 1];
    thread->wait = Wait::block, thread->operation = operation, thread->value = value, thread->place = place;
    order_release(variable);
    leave(thread->fiber, false);
    order_acquire(variable);
    return barrier_sum;
}

// A shuffle or a vote orders no memory (CUDA promises it of __syncwarp alone): the thread sanitizer reports what relies on it.
CUDA_HOST_UNTRACED uint64_t wait_for_warp(Operation operation, unsigned mask, uint64_t value, int source, Place place) {
    Thread *const thread = running;
    thread->wait = Wait::warp, thread->operation = operation, thread->place = place;
    thread->mask = mask, thread->value = value, thread->source = source;
    if (operation == Operation::sync) order_release(&variables.warp[thread->rank][++thread->warp_syncs & 1]);
    leave(thread->fiber, false);
    const unsigned first = thread->rank & ~31u;
    for (unsigned k = 0; operation == Operation::sync && k < 32; ++k)
        if (mask >> k & 1) order_acquire(&variables.warp[first + k][thread->parities >> k & 1]);
    return thread->result;
}

CUDA_HOST_UNTRACED unsigned thread_rank() { return running->rank; }
CUDA_HOST_UNTRACED unsigned lane() { return running->rank & 31; }
CUDA_HOST_UNTRACED void *dynamic_shared_memory() { return dynamic_memory; }
CUDA_HOST_UNTRACED int compiled_for() { return code; }
CUDA_HOST_UNTRACED bool coin() { return thread_order == Order::random && (next_random() & 1); }

CUDA_HOST_UNTRACED void release_to_block_end() { order_release(&variables.block_end); }

void set_thread_order(Order new_order, unsigned seed) {
    thread_order = new_order;
    random_state = (seed + 1) * 0x9e3779b97f4a7c15ull | 1;
}

// Bytes 0xff are a NaN in every floating-point type. Not memset, which the thread sanitizer would take for the kernel's.
CUDA_HOST_UNTRACED void fill_poison(void *memory, size_t bytes) {
    asm volatile("rep stosb" : "+D"(memory), "+c"(bytes) : "a"(0xff) : "memory");
}

SharedSlot::SharedSlot(size_t bytes) : memory_(static_cast<char *>(std::malloc(bytes))), bytes_(bytes) {
    if (!memory_) std::abort();
}

CUDA_HOST_UNTRACED void *SharedSlot::enter() {
    if (launch_ != launches_run) static_bytes += bytes_, launch_ = launches_run;
    if (block_ != blocks_run) fill_poison(memory_, bytes_), block_ = blocks_run;
    return memory_;
}

} // namespace cuda_host
