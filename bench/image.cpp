#include "image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

namespace {

constexpr int64_t margin = 1; // of the image that a crop is cut from, on every side

size_t element_bytes(pxl_dtype dtype) { return dtype == PXL_F64 ? 8 : dtype == PXL_F32 ? 4 : 2; }
size_t whole_lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

size_t bytes_of(pxl_dtype dtype, Layout layout, int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t around = layout == Layout::crop ? 2 * margin : 0;
    return size_t(n * c * (h + around) * (w + around)) * element_bytes(dtype);
}

pxl_tensor make_view(void *data, pxl_dtype dtype, Layout layout, int64_t n, int64_t c, int64_t h, int64_t w) {
    switch (layout) {
        case Layout::nhwc: return pxl_nhwc(data, dtype, PXL_CPU_DEVICE, n, c, h, w);
        case Layout::crop:
            return pxl_crop(pxl_nchw(data, dtype, PXL_CPU_DEVICE, n, c, h + 2 * margin, w + 2 * margin), margin, margin, h, w);
        case Layout::nchw: break;
    }
    return pxl_nchw(data, dtype, PXL_CPU_DEVICE, n, c, h, w);
}

uint32_t bits_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
float from_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// Of 0 and of positive normal numbers that the type holds exactly: all that an image here is drawn with.
uint16_t f16_bits(float value) { return value == 0 ? 0 : uint16_t((bits_of(value) - ((127u - 15u) << 23)) >> 13); }
uint16_t bf16_bits(float value) { return uint16_t(bits_of(value) >> 16); }

double f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double magnitude = std::ldexp(exponent ? 1024 + fraction : fraction, std::max(exponent, 1) - 25);
    if (exponent == 31) magnitude = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
    return bits & 0x8000 ? -magnitude : magnitude;
}

// splitmix64 by index: every thread draws its own rows.
uint64_t random_bits(int64_t index) {
    uint64_t z = uint64_t(index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
int target_level(uint64_t bits) { return 32 + int(bits % 193); }       // 32 ... 224
int noise_level(uint64_t bits) { return int((bits >> 32) % 33) - 16; } // -16 ... 16

} // namespace

Memory::Memory(size_t bytes) : size_(whole_lines(bytes)), data_(std::aligned_alloc(64, size_)) {
    if (!data_) throw std::bad_alloc();
    constexpr int64_t block = 1 << 16;
#pragma omp parallel for schedule(static)
    for (int64_t at = 0; at < int64_t(size_); at += block)
        std::memset(static_cast<char *>(data_.get()) + at, 0xff, size_t(std::min(block, int64_t(size_) - at)));
}

Image::Image(pxl_dtype dtype, Layout layout, int64_t n, int64_t c, int64_t h, int64_t w)
    : view_(), memory_(bytes_of(dtype, layout, n, c, h, w)) {
    view_ = make_view(memory_.data(), dtype, layout, n, c, h, w);
}

size_t Image::bytes() const {
    const int64_t *size = view_.size;
    return size_t(size[0] * size[1] * size[2] * size[3]) * element_bytes(view_.dtype);
}

double Image::get(int64_t n, int64_t c, int64_t y, int64_t x) const {
    const int64_t *stride = view_.stride, offset = n * stride[0] + c * stride[1] + y * stride[2] + x * stride[3];
    switch (view_.dtype) {
        case PXL_F64: return static_cast<const double *>(view_.data)[offset];
        case PXL_F32: return static_cast<const float *>(view_.data)[offset];
        case PXL_F16: return f16_value(static_cast<const uint16_t *>(view_.data)[offset]);
        default: return from_bits(uint32_t(static_cast<const uint16_t *>(view_.data)[offset]) << 16);
    }
}

void Image::set(int64_t offset, float value) {
    switch (view_.dtype) {
        case PXL_F64: static_cast<double *>(view_.data)[offset] = value; break;
        case PXL_F32: static_cast<float *>(view_.data)[offset] = value; break;
        case PXL_F16: static_cast<uint16_t *>(view_.data)[offset] = f16_bits(value); break;
        default: static_cast<uint16_t *>(view_.data)[offset] = bf16_bits(value); break;
    }
}

template <typename Level>
void Image::draw(Level level) {
    const int64_t *size = view_.size, *stride = view_.stride;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < size[0] * size[1] * size[2]; row++) {
        const int64_t y = row % size[2], c = row / size[2] % size[1], n = row / size[2] / size[1];
        for (int64_t x = 0; x < size[3]; x++) // index n,c,y,x as if dense, whatever the layout
            set(n * stride[0] + c * stride[1] + y * stride[2] + x * stride[3], level(random_bits(row * size[3] + x)) / 256.0f);
    }
}

void Image::draw_target() { draw(target_level); }
void Image::draw_pred() {
    draw([](uint64_t bits) { return target_level(bits) + noise_level(bits); });
}
void Image::clear() {
    draw([](uint64_t) { return 0; });
}
void Image::draw_weights() {
    draw([](uint64_t bits) { return int(bits >> 62) * 64; });
}
