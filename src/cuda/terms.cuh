// A call's terms as kernels see them: scales of gradients, and how a pass's sums become values.
//
// A block leaves the sums of its terms, in double, at its own place; the block that finishes last adds them in the order of the
// blocks, and after the last pass of a call writes the values. So no result depends on the number of multiprocessors.
#ifndef PXLI_TERMS_CUH
#define PXLI_TERMS_CUH
#include "view.cuh"

namespace pxli {

struct Term { // small: 32 of them are parameters of every kernel
    pxl_term_kind kind : 8;
    pxl_penalty penalty : 8; // of rmse and psnr: l2
    pxl_reduction reduction : 8;
    pxl_border border : 8;
    unsigned char neighbours;
    bool isotropic, own_counts, mean_of_images : 1, root : 1;
    float param, alpha, beta, gamma; // param: the penalty's
    double weight, eps;              // eps: psnr's
    double k1, k2;
    // Where they are known before the call; else they are in Terms's tables.
    double norm, own[2], range;
};

struct Terms {
    int count;      // of the loss
    int64_t images; // N
    int64_t groups; // of images that are summed apart: N, or 1
    int per_image, channels;
    const float *weights, *upstream;    // the caller's term_weights and grad_loss, on the device; NULL
    double *norm, *scale, *range, *own; // [images][count], own [images][count][2]; NULL: from `term`
    double *sums;                       // [groups][count], before any norm
    double *values;                     // the caller's, or in the workspace; NULL
    float *values_f32;                  // the caller's; NULL
    Term term[PXLI_MAX_TERMS];
};

static_assert(sizeof(Terms) <= 3072, "kernels take 4096 bytes of parameters");

__device__ inline double norm_of(const Terms &t, int k, int64_t n) { return t.norm ? t.norm[n * t.count + k] : t.term[k].norm; }
__device__ inline double range_of(const Terms &t, int k, int64_t n) {
    return t.range ? t.range[n * t.count + k] : t.term[k].range;
}
// tv with own_counts: what turns the norm of all pixels into that of component q; else 1.
__device__ inline double own_of(const Terms &t, int k, int64_t n, int q) {
    return !t.term[k].own_counts ? 1 : t.own ? t.own[2 * (n * t.count + k) + q] : t.term[k].own[q];
}
__device__ inline double weight_of(const Terms &t, int k) {
    return t.weights ? static_cast<double>(t.weights[k]) : t.term[k].weight;
}
__device__ inline double upstream_of(const Terms &t, int64_t n) {
    return t.upstream ? static_cast<double>(t.upstream[t.per_image ? n : 0]) : 1.0;
}
__device__ inline bool is_function(const Term &term) { return pxli_is_function_of_mean(term.kind, term.root); }
// Of an image's value in that of the batch; 1 where it is not a mean of the images'.
__device__ inline double share_of(const Terms &t, int k) {
    return t.term[k].mean_of_images && !t.per_image ? 1 / static_cast<double>(t.images) : 1;
}
// d total / d sum of image n. 0: leave the gradient alone.
__device__ inline double scale_of(const Terms &t, int k, int64_t n) {
    if (t.scale) return t.scale[n * t.count + k];
    const double weight = weight_of(t, k);
    return weight == 0 ? 0 : weight * upstream_of(t, n) * t.term[k].norm * share_of(t, k);
}
// A scale as float: what is finite stays so, since infinity times 0 is NaN.
__device__ inline float to_float(double a) {
    const double largest = 3.4028234663852886e38;
    return a - a != 0     ? static_cast<float>(a)
           : a > largest  ? 3.4028234e38f
           : a < -largest ? -3.4028234e38f
                          : static_cast<float>(a);
}

// Of one pass: its terms, and where its blocks leave their sums. Several launches may share a pass: `first` is a launch's first
// block among all `blocks` of the pass. Blocks are in the order of their images.
struct Finish {
    double *partials; // [slots][blocks]
    unsigned *ticket; // 0 between passes
    int64_t blocks, first;
    int slots;
    bool values;                        // the last pass of the call
    unsigned char term[PXLI_MAX_TERMS]; // of each slot
};

// Of v of all threads; the same tree every time. Valid in thread 0. `scratch`: THREADS / 32 doubles of shared memory.
template <int THREADS, class Combine>
__device__ double combine_block(double v, double *scratch, Combine combine) {
    v = combine_warp(v, combine);
    __syncthreads();
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int i = 1; i < THREADS / 32; i++) v = combine(v, scratch[i]);
    return v;
}
template <int THREADS>
__device__ double block_sum(double v, double *scratch) {
    return combine_block<THREADS>(v, scratch, Add{});
}

