// Distances in networks: --features, --lpips and the losses that use them. The network of most tests passes the image on, so that
// its distances can be computed here.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

const std::string compressed = PIXLOSS_EXAMPLES "/coffee-q25.jpg";

bool says(const std::string &text, const std::string &word) { return text.find(word) != std::string::npos; }
std::string infos() { return run({"info"}).out; }

// One convolution of 4 outputs: the three channels as they are, and a channel of zeros.
std::vector<Weights> network_that_copies() {
    std::vector<float> weight(4 * 3 * 3 * 3);
    for (size_t c = 0; c < 3; c++) weight[(3 * c + c) * 9 + 4] = 1;
    return {{"features.0.weight", {4, 3, 3, 3}, weight}, {"features.0.bias", {4}, {0, 0, 0, 0}}};
}
const std::vector<float> linear = {1, 2, 0.5f, 3};

class Features : public testing::Test {
  protected:
    void SetUp() override {
        if (!says(infos(), "by oneDNN")) GTEST_SKIP() << "this build cannot run networks";
        if (!says(infos(), "weights safetensors")) GTEST_SKIP() << "this build cannot read safetensors files";
        write_safetensors(weights, network_that_copies());
        write_safetensors(lpips, {{"lin0.weight", {1, 4, 1, 1}, linear}});
        write_png(a, picture(41, 29, 3, 8, 1));
        write_png(b, picture(41, 29, 3, 8, 2));
    }
    nlohmann::ordered_json compare(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {"compare", "--json", a, b});
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        return nlohmann::ordered_json::parse(outcome.out, nullptr, false);
    }
    const Folder folder;
    const std::string weights = folder / "weights.safetensors", lpips = folder / "linear.safetensors", a = folder / "a.png",
                      b = folder / "b.png";
};

// The mean over the pixels of what `distance` says of their three channels, on [0, 1].
template <class Function>
double mean_of_pixels(const Samples &a, const Samples &b, const Function &distance) {
    double sum = 0;
    for (size_t i = 0; i < a.values.size(); i += 3) {
        double x[3], y[3];
        for (size_t c = 0; c < 3; c++) x[c] = a.values[i + c] / 255.0, y[c] = b.values[i + c] / 255.0;
        sum += distance(x, y);
    }
    return sum / double(a.values.size() / 3);
}
double norm(const double *x) { return std::sqrt(1e-8 + x[0] * x[0] + x[1] * x[1] + x[2] * x[2]); }

double cosine(const double *x, const double *y) { return 1 - (x[0] * y[0] + x[1] * y[1] + x[2] * y[2]) / norm(x) / norm(y); }
double lpips_of(const double *x, const double *y) {
    const double shift[] = {-0.030, -0.088, -0.188}, scale[] = {0.458, 0.448, 0.450};
    double u[3], v[3], sum = 0;
    for (size_t c = 0; c < 3; c++) {
        u[c] = std::max(0.0, (2 * x[c] - 1 - shift[c]) / scale[c]);
        v[c] = std::max(0.0, (2 * y[c] - 1 - shift[c]) / scale[c]);
    }
    for (size_t c = 0; c < 3; c++) sum += double(linear[c]) * std::pow(u[c] / norm(u) - v[c] / norm(v), 2);
    return sum;
}
double style(const Samples &a, const Samples &b) {
    double sum = 0;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) // F F^T / (4 H W)
            sum += std::pow(
                mean_of_pixels(a, b, [&](const double *x, const double *y) { return (x[i] * x[j] - y[i] * y[j]) / 4; }), 2);
    return sum;
}

} // namespace

TEST_F(Features, FitTheirDefinitions) {
    const Samples reference = picture(41, 29, 3, 8, 1), test = picture(41, 29, 3, 8, 2);
    const nlohmann::ordered_json json = compare({"--features", weights, "--lpips", lpips});
    const auto expect_near = [&](const char *name, double expected) {
        EXPECT_NEAR(json[name], expected, 1e-5 * expected) << name;
    };
    expect_near("features", 0.75 * double(json["mse"])); // the fourth channel counts, too
    expect_near("cosine", mean_of_pixels(test, reference, cosine));
    expect_near("lpips", mean_of_pixels(test, reference, lpips_of));
    EXPECT_EQ(json["networks"][0]["name"], "custom");
    EXPECT_EQ(json["networks"][0]["weights"], weights);
    EXPECT_EQ(json["networks"][0]["linear"], lpips);
}

