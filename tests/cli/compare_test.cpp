// `pixloss compare`: its numbers, its two forms, the map.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

const std::string chelsea = PIXLOSS_EXAMPLES "/chelsea.png";
const std::string astronaut = PIXLOSS_TEST_DATA "/astronaut.png", camera = PIXLOSS_TEST_DATA "/camera.png";

nlohmann::ordered_json compare(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"compare", "--json"});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return nlohmann::ordered_json::parse(outcome.out);
}

double mean_square(const Samples &a, const Samples &b, double most) {
    double sum = 0;
    for (size_t i = 0; i < a.values.size(); i++) sum += std::pow((double(a.values[i]) - double(b.values[i])) / most, 2);
    return sum / double(a.values.size());
}

} // namespace

TEST(Compare, JsonHasItsKeysInOrder) {
    const nlohmann::ordered_json json = compare({coffee, coffee});
    std::vector<std::string> keys;
    for (const auto &item : json.items()) keys.push_back(item.key());
    EXPECT_EQ(keys, (std::vector<std::string>{"reference", "test", "width", "height", "channels", "preset", "mse", "rmse", "mae",
                                              "psnr", "ssim", "dssim", "ms_ssim", "sobel_l1", "laplacian_l1", "loss"}));
}

TEST(Compare, JsonIsOneLine) {
    const Outcome outcome = run({"compare", "--json", coffee, coffee});
    EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1) << outcome.out;
}

TEST(Compare, EightAndSixteenBitsAndFloats) {
    const Folder folder;
    Samples wide = picture(41, 29, 1);
    write_png(folder / "8.png", wide);
    std::vector<float> floats;
    for (uint16_t &value : wide.values) floats.push_back(float(value) / 255.0f), value = uint16_t(value * 257);
    write_png(folder / "16.png", wide, 16);
    write_float_tiff(folder / "32.tif", 41, 29, floats);
    for (const char *other : {"16.png", "32.tif"}) EXPECT_EQ(compare({folder / "8.png", folder / other})["mse"], 0.0) << other;
}

TEST(Compare, EqualImages) {
    const nlohmann::ordered_json json = compare({coffee, coffee});
    EXPECT_EQ(json["reference"], coffee);
    EXPECT_EQ(json["test"], coffee);
    EXPECT_EQ(json["width"], 600);
    EXPECT_EQ(json["height"], 400);
    EXPECT_EQ(json["channels"], 3);
    EXPECT_EQ(json["preset"], "wang");
    EXPECT_EQ(json["ssim"], 1.0);
    for (const char *zero : {"mse", "rmse", "mae", "dssim", "sobel_l1", "laplacian_l1"}) EXPECT_EQ(json[zero], 0.0) << zero;
    EXPECT_EQ(json["ms_ssim"], 1.0);
    for (const char *null : {"psnr", "loss"}) EXPECT_TRUE(json[null].is_null()) << null;
}

TEST(Compare, NumbersFitTheirDefinitions) {
    const Folder folder;
    const Samples a = picture(41, 29, 3, 8, 1), b = picture(41, 29, 3, 8, 2);
    write_png(folder / "a.png", a);
    write_png(folder / "b.png", b);
    const nlohmann::ordered_json json = compare({folder / "a.png", folder / "b.png", "--loss", "0.5*mse + 2*ssim"});
    const double mse = mean_square(a, b, 255), ssim = json["ssim"];
    EXPECT_NEAR(json["mse"], mse, 1e-5 * mse);
    EXPECT_NEAR(json["rmse"], std::sqrt(mse), 1e-5);
    EXPECT_NEAR(json["psnr"], -10 * std::log10(mse), 1e-3);
    EXPECT_NEAR(json["dssim"], (1 - ssim) / 2, 1e-9);
    EXPECT_NEAR(json["loss"], 0.5 * mse + 2 * (1 - ssim), 1e-6);
    EXPECT_GT(json["mae"], 0.0);
    EXPECT_GT(json["sobel_l1"], json["mae"]);
    EXPECT_GT(json["laplacian_l1"], json["mae"]);
}

