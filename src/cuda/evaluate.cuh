// A whole call as a sequence of launches; with a counting sequence, the bytes of its workspace.
#ifndef PXLI_EVALUATE_CUH
#define PXLI_EVALUATE_CUH
#include "sequence.cuh"

namespace pxli {

void evaluate(Sequence &s, pxli_call *call);
// The counter of finished blocks: first in every workspace, 0 between calls.
unsigned *take_ticket(Sequence &s);

} // namespace pxli
#endif
