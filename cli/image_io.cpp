// Which format a file has, and what the three readers share.
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "image.hpp"

namespace cli {

namespace {
std::string channel_count(int64_t channels) { return std::to_string(channels) + (channels == 1 ? " channel" : " channels"); }
} // namespace

std::string Image::shape() const {
    return std::to_string(width) + " x " + std::to_string(height) + ", " + channel_count(channels);
}

void check_size(int64_t width, int64_t height, int64_t channels) {
    std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels, " + channel_count(channels);
    if (width < 1 || height < 1 || channels < 1) throw std::runtime_error("the image is empty: " + size);
    if (width > max_side || height > max_side || width * height > max_pixels || channels > max_samples / (width * height))
        throw std::runtime_error("the image is too large: " + size + " (at most 65536 on a side, 2^28 pixels, 2^30 samples)");
}

Image without_alpha(const Image &image) {
    const int64_t channels = image.channels - 1;
    Image out(image.width, image.height, channels);
    for (int64_t i = 0; i < image.width * image.height; i++) {
        const float *pixel = &image.pixels[size_t(i * image.channels)];
        if (pixel[channels] != 1.0f)
            throw std::runtime_error("pixel (" + std::to_string(i % image.width) + ", " + std::to_string(i / image.width) +
                                     ") is not opaque: an image with transparency cannot be compared; flatten it first");
        std::memcpy(&out.pixels[size_t(i * channels)], pixel, size_t(channels) * sizeof(float));
    }
    return out;
}

void convert_samples(const unsigned char *samples, int bytes_each, size_t count, float *out) {
    // Divided, not multiplied by a rounded reciprocal: the largest value is exactly 1.
    if (bytes_each == 1)
        for (size_t i = 0; i < count; i++) out[i] = float(samples[i]) / 255.0f;
    else
        for (size_t i = 0; i < count; i++) {
            uint16_t value;
            std::memcpy(&value, samples + 2 * i, sizeof value);
            out[i] = float(value) / 65535.0f;
        }
}

namespace {

struct CloseFile {
    void operator()(std::FILE *file) const { std::fclose(file); }
};

bool starts_with(const unsigned char *bytes, size_t count, const char *magic, size_t length) {
    return count >= length && std::memcmp(bytes, magic, length) == 0;
}

Image read_any(const std::string &path) {
    std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
    if (!file) throw std::runtime_error(std::strerror(errno));
    struct stat status;
    if (fstat(fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) throw std::runtime_error("is a directory");
    unsigned char head[8];
    const size_t count = std::fread(head, 1, sizeof head, file.get());
    if (count == 0) throw std::runtime_error(std::ferror(file.get()) ? std::strerror(errno) : "the file is empty");
    if (std::fseek(file.get(), 0, SEEK_SET) != 0) throw std::runtime_error("is not a file that can be read twice");
    if (starts_with(head, count, "\x89PNG\r\n\x1a\n", 8)) return read_png(file.get());
    if (starts_with(head, count, "\xff\xd8\xff", 3)) return read_jpeg(file.get());
    if (starts_with(head, count, "II*\0", 4) || starts_with(head, count, "MM\0*", 4) || starts_with(head, count, "II+\0", 4) ||
        starts_with(head, count, "MM\0+", 4))
        return read_tiff(path);
    throw std::runtime_error("is not a PNG, JPEG or TIFF image");
}

} // namespace

Image read_image(const std::string &path) {
    try {
        return read_any(path);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error(path + ": not enough memory for this image");
    } catch (const std::runtime_error &error) {
        throw std::runtime_error(path + ": " + error.what());
    }
}

} // namespace cli
