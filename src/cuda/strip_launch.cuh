// How the strip kernel is launched: all sizes by shape alone, and code for the device at hand.
#ifndef PXLI_STRIP_LAUNCH_CUH
#define PXLI_STRIP_LAUNCH_CUH
#include <cmath>

#include "strip_march.cuh"

namespace pxli {
namespace strip {

// Rows of a segment. The blocks of a multiprocessor share its issue slots, so the time is that of the fullest of them, times the
// rows that a block marches; one block alone leaves some of the slots empty. Of a nominal device: the shape alone decides.
inline int64_t rows_for(int64_t blocks_a_row, int64_t h, int halo, int batch) {
    constexpr int64_t multiprocessors = 132, most = 512;
    constexpr double alone = 1.8, start_rows = 16; // what beginning and ending a block cost, in rows
    int64_t best = h;
    double least = INFINITY;
    for (int64_t segments = 1; segments <= std::min(divide_up(h, 4), most); segments++) {
        const int64_t rows = divide_up(h, segments), marched = divide_up(rows + halo, batch) * batch;
        const double fullest = static_cast<double>(divide_up(blocks_a_row * divide_up(h, rows), multiprocessors));
        const double cost = std::max(fullest, alone) * (static_cast<double>(marched) + start_rows);
        if (cost < least) least = cost, best = rows;
    }
    return best;
}
template <class K>
size_t shared_bytes(int slots) {
    return (4 * K::map + 2 * K::ring + K::near) * sizeof(float) + K::T * sizeof(float2) +
           static_cast<size_t>(slots) * K::T * sizeof(double);
}
template <class K>
void start(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    g.strips = divide_up(e.w, K::out);
    g.rows = rows_for(g.strips * e.n * e.c, e.h, 2 * K::score_halo + 2 * K::R, K::B);
    g.segments = divide_up(e.h, g.rows);
    const int64_t blocks = g.strips * g.segments * e.n * e.c;
    const Finish f = finish_of(s, e, step, blocks);
    const Shape shape = {blocks, K::T, shared_bytes<K>(step.count)};
    s.launch("strip", march<K::R, K::BACK, K::OTHERS, K::WIDTH>, shape, g, e.terms, f);
}
template <int R, Back BACK, Others OTHERS, int WIDTH>
void choose_size(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    if (size_for(s.compiled_for("strip", march<R, BACK, OTHERS, WIDTH>)) == LARGE)
        start<Config<R, BACK, OTHERS, WIDTH, LARGE>>(s, e, step, g);
    else
        start<Config<R, BACK, OTHERS, WIDTH, SMALL>>(s, e, step, g);
}
template <int R, Back BACK, Others OTHERS>
void choose_width(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    const bool wide = g.x.vector && g.y.vector && e.w % 4 == 0;
    wide ? choose_size<R, BACK, OTHERS, 4>(s, e, step, g) : choose_size<R, BACK, OTHERS, 1>(s, e, step, g);
}

} // namespace strip
} // namespace pxli
#endif