// A darker image: of nearly the same products style is a difference of sums, whose rounding depends on oneDNN's order of them.
TEST_F(Features, StyleFitsItsDefinition) {
    const Samples reference = picture(41, 29, 3, 8, 1);
    Samples dark = picture(41, 29, 3, 8, 2);
    for (uint16_t &value : dark.values) value /= 2;
    write_png(b, dark);
    const double expected = style(dark, reference);
    EXPECT_NEAR(compare({"--features", weights})["style"], expected, 1e-5 * expected);
}

TEST_F(Features, TableSaysWhatJsonSays) {
    const Outcome table = run({"compare", "--features", weights, a, b});
    EXPECT_EQ(table.exit_code, 0) << table.err;
    for (const char *word : {"custom of ", "weights.safetensors", "\nfeatures ", "\ncosine ", "\nstyle "})
        EXPECT_TRUE(says(table.out, word)) << "no '" << word << "' in\n" << table.out;
    EXPECT_FALSE(says(table.out, "random"));
    EXPECT_FALSE(says(table.out, "lpips")) << "without linear weights";
}

TEST_F(Features, OfEqualImagesAreZero) {
    write_png(b, picture(41, 29, 3, 8, 1));
    const nlohmann::ordered_json json = compare({"--features", weights, "--lpips", lpips});
    for (const char *name : {"features", "cosine", "style", "lpips"}) EXPECT_NEAR(json[name], 0, 1e-12) << name;
}

TEST_F(Features, GreyGoesToAllInputs) {
    Samples grey = picture(41, 29, 1, 8, 1), other = picture(41, 29, 1, 8, 2);
    const auto tripled = [](const Samples &from) {
        Samples to{from.width, from.height, 3, {}};
        for (const uint16_t value : from.values) to.values.insert(to.values.end(), 3, value);
        return to;
    };
    write_png(a, tripled(grey));
    write_png(b, tripled(other));
    const nlohmann::ordered_json colour = compare({"--features", weights, "--lpips", lpips});
    write_png(a, grey);
    write_png(b, other);
    const nlohmann::ordered_json json = compare({"--features", weights, "--lpips", lpips});
    EXPECT_EQ(json["channels"], 1);
    for (const char *name : {"features", "cosine", "style", "lpips"}) EXPECT_EQ(json[name], colour[name]) << name;
}

TEST_F(Features, RandomWeightsSayThatTheyAre) {
    for (const char *features : {"random", "vgg11-random"}) {
        const std::string name = std::string(features) == "random" ? "vgg16-random" : features;
        const nlohmann::ordered_json json = compare({"--features", features});
        EXPECT_EQ(json["networks"][0]["name"], name);
        EXPECT_TRUE(says(json["networks"][0]["weights"], "random weights"));
        for (const char *metric : {"features", "cosine", "style", "lpips"}) EXPECT_GT(json[metric], 0.0) << metric;
    }
    const Outcome table = run({"compare", "--features", "vgg11-random", a, b});
    for (const char *row : {"vgg11-random: random weights", "features (random weights)", "cosine (random weights)",
                            "style (random weights)", "lpips (random weights)"})
        EXPECT_TRUE(says(table.out, row)) << "no '" << row << "' in\n" << table.out;
}

TEST_F(Features, AreMissingWhereTheImageIsTooSmall) {
    write_png(a, picture(11, 15, 3, 8, 1));
    write_png(b, picture(11, 15, 3, 8, 2));
    const nlohmann::ordered_json json = compare({"--features", "vgg11-random"}); // lpips halves four times
    EXPECT_GT(json["mse"], 0.0);
    for (const char *metric : {"features", "cosine", "style"}) EXPECT_GT(json[metric], 0.0) << metric;
    EXPECT_TRUE(json["lpips"].is_null());
    EXPECT_EQ(json["missing"].size(), 2u);
    EXPECT_TRUE(says(json["missing"]["lpips"], "15 x 11 pixels")) << json["missing"];
    const Outcome table = run({"compare", "--features", "vgg11-random", a, b});
    EXPECT_TRUE(says(table.out, "\nlpips is missing: ")) << table.out;
    EXPECT_FAILS(run({"compare", "--loss", "lpips(net=vgg11-random)", a, b}), 1, b + ": ", "15 x 11", "halves");
}

