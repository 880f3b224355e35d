// The CUDA device under test: a real one, or that of tests/cuda_host, which is the same to all who only call the runtime.
#ifndef TESTS_CUDA_DEVICE_H
#define TESTS_CUDA_DEVICE_H
#include "device_buffer.h"

// Lives as long as the program; nullptr with the reason where there is none.
Device *cuda_device(int index, std::string &why_not);
#endif
