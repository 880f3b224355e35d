// `pixloss bench` measures: the figures of one run must fit each other.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "program.hpp"

TEST(Bench, FiguresFitEachOther) {
    for (const char *dtype : {"f32", "f16", "bf16", "f64"}) {
        const Outcome outcome =
            run({"bench", "--json", "--size", "2x3x64x100", "--dtype", dtype, "--threads", "1", "--loss", "mse + 0.1*ssim"});
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        const nlohmann::json json = nlohmann::json::parse(outcome.out);
        EXPECT_EQ(json["dtype"], dtype);
        EXPECT_EQ(json["loss"], "mse + 0.1*ssim");
        EXPECT_EQ(json["size"], (std::vector<int>{2, 3, 64, 100}));
        EXPECT_GE(json["repetitions"], 5);
        const double bytes = std::string(dtype) == "f64" ? 8 : std::string(dtype) == "f32" ? 4 : 2;
        for (const char *key : {"value", "value_and_gradient"}) {
            const nlohmann::json &line = json[key];
            const double seconds = line["seconds"], arrays = std::string(key) == "value" ? 2 : 3;
            EXPECT_GT(seconds, 0);
            EXPECT_NEAR(line["mpx_per_s"], 0.0384 / seconds, 1e-6 / seconds);
            EXPECT_NEAR(line["gb_per_s"], arrays * bytes * 38400e-9 / seconds, 1e-9 / seconds);
            EXPECT_NEAR(line["fraction_of_copy"], double(line["gb_per_s"]) / double(line["copy_gb_per_s"]), 1e-6);
        }
    }
}

TEST(Bench, Table) {
    const Outcome outcome = run({"bench", "--size", "1x1x32x32", "--loss", "sobel"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char *word :
         {"sobel", "1 x 1 x 32 x 32 f32", "value + gradient", "Mpx/s", "GB/s", "2 reads, 1 write", "medians of"})
        EXPECT_NE(outcome.out.find(word), std::string::npos) << "no '" << word << "' in\n" << outcome.out;
}

TEST(Bench, TellsTheThreadsInUse) {
    const auto threads = [](const std::vector<std::string> &options) {
        std::vector<std::string> arguments = {"bench", "--json", "--size", "1x1x32x32", "--loss", "l1"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const nlohmann::json json = nlohmann::json::parse(run(arguments).out);
        const int count = json["threads"];
        const std::string words = ", " + std::to_string(count) + (count == 1 ? " thread" : " threads"), device = json["device"];
        EXPECT_EQ(device.substr(device.size() - words.size()), words) << device; // the library's own count
        return count;
    };
    EXPECT_GE(threads({}), 1);
    EXPECT_EQ(threads({"--threads", "1"}), 1);
    EXPECT_EQ(threads({"--threads", "2"}), 2);
    EXPECT_LT(threads({"--threads", "4096"}), 4096 + 1);
}

TEST(BenchErrors, SmallerThanTheWindow) { EXPECT_FAILS(run({"bench", "--size", "1x1x8x8", "--loss", "ssim"}), 1, "8", "11"); }
