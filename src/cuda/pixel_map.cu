// The charges of single pixels.
#include "charge.cuh"
#include "passes.cuh"
#include "quad.cuh"

namespace pxli {
namespace {

constexpr int kThreads = 256;
enum { PRED, TARGET, WEIGHT, MAP };

struct PixelMap {
    Axes<4> axes;
    int64_t quads;
    int penalty;
    float param;
};

__device__ void read_quad(const PixelMap &m, int view, const Quad &q, float (&to)[4]) {
    load_quad(m.axes.view[view], offset_of(m.axes, view, q, 0), to, q.last);
}
__global__ void __launch_bounds__(kThreads) map_charges(const __grid_constant__ PixelMap m) {
    const Quad q = quad_at(m.axes, run_from(m.axes, static_cast<int64_t>(blockIdx.x) * kThreads), threadIdx.x);
    if (q.last < 0) return;
    float x[4], y[4], w[4] = {1, 1, 1, 1}, value[4];
    read_quad(m, PRED, q, x), read_quad(m, TARGET, q, y);
    if (m.axes.view[WEIGHT].data) read_quad(m, WEIGHT, q, w);
#pragma unroll
    for (int k = 0; k < 4; k++) x[k] = w[k] != 0 ? x[k] - y[k] : 0;
    penalise(m.penalty, m.param, x, value);
#pragma unroll
    for (int k = 0; k < 4; k++) value[k] *= w[k];
    store_quad(m.axes.view[MAP], offset_of(m.axes, MAP, q, 0), value, q.last);
}

} // namespace

void run_pixel_map(Sequence &s, const Evaluation &e) {
    const pxli_term *term = e.call->charged;
    PixelMap m{};
    m.axes = {{e.n, e.c, e.h, e.w}, {e.pred, e.target, e.weight, view_of(e.call->args->pixel_map)}, {}};
    m.axes.view[WEIGHT].stride[1] = 0;
    collapse(m.axes);
    m.quads = quads_of(m.axes), m.penalty = term->penalty, m.param = static_cast<float>(term->param);
    s.launch("map_charges", map_charges, {divide_up(m.quads, kThreads), kThreads, 0}, m);
}

} // namespace pxli
