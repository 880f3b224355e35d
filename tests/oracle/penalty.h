// How a difference is charged, and how uncertain the slope is when the difference is known only to +-error.
#ifndef ORACLE_PENALTY_H
#define ORACLE_PENALTY_H
#include "pixloss/pixloss.h"

namespace oracle {

struct Charge {
    double value, slope;
};
Charge charge(pxl_penalty penalty, double param, double d);
// How far the slope may move over [d - error, d + error]: where a penalty has a kink (l1 at 0) an implementation that rounds may
// rightly stand on the other side of it.
double slope_uncertainty(pxl_penalty penalty, double param, double d, double error);
// The same of the charge.
double value_uncertainty(pxl_penalty penalty, double param, double d, double error);

} // namespace oracle
#endif
