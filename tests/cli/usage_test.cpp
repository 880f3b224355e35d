// Help, version, and command lines that cannot be meant: exit code 2, a message, nothing on standard output.
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdlib>
#include <sstream>

#include "program.hpp"

namespace {

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
    expect_prints({"compare", "--help"},
                  {"--preset", "--loss", "--json", "--csv", "--summary", "--alpha", "--map", "--map-of", "--features", "--lpips",
                   "--device", "REFERENCE", "TEST", "windowed", "standard input", "folders", "#ff8000", "EXIF"});
    expect_prints({"fit", "--help"}, {"--alpha", "--loss", "--features", "--lpips", "--out", "--steps", "--device", "IMAGE",
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
    EXPECT_FAILS(run({"compare", "--preset", "", coffee, coffee}), 2, "--preset ''", "there are wang, vainf, ", ", vmaf");
    for (const char *preset : {"pytorch_msssim", "pytorch-msssim"})
        EXPECT_FAILS(run({"compare", "--preset", preset, coffee, coffee}), 2, std::string("--preset '") + preset + "'",
                     "did you mean 'vainf'?");
    EXPECT_FAILS(run({"compare", "--preset", "scikit-image", coffee, coffee}), 2, "did you mean 'skimage'?");
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

// The library speaks of its arguments: here they are options.
TEST(Usage, ExpressionsOfOtherLibraries) {
    const auto fails = [](const std::string &expression, const std::string &words) {
        EXPECT_FAILS(run({"compare", "--loss", expression, coffee, coffee}), 2, words);
        EXPECT_FAILS(run({"bench", "--loss", expression}), 2, words);
    };
    fails("mse(reduction=none)", "compare of two folders prints one for each pair");
    fails("huber(1)", "did you mean 'huber(delta=1)'?");
    fails("ssim(kernel_size=7)", "did you mean 'window'?");
    fails("1 - ssim", "as a term, ssim is 1 - SSIM already: write ssim");
    fails("l1 + enl", "enl is not in this version");
    fails("l1 + ms-ssim", "did you mean 'ms_ssim'?");
}

TEST(Usage, NetworksThatAreUnknown) {
    for (const char *command : {"compare", "bench", "fit"}) {
        std::vector<std::string> files;
        if (command == std::string("compare")) files = {coffee, coffee};
        if (command == std::string("fit")) files = {coffee};
        const auto with = [&](std::vector<std::string> arguments) {
            arguments.insert(arguments.begin(), command);
            arguments.insert(arguments.end(), files.begin(), files.end());
            return run(arguments);
        };
        for (const char *name : {"alexnet", "vgg16"})
            EXPECT_FAILS(with({"--features", name}), 2, std::string("--features '") + name + "'",
                         "vgg11-random, vgg13-random, vgg16-random and vgg19-random", "random, which is vgg16-random");
        EXPECT_FAILS(with({"--loss", "style(net=foo)"}), 2, "--loss", "\"foo\"",
                     "vgg11-random, vgg13-random, vgg16-random, vgg19-random", "--features FILE");
    }
    EXPECT_FAILS(run({"compare", "--features", "vgg13-random", "--loss", "style(net=foo)", coffee, coffee}), 2,
                 "there are vgg13-random, vgg11-random");
}

// A loss takes random weights only where it names them.
TEST(Usage, NetworksThatAreNotGiven) {
    for (const char *term : {"features", "lpips", "style", "cosine"})
        for (const std::vector<std::string> &arguments : std::vector<std::vector<std::string>>{
                 {"compare", coffee, coffee}, {"bench", "--size", "1x3x32x32"}, {"fit", "--out", "never.png", coffee}}) {
            std::vector<std::string> with = arguments;
            with.insert(with.end(), {"--loss", std::string("ssim + ") + term});
            EXPECT_FAILS(run(with), 2, std::string("--loss 'ssim + ") + term + "'", "column 8: net is not given",
                         std::string(term) + "(net=vgg16-random)", "--features FILE");
            with.back() = std::string(term) + "(net=vgg16)";
            EXPECT_FAILS(run(with), 2, "net is \"vgg16\"", "vgg16-random for random weights", "--features FILE");
        }
    EXPECT_FAILS(run({"compare", "--map", "map.png", "--map-of", "features", coffee, coffee}), 2, "--map-of 'features'",
                 "--features FILE", "--features random");
}

TEST(Usage, InstructionsThatAreNotThere) {
    setenv("PXLOSS_ISA", "foo", 1);
    const Outcome outcomes[] = {run({"compare", coffee, coffee}), run({"bench", "--size", "1x1x32x32"}), run({"info"}),
                                run({"selftest", "--quick"})};
    const Outcome help = run({"--help"});
    setenv("PXLOSS_ISA", "", 1);
    const Outcome empty = run({"info"});
    unsetenv("PXLOSS_ISA");
    for (const Outcome &outcome : outcomes) EXPECT_FAILS(outcome, 2, "PXLOSS_ISA=foo", "CPU, ");
    EXPECT_EQ(help.exit_code, 0) << help.err;
    EXPECT_EQ(empty.exit_code, 0) << empty.err;
    // Each of those that are there, "CPU, avx2 (of avx2, sse2), ...", is taken.
    const std::string line = run({"info"}).out, list = line.substr(line.find("(of ") + 4, line.find(')') - line.find("(of ") - 4);
    std::istringstream names(list);
    for (std::string name; names >> name;) {
        if (name.back() == ',') name.pop_back();
        setenv("PXLOSS_ISA", name.c_str(), 1);
        expect_prints({"info"}, {"CPU, " + name + " (of "});
        unsetenv("PXLOSS_ISA");
    }
}

// They would install, build and measure for minutes.
TEST(Usage, ScriptsTellWhatTheyAreAndDoNothing) {
    const Folder folder;
    const auto script = [&](const std::string &words) {
        const std::string command =
            std::string("timeout 20 '" PIXLOSS_SCRIPTS "/") + words + " > '" + (folder / "out") + "' 2>&1";
        const int status = std::system(command.c_str());
        return std::to_string(WEXITSTATUS(status)) + " " + read_file(folder / "out");
    };
    EXPECT_EQ(script("demo.sh' --help").rfind("0 Shows what pixloss does", 0), 0u) << script("demo.sh' --help");
    EXPECT_EQ(script("demo.sh' -h"), script("demo.sh' --help"));
    EXPECT_EQ(script("demo.sh' now"), "2 demo.sh: unknown argument 'now' (it takes none)\n");
    EXPECT_EQ(script("test.sh' --help").rfind("0 ", 0), 0u);
    EXPECT_EQ(script("setup.sh' --help").rfind("0 ", 0), 0u);
}

TEST(Usage, IsCheckedBeforeFiles) {
    EXPECT_FAILS(run({"compare", "--preset", "nonesuch", "missing.png", "missing.png"}), 2, "nonesuch");
}
