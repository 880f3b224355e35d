// One call that takes a workspace, on memory that is decoded already. What is refused has a message and leaves all memory as it was.
// What is not is computed, twice in memory that held something else, without an access or a write beside its views, without an
// allocation, and gives the same bits.
#ifndef FUZZ_CALL_H
#define FUZZ_CALL_H
#include <functional>

#include "scene.h"

struct Call {
    std::function<pxl_status(size_t *bytes)> size;
    std::function<pxl_status(void *workspace, size_t bytes)> run;
    bool size_checks_all = true; // what size() does not refuse, run() refuses for its workspace or its numbers alone
};
// With a workspace of exactly the size that was asked for, or one that is spoilt.
void try_call(Bytes &from, Scene &scene, const Call &call);
#endif
