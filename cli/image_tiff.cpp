// TIFF by libtiff: the first page, in strips or tiles, samples interleaved or in planes of their own.
#include <tiffio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "element.hpp"
#include "image.hpp"

namespace cli {
namespace {

struct CloseTiff {
    void operator()(TIFF *tiff) const { TIFFClose(tiff); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

// libtiff's handlers are the process's; the first message is the cause, those behind it are its consequences.
std::string first_error;
void on_error(const char *, const char *format, va_list arguments) {
    char text[256];
    std::vsnprintf(text, sizeof text, format, arguments);
    if (first_error.empty()) first_error = text;
}

[[noreturn]] void fail() {
    throw std::runtime_error("damaged or truncated TIFF: " + (first_error.empty() ? "data is missing" : first_error));
}

struct Header {
    uint32_t width = 0, height = 0;
    uint16_t samples = 1, bits = 1, format = SAMPLEFORMAT_UINT, planar = PLANARCONFIG_CONTIG, photometric = 0;
    bool alpha = false, premultiplied = false;
    size_t sample_bytes() const { return bits / 8u; }
};

// By name, as `tiffinfo` has them.
std::string photometric_name(uint16_t photometric) {
    switch (photometric) {
        case PHOTOMETRIC_MINISWHITE: return "grey where white is 0";
        case PHOTOMETRIC_PALETTE: return "a palette";
        case PHOTOMETRIC_SEPARATED: return "CMYK";
        case PHOTOMETRIC_YCBCR: return "YCbCr";
        case PHOTOMETRIC_CIELAB:
        case PHOTOMETRIC_ICCLAB: return "Lab";
        default: return "photometric interpretation " + std::to_string(photometric);
    }
}

std::string format_name(uint16_t format) {
    switch (format) {
        case SAMPLEFORMAT_UINT: return "unsigned";
        case SAMPLEFORMAT_INT: return "signed";
        case SAMPLEFORMAT_IEEEFP: return "floating-point";
        default: return "other";
    }
}

void check_format(const Header &header) {
    if (header.photometric != PHOTOMETRIC_MINISBLACK && header.photometric != PHOTOMETRIC_RGB)
        throw std::runtime_error("a TIFF of " + photometric_name(header.photometric) +
                                 "; only grey (black is 0) and RGB can be read");
    const bool integer = header.format == SAMPLEFORMAT_UINT && (header.bits == 8 || header.bits == 16);
    const bool real = header.format == SAMPLEFORMAT_IEEEFP && (header.bits == 16 || header.bits == 32 || header.bits == 64);
    if (!integer && !real)
        throw std::runtime_error("a TIFF of " + format_name(header.format) + " " + std::to_string(header.bits) +
                                 "-bit samples; only unsigned 8 and 16 bit and 16-, 32- and 64-bit floating point can be read");
}

Header read_header(TIFF *tiff) {
    Header header;
    uint16_t compression = COMPRESSION_NONE, extras = 0, *kinds = nullptr;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &header.width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &header.height))
        fail();
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &header.samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &header.bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &header.format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &header.planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &header.photometric)) header.photometric = PHOTOMETRIC_MINISBLACK;
    if (compression == COMPRESSION_JPEG && header.photometric == PHOTOMETRIC_YCBCR) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); // libtiff converts
        header.photometric = PHOTOMETRIC_RGB;
    }
    TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &extras, &kinds);
    // An alpha channel stands last where there is one; other extra samples are channels like any other.
    header.alpha = header.samples > 1 && extras > 0 && kinds[extras - 1] != EXTRASAMPLE_UNSPECIFIED;
    header.premultiplied = header.alpha && kinds[extras - 1] == EXTRASAMPLE_ASSOCALPHA;
    check_size(header.width, header.height, header.samples);
    check_format(header);
    return header;
}

// Where a block of decoded samples goes: `channels` of them from channel `first`, at (x, y).
struct Block {
    int64_t x, y, width, height, first, channels;
};

