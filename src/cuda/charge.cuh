// Charging differences: what the kernels read of a term, penalties and slopes of a few differences at once, and the sums.
#ifndef PXLI_CHARGE_CUH
#define PXLI_CHARGE_CUH
#include "terms.cuh"

namespace pxli {

struct alignas(16) Charge {
    int kind; // PXL_PIXEL for rmse and psnr too
    int penalty, border;
    bool eight, isotropic, own_counts;
    float param, scale, own[2]; // scale: of the gradient, 0: leave it alone; own: each component's share
};

// Of all slots of a pass, by the threads of a block whose images are `group`; ends with a barrier.
__device__ inline void read_charges(const Terms &t, const Finish &f, int64_t group, bool gradients, Charge *to) {
    for (int i = threadIdx.x; i < f.slots; i += blockDim.x) {
        const int k = f.term[i];
        const Term &term = t.term[k];
        Charge c;
        c.kind = pxli_is_on_pixels(term.kind) ? PXL_PIXEL : term.kind;
        c.penalty = term.penalty, c.border = term.border, c.eight = term.neighbours == 8;
        c.isotropic = term.isotropic, c.own_counts = term.own_counts;
        const double scale = gradients ? scale_of(t, k, group) : 0, lift = pxli_lift_of(is_function(term), scale);
        c.scale = to_float(scale / lift);
        c.param = is_function(term) ? static_cast<float>(lift) : term.param;
        for (int q = 0; q < 2; q++) c.own[q] = static_cast<float>(own_of(t, k, group, q));
        to[i] = c;
    }
    __syncthreads();
}

// value = penalty(d), and its slope in place of d. Four at a time, to keep few polynomials in registers at once.
template <int N>
__device__ void penalise(int penalty, float param, float (&d)[N], float (&value)[N]) {
    constexpr int most = N < 4 ? N : 4;
    static_assert(N % most == 0, "whole parts");
#pragma unroll
    for (int first = 0; first < N; first += most) {
        switch (penalty) {
#define CASE(ENUMERATOR, FUNCTION)                                     \
    case ENUMERATOR:                                                   \
        _Pragma("unroll") for (int k = first; k < first + most; k++) { \
            const pxli_charge charged = FUNCTION(d[k], param);         \
            value[k] = charged.value, d[k] = charged.slope;            \
        }                                                              \
        break;
            PXLI_PENALTIES(CASE)
#undef CASE
            default:
#pragma unroll
                for (int k = first; k < first + most; k++) value[k] = d[k] = 0;
        }
    }
}

// Adds a few values to a thread's sum: in float, or where that overflows in double.
template <int N>
__device__ void add_values(const float (&value)[N], double *to) {
    float sum = 0;
#pragma unroll
    for (int k = 0; k < N; k++) sum += value[k];
    double exact = sum;
    if (!(pxli_abs(sum) < PXLI_LARGEST)) {
        exact = 0;
        for (int k = 0; k < N; k++) exact += value[k];
    }
    *to += exact;
}

// Charges the first `count` of N differences of pixels by one term; adds its slopes to the gradients.
template <int N>
__device__ __forceinline__ void charge_pixels(const Charge &c, const float (&e)[N], int count, float (&pred)[N],
                                              float (&target)[N], double *sum) {
    float slope[N], value[N];
#pragma unroll
    for (int k = 0; k < N; k++) slope[k] = k < count ? e[k] : 0;
    penalise(c.penalty, c.param, slope, value);
#pragma unroll
    for (int k = 0; k < N; k++) {
        if (k >= count) value[k] = 0; // charbonnier charges a difference of 0
        const float step = c.scale == 0 ? 0 : c.scale * slope[k];
        pred[k] += step, target[k] -= step;
    }
    add_values(value, sum);
}

} // namespace pxli
#endif
