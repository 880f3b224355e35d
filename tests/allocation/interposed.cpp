#include "interposed.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <unordered_map>
#ifdef PXL_TEST_JANSSON
#include <jansson.h>
#endif

namespace {

struct State {
    std::mutex lock;
    std::unordered_map<void *, size_t> blocks; // its memory is libstdc++'s, which is not counted
    size_t bytes = 0;
    std::atomic<int> onednn{0};
};
State &state() {
    static State *const made = new State; // outlives what is destroyed at the end
    return *made;
}
struct Plan {
    interposed::Failing what = interposed::Failing::nothing;
    int left = 0;
    bool failed = false;
};
thread_local Plan plan;
std::atomic<const char *> hidden{nullptr};

void *taken(void *block, size_t bytes) {
    const std::lock_guard<std::mutex> guard(state().lock);
    if (block) state().blocks[block] = bytes, state().bytes += bytes;
    return block;
}
void given_back(void *block) {
    const std::lock_guard<std::mutex> guard(state().lock);
    const auto found = state().blocks.find(block);
    if (found == state().blocks.end()) return; // another library's
    state().bytes -= found->second;
    state().blocks.erase(found);
}
bool no_memory() {
    if (!interposed::fails(false, true)) return false;
    errno = ENOMEM;
    return true;
}

} // namespace

namespace interposed {

void fail(Failing what, int nth) { plan = {what, nth, false}; }
bool has_failed() { return plan.failed; }
Failing failing() { return plan.what; }
void hide(const char *name) { hidden = name; }
void count_onednn(int more) { state().onednn += more; }
Held held() {
    const std::lock_guard<std::mutex> guard(state().lock);
    return {state().blocks.size(), state().bytes, state().onednn};
}
bool fails(bool onednn, bool for_want_of_memory) {
    const bool counts = plan.what == Failing::memory ? for_want_of_memory : plan.what == Failing::onednn && onednn;
    if (!counts || --plan.left != 0) return false;
    return plan.failed = true;
}

} // namespace interposed

// ---- What the linker puts in the place of the library's calls ---------------------------------------------------------
extern "C" {
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **block, size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_munmap(void *block, size_t bytes);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
void *__real_dlopen(const char *name, int flags);
void *__real_dlsym(void *handle, const char *name);

void *__wrap_malloc(size_t bytes) { return no_memory() ? nullptr : taken(__real_malloc(bytes), bytes); }
void *__wrap_calloc(size_t count, size_t bytes) {
    return no_memory() ? nullptr : taken(__real_calloc(count, bytes), count * bytes);
}
void *__wrap_realloc(void *block, size_t bytes) {
    if (no_memory()) return nullptr;
    given_back(block);
    return taken(__real_realloc(block, bytes), bytes);
}
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return no_memory() ? nullptr : taken(__real_aligned_alloc(alignment, bytes), bytes);
}
int __wrap_posix_memalign(void **block, size_t alignment, size_t bytes) {
    if (no_memory()) return ENOMEM;
    const int error = __real_posix_memalign(block, alignment, bytes);
    if (!error) taken(*block, bytes);
    return error;
}
char *__wrap_strdup(const char *text) {
    return no_memory() ? nullptr : static_cast<char *>(taken(__real_strdup(text), std::strlen(text) + 1));
}
void __wrap_free(void *block) {
    given_back(block); // before another thread is given it
    __real_free(block);
}
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (no_memory()) return MAP_FAILED;
    void *const map = __real_mmap(at, bytes, protection, flags, file, offset);
    if (map != MAP_FAILED) taken(map, bytes);
    return map;
}
int __wrap_munmap(void *block, size_t bytes) {
    given_back(block);
    return __real_munmap(block, bytes);
}
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes) {
    return no_memory() ? ENOMEM : __real_pthread_mutex_init(mutex, attributes);
}
void *__wrap_dlopen(const char *name, int flags) {
    const char *const missing = hidden;
    return missing && name && !std::strcmp(name, missing) ? nullptr : __real_dlopen(name, flags);
}
void *__wrap_dlsym(void *handle, const char *name) {
    const char *const missing = hidden;
    if (missing && !std::strcmp(name, missing)) return nullptr;
    void *const real = __real_dlsym(handle, name), *const wrapped = real ? interposed::wrapped_onednn(name, real) : nullptr;
    return wrapped ? wrapped : real;
}
}

#ifdef PXL_TEST_JANSSON
static const bool jansson_is_led_here = (json_set_alloc_funcs(__wrap_malloc, __wrap_free), true);
#endif
