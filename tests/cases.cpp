#include "cases.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "dtype.h"

void PrintTo(const Shape &shape, std::ostream *to) { *to << shape.n << 'x' << shape.c << 'x' << shape.h << 'x' << shape.w; }

const std::vector<Shape> &small_shapes() {
    static const std::vector<Shape> shapes = {{1, 1, 1, 1}, {1, 2, 1, 19},  {1, 1, 17, 1},  {2, 3, 5, 7},
                                              {1, 1, 3, 2}, {2, 1, 15, 17}, {1, 3, 16, 16}, {1, 1, 35, 41}};
    return shapes;
}

const std::vector<Shape> &all_shapes() {
    static const std::vector<Shape> shapes = {
        {1, 1, 1, 1},   {2, 1, 1, 1},    {1, 3, 1, 2},    {1, 1, 2, 1},   {1, 1, 1, 97},   {2, 2, 83, 1},   {1, 1, 2, 2},
        {5, 1, 3, 3},   {1, 7, 4, 9},    {1, 1, 11, 11},  {2, 3, 10, 12}, {1, 1, 12, 10},  {1, 3, 15, 15},  {2, 1, 16, 16},
        {1, 1, 17, 17}, {1, 1, 63, 64},  {1, 1, 65, 63},  {1, 1, 64, 65}, {1, 3, 37, 53},  {2, 1, 67, 131}, {1, 1, 31, 127},
        {5, 3, 13, 29}, {1, 7, 23, 19},  {1, 1, 13, 250}, {1, 1, 5, 257}, {1, 1, 12, 511}, {1, 1, 11, 513}, {1, 1, 3, 1100},
        {1, 1, 300, 5}, {1, 1, 513, 11}, {1, 1, 700, 3},  {1, 1, 257, 13}};
    return shapes;
}

namespace {

template <typename T>
const T &pick(const std::vector<T> &from, std::mt19937 &random) {
    return from[random() % from.size()];
}
bool chance(std::mt19937 &random, unsigned one_in) { return random() % one_in == 0; }

Layout random_layout(std::mt19937 &random) { return all_layouts[random() % std::size(all_layouts)]; }

double uniform(std::mt19937 &random) { return random() / 4294967296.0; }

// Few pixels x taps^2 keep the oracle fast; larger products go to the slow list by their number, not by their size.
double cost(const pxl_term &term, const Shape &shape) {
    const oracle::Term resolved = oracle::resolve(term);
    const bool filtered = resolved.kind == PXL_BLUR || resolved.kind >= PXL_SSIM;
    return static_cast<double>(shape.n * shape.c * shape.h * shape.w) *
           (filtered ? static_cast<double>(resolved.window_y) * resolved.window_x : 9);
}

void draw_terms(Case &test, std::mt19937 &random) {
    const size_t count = chance(random, 2) ? 1 : 2 + random() % 3;
    while (test.terms.size() < count) {
        pxl_term term = chance(random, 3) ? random_term(random) : pick(all_specs(), random).term;
        if (cost(term, test.shape) > 3e6 || !oracle::fits(oracle::resolve(term), test.shape.h, test.shape.w)) continue;
        term.weight = chance(random, 6) ? 0 : std::round((uniform(random) * 4 - 1.5) * 1024) / 1024;
        test.terms.push_back(term);
    }
}

bool charges_pixels(const Case &test) {
    return std::any_of(test.terms.begin(), test.terms.end(), [](const pxl_term &term) { return term.kind == PXL_PIXEL; });
}
bool all_take_masks(const Case &test) { return std::all_of(test.terms.begin(), test.terms.end(), takes_mask); }

// Integers only if the terms agree on their range.
void draw_mixed(Case &test, std::mt19937 &random) {
    double range = 0;
    bool same = true;
    for (const pxl_term &term : test.terms) {
        const double own = oracle::resolve(term).data_range;
        same = same && (own <= 0 || range == 0 || own == range);
        if (own > 0) range = own;
    }
    static const pxl_dtype types[] = {PXL_F32, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};
    test.other_dtype = types[random() % (same ? 5 : 3)];
    test.mixed = is_floating(test.dtype) && chance(random, 4) && test.other_dtype != test.dtype;
}
void draw_types(Case &test, std::mt19937 &random) {
    static const std::vector<pxl_dtype> types = {PXL_F32, PXL_F32, PXL_F32, PXL_F64, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};
    test.dtype = pick(types, random);
    test.mask_dtype = test.dtype == PXL_F64 && chance(random, 2) ? PXL_F64 : PXL_F32;
    draw_mixed(test, random);
    const auto mask = static_cast<Mask>(random() % 5);
    test.mask = !all_take_masks(test) || chance(random, 2) ? Mask::none : mask;
    test.pattern = static_cast<Pattern>(random() % 5);
}

} // namespace

