#include "device.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine.hpp"

namespace cli {
namespace {

class Cpu : public Device {
  public:
    pxl_device id() const override { return PXL_CPU_DEVICE; }
    void *allocate(size_t bytes) override {
        void *memory = std::aligned_alloc(64, (bytes + 127) / 64 * 64);
        if (!memory) throw std::bad_alloc();
        return memory;
    }
    void release(void *memory) noexcept override { std::free(memory); }
    void upload(void *to, const void *from, size_t bytes) override { copy(to, from, bytes); }
    void download(void *to, const void *from, size_t bytes) override { copy(to, from, bytes); }
    void copy(void *to, const void *from, size_t bytes) override {
        if (bytes) std::memcpy(to, from, bytes);
    }
    void synchronise() override {}
    double seconds(const std::function<void()> &work) override {
        const auto begin = std::chrono::steady_clock::now();
        work();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
};

int cuda_count() {
    int count = 0;
    check(pxl_device_count(PXL_CUDA, &count));
    return count;
}

// The index of "cuda" or "cuda:1"; -1 for what is neither.
int cuda_index(const std::string &name) {
    if (name == "cuda") return 0;
    if (name.compare(0, 5, "cuda:") != 0 || name.size() < 6 || name.size() > 8) return -1;
    if (name.find_first_not_of("0123456789", 5) != std::string::npos) return -1;
    return std::stoi(name.substr(5));
}

} // namespace

#if defined PIXLOSS_CLI_CUDA
static const char names[] = "cpu, cuda or cuda:N is needed";
#else
static const char names[] = "cpu is needed: this program was built without CUDA";
std::unique_ptr<Device> make_cuda_device(int) { throw UsageError("this program was built without CUDA"); }
#endif

Device &cpu_device() {
    static Cpu cpu;
    return cpu;
}

std::string Device::name() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(id().index); }

std::string Device::description() const {
    char text[256] = "";
    check(pxl_device_describe(id(), text, sizeof text));
    return text;
}

void check_isa() {
    const char *wanted = std::getenv("PXLOSS_ISA");
    if (!wanted || !*wanted) return;
    const std::string here = cpu_device().description(); // "CPU, avx2 (of avx512, avx2, sse2), ..."
    if (here.find(" " + std::string(wanted) + " (of ") == std::string::npos)
        throw UsageError(std::string("PXLOSS_ISA=") + wanted + " (environment): there are no such instructions here: " + here);
}

std::unique_ptr<Device> open_device(const std::string &name) {
    check_isa();
    if (name == "cpu") return std::make_unique<Cpu>();
    const int index = cuda_index(name);
    if (index < 0) throw UsageError("--device '" + name + "': no device of this name; " + names);
    const int count = cuda_count();
    if (count == 0) throw UsageError("--device " + name + ": " + pxl_error_message());
    if (index >= count)
        throw UsageError("--device " + name + ": there are the CUDA devices 0 to " + std::to_string(count - 1) +
                         ", see `pixloss info`");
    return make_cuda_device(index);
}

std::string best_device() { return cuda_count() > 0 ? "cuda" : "cpu"; }

void DeviceMemory::reserve(size_t bytes) {
    if (bytes <= bytes_) return;
    device_->release(memory_);
    memory_ = nullptr;
    memory_ = device_->allocate(bytes);
    bytes_ = bytes;
}

DeviceImage::DeviceImage(Device &device, const Image &image) : device_(device), image_(image), view_(image.view()) {
    if (device.is_cpu()) return;
    memory_ = std::make_unique<DeviceMemory>(device, image.pixels.size() * sizeof(float));
    view_.device = device.id();
    view_.data = memory_->data();
    upload();
}

void DeviceImage::upload() {
    if (memory_) device_.upload(memory_->data(), image_.pixels.data(), memory_->bytes());
}

void DeviceImage::download(Image &image) const {
    if (memory_) device_.download(image.pixels.data(), memory_->data(), memory_->bytes());
}

} // namespace cli
