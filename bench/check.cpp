#include "check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace {

constexpr double value_tolerance = 1e-4, gradient_tolerance = 1e-3, reduction_tolerance = 1e-9;

Case in_f64(Case test) {
    test.dtype = PXL_F64, test.mixed = test.accumulate = false;
    test.layout = Layout::nchw;
    test.device = "cpu";
    return test;
}

// Where a network computes in less than f32: some roundings on the way through its layers.
double layers_rounding(const Case &test) {
    const bool perceptual = test.device != "cpu" && test.loss.find("net=") != std::string::npos;
    const bool tf32 = test.loss.find("tf32") != std::string::npos;
    return !perceptual ? 0 : test.dtype == PXL_BF16 ? 32 * 0x1p-8 : test.dtype == PXL_F16 || tf32 ? 32 * 0x1p-11 : 0;
}

// Of rounding to the type, relative to the value: 8 and 11 significant bits.
double rounding(pxl_dtype dtype) { return dtype == PXL_BF16 ? 0x1p-8 : dtype == PXL_F16 ? 0x1p-11 : 0; }

template <typename... Numbers>
std::string message(const char *format, Numbers... numbers) {
    char text[200];
    std::snprintf(text, sizeof text, format, numbers...);
    return text;
}

// Terms of opposite sign may cancel in the total, so it is measured by their sizes.
double scale_of_total(const pxl_loss *loss, const std::vector<double> &values) {
    double scale = 0;
    for (size_t i = 1; i < values.size(); i++) scale += std::fabs(pxl_loss_term_weight(loss, i - 1) * values[i]);
    return scale;
}

std::string compare_values(const pxl_loss *loss, const std::vector<double> &got, const std::vector<double> &expected,
                           double tolerance) {
    for (size_t i = 0; i < got.size(); i++) {
        const double scale = i ? std::fabs(expected[i]) : scale_of_total(loss, expected);
        if (!(std::fabs(got[i] - expected[i]) <= tolerance * scale)) // so that NaN fails
            return message("wrong: values[%zu] is %.9g; f64 gives %.9g", i, got[i], expected[i]);
    }
    return "";
}

template <typename Visit>
void each_row(const pxl_tensor &view, Visit visit) { // in parallel, by a number that counts them
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < view.size[0] * view.size[1] * view.size[2]; row++)
        visit(row, row / view.size[2] / view.size[1], row / view.size[2] % view.size[1], row % view.size[2]);
}

double largest(const Image &image) {
    const pxl_tensor &view = *image.view();
    std::vector<double> most(size_t(view.size[0] * view.size[1] * view.size[2]));
    each_row(view, [&](int64_t row, int64_t n, int64_t c, int64_t y) {
        for (int64_t x = 0; x < view.size[3]; x++)
            most[size_t(row)] = std::max(most[size_t(row)], std::fabs(image.get(n, c, y, x)));
    });
    return *std::max_element(most.begin(), most.end());
}

std::string compare_images(const char *name, const Image *got, const Image *expected, double tolerance) {
    if (!got) return "";
    const pxl_tensor &view = *got->view();
    const double absolute = tolerance * largest(*expected), relative = rounding(view.dtype);
    const auto allowed = [&](double exact) { return absolute + relative * std::fabs(exact); };
    std::vector<int64_t> wrong(size_t(view.size[0] * view.size[1] * view.size[2]), -1); // the first column of each row
    each_row(view, [&](int64_t row, int64_t n, int64_t c, int64_t y) {
        for (int64_t x = view.size[3] - 1; x >= 0; x--) {
            const double e = expected->get(n, c, y, x);
            if (!(std::fabs(got->get(n, c, y, x) - e) <= allowed(e))) wrong[size_t(row)] = x; // so that NaN fails
        }
    });
    for (size_t row = 0; row < wrong.size(); row++) {
        if (wrong[row] < 0) continue;
        const int64_t h = view.size[2], n = int64_t(row) / h / view.size[1], c = int64_t(row) / h % view.size[1],
                      y = int64_t(row) % h;
        const double g = got->get(n, c, y, wrong[row]), e = expected->get(n, c, y, wrong[row]);
        return message("wrong: %s[%lld,%lld,%lld,%lld] is %.6g; f64 gives %.6g, and %.2g may be between them", name, (long long)n,
                       (long long)c, (long long)y, (long long)wrong[row], g, e, allowed(e));
    }
    return "";
}

// Kept for the next case, which is often of the same loss and pixels: value after gradient, one type after another.
const Evaluation &exact_results(const pxl_loss *loss, const Case &test) {
    static std::string kept;
    static std::unique_ptr<Evaluation> evaluation;
    Case exact = in_f64(test);
    exact.gradient = !exact.wants_output();
    const std::string wanted =
        message("%lldx%lldx%lldx%lld %d %d %d %d ", (long long)exact.n, (long long)exact.c, (long long)exact.h,
                (long long)exact.w, exact.mask, exact.both, exact.map, exact.statistics) +
        exact.loss;
    if (wanted == kept) return *evaluation;
    kept.clear();
    evaluation.reset();
    evaluation = std::make_unique<Evaluation>(cpu_device(), loss, exact);
    evaluation->run();
    kept = wanted;
    return *evaluation;
}

} // namespace

std::string check_against_f64(const pxl_loss *loss, Evaluation &tested) {
    const Evaluation &exact = exact_results(loss, tested.test());
    tested.run();
    tested.fetch();
    const double layers = layers_rounding(tested.test()), gradients = std::max(gradient_tolerance, 4 * layers);
    if (tested.output()) return compare_images("element", tested.output(), exact.output(), value_tolerance);
    std::string wrong = compare_values(loss, tested.values(), exact.values(), std::max(value_tolerance, layers));
    if (wrong.empty()) wrong = compare_images("grad_pred", tested.grad_pred(), exact.grad_pred(), gradients);
    if (wrong.empty()) wrong = compare_images("grad_target", tested.grad_target(), exact.grad_target(), gradients);
    return wrong;
}

std::string check_against_f64(Reduction &tested) {
    Reduction exact(cpu_device(), in_f64(tested.test()));
    exact.run();
    tested.run();
    const double got = tested.fetch(), expected = exact.fetch();
    if (std::fabs(got - expected) <= reduction_tolerance * std::fabs(expected)) return "";
    return message("wrong: %.17g; f64 gives %.17g", got, expected);
}

std::string check_against_f64(Filtering &tested) {
    Filtering exact(cpu_device(), in_f64(tested.test()));
    exact.run();
    tested.run();
    return compare_images("element", &tested.fetch(), &exact.fetch(), value_tolerance);
}
