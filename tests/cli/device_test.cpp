// --device: what the program says where there is no GPU, and that it computes the same where there is one. In builds with CUDA
// these tests run twice: with this machine's driver, and with kernels that run on the CPU.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

bool has_cuda() { return run({"info"}).out.find("\ncuda:0") != std::string::npos; }

class Cuda : public testing::Test {
  protected:
    void SetUp() override {
        if (!has_cuda()) GTEST_SKIP() << "no CUDA device here";
    }
};

nlohmann::ordered_json json_of(const std::vector<std::string> &arguments) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::ordered_json::parse(outcome.out, nullptr, false);
}

} // namespace

TEST(NoCuda, IsAUsageErrorThatSaysWhy) {
    if (has_cuda()) GTEST_SKIP() << "there is a CUDA device";
    const Outcome info = run({"info"});
    EXPECT_NE(info.out.find("cuda    there are no CUDA devices: "), std::string::npos) << info.out;
    const std::string reason = info.out.substr(info.out.find("there are no CUDA devices: "));
    const std::string line = reason.substr(0, reason.find('\n'));
    for (const char *device : {"cuda", "cuda:0", "cuda:7"}) {
        EXPECT_FAILS(run({"compare", "--device", device, coffee, coffee}), 2, std::string("--device ") + device, line);
        EXPECT_FAILS(run({"fit", "--device", device, coffee}), 2, std::string("--device ") + device, line);
        EXPECT_FAILS(run({"bench", "--device", device}), 2, std::string("--device ") + device, line);
        EXPECT_FAILS(run({"selftest", "--device", device}), 2, std::string("--device ") + device, line);
    }
}

TEST(Device, NamesThatAreNone) {
    for (const char *device : {"tpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:1234567", "cpu:0"}) {
        const std::string argument = std::string("--device=") + device;
        EXPECT_FAILS(run({"compare", argument, coffee, coffee}), 2, "--device", std::string("'") + device + "'", "is needed");
        EXPECT_FAILS(run({"fit", argument, coffee}), 2, "--device");
        EXPECT_FAILS(run({"bench", argument}), 2, "--device");
        EXPECT_FAILS(run({"selftest", argument}), 2, "--device");
    }
    EXPECT_EQ(run({"compare", "--device", "cpu", coffee, coffee}).exit_code, 0);
}

TEST_F(Cuda, NumberThatIsNone) { EXPECT_FAILS(run({"bench", "--device", "cuda:99"}), 2, "--device cuda:99", "0 to "); }

TEST_F(Cuda, ComparesAsTheCpuDoes) {
    const Folder folder;
    write_png(folder / "a.png", picture(61, 47, 3));
    write_png(folder / "b.png", picture(61, 47, 3, 8, 2));
    const auto on = [&](const std::string &device) {
        return json_of(
            {"compare", "--json", "--device", device, "--loss", "ssim + 0.1*sobel", folder / "a.png", folder / "b.png"});
    };
    const nlohmann::ordered_json cuda = on("cuda"), cpu = on("cpu");
    for (const char *key : {"mse", "rmse", "mae", "psnr", "ssim", "dssim", "sobel_l1", "laplacian_l1", "loss"})
        EXPECT_NEAR(cuda[key], cpu[key], 1e-5 * std::abs(double(cpu[key])) + 1e-6) << key;
    const auto map = [&](const std::string &device) {
        const Outcome outcome =
            run({"compare", "--device", device, "--map", folder / device + ".png", folder / "a.png", folder / "b.png"});
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        return decode_png(folder / device + ".png").width;
    };
    EXPECT_EQ(map("cuda"), map("cpu"));
}

// With random weights; cuDNN may be missing, which is said.
TEST_F(Cuda, ComparesInANetworkAsTheCpuDoes) {
    const Folder folder;
    write_png(folder / "a.png", picture(61, 47, 3));
    write_png(folder / "b.png", picture(61, 47, 3, 8, 2));
    const auto on = [&](const std::string &device) {
        return run({"compare", "--json", "--device", device, "--features", "random", "--map", folder / device + ".png",
                    "--map-of", "lpips", folder / "a.png", folder / "b.png"});
    };
    const Outcome cuda = on("cuda"), cpu = on("cpu");
    for (const Outcome &outcome : {cuda, cpu})
        if (outcome.err.find("need cuDNN") != std::string::npos || outcome.err.find("need oneDNN") != std::string::npos)
            GTEST_SKIP() << outcome.err;
    ASSERT_EQ(cuda.exit_code, 0) << cuda.err;
    const auto there = nlohmann::json::parse(cuda.out), here = nlohmann::json::parse(cpu.out);
    for (const char *key : {"features", "cosine", "style", "lpips"})
        EXPECT_NEAR(there[key], here[key], 1e-4 * double(here[key])) << key;
    EXPECT_EQ(decode_png(folder / "cuda.png").width, decode_png(folder / "cpu.png").width);
}

TEST_F(Cuda, FitsAsTheCpuDoes) {
    const Folder folder;
    write_png(folder / "a.png", picture(48, 40, 1));
    const auto psnr = [&](const std::string &device) {
        const Outcome outcome =
            run({"fit", "--device", device, "--steps", "5", "--loss", "mse", "--out", folder / "o.png", folder / "a.png"});
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        const size_t row = outcome.out.find("\nmse ");
        return row == std::string::npos ? -1 : std::stod(outcome.out.substr(row + 5));
    };
    EXPECT_NEAR(psnr("cuda"), psnr("cpu"), 0.011); // printed to 0.01 dB
}

TEST_F(Cuda, BenchPrintsItsColumns) {
    const Outcome table = run({"bench", "--device", "cuda", "--size", "1x1x32x32", "--loss", "sobel"});
    EXPECT_EQ(table.exit_code, 0) << table.err;
    for (const char *word : {"value + gradient", "Mpx/s", "GB/s", "of copy", "1 read, 1 write", "medians of"})
        EXPECT_NE(table.out.find(word), std::string::npos) << "no '" << word << "' in\n" << table.out;
    const nlohmann::ordered_json json = json_of({"bench", "--device", "cuda", "--json", "--size", "1x1x32x32", "--loss", "l1"});
    for (const char *key : {"value", "value_and_gradient"})
        EXPECT_NEAR(json[key]["fraction_of_copy"], double(json[key]["gb_per_s"]) / double(json[key]["copy_gb_per_s"]), 1e-6);
    EXPECT_FAILS(run({"bench", "--device", "cuda", "--threads", "2"}), 2, "--threads");
    EXPECT_FAILS(run({"bench", "--device", "cuda", "--dtype", "f64", "--size", "1x1x32x32"}), 1, "f64");
}

TEST_F(Cuda, PassesItsSelftest) {
    const Outcome outcome = run({"selftest", "--quick", "--device", "cuda"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("selftest of cuda:0, "), std::string::npos) << outcome.out;
}
