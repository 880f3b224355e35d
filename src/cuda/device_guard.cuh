// Another current device for a while.
#ifndef PXLI_DEVICE_GUARD_CUH
#define PXLI_DEVICE_GUARD_CUH
#include "sequence.cuh"

namespace pxli {

// The caller's current device is his again after `restore`. By cudaSetDevice, though since CUDA 12 that makes a context on a
// device which was the thread's current one and never used: the driver's calls would not restore what the runtime takes for
// current.
class DeviceGuard {
  public:
    explicit DeviceGuard(int device) {
        cudaError_t error = cudaGetDevice(&previous_);
        if (error) {
            status_ = fail_call("cudaGetDevice", error);
        } else if (previous_ != device) {
            error = cudaSetDevice(device), changed_ = !error;
            if (error) status_ = fail_call("cudaSetDevice", error);
        }
    }
    DeviceGuard(const DeviceGuard &) = delete;
    DeviceGuard &operator=(const DeviceGuard &) = delete;
    pxl_status status() const { return status_; }
    // Returns `status`, or if that is PXL_OK how restoring went.
    pxl_status restore(pxl_status status) const {
        const cudaError_t error = changed_ ? cudaSetDevice(previous_) : cudaSuccess;
        if (!error) return status;
        if (!status) return fail_call("cudaSetDevice, back to the caller's device", error);
        cudaGetLastError(); // the message is of what failed first
        return status;
    }

  private:
    int previous_ = 0;
    bool changed_ = false;
    pxl_status status_ = PXL_OK;
};

} // namespace pxli
#endif
