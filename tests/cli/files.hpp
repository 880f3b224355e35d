// Image files of every kind the program reads, made with the formats' own libraries.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

// Interleaved samples, 0 to 255 (8 bit) or 0 to 65535 (16 bit).
struct Samples {
    int width, height, channels;
    std::vector<uint16_t> values;
    uint16_t &at(int x, int y, int c) { return values[size_t((y * width + x) * channels + c)]; }
};
// A smooth picture with some texture, the same on every call; `bits` 8 or 16; `seed` moves the texture.
Samples picture(int width, int height, int channels, int bits = 8, unsigned seed = 1);

// With a channel more, the same everywhere.
Samples with_alpha(const Samples &image, uint16_t alpha);

// 1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha.
void write_png(const std::string &path, const Samples &samples, int bits = 8, bool interlaced = false);
// Indices of 8 bits or fewer into a palette of 3 bytes a colour; `alpha`: of the first colours, the others are opaque.
void write_palette_png(const std::string &path, int width, int height, const std::vector<uint8_t> &indices,
                       const std::vector<uint8_t> &palette, int bits, const std::vector<uint8_t> &alpha = {});
// Grey of 8 bits or fewer, one value of which may be transparent.
void write_grey_png(const std::string &path, int width, int height, const std::vector<uint8_t> &values, int bits,
                    int transparent = -1);
void write_jpeg(const std::string &path, const Samples &samples, int quality, bool progressive = false);
void write_cmyk_jpeg(const std::string &path, int width, int height);

struct TiffOptions {
    int bits = 8; // 8, 16: integers; 32: floating point, values / (8-bit: 255, else 65535)
    bool tiles = false, planes = false, big_endian = false, deflate = false;
    int rows_per_strip = 5;
    bool alpha = false, premultiplied = false; // the last channel
};
void write_tiff(const std::string &path, const Samples &samples, const TiffOptions &options);
// One channel of floats as they are.
void write_float_tiff(const std::string &path, int width, int height, const std::vector<float> &values);
// One channel of any type, in the bytes of this machine.
struct RawTiff {
    int width, height, bits, format, photometric;
    std::string bytes;
    bool big_endian = false;
};
void write_raw_tiff(const std::string &path, const RawTiff &image);

// A network's weights: a safetensors file of f32 tensors.
struct Weights {
    std::string name;
    std::vector<int> shape;
    std::vector<float> values;
};
void write_safetensors(const std::string &path, const std::vector<Weights> &tensors);

// Throws unless the file is a whole PNG.
struct PngSize {
    int width, height;
};
PngSize decode_png(const std::string &path);
