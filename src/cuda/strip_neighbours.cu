// The strip kernel with terms on neighbouring pixels: see strip_neighbours.cuh. A file of its own, compiled beside strip.cu.
#include "strip_launch.cuh"

namespace pxli {
namespace strip {

template <Back BACK>
void run_neighbours(Sequence &s, const Evaluation &e, const Step &step, Args &g) {
    choose_width<kNeighboursRadius, BACK, NEIGHBOURS>(s, e, step, g);
}
template void run_neighbours<NONE>(Sequence &, const Evaluation &, const Step &, Args &);
template void run_neighbours<PRED>(Sequence &, const Evaluation &, const Step &, Args &);

} // namespace strip
} // namespace pxli
