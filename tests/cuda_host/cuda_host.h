// Compiles CUDA sources with g++ and runs their kernels on the CPU. src/cuda/runtime.cuh includes this header in place of CUDA's
// own when PXLI_CUDA_HOST is defined; README.md says what this catches and what it does not.
#ifndef CUDA_HOST_H
#define CUDA_HOST_H
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include "control.h"
#include "device.h"
#include "intrinsics.h"
#include "launch.h"
#endif
