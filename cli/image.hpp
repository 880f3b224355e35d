// Images as the library wants them: 32-bit floating point, interleaved as in the file, so that an NHWC view needs no copy.
#pragma once
#include <pixloss/pixloss.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "alpha.hpp"

namespace cli {

// A file that claims more is refused before anything is allocated for it.
constexpr int64_t max_side = 65536;
constexpr int64_t max_pixels = int64_t(1) << 28;
constexpr int64_t max_samples = int64_t(1) << 30;

struct Image {
    int64_t width = 0, height = 0, channels = 0;
    std::vector<float> pixels; // pixels[(y * width + x) * channels + c]

    Image() = default;
    Image(int64_t w, int64_t h, int64_t c) : width(w), height(h), channels(c), pixels(size_t(w * h * c)) {}
    pxl_tensor view() const {
        // The C API has one view type for inputs and outputs; inputs are not written to.
        return pxl_nhwc(const_cast<float *>(pixels.data()), PXL_F32, PXL_CPU_DEVICE, 1, channels, height, width);
    }
    std::string shape() const { return shape(width, height, channels); } // "600 x 400, 3 channels"
    static std::string shape(int64_t width, int64_t height, int64_t channels);
};

// PNG (8 and 16 bit), JPEG, or TIFF (8- and 16-bit integers, 16-, 32- and 64-bit floating point; the first page): told apart by
// their first bytes. Integers are divided by their maximum, floating point is taken as it is. "-" is standard input, which is read
// into memory, as all that cannot be read twice is. What to do with transparency, `alpha` says. Throws with the file's name and the
// reason.
Image read_image(const std::string &path, const Alpha &alpha);
constexpr char standard_input[] = "-";
// As messages and tables have it.
std::string display_name(const std::string &path);

// What a reader of one format found.
struct Decoded {
    Image image; // the last channel is alpha, if there is one
    bool alpha = false, premultiplied = false;
};
// Throw what is wrong, without a name. All read from the beginning of a file that can be read twice.
Decoded read_png(std::FILE *file);
Decoded read_jpeg(std::FILE *file);
Decoded read_tiff(std::FILE *file);

// For the readers: throws unless the size is within the limits.
void check_size(int64_t width, int64_t height, int64_t channels);
// Integer samples, 1 or 2 bytes each in the machine's order, to [0, 1].
void convert_samples(const unsigned char *samples, int bytes_each, size_t count, float *out);

} // namespace cli
