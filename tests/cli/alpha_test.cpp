// --alpha: what stands behind an image with transparency.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

constexpr int side = 20;

Samples flat(const std::vector<uint16_t> &pixel) {
    Samples image{side, side, int(pixel.size()), {}};
    for (int i = 0; i < side * side; i++) image.values.insert(image.values.end(), pixel.begin(), pixel.end());
    return image;
}

double difference(const std::string &a, const std::string &b, const std::vector<std::string> &options) {
    std::vector<std::string> arguments = {"compare", "--json", a, b};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.exit_code ? NAN : double(nlohmann::json::parse(outcome.out)["mae"]);
}

// That `path` looks, with --alpha, as these values do.
void expect_looks(const std::string &path, const std::string &alpha, const std::vector<uint16_t> &pixel) {
    const Folder folder;
    write_png(folder / "expected.png", flat(pixel));
    EXPECT_LT(difference(folder / "expected.png", path, {"--alpha", alpha}), 1e-7) << path << " --alpha " << alpha;
}

} // namespace

TEST(Alpha, IsRefusedUnlessItIsOpaque) {
    const Folder folder;
    TiffOptions tiff;
    tiff.alpha = true;
    const Samples image = picture(side, side, 3);
    write_png(folder / "a.png", image);
    write_png(folder / "alpha.png", with_alpha(image, 255));
    write_tiff(folder / "alpha.tif", with_alpha(image, 255), tiff);
    for (const char *name : {"alpha.png", "alpha.tif"})
        for (const char *alpha : {"refuse", "ignore", "white", "#123456", "checker"})
            EXPECT_EQ(difference(folder / "a.png", folder / name, {"--alpha", alpha}), 0);
    Samples transparent = with_alpha(image, 255);
    transparent.at(7, 3, 3) = 254;
    write_png(folder / "alpha.png", transparent);
    write_tiff(folder / "alpha.tif", transparent, tiff);
    for (const char *name : {"alpha.png", "alpha.tif"}) {
        EXPECT_FAILS(run({"compare", folder / "a.png", folder / name}), 1, folder / name, "(7, 3)", "opaque", "--alpha");
        EXPECT_FAILS(run({"compare", "--alpha", "refuse", folder / name, folder / "a.png"}), 1, folder / name, "(7, 3)");
        EXPECT_FAILS(run({"fit", "--steps", "1", "--out", folder / "out.png", folder / name}), 1, folder / name, "--alpha");
    }
}

TEST(Alpha, WhatIsBehindShowsThrough) {
    const Folder folder;
    const std::string path = folder / "a.png"; // a fifth of it is opaque
    write_png(path, flat({200, 100, 50, 51}));
    expect_looks(path, "ignore", {200, 100, 50});
    expect_looks(path, "black", {40, 20, 10});
    expect_looks(path, "white", {244, 224, 214});
    expect_looks(path, "#0aFf64", {48, 224, 90});
    write_png(path, flat({200, 51}));
    expect_looks(path, "white", {244});
    expect_looks(path, "#646464", {120});
}

TEST(Alpha, OfSixteenBits) {
    const Folder folder;
    write_png(folder / "a.png", flat({51400, 13107}), 16);
    expect_looks(folder / "a.png", "white", {244});
}

TEST(Alpha, CheckerHasSquaresOfTwoGreys) {
    const Folder folder;
    write_png(folder / "a.png", flat({9, 9, 9, 0}));
    Samples squares{side, side, 3, std::vector<uint16_t>(side * side * 3)};
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++) squares.at(x, y, c) = (x / 8 + y / 8) % 2 ? 0x99 : 0x66;
    write_png(folder / "b.png", squares);
    EXPECT_LT(difference(folder / "a.png", folder / "b.png", {"--alpha", "checker"}), 1e-7);
}

TEST(Alpha, OfTiffMayBePremultiplied) {
    const Folder folder;
    TiffOptions options;
    options.alpha = true;
    write_tiff(folder / "straight.tif", flat({200, 51}), options);
    options.premultiplied = true;
    write_tiff(folder / "premultiplied.tif", flat({40, 51}), options);
    for (const char *name : {"straight.tif", "premultiplied.tif"}) {
        expect_looks(folder / name, "black", {40});
        expect_looks(folder / name, "white", {244});
    }
    expect_looks(folder / "straight.tif", "ignore", {200});
    expect_looks(folder / "premultiplied.tif", "ignore", {40});
}

TEST(Alpha, MayBeThatOfOneValueOrOfAPalette) {
    const Folder folder;
    const std::vector<uint8_t> ones(side * side, 1);
    write_grey_png(folder / "grey.png", side, side, ones, 2, 1);
    write_grey_png(folder / "other.png", side, side, ones, 2, 2); // a value that no pixel has
    write_palette_png(folder / "palette.png", side, side, ones, {1, 2, 3, 200, 100, 50}, 8, {255, 51});
    EXPECT_FAILS(run({"compare", folder / "grey.png", folder / "grey.png"}), 1, "grey.png", "--alpha");
    EXPECT_FAILS(run({"compare", folder / "palette.png", folder / "palette.png"}), 1, "palette.png", "--alpha");
    expect_looks(folder / "grey.png", "white", {255});
    expect_looks(folder / "grey.png", "ignore", {85});
    expect_looks(folder / "other.png", "refuse", {85});
    expect_looks(folder / "palette.png", "white", {244, 224, 214});
}

TEST(Alpha, GreyInFrontOfAColour) {
    const Folder folder;
    write_png(folder / "a.png", flat({200, 51}));
    EXPECT_FAILS(run({"compare", "--alpha", "#ff0000", folder / "a.png", folder / "a.png"}), 1, "a.png", "RGB", "--alpha");
}

TEST(Alpha, FitTakesIt) {
    const Folder folder;
    write_png(folder / "a.png", with_alpha(picture(side, side, 3), 128));
    const Outcome outcome =
        run({"fit", "--alpha", "white", "--steps", "2", "--loss", "mse", "--out", folder / "out.png", folder / "a.png"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST(Alpha, WordsThatAreNone) {
    EXPECT_FAILS(run({"compare", "--alpha", "", "missing.png", "missing.png"}), 2, "--alpha ''", "checker");
    for (const char *alpha : {"blue", "#12345", "#1234567", "#12345g", "123456", "-1"})
        for (const char *command : {"compare", "fit"}) {
            std::vector<std::string> arguments = {command, std::string("--alpha=") + alpha, "missing.png"};
            if (arguments[0] == "compare") arguments.emplace_back("missing.png");
            EXPECT_FAILS(run(arguments), 2, "--alpha", std::string("'") + alpha + "'", "checker", "white");
        }
}