TEST(Compare, MsSsimIsMissingWhereItIsNone) {
    const Folder folder;
    write_png(folder / "a.png", picture(170, 160, 1, 8, 1)), write_png(folder / "b.png", picture(170, 160, 1, 8, 2));
    write_png(folder / "c.png", picture(170, 161, 1, 8, 1)), write_png(folder / "d.png", picture(170, 161, 1, 8, 2));
    const nlohmann::ordered_json small = compare({folder / "a.png", folder / "b.png"});
    EXPECT_TRUE(small["ms_ssim"].is_null());
    EXPECT_NE(std::string(small["missing"]["ms_ssim"]).find("needs at least 161 x 161"), std::string::npos);
    const nlohmann::ordered_json large = compare({folder / "c.png", folder / "d.png", "--loss", "ms_ssim(preset=wang)"});
    EXPECT_NEAR(large["ms_ssim"], 1 - double(large["loss"]), 1e-12);
    const nlohmann::ordered_json other = compare({folder / "c.png", folder / "d.png", "--preset", "skimage"});
    EXPECT_NE(std::string(other["missing"]["ms_ssim"]).find("has no MS-SSIM"), std::string::npos);
}

TEST(Compare, SixteenBitsAreDividedByTheirMaximum) {
    const Folder folder;
    const Samples a = picture(41, 29, 1, 16, 1), b = picture(41, 29, 1, 16, 2);
    write_png(folder / "a.png", a, 16);
    write_png(folder / "b.png", b, 16);
    const double mse = mean_square(a, b, 65535);
    EXPECT_NEAR(compare({folder / "a.png", folder / "b.png"})["mse"], mse, 1e-5 * mse);
}

TEST(Compare, ReferenceIsTheTarget) {
    // tv looks at the test image alone: of a flat image it is 0.
    const Folder folder;
    write_png(folder / "flat.png", {20, 20, 1, std::vector<uint16_t>(400, 100)});
    write_png(folder / "busy.png", picture(20, 20, 1));
    EXPECT_EQ(compare({"--loss", "tv", folder / "busy.png", folder / "flat.png"})["loss"], 0.0);
    EXPECT_GT(compare({"--loss", "tv", folder / "flat.png", folder / "busy.png"})["loss"], 0.0);
}

TEST(Compare, PresetsAreDifferentDefinitions) {
    const Folder folder;
    write_jpeg(folder / "a.jpg", picture(300, 280, 3), 30);
    write_png(folder / "b.png", picture(300, 280, 3));
    const auto ssim = [&](const std::string &preset) {
        const nlohmann::ordered_json json = compare({"--preset", preset, folder / "b.png", folder / "a.jpg"});
        EXPECT_EQ(json["preset"], preset);
        return double(json["ssim"]);
    };
    EXPECT_EQ(ssim("wang"), ssim("tf"));
    EXPECT_NE(ssim("wang"), ssim("skimage"));
    EXPECT_NE(ssim("wang"), ssim("seed"));
}

TEST(Compare, PresetReachesTheWindowedTermsOfTheLoss) {
    const Folder folder;
    write_png(folder / "a.png", picture(60, 50, 3));
    write_png(folder / "b.png", picture(60, 50, 3, 8, 2));
    const auto with = [&](const std::string &preset, const std::string &loss) {
        return compare({"--preset", preset, "--loss", loss, folder / "a.png", folder / "b.png"});
    };
    for (const char *preset : {"wang", "skimage", "seed", "torchmetrics"}) {
        const nlohmann::ordered_json json = with(preset, "ssim");
        EXPECT_NEAR(json["loss"], 1 - double(json["ssim"]), 1e-9) << preset;
        EXPECT_NEAR(with(preset, "dssim + 0*luminance")["loss"], json["dssim"], 1e-8) << preset;
    }
    EXPECT_EQ(with("skimage", "ssim(preset=wang)")["loss"], with("wang", "ssim")["loss"]); // its own stays
    EXPECT_NE(with("skimage", "ssim(window=11)")["loss"], with("wang", "ssim(window=11)")["loss"]);
    const Outcome table = run({"compare", "--preset", "seed", "--loss", "ssim + l1", folder / "a.png", folder / "b.png"});
    EXPECT_NE(table.out.find("ssim(preset=seed) + l1"), std::string::npos) << table.out;
}

