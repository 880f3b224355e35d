// cp.async: copies wait in a queue of their thread until the wait that they belong to.
#include <algorithm>
#include <vector>

#include "fibers.h"
#include "scheduler.h"

#if CUDA_HOST_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_read_range(void *address, long bytes);
extern "C" void __tsan_write_range(void *address, long bytes);
#endif

namespace cuda_host {
namespace {

constexpr size_t tracked_groups = 16; // in flight at once, as far as the thread sanitizer's order goes

struct Copy {
    char *to;
    const char *from;
    size_t bytes, zeros; // the last `zeros` of them are filled with 0
};

struct Queue {
    std::vector<Copy> copies;
    std::vector<size_t> group_ends; // of the committed groups, in copies
    size_t committed = 0;           // groups in all
    void *engine = nullptr;         // the thread sanitizer's fiber that does the copies
    char asked = 0, done[tracked_groups] = {};
};

Queue queues[1024];

// Under the thread sanitizer the accesses are the engine's, and are announced when the copy is asked for.
CUDA_HOST_UNTRACED void run(const Copy &copy) {
    size_t bytes = copy.bytes - copy.zeros;
#if CUDA_HOST_TSAN
    char *to = copy.to;
    const char *from = copy.from;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
    bytes = copy.zeros;
    asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
#else
    std::memcpy(copy.to, copy.from, bytes);
    std::memset(copy.to + bytes, 0, copy.zeros);
#endif
}

bool is_valid(const void *to, const void *from, size_t bytes, size_t zeros) {
    const uintptr_t both = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
    return (bytes == 4 || bytes == 8 || bytes == 16) && zeros <= bytes && both % bytes == 0;
}

#if CUDA_HOST_TSAN
// The hardware copies at any time between here and the wait: to the thread sanitizer, a thread of its own that starts here and is
// waited for there. So it sees what others read too early, without the wait, and what they still read when the copy begins.
CUDA_HOST_UNTRACED void announce(const Copy &copy, Queue &queue) {
    void *const self = __tsan_get_current_fiber();
    if (!queue.engine) {
        queue.engine = __tsan_create_fiber(0);
        __tsan_set_fiber_name(queue.engine, "asynchronous copy");
    }
    order_release(&queue.asked);
    __tsan_switch_to_fiber(queue.engine, __tsan_switch_to_fiber_no_sync);
    order_acquire(&queue.asked);
    __tsan_read_range(const_cast<char *>(copy.from), static_cast<long>(copy.bytes - copy.zeros));
    __tsan_write_range(copy.to, static_cast<long>(copy.bytes));
    order_release(&queue.done[queue.committed % tracked_groups]);
    release_to_block_end();
    __tsan_switch_to_fiber(self, __tsan_switch_to_fiber_no_sync);
}
#else
void announce(const Copy &, Queue &) {}
#endif

} // namespace

void copy_async(void *to, const void *from, size_t bytes, size_t zeros, Place place) {
    if (!is_valid(to, from, bytes, zeros)) stop("asynchronous copy: its size (4, 8 or 16) or alignment", place);
    const Copy copy{static_cast<char *>(to), static_cast<const char *>(from), bytes, zeros};
    Queue &queue = queues[thread_rank()];
    announce(copy, queue);
    if (coin())
        run(copy);
    else
        queue.copies.push_back(copy);
}

void commit_copies() {
    Queue &queue = queues[thread_rank()];
    queue.group_ends.push_back(queue.copies.size());
    ++queue.committed;
}

void wait_copies(size_t groups_left) {
    Queue &queue = queues[thread_rank()];
    const size_t waiting = queue.group_ends.size();
    if (waiting <= groups_left) return;
    const size_t groups = waiting - groups_left, copies = queue.group_ends[groups - 1];
    for (size_t g = 0; g < groups; ++g) order_acquire(&queue.done[(queue.committed - waiting + g) % tracked_groups]);
    for (size_t i = 0; i < copies; ++i) run(queue.copies[i]);
    queue.copies.erase(queue.copies.begin(), queue.copies.begin() + static_cast<std::ptrdiff_t>(copies));
    queue.group_ends.erase(queue.group_ends.begin(), queue.group_ends.begin() + static_cast<std::ptrdiff_t>(groups));
    for (size_t &end : queue.group_ends) end -= copies;
}

void discard_copies(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) queues[i].copies.clear(), queues[i].group_ends.clear();
}

} // namespace cuda_host
