/* Checks of views, in an order in which each may rely on those before it: only when all sizes are positive and their product is
 * known to fit does any arithmetic take place. */
#include "view.h"

#include <stdio.h>
#include <stdlib.h>

#include "context.h"
#include "device.h"
#include "error.h"

const char *pxli_dtype_name(pxl_dtype dtype) {
    static const char *const names[] = {"f32", "f16", "bf16", "f64", "u8", "u16"};
    return (unsigned)dtype < sizeof names / sizeof *names ? names[dtype] : "unknown";
}

static const char *device_name(pxl_device device) { return device.type == PXL_CPU ? "CPU" : "CUDA"; }

static pxl_status check_type(const char *name, const pxl_tensor *tensor) {
    if (!pxli_dtype_bytes(tensor->dtype))
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s.dtype is %d, which is no pxl_dtype", name, (int)tensor->dtype);
    char device[PXLI_MAX_NAME];
    snprintf(device, sizeof device, "%s.device", name);
    const pxl_status status = pxli_check_device(device, tensor->device);
    if (status) return status;
    if (tensor->ndim != 4)
        return pxli_fail(PXL_UNSUPPORTED, "%s.ndim is %d; only 4 (N, C, H, W) is supported", name, tensor->ndim);
    return PXL_OK;
}

/* Bytes of all elements, and of the way from data to the farthest element on either side, all within 63 bits and the address
 * space. */
static bool extent_fits(const pxl_tensor *tensor) {
    int64_t bytes = pxli_dtype_bytes(tensor->dtype), total = bytes, below = 0, above = bytes;
    uintptr_t end;
    for (int axis = 0; axis < 4; axis++) {
        int64_t reach;
        if (__builtin_mul_overflow(total, tensor->size[axis], &total)) return false;
        if (__builtin_mul_overflow(tensor->size[axis] - 1, tensor->stride[axis], &reach)) return false;
        if (__builtin_mul_overflow(reach, bytes, &reach)) return false;
        if (reach < 0 ? __builtin_sub_overflow(below, reach, &below) : __builtin_add_overflow(above, reach, &above)) return false;
    }
    uintptr_t data = (uintptr_t)tensor->data;
    return (uint64_t)below <= data && !__builtin_add_overflow(data, above, &end);
}

static pxl_status check_extent(const char *name, const pxl_tensor *tensor) {
    for (int axis = 0; axis < 4; axis++)
        if (tensor->size[axis] < 1)
            return pxli_fail(PXL_INVALID_ARGUMENT, "%s.size[%d] is %lld; at least 1 is needed", name, axis,
                             (long long)tensor->size[axis]);
    if (!tensor->data) return pxli_fail(PXL_INVALID_ARGUMENT, "%s.data is NULL", name);
    if ((uintptr_t)tensor->data % (uintptr_t)pxli_dtype_bytes(tensor->dtype))
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s.data is %p, which is not aligned to its %d-byte elements", name, tensor->data,
                         (int)pxli_dtype_bytes(tensor->dtype));
    if (!extent_fits(tensor))
        return pxli_fail(
            PXL_INVALID_ARGUMENT,
            "%s of %lld x %lld x %lld x %lld elements with strides %lld, %lld, %lld, %lld is larger than memory can be", name,
            (long long)tensor->size[0], (long long)tensor->size[1], (long long)tensor->size[2], (long long)tensor->size[3],
            (long long)tensor->stride[0], (long long)tensor->stride[1], (long long)tensor->stride[2],
            (long long)tensor->stride[3]);
    return PXL_OK;
}

/* The distance between neighbours along an axis; neither INT64_MIN nor an overflow, as the extent is known to fit. */
static int64_t pitch(const pxl_tensor *tensor, int axis) { return tensor->size[axis] == 1 ? 0 : llabs(tensor->stride[axis]); }

/* With the axes sorted by stride, each step must leave behind all that the smaller steps reach. This holds for every crop, flip,
 * permutation and slice of a dense array. It also refuses a few views without a coincidence, such as 2 x 2 elements with strides
 * 2 and 3, whose check would be a search. */
