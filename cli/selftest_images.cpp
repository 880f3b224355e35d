// The images of `pixloss selftest`, and arrays of them on a device.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "element.hpp"
#include "report.hpp"
#include "selftest.hpp"

namespace cli {
namespace {

// Uniform on [0, 1), by index: splitmix64.
double uniform(uint64_t index, uint64_t seed) {
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u + seed * 0xd1342543de82ef95u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

double to_type(pxl_dtype dtype, double value) {
    if (dtype == PXL_U8 || dtype == PXL_U16) return std::nearbyint(std::clamp(value, 0.0, 1.0) * (dtype == PXL_U8 ? 255 : 65535));
    return rounded(dtype, std::nearbyint(value * 0x1p20) * 0x1p-20);
}

double target_at(uint64_t i, int64_t c, int64_t y, int64_t x) {
    const double wave = std::sin(0.11 * double(x) + 0.07 * double(y) + double(c)), board = (x + y) % 2 ? 1 : -1;
    return 0.5 + 0.15 * wave + 0.15 * board + 0.15 * (2 * uniform(i, 1) - 1);
}
// Of lower contrast and noisy; one pixel in 16 is the target's.
double pred_at(uint64_t i, double target) {
    if (uniform(i, 2) < 1.0 / 16) return target;
    return 0.5 + 0.7 * (target - 0.5) + 0.24 * (uniform(i, 3) - 0.5);
}
// Differs from the target by at least 0.05, to one side in each plane.
double apart_at(uint64_t i, uint64_t plane, double target) {
    const double difference = 0.05 + 0.2 * uniform(i, 3);
    return plane % 2 ? target - difference : target + difference;
}

void mask(Pictures &p) {
    const auto planes = size_t(p.size[1]), pixels = size_t(p.size[2] * p.size[3]);
    p.weight.resize(size_t(p.size[0]) * pixels);
    for (size_t i = 0; i < p.weight.size(); i++) {
        p.weight[i] = uniform(i, 4) < 0.25 ? 0 : std::ceil(16 * uniform(i, 5)) / 16;
        if (p.weight[i] != 0 || !is_floating(p.dtype)) continue;
        for (size_t c = 0; c < planes; c++) {
            const size_t at = (i / pixels * planes + c) * pixels + i % pixels;
            p.pred[at] = p.target[at] = std::numeric_limits<double>::quiet_NaN();
        }
    }
}

} // namespace

std::string size_name(const Size &s) {
    return format("%lldx%lldx%lldx%lld", (long long)s[0], (long long)s[1], (long long)s[2], (long long)s[3]);
}

Pictures make_pictures(const Size &size, pxl_dtype dtype, bool masked, bool signs) {
    Pictures p{size, dtype, signs, {}, {}, {}};
    for (int64_t plane = 0; plane < size[0] * size[1]; plane++)
        for (int64_t y = 0; y < size[2]; y++)
            for (int64_t x = 0; x < size[3]; x++) {
                const uint64_t i = p.target.size();
                const double target = target_at(i, plane % size[1], y, x);
                p.target.push_back(to_type(dtype, target));
                p.pred.push_back(to_type(dtype, signs ? apart_at(i, uint64_t(plane), target) : pred_at(i, target)));
            }
    if (masked) mask(p);
    return p;
}

const char *layout_name(Layout layout) {
    static const char *const names[] = {"nchw", "nhwc", "crop"};
    return names[int(layout)];
}

void Array::arrange(const Size &size, pxl_dtype dtype, Layout layout) {
    const int64_t border = layout == Layout::crop ? 3 : 0; // odd, so that rows begin at no multiple of anything
    const int64_t h = size[2] + 2 * border, w = size[3] + 2 * border;
    const auto dense = layout == Layout::nhwc ? pxl_nhwc : pxl_nchw;
    view_ = dense(nullptr, dtype, device_.id(), size[0], size[1], h, w);
    origin_ = border * view_.stride[2] + border * view_.stride[3];
    std::copy(size.begin(), size.end(), view_.size);
    bytes_.assign(size_t(size[0] * size[1] * h * w) * element_bytes(dtype), 0xff);
    memory_.reserve(bytes_.size());
    view_.data = static_cast<unsigned char *>(memory_.data()) + size_t(origin_) * element_bytes(dtype);
}

template <class Visit>
void Array::each(const Visit &visit) const {
    const size_t bytes = element_bytes(view_.dtype);
    size_t i = 0;
    for (int64_t n = 0; n < view_.size[0]; n++)
        for (int64_t c = 0; c < view_.size[1]; c++)
            for (int64_t y = 0; y < view_.size[2]; y++) {
                const int64_t row = origin_ + n * view_.stride[0] + c * view_.stride[1] + y * view_.stride[2];
                for (int64_t x = 0; x < view_.size[3]; x++) visit(i++, size_t(row + x * view_.stride[3]) * bytes);
            }
}

void Array::clear(const Size &size, pxl_dtype dtype, Layout layout) {
    arrange(size, dtype, layout);
    device_.upload(memory_.data(), bytes_.data(), bytes_.size());
}

void Array::put(const std::vector<double> &values, const Size &size, pxl_dtype dtype, Layout layout) {
    arrange(size, dtype, layout);
    each([&](size_t i, size_t at) { store_element(dtype, values[i], &bytes_[at]); });
    device_.upload(memory_.data(), bytes_.data(), bytes_.size());
}

bool Array::get(std::vector<double> &values) {
    device_.download(bytes_.data(), memory_.data(), bytes_.size());
    const size_t bytes = element_bytes(view_.dtype);
    values.resize(size_t(view_.size[0] * view_.size[1] * view_.size[2] * view_.size[3]));
    each([&](size_t i, size_t at) { values[i] = load_element(view_.dtype, &bytes_[at]); });
    if (values.size() * bytes == bytes_.size()) return true;
    std::vector<unsigned char> rest = bytes_;
    each([&](size_t, size_t at) { std::memset(&rest[at], 0xff, bytes); });
    return std::all_of(rest.begin(), rest.end(), [](unsigned char byte) { return byte == 0xff; });
}

} // namespace cli
