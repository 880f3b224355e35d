// Memory on the device under test. Everything that the tests allocate there or copy to or from it goes through Device, so that
// the same cases run on a second device by one more subclass.
#ifndef TESTS_DEVICE_BUFFER_H
#define TESTS_DEVICE_BUFFER_H
#include <cstdint>
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
    virtual void *allocate(size_t bytes) = 0; // aligned to 64 bytes; nullptr: no memory
    virtual void release(void *memory) = 0;
    virtual void upload(void *to, const void *from, size_t bytes) = 0;
    virtual void download(void *to, const void *from, size_t bytes) = 0;
};
Device &cpu();
// All devices on which the case lists run.
std::vector<Device *> all_devices();

// Bytes full of a NaN pattern (0xff) between two fences of the same.
class DeviceBuffer {
  public:
    // `misalign`: the payload starts so many bytes after a multiple of 64.
    DeviceBuffer(Device &device, size_t bytes, size_t misalign = 0);
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