static pxl_status check_distinct(const char *name, const pxl_tensor *tensor) {
    int order[4] = {0, 1, 2, 3};
    for (int i = 1; i < 4; i++)
        for (int j = i; j > 0 && pitch(tensor, order[j]) < pitch(tensor, order[j - 1]); j--) {
            int swapped = order[j];
            order[j] = order[j - 1];
            order[j - 1] = swapped;
        }
    int64_t reached = 0;
    for (int i = 0; i < 4; i++) {
        int axis = order[i];
        if (tensor->size[axis] == 1) continue;
        if (pitch(tensor, axis) <= reached)
            return pxli_fail(PXL_INVALID_ARGUMENT,
                             "%s.stride[%d] is %lld, so elements of this output coincide or interleave; at least %lld is needed",
                             name, axis, (long long)tensor->stride[axis], (long long)reached + 1);
        reached += (tensor->size[axis] - 1) * pitch(tensor, axis);
    }
    return PXL_OK;
}

/* A view may repeat one pixel by strides of 0; what is computed with its sizes must still fit 64 bits. */
static pxl_status check_count(const char *name, const pxl_tensor *t) {
    const int64_t most = (int64_t)1 << 48;
    int64_t count = 1;
    for (int i = 0; i < 4; i++)
        if (__builtin_mul_overflow(count, t->size[i], &count) || count > most)
            return pxli_fail(PXL_INVALID_ARGUMENT, "%s has %lld x %lld x %lld x %lld elements; at most 2^48 are possible", name,
                             (long long)t->size[0], (long long)t->size[1], (long long)t->size[2], (long long)t->size[3]);
    return PXL_OK;
}

pxl_status pxli_check_view(const char *name, const pxl_tensor *tensor, bool output) {
    if (!tensor) return pxli_fail(PXL_INVALID_ARGUMENT, "%s is NULL; a tensor is needed", name);
    pxl_status status = check_type(name, tensor);
    if (!status) status = check_extent(name, tensor);
    if (!status) status = check_count(name, tensor);
    if (!status && output) status = check_distinct(name, tensor);
    return status;
}

pxl_status pxli_check_sizes(const char *name, const pxl_tensor *tensor, const int64_t expected[4], const char *because) {
    for (int axis = 0; axis < 4; axis++)
        if (tensor->size[axis] != expected[axis])
            return pxli_fail(PXL_INVALID_ARGUMENT, "%s.size[%d] is %lld; %lld is needed, %s", name, axis,
                             (long long)tensor->size[axis], (long long)expected[axis], because);
    return PXL_OK;
}

pxl_status pxli_check_same_device(const char *name, const pxl_tensor *tensor, const char *other_name, const pxl_tensor *other) {
    pxl_device a = tensor->device, b = other->device;
    if (a.type == b.type && a.index == b.index) return PXL_OK;
    return pxli_fail(PXL_INVALID_ARGUMENT, "%s is on %s device %d, but %s is on %s device %d", name, device_name(a), a.index,
                     other_name, device_name(b), b.index);
}

pxl_status pxli_check_context(const pxl_context *context, const char *name, const pxl_tensor *tensor) {
    if (!context || (context->device.type == tensor->device.type && context->device.index == tensor->device.index)) return PXL_OK;
    return pxli_fail(PXL_INVALID_ARGUMENT, "context is for %s device %d, but %s is on %s device %d", device_name(context->device),
                     context->device.index, name, device_name(tensor->device), tensor->device.index);
}

static bool is_integer(pxl_dtype dtype) { return dtype == PXL_U8 || dtype == PXL_U16; }
static pxl_status check_dtypes(const pxl_tensor *pred, const pxl_tensor *target, bool mixed) {
    const char *a = pxli_dtype_name(pred->dtype), *b = pxli_dtype_name(target->dtype);
    if (target->dtype == pred->dtype) return PXL_OK;
    if (!mixed || is_integer(pred->dtype))
        return pxli_fail(PXL_INVALID_ARGUMENT, "target is %s, but pred is %s; one dtype is needed", b, a);
    if (target->dtype == PXL_F64)
        return pxli_fail(PXL_INVALID_ARGUMENT, "target is f64, but pred is %s; f32, f16, bf16, u8 or u16 is needed", a);
    return PXL_OK;
}
pxl_status pxli_check_pair(const pxl_context *context, const pxl_tensor *pred, const pxl_tensor *target, bool mixed) {
    pxl_status status = pxli_check_view("pred", pred, false);
    if (!status) status = pxli_check_view("target", target, false);
    if (!status) status = pxli_check_same_device("target", target, "pred", pred);
    if (!status && pred->dtype == PXL_F64 && pred->device.type == PXL_CUDA)
        return pxli_fail(PXL_UNSUPPORTED, "pred is f64 on a CUDA device; f64 images are computed on the CPU alone");
    if (!status) status = check_dtypes(pred, target, mixed);
    if (!status) status = pxli_check_sizes("target", target, pred->size, "as pred has");
    return status ? status : pxli_check_context(context, "pred", pred);
}

