// A direct convolution: blocks of four columns by 32 output channels in registers, over the input padded and in NHWC.
#include "convolution.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstring>

// Not under sanitizers: they are not ready yet when the loader asks which version to take.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define CUDA_HOST_VERSIONS
#else
#define CUDA_HOST_VERSIONS __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#endif

namespace cuda_host {

size_t bytes_of(Number number) { return number == Number::f32 ? 4 : 2; }

float load(Number number, const void *data, int64_t i) {
    const char *const element = static_cast<const char *>(data) + i * static_cast<int64_t>(bytes_of(number));
    if (number == Number::f32) {
        float value;
        std::memcpy(&value, element, sizeof value);
        return value;
    }
    uint16_t bits;
    std::memcpy(&bits, element, sizeof bits);
    return number == Number::f16 ? __half2float(__ushort_as_half(bits)) : __bfloat162float(__ushort_as_bfloat16(bits));
}

void store(Number number, void *data, int64_t i, float value) {
    char *const element = static_cast<char *>(data) + i * static_cast<int64_t>(bytes_of(number));
    if (number == Number::f32) {
        std::memcpy(element, &value, sizeof value);
        return;
    }
    const uint16_t bits =
        number == Number::f16 ? __half_as_ushort(__float2half_rn(value)) : __bfloat16_as_ushort(__float2bfloat16_rn(value));
    std::memcpy(element, &bits, sizeof bits);
}

float round_to(Number number, float value) {
    if (number == Number::f32) return value;
    uint16_t bits;
    store(number, &bits, 0, value);
    return load(number, &bits, 0);
}

float round_to_tf32(float value) {
    if (!std::isfinite(value)) return value;
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits += 0xfff + ((bits >> 13) & 1);
    bits &= ~uint32_t{0x1fff};
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}

namespace {

size_t size(int64_t n) { return static_cast<size_t>(n); }

int64_t offset(const View &view, int64_t n, int64_t c, int64_t h, int64_t w) {
    return n * view.strides[0] + c * view.strides[1] + h * view.strides[2] + w * view.strides[3];
}

// Calls `use` with a function that reads elements of the view: one for each type, so that the common one is a plain load.
template <class Use>
void with_loader(const View &view, Rounding rounding, Use use) {
    const bool to_tf32 = rounding == Rounding::inputs_to_tf32;
    if (view.number == Number::f32 && !to_tf32)
        use([data = static_cast<const float *>(view.data)](int64_t at) { return data[at]; });
    else
        use([&view, to_tf32](int64_t at) {
            const float value = load(view.number, view.data, at);
            return to_tf32 ? round_to_tf32(value) : value;
        });
}

template <class Load>
void pack_input(const Convolution &convolution, Packed &packed, Load load) {
    const auto [batch, channels, height, width] = convolution.in.dims;
    packed.in.assign(size(batch * packed.height * packed.width * packed.channels), 0.0f);
    for (int64_t n = 0; n < batch; ++n)
        for (int64_t h = 0; h < packed.height; ++h)
            for (int64_t w = 0; w < packed.width; ++w) {
                const int64_t y = h - convolution.pre_padding[0], x = w - convolution.pre_padding[1];
                if (y < 0 || y >= height || x < 0 || x >= width) continue;
                float *const to = &packed.in[size(((n * packed.height + h) * packed.width + w) * channels)];
                for (int64_t c = 0; c < channels; ++c) to[c] = load(offset(convolution.in, n, c, y, x));
            }
}

// Each weight is moved once, from where [k][r][s][c] lies: for many layers on small images this takes most of the time.
template <class Load>
void pack_weights(const Convolution &convolution, Packed &packed, Load load) {
    const int64_t outputs = convolution.out.dims[1], taps = packed.rows * packed.columns * packed.channels;
    const auto [k_stride, c_stride, r_stride, s_stride] = convolution.weights.strides;
    const bool transposed = convolution.transposed;
    packed.weights.assign(size(packed.blocks * taps * channel_block), 0.0f);
    for (int64_t k = 0; k < outputs; ++k) {
        float *to = &packed.weights[size(k / channel_block * taps * channel_block + k % channel_block)];
        for (int64_t r = 0; r < packed.rows; ++r)
            for (int64_t s = 0; s < packed.columns; ++s) {
                const int64_t from = transposed
                                         ? k * c_stride + (packed.rows - 1 - r) * r_stride + (packed.columns - 1 - s) * s_stride
                                         : k * k_stride + r * r_stride + s * s_stride;
                const int64_t step = transposed ? k_stride : c_stride;
                for (int64_t c = 0; c < packed.channels; ++c, to += channel_block) *to = load(from + c * step);
            }
    }
}

// sums[i][k] += in[i * channels + j] * weights[j][k], for `taps` of one row of the window.
template <int Columns>
inline __attribute__((always_inline)) void add_taps(const float *in, const float *weights, int64_t taps, int64_t channels,
                                                    float (&sums)[4][channel_block]) {
    for (int64_t j = 0; j < taps; ++j)
        for (int i = 0; i < Columns; ++i) {
            const float x = in[i * channels + j];
            for (int64_t k = 0; k < channel_block; ++k) sums[i][k] += x * weights[j * channel_block + k];
        }
}

CUDA_HOST_VERSIONS void sum_window(const float *in, const float *weights, const int64_t *shape, int64_t columns, float *result) {
    const int64_t rows = shape[0], taps = shape[1], row_length = shape[2], channels = shape[3];
    float sums[4][channel_block] = {};
    for (int64_t r = 0; r < rows; ++r, in += row_length, weights += taps * channel_block)
        if (columns == 4)
            add_taps<4>(in, weights, taps, channels, sums);
        else
            for (int64_t i = 0; i < columns; ++i) {
                float one[4][channel_block] = {};
                std::memcpy(one[0], sums[i], sizeof one[0]);
                add_taps<1>(in + i * channels, weights, taps, channels, one);
                std::memcpy(sums[i], one[0], sizeof one[0]);
            }
    std::memcpy(result, sums, sizeof sums);
}

} // namespace

Packed pack(const Convolution &convolution) {
    Packed packed{};
    const auto &out = convolution.out.dims, &weights = convolution.weights.dims;
    packed.rows = weights[2], packed.columns = weights[3], packed.channels = convolution.in.dims[1];
    packed.height = out[2] + packed.rows - 1, packed.width = out[3] + packed.columns - 1;
    packed.blocks = (out[1] + channel_block - 1) / channel_block;
    with_loader(convolution.in, convolution.rounding, [&](auto load) { pack_input(convolution, packed, load); });
    with_loader(convolution.weights, convolution.rounding, [&](auto load) { pack_weights(convolution, packed, load); });
    return packed;
}

void convolve_row(const Packed &packed, int64_t n, int64_t h, int64_t width, int64_t channels, Rounding rounding, float *row) {
    const int64_t row_length = packed.width * packed.channels, taps = packed.columns * packed.channels;
    const int64_t shape[] = {packed.rows, taps, row_length, packed.channels};
    const float *const in = &packed.in[size((n * packed.height + h) * row_length)];
    for (int64_t block = 0; block < packed.blocks; ++block)
        for (int64_t w = 0; w < width; w += 4) {
            float sums[4 * channel_block];
            const int64_t columns = std::min<int64_t>(4, width - w), first = block * channel_block;
            const int64_t count = std::min(channel_block, channels - first);
            sum_window(in + w * packed.channels, &packed.weights[size(block * packed.rows * taps * channel_block)], shape,
                       columns, sums);
            for (int64_t i = 0; i < columns; ++i)
                for (int64_t k = 0; k < count; ++k) {
                    const float sum = sums[i * channel_block + k];
                    row[(w + i) * channels + first + k] = rounding == Rounding::sum_to_tf32 ? round_to_tf32(sum) : sum;
                }
        }
}

void store_row(const View &out, const Row &row) {
    for (int64_t w = 0; w < row.width; ++w)
        for (int64_t c = 0; c < row.channels; ++c)
            store(out.number, out.data, offset(out, row.n, c, row.h, w), row.values[w * row.channels + c]);
}

} // namespace cuda_host
