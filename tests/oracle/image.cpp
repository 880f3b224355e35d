#include "image.h"

#include <algorithm>
#include <cmath>

namespace oracle {

Image like(const Image &image) { return Image(image.n, image.c, image.h, image.w); }

Image slice(const Image &batch, int64_t in) {
    Image one(1, batch.c, batch.h, batch.w);
    std::copy_n(batch.v.begin() + in * batch.c * batch.h * batch.w, one.v.size(), one.v.begin());
    return one;
}

void put_slice(Image &batch, int64_t in, const Image &one) {
    std::copy(one.v.begin(), one.v.end(), batch.v.begin() + in * batch.c * batch.h * batch.w);
}

Image absolute(Image image) {
    for (double &value : image.v) value = std::fabs(value);
    return image;
}

void add_scaled(Image &to, const Image &from, double factor) {
    for (size_t i = 0; i < to.v.size(); ++i) to.v[i] += factor * from.v[i];
}

double max_abs(const Image &image) {
    double largest = 0;
    for (const double value : image.v)
        if (std::isfinite(value)) largest = std::max(largest, std::fabs(value));
    return largest;
}

} // namespace oracle
