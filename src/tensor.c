/* Views: how they are made, which bytes they touch. Nothing here reads a pixel, and nothing here checks: sizes and strides may
 * still be nonsense, so products wrap instead of overflowing and a check refuses them later. */
#include <string.h>

#include "check.h"

static int64_t wrapping_product(int64_t a, int64_t b) {
    int64_t product;
    (void)__builtin_mul_overflow(a, b, &product);
    return product;
}

static pxl_tensor make_view(void *data, pxl_dtype dtype, pxl_device device, const int64_t size[4]) {
    pxl_tensor tensor;
    memset(&tensor, 0, sizeof tensor);
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.device = device;
    tensor.ndim = 4;
    memcpy(tensor.size, size, 4 * sizeof *size);
    return tensor;
}

pxl_tensor pxl_nchw(void *data, pxl_dtype dtype, pxl_device device, int64_t n, int64_t c, int64_t h, int64_t w) {
    pxl_tensor tensor = make_view(data, dtype, device, (int64_t[4]){n, c, h, w});
    tensor.stride[3] = 1;
    tensor.stride[2] = w;
    tensor.stride[1] = wrapping_product(h, w);
    tensor.stride[0] = wrapping_product(c, tensor.stride[1]);
    return tensor;
}

pxl_tensor pxl_nhwc(void *data, pxl_dtype dtype, pxl_device device, int64_t n, int64_t c, int64_t h, int64_t w) {
    pxl_tensor tensor = make_view(data, dtype, device, (int64_t[4]){n, c, h, w});
    tensor.stride[1] = 1;
    tensor.stride[3] = c;
    tensor.stride[2] = wrapping_product(w, c);
    tensor.stride[0] = wrapping_product(h, tensor.stride[2]);
    return tensor;
}

pxl_tensor pxl_crop(pxl_tensor tensor, int64_t y, int64_t x, int64_t height, int64_t width) {
    // Unsigned, because strides may be negative and `data` may still be NULL.
    uint64_t elements = (uint64_t)y * (uint64_t)tensor.stride[2] + (uint64_t)x * (uint64_t)tensor.stride[3];
    uint64_t bytes = elements * (uint64_t)pxli_dtype_bytes(tensor.dtype);
    tensor.data = (void *)((uintptr_t)tensor.data + (uintptr_t)bytes);
    tensor.size[2] = height;
    tensor.size[3] = width;
    return tensor;
}

int64_t pxli_dtype_bytes(pxl_dtype dtype) {
    switch (dtype) {
        case PXL_U8: return 1;
        case PXL_F16:
        case PXL_BF16:
        case PXL_U16: return 2;
        case PXL_F32: return 4;
        case PXL_F64: return 8;
    }
    return 0;
}

pxli_span pxli_tensor_span(const pxl_tensor *tensor) {
    int64_t bytes = pxli_dtype_bytes(tensor->dtype), below = 0, above = bytes;
    for (int axis = 0; axis < tensor->ndim; axis++) {
        int64_t reach = (tensor->size[axis] - 1) * tensor->stride[axis] * bytes;
        if (reach < 0)
            below -= reach;
        else
            above += reach;
    }
    uintptr_t data = (uintptr_t)tensor->data;
    return (pxli_span){data - (uintptr_t)below, data + (uintptr_t)above};
}
