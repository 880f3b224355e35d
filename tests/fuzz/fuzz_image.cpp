// libFuzzer's target for the program's reading of images (scripts/fuzz.sh): PNG, JPEG, TIFF. Whatever the file is, it is refused with
// a reason, or it is an image of the size that it says. The readers' C++ may take 16 MiB at a time, the C libraries what scripts/fuzz.sh
// lets the sanitizer's allocator give: beyond that there is no memory, which is one of the reasons.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

#include "image.hpp"
#include "require.h"

static bool is_limited = false; // not libFuzzer itself
void *operator new(size_t bytes, const std::nothrow_t &) noexcept {
    constexpr size_t most = size_t(1) << 24;
    return is_limited && bytes > most ? nullptr : std::malloc(bytes ? bytes : 1);
}
void *operator new(size_t bytes) {
    void *const memory = operator new(bytes, std::nothrow);
    if (!memory) throw std::bad_alloc();
    return memory;
}
void *operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory, size_t) noexcept { std::free(memory); }

namespace {

// A file without a disk, which the readers open by its path.
struct File {
    File(const uint8_t *data, size_t bytes) : descriptor(memfd_create("image", 0)) {
        require(descriptor >= 0 && write(descriptor, data, bytes) == static_cast<ssize_t>(bytes));
    }
    ~File() { close(descriptor); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }
    const int descriptor;
};

void require_sound(const cli::Image &image) {
    require(image.width > 0 && image.height > 0 && image.channels > 0);
    require(image.pixels.size() == static_cast<size_t>(image.width * image.height * image.channels));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const File file(data, bytes);
    using Mode = cli::Alpha::Mode;
    static constexpr Mode modes[] = {Mode::refuse, Mode::ignore, Mode::checker, Mode::colour};
    const cli::Alpha alpha{modes[bytes ? data[bytes - 1] % 4 : 0], {0.5f, 0.5f, 0.5f}};
    is_limited = true;
    try {
        require_sound(cli::read_image(file.path(), alpha));
    } catch (const std::runtime_error &error) {
        require(std::string(error.what()).rfind(file.path() + ": ", 0) == 0 && error.what()[file.path().size() + 2]);
    }
    is_limited = false;
    return 0;
}
