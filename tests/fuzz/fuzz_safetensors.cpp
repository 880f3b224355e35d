// libFuzzer's target for the reader of safetensors files (scripts/fuzz.sh). Whatever the bytes are, the reader refuses them with a
// message, or every tensor lies within them, one after another, and can be read.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "network/safetensors.h"

namespace {

void require(bool condition) {
    if (!condition) abort();
}

size_t elements(const pxli_stored *stored) {
    size_t count = 1;
    for (int i = 0; i < stored->ndim; i++) count *= static_cast<size_t>(stored->size[i]);
    return count;
}

void read(const uint8_t *data, size_t bytes) {
    pxli_tensors *tensors = nullptr;
    const pxl_status status = pxli_tensors_open_memory(data, bytes, &tensors);
    require((status == PXL_OK) == (tensors != nullptr));
    if (status != PXL_OK) {
        require(status == PXL_IO_ERROR && *pxl_error_message());
        return;
    }
    const uint8_t *end = data + bytes;
    for (size_t i = pxli_tensors_count(tensors); i-- > 0;) {
        const pxli_stored *stored = pxli_tensors_at(tensors, i);
        const uint8_t *from = static_cast<const uint8_t *>(stored->data);
        require(from >= data + 8 && from + stored->bytes == end);
        end = from;
        require(pxli_tensors_find(tensors, stored->name) == stored);
        const bool single = !std::strcmp(stored->dtype, "F32"), half = !std::strcmp(stored->dtype, "F16");
        const bool floats = single || half || !std::strcmp(stored->dtype, "BF16");
        if (floats) require(elements(stored) * (single ? 4 : 2) == stored->bytes);
        std::vector<float> values(floats ? elements(stored) : 0); // as many as the shape says: the sanitizer sees one too many
        require((pxli_stored_to_floats(stored, values.data()) == PXL_OK) == floats);
    }
    pxli_tensors_close(tensors);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    read(data, bytes);
    // An insertion makes the length wrong and hides the header from all later ones: so again with one that fits, up to the last brace.
    std::string mended(reinterpret_cast<const char *>(data), bytes);
    const size_t brace = mended.rfind('}');
    if (brace == std::string::npos || brace < 8) return 0;
    for (int i = 0; i < 8; i++) mended[i] = static_cast<char>(static_cast<uint64_t>(brace - 7) >> 8 * i);
    const std::vector<uint8_t> exact(mended.begin(), mended.end());
    read(exact.data(), exact.size());
    return 0;
}
