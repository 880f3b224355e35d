#include "scene.h"

#include <algorithm>

namespace {

constexpr int64_t most_bytes = 1 << 18, most_elements = 1 << 11;
uint8_t *nowhere() { return reinterpret_cast<uint8_t *>(uintptr_t(1) << 46); }

size_t element_bytes(pxl_dtype dtype) {
    switch (static_cast<int>(dtype)) {
        case PXL_F32: return 4;
        case PXL_F64: return 8;
        case PXL_U8: return 1;
        default: return 2;
    }
}

// The bytes before and behind data that a view reaches, and its elements; false: too many of either to be made.
bool measure(const pxl_tensor &t, int64_t *below, int64_t *above) {
    const auto each = static_cast<__int128>(element_bytes(t.dtype));
    __int128 low = 0, high = each, count = 1;
    for (int axis = 0; axis < 4; axis++) {
        if (t.size[axis] < 1) return false;
        const __int128 elements = static_cast<__int128>(t.size[axis] - 1) * t.stride[axis];
        if (elements > most_bytes || -elements > most_bytes) return false;
        const __int128 reach = elements * each;
        (reach < 0 ? low : high) += reach;
        if ((count *= t.size[axis]) > most_elements || high - low > most_bytes) return false;
    }
    *below = static_cast<int64_t>(-low), *above = static_cast<int64_t>(high);
    return true;
}

// The last byte of each number between 0x3e and 0x3f: floats from 0.1 to 2.
void make_ordinary(uint8_t *numbers, size_t bytes, size_t each) {
    for (size_t i = each - 1; i < bytes; i += each) numbers[i] = static_cast<uint8_t>(0x3e | (numbers[i] & 1));
}

} // namespace

// Axes in any order in memory, in any direction, with gaps; an axis of an input may stand still.
void Scene::lay_out(pxl_tensor &tensor, bool output) {
    int order[] = {3, 2, 1, 0};
    if (from_.ConsumeBool()) std::swap(order[0], order[from_.ConsumeIntegralInRange(0, 3)]);
    if (from_.ConsumeBool()) std::swap(order[1], order[from_.ConsumeIntegralInRange(1, 3)]);
    int64_t step = 1;
    for (const int axis : order) {
        step += one_in(from_, 8) ? from_.ConsumeIntegralInRange(0, 5) : 0;
        tensor.stride[axis] = !output && one_in(from_, 16) ? 0 : one_in(from_, 8) ? -step : step;
        step *= std::max<int64_t>(std::min<int64_t>(tensor.size[axis], 1 << 12), 1);
    }
}

void Scene::spoil(pxl_tensor &tensor) {
    const int axis = from_.ConsumeIntegralInRange(0, 3);
    switch (from_.ConsumeIntegralInRange(0, 8)) {
        case 0: tensor.size[axis] += from_.ConsumeIntegralInRange(-2, 2); break;
        case 1: tensor.size[axis] = from_.ConsumeIntegral<int64_t>(); break;
        case 2: tensor.stride[axis] = from_.ConsumeIntegralInRange<int64_t>(-70, 70); break;
        case 3: tensor.stride[axis] = from_.ConsumeIntegral<int64_t>(); break;
        case 4: tensor.dtype = one_of_first<pxl_dtype>(from_, 8); break;
        case 5: tensor.ndim = from_.ConsumeIntegralInRange(-1, 6); break;
        case 6: tensor.device.index = from_.ConsumeIntegralInRange(-1, 1); break;
        case 7: tensor.device.type = one_of_first<pxl_device_type>(from_, 4); break;
        default: tensor.size[axis] = int64_t(1) << from_.ConsumeIntegralInRange(0, 62);
    }
}

uint8_t *Scene::add_block(size_t bytes) {
    blocks_.push_back({std::unique_ptr<uint8_t[]>(new uint8_t[bytes]()), bytes});
    return blocks_.back().bytes.get();
}

// A block of its own, or a place within another one's.
uint8_t *Scene::block_for(const Placed &placed) {
    const auto bytes = static_cast<size_t>(placed.bytes);
    if (!blocks_.empty() && one_in(from_, 12)) {
        Block &other = blocks_[from_.ConsumeIntegralInRange<size_t>(0, blocks_.size() - 1)];
        const size_t each = element_bytes(placed.tensor.dtype);
        if (other.size >= bytes) return &other.bytes[from_.ConsumeIntegralInRange<size_t>(0, (other.size - bytes) / each) * each];
    }
    return add_block(bytes);
}

