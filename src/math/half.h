/* 16-bit floating-point numbers, by their bits: for every instruction set, and for data that come from a file. */
#ifndef PXLI_HALF_H
#define PXLI_HALF_H
#include <stdint.h>
#include <string.h>

#ifndef PXLI_INLINE
#define PXLI_INLINE static inline __attribute__((always_inline))
#endif

PXLI_INLINE float pxli_bits_float(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
PXLI_INLINE uint32_t pxli_float_bits(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}
/* Shifting a half's bits to a float's and multiplying by 2^112 mends the exponent, of subnormals as well. */
PXLI_INLINE float pxli_from_half(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    const float finite = pxli_bits_float(rest << 13) * 0x1p112f;
    const uint32_t bits = rest >= 0x7c00 ? 0x7f800000 | rest << 13 : pxli_float_bits(finite);
    return pxli_bits_float(sign | bits);
}
/* Round to nearest even: adding half an ulp less one, plus the last bit kept; subnormals by adding 0.5, whose ulp is 2^-24. */
PXLI_INLINE uint16_t pxli_to_half(float f) {
    const uint32_t bits = pxli_float_bits(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    const uint32_t normal = (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13;
    const uint32_t subnormal = pxli_float_bits(pxli_bits_float(rest) + 0.5f) - 0x3f000000;
    const uint32_t finite = rest < 0x38800000 ? subnormal : normal < 0x7c00 ? normal : 0x7c00;
    return (uint16_t)(sign | (rest > 0x7f800000 ? 0x7e00 : finite));
}
/* A float between a double and its rounding to any shorter type: towards 0, and odd where that drops something, so that rounding it
 * again is rounding once. */
PXLI_INLINE float pxli_odd_float(double a) {
    const float f = (float)a;
    const double size = a < 0 ? -a : a, rounded = f < 0 ? -(double)f : (double)f;
    const uint32_t bits = pxli_float_bits(f) - (rounded > size ? 1 : 0);
    return pxli_bits_float((double)f == a || a != a ? pxli_float_bits(f) : bits | 1);
}
PXLI_INLINE float pxli_from_bfloat(uint16_t b) { return pxli_bits_float((uint32_t)b << 16); }
PXLI_INLINE uint16_t pxli_to_bfloat(float f) {
    const uint32_t bits = pxli_float_bits(f);
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
#endif
