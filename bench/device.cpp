#include "device.h"

#include <chrono>
#include <cstdio>
#include <limits>
#include <stdexcept>

#include "copy.h"
#include "measure/multiply_add.h"
#ifdef PXL_BENCH_CUDA
#include "device_cuda.h"
#endif

namespace {

class CpuMultiplyAdd : public Work {
  public:
    CpuMultiplyAdd(pxl_dtype dtype, int64_t pixels)
        : loop_(isa(), dtype == PXL_F64 ? measure::MultiplyAdd::DOUBLE : measure::MultiplyAdd::SINGLE, pixels) {}
    void run() override { loop_.run(); }
    double bytes_to_move() const override { return 0; }
    double multiply_adds() const override { return loop_.count(); }

  private:
    static std::string isa() {
        char text[256] = "";
        return pxl_device_describe(PXL_CPU_DEVICE, text, sizeof text) == PXL_OK ? measure::instruction_set(text) : "";
    }
    measure::MultiplyAdd loop_;
};

class Cpu : public Device {
  public:
    pxl_device id() const override { return PXL_CPU_DEVICE; }
    pxl_stream stream() const override { return nullptr; }
    std::shared_ptr<void> allocate(size_t bytes) override {
        const auto memory = std::make_shared<Memory>(bytes);
        return {memory, memory->data()};
    }
    void upload(void *, const void *, size_t) override {}
    void download(void *, const void *, size_t) override {}
    double seconds(const std::function<void()> &run, int64_t runs) override {
        using Clock = std::chrono::steady_clock;
        const auto begin = Clock::now();
        for (int64_t i = 0; i < runs; i++) run();
        return std::chrono::duration<double>(Clock::now() - begin).count();
    }
    double shortest_sample() const override { return 20e-6; }
    int64_t copies_to_be_cold(double) const override { return 1; }
    std::unique_ptr<Work> make_copy(size_t bytes, Traffic traffic, int64_t) override {
        return std::make_unique<Copy>(bytes, traffic);
    }
    std::unique_ptr<Work> make_multiply_add(pxl_dtype dtype, int64_t pixels) override {
        return std::make_unique<CpuMultiplyAdd>(dtype, pixels);
    }
    std::unique_ptr<Work> make_roof(const std::string &name) override {
        if (name == "fma") return make_multiply_add(PXL_F32, std::numeric_limits<int64_t>::max());
        throw std::runtime_error("no " + name + " on the CPU");
    }
    std::unique_ptr<Work> capture(Work &) override { throw std::runtime_error("no graphs on the CPU"); }
    std::vector<std::pair<std::string, std::string>> properties() const override { return {}; }
};

} // namespace

Device &cpu_device() {
    static Cpu device;
    return device;
}

Device &open_device(const std::string &name) {
    if (name == "cpu") return cpu_device();
    int index = 0, read = 0;
    const bool numbered =
        std::sscanf(name.c_str(), "cuda:%3d%n", &index, &read) == 1 && size_t(read) == name.size() && index >= 0;
    if (name != "cuda" && !numbered) throw std::invalid_argument("--device=" + name + ": cpu, cuda or cuda:N is needed");
#ifdef PXL_BENCH_CUDA
    int count = 0;
    if (pxl_device_count(PXL_CUDA, &count) != PXL_OK || count == 0)
        throw std::invalid_argument("--device=" + name + ": " + pxl_error_message());
    if (index >= count)
        throw std::invalid_argument("--device=" + name + ": there are the CUDA devices 0 to " + std::to_string(count - 1));
    static const std::unique_ptr<Device> device = make_cuda_device(index);
    return *device;
#else
    throw std::invalid_argument("--device=" + name + ": this program was built without CUDA (-DPIXLOSS_CUDA=ON)");
#endif
}

DeviceImage::DeviceImage(Device &device, const Image &image) : device_(device), view_(*image.view()) {
    if (device.is_cpu()) return;
    memory_ = device.allocate(image.memory().size());
    const char *const begin = static_cast<const char *>(image.memory().data());
    view_.data = static_cast<char *>(memory_.get()) + (static_cast<const char *>(view_.data) - begin);
    view_.device = device.id();
}
void DeviceImage::upload(const Image &image) {
    if (memory_) device_.upload(memory_.get(), image.memory().data(), image.memory().size());
}
void DeviceImage::download(Image &image) const {
    if (memory_) device_.download(image.memory().data(), memory_.get(), image.memory().size());
}
