// What is timed: one list. Every case is a loss, a type, and a size that also says how the images lie in memory.
#ifndef BENCH_CASES_H
#define BENCH_CASES_H
#include <cstdint>
#include <string>
#include <vector>

#include "pixloss/pixloss.h"

enum class Layout { nchw, nhwc, crop };

struct Case {
    std::string loss; // an expression; or "copy", the yardstick itself
    std::string dtype_name, size_name;
    bool gradient; // or the value alone

    pxl_dtype dtype;
    int64_t n, c, h, w;
    Layout layout;
    bool mask; // with a weight for each pixel
    bool both; // the gradient of the target too

    bool is_copy() const { return loss == "copy"; }
    int64_t elements() const { return n * c * h * w; }
    int64_t bytes() const; // of one image
    // "cpu/ssim(border=zero)/f32/1x3x1080x1920,nhwc/gradient"
    std::string name() const;
};

// The cases of a loss, `value` and `gradient`, and of the copy beside it.
// `size` is NxCxHxW and after it, in any order: ",nhwc" or ",crop" (rows and columns cut from a larger image, so that no row is
// aligned), ",mask" and ",both" (then there is no `value`). Throws std::invalid_argument.
std::vector<Case> cases_of(const std::string &loss, const std::string &dtype, const std::string &size);
std::vector<Case> default_cases();
#endif
