// Copies between dtypes and layouts.
#include "passes.cuh"
#include "quad.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256, kBatch = 2; // quads a thread has under way

struct Copy {
    Axes<2> axes;  // from, to
    int64_t quads; // of a block
    bool add;
};

__global__ void __launch_bounds__(kThreads) copy_elements(const __grid_constant__ Copy c) {
    const View &from = c.axes.view[0], &to = c.axes.view[1];
    const Run run = run_from(c.axes, blockIdx.x * c.quads);
    for (int64_t done = 0; done < c.quads; done += kThreads * kBatch) {
        Quad q[kBatch];
        Raw raw[kBatch];
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
            const int64_t ahead = done + u * kThreads + threadIdx.x;
            q[u] = quad_at(c.axes, run, ahead);
            if (ahead >= c.quads) q[u].last = -1;
            raw[u] = fetch(from, offset_of(c.axes, 0, q[u], 0), q[u].last, from.vector && q[u].last >= 3);
        }
#pragma unroll
        for (int u = 0; u < kBatch; u++) {
            float a[4];
            convert(from.dtype, raw[u], from.vector && q[u].last >= 3, a);
            const int64_t at = offset_of(c.axes, 1, q[u], 0);
            if (c.add) load_and_add(to, at, a, q[u].last);
            store_quad(to, at, a, q[u].last);
        }
    }
}

} // namespace

void run_round(Sequence &s, const Evaluation &e, const View &from, const View &to, bool add) {
    Copy copy{};
    copy.axes = {{e.n, e.c, e.h, e.w}, {from, to}, {}}, copy.add = add;
    collapse(copy.axes);
    const int64_t quads = quads_of(copy.axes), batch = kThreads * kBatch, enough = 4096;
    copy.quads = batch * std::max<int64_t>(1, std::min<int64_t>(8, quads / (batch * enough)));
    s.launch("copy_elements", copy_elements, {divide_up(quads, copy.quads), kThreads, 0}, copy);
}

} // namespace pxli
