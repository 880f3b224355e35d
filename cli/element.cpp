#include "element.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace cli {
namespace {

// Bits of the fraction and the lowest exponent of a type; of the 16-bit ones also the top one, that of infinity.
struct Format {
    int fraction, lowest, top;
};
constexpr Format half{10, -14, 16}, brain{7, -126, 128}, single{23, -126, 128}, twofold{52, -1022, 1024};

const Format &format_of(pxl_dtype dtype) {
    switch (dtype) {
        case PXL_F16: return half;
        case PXL_BF16: return brain;
        case PXL_F64: return twofold;
        default: return single;
    }
}

// The distance between neighbouring numbers around a value.
double spacing(const Format &format, double value) {
    const int exponent = value == 0 || !std::isfinite(value) ? format.lowest : std::max(std::ilogb(value), format.lowest);
    return std::ldexp(1.0, exponent - format.fraction);
}

uint16_t encode(const Format &format, double value) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const auto infinity = int64_t(format.top - format.lowest + 1) << format.fraction;
    if (std::isnan(value)) return uint16_t(sign | infinity | (1 << (format.fraction - 1)));
    if (std::isinf(value)) return uint16_t(sign | infinity);
    const double unit = spacing(format, value);
    const auto units = int64_t(std::nearbyint(std::fabs(value) / unit)); // with the leading 1 where there is one
    // Rounding up to the next power of two carries into the exponent by itself.
    const int64_t exponent = std::ilogb(unit) + format.fraction - format.lowest;
    return uint16_t(sign | std::min(infinity, (exponent << format.fraction) + units));
}

double decode(const Format &format, uint16_t bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = (bits & 0x7fff) >> format.fraction, fraction = bits & ((1 << format.fraction) - 1);
    if (exponent == format.top - format.lowest + 1)
        return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
    const int leading = exponent ? 1 << format.fraction : 0;
    return sign * std::ldexp(leading + fraction, std::max(exponent, 1) - 1 + format.lowest - format.fraction);
}

template <class T>
void put(T value, void *to) {
    std::memcpy(to, &value, sizeof value);
}
template <class T>
T take(const void *from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

} // namespace

size_t element_bytes(pxl_dtype dtype) { return dtype == PXL_F64 ? 8 : dtype == PXL_F32 ? 4 : dtype == PXL_U8 ? 1 : 2; }

const char *dtype_name(pxl_dtype dtype) {
    static const char *const names[] = {"f32", "f16", "bf16", "f64", "u8", "u16"};
    return names[dtype];
}

bool is_floating(pxl_dtype dtype) { return dtype != PXL_U8 && dtype != PXL_U16; }

void store_element(pxl_dtype dtype, double value, void *to) {
    switch (dtype) {
        case PXL_F64: return put(value, to);
        case PXL_F32: return put(float(value), to);
        case PXL_U8: return put(uint8_t(std::nearbyint(value)), to);
        case PXL_U16: return put(uint16_t(std::nearbyint(value)), to);
        default: return put(encode(format_of(dtype), value), to);
    }
}

double load_element(pxl_dtype dtype, const void *from) {
    switch (dtype) {
        case PXL_F64: return take<double>(from);
        case PXL_F32: return double(take<float>(from));
        case PXL_U8: return take<uint8_t>(from);
        case PXL_U16: return take<uint16_t>(from);
        default: return decode(format_of(dtype), take<uint16_t>(from));
    }
}

double rounded(pxl_dtype dtype, double value) {
    unsigned char bytes[8];
    store_element(dtype, value, bytes);
    return load_element(dtype, bytes);
}

double half_ulp(pxl_dtype dtype, double value) { return is_floating(dtype) ? spacing(format_of(dtype), value) / 2 : 0.5; }

} // namespace cli
