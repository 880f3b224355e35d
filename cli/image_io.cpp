// Where an image comes from, which format it has, and what the three readers share.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "image.hpp"

namespace cli {

namespace {
std::string channel_count(int64_t channels) { return std::to_string(channels) + (channels == 1 ? " channel" : " channels"); }
} // namespace

std::string Image::shape(int64_t width, int64_t height, int64_t channels) {
    return std::to_string(width) + " x " + std::to_string(height) + ", " + channel_count(channels);
}

void check_size(int64_t width, int64_t height, int64_t channels) {
    std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels, " + channel_count(channels);
    if (width < 1 || height < 1 || channels < 1) throw std::runtime_error("the image is empty: " + size);
    if (width > max_side || height > max_side || width * height > max_pixels || channels > max_samples / (width * height))
        throw std::runtime_error("the image is too large: " + size + " (at most 65536 on a side, 2^28 pixels, 2^30 samples)");
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

using File = std::unique_ptr<std::FILE, CloseFile>;
constexpr size_t head_bytes = 8;

[[noreturn]] void fail_by_errno() { throw std::runtime_error(std::strerror(errno)); }

File open_input(const std::string &path) {
    File file(path == standard_input ? fdopen(dup(STDIN_FILENO), "rb") : std::fopen(path.c_str(), "rb"));
    if (!file) fail_by_errno();
    struct stat status;
    if (fstat(fileno(file.get()), &status) == 0 && S_ISDIR(status.st_mode)) throw std::runtime_error("is a directory");
    if (path == standard_input && isatty(STDIN_FILENO))
        throw std::runtime_error("is a terminal; pipe or redirect an image into it");
    return file;
}

// All of a stream whose head has been read, in a file of its own.
File in_memory(std::FILE *stream, const unsigned char *head, size_t count) {
    const size_t most = size_t(max_samples) * sizeof(double); // of the largest image, as it is
    const int memory = memfd_create("image", MFD_CLOEXEC);
    File file(memory < 0 ? nullptr : fdopen(memory, "w+b"));
    if (!file) fail_by_errno();
    std::vector<unsigned char> bytes(head, head + count);
    for (size_t total = 0; count > 0; count = std::fread(bytes.data(), 1, bytes.size(), stream)) {
        total += count;
        if (total > most) throw std::runtime_error("the stream is too long for an image");
        if (std::fwrite(bytes.data(), 1, count, file.get()) != count) fail_by_errno();
        bytes.resize(1 << 16);
    }
    if (std::ferror(stream) || std::fflush(file.get()) != 0) fail_by_errno();
    return file;
}

using Reader = Decoded (*)(std::FILE *);
Reader reader_of(const unsigned char *head, size_t count) {
    if (starts_with(head, count, "\x89PNG\r\n\x1a\n", 8)) return read_png;
    if (starts_with(head, count, "\xff\xd8\xff", 3)) return read_jpeg;
    for (const char *magic : {"II*\0", "MM\0*", "II+\0", "MM\0+"})
        if (starts_with(head, count, magic, 4)) return read_tiff;
    throw std::runtime_error("is not a PNG, JPEG or TIFF image");
}

Decoded read_any(const std::string &path) {
    File file = open_input(path);
    unsigned char head[head_bytes];
    const size_t count = std::fread(head, 1, sizeof head, file.get());
    if (count == 0 && std::ferror(file.get())) fail_by_errno();
    if (count == 0) throw std::runtime_error("the file is empty");
    const Reader read = reader_of(head, count);
    // Of standard input some may have been read before: its beginning is where it stands.
    if (path == standard_input || std::fseek(file.get(), 0, SEEK_SET) != 0) file = in_memory(file.get(), head, count);
    std::rewind(file.get());
    return read(file.get());
}

} // namespace

std::string display_name(const std::string &path) { return path == standard_input ? "standard input" : path; }

Image read_image(const std::string &path, const Alpha &alpha) {
    try {
        Decoded decoded = read_any(path);
        return decoded.alpha ? flatten(decoded, alpha) : std::move(decoded.image);
    } catch (const std::bad_alloc &) {
        throw std::runtime_error(display_name(path) + ": not enough memory for this image");
    } catch (const std::runtime_error &error) {
        throw std::runtime_error(display_name(path) + ": " + error.what());
    }
}

} // namespace cli
