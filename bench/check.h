// A case is timed only if its results are right.
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H
#include <string>

#include "evaluation.h"
#include "filtering.h"
#include "reduction.h"

// Runs `tested` and compares it with the library itself in f64 on the CPU, on dense images with the same pixels: the values to
// 1e-4 of the terms' sizes, each element of a map or of statistics to 1e-4 of the largest, of a gradient to 1e-3 of the largest
// plus the rounding of its type. "" if all is well, else what is not. (That f64 is right is what tests/ shows.)
std::string check_against_f64(const pxl_loss *loss, Evaluation &tested);
std::string check_against_f64(Reduction &tested); // the result to 1e-9
std::string check_against_f64(Filtering &tested); // each element to 1e-4 of the largest plus the rounding of its type
#endif
