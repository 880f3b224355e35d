#include "dtype.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace {

struct Format { // of a 16-bit floating-point number
    int mantissa_bits, exponent_bits;
};
Format format_of(pxl_dtype dtype) { return dtype == PXL_F16 ? Format{10, 5} : Format{7, 8}; }

int lowest_exponent(Format format) { return 2 - (1 << (format.exponent_bits - 1)); }

uint16_t encode16(Format format, double value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const uint16_t infinity = static_cast<uint16_t>(((1 << format.exponent_bits) - 1) << format.mantissa_bits);
    const double size = std::fabs(value);
    if (std::isnan(value)) return static_cast<uint16_t>(sign | infinity | 1 << (format.mantissa_bits - 1));
    if (std::isinf(value)) return sign | infinity;
    if (size == 0) return sign;
    const int lowest = lowest_exponent(format), exponent = std::max(std::ilogb(size), lowest);
    // Units of the last place; rounding up to the next power of two carries into the exponent by itself.
    const auto units = static_cast<int64_t>(std::nearbyint(std::ldexp(size, format.mantissa_bits - exponent)));
    const int64_t bits = (static_cast<int64_t>(exponent - lowest) << format.mantissa_bits) + units;
    return sign | static_cast<uint16_t>(std::min<int64_t>(bits, infinity));
}

double decode16(Format format, uint16_t bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = (bits & 0x7fff) >> format.mantissa_bits, mantissa = bits & ((1 << format.mantissa_bits) - 1);
    if (exponent == (1 << format.exponent_bits) - 1)
        return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
    const int lowest = lowest_exponent(format);
    if (exponent == 0) return sign * std::ldexp(mantissa, lowest - format.mantissa_bits);
    return sign * std::ldexp((1 << format.mantissa_bits) + mantissa, lowest + exponent - 1 - format.mantissa_bits);
}

template <typename T>
void put(T value, void *to) {
    std::memcpy(to, &value, sizeof value);
}
template <typename T>
T take(const void *from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

} // namespace

size_t dtype_bytes(pxl_dtype dtype) {
    switch (dtype) {
        case PXL_F64: return 8;
        case PXL_F32: return 4;
        case PXL_U8: return 1;
        default: return 2;
    }
}

const char *dtype_name(pxl_dtype dtype) {
    static const char *const names[] = {"f32", "f16", "bf16", "f64", "u8", "u16"};
    return names[dtype];
}

void store_element(pxl_dtype dtype, double value, void *to) {
    switch (dtype) {
        case PXL_F64: return put(value, to);
        case PXL_F32: return put(static_cast<float>(value), to);
        case PXL_U8: return put(static_cast<uint8_t>(value), to);
        case PXL_U16: return put(static_cast<uint16_t>(value), to);
        default: return put(encode16(format_of(dtype), value), to);
    }
}

double load_element(pxl_dtype dtype, const void *from) {
    switch (dtype) {
        case PXL_F64: return take<double>(from);
        case PXL_F32: return take<float>(from);
        case PXL_U8: return take<uint8_t>(from);
        case PXL_U16: return take<uint16_t>(from);
        default: return decode16(format_of(dtype), take<uint16_t>(from));
    }
}

double round_to(pxl_dtype dtype, double value) {
    unsigned char bytes[8];
    store_element(dtype, value, bytes);
    return load_element(dtype, bytes);
}

double half_ulp(pxl_dtype dtype, double value) {
    switch (dtype) {
        case PXL_F64: return std::ldexp(std::fabs(value), -53);
        case PXL_F32: return std::ldexp(std::fabs(value), -24) + std::ldexp(1, -150);
        case PXL_F16: return std::ldexp(std::fabs(value), -11) + std::ldexp(1, -25);
        case PXL_BF16: return std::ldexp(std::fabs(value), -8) + std::ldexp(1, -134);
        default: return 0.5;
    }
}
