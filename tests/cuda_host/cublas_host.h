// cuBLAS's header for the shim's own files: dlsym must find the functions.
#ifndef CUDA_HOST_CUBLAS_HOST_H
#define CUDA_HOST_CUBLAS_HOST_H
#pragma GCC visibility push(default)
#include <cublas_v2.h>
#pragma GCC visibility pop
#endif
