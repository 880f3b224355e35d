// A CUDA device, on a stream of its own. Only in builds with CUDA.
#ifndef BENCH_DEVICE_CUDA_H
#define BENCH_DEVICE_CUDA_H
#include <memory>

#include "device.h"

std::unique_ptr<Device> make_cuda_device(int index);
#endif
