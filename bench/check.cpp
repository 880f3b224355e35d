#include "check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace {

constexpr double value_tolerance = 1e-4, gradient_tolerance = 1e-3;

Case in_f64(Case test) {
    test.dtype = PXL_F64;
    test.layout = Layout::nchw;
    return test;
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

std::string compare_values(const pxl_loss *loss, const std::vector<double> &got, const std::vector<double> &expected) {
    for (size_t i = 0; i < got.size(); i++) {
        const double scale = i ? std::fabs(expected[i]) : scale_of_total(loss, expected);
        if (!(std::fabs(got[i] - expected[i]) <= value_tolerance * scale)) // so that NaN fails
            return message("wrong: values[%zu] is %.9g; f64 gives %.9g", i, got[i], expected[i]);
    }
    return "";
}

template <typename Visit>
void each_row(const pxl_tensor &view, Visit visit) {
    for (int64_t n = 0; n < view.size[0]; n++)
        for (int64_t c = 0; c < view.size[1]; c++)
            for (int64_t y = 0; y < view.size[2]; y++) visit(n, c, y);
}

double largest(const Image &image) {
    double most = 0;
    each_row(*image.view(), [&](int64_t n, int64_t c, int64_t y) {
        for (int64_t x = 0; x < image.view()->size[3]; x++) most = std::max(most, std::fabs(image.get(n, c, y, x)));
    });
    return most;
}

std::string compare_gradients(const char *name, const Image *got, const Image *expected) {
    if (!got) return "";
    const double absolute = gradient_tolerance * largest(*expected), relative = rounding(got->view()->dtype);
    std::string wrong;
    each_row(*got->view(), [&](int64_t n, int64_t c, int64_t y) {
        for (int64_t x = 0; wrong.empty() && x < got->view()->size[3]; x++) {
            const double g = got->get(n, c, y, x), e = expected->get(n, c, y, x);
            if (!(std::fabs(g - e) <= absolute + relative * std::fabs(e)))
                wrong = message("wrong: %s[%lld,%lld,%lld,%lld] is %.6g; f64 gives %.6g, and %.2g may be between them", name,
                                (long long)n, (long long)c, (long long)y, (long long)x, g, e, absolute + relative * std::fabs(e));
        }
    });
    return wrong;
}

} // namespace

std::string check_against_f64(const pxl_loss *loss, Evaluation &tested) {
    Evaluation exact(loss, in_f64(tested.test()));
    exact.run();
    tested.run();
    std::string wrong = compare_values(loss, tested.values(), exact.values());
    if (wrong.empty()) wrong = compare_gradients("grad_pred", tested.grad_pred(), exact.grad_pred());
    if (wrong.empty()) wrong = compare_gradients("grad_target", tested.grad_target(), exact.grad_target());
    return wrong;
}
