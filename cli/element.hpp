// Elements of the library's types as doubles.
#pragma once
#include <pixloss/pixloss.h>

#include <cstddef>

namespace cli {

size_t element_bytes(pxl_dtype dtype);
const char *dtype_name(pxl_dtype dtype);
bool is_floating(pxl_dtype dtype);

// Rounds to nearest, ties to even.
void store_element(pxl_dtype dtype, double value, void *to);
double load_element(pxl_dtype dtype, const void *from);
double rounded(pxl_dtype dtype, double value);
// Half the distance to the next number of this type.
double half_ulp(pxl_dtype dtype, double value);

} // namespace cli