TEST(Compare, TableSaysWhatJsonSays) {
    const Outcome outcome = run({"compare", "--loss", "l1", coffee, coffee});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char *word : {"coffee.png", "600 x 400, 3 channels", "wang", "mse", "inf dB", "dssim", "laplacian_l1", "loss"})
        EXPECT_NE(outcome.out.find(word), std::string::npos) << "no '" << word << "' in\n" << outcome.out;
}

TEST(Compare, NotANumberIsNullAndKeepsQuiet) {
    const Folder folder;
    std::vector<float> values(20 * 20, 0.5f);
    write_float_tiff(folder / "a.tif", 20, 20, values);
    values[21] = NAN;
    write_float_tiff(folder / "b.tif", 20, 20, values);
    const nlohmann::ordered_json json = compare({folder / "a.tif", folder / "b.tif"});
    for (const char *null : {"mse", "psnr", "ssim", "mae"}) EXPECT_TRUE(json[null].is_null()) << null;
}

TEST(Compare, FileNamesNeedNotBeUtf8) {
    const Folder folder;
    write_png(folder / "\xff.png", picture(20, 20, 1));
    EXPECT_EQ(compare({folder / "\xff.png", folder / "\xff.png"})["mse"], 0.0);
}

TEST(Map, IsAPngThatHoldsTheMap) {
    const Folder folder;
    for (const char *preset :
         {"wang", "vainf", "skimage", "tf", "torchmetrics", "piq", "kornia", "fused-ssim", "seed", "monai", "vmaf"}) {
        const Outcome outcome = run({"compare", "--preset", preset, "--map", folder / "map.png", astronaut, astronaut});
        EXPECT_EQ(outcome.exit_code, 0) << preset << ": " << outcome.err;
        const PngSize size = decode_png(folder / "map.png");
        EXPECT_GE(size.width, 240) << preset;
        EXPECT_GE(size.height, 240) << preset;
    }
    EXPECT_EQ(folder.names(), std::vector<std::string>{"map.png"});
}

TEST(Map, IsDrawnPixelForPixelWhereItFits) {
    const Folder folder;
    ASSERT_EQ(run({"compare", "--preset", "seed", "--map", folder / "map.png", coffee, coffee}).exit_code, 0);
    const PngSize size = decode_png(folder / "map.png");
    EXPECT_EQ(size.width, 600 + 142); // margin, gap, scale and its labels
    EXPECT_EQ(size.height, 400 + 84); // title and margin
}

TEST(Map, OfVerySmallAndVeryLongImages) {
    const Folder folder;
    write_png(folder / "small.png", picture(11, 11, 1));
    write_png(folder / "long.png", picture(9000, 11, 1));
    EXPECT_EQ(run({"compare", "--map", folder / "a.png", folder / "small.png", folder / "small.png"}).exit_code, 0);
    EXPECT_EQ(run({"compare", "--map", folder / "b.png", folder / "long.png", folder / "long.png"}).exit_code, 0);
    EXPECT_LT(decode_png(folder / "b.png").width, 2300);
}

TEST(Map, OfImagesThatPresetsShrinkByDifferentFactors) {
    const Folder folder;
    write_png(folder / "a.png", picture(701, 640, 1)); // 640 / 256 = 2.5: piq rounds to 2, vmaf to 3
    for (const char *preset : {"piq", "vmaf"}) {
        const Outcome outcome =
            run({"compare", "--preset", preset, "--map", folder / "map.png", folder / "a.png", folder / "a.png"});
        EXPECT_EQ(outcome.exit_code, 0) << preset << ": " << outcome.err;
    }
}

