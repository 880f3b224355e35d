// Where cases run: memory there, copies to and from it, its clock and its yardsticks. Throws std::runtime_error with the name of
// a call that failed.
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "image.h"
#include "pixloss/pixloss.h"
#include "work.h"

class Device {
  public:
    virtual ~Device() = default;
    virtual pxl_device id() const = 0;
    virtual pxl_stream stream() const = 0;
    virtual std::shared_ptr<void> allocate(size_t bytes) = 0; // bytes 0xff
    virtual void upload(void *to, const void *from, size_t bytes) = 0;
    virtual void download(void *to, const void *from, size_t bytes) = 0; // after all work before it
    // So many runs, by the device's own clock.
    virtual double seconds(const std::function<void()> &run, int64_t runs) = 0;
    virtual double shortest_sample() const = 0; // seconds, beside which reading that clock, and the first launch, are nothing
    // How many copies of so many bytes take turns in a case, so that what one run leaves in the cache is gone when its turn comes
    // again; 1: as it comes.
    virtual int64_t copies_to_be_cold(double bytes) const = 0;
    // Yardsticks. make_copy: a loop over arrays of `bytes`, `copies` of which take turns. make_multiply_add: in the precision and
    // on the threads of a case with this type and so many pixels. make_roof: a case that is a yardstick without a size, see
    // cases.h.
    virtual std::unique_ptr<Work> make_copy(size_t bytes, Traffic traffic, int64_t copies) = 0;
    virtual std::unique_ptr<Work> make_multiply_add(pxl_dtype dtype, int64_t pixels) = 0;
    virtual std::unique_ptr<Work> make_roof(const std::string &name) = 0;
    virtual std::unique_ptr<Work> capture(Work &work) = 0; // one run of it as a graph; `work` must outlive it
    virtual std::vector<std::pair<std::string, std::string>> properties() const = 0; // for the report

    bool is_cpu() const { return id().type == PXL_CPU; }
};
// "cpu", "cuda" or "cuda:1". std::invalid_argument with the reason where there is none. One, for good.
Device &open_device(const std::string &name);
Device &cpu_device();

// An image where the device can read and write it: on the CPU the very image, which must outlive this.
class DeviceImage {
  public:
    DeviceImage(Device &device, const Image &image);
    const pxl_tensor *view() const { return &view_; }
    void upload(const Image &image);
    void download(Image &image) const;

  private:
    Device &device_;
    std::shared_ptr<void> memory_; // NULL on the CPU
    pxl_tensor view_;
};

// The same for a few numbers.
template <typename T>
class DeviceArray {
  public:
    DeviceArray(Device &device, std::vector<T> &host) : device_(device), host_(host) {
        if (!device.is_cpu()) memory_ = device.allocate(host.size() * sizeof(T));
    }
    T *data() const { return memory_ ? static_cast<T *>(memory_.get()) : host_.data(); }
    void upload() {
        if (memory_) device_.upload(memory_.get(), host_.data(), host_.size() * sizeof(T));
    }
    void download() {
        if (memory_) device_.download(host_.data(), memory_.get(), host_.size() * sizeof(T));
    }

  private:
    Device &device_;
    std::vector<T> &host_;
    std::shared_ptr<void> memory_;
};
#endif