void vary_delivery(Case &test, std::mt19937 &random) {
    test.pred_layout = random_layout(random);
    test.target_layout = random_layout(random);
    test.grad_layout = random_layout(random);
    test.mask_layout = random_layout(random);
    static const pxl_dtype gradients[] = {PXL_F32, PXL_F16, PXL_BF16};
    test.grad_dtype = chance(random, 2) && is_floating(test.dtype) ? test.dtype : gradients[random() % 3];
    const unsigned wishes = is_floating(test.dtype) ? random() % 5 : 0;
    test.grad_pred = wishes == 1 || wishes == 3 || wishes == 4;
    test.grad_target = (wishes == 2 || wishes == 3) && is_floating(test.target_dtype());
    test.grad_pred = test.grad_pred || (wishes == 2 && !test.grad_target);
    test.values = wishes == 0 || !chance(random, 3);
    test.values_f32 = chance(random, 5);
    test.threads = 1 + static_cast<int>(random() % 3);
    test.parsed = chance(random, 2);
}

Case random_case(std::mt19937 &random) {
    Case test;
    test.shape = pick(all_shapes(), random);
    draw_terms(test, random);
    draw_types(test, random);
    test.per_image = chance(random, 3);
    test.upstream = chance(random, 3) ? Upstream::given : Upstream::none;
    test.own_weights = chance(random, 4);
    test.accumulate = is_floating(test.dtype) && chance(random, 5);
    test.pixel_map = charges_pixels(test) && chance(random, 4);
    test.seed = static_cast<uint32_t>(random());
    vary_delivery(test, random);
    return test;
}

namespace {

double normal(std::mt19937 &random) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform(random);
    return sum;
}

// One pixel pair in [0, 1], or nearly so.
void draw_pixel(Pattern pattern, int64_t y, int64_t x, std::mt19937 &random, double &pred, double &target) {
    const double wave = 0.5 + 0.25 * std::sin(0.31 * static_cast<double>(x) + 0.17 * static_cast<double>(y)) +
                        0.2 * std::cos(0.23 * static_cast<double>(y));
    target = pattern == Pattern::smooth ? wave : uniform(random);
    pred = uniform(random);
    if (pattern == Pattern::noisy) pred = target + 0.1 * normal(random);
    if (pattern == Pattern::smooth) pred = wave + 0.02 * normal(random) + 0.05;
    if (pattern == Pattern::sparse) target = chance(random, 4) ? target : 0, pred = chance(random, 4) ? pred : target * 0.5;
    if (pattern == Pattern::equal_parts && chance(random, 3)) pred = target;
}

// As the library computes them, in f32 but for f64 images.
double in_units(const Case &test, double stored) {
    const Unit unit = target_unit(test);
    if (unit.most == 1) return stored;
    if (test.dtype == PXL_F64) return stored * unit.range / unit.most;
    return static_cast<float>(stored) * static_cast<float>(unit.range) / static_cast<float>(unit.most);
}
double quantised(pxl_dtype dtype, double value) {
    if (is_floating(dtype)) return round_to(dtype, value);
    const double top = dtype == PXL_U8 ? 255 : 65535;
    return std::round(std::min(1.0, std::max(0.0, value)) * top);
}

void fill_images(const Case &test, std::mt19937 &random, oracle::Inputs &inputs) {
    const Shape &s = test.shape;
    inputs.pred = inputs.target = oracle::Image(s.n, s.c, s.h, s.w);
    for (int64_t n = 0; n < s.n; ++n)
        for (int64_t c = 0; c < s.c; ++c)
            for (int64_t y = 0; y < s.h; ++y)
                for (int64_t x = 0; x < s.w; ++x) {
                    double pred, target;
                    draw_pixel(test.pattern, y, x, random, pred, target);
                    inputs.pred.at(n, c, y, x) = quantised(test.dtype, pred);
                    inputs.target.at(n, c, y, x) = in_units(test, quantised(test.target_dtype(), target));
                }
}