pxl_status pxli_check_gradient(const char *name, const pxl_tensor *gradient, const char *image_name, const pxl_tensor *image,
                               bool f64) {
    if (is_integer(image->dtype))
        return pxli_fail(PXL_UNSUPPORTED, "%s is wanted, but %s is %s, for which there are values only", name, image_name,
                         pxli_dtype_name(image->dtype));
    pxl_status status = pxli_check_view(name, gradient, true);
    if (!status) status = pxli_check_same_device(name, gradient, image_name, image);
    if (!status && (is_integer(gradient->dtype) || (gradient->dtype == PXL_F64 && !f64)))
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %s; f32, f16 or bf16%s is needed", name, pxli_dtype_name(gradient->dtype),
                         f64 ? ", or f64," : "");
    return status ? status : pxli_check_sizes(name, gradient, image->size, "as pred has");
}

pxl_status pxli_check_fits(const pxli_window *window, const char *what, const char *name, const pxl_tensor *image) {
    int64_t height = image->size[2], width = image->size[3], pooled_height, pooled_width;
    pxli_pooled_size(window, height, width, &pooled_height, &pooled_width);
    const bool whole = window->border == PXL_VALID && !window->skip_short_axis;
    const int64_t least_height = whole ? window->y.taps : 1, least_width = whole ? window->x.taps : 1;
    /* A block larger than the image, which vmaf's would mirror on and on, would take time and memory as its size has it. */
    int64_t factor = pxli_downsample_factor(window, height, width);
    if (pooled_height >= least_height && pooled_width >= least_width && factor <= height && factor <= width) return PXL_OK;
    // An automatic factor is 1 for every image that is too small for a window.
    return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %lld x %lld pixels; %s needs at least %lld x %lld", name, (long long)height,
                     (long long)width, what, (long long)(least_height * factor), (long long)(least_width * factor));
}

void pxli_use_tensor(pxli_uses *uses, const char *name, const pxl_tensor *tensor, bool output) {
    if (!tensor) return;
    uses->use[uses->count].name = name;
    uses->use[uses->count].span = pxli_tensor_span(tensor);
    uses->use[uses->count++].output = output;
}

pxl_status pxli_use_array(pxli_uses *uses, const char *name, const void *array, int64_t count, int64_t bytes, bool output) {
    int64_t total;
    uintptr_t low = (uintptr_t)array, high;
    if (!array) return PXL_OK;
    if (low % (uintptr_t)bytes)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is %p, which is not aligned to its %d-byte elements", name, array, (int)bytes);
    if (__builtin_mul_overflow(count, bytes, &total) || __builtin_add_overflow(low, total, &high))
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s of %lld elements is larger than memory can be", name, (long long)count);
    uses->use[uses->count].name = name;
    uses->use[uses->count].span = (pxli_span){low, high};
    uses->use[uses->count++].output = output;
    return PXL_OK;
}

pxl_status pxli_check_uses(const pxli_uses *uses) {
    for (int i = 0; i < uses->count; i++) {
        if (!uses->use[i].output) continue;
        for (int j = 0; j < uses->count; j++) {
            if (i == j || uses->use[i].span.low >= uses->use[j].span.high || uses->use[j].span.low >= uses->use[i].span.high)
                continue;
            return pxli_fail(PXL_INVALID_ARGUMENT, "%s (from %p) overlaps %s (from %p); an output needs memory of its own",
                             uses->use[i].name, (void *)uses->use[i].span.low, uses->use[j].name, (void *)uses->use[j].span.low);
        }
    }
    return PXL_OK;
}
