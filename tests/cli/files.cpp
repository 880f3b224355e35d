#include "files.hpp"

#include <png.h>
#include <tiffio.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
// jpeglib.h needs FILE and size_t declared before it.
#include <jpeglib.h>

#include "program.hpp"

namespace {

struct CloseFile {
    void operator()(std::FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open(const std::string &path, const char *mode) {
    File file(std::fopen(path.c_str(), mode));
    if (!file) throw std::runtime_error(path + ": cannot be opened");
    return file;
}

} // namespace

Samples picture(int width, int height, int channels, int bits, unsigned seed) {
    Samples samples{width, height, channels, std::vector<uint16_t>(size_t(width * height * channels))};
    const double most = bits == 8 ? 255 : 65535;
    uint32_t state = seed * 2654435761u + 12345u;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                state = state * 1664525u + 1013904223u;
                const double wave = 0.5 + 0.3 * std::sin(0.21 * x + c) * std::cos(0.17 * y - c),
                             texture = 0.1 * (state >> 8) / 16777216.0;
                samples.at(x, y, c) = uint16_t(std::lround(most * (wave + texture)));
            }
    return samples;
}

Samples with_alpha(const Samples &image, uint16_t alpha) {
    Samples out{image.width, image.height, image.channels + 1, {}};
    for (size_t i = 0; i < image.values.size(); i++) {
        out.values.push_back(image.values[i]);
        if ((i + 1) % size_t(image.channels) == 0) out.values.push_back(alpha);
    }
    return out;
}

void write_png(const std::string &path, const Samples &samples, int bits, bool interlaced) {
    const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    const File file = open(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file.get());
    png_set_IHDR(png, info, png_uint_32(samples.width), png_uint_32(samples.height), bits, types[samples.channels],
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    const size_t count = size_t(samples.width * samples.channels), pitch = count * size_t(bits / 8);
    std::vector<png_byte> bytes(pitch * size_t(samples.height));
    std::vector<png_bytep> rows;
    for (size_t y = 0; y < size_t(samples.height); y++) {
        rows.push_back(&bytes[y * pitch]);
        for (size_t i = 0; i < count; i++) {
            const uint16_t value = samples.values[y * count + i];
            if (bits == 8)
                rows[y][i] = png_byte(value);
            else
                rows[y][2 * i] = png_byte(value >> 8), rows[y][2 * i + 1] = png_byte(value & 255); // PNG is big-endian
        }
    }
    png_write_image(png, rows.data());
    png_write_end(png, nullptr);
    png_destroy_write_struct(&png, &info);
}

namespace {

// Rows of single values, packed; `describe` adds what belongs to the colour type.
template <class Describe>
void write_packed_png(const std::string &path, int width, int height, const std::vector<uint8_t> &values, int bits, int type,
                      const Describe &describe) {
    const File file = open(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file.get());
    png_set_IHDR(png, info, png_uint_32(width), png_uint_32(height), bits, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    describe(png, info);
    png_write_info(png, info);
    png_set_packing(png);
    for (int y = 0; y < height; y++) png_write_row(png, const_cast<png_bytep>(&values[size_t(y * width)]));
    png_write_end(png, nullptr);
    png_destroy_write_struct(&png, &info);
}

} // namespace

void write_palette_png(const std::string &path, int width, int height, const std::vector<uint8_t> &indices,
                       const std::vector<uint8_t> &palette, int bits, const std::vector<uint8_t> &alpha) {
    std::vector<png_color> colours;
    for (size_t i = 0; i + 2 < palette.size(); i += 3) colours.push_back({palette[i], palette[i + 1], palette[i + 2]});
    write_packed_png(path, width, height, indices, bits, PNG_COLOR_TYPE_PALETTE, [&](png_structp png, png_infop info) {
        png_set_PLTE(png, info, colours.data(), int(colours.size()));
        if (!alpha.empty()) png_set_tRNS(png, info, alpha.data(), int(alpha.size()), nullptr);
    });
}

void write_grey_png(const std::string &path, int width, int height, const std::vector<uint8_t> &values, int bits,
                    int transparent) {
    png_color_16 value{};
    value.gray = png_uint_16(transparent);
    write_packed_png(path, width, height, values, bits, PNG_COLOR_TYPE_GRAY, [&](png_structp png, png_infop info) {
        if (transparent >= 0) png_set_tRNS(png, info, nullptr, 0, &value);
    });
}

namespace {
void write_jpeg_bytes(const std::string &path, int width, int height, int channels, J_COLOR_SPACE space, int quality,
                      bool progressive, std::vector<unsigned char> bytes) {
    const File file = open(path, "wb");
    jpeg_error_mgr errors;
    jpeg_compress_struct jpeg;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file.get());
    jpeg.image_width = JDIMENSION(width);
    jpeg.image_height = JDIMENSION(height);
    jpeg.input_components = channels;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        unsigned char *row = &bytes[size_t(jpeg.next_scanline) * size_t(width * channels)];
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
}
} // namespace

void write_jpeg(const std::string &path, const Samples &samples, int quality, bool progressive) {
    std::vector<unsigned char> bytes(samples.values.begin(), samples.values.end());
    write_jpeg_bytes(path, samples.width, samples.height, samples.channels, samples.channels == 1 ? JCS_GRAYSCALE : JCS_RGB,
                     quality, progressive, std::move(bytes));
}

void write_cmyk_jpeg(const std::string &path, int width, int height) {
    write_jpeg_bytes(path, width, height, 4, JCS_CMYK, 90, false, std::vector<unsigned char>(size_t(width * height * 4), 100));
}

namespace {

std::vector<unsigned char> encode(const std::vector<uint16_t> &values, int bits) {
    std::vector<unsigned char> bytes(values.size() * size_t(bits / 8));
    for (size_t i = 0; i < values.size(); i++) {
        const uint8_t small = uint8_t(values[i]);
        const float real = float(values[i]) / 255.0f;
        const void *from = bits == 8    ? static_cast<const void *>(&small)
                           : bits == 16 ? static_cast<const void *>(&values[i])
                                        : &real;
        std::memcpy(&bytes[i * size_t(bits / 8)], from, size_t(bits / 8));
    }
    return bytes;
}

// The samples of channels [first, first + channels) in the rectangle, which may reach beyond the image.
std::vector<uint16_t> block(const Samples &samples, int x0, int y0, int width, int height, int first, int channels) {
    std::vector<uint16_t> out;
    for (int y = y0; y < y0 + height; y++)
        for (int x = x0; x < x0 + width; x++)
            for (int c = first; c < first + channels; c++) {
                const bool inside = x < samples.width && y < samples.height;
                out.push_back(inside ? samples.values[size_t((y * samples.width + x) * samples.channels + c)] : uint16_t(7));
            }
    return out;
}

void write_blocks(TIFF *tiff, const Samples &samples, const TiffOptions &options, int first, int channels) {
    const int width = options.tiles ? 32 : samples.width, height = options.tiles ? 16 : options.rows_per_strip;
    for (int y = 0; y < samples.height; y += height)
        for (int x = 0; x < samples.width; x += width) {
            const int rows = options.tiles ? height : std::min(height, samples.height - y);
            std::vector<unsigned char> bytes = encode(block(samples, x, y, width, rows, first, channels), options.bits);
            if (options.tiles)
                TIFFWriteEncodedTile(tiff, TIFFComputeTile(tiff, uint32_t(x), uint32_t(y), 0, uint16_t(first)), bytes.data(),
                                     tmsize_t(bytes.size()));
            else
                TIFFWriteEncodedStrip(tiff, TIFFComputeStrip(tiff, uint32_t(y), uint16_t(first)), bytes.data(),
                                      tmsize_t(bytes.size()));
        }
}

} // namespace

void write_tiff(const std::string &path, const Samples &samples, const TiffOptions &options) {
    TIFF *tiff = TIFFOpen(path.c_str(), options.big_endian ? "wb" : "wl");
    if (!tiff) throw std::runtime_error(path + ": cannot be written");
    const int colours = samples.channels - int(options.alpha);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, samples.width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, samples.height);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, samples.channels);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, options.bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, options.bits == 32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, colours == 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, options.planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, options.deflate ? COMPRESSION_ADOBE_DEFLATE : COMPRESSION_NONE);
    const uint16_t alpha = options.premultiplied ? EXTRASAMPLE_ASSOCALPHA : EXTRASAMPLE_UNASSALPHA;
    if (options.alpha) TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &alpha);
    if (options.tiles) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, 32);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, 16);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, options.rows_per_strip);
    }
    for (int c = 0; c < (options.planes ? samples.channels : 1); c++)
        write_blocks(tiff, samples, options, c, options.planes ? 1 : samples.channels);
    TIFFClose(tiff);
}