// libtiff gives them in the machine's order.
void convert(const Header &header, const unsigned char *samples, size_t count, float *out) {
    const int bytes = int(header.sample_bytes());
    if (header.format != SAMPLEFORMAT_IEEEFP) return convert_samples(samples, bytes, count, out);
    const pxl_dtype dtype = bytes == 2 ? PXL_F16 : bytes == 4 ? PXL_F32 : PXL_F64;
    for (size_t i = 0; i < count; i++) out[i] = float(load_element(dtype, samples + i * size_t(bytes)));
}

// The block's rows are `pitch` samples apart; what lies beyond the image's edge (a tile's padding) is dropped.
void store(const Header &header, const unsigned char *bytes, int64_t pitch, const Block &block, Image &image) {
    const int64_t columns = std::min(block.width, image.width - block.x), rows = std::min(block.height, image.height - block.y);
    std::vector<float> row(size_t(columns * block.channels));
    for (int64_t y = 0; y < rows; y++) {
        const unsigned char *in = bytes + size_t(y * pitch) * header.sample_bytes();
        convert(header, in, row.size(), row.data());
        float *out = &image.pixels[size_t(((block.y + y) * image.width + block.x) * image.channels + block.first)];
        for (int64_t x = 0; x < columns; x++)
            std::copy_n(&row[size_t(x * block.channels)], block.channels, out + x * image.channels);
    }
}

void read_strips(TIFF *tiff, const Header &header, int64_t first, int64_t channels, Image &image) {
    uint32_t rows = header.height;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    rows = std::clamp(rows, uint32_t(1), header.height);
    std::vector<unsigned char> bytes(size_t(rows) * header.width * size_t(channels) * header.sample_bytes());
    for (uint32_t y = 0; y < header.height; y += rows) {
        const uint32_t count = std::min(rows, header.height - y);
        const size_t wanted = size_t(count) * header.width * size_t(channels) * header.sample_bytes();
        const uint32_t strip = TIFFComputeStrip(tiff, y, uint16_t(first));
        if (TIFFReadEncodedStrip(tiff, strip, bytes.data(), tmsize_t(wanted)) != tmsize_t(wanted)) fail();
        store(header, bytes.data(), int64_t(header.width) * channels, {0, y, header.width, count, first, channels}, image);
    }
}

void read_tiles(TIFF *tiff, const Header &header, int64_t first, int64_t channels, Image &image) {
    uint32_t width = 0, height = 0;
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &height);
    check_size(width, height, channels);
    std::vector<unsigned char> bytes(size_t(width) * height * size_t(channels) * header.sample_bytes());
    if (TIFFTileSize64(tiff) != bytes.size()) fail();
    for (uint32_t y = 0; y < header.height; y += height)
        for (uint32_t x = 0; x < header.width; x += width) {
            const uint32_t tile = TIFFComputeTile(tiff, x, y, 0, uint16_t(first));
            if (TIFFReadEncodedTile(tiff, tile, bytes.data(), tmsize_t(bytes.size())) != tmsize_t(bytes.size())) fail();
            store(header, bytes.data(), int64_t(width) * channels, {x, y, width, height, first, channels}, image);
        }
}

} // namespace

Decoded read_tiff(std::FILE *file) {
    TIFFSetErrorHandler(on_error);
    TIFFSetWarningHandler(nullptr); // unknown tags
    first_error.clear();
    const int own = dup(fileno(file)); // TIFFClose closes it
    if (own < 0) throw std::runtime_error(std::strerror(errno));
    Tiff tiff(TIFFFdOpen(own, "", "r"));
    if (!tiff) close(own), fail();
    const Header header = read_header(tiff.get());
    Image image(header.width, header.height, header.samples);
    const auto read = TIFFIsTiled(tiff.get()) ? read_tiles : read_strips;
    if (header.planar == PLANARCONFIG_SEPARATE)
        for (int64_t c = 0; c < header.samples; c++) read(tiff.get(), header, c, 1, image);
    else
        read(tiff.get(), header, 0, header.samples, image);
    return {std::move(image), header.alpha, header.premultiplied};
}

} // namespace cli
