// The reference: every term's value and exact gradient in float64 by the definition, slowly.
#ifndef ORACLE_ORACLE_H
#define ORACLE_ORACLE_H
#include "filter.h"
#include "image.h"
#include "structure.h"
#include "term.h"

namespace oracle {

struct Inputs {
    Image pred, target;
    Image weight;          // N x 1 x H x W, or empty
    double type_range = 1; // the data range of the images' type
    bool per_image = false;
    std::vector<double> grad_loss;    // empty: 1
    std::vector<double> term_weights; // empty: the terms' own
    double rounding = 0;              // of the implementation under test; see TermResult::slack
};

struct Result {
    // Rows of 1 + terms: the weighted total, then the terms. One row, or one per image. `scale`: what errors are relative to;
    // `value_slack`: what is allowed in addition.
    std::vector<double> values, scale, value_slack;
    Image grad_pred, grad_target, slack_pred, slack_target;
    Image map, statistics; // of the first windowed term, or empty
    Image pixel_map;       // of the first pixel term, or empty
};

Result evaluate(const std::vector<Term> &terms, const Inputs &inputs);

// What a term sees: 0 where the weight is 0, downsampled.
int downsample_factor(const Term &term, int64_t h, int64_t w);
// Whether at least one whole window fits.
bool fits(const Term &term, int64_t h, int64_t w);

} // namespace oracle
#endif
