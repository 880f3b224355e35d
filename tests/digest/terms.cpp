// Cases of losses without networks. Each case draws its conditions by its own text, so a new term
// does not change the cases of other terms.
#include <cmath>
#include <iterator>
#include <limits>

#include "digest.h"
#include "make_case.h"

namespace {

constexpr pxl_dtype dtypes[] = {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};
constexpr uint32_t sampled_seed = 90210;
constexpr int sampled_cases = 400;
constexpr uint32_t mixes_seed = 90211;
constexpr int mixed_cases = 300;

// Random numbers that depend on the text alone.
class Draws {
  public:
    explicit Draws(const std::string &text) : random_(number_of(text)) {}
    uint32_t below(size_t count) { return static_cast<uint32_t>(random_() % count); }
    Layout layout() { return all_layouts[below(std::size(all_layouts))]; }

  private:
    std::mt19937 random_;
};

bool fits(const std::vector<pxl_term> &terms, const Shape &shape) {
    for (const oracle::Term &term : resolve_all(terms))
        if (!oracle::fits(term, shape.h, shape.w)) return false;
    return true;
}

// A shape that the term accepts; the last one, if it accepts none.
Shape draw_shape(const pxl_term &term, const std::vector<Shape> &shapes, Draws &draws) {
    std::vector<Shape> possible;
    for (const Shape &shape : shapes)
        if (fits({term}, shape)) possible.push_back(shape);
    if (possible.empty()) return shapes.back();
    return possible[draws.below(possible.size())];
}

Case drawn_case(const pxl_term &term, const Shape &shape, pxl_dtype dtype, Draws &draws) {
    Case test = make_case({term}, shape, dtype);
    test.seed = draws.below(1000);
    test.pattern = static_cast<Pattern>(draws.below(5));
    test.threads = 1 + static_cast<int>(draws.below(2));
    return test;
}

void draw_outputs(Case &test, Draws &draws) {
    const uint32_t wanted = draws.below(4);
    if (wanted == 1) test.grad_target = false;
    if (wanted == 2) test.grad_pred = false;
    if (wanted == 3) test.grad_pred = test.grad_target = false;
}

void draw_layouts(Case &test, Draws &draws) {
    test.pred_layout = draws.layout();
    test.target_layout = draws.layout();
    test.grad_layout = draws.layout();
    test.mask_layout = draws.layout();
}

enum Variant { PLAIN, MASKED, PER_IMAGE, VARIANTS };

void set_variant(Case &test, Variant variant, Draws &draws) {
    if (variant == PLAIN) return;
    draw_layouts(test, draws);
    if (variant == MASKED) test.mask = static_cast<Mask>(1 + draws.below(4));
    if (variant != PER_IMAGE) return;
    test.per_image = true;
    test.upstream = Upstream::given;
    test.own_weights = true;
    test.parsed = false;
    test.grad_dtype = PXL_F32;
}

} // namespace

void add_terms(Digest &digest) {
    for (const Spec &spec : all_specs())
        for (const pxl_dtype dtype : dtypes)
            for (int variant = 0; variant < VARIANTS; ++variant) {
                Draws draws(expression(spec.term) + dtype_name(dtype) + std::to_string(variant));
                Case test = drawn_case(spec.term, draw_shape(spec.term, small_shapes(), draws), dtype, draws);
                set_variant(test, static_cast<Variant>(variant), draws);
                digest.add(test);
            }
}

void add_shapes(Digest &digest) {
    for (const Spec &spec : all_specs())
        for (const Shape &shape : small_shapes()) {
            Draws draws(expression(spec.term) + name_of(shape));
            Case test = drawn_case(spec.term, shape, PXL_F32, draws);
            draw_outputs(test, draws);
            digest.add(test);
        }
}

void add_large(Digest &digest) {
    static const std::vector<Shape> shapes = {
        {2, 3, 37, 131}, {1, 1, 129, 67}, {1, 1, 19, 700}, {1, 1, 300, 23}, {1, 2, 71, 118}};
    for (const Spec &spec : all_specs()) {
        Draws draws(expression(spec.term) + "large");
        Case test = drawn_case(spec.term, draw_shape(spec.term, shapes, draws), PXL_F32, draws);
        draw_outputs(test, draws);
        digest.add(test);
    }
}

void add_sampled(Digest &digest) {
    std::mt19937 random(sampled_seed);
    for (int i = 0; i < sampled_cases; ++i) digest.add(std::to_string(i) + ' ', random_case(random));
}

