// A CUDA device by NVIDIA's runtime, on its default stream. Compiled only in builds with CUDA.
#include <cuda_runtime_api.h>

#include <new>

#include "device.hpp"
#include "engine.hpp"

namespace cli {
namespace {

void call(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return;
    cudaGetLastError(); // reported here
    if (error == cudaErrorMemoryAllocation) throw std::bad_alloc();
    throw LibraryError(std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")");
}

class Event {
  public:
    Event() { call(cudaEventCreate(&event_), "cudaEventCreate"); }
    ~Event() { cudaEventDestroy(event_); }
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;
    void record() { call(cudaEventRecord(event_, nullptr), "cudaEventRecord"); }
    double seconds_since(const Event &start) {
        float milliseconds = 0;
        call(cudaEventSynchronize(event_), "cudaEventSynchronize");
        call(cudaEventElapsedTime(&milliseconds, start.event_, event_), "cudaEventElapsedTime");
        return 1e-3 * milliseconds;
    }

  private:
    cudaEvent_t event_ = nullptr;
};

class Cuda : public Device {
  public:
    explicit Cuda(int index) : index_(index) { call(cudaSetDevice(index), "cudaSetDevice"); }
    pxl_device id() const override { return PXL_CUDA_DEVICE(index_); }
    void *allocate(size_t bytes) override {
        void *memory = nullptr;
        call(cudaMalloc(&memory, bytes ? bytes : 1), "cudaMalloc");
        return memory;
    }
    void release(void *memory) noexcept override { cudaFree(memory); }
    // Both wait: for the work before them, and for themselves.
    void upload(void *to, const void *from, size_t bytes) override {
        call(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy to the device");
    }
    void download(void *to, const void *from, size_t bytes) override {
        call(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy from the device");
    }
    void copy(void *to, const void *from, size_t bytes) override {
        call(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr), "cudaMemcpyAsync");
    }
    void synchronise() override { call(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }
    double seconds(const std::function<void()> &work) override {
        Event start, end;
        start.record();
        work();
        end.record();
        return end.seconds_since(start);
    }

  private:
    int index_;
};

} // namespace

std::unique_ptr<Device> make_cuda_device(int index) { return std::make_unique<Cuda>(index); }

} // namespace cli
