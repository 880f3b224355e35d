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
    expect_prints({"--help"},
                  {"compare", "fit", "bench", "selftest", "info", "Examples:", "pixloss compare --json", "Exit codes"});
    expect_prints({"compare", "--help"}, {"--preset", "--loss", "--json", "--map", "--map-of", "--features", "--lpips",
                                          "--device", "REFERENCE", "TEST", "windowed"});
    expect_prints({"fit", "--help"}, {"--loss", "--features", "--lpips", "--out", "--steps", "--device", "IMAGE",
                                      "FILE-curves.png", "roughness * tv(isotropic)", "known strength of the noise"});
    expect_prints({"bench", "--help"},
                  {"--loss", "--features", "--lpips", "--size", "--dtype", "--device", "--threads", "--json"});
    expect_prints({"selftest", "--help"}, {"--device", "--json", "--quick", "1e-5", "1e-4"});
    expect_prints({"info", "--help"}, {"info"});
}

TEST(Usage, Info) {
    expect_prints({"info"}, {PIXLOSS_PROGRAM_VERSION, "cpu", "cuda", "network", "weights", "wang", "skimage", "vmaf"});
}

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
    EXPECT_FAILS(run({"bench", "--threads", "9999"}), 2, "--threads", "9999", "pixloss bench --help");
    for (const char *size : {"", "4x3x100", "4x3x100x0", "4x3x100x-1", "4x3x100x100x", "axbxcxd", "99999999x99999999x9x9"})
        EXPECT_FAILS(run({"bench", std::string("--size=") + size}), 2, "--size", size);
}

TEST(Usage, TheNearestNameIsProposed) {
    EXPECT_FAILS(run({"benhc"}), 2, "command 'benhc'", "did you mean 'bench'?", "pixloss --help");
    EXPECT_FAILS(run({"self-test", "--quick"}), 2, "'self-test'", "did you mean 'selftest'?");
    EXPECT_FAILS(run({"--versoin"}), 2, "option '--versoin'", "did you mean '--version'?");
    EXPECT_FAILS(run({"compare", "--prest", "wang", coffee, coffee}), 2, "'--prest'", "did you mean '--preset'?",
                 "compare --help");
    EXPECT_FAILS(run({"compare", "--jsn"}), 2, "'--jsn'", "did you mean '--json'?"); // though the files are missing, too
    EXPECT_FAILS(run({"fit", "--stesp=3", coffee}), 2, "'--stesp'", "did you mean '--steps'?");
    EXPECT_FAILS(run({"selftest", "--quik"}), 2, "'--quik'", "did you mean '--quick'?");
    EXPECT_EQ(run({"compare", "--zzzzzz", coffee, coffee}).err.find("did you mean"), std::string::npos);
    EXPECT_FAILS(run({"selftest", "more"}), 2, "more");
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
