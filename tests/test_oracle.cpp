// The reference itself, where it can be held to numbers worked out by hand. Its gradients are held to differences of its values
// in test_gradient.cpp, and its SSIM to other libraries, through the library under test, in test_known_values.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "make_case.h"
#include "oracle/penalty.h"

namespace {

std::string indices(pxl_border border, int64_t n, int64_t margin) {
    std::string text;
    for (int64_t i = -margin; i < n + margin; ++i) {
        const int64_t at = oracle::border_index(border, i, n);
        text += at < 0 ? '.' : static_cast<char>('a' + at);
    }
    return text;
}

TEST(Oracle, borders_read_the_right_pixel) {
    EXPECT_EQ(indices(PXL_ZERO, 4, 3), "...abcd...");
    EXPECT_EQ(indices(PXL_REPLICATE, 4, 3), "aaaabcdddd");
    EXPECT_EQ(indices(PXL_REFLECT, 4, 3), "dcbabcdcba");
    EXPECT_EQ(indices(PXL_REFLECT, 3, 7), "bcbabcbabcbabcbab");
    EXPECT_EQ(indices(PXL_REFLECT, 2, 3), "babababa");
    EXPECT_EQ(indices(PXL_REFLECT, 1, 3), "aaaaaaa");
    EXPECT_EQ(indices(PXL_SYMMETRIC, 4, 3), "cbaabcddcb");
    EXPECT_EQ(indices(PXL_SYMMETRIC, 3, 7), "aabccbaabccbaabcc");
    EXPECT_EQ(indices(PXL_SYMMETRIC, 2, 3), "bbaabbaa");
    EXPECT_EQ(indices(PXL_SYMMETRIC, 1, 3), "aaaaaaa");
}

TEST(Oracle, filters_are_correlations) {
    oracle::Image image(1, 1, 1, 3);
    image.v = {1, 10, 100};
    EXPECT_EQ(oracle::filter(image, oracle::sobel_x(), PXL_ZERO).v, (std::vector<double>{20, 198, -20}));
    EXPECT_EQ(oracle::filter(image, oracle::sobel_x(), PXL_REPLICATE).v, (std::vector<double>{36, 396, 360}));
    EXPECT_EQ(oracle::filter(image, oracle::laplacian(4), PXL_ZERO).v, (std::vector<double>{6, 61, -390}));
}

TEST(Oracle, pools_like_avg_pool_and_like_libvmaf) {
    oracle::Image image(1, 1, 1, 5);
    image.v = {1, 2, 3, 4, 5};
    oracle::Image tall(1, 1, 2, 5);
    tall.v = {1, 2, 3, 4, 5, 1, 2, 3, 4, 5};
    EXPECT_EQ(oracle::pool(tall, 2, false).v, (std::vector<double>{1.5, 3.5}));
    // Blocks of pixels -1, 0 | 1, 2 | 3, 4 with the edge repeated: (1 + 1) / 2, (2 + 3) / 2, (4 + 5) / 2.
    EXPECT_EQ(oracle::pool(image, 2, true).v, (std::vector<double>{1, 2.5, 4.5}));
}

TEST(Oracle, charges_by_the_formulas) {
    const auto value = [](pxl_penalty penalty, double param, double d) { return oracle::charge(penalty, param, d).value; };
    EXPECT_EQ(value(PXL_L2, 0, -3), 9);
    EXPECT_EQ(value(PXL_L1, 0, -3), 3);
    EXPECT_EQ(value(PXL_HUBER, 2, -1), 0.5);
    EXPECT_EQ(value(PXL_HUBER, 2, -3), 4);
    EXPECT_EQ(value(PXL_SMOOTH_L1, 2, -3), 2);
    EXPECT_EQ(value(PXL_CHARBONNIER, 4, -3), 5);
    EXPECT_EQ(value(PXL_PSEUDO_HUBER, 4, -3), 4); // 16 (sqrt(1 + 9 / 16) - 1)
    EXPECT_NEAR(value(PXL_LOG_COSH, 1, -2), 1.3250027473578644, 1e-15);
    EXPECT_EQ(oracle::charge(PXL_L1, 0, 0).slope, 0);
}

// One window of nine equal weights: two flat images, then a bright pixel in each.
TEST(Oracle, ssim_by_hand) {
    pxl_term term = windowed(PXL_SSIM);
    term.window = 3, term.uniform = 1;
    oracle::Inputs inputs;
    inputs.pred = inputs.target = oracle::Image(1, 1, 3, 3, 0.5);
    inputs.target = oracle::Image(1, 1, 3, 3, 0.25);
    const double l = (2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4);
    EXPECT_NEAR(oracle::evaluate({oracle::resolve(term)}, inputs).values[0], 1 - l, 1e-15);
    for (size_t i = 0; i < 9; ++i) inputs.pred.v[i] = inputs.target.v[i] = i == 4 ? 0.9 : 0;
    inputs.target.v[4] = 0.3;
    const double mx = 0.1, my = 0.1 / 3, vx = 0.81 / 9 - mx * mx, vy = 0.09 / 9 - my * my, cov = 0.27 / 9 - mx * my;
    const double ssim = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
    EXPECT_NEAR(oracle::evaluate({oracle::resolve(term)}, inputs).values[0], 1 - ssim, 1e-15);
    term.sample_covariance = 1;
    const double k = 9.0 / 8;
    const double sampled = (2 * mx * my + 1e-4) * (2 * k * cov + 9e-4) / ((mx * mx + my * my + 1e-4) * (k * (vx + vy) + 9e-4));
    EXPECT_NEAR(oracle::evaluate({oracle::resolve(term)}, inputs).values[0], 1 - sampled, 1e-15);
}

// 1 - SSIM of a small offset d on a flat image at m is d^2 / (2 m^2 + 2 m d + d^2 + C1).
TEST(Oracle, one_minus_ssim_keeps_its_digits) {
    for (const double d : {1e-3, 1e-5, 1e-6}) {
        oracle::Inputs inputs;
        inputs.pred = oracle::Image(1, 1, 11, 11, 0.5 + d), inputs.target = oracle::Image(1, 1, 11, 11, 0.5);
        const double actual_d = inputs.pred.v[0] - 0.5;
        const double expected = actual_d * actual_d / (0.25 + inputs.pred.v[0] * inputs.pred.v[0] + 1e-4);
        EXPECT_NEAR(oracle::evaluate({oracle::resolve(windowed(PXL_SSIM))}, inputs).values[0] / expected, 1, 1e-6) << d;
    }
}

TEST(Oracle, halves_round_to_nearest_even) {
    EXPECT_EQ(round_to(PXL_F16, 1 + 1.0 / 2048), 1);
    EXPECT_EQ(round_to(PXL_F16, 1 + 3.0 / 2048), 1 + 4.0 / 2048);
    EXPECT_EQ(round_to(PXL_F16, 65519), 65504);
    EXPECT_EQ(round_to(PXL_F16, 65520), INFINITY);
    EXPECT_EQ(round_to(PXL_F16, std::ldexp(1, -24)), std::ldexp(1, -24));
    EXPECT_EQ(round_to(PXL_F16, std::ldexp(1, -25)), 0);
    EXPECT_EQ(round_to(PXL_F16, -std::ldexp(1, -14) + std::ldexp(1, -25)), -std::ldexp(1, -14));
    EXPECT_EQ(round_to(PXL_BF16, 1 + 1.0 / 256), 1);
    EXPECT_EQ(round_to(PXL_BF16, 1 + 3.0 / 256), 1 + 4.0 / 256);
    EXPECT_EQ(round_to(PXL_BF16, 3.4e38), INFINITY);
    EXPECT_TRUE(std::isnan(round_to(PXL_F16, NAN)));
}

} // namespace
