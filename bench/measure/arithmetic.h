// Counts the multiply-adds of a loss by its formulas, not by what the library executes. bench/README.md, "of_fma", has the
// formulas.
#ifndef BENCH_MEASURE_ARITHMETIC_H
#define BENCH_MEASURE_ARITHMETIC_H
#include <string>
#include <vector>

namespace measure {

// Per pixel (element of one channel) for terms named as by pxl_loss_term_name(), and the gradients of 0, 1 or 2 images. 0: no
// useful count, as for a loss on pixels alone, or with terms in a network or over averaged blocks.
double multiply_adds(const std::vector<std::string> &terms, int gradients);
// Per pixel for the statistics of a windowed term; 0: no useful count.
double multiply_adds_of_statistics(const std::string &term);
// Per pixel for one blur, forward or adjoint.
constexpr double multiply_adds_of_blur(int taps) { return 2.0 * taps; }
// Taps of a loss that is one blur; 0 for any other loss.
int blur_taps(const std::vector<std::string> &terms);

} // namespace measure
#endif
