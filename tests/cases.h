// What the tests run: one list of terms, and the conditions under which each is evaluated. Every test that goes through terms
// takes them from here, so a new term or penalty is one line.
#ifndef TESTS_CASES_H
#define TESTS_CASES_H
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "device_buffer.h"
#include "oracle/oracle.h"
#include "pixloss/pixloss.h"

inline constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
inline constexpr double infinity = std::numeric_limits<double>::infinity();

// `term` in the expression language, without its weight.
std::string expression(const pxl_term &term);
std::string expression(const std::vector<pxl_term> &terms);

struct Spec {
    std::string family; // pixel, sobel, laplacian, tv, blur, mean, presets, ssim, parts, axes, ms_ssim
    pxl_term term;
};
const std::vector<Spec> &all_specs();
std::vector<pxl_term> specs_of(const std::string &family);
const std::vector<std::string> &all_families();
bool takes_mask(const pxl_term &term); // no mask goes with terms that average pixels first

// Parameters drawn at random: tests/random_term.cpp.
pxl_term random_term(std::mt19937 &random);

struct Shape {
    int64_t n, c, h, w;
};
void PrintTo(const Shape &shape, std::ostream *to); // for Google Test
const std::vector<Shape> &small_shapes();           // for full products
const std::vector<Shape> &all_shapes();             // for sampling

enum class Pattern { independent, noisy, smooth, sparse, equal_parts };
enum class Mask { none, binary, fractional, repeated, empty_image };
enum class Upstream { none, given };

struct Case {
    std::vector<pxl_term> terms;
    Shape shape{1, 1, 8, 8};
    pxl_dtype dtype = PXL_F32, grad_dtype = PXL_F32;
    bool mixed = false; // the target is of another type
    pxl_dtype other_dtype = PXL_F32;
    pxl_dtype target_dtype() const { return mixed ? other_dtype : dtype; }
    Layout pred_layout = Layout::nchw, target_layout = Layout::nchw, grad_layout = Layout::nchw, mask_layout = Layout::nchw;
    bool values = true, grad_pred = true, grad_target = false;
    bool values_f32 = false; // in place of the values or beside them
    bool accumulate = false; // gradients are added to initial_gradient()
    bool map = false, statistics = false, feature_map = false, pixel_map = false;
    pxl_target_use target_use = PXL_TARGET_PASSES;
    Mask mask = Mask::none;
    pxl_dtype mask_dtype = PXL_F32;
    bool per_image = false;
    Upstream upstream = Upstream::none;
    bool own_weights = false; // term_weights is given
    int threads = 1;
    int workspace_threads = 0; // the workspace is sized for so many; 0: for `threads`
    bool parsed = true;        // from the expression; otherwise from the array
    Pattern pattern = Pattern::noisy;
    uint32_t seed = 0;
};
std::string describe(const Case &test);

// A case whose every condition is drawn at random, among those that the manual allows together.
Case random_case(std::mt19937 &random);
// Draws layouts, wishes and threads anew; what the oracle computes stays the same.
void vary_delivery(Case &test, std::mt19937 &random);

// An integer target beside a floating pred is read times `range` / `most`; 1 and 1 else.
struct Unit {
    double range, most;
};
Unit target_unit(const Case &test);
// What the gradients of a case that accumulates hold before, exact in every type.
oracle::Image initial_gradient(const Shape &shape);
// Images of the case, rounded to its type; the weight map is empty for Mask::none, and N x 1 x H x W otherwise.
oracle::Inputs make_inputs(const Case &test);

// Thins out a slow list of cases: about one in n has its turn, scattered, so that a list which is a product keeps some of every
// factor; always the first. All of them in the long lists (PXLOSS_TEST_LISTS=long, scripts/test.sh --full); one in n + 6 in the
// short lists, for sanitizers.
bool lists_are(const char *length); // long or short
class Turn {
  public:
    explicit Turn(unsigned n);
    bool comes();

  private:
    uint32_t every_, count_ = 0;
};
#endif
