// A batch of images in float64, dense in N, C, H, W order: what the oracle reads and writes.
#ifndef ORACLE_IMAGE_H
#define ORACLE_IMAGE_H
#include <cstddef>
#include <cstdint>
#include <vector>

namespace oracle {

struct Image {
    int64_t n = 0, c = 0, h = 0, w = 0;
    std::vector<double> v;

    Image() = default;
    Image(int64_t n_, int64_t c_, int64_t h_, int64_t w_, double fill = 0)
        : n(n_), c(c_), h(h_), w(w_), v(static_cast<size_t>(n_ * c_ * h_ * w_), fill) {}
    size_t index(int64_t in, int64_t ic, int64_t y, int64_t x) const {
        return static_cast<size_t>(((in * c + ic) * h + y) * w + x);
    }
    double &at(int64_t in, int64_t ic, int64_t y, int64_t x) { return v[index(in, ic, y, x)]; }
    double at(int64_t in, int64_t ic, int64_t y, int64_t x) const { return v[index(in, ic, y, x)]; }
    bool empty() const { return v.empty(); }
};

// Zeros of the same sizes.
Image like(const Image &image);
// Image `in` of the batch, as a batch of one; and the way back.
Image slice(const Image &batch, int64_t in);
void put_slice(Image &batch, int64_t in, const Image &one);
Image absolute(Image image);
void add_scaled(Image &to, const Image &from, double factor);
double max_abs(const Image &image); // over the finite elements

} // namespace oracle
#endif
