// What a process sees of cuDNN and cuBLAS: dlopen finds the host's versions, which are part of the program, whatever is installed.
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include "control.h"
#include "cublas_host.h"
#include "cudnn_host.h"

namespace cuda_host {
namespace {

const char *const library_names[] = {"cudnn", "cublas"};

bool is_missing_at_first(Library library) {
    const char *const missing = std::getenv("PXLOSS_CUDA_MISSING");
    return missing && std::strstr(missing, library_names[static_cast<int>(library)]);
}

std::atomic<bool> *missing() {
    static std::atomic<bool> all[] = {{is_missing_at_first(Library::cudnn)}, {is_missing_at_first(Library::cublas)}};
    return all;
}

// So that the linker takes them into the program.
[[maybe_unused]] const void *const linked[] = {reinterpret_cast<const void *>(cudnnCreate),
                                               reinterpret_cast<const void *>(cublasCreate_v2)};

void *open_really(const char *name, int flags) {
    using Open = void *(*)(const char *, int);
    static const Open real = reinterpret_cast<Open>(dlsym(RTLD_NEXT, "dlopen"));
    return real(name, flags);
}

} // namespace

bool is_missing(Library library) { return missing()[static_cast<int>(library)]; }
void set_missing(Library library, bool is) { missing()[static_cast<int>(library)] = is; }

} // namespace cuda_host

// In place of the C library's, for the whole program.
extern "C" __attribute__((visibility("default"))) void *dlopen(const char *name, int flags) noexcept {
    for (const cuda_host::Library library : {cuda_host::Library::cudnn, cuda_host::Library::cublas}) {
        const std::string file = std::string("lib") + cuda_host::library_names[static_cast<int>(library)] + ".so";
        if (!name || !std::strstr(name, file.c_str())) continue;
        if (cuda_host::is_missing(library)) return cuda_host::open_really((std::string(name) + " (missing)").c_str(), flags);
        return cuda_host::open_really(nullptr, flags);
    }
    return cuda_host::open_really(name, flags);
}
