// JPEG by libjpeg. As in image_png.cpp, every call that can longjmp sits in a step without objects of its own.
#include <cstdio>
// jpeglib.h needs FILE and size_t declared before it.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <stdexcept>

#include "image.hpp"

namespace cli {
namespace {

struct Reader {
    jpeg_decompress_struct jpeg{};
    jpeg_error_mgr errors{};
    std::FILE *file = nullptr;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX] = "";
    std::vector<unsigned char> bytes; // whole rows

    ~Reader() { jpeg_destroy_decompress(&jpeg); }
};

[[noreturn]] void on_error(j_common_ptr common) {
    auto *reader = static_cast<Reader *>(common->client_data);
    common->err->format_message(common, reader->message);
    std::longjmp(reader->escape, 1);
}

// libjpeg fills in grey where data is missing or damaged, and only warns: for a measurement that is an error. Some bytes between
// markers, and headers of another dialect, harm no pixel.
void on_message(j_common_ptr common, int level) {
    const int code = common->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR) on_error(common);
}

void read_header(Reader &reader) {
    jpeg_create_decompress(&reader.jpeg);
    reader.jpeg.client_data = &reader; // jpeg_create_decompress keeps err and client_data
    jpeg_stdio_src(&reader.jpeg, reader.file);
    jpeg_read_header(&reader.jpeg, TRUE);
}

void read_pixels(Reader &reader) {
    jpeg_decompress_struct &jpeg = reader.jpeg;
    jpeg_start_decompress(&jpeg);
    const size_t pitch = size_t(jpeg.output_width) * size_t(jpeg.output_components);
    while (jpeg.output_scanline < jpeg.output_height) {
        unsigned char *row = &reader.bytes[jpeg.output_scanline * pitch];
        jpeg_read_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_decompress(&jpeg);
}

void run(Reader &reader, void (*step)(Reader &)) {
    if (setjmp(reader.escape) == 0)
        step(reader);
    else
        throw std::runtime_error(std::string("damaged or truncated JPEG: ") + reader.message);
}

} // namespace

Decoded read_jpeg(std::FILE *file) {
    Reader reader;
    reader.file = file;
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.jpeg.client_data = &reader;
    reader.errors.error_exit = on_error;
    reader.errors.emit_message = on_message;
    run(reader, read_header);

    jpeg_decompress_struct &jpeg = reader.jpeg;
    if (jpeg.num_components != 1 && jpeg.num_components != 3)
        throw std::runtime_error("a JPEG of " + std::to_string(jpeg.num_components) +
                                 " components (CMYK?); only grey and RGB can be read");
    check_size(jpeg.image_width, jpeg.image_height, jpeg.num_components);
    jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg.dct_method = JDCT_ISLOW; // the accurate one, the same on every machine

    Image image(jpeg.image_width, jpeg.image_height, jpeg.num_components);
    reader.bytes.resize(image.pixels.size());
    run(reader, read_pixels);
    convert_samples(reader.bytes.data(), 1, image.pixels.size(), image.pixels.data());
    return {std::move(image)};
}

} // namespace cli
