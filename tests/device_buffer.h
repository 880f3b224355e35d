// Memory on the device under test. Everything that the tests allocate there or copy to or from it goes through Device, so that
// the same cases run on a second device by one more subclass.
#ifndef TESTS_DEVICE_BUFFER_H
#define TESTS_DEVICE_BUFFER_H
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "oracle/image.h"
#include "pixloss/pixloss.h"

class Device {
  public:
    virtual ~Device() = default;
    virtual pxl_device id() const = 0;
    virtual const char *name() const = 0;
    virtual bool computes(pxl_dtype dtype) const = 0; // images of this type
    virtual void *allocate(size_t bytes) = 0;         // aligned to 64 bytes; nullptr: no memory
    virtual void release(void *memory) = 0;
    // Gigabytes of which few bytes will be touched; nullptr: not to be had.
    virtual void *reserve(size_t bytes) = 0;
    virtual void release_reserved(void *memory, size_t bytes) = 0;
    virtual void upload(void *to, const void *from, size_t bytes) = 0;
    virtual void download(void *to, const void *from, size_t bytes) = 0;
};
Device &cpu();
// Whether workspaces are poisoned before the first call; PXLOSS_TEST_WORKSPACE=uninitialised leaves them to tools that look for
// reads of what was never written (compute-sanitizer's initcheck).
bool poisons_workspaces();
// The device on which the tests of this process run: PXLOSS_TEST_DEVICE = cpu (default), cuda, cuda:1, or all, which is the CPU for
// whatever computes in one way alone. Where the device is missing, the program ends with 77 and the reason before any test.
Device &tested_device();

// One way to compute a case: a device and, on the CPU, an instruction set ("" elsewhere).
struct Way {
    Device *device;
    std::string instruction_set;
    std::string name() const { return device->name() + (instruction_set.empty() ? "" : " " + instruction_set); }
};
// What tests that compare with the oracle go through, so that it computes each case once: every instruction set of this processor
// (with PXLOSS_ISA in the environment that one alone) or the CUDA device; for PXLOSS_TEST_DEVICE=all both.
const std::vector<Way> &tested_ways();

// Computes by that instruction set while it lives.
class UsingWay {
  public:
    explicit UsingWay(const Way &way);
    ~UsingWay();
    UsingWay(const UsingWay &) = delete;
    UsingWay &operator=(const UsingWay &) = delete;

  private:
    std::string before_;
};

// Bytes full of a NaN pattern (0xff) between two fences of the same.
class DeviceBuffer {
  public:
    // `misalign`: the payload starts so many bytes after a multiple of 64. `poisoned` false: only the fences are written.
    DeviceBuffer(Device &device, size_t bytes, size_t misalign = 0, bool poisoned = true);
    ~DeviceBuffer();
    DeviceBuffer(const DeviceBuffer &) = delete;
    DeviceBuffer &operator=(const DeviceBuffer &) = delete;

    uint8_t *data() const { return memory_ + start_; }
    size_t bytes() const { return bytes_; }
    Device &device() const { return device_; }
    std::vector<uint8_t> download() const; // the payload
    void upload(const std::vector<uint8_t> &payload);
    void poison();
    bool fences_intact() const;

  private:
    Device &device_;
    size_t start_, bytes_, total_;
    uint8_t *memory_;
};

// An array of numbers on a device, fenced and poisoned.
template <typename T>
class DeviceArray {
  public:
    DeviceArray(Device &device, size_t count, size_t misalign = 0) : buffer_(device, count * sizeof(T), misalign) {}
    DeviceArray(Device &device, const std::vector<T> &values, size_t misalign = 0)
        : DeviceArray(device, values.size(), misalign) {
        set(values);
    }
    T *data() const { return reinterpret_cast<T *>(buffer_.data()); }
    void set(const std::vector<T> &values) {
        const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
        buffer_.upload(std::vector<uint8_t>(bytes, bytes + values.size() * sizeof(T)));
    }
    std::vector<T> get() const {
        const std::vector<uint8_t> bytes = buffer_.download();
        std::vector<T> values(bytes.size() / sizeof(T));
        if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    void poison() { buffer_.poison(); }
    bool fences_intact() const { return buffer_.fences_intact(); }

  private:
    DeviceBuffer buffer_;
};

enum class Layout { nchw, nhwc, crop, flip, channel_slice, transposed };
inline constexpr Layout all_layouts[] = {Layout::nchw, Layout::nhwc,          Layout::crop,
                                         Layout::flip, Layout::channel_slice, Layout::transposed};
const char *layout_name(Layout layout);

// A view with elements in some layout in a buffer of its own.
class Tensor {
  public:
    Tensor(Device &device, Layout layout, pxl_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w);
    const pxl_tensor *view() const { return &view_; }
    pxl_tensor *view() { return &view_; }
    void set(const oracle::Image &image); // rounds to the dtype
    oracle::Image get() const;
    void poison();                              // as after construction
    bool is_unchanged() const;                  // not a byte since set() or poison()
    bool fences_intact() const;                 // nothing but the view's elements changed since then
    std::vector<uint8_t> element_bytes() const; // of the elements alone, in N, C, H, W order: to compare bits

  private:
    size_t element_offset(int64_t n, int64_t c, int64_t y, int64_t x) const;
    template <typename Visit>
    void each_element(Visit visit) const;

    pxl_tensor view_{};
    int64_t origin_ = 0; // of element (0, 0, 0, 0)
    std::unique_ptr<DeviceBuffer> buffer_;
    std::vector<uint8_t> before_;
};
#endif