TEST_F(Features, ReachTheTermsOfALossThatNameNone) {
    const nlohmann::ordered_json json =
        compare({"--features", weights, "--lpips", lpips, "--loss", "features(layers=relu1_1) + lpips + style(net=custom)"});
    EXPECT_NEAR(json["loss"], double(json["features"]) + double(json["lpips"]) + double(json["style"]), 1e-8);
    EXPECT_EQ(json["networks"].size(), 1u);
    const nlohmann::ordered_json two =
        compare({"--features", weights, "--loss", "style(normalize=imagenet) + style(net=vgg11-random, layers=relu1_1)"});
    ASSERT_EQ(two["networks"].size(), 2u);
    EXPECT_EQ(two["networks"][0]["name"], "custom");
    EXPECT_EQ(two["networks"][1]["name"], "vgg11-random");
}

TEST_F(Features, OfALossAloneSayThatWeightsAreRandom) {
    const std::string loss = "l1 + features(net=vgg11-random, layers=relu1_1)";
    const nlohmann::ordered_json json = compare({"--loss", loss});
    EXPECT_FALSE(json.contains("features"));
    EXPECT_EQ(json["networks"][0]["name"], "vgg11-random");
    for (const std::vector<std::string> &arguments :
         std::vector<std::vector<std::string>>{{"compare", a, b, "--loss", loss},
                                               {"bench", "--size", "1x3x32x32", "--loss", loss},
                                               {"fit", "--steps", "3", "--out", folder / "o.png", a, "--loss", loss}}) {
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        EXPECT_TRUE(says(outcome.out, "vgg11-random: random weights")) << outcome.out;
    }
    const Outcome bench = run({"bench", "--json", "--size", "1x1x32x32", "--loss", loss});
    EXPECT_EQ(nlohmann::json::parse(bench.out)["networks"][0]["name"], "vgg11-random");
    EXPECT_FALSE(compare({"--loss", "l1"}).contains("networks"));
}

TEST_F(Features, FitAndBenchTakeWeights) {
    const Outcome fit = run({"fit", "--steps", "20", "--features", weights, "--lpips", lpips, "--out", folder / "o.png", "--loss",
                             "features(layers=relu1_1)", "--loss", "mse", PIXLOSS_EXAMPLES "/chelsea.png"});
    ASSERT_EQ(fit.exit_code, 0) << fit.err;
    EXPECT_TRUE(says(fit.out, "custom of " + weights)) << fit.out;
    // 3/4 of the mean squared error: the same descent, since Adam does not mind the scale
    const auto psnr = [&](const std::string &loss) {
        const size_t row = fit.out.find("\n" + loss + " ");
        return row == std::string::npos ? 0 : std::atof(fit.out.c_str() + row + 1 + loss.size());
    };
    EXPECT_GT(psnr("mse"), 20);
    EXPECT_NEAR(psnr("features(layers=relu1_1)"), psnr("mse"), 0.02);
    const Outcome bench = run({"bench", "--size", "1x3x32x32", "--features", weights, "--lpips", lpips, "--loss", "lpips"});
    ASSERT_EQ(bench.exit_code, 0) << bench.err;
    EXPECT_TRUE(says(bench.out, "custom of " + weights)) << bench.out;
}

TEST_F(Features, Maps) {
    const auto draw = [&](const std::string &term, const std::vector<std::string> &more) {
        std::vector<std::string> arguments = {"compare", "--map-of", term, "--map", folder / (term + ".png"), coffee, compressed};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        const PngSize size = decode_png(folder / (term + ".png"));
        const int border = term == "ssim" ? 10 : 0; // whole windows only
        EXPECT_EQ(size.width, 600 - border + 142);
        EXPECT_EQ(size.height, 400 - border + 84);
        return outcome.out;
    };
    std::vector<const char *> terms = {"lpips", "cosine"};
    const char *lists = std::getenv("PXLOSS_TEST_LISTS");
    if (lists && lists == std::string("long")) terms.push_back("features");
    for (const char *term : terms) draw(term, {"--features", weights, "--lpips", lpips});
    EXPECT_TRUE(says(draw("features", {"--features", "random"}), "vgg16-random: random weights"));
    draw("ssim", {});
    EXPECT_EQ(run({"compare", "--map", folder / "default.png", coffee, compressed}).exit_code, 0);
    EXPECT_EQ(read_file(folder / "default.png"), read_file(folder / "ssim.png"));
    EXPECT_NE(read_file(folder / "lpips.png"), read_file(folder / "cosine.png"));
}

TEST_F(Features, MapOfEqualImages) {
    EXPECT_EQ(run({"compare", "--features", weights, "--map-of", "cosine", "--map", folder / "m.png", a, a}).exit_code, 0);
    decode_png(folder / "m.png");
}

