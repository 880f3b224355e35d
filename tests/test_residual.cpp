// Terms on pixels and their neighbours where the CPU takes them apart: strips of wide images, segments of tall ones, and total
// variation alone, which has a loop of its own.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "make_case.h"

namespace {

class Residual : public testing::TestWithParam<std::string> {};

// Two strips of 960 columns and three segments; a strip's first columns; two strips of 4,096 columns, of one loop.
TEST_P(Residual, strips_and_segments_agree_with_the_oracle) {
    Turn turn(2);
    for (const pxl_term &term : specs_of(GetParam()))
        for (const Shape &shape : {Shape{1, 1, 130, 1500}, Shape{1, 1, 3, 2049}, Shape{1, 1, 3, 6200}}) {
            if (!turn.comes()) continue;
            Case test = make_case({term}, shape);
            test.grad_target = false;
            const oracle::Inputs inputs = make_inputs(test);
            const oracle::Result expected = reference(test, inputs);
            for (const Way &way : tested_ways()) ASSERT_TRUE(agrees(test, run(way, test, inputs), expected)) << way.name();
        }
}
INSTANTIATE_TEST_SUITE_P(family, Residual, testing::Values("pixel", "tv", "sobel", "laplacian"),
                         [](const auto &info) { return info.param; });

bool same(double a, double b, double scale) {
    return (std::isnan(a) && std::isnan(b)) || a == b || std::fabs(a - b) <= 1e-6 * scale;
}

// Alone, and beside a term without weight, which has all neighbours read by the mechanism of the other terms.
TEST(TotalVariation, alone_is_what_it_is_beside_others) {
    Turn turn(2);
    for (const pxl_term &term : specs_of("tv"))
        for (const double value : {0.25, infinity, -infinity, nan_value, 1e38, 3e38})
            for (const Shape &shape : {Shape{1, 1, 1, 1}, Shape{1, 1, 4, 1}, Shape{1, 1, 1, 40}, Shape{1, 2, 35, 300}})
                for (const int corner : {0, 1, 2, 3, 4}) {
                    if (!turn.comes()) continue;
                    Case alone = make_case({term}, shape), beside = make_case({term, weighted(0, pixel(PXL_L1))}, shape);
                    alone.grad_target = beside.grad_target = false;
                    oracle::Inputs inputs = make_inputs(alone);
                    const int64_t y = corner == 4 ? shape.h / 2 : corner / 2 * (shape.h - 1),
                                  x = corner == 4 ? shape.w / 2 : corner % 2 * (shape.w - 1);
                    inputs.pred.at(0, 0, y, x) = static_cast<float>(value);
                    const Outcome one = run(alone, inputs), two = run(beside, inputs);
                    ASSERT_EQ(one.status, PXL_OK) << one.message;
                    ASSERT_EQ(two.status, PXL_OK) << two.message;
                    ASSERT_TRUE(same(one.values[1], two.values[1], std::fabs(two.values[1])))
                        << one.values[1] << " instead of " << two.values[1] << ", " << value << " at " << y << ' ' << x << ' '
                        << describe(alone);
                    const double scale = std::isfinite(value) ? oracle::max_abs(two.grad_pred) : 1;
                    for (size_t i = 0; i < one.grad_pred.v.size(); ++i)
                        ASSERT_TRUE(same(one.grad_pred.v[i], two.grad_pred.v[i], scale))
                            << "element " << i << ": " << one.grad_pred.v[i] << " instead of " << two.grad_pred.v[i] << ", "
                            << value << " at " << y << ' ' << x << ' ' << describe(alone);
                }
}

} // namespace
