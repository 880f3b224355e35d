/* Filter taps and borders, in double, for every backend.
 *
 * A border mode extends a line of `size` pixels by an index map E: position p, inside or not, reads pixel E(p). A filter of
 * radius r is then  out[j] = sum_q w[q] in[E(j + q)],  and its adjoint  grad_in[i] = sum_j grad_out[j] sum over {q : E(j + q) =
 * i} of w[q]. E never moves two positions apart, so |i - j| <= r holds for both: near an edge a filter and its adjoint are the
 * same band of 2r + 1 taps as everywhere, only with other values. The two functions at the end give these values. */
#ifndef PXLI_WINDOW_H
#define PXLI_WINDOW_H
#include <stdbool.h>
#include <stdint.h>

#include "border.h"

/* `count` taps exp(-(k - centre)^2 / (2 sigma^2)), or all equal for sigma 0; they sum to 1. */
void pxli_window_taps(int count, double sigma, double *taps);
/* Rounds symmetric taps to float so that they still sum to 1, to about 5e-9: a sum of S would add (S - S^2) E[u]^2 to every
 * variance. */
void pxli_round_taps(int count, double *taps);
/* 2 int(3.5 sigma + 0.5) + 1, the truncation of scikit-image and torchmetrics. */
int pxli_window_size(double sigma);
/* Whether the taps differ near the edges: for reflect, replicate and symmetric. (Outside of a zero border a backend reads zeros.) */
static inline bool pxli_border_folds(pxl_border border) { return border == PXL_REPLICATE || pxli_border_mirrors(border); }
/* Taps at position j of the filter: out[k] multiplies pixel j - radius + k; 0 for pixels that do not exist. */
void pxli_forward_taps(const double *taps, int radius, pxl_border border, int64_t size, int64_t j, double *out);
/* Taps at pixel i of the adjoint: out[k] multiplies the map's position i - radius + k; 0 for positions that do not exist. */
void pxli_adjoint_taps(const double *taps, int radius, pxl_border border, int64_t size, int64_t i, double *out);
#endif