TEST_F(Features, WeightsThatCannotBeRead) {
    const auto with = [&](const std::string &path) { return run({"compare", "--features", path, a, b}); };
    EXPECT_FAILS(with(folder / "none.safetensors"), 1, folder / "none.safetensors");
    EXPECT_FAILS(with(folder.path()), 1, folder.path(), "directory");
    write_file(folder / "text.safetensors", "these are no weights\n");
    EXPECT_FAILS(with(folder / "text.safetensors"), 1, folder / "text.safetensors");
    EXPECT_FAILS(with(a), 1, a);
    std::vector<Weights> wrong = network_that_copies();
    wrong[1] = {"features.0.bias", {5}, {0, 0, 0, 0, 0}};
    write_safetensors(folder / "wrong.safetensors", wrong);
    EXPECT_FAILS(with(folder / "wrong.safetensors"), 1, folder / "wrong.safetensors", "features.0.bias", "5", "4");
    wrong[1].name = "features.0.offset";
    write_safetensors(folder / "wrong.safetensors", wrong);
    EXPECT_FAILS(with(folder / "wrong.safetensors"), 1, folder / "wrong.safetensors", "features.0.bias");
    for (const char *command : {"fit", "bench"}) {
        std::vector<std::string> arguments = {command, "--features", folder / "wrong.safetensors"};
        if (arguments[0] == "fit") arguments.push_back(a);
        EXPECT_FAILS(run(arguments), 1, folder / "wrong.safetensors", "features.0.bias");
    }
}

TEST_F(Features, LinearWeightsThatDoNotFit) {
    write_safetensors(folder / "wrong.safetensors", {{"lin0.weight", {1, 3, 1, 1}, {1, 1, 1}}});
    const auto with = [&](const std::string &path) { return run({"compare", "--features", weights, "--lpips", path, a, b}); };
    EXPECT_FAILS(with(folder / "wrong.safetensors"), 1, folder / "wrong.safetensors", "lin0.weight", "4");
    EXPECT_FAILS(with(weights), 1, weights, "lin0.weight");
    EXPECT_FAILS(run({"compare", "--features", weights, "--loss", "lpips", a, b}), 2, "--loss", "linear weights", "--lpips");
    EXPECT_FAILS(run({"compare", "--features", weights, "--map-of", "lpips", "--map", folder / "m.png", a, b}), 2, "--map-of",
                 "--lpips");
}

TEST_F(Features, OptionsThatCannotBeMeant) {
    EXPECT_FAILS(run({"compare", "--features", "", a, b}), 2, "--features");
    EXPECT_FAILS(run({"compare", "--lpips", lpips, a, b}), 2, "--lpips", "--features");
    EXPECT_FAILS(run({"compare", "--features", "random", "--lpips", lpips, a, b}), 2, "--lpips");
    EXPECT_FAILS(run({"compare", "--map-of", "cosine", a, b}), 2, "--map-of", "--map");
    EXPECT_FAILS(run({"compare", "--map-of", "mse", "--map", folder / "m.png", a, b}), 2, "--map-of", "mse", "lpips");
    EXPECT_FAILS(run({"compare", "--loss", "style(net=vgg12)", a, b}), 2, "vgg12", "vgg11-random");
    EXPECT_FAILS(run({"compare", "--features", weights, "--loss", "features(layers=relu7_1)", a, b}), 2, "--loss", "relu7_1");
}

// A file of that name that is no library stands before the real one.
TEST_F(Features, WithoutOneDnn) {
    write_file(folder / "libdnnl.so.2", "");
    const char *before = std::getenv("LD_LIBRARY_PATH");
    const std::string kept = before ? before : "";
    setenv("LD_LIBRARY_PATH", folder.path().c_str(), 1);
    const std::string info = infos();
    const Outcome plain = run({"compare", a, b}), with = run({"compare", "--features", weights, a, b}),
                  loss = run({"compare", "--loss", "style(net=vgg11-random)", a, b});
    before ? setenv("LD_LIBRARY_PATH", kept.c_str(), 1) : unsetenv("LD_LIBRARY_PATH");
    EXPECT_TRUE(says(info, "network none: ") && says(info, "oneDNN")) << info;
    EXPECT_EQ(plain.exit_code, 0) << plain.err;
    EXPECT_FAILS(with, 1, "--features: ", "oneDNN");
    EXPECT_FAILS(loss, 1, "oneDNN");
}