void write_float_tiff(const std::string &path, int width, int height, const std::vector<float> &values) {
    const std::string bytes(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
    write_raw_tiff(path, {width, height, 32, SAMPLEFORMAT_IEEEFP, PHOTOMETRIC_MINISBLACK, bytes});
}

void write_raw_tiff(const std::string &path, const RawTiff &image) {
    TIFF *tiff = TIFFOpen(path.c_str(), image.big_endian ? "wb" : "wl");
    if (!tiff) throw std::runtime_error(path + ": cannot be written");
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, image.width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, image.height);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, image.bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, image.format);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, image.photometric);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, image.height);
    std::vector<uint16_t> colours(256);
    if (image.photometric == PHOTOMETRIC_PALETTE)
        TIFFSetField(tiff, TIFFTAG_COLORMAP, colours.data(), colours.data(), colours.data());
    std::string bytes = image.bytes; // libtiff swaps in place
    TIFFWriteEncodedStrip(tiff, 0, bytes.data(), tmsize_t(bytes.size()));
    TIFFClose(tiff);
}

void write_safetensors(const std::string &path, const std::vector<Weights> &tensors) {
    std::string data;
    nlohmann::ordered_json header;
    for (const Weights &tensor : tensors) {
        const size_t begin = data.size(), bytes = tensor.values.size() * sizeof(float);
        header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + bytes}}};
        data.append(reinterpret_cast<const char *>(tensor.values.data()), bytes);
    }
    const std::string text = header.dump();
    std::string length(8, 0);
    for (size_t i = 0; i < 8; i++) length[i] = char(text.size() >> 8 * i);
    write_file(path, length + text + data);
}

PngSize decode_png(const std::string &path) {
    png_image image;
    std::memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(&image, path.c_str())) throw std::runtime_error(path + ": " + image.message);
    image.format = PNG_FORMAT_RGB;
    std::vector<png_byte> pixels(PNG_IMAGE_SIZE(image));
    if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) throw std::runtime_error(path + ": " + image.message);
    return {int(image.width), int(image.height)};
}
