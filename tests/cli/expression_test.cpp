// What the program does to expressions, and how it guesses names.
#include "../../cli/expression.hpp"

#include <gtest/gtest.h>

using namespace cli;

namespace {
std::string with_preset(const std::string &expression) {
    return with_argument(expression, windowed_terms(), "preset=skimage", {"preset"});
}
} // namespace

TEST(Expression, ArgumentsReachTheTermsThatLackThem) {
    EXPECT_EQ(with_preset("ssim"), "ssim(preset=skimage)");
    EXPECT_EQ(with_preset("0.84*ssim + 0.16*l1"), "0.84*ssim(preset=skimage) + 0.16*l1");
    EXPECT_EQ(with_preset("-1e-3*dssim-luminance"), "-1e-3*dssim(preset=skimage)-luminance(preset=skimage)");
    EXPECT_EQ(with_preset("ssim(window=7)"), "ssim(preset=skimage, window=7)");
    EXPECT_EQ(with_preset("ssim ( window = 7 ) + tv"), "ssim(preset=skimage,  window = 7 ) + tv");
    EXPECT_EQ(with_preset("ssim(preset=wang) + contrast"), "ssim(preset=wang) + contrast(preset=skimage)");
    EXPECT_EQ(with_preset("sobel(charbonnier, eps=1e-3) + structure"),
              "sobel(charbonnier, eps=1e-3) + structure(preset=skimage)");
    EXPECT_EQ(with_preset("l1 + psnr"), "l1 + psnr");
}

TEST(Expression, OnlyWholeWordsSayThatAnArgumentIsThere) {
    const auto with_net = [](const std::string &text) { return with_argument(text, network_terms(), "net=custom", {"net"}); };
    EXPECT_EQ(with_net("features + 0.1*lpips"), "features(net=custom) + 0.1*lpips(net=custom)");
    EXPECT_EQ(with_net("style(normalize=imagenet)"), "style(net=custom, normalize=imagenet)");
    EXPECT_EQ(with_net("cosine(layers=relu1_1,net = vgg11)"), "cosine(layers=relu1_1,net = vgg11)");
}

TEST(Expression, WhatIsNoneStaysAsItWasTyped) {
    for (const char *text : {"", "ssim(", "l1 + ssim(window=7", "(", ")", "l1 (("}) EXPECT_EQ(with_preset(text), text);
}

TEST(NearestName, IsNearOrNone) {
    const std::vector<std::string> names = {"compare", "fit", "bench", "selftest", "info"};
    EXPECT_EQ(nearest_name("comapre", names), "compare");
    EXPECT_EQ(nearest_name("compute", names), "compare");
    EXPECT_EQ(nearest_name("fti", names), "fit");
    EXPECT_EQ(nearest_name("self-test", names), "selftest");
    EXPECT_EQ(nearest_name("x", names), "");
    EXPECT_EQ(nearest_name("photograph", names), "");
    EXPECT_EQ(nearest_name("", names), "");
}
