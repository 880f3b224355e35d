// What is timed: one list. Every case is a loss, a type, and a size that also says how the images lie in memory.
#ifndef BENCH_CASES_H
#define BENCH_CASES_H
#include <cstdint>
#include <string>
#include <vector>

#include "pixloss/pixloss.h"

enum class Layout { nchw, nhwc, crop };

struct Case {
    std::string device; // "cpu" or "cuda"
    // An expression; or an operator on pred alone: "reduce(sum)", "filter(blur,21)"; or a yardstick: "copy", a loop over two
    // arrays, "sweep", over one; or a yardstick without a size: "fma", the rate of multiply-adds, on cuda "memcpy",
    // cudaMemcpyAsync within the device.
    std::string loss;
    std::string dtype_name, size_name;
    bool gradient;     // or the value alone; of a filter: the adjoint
    std::string group; // in the default list: its heading in the table

    pxl_dtype dtype;
    int64_t n, c, h, w;
    Layout layout;
    bool mask;       // with a weight for each pixel
    bool both;       // the gradient of the target too
    bool accumulate; // the gradient is added to what is there
    bool mixed;      // target and gradients in f32, whatever pred is
    bool kept;       // the target's features are those of a call before
    bool map;        // pxl_args.map is computed, and nothing else
    bool statistics; // pxl_args.statistics likewise
    // On cuda, where a case's images take turns with copies of them, so that each run finds the L2 without its own:
    bool warm;  // without copies: what fits stays in the L2
    bool graph; // so too, and each run is the launch of a CUDA graph

    bool is_copy() const { return loss == "copy" || loss == "sweep"; }
    bool is_roof() const { return loss == "fma" || loss == "memcpy"; }
    bool is_reduction() const { return loss.rfind("reduce(", 0) == 0; }
    bool is_filter() const { return loss.rfind("filter(", 0) == 0; }
    bool is_expression() const { return !is_copy() && !is_roof() && !is_reduction() && !is_filter(); }
    bool reads_one() const; // one image, not the target
    bool wants_output() const { return map || statistics; }
    pxl_reduce_kind reduce_kind() const; // throws std::invalid_argument
    pxl_filter filter() const;           // throws std::invalid_argument
    int64_t elements() const { return n * c * h * w; }
    int64_t bytes() const; // of one image
    // "cpu/ssim(border=zero)/f32/1x3x1080x1920,nhwc/gradient"
    std::string name() const;
};

// The cases of a loss, `value` and `gradient`, and of the copy (sweep) beside it. `size` is NxCxHxW and after it, in any order:
// ",nhwc" or ",crop" (rows and columns cut from a larger image, so that no row is aligned), ",mask", ",both" (then there is no
// `value`), ",accumulate", ",mixed" (target and gradients in f32), ",kept" (the target's features in a network are), ",map" or
// ",statistics" (then there is no `gradient`); on cuda ",warm" or ",graph" (no `value`, no copy). Throws std::invalid_argument.
std::vector<Case> cases_of(const std::string &device, const std::string &loss, const std::string &dtype, const std::string &size);
std::vector<Case> default_cases(const std::string &device);
#endif
