// The program's commands: main.cpp fills the options, each command runs them and throws when it cannot.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cli {

// An option that is an empty text was typed, and is wrong.
struct NetworkOptions {
    std::optional<std::string> features, lpips; // weights, or "random", "vgg11-random", ...; lpips' linear weights
};

struct CompareOptions {
    std::string preset = "wang", device = "cpu", alpha = "refuse", reference, test;
    std::optional<std::string> loss, map, map_of; // map_of: "ssim" (the default) or a term that has a feature map
    NetworkOptions network;
    bool json = false, csv = false, summary = false;
};
bool compare(const CompareOptions &options); // whether every pair of images could be compared

struct FitOptions {
    std::vector<std::string> losses;
    std::string out = "fit.png", device = "cpu", alpha = "refuse", image;
    NetworkOptions network;
    int steps = 200;
};
void fit(const FitOptions &options);

struct BenchOptions {
    std::string loss = "0.84*ssim + 0.16*l1", size = "4x3x1080x1920", dtype = "f32", device = "cpu";
    NetworkOptions network;
    int threads = 0;
    bool json = false;
};
void bench(const BenchOptions &options);

struct SelftestOptions {
    std::string device; // empty: CUDA if there is a device, else the CPU
    bool json = false, quick = false;
};
bool selftest(const SelftestOptions &options); // whether it passed

void info();

} // namespace cli
