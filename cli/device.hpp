// The devices on which the commands compute: memory there, copies to and from it, and the time that work takes. All that is
// computed goes through the library; nothing here launches a kernel.
#pragma once
#include <pixloss/pixloss.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "image.hpp"

namespace cli {

// Work is in order: a copy sees what was asked for before it. Throws std::bad_alloc, or a LibraryError that names the call.
class Device {
  public:
    virtual ~Device() = default;
    virtual pxl_device id() const = 0;
    virtual void *allocate(size_t bytes) = 0; // aligned to 64 bytes at least; not nullptr for 0
    virtual void release(void *memory) noexcept = 0;
    virtual void upload(void *to, const void *from, size_t bytes) = 0;
    virtual void download(void *to, const void *from, size_t bytes) = 0;
    virtual void copy(void *to, const void *from, size_t bytes) = 0; // within the device; returns before it is done
    virtual void synchronise() = 0;
    virtual double seconds(const std::function<void()> &work) = 0; // by the device's own clock

    bool is_cpu() const { return id().type == PXL_CPU; }
    std::string name() const;        // as --device takes it
    std::string description() const; // the library's line
};
Device &cpu_device();

// A UsageError if PXLOSS_ISA (environment) asks for instructions that this build or processor has not: the library passes over it.
void check_isa();
// "cpu", "cuda" or "cuda:1", as given with --device. A UsageError for any other name, and where there is no such device, with the
// reason.
std::unique_ptr<Device> open_device(const std::string &name);
// "cuda" if this process can use one, else "cpu".
std::string best_device();

std::unique_ptr<Device> make_cuda_device(int index); // only in builds with CUDA

class DeviceMemory {
  public:
    DeviceMemory(Device &device, size_t bytes) : device_(&device), bytes_(bytes), memory_(device.allocate(bytes)) {}
    ~DeviceMemory() {
        if (memory_) device_->release(memory_);
    }
    DeviceMemory(const DeviceMemory &) = delete;
    DeviceMemory &operator=(const DeviceMemory &) = delete;
    void *data() const { return memory_; }
    size_t bytes() const { return bytes_; }
    // At least so many bytes, with nothing in them.
    void reserve(size_t bytes);

  private:
    Device *device_;
    size_t bytes_;
    void *memory_;
};

// An image where the device can read and write it: the image itself on the CPU, elsewhere a copy of it. The image must outlive
// it.
class DeviceImage {
  public:
    DeviceImage(Device &device, const Image &image);
    const pxl_tensor &view() const { return view_; }
    void upload();                     // after the image has changed
    void download(Image &image) const; // into the very image, after the device has written

  private:
    Device &device_;
    const Image &image_;
    std::unique_ptr<DeviceMemory> memory_;
    pxl_tensor view_;
};

} // namespace cli