void Scene::place(Placed &placed) {
    int64_t above = 0;
    placed.real = measure(placed.tensor, &placed.low, &above);
    placed.bytes = placed.low + above;
    placed.tensor.data = placed.real ? block_for(placed) + placed.low : nowhere();
    real_ = real_ && placed.real;
}

pxl_tensor *Scene::view(pxl_dtype dtype, const Sizes &sizes, bool output) {
    if (one_in(from_, 64)) return nullptr;
    if (!views_.empty() && one_in(from_, 64)) return &views_[from_.ConsumeIntegralInRange<size_t>(0, views_.size() - 1)].tensor;
    views_.emplace_back();
    Placed &placed = views_.back();
    const int64_t *s = sizes.size;
    placed.tensor = pxl_nchw(nullptr, dtype, PXL_CPU_DEVICE, s[0], s[1], s[2], s[3]);
    placed.output = output;
    if (from_.ConsumeBool()) lay_out(placed.tensor, output);
    if (one_in(from_, 24)) spoil(placed.tensor);
    place(placed);
    if (one_in(from_, 96)) placed.tensor.data = nullptr, placed.real = real_ = false;
    if (one_in(from_, 96)) placed.tensor.data = static_cast<uint8_t *>(placed.tensor.data) + 1, placed.real = real_ = false;
    return &placed.tensor;
}

uint8_t *Scene::add_array(int64_t count, size_t each, bool output) {
    if (one_in(from_, 64)) return nullptr;
    if (count < 0 || count > 1 << 12) {
        real_ = false;
        return nowhere();
    }
    const size_t bytes = static_cast<size_t>(count) * each;
    if (one_in(from_, 64) && !blocks_.empty() && blocks_.back().size >= bytes) return blocks_.back().bytes.get();
    arrays_.push_back({add_block(bytes), bytes, output});
    return arrays_.back().data;
}

void Scene::fill_inputs() {
    uint32_t state = from_.ConsumeIntegral<uint16_t>();
    const int kind = from_.ConsumeIntegralInRange(0, 3); // zeros, ordinary numbers, any bits
    for (Block &block : blocks_)
        for (size_t i = 0; i < block.size && kind; i++) {
            state = state * 1664525 + 1013904223;
            block.bytes[i] = static_cast<uint8_t>(state >> 24);
        }
    if (kind != 1) return;
    for (const Placed &placed : views_)
        if (placed.real && !placed.output)
            make_ordinary(static_cast<uint8_t *>(placed.tensor.data) - placed.low, static_cast<size_t>(placed.bytes),
                          element_bytes(placed.tensor.dtype));
    for (const Array &array : arrays_)
        if (!array.output) make_ordinary(array.data, array.bytes, sizeof(float));
}

// Every run of bytes that an output may change.
template <typename Visit>
void Scene::each_output(Visit visit) const {
    for (const Array &array : arrays_)
        if (array.output) visit(array.data, array.bytes);
    for (const Placed &placed : views_) {
        const pxl_tensor &t = placed.tensor;
        if (!placed.output || !placed.real) continue;
        const auto each = static_cast<int64_t>(element_bytes(t.dtype));
        for (int64_t n = 0; n < t.size[0]; n++)
            for (int64_t c = 0; c < t.size[1]; c++)
                for (int64_t y = 0; y < t.size[2]; y++)
                    for (int64_t x = 0; x < t.size[3]; x++)
                        visit(static_cast<uint8_t *>(t.data) +
                                  each * (n * t.stride[0] + c * t.stride[1] + y * t.stride[2] + x * t.stride[3]),
                              static_cast<size_t>(each));
    }
}

void Scene::fill_outputs(uint8_t byte) {
    each_output([&](uint8_t *at, size_t bytes) { std::memset(at, byte, bytes); });
}

Scene::Snapshot Scene::snapshot() const {
    Snapshot all;
    for (const Block &block : blocks_) all.emplace_back(block.bytes.get(), block.bytes.get() + block.size);
    return all;
}

void Scene::require_only_outputs_changed(const Snapshot &before) const {
    // The elements as they were are put back into a copy, which then is what was before.
    Snapshot now = snapshot();
    each_output([&](const uint8_t *at, size_t bytes) {
        for (size_t b = 0; b < blocks_.size(); b++) {
            const uint8_t *from = blocks_[b].bytes.get();
            if (at < from || at + bytes > from + blocks_[b].size) continue;
            std::copy_n(before[b].begin() + (at - from), bytes, now[b].begin() + (at - from));
        }
    });
    require(now == before);
}

std::vector<uint8_t> Scene::results() const {
    std::vector<uint8_t> all;
    each_output([&](const uint8_t *at, size_t bytes) { all.insert(all.end(), at, at + bytes); });
    return all;
}