TEST(Map, ReplacesAnOldFileAndFollowsLinks) {
    const Folder folder;
    write_file(folder / "map.png", "old");
    ASSERT_EQ(symlink("map.png", (folder / "link.png").c_str()), 0);
    EXPECT_EQ(run({"compare", "--map", folder / "link.png", camera, camera}).exit_code, 0);
    EXPECT_GT(decode_png(folder / "map.png").width, 500);
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"link.png", "map.png"}));
}

TEST(Map, AFailureLeavesTheOldFile) {
    const Folder folder;
    write_file(folder / "map.png", "old");
    EXPECT_FAILS(run({"compare", "--map", folder / "map.png", coffee, chelsea}), 1, "coffee.png", "chelsea.png");
    EXPECT_EQ(read_file(folder / "map.png"), "old");
    EXPECT_EQ(folder.names(), std::vector<std::string>{"map.png"});
}

TEST(Map, IsNotWrittenOverAnInput) {
    const Folder folder;
    write_png(folder / "a.png", picture(20, 20, 1));
    write_png(folder / "b.png", picture(20, 20, 1, 8, 2));
    ASSERT_EQ(symlink("a.png", (folder / "soft.png").c_str()), 0);
    ASSERT_EQ(link((folder / "a.png").c_str(), (folder / "hard.png").c_str()), 0);
    const std::vector<std::string> names = folder.names();
    const std::string a = read_file(folder / "a.png"), b = read_file(folder / "b.png");
    const auto with_map = [&](const std::string &map) {
        return run({"compare", "--map", map, folder / "a.png", folder / "b.png"});
    };
    for (const char *map : {"a.png", "./a.png", "soft.png", "hard.png"})
        EXPECT_FAILS(with_map(folder / map), 1, "--map", folder / map, folder / "a.png");
    EXPECT_FAILS(with_map(folder / "b.png"), 1, "--map", folder / "b.png");
    EXPECT_FAILS(run({"compare", "--map", folder / "a.png", folder / "b.png", folder / "soft.png"}), 1, "--map", folder / "a.png",
                 folder / "soft.png");
    EXPECT_EQ(folder.names(), names);
    EXPECT_EQ(read_file(folder / "a.png"), a);
    EXPECT_EQ(read_file(folder / "b.png"), b);
}

TEST(CompareErrors, ShapesThatDiffer) {
    EXPECT_FAILS(run({"compare", coffee, chelsea}), 1, coffee, "600 x 400, 3 channels", chelsea, "451 x 300, 3 channels");
    EXPECT_FAILS(run({"compare", "--json", astronaut, camera}), 1, "512 x 512, 3 channels", "512 x 512, 1 channel");
}

TEST(CompareErrors, SmallerThanTheWindow) {
    const Folder folder;
    write_png(folder / "a.png", picture(10, 40, 1));
    write_png(folder / "b.png", picture(10, 40, 1, 8, 2));
    EXPECT_FAILS(run({"compare", "--json", folder / "a.png", folder / "b.png"}), 1, folder / "b.png: ", "10", "11");
    EXPECT_FAILS(run({"compare", "--preset", "seed", "--loss", "ssim(preset=wang)", folder / "a.png", folder / "b.png"}), 1,
                 folder / "b.png: ", "10", "11");
    EXPECT_EQ(run({"compare", "--preset", "seed", folder / "a.png", folder / "a.png"}).exit_code, 0);
}

TEST(CompareErrors, OutputThatCannotBeWritten) {
    const Folder folder;
    ASSERT_EQ(mkdir((folder / "folder.png").c_str(), 0700), 0);
    ASSERT_EQ(symlink("/dev/null", (folder / "device.png").c_str()), 0);
    for (const std::string &path : {folder / "none/map.png", folder / "folder.png", folder / "device.png"})
        EXPECT_FAILS(run({"compare", "--map", path, coffee, coffee}), 1, path);
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"device.png", "folder.png"}));
    EXPECT_NE(run_into("/dev/full", {"compare", coffee, coffee}).exit_code, 0);
}
