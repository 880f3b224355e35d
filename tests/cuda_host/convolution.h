// The arithmetic of the host's cuDNN and cuBLAS: numbers of 16 and 32 bits, and a convolution with what follows it.
#ifndef CUDA_HOST_CONVOLUTION_H
#define CUDA_HOST_CONVOLUTION_H
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cuda_host {

enum class Number { f32, f16, bf16 };
size_t bytes_of(Number number);
float load(Number number, const void *data, int64_t i);
void store(Number number, void *data, int64_t i, float value);
float round_to(Number number, float value);
float round_to_tf32(float value); // ten bits of mantissa, to nearest even

// Elements [n, c, h, w]; a stride of 0 repeats one.
struct View {
    Number number;
    void *data;
    std::array<int64_t, 4> dims, strides;
};

enum class Rounding { none, inputs_to_tf32, sum_to_tf32 };

// One row of results before they are stored: what is done to element [c] of column w, at row[w * channels + c].
struct Row {
    int64_t n, h, width, channels;
    float *values;
};

// out[n,k,h,w] = sum of in[n, c, h + r - pre_h, w + s - pre_w] * weights[k, c, r, s]; of a transposed one, weights[c, k, R-1-r, S-1-s].
struct Convolution {
    View in, weights, out;
    bool transposed;
    std::array<int64_t, 2> pre_padding; // may be negative
    Rounding rounding;
};

// Calls finish(row), which may change it, before a row is stored.
template <class Finish>
void convolve(const Convolution &convolution, Finish finish);

// The parts of convolve. The input as float, padded, [n][h][w][c]; the weights as [k block][r][s][c][k in the block].
constexpr int64_t channel_block = 32;
struct Packed {
    int64_t height, width, channels, rows, columns, blocks; // of the padded input; R, S; blocks of output channels
    std::vector<float> in, weights;
};
Packed pack(const Convolution &convolution);
void convolve_row(const Packed &packed, int64_t n, int64_t h, int64_t width, int64_t channels, Rounding rounding, float *row);
void store_row(const View &out, const Row &row);

template <class Finish>
void convolve(const Convolution &convolution, Finish finish) {
    const Packed packed = pack(convolution);
    const auto [batch, channels, height, width] = convolution.out.dims;
    std::vector<float> values(static_cast<size_t>(width * channels));
    for (int64_t n = 0; n < batch; ++n)
        for (int64_t h = 0; h < height; ++h) {
            convolve_row(packed, n, h, width, channels, convolution.rounding, values.data());
            const Row row{n, h, width, channels, values.data()};
            finish(row);
            store_row(convolution.out, row);
        }
}

} // namespace cuda_host
#endif