// ---- Mixes --------------------------------------------------------------------------------------

namespace {

// Widths and heights around the strips and groups of rows of the CUDA kernel that computes windowed
// terms and others together.
const std::vector<Shape> mixed_shapes = {{1, 1, 11, 11}, {1, 1, 37, 1},  {1, 2, 1, 40},  {2, 1, 2, 2},    {1, 1, 13, 117},
                                         {1, 1, 6, 120}, {1, 3, 14, 36}, {2, 1, 7, 234}, {1, 1, 33, 129}, {1, 1, 70, 27},
                                         {1, 1, 150, 3}, {3, 2, 19, 31}, {1, 1, 3, 128}, {1, 1, 23, 24},  {1, 1, 16, 349}};

pxl_term mixed_ssim(double weight) {
    pxl_term term = weighted(weight, windowed(PXL_SSIM));
    term.border = PXL_ZERO;
    return term;
}

std::vector<pxl_term> mixed_terms(const std::vector<pxl_term> &from, std::mt19937 &random) {
    std::vector<pxl_term> terms;
    for (unsigned i = 0, count = 1 + random() % 4; i < count; ++i) {
        const pxl_term &term = from[random() % from.size()];
        terms.push_back(weighted(0.25 * (random() % 4), term));
    }
    const auto place = static_cast<std::ptrdiff_t>(random() % (terms.size() + 1));
    terms.insert(terms.begin() + place, mixed_ssim(random() % 6 ? 0.5 : 0));
    return terms;
}

Case mixed_case(const std::vector<pxl_term> &terms, std::mt19937 &random) {
    static constexpr pxl_dtype types[] = {PXL_F32, PXL_F32, PXL_F32, PXL_F64, PXL_F16, PXL_BF16};
    const Shape &shape = mixed_shapes[random() % mixed_shapes.size()];
    Case test = make_case(terms, shape, types[random() % std::size(types)]);
    vary_delivery(test, random);
    test.map = random() % 8 == 0;
    test.per_image = random() % 4 == 0;
    test.own_weights = random() % 4 == 0;
    test.upstream = random() % 4 == 0 ? Upstream::given : Upstream::none;
    test.pattern = static_cast<Pattern>(random() % 5);
    test.seed = static_cast<uint32_t>(random());
    return test;
}

} // namespace

void add_mixes(Digest &digest) {
    std::mt19937 random(mixes_seed);
    std::vector<pxl_term> others;
    for (const char *family : {"sobel", "laplacian", "tv", "pixel", "mean", "blur"})
        for (const pxl_term &term : specs_of(family)) others.push_back(term);
    for (int i = 0; i < mixed_cases; ++i) {
        const std::vector<pxl_term> terms = mixed_terms(others, random);
        const Case test = mixed_case(terms, random);
        if (fits(terms, test.shape)) digest.add(std::to_string(i) + ' ', test);
    }
}

// ---- Maps ---------------------------------------------------------------------------------------

void add_maps(Digest &digest) {
    static const std::vector<Shape> shapes = {{2, 2, 33, 18}, {1, 1, 33, 34}, {1, 1, 41, 131}};
    for (const Spec &spec : all_specs())
        for (const pxl_dtype dtype : {PXL_F32, PXL_F64, PXL_BF16, PXL_U8}) {
            if (!oracle::is_windowed(spec.term.kind)) continue;
            Draws draws(expression(spec.term) + dtype_name(dtype) + "maps");
            Case test = drawn_case(spec.term, draw_shape(spec.term, shapes, draws), dtype, draws);
            test.map = test.statistics = true;
            test.grad_layout = draws.layout();
            draw_outputs(test, draws);
            digest.add(test);
        }
}

// ---- Not finite ---------------------------------------------------------------------------------

void add_not_finite(Digest &digest) {
    const double values[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()};
    for (const std::string &family : all_families())
        for (const double value : values) {
            const std::vector<pxl_term> terms = specs_of(family);
            Draws draws(family + std::to_string(value));
            const Case test = drawn_case(terms[draws.below(terms.size())], {2, 1, 35, 36}, PXL_F32, draws);
            digest.add(std::isnan(value) ? "NaN " : "infinity ", test,
                       [&](oracle::Inputs &inputs) { inputs.pred.v[inputs.pred.index(1, 0, 20, 20)] = value; });
        }
}
