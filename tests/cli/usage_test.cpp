// Help, version, and command lines that cannot be meant: exit code 2, a message, nothing on standard output.
#include <gtest/gtest.h>

#include "program.hpp"

namespace {
const std::string coffee = PIXLOSS_EXAMPLES "/coffee.png";

void expect_prints(const std::vector<std::string> &arguments, const std::vector<std::string> &words) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    for (const std::string &word : words)
        EXPECT_NE(outcome.out.find(word), std::string::npos) << "no '" << word << "' in\n" << outcome.out;
}
} // namespace

TEST(Usage, Version) { expect_prints({"--version"}, {"pixloss " PIXLOSS_PROGRAM_VERSION}); }

TEST(Usage, Help) {
    expect_prints({"--help"}, {"compare", "fit", "bench", "info", "Examples:", "pixloss compare --json", "Exit codes"});
    expect_prints({"compare", "--help"}, {"--preset", "--loss", "--json", "--map", "--device", "REFERENCE", "TEST"});
    expect_prints({"fit", "--help"}, {"--loss", "--out", "--steps", "IMAGE", "FILE-curves.png", "roughness * tv(isotropic)",
                                      "known strength of the noise"});
    expect_prints({"bench", "--help"}, {"--loss", "--size", "--dtype", "--threads", "--json"});
    expect_prints({"info", "--help"}, {"info"});
}

TEST(Usage, Info) { expect_prints({"info"}, {PIXLOSS_PROGRAM_VERSION, "cpu", "cuda", "wang", "skimage", "vmaf"}); }

TEST(Usage, WhatCannotBeMeant) {
    EXPECT_FAILS(run({}), 2, "command");
    EXPECT_FAILS(run({"compute"}), 2, "compute");
    EXPECT_FAILS(run({"--bogus"}), 2, "bogus");
    EXPECT_FAILS(run({"compare"}), 2, "REFERENCE");
    EXPECT_FAILS(run({"compare", coffee}), 2, "TEST");
    EXPECT_FAILS(run({"compare", coffee, coffee, "third.png"}), 2, "third.png");
    EXPECT_FAILS(run({"compare", "--bogus", coffee, coffee}), 2, "--bogus");
    EXPECT_FAILS(run({"compare", "--device", "tpu", coffee, coffee}), 2, "--device", "tpu");
    EXPECT_FAILS(run({"compare", "--preset", "nonesuch", coffee, coffee}), 2, "--preset", "nonesuch", "wang");
    EXPECT_FAILS(run({"compare", "--preset", "wang, sigma=2", coffee, coffee}), 2, "--preset");
    for (const char *map : {"", "map.jpg", "map", ".png", "map.png/"})
        EXPECT_FAILS(run({"compare", "--map", map, coffee, coffee}), 2, "--map", std::string("'") + map + "'", ".png");
    EXPECT_FAILS(run({"fit"}), 2, "IMAGE");
    EXPECT_FAILS(run({"fit", "--steps", "0", coffee}), 2, "--steps", "0");
    EXPECT_FAILS(run({"fit", "--steps", "ten", coffee}), 2, "--steps", "ten");
    EXPECT_FAILS(run({"fit", "--out", "result.jpg", coffee}), 2, "--out", "result.jpg", ".png");
    EXPECT_FAILS(run({"bench", "--dtype", "f8"}), 2, "--dtype", "f8");
    EXPECT_FAILS(run({"bench", "--threads", "-1"}), 2, "--threads", "-1");
    for (const char *size : {"", "4x3x100", "4x3x100x0", "4x3x100x-1", "4x3x100x100x", "axbxcxd", "99999999x99999999x9x9"})
        EXPECT_FAILS(run({"bench", std::string("--size=") + size}), 2, "--size", size);
}

TEST(Usage, ExpressionsThatCannotBeMeant) {
    for (const char *expression : {"", "0.84*sim", "ssim +", "ssim(window=4)", "mse mse"}) {
        EXPECT_FAILS(run({"compare", "--loss", expression, coffee, coffee}), 2, "--loss", expression);
        EXPECT_FAILS(run({"fit", "--loss", "mse", "--loss", expression, coffee}), 2, "--loss", expression);
        EXPECT_FAILS(run({"bench", "--loss", expression}), 2, "--loss", expression);
    }
}

TEST(Usage, IsCheckedBeforeFiles) {
    EXPECT_FAILS(run({"compare", "--preset", "nonesuch", "missing.png", "missing.png"}), 2, "nonesuch");
}
