// CUDA's device functions that g++ lacks, with CUDA's overloads, so that what compiles here compiles there. The approximate ones
// (__expf, __fdividef, ...) are the exact ones here.
#ifndef CUDA_HOST_INTRINSICS_H
#define CUDA_HOST_INTRINSICS_H
#include <math.h>
#include <stdlib.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "device.h"

namespace cuda_host {

template <class To, class From>
To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From), "of one size");
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

template <class T>
struct Value { // keeps an argument from deducing T
    using type = T;
};

// Relaxed, as CUDA's: they order nothing, and the thread sanitizer sees a plain access that races with one.
template <class T, class F>
T atomic_update(T *p, F update) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long> ||
                      std::is_same_v<T, float> || std::is_same_v<T, double>,
                  "a type of CUDA's atomics");
    T before, after;
    __atomic_load(p, &before, __ATOMIC_RELAXED);
    do after = update(before);
    while (!__atomic_compare_exchange(p, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
}

} // namespace cuda_host

template <class T>
T atomicAdd(T *p, typename cuda_host::Value<T>::type v) {
    return cuda_host::atomic_update(p, [v](T old) { return static_cast<T>(old + v); });
}
template <class T>
T atomicSub(T *p, typename cuda_host::Value<T>::type v) {
    return cuda_host::atomic_update(p, [v](T old) { return static_cast<T>(old - v); });
}
template <class T>
T atomicMax(T *p, typename cuda_host::Value<T>::type v) {
    static_assert(std::is_integral_v<T>, "integers only");
    return cuda_host::atomic_update(p, [v](T old) { return old < v ? v : old; });
}
template <class T>
T atomicMin(T *p, typename cuda_host::Value<T>::type v) {
    static_assert(std::is_integral_v<T>, "integers only");
    return cuda_host::atomic_update(p, [v](T old) { return v < old ? v : old; });
}
template <class T>
T atomicOr(T *p, typename cuda_host::Value<T>::type v) {
    return cuda_host::atomic_update(p, [v](T old) { return old | v; });
}
template <class T>
T atomicAnd(T *p, typename cuda_host::Value<T>::type v) {
    return cuda_host::atomic_update(p, [v](T old) { return old & v; });
}
template <class T>
T atomicExch(T *p, typename cuda_host::Value<T>::type v) {
    return cuda_host::atomic_update(p, [v](T) { return v; });
}
template <class T>
T atomicCAS(T *p, typename cuda_host::Value<T>::type expected, typename cuda_host::Value<T>::type v) {
    static_assert(std::is_integral_v<T>, "integers only");
    return cuda_host::atomic_update(p, [=](T old) { return old == expected ? v : old; });
}
inline unsigned atomicInc(unsigned *p, unsigned limit) {
    return cuda_host::atomic_update(p, [limit](unsigned old) { return old >= limit ? 0u : old + 1; });
}

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __trap(const char *file = __builtin_FILE(), int line = __builtin_LINE()) { cuda_host::stop("__trap", {file, line}); }

// Cached loads and stores
#define CUDA_HOST_LOAD(name) \
    template <class T>       \
    T name(const T *p) {     \
        return *p;           \
    }
#define CUDA_HOST_STORE(name)                               \
    template <class T>                                      \
    void name(T *p, typename cuda_host::Value<T>::type v) { \
        *p = v;                                             \
    }
CUDA_HOST_LOAD(__ldg)
CUDA_HOST_LOAD(__ldca)
CUDA_HOST_LOAD(__ldcg)
CUDA_HOST_LOAD(__ldcs)
CUDA_HOST_LOAD(__ldcv)
CUDA_HOST_LOAD(__ldlu)
CUDA_HOST_STORE(__stwb)
CUDA_HOST_STORE(__stcg)
CUDA_HOST_STORE(__stcs)
CUDA_HOST_STORE(__stwt)
#undef CUDA_HOST_LOAD
#undef CUDA_HOST_STORE

// min and max: the very overloads of CUDA's math_functions.hpp; other pairs are ambiguous there, and so here.
#define CUDA_HOST_MIN_MAX(R, A, B)                                                                                   \
    inline R min(A a, B b) { return static_cast<R>(b) < static_cast<R>(a) ? static_cast<R>(b) : static_cast<R>(a); } \
    inline R max(A a, B b) { return static_cast<R>(a) < static_cast<R>(b) ? static_cast<R>(b) : static_cast<R>(a); }
#define CUDA_HOST_INTEGER_MIN_MAX(T)                      \
    CUDA_HOST_MIN_MAX(T, T, T)                            \
    CUDA_HOST_MIN_MAX(unsigned T, unsigned T, unsigned T) \
    CUDA_HOST_MIN_MAX(unsigned T, T, unsigned T)          \
    CUDA_HOST_MIN_MAX(unsigned T, unsigned T, T)
CUDA_HOST_INTEGER_MIN_MAX(int)
CUDA_HOST_INTEGER_MIN_MAX(long)
CUDA_HOST_INTEGER_MIN_MAX(long long)
#undef CUDA_HOST_INTEGER_MIN_MAX
#undef CUDA_HOST_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(a, b); }
inline double max(float a, double b) { return fmax(a, b); }
inline double min(double a, float b) { return fmin(a, b); }
inline double max(double a, float b) { return fmax(a, b); }

// Single and double precision
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// Conversions
inline int __float_as_int(float x) { return cuda_host::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return cuda_host::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return cuda_host::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return cuda_host::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return cuda_host::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return cuda_host::bit_cast<double>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
inline unsigned __float2uint_rn(float x) { return static_cast<unsigned>(rintf(x)); }
inline unsigned __float2uint_rz(float x) { return static_cast<unsigned>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline int __double2int_rn(double x) { return static_cast<int>(rint(x)); }

// Integers
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __mul24(int a, int b) { return a * b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (x >> i & 1) << (31 - i);
    return reversed;
}
#endif
