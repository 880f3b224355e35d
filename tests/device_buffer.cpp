#include "device_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "dtype.h"

namespace {

constexpr uint8_t poison_byte = 0xff; // a NaN in every floating-point type
constexpr size_t fence_bytes = 64;

class CpuDevice : public Device {
  public:
    pxl_device id() const override { return PXL_CPU_DEVICE; }
    const char *name() const override { return "cpu"; }
    bool computes(pxl_dtype) const override { return true; }
    void *allocate(size_t bytes) override { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
    void release(void *memory) override { std::free(memory); }
    void *reserve(size_t bytes) override {
        void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        return memory == MAP_FAILED ? nullptr : memory;
    }
    void release_reserved(void *memory, size_t bytes) override { munmap(memory, bytes); }
    void upload(void *to, const void *from, size_t bytes) override { std::memcpy(to, from, bytes); }
    void download(void *to, const void *from, size_t bytes) override { std::memcpy(to, from, bytes); }
};

bool is_poison(uint8_t byte) { return byte == poison_byte; }

} // namespace

Device &cpu() {
    static CpuDevice device;
    return device;
}

bool poisons_workspaces() {
    const char *wish = std::getenv("PXLOSS_TEST_WORKSPACE");
    return !wish || std::strcmp(wish, "uninitialised") != 0;
}

DeviceBuffer::DeviceBuffer(Device &device, size_t bytes, size_t misalign, bool poisoned)
    : device_(device),
      start_(fence_bytes + misalign),
      bytes_(bytes),
      total_(start_ + bytes + fence_bytes),
      memory_(static_cast<uint8_t *>(device.allocate(total_))) {
    if (!memory_) throw std::bad_alloc();
    if (poisoned) {
        poison();
        return;
    }
    const std::vector<uint8_t> fence(start_, poison_byte);
    device_.upload(memory_, fence.data(), start_);
    device_.upload(memory_ + start_ + bytes_, fence.data(), fence_bytes);
}

DeviceBuffer::~DeviceBuffer() { device_.release(memory_); }

std::vector<uint8_t> DeviceBuffer::download() const {
    std::vector<uint8_t> payload(bytes_);
    if (bytes_) device_.download(payload.data(), data(), bytes_);
    return payload;
}

void DeviceBuffer::upload(const std::vector<uint8_t> &payload) {
    if (bytes_) device_.upload(data(), payload.data(), bytes_);
}

void DeviceBuffer::poison() {
    const std::vector<uint8_t> all(total_, poison_byte);
    device_.upload(memory_, all.data(), total_);
}

bool DeviceBuffer::fences_intact() const {
    std::vector<uint8_t> before(start_), after(fence_bytes);
    device_.download(before.data(), memory_, start_);
    device_.download(after.data(), memory_ + start_ + bytes_, fence_bytes);
    return std::all_of(before.begin(), before.end(), is_poison) && std::all_of(after.begin(), after.end(), is_poison);
}

const char *layout_name(Layout layout) {
    static const char *const names[] = {"nchw", "nhwc", "crop", "flip", "channel_slice", "transposed"};
    return names[static_cast<int>(layout)];
}

namespace {

struct Storage {
    int64_t elements, origin, stride[4]; // N, C, H, W
};

Storage storage_of(Layout layout, int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t plane = h * w;
    switch (layout) {
        case Layout::nhwc: return {n * c * plane, 0, {c * plane, 1, w * c, c}};
        case Layout::crop: { // from (1, 3) of a larger image of odd width
            const int64_t wide = (w + 4) | 1, tall = h + 2;
            return {n * c * tall * wide, wide + 3, {c * tall * wide, tall * wide, wide, 1}};
        }
        case Layout::flip: return {n * c * plane, plane - 1, {c * plane, plane, -w, -1}};
        case Layout::channel_slice: return {n * (2 * c + 1) * plane, plane, {(2 * c + 1) * plane, 2 * plane, w, 1}};
        case Layout::transposed: return {n * c * plane, 0, {c * plane, plane, 1, h}};
        default: return {n * c * plane, 0, {c * plane, plane, w, 1}};
    }
}

} // namespace

Tensor::Tensor(Device &device, Layout layout, pxl_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w) {
    const Storage storage = storage_of(layout, n, c, h, w);
    const size_t size = dtype_bytes(dtype);
    // One element off the alignment of a vector, so that nothing but the element's own is there to rely on.
    buffer_ =
        std::make_unique<DeviceBuffer>(device, static_cast<size_t>(storage.elements) * size, layout == Layout::nchw ? 0 : size);
    origin_ = storage.origin;
    view_ = pxl_nchw(buffer_->data() + static_cast<size_t>(origin_) * size, dtype, device.id(), n, c, h, w);
    std::copy(storage.stride, storage.stride + 4, view_.stride);
    before_ = buffer_->download();
}

size_t Tensor::element_offset(int64_t n, int64_t c, int64_t y, int64_t x) const {
    const int64_t element = origin_ + n * view_.stride[0] + c * view_.stride[1] + y * view_.stride[2] + x * view_.stride[3];
    return static_cast<size_t>(element) * dtype_bytes(view_.dtype);
}

template <typename Visit>
void Tensor::each_element(Visit visit) const {
    for (int64_t n = 0; n < view_.size[0]; ++n)
        for (int64_t c = 0; c < view_.size[1]; ++c)
            for (int64_t y = 0; y < view_.size[2]; ++y)
                for (int64_t x = 0; x < view_.size[3]; ++x) visit(element_offset(n, c, y, x));
}

void Tensor::set(const oracle::Image &image) {
    std::vector<uint8_t> bytes = buffer_->download();
    size_t i = 0;
    each_element([&](size_t offset) { store_element(view_.dtype, image.v[i++], &bytes[offset]); });
    buffer_->upload(bytes);
    before_ = bytes;
}

oracle::Image Tensor::get() const {
    const std::vector<uint8_t> bytes = buffer_->download();
    oracle::Image image(view_.size[0], view_.size[1], view_.size[2], view_.size[3]);
    size_t i = 0;
    each_element([&](size_t offset) { image.v[i++] = load_element(view_.dtype, &bytes[offset]); });
    return image;
}

void Tensor::poison() {
    buffer_->poison();
    before_ = buffer_->download();
}

bool Tensor::is_unchanged() const { return buffer_->fences_intact() && buffer_->download() == before_; }

bool Tensor::fences_intact() const {
    std::vector<uint8_t> now = buffer_->download();
    each_element([&](size_t offset) {
        std::copy_n(before_.begin() + static_cast<std::ptrdiff_t>(offset), dtype_bytes(view_.dtype),
                    now.begin() + static_cast<std::ptrdiff_t>(offset));
    });
    return buffer_->fences_intact() && now == before_;
}

std::vector<uint8_t> Tensor::element_bytes() const {
    const std::vector<uint8_t> bytes = buffer_->download();
    std::vector<uint8_t> elements;
    each_element([&](size_t offset) {
        const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
        elements.insert(elements.end(), at, at + static_cast<std::ptrdiff_t>(dtype_bytes(view_.dtype)));
    });
    return elements;
}
