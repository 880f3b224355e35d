// PNG by libpng. Its errors come by longjmp, which runs no destructor: so every call that can fail sits in a step without
// objects of its own, and what the steps need lives in the Reader, outside the jump.
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <stdexcept>

#include "image.hpp"

namespace cli {
namespace {

struct Reader {
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::FILE *file = nullptr;
    char message[256] = "";
    png_uint_32 width = 0, height = 0;
    int depth = 0, channels = 0;
    bool alpha = false;
    std::vector<unsigned char> bytes;
    std::vector<png_bytep> rows;

    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
    auto *reader = static_cast<Reader *>(png_get_error_ptr(png));
    std::snprintf(reader->message, sizeof reader->message, "%s", message);
    png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {} // about metadata; what damages pixels is an error

void read_header(Reader &reader) {
    png_structp png = reader.png;
    png_init_io(png, reader.file);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff); // check_size has the limit, and the better message
    png_read_info(png, reader.info);
    reader.width = png_get_image_width(png, reader.info);
    reader.height = png_get_image_height(png, reader.info);
    reader.channels = png_get_channels(png, reader.info);
}

// After check_size: libpng makes room for rows here, of any width.
void choose_samples(Reader &reader) {
    png_structp png = reader.png;
    png_set_expand(png); // palette to RGB, 1, 2 and 4 bits to 8, a transparent colour to an alpha channel
    const uint16_t one = 1;
    if (*reinterpret_cast<const unsigned char *>(&one) == 1) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader.info);
    reader.depth = png_get_bit_depth(png, reader.info);
    reader.channels = png_get_channels(png, reader.info);
    reader.alpha = (png_get_color_type(png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0;
}

void read_pixels(Reader &reader) {
    png_read_image(reader.png, reader.rows.data());
    png_read_end(reader.png, nullptr); // a file cut off behind the last row is damaged, too
}

void run(Reader &reader, void (*step)(Reader &)) {
    if (setjmp(png_jmpbuf(reader.png)) == 0)
        step(reader);
    else
        throw std::runtime_error(std::string("damaged or truncated PNG: ") + reader.message);
}

} // namespace

Decoded read_png(std::FILE *file) {
    Reader reader;
    reader.file = file;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : nullptr;
    if (!reader.info) throw std::bad_alloc();
    run(reader, read_header);
    check_size(reader.width, reader.height, reader.channels);
    run(reader, choose_samples);
    check_size(reader.width, reader.height, reader.channels);

    const size_t pitch = size_t(reader.width) * size_t(reader.channels) * size_t(reader.depth / 8);
    reader.bytes.resize(pitch * reader.height);
    for (size_t y = 0; y < reader.height; y++) reader.rows.push_back(&reader.bytes[y * pitch]);
    run(reader, read_pixels);

    Image image(reader.width, reader.height, reader.channels);
    convert_samples(reader.bytes.data(), reader.depth / 8, image.pixels.size(), image.pixels.data());
    return {std::move(image), reader.alpha};
}

} // namespace cli
