// Element types of test tensors: conversion from and to double with one correct rounding, written for clarity.
#ifndef TESTS_DTYPE_H
#define TESTS_DTYPE_H
#include <cstddef>

#include "pixloss/pixloss.h"

inline constexpr pxl_dtype floating_types[] = {PXL_F32, PXL_F64, PXL_F16, PXL_BF16};
size_t dtype_bytes(pxl_dtype dtype);
const char *dtype_name(pxl_dtype dtype);
void store_element(pxl_dtype dtype, double value, void *to);
double load_element(pxl_dtype dtype, const void *from);
// As storing it and loading it again does.
double round_to(pxl_dtype dtype, double value);
// The largest error of rounding `value` to the type.
double half_ulp(pxl_dtype dtype, double value);
inline bool is_floating(pxl_dtype dtype) { return dtype != PXL_U8 && dtype != PXL_U16; }
#endif