// Whether this block is the last of `blocks` to come here, and so sees what all of them wrote: their threads 0, or others before
// a barrier. `ticket` is 0 before, and to be set to 0 after; `last` is in shared memory.
__device__ inline bool is_last_block(unsigned *ticket, int64_t blocks, bool *last) {
    if (threadIdx.x == 0) {
        __threadfence();
        *last = atomicAdd(ticket, 1u) == static_cast<unsigned>(blocks - 1);
    }
    __syncthreads();
    if (*last) __threadfence();
    return *last;
}

// The sums of a pass: of each group of images and slot, over the group's blocks in a fixed order.
template <int THREADS>
__device__ void add_partials(const Finish &f, const Terms &t, double *scratch) {
    const int64_t each = f.blocks / t.groups, pairs = t.groups * f.slots;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const bool whole = pairs < THREADS / 32; // few sums: all threads on each
    for (int64_t i = whole ? 0 : warp; i < pairs; i += whole ? 1 : THREADS / 32) {
        const int64_t group = i / f.slots;
        const int slot = static_cast<int>(i % f.slots);
        const double *from = f.partials + slot * f.blocks + group * each;
        double sum = 0;
        for (int64_t b = whole ? threadIdx.x : lane; b < each; b += whole ? THREADS : 32) sum += __ldcg(from + b);
        sum = whole ? block_sum<THREADS>(sum, scratch) : warp_sum(sum);
        if (whole ? threadIdx.x == 0 : lane == 0) t.sums[group * t.count + f.term[slot]] = sum;
    }
}

// Term k's value for image n, or with groups = 1 for the batch.
__device__ inline double value_of(const Terms &t, int k, int64_t n) {
    const Term &term = t.term[k];
    const double mean = __ldcg(t.sums + n * t.count + k) * norm_of(t, k, n);
    return is_function(term) ? pxli_function_of_mean(term.kind, term.eps, range_of(t, k, n), mean) : mean;
}
// Of the batch, where the images were summed apart; one warp.
__device__ inline double batch_value(const Terms &t, int k) {
    const Term &term = t.term[k];
    const bool function = is_function(term), of_batch = function && !term.mean_of_images;
    double sum = 0;
    for (int64_t n = threadIdx.x % 32; n < t.images; n += 32)
        sum += of_batch ? __ldcg(t.sums + n * t.count + k) : value_of(t, k, n);
    sum = warp_sum(sum);
    if (of_batch) return pxli_function_of_mean(term.kind, term.eps, range_of(t, k, 0), sum * norm_of(t, k, 0));
    return term.mean_of_images ? sum / static_cast<double>(t.images) : sum;
}
__device__ inline void write_total(const Terms &t, double *row) {
    double total = 0;
    for (int k = 0; k < t.count; k++) {
        const double weight = weight_of(t, k);
        if (weight != 0) total += weight * row[1 + k];
    }
    row[0] = total;
}
template <int THREADS>
__device__ void write_exact_values(const Terms &t) {
    if (t.per_image || t.groups == 1) {
        for (int64_t n = threadIdx.x; n < (t.per_image ? t.images : 1); n += THREADS) {
            double *row = t.values + n * (t.count + 1);
            for (int k = 0; k < t.count; k++) row[1 + k] = value_of(t, k, n);
            write_total(t, row);
        }
        return;
    }
    for (int k = threadIdx.x / 32; k < t.count; k += THREADS / 32) {
        const double value = batch_value(t, k);
        if (threadIdx.x % 32 == 0) t.values[1 + k] = value;
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) write_total(t, t.values);
}
template <int THREADS>
__device__ void write_values(const Terms &t) {
    write_exact_values<THREADS>(t);
    if (!t.values_f32) return;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < (t.per_image ? t.images : 1) * (t.count + 1); i += THREADS)
        t.values_f32[i] = static_cast<float>(t.values[i]);
}

// Every block of a pass ends with this. mine: [slots][THREADS] in shared memory, each thread's own sums.
template <int THREADS>
__device__ void finish(const Finish &f, const Terms &t, const double *mine) {
    PXLI_SHARED(double, scratch, [THREADS / 32]);
    PXLI_SHARED(bool, last, [1]);
    __syncthreads();
    for (int k = threadIdx.x / 32; k < f.slots; k += THREADS / 32) {
        double sum = 0;
        for (int i = threadIdx.x % 32; i < THREADS; i += 32) sum += mine[k * THREADS + i];
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0) f.partials[k * f.blocks + f.first + blockIdx.x] = sum;
    }
    __syncthreads();
    if (!is_last_block(f.ticket, f.blocks, last)) return;
    add_partials<THREADS>(f, t, scratch);
    __threadfence();
    __syncthreads();
    if (f.values && t.values) write_values<THREADS>(t);
    if (threadIdx.x == 0) *f.ticket = 0;
}

} // namespace pxli
#endif
