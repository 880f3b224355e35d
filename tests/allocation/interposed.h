// What the library takes and has not given back, and failures where a test wants them. This program is linked so that the library's
// calls of malloc and its like, mmap, pthread_mutex_init, dlopen and dlsym arrive here; libjansson is told to allocate here, and what dlsym finds of
// oneDNN is wrapped. Other libraries' own allocations go by.
#ifndef TESTS_ALLOCATION_INTERPOSED_H
#define TESTS_ALLOCATION_INTERPOSED_H
#include <cstddef>
#include <ostream>

namespace interposed {

enum class Failing {
    nothing,
    memory, // allocations; calls of oneDNN say that there is no memory
    onednn  // calls of oneDNN alone, with an error of another kind or without a result
};
// In this thread: the nth of what can fail so, counted from 1, does.
void fail(Failing what, int nth);
bool has_failed(); // it came to that since fail()
// dlsym does not find it, or dlopen if it is libdnnl.so.2; nullptr: nothing is hidden.
void hide(const char *name);

struct Held {
    size_t blocks, bytes; // mapped files among them
    int onednn;           // objects of oneDNN, but for its library
    bool operator==(const Held &other) const { return blocks == other.blocks && bytes == other.bytes && onednn == other.onednn; }
};
Held held();
inline std::ostream &operator<<(std::ostream &to, const Held &held) {
    return to << held.blocks << " blocks, " << held.bytes << " bytes, " << held.onednn << " objects of oneDNN";
}

// For the wrappers.
bool fails(bool onednn, bool for_want_of_memory);
Failing failing();
void count_onednn(int more);
void *wrapped_onednn(const char *name, void *real); // nullptr: none of its functions

} // namespace interposed
#endif
