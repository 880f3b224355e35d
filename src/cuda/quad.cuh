// Four adjacent elements at a time: loaded first, converted later, so that several loads are under way; and tensors seen with as
// few axes as their strides allow, for kernels to which the order of elements does not matter.
#ifndef PXLI_QUAD_CUH
#define PXLI_QUAD_CUH
#include "view.cuh"

namespace pxli {

// ---- Loads ------------------------------------------------------------------------------------------------------------------
// Four elements as they lie in memory: packed if they came by one load, else one in each word.
struct alignas(16) Raw {
    unsigned v[4];
};

inline __host__ __device__ int bytes_of(int dtype) {
    return dtype == PXL_F64 ? 8 : dtype == PXL_F32 ? 4 : dtype == PXL_U8 ? 1 : 2;
}
__device__ inline char *address(const View &v, int64_t at) { return v.data + at * bytes_of(v.dtype); }
__device__ inline char *address(bool f32, const View &v, int64_t at) { return f32 ? v.data + 4 * at : address(v, at); }
__device__ inline unsigned fetch_element(int bytes, const char *p) {
    switch (bytes) {
        case 4: return *reinterpret_cast<const unsigned *>(p);
        case 2: return *reinterpret_cast<const unsigned short *>(p);
        default: return *reinterpret_cast<const unsigned char *>(p);
    }
}
// The elements at p and p + v.stride[3], ... up to number `last` (of 0 to 3). packed: by one load.
__device__ inline Raw fetch(const View &v, const char *p, int last, bool packed) {
    Raw raw = {{0, 0, 0, 0}};
    const int bytes = bytes_of(v.dtype);
    if (packed && bytes == 4) {
        const uint4 a = *reinterpret_cast<const uint4 *>(p);
        raw.v[0] = a.x, raw.v[1] = a.y, raw.v[2] = a.z, raw.v[3] = a.w;
    } else if (packed && bytes == 2) {
        const uint2 a = *reinterpret_cast<const uint2 *>(p);
        raw.v[0] = a.x, raw.v[1] = a.y;
    } else if (packed) {
        raw.v[0] = *reinterpret_cast<const unsigned *>(p);
    } else {
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (k <= last) raw.v[k] = fetch_element(bytes, p + k * v.stride[3] * bytes);
    }
    return raw;
}
// Of f32, all four or none.
__device__ inline Raw fetch_dense(const char *p, int last) {
    Raw raw = {{0, 0, 0, 0}};
    if (last < 0) return raw;
    const uint4 a = *reinterpret_cast<const uint4 *>(p);
    raw.v[0] = a.x, raw.v[1] = a.y, raw.v[2] = a.z, raw.v[3] = a.w;
    return raw;
}
__device__ inline void store_dense(char *p, const float (&a)[4], int last) {
    if (last >= 0) *reinterpret_cast<float4 *>(p) = make_float4(a[0], a[1], a[2], a[3]);
}
// What a packed fetch would return, without waiting: it is at `to` once the copy is done.
__device__ inline void copy_packed(int dtype, const char *p, Raw *to) {
    switch (bytes_of(dtype)) {
        case 4: __pipeline_memcpy_async(to, p, 16); break;
        case 2: __pipeline_memcpy_async(to, p, 8); break;
        default: __pipeline_memcpy_async(to, p, 4);
    }
}
__device__ inline float from_bits(unsigned bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
// bf16 is the upper half of a float.
__device__ inline float from_element(int dtype, unsigned a) {
    switch (dtype) {
        case PXL_F32: return from_bits(a);
        case PXL_BF16: return from_bits(a << 16);
        case PXL_F16: return __half2float(__ushort_as_half(static_cast<unsigned short>(a)));
        default: return static_cast<float>(a);
    }
}
__device__ inline void convert(int dtype, Raw raw, bool packed, float (&out)[4]) {
    if (packed && dtype == PXL_U8) {
#pragma unroll
        for (int k = 3; k >= 0; k--) raw.v[k] = raw.v[0] >> 8 * k & 255;
    } else if (packed && dtype != PXL_F32) {
        raw.v[3] = raw.v[1] >> 16, raw.v[2] = raw.v[1] & 0xffff;
        raw.v[1] = raw.v[0] >> 16, raw.v[0] = raw.v[0] & 0xffff;
    }
    switch (dtype) { // one branch for all four
        case PXL_F32:
            for (int k = 0; k < 4; k++) out[k] = from_bits(raw.v[k]);
            break;
        case PXL_F16:
            for (int k = 0; k < 4; k++) out[k] = from_element(PXL_F16, raw.v[k]);
            break;
        case PXL_BF16:
            for (int k = 0; k < 4; k++) out[k] = from_element(PXL_BF16, raw.v[k]);
            break;
        default:
            for (int k = 0; k < 4; k++) out[k] = from_element(PXL_U8, raw.v[k]);
    }
}
// Of a view's elements, which integers may have in other units.
__device__ inline void convert(const View &v, Raw raw, bool packed, float (&out)[4]) {
    convert(v.dtype, raw, packed, out);
    if (v.most == 1) return;
#pragma unroll
    for (int k = 0; k < 4; k++) out[k] = in_units(v, out[k]);
}
// Elements 0 to `last` at p, p + v.stride[3], ..., in the view's units; the others are 0.
__device__ inline void load_quad(const View &v, const char *p, float (&to)[4], int last) {
    const bool packed = v.vector && last >= 3;
    convert(v, fetch(v, p, last, packed), packed, to);
}
// Stores elements 0 to `last` at p, p + v.stride[3], ...
__device__ inline void store_quad(const View &v, char *p, const float (&a)[4], int last) {
    View from = v;
    from.data = p;
    if (v.vector && last >= 3) {
        store4(from, 0, a);
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (k <= last) store(from, k * v.stride[3], a[k]);
}
// Adds what is there.
__device__ inline void load_and_add(const View &v, const char *p, float (&a)[4], int last) {
    float b[4];
    const bool packed = v.vector && last >= 3;
    convert(v.dtype, fetch(v, p, last, packed), packed, b);
#pragma unroll
    for (int k = 0; k < 4; k++) a[k] += b[k];
}

// The same of the elements from number `at` of a view on.
__device__ inline Raw fetch(const View &v, int64_t at, int last, bool packed) { return fetch(v, address(v, at), last, packed); }
__device__ inline void load_quad(const View &v, int64_t at, float (&to)[4], int last) { load_quad(v, address(v, at), to, last); }
__device__ inline void store_quad(const View &v, int64_t at, const float (&a)[4], int last) {
    store_quad(v, address(v, at), a, last);
}
__device__ inline void load_and_add(const View &v, int64_t at, float (&a)[4], int last) {
    load_and_add(v, address(v, at), a, last);
}

// ---- Axes -------------------------------------------------------------------------------------------------------------------
// VIEWS tensors of the same elements, outermost axis first; those without data are not looked at. apart: from one group of
// elements (an image, or all) to the next.
template <int VIEWS>
struct Axes {
    int64_t size[4];
    View view[VIEWS];
    int64_t apart[VIEWS];
};

inline int64_t distance(int64_t stride) { return stride < 0 ? -stride : stride ? stride : INT64_MAX; }
template <int VIEWS>
void swap_axes(Axes<VIEWS> &a, int i, int j) {
    std::swap(a.size[i], a.size[j]);
    for (View &v : a.view) std::swap(v.stride[i], v.stride[j]);
}
// Axis i and the one inside it as one, if every view lets them.
template <int VIEWS>
bool merge_axes(Axes<VIEWS> &a, int i) {
    for (const View &v : a.view)
        if (v.data && v.stride[i] != a.size[i + 1] * v.stride[i + 1]) return false;
    a.size[i + 1] *= a.size[i];
    for (; i > 0; i--) {
        a.size[i] = a.size[i - 1];
        for (View &v : a.view) v.stride[i] = v.stride[i - 1];
    }
    a.size[0] = 1;
    return true;
}
template <int VIEWS>
void set_vector(Axes<VIEWS> &a) {
    for (int k = 0; k < VIEWS; k++) {
        View &v = a.view[k];
        const int bytes = bytes_of(v.dtype);
        if (a.size[3] == 1) v.stride[3] = 1;
        v.vector = v.stride[3] == 1 && reinterpret_cast<uintptr_t>(v.data) % static_cast<unsigned>(4 * bytes) == 0;
        for (int i = 0; i < 3; i++) v.vector = v.vector && (a.size[i] == 1 || v.stride[i] % 4 == 0);
        v.vector = v.vector && a.apart[k] % 4 == 0;
    }
}
// Sorts the axes by the first view's strides and merges what can be merged.
template <int VIEWS>
void collapse(Axes<VIEWS> &a) {
    for (int i = 1; i < 4; i++)
        for (int j = i; j > 0; j--) {
            const bool outside = a.size[j - 1] > 1, out = a.size[j] == 1;
            if (outside && (out || distance(a.view[0].stride[j]) > distance(a.view[0].stride[j - 1]))) swap_axes(a, j, j - 1);
        }
    for (int i = 2; i >= 0;) {
        if (a.size[i] == 1) break;
        if (!merge_axes(a, i)) i--;
    }
    set_vector(a);
}
template <int VIEWS>
int64_t quads_of(const Axes<VIEWS> &a) {
    return a.size[0] * a.size[1] * a.size[2] * ((a.size[3] + 3) / 4);
}

// a / b for a and b up to `most`: a division of 64 bits takes several times as long.
__device__ inline int64_t divide(int64_t a, int64_t b, int64_t most) {
    return most < INT32_MAX ? static_cast<unsigned>(a) / static_cast<unsigned>(b) : a / b;
}
// A run of quads; quad number `start` of a group is the first.
struct Run {
    int64_t row, quad, per_row, rows;
};
template <int VIEWS>
__device__ Run run_from(const Axes<VIEWS> &a, int64_t start) {
    Run r = {0, start, (a.size[3] + 3) / 4, a.size[0] * a.size[1] * a.size[2]};
    if (r.rows > 1) r.row = start / r.per_row, r.quad = start % r.per_row;
    return r;
}
// A quad: its indices on the outer axes, its first element on the last, and the number of its last element, below 0 past the
// end.
struct Quad {
    int64_t outer[3], x;
    int last;
};
template <int VIEWS>
__device__ Quad quad_at(const Axes<VIEWS> &a, const Run &r, int64_t ahead) {
    Quad q = {{0, 0, r.row}, r.quad + ahead, -1};
    if (r.rows > 1) {
        const int64_t over = divide(q.x, r.per_row, q.x | r.per_row);
        q.x -= over * r.per_row, q.outer[2] += over;
    }
    const bool inside = q.outer[2] < r.rows;
    const int64_t left = a.size[3] - 1 - 4 * q.x;
    q.x *= 4;
    if (inside) q.last = left < 3 ? static_cast<int>(left < 0 ? -1 : left) : 3;
    if (a.size[1] > 1) { // size[0] is 1 if size[1] is
        const int64_t plane = divide(q.outer[2], a.size[2], r.rows);
        q.outer[2] -= plane * a.size[2];
        if (a.size[0] > 1) q.outer[0] = divide(plane, a.size[1], r.rows);
        q.outer[1] = plane - q.outer[0] * a.size[1];
    }
    return q;
}
template <int VIEWS>
__device__ int64_t offset_of(const Axes<VIEWS> &a, int view, const Quad &q, int64_t group) {
    const View &v = a.view[view];
    int64_t at = group * a.apart[view] + (v.vector ? q.x : q.x * v.stride[3]);
    if (a.size[2] > 1) at += q.outer[2] * v.stride[2];
    if (a.size[1] > 1) at += q.outer[0] * v.stride[0] + q.outer[1] * v.stride[1];
    return at;
}

} // namespace pxli
#endif
