#include "cuda_device.h"

#ifdef PXL_TEST_CUDA
#include <cuda_runtime_api.h>

#include <map>
#include <stdexcept>

namespace {

void check(cudaError_t error, const char *call) {
    if (error) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(error));
}

class CudaDevice : public Device {
  public:
    explicit CudaDevice(int index) : index_(index) {}
    pxl_device id() const override { return PXL_CUDA_DEVICE(index_); }
    const char *name() const override { return "cuda"; }
    bool computes(pxl_dtype dtype) const override { return dtype != PXL_F64; }
    void *allocate(size_t bytes) override {
        void *memory = nullptr;
        int current = 0;
        check(cudaGetDevice(&current), "cudaGetDevice");
        check(cudaSetDevice(index_), "cudaSetDevice");
        const bool failed = cudaMalloc(&memory, bytes) != cudaSuccess;
        if (failed) cudaGetLastError();
        check(cudaSetDevice(current), "cudaSetDevice");
        return failed ? nullptr : memory;
    }
    void release(void *memory) override { cudaFree(memory); }
#ifdef PXLI_CUDA_HOST
    void *reserve(size_t bytes) override { return cpu().reserve(bytes); } // kernels reach the host's memory
    void release_reserved(void *memory, size_t bytes) override { cpu().release_reserved(memory, bytes); }
#else
    void *reserve(size_t bytes) override { return allocate(bytes); }
    void release_reserved(void *memory, size_t) override { cudaFree(memory); }
#endif
    // Both wait for all work on the device but that on streams that do not wait for the default one. By address: on the shim,
    // what is reserved is the host's memory.
    void upload(void *to, const void *from, size_t bytes) override {
        check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy to the device");
    }
    void download(void *to, const void *from, size_t bytes) override {
        check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy from the device");
    }

  private:
    int index_;
};

} // namespace

Device *cuda_device(int index, std::string &why_not) {
    static std::map<int, CudaDevice> devices;
    int count = 0;
    if (pxl_device_count(PXL_CUDA, &count) == PXL_OK && count > index) return &devices.emplace(index, index).first->second;
    why_not = count > 0 ? "there is no CUDA device " + std::to_string(index) : pxl_error_message();
    return nullptr;
}
#else
Device *cuda_device(int, std::string &why_not) {
    why_not = "this build has no CUDA backend";
    return nullptr;
}
#endif