void fill_mask(const Case &test, std::mt19937 &random, oracle::Image &weight) {
    const Shape &s = test.shape;
    weight = oracle::Image(s.n, 1, s.h, s.w);
    for (double &w : weight.v) w = chance(random, 3) ? 0 : test.mask == Mask::binary ? 1 : std::round(uniform(random) * 64) / 16;
    if (test.mask == Mask::empty_image) oracle::put_slice(weight, s.n - 1, oracle::Image(1, 1, s.h, s.w));
    if (test.mask == Mask::repeated)
        for (int64_t n = 1; n < s.n; ++n) oracle::put_slice(weight, n, oracle::slice(weight, 0));
}

} // namespace

Unit target_unit(const Case &test) {
    if (!test.mixed || is_floating(test.other_dtype)) return {1, 1};
    double range = 1;
    for (const pxl_term &term : test.terms) {
        const double own = oracle::resolve(term).data_range;
        if (own > 0) range = own;
    }
    return {range, test.other_dtype == PXL_U8 ? 255.0 : 65535.0};
}

oracle::Image initial_gradient(const Shape &shape) {
    oracle::Image image(shape.n, shape.c, shape.h, shape.w);
    for (size_t i = 0; i < image.v.size(); ++i) image.v[i] = std::ldexp(static_cast<double>(i * 37 % 17) - 8, -13);
    return image;
}

oracle::Inputs make_inputs(const Case &test) {
    std::mt19937 random(test.seed + 1);
    oracle::Inputs inputs;
    fill_images(test, random, inputs);
    if (test.mask != Mask::none) fill_mask(test, random, inputs.weight);
    inputs.type_range = test.dtype == PXL_U8 ? 255 : test.dtype == PXL_U16 ? 65535 : 1;
    inputs.per_image = test.per_image;
    if (test.upstream == Upstream::given)
        for (int64_t n = 0; n < (test.per_image ? test.shape.n : 1); ++n)
            inputs.grad_loss.push_back(std::round((uniform(random) * 4 - 2) * 256) / 256);
    if (test.own_weights)
        for (size_t i = 0; i < test.terms.size(); ++i)
            inputs.term_weights.push_back(chance(random, 5) ? 0 : std::round((uniform(random) * 3 - 1) * 256) / 256);
    return inputs;
}

bool Turn::comes() {
    const uint32_t scattered = count_++ * 2654435761u; // Knuth's multiplicative hash
    return (scattered >> 16) % every_ == 0;
}

bool lists_are(const char *length) {
    const char *lists = std::getenv("PXLOSS_TEST_LISTS");
    return lists && lists == std::string(length);
}

Turn::Turn(unsigned n) : every_(n) {
    if (lists_are("long")) every_ = 1;
    if (lists_are("short")) every_ += 6;
}

std::string describe(const Case &test) {
    static const char *const patterns[] = {"independent", "noisy", "smooth", "sparse", "equal_parts"};
    static const char *const masks[] = {"none", "binary", "fractional", "repeated", "empty_image"};
    std::ostringstream text;
    const Shape &s = test.shape;
    text << expression(test.terms) << "\n  shape " << s.n << 'x' << s.c << 'x' << s.h << 'x' << s.w << ' '
         << dtype_name(test.dtype) << (test.mixed ? std::string(" beside ") + dtype_name(test.other_dtype) : "") << " gradients "
         << (test.grad_pred ? "pred " : "") << (test.grad_target ? "target " : "") << dtype_name(test.grad_dtype)
         << (test.accumulate ? " accumulated" : "") << (test.values ? " values" : "") << (test.values_f32 ? " values_f32" : "")
         << (test.pixel_map ? " pixel_map" : "") << "\n  layouts pred " << layout_name(test.pred_layout) << " target "
         << layout_name(test.target_layout) << " gradients " << layout_name(test.grad_layout) << " mask "
         << masks[static_cast<int>(test.mask)] << ' ' << layout_name(test.mask_layout) << ' ' << dtype_name(test.mask_dtype)
         << "\n  per_image " << test.per_image << " grad_loss " << (test.upstream == Upstream::given) << " term_weights "
         << test.own_weights << " threads " << test.threads << (test.parsed ? " parsed" : " created") << " pattern "
         << patterns[static_cast<int>(test.pattern)] << " seed " << test.seed;
    return text.str();
}
