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

// 1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha.
void write_png(const std::string &path, const Samples &samples, int bits = 8, bool interlaced = false);
// 8-bit indices (or fewer bits) into a palette of `colours` x 3 bytes.
void write_palette_png(const std::string &path, int width, int height, const std::vector<uint8_t> &indices,
                       const std::vector<uint8_t> &palette, int bits);
void write_jpeg(const std::string &path, const Samples &samples, int quality, bool progressive = false);
void write_cmyk_jpeg(const std::string &path, int width, int height);

struct TiffOptions {
    int bits = 8; // 8, 16: integers; 32: floating point, values / (8-bit: 255, else 65535)
    bool tiles = false, planes = false, big_endian = false, deflate = false;
    int rows_per_strip = 5;
    bool alpha = false; // the last channel
};
void write_tiff(const std::string &path, const Samples &samples, const TiffOptions &options);
// One channel of floats as they are.
void write_float_tiff(const std::string &path, int width, int height, const std::vector<float> &values);

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
