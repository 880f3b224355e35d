// `pixloss compare` of two folders: which images belong together, a line for each, the summary, and what a failure does.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "files.hpp"
#include "program.hpp"

namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> lines_of(const std::string &text) {
    std::istringstream stream(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

// The fields of lines without quotes.
std::vector<std::vector<std::string>> cells_of(const std::string &csv) {
    std::vector<std::vector<std::string>> rows;
    for (const std::string &line : lines_of(csv)) {
        rows.emplace_back(1);
        for (const char c : line)
            if (c == ',')
                rows.back().emplace_back();
            else
                rows.back().back() += c;
    }
    return rows;
}

bool says(const std::string &text, const std::string &words) { return text.find(words) != std::string::npos; }

class Folders : public testing::Test {
  protected:
    void SetUp() override {
        mkdir(a.c_str(), 0700), mkdir(b.c_str(), 0700);
        for (unsigned i = 1; i <= 3; i++) {
            const std::string name = "/" + std::to_string(i) + ".png";
            write_png(a + name, picture(40, 30 + int(i), 3, 8, 1));
            write_png(b + name, picture(40, 30 + int(i), 3, 8, 1 + i));
        }
    }
    Outcome compare(std::vector<std::string> options) const {
        options.insert(options.begin(), "compare");
        options.insert(options.end(), {a, b});
        return run(options);
    }
    std::vector<Json> json(const std::vector<std::string> &options = {}, int exit_code = 0) const {
        std::vector<std::string> all = {"--json"};
        all.insert(all.end(), options.begin(), options.end());
        const Outcome outcome = compare(all);
        EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
        std::vector<Json> objects;
        for (const std::string &line : lines_of(outcome.out)) objects.push_back(Json::parse(line));
        return objects;
    }
    // The tests, in the order of the output.
    std::vector<std::string> tests() const {
        std::vector<std::string> names;
        for (const Json &pair : json()) names.push_back(std::string(pair["test"]).substr(b.size() + 1));
        return names;
    }
    const Folder folder;
    const std::string a = folder / "a", b = folder / "b";
};

using Names = std::vector<std::string>;

} // namespace

TEST_F(Folders, EachPairIsAsItIsAlone) {
    const Outcome outcome = compare({"--json", "--loss", "ssim + l1"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    std::string expected;
    for (const char *name : {"/1.png", "/2.png", "/3.png"})
        expected += run({"compare", "--json", "--loss", "ssim + l1", a + name, b + name}).out;
    EXPECT_EQ(outcome.out, expected);
    EXPECT_EQ(compare({"--csv"}).out, run({"compare", "--csv", a + "/", b + "/"}).out);
}

TEST_F(Folders, Csv) {
    const Outcome outcome = compare({"--csv", "--loss", "l1"});
    EXPECT_EQ(outcome.err, "");
    const auto rows = cells_of(outcome.out);
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(rows[0], (Names{"reference", "test", "width", "height", "channels", "preset", "mse", "rmse", "mae", "psnr", "ssim",
                              "dssim", "ms_ssim", "sobel_l1", "laplacian_l1", "loss", "error"}));
    const std::vector<Json> pairs = json({"--loss", "l1"});
    for (size_t i = 1; i < rows.size(); i++)
        for (size_t k = 0; k + 1 < rows[0].size(); k++) {
            const Json &value = pairs[i - 1][rows[0][k]];
            if (value.is_number()) {
                EXPECT_NEAR(std::stod(rows[i][k]), value, 1e-8 * std::fabs(double(value)));
            } else {
                EXPECT_EQ(rows[i][k], value.is_null() ? Json("") : value);
            }
        }
    EXPECT_EQ(rows[2][16], "");
    const auto one = cells_of(run({"compare", "--csv", "--loss", "l1", a + "/2.png", b + "/2.png"}).out);
    EXPECT_EQ(one, (std::vector<Names>{rows[0], rows[2]}));
}

TEST_F(Folders, CsvQuotesWhatNeedsIt) {
    const std::string name = "/odd, \"name\".png";
    write_png(a + name, picture(20, 20, 1));
    write_png(b + name, picture(20, 20, 1));
    const Outcome outcome = compare({"--csv"});
    EXPECT_TRUE(
        says(outcome.out, "\n\"" + a + "/odd, \"\"name\"\".png\",\"" + b + "/odd, \"\"name\"\".png\",20,20,1,wang,0,0,0,inf,1,"))
        << outcome.out;
}

TEST_F(Folders, TableHasALineForEachAndASummary) {
    const Outcome outcome = compare({"--loss", "l1"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "") << "a progress bar where there is no terminal";
    const size_t first = outcome.out.find("\n1.png "), second = outcome.out.find("\n2.png "),
                 third = outcome.out.find("\n3.png ");
    ASSERT_NE(third, std::string::npos) << outcome.out;
    EXPECT_TRUE(first < second && second < third);
    for (const char *words : {"reference  ", "pairs      3\n", "preset     wang", "loss       l1", "psnr, dB", "of 3 pairs",
                              "median", "worst", "\nlaplacian_l1 "})
        EXPECT_TRUE(says(outcome.out, words)) << "no '" << words << "' in\n" << outcome.out;
}

TEST_F(Folders, SummaryFitsThePairs) {
    const std::vector<Json> objects = json({"--summary"});
    ASSERT_EQ(objects.size(), 4u);
    const Json &summary = objects[3]["summary"];
    EXPECT_EQ(summary["pairs"], 3);
    EXPECT_EQ(summary["failed"], 0);
    EXPECT_EQ(summary["unmatched"], 0);
    for (const char *metric : {"mse", "psnr", "ssim", "laplacian_l1"}) {
        std::vector<double> values;
        for (size_t i = 0; i < 3; i++) values.push_back(objects[i][metric]);
        const std::vector<double> original = values;
        std::sort(values.begin(), values.end());
        EXPECT_NEAR(summary[metric]["mean"], (values[0] + values[1] + values[2]) / 3, 1e-9) << metric;
        EXPECT_EQ(summary[metric]["median"], values[1]) << metric;
        EXPECT_EQ(summary[metric]["min"], values[0]) << metric;
        EXPECT_EQ(summary[metric]["max"], values[2]) << metric;
        const double worst = metric[0] == 'p' || metric[0] == 's' ? values[0] : values[2];
        const auto at = std::find(original.begin(), original.end(), worst) - original.begin();
        EXPECT_EQ(summary[metric]["worst"], std::to_string(at + 1) + ".png") << metric;
    }
}

TEST_F(Folders, SummaryPassesOverNothing) {
    std::vector<float> values(400, 0.5f);
    write_float_tiff(a + "/4.tif", 20, 20, values);
    values[21] = NAN;
    write_float_tiff(b + "/4.tif", 20, 20, values);
    const Json mse = json({"--summary"}).back()["summary"]["mse"];
    for (const char *key : {"mean", "median", "min", "max"}) EXPECT_TRUE(mse[key].is_null()) << key;
    EXPECT_EQ(mse["worst"], "4.tif");
    EXPECT_TRUE(says(compare({}).out, " nan ")) << compare({}).out;
    EXPECT_TRUE(says(compare({"--csv"}).out, ",nan,"));
}

TEST_F(Folders, AreMatchedByNameThenByStem) {
    rename((b + "/2.png").c_str(), (b + "/2.PNG").c_str());
    write_jpeg(b + "/0.v1.jpg", picture(20, 20, 3), 90);
    write_png(a + "/0.v1.png", picture(20, 20, 3));
    write_png(b + "/3.tif", picture(20, 20, 3)); // 3.png has its own name there
    EXPECT_EQ(tests(), (Names{"0.v1.jpg", "1.png", "2.PNG", "3.png"}));
}

TEST_F(Folders, OnlyImagesCount) {
    write_file(a + "/notes.txt", "text"), write_file(b + "/notes.txt", "text"), write_file(a + "/README", "text");
    write_file(a + "/.hidden.png", "text"), write_file(b + "/.hidden.png", "text");
    mkdir((a + "/4.png").c_str(), 0700), mkdir((b + "/4.png").c_str(), 0700);
    const Outcome outcome = compare({"--json"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(tests(), (Names{"1.png", "2.png", "3.png"}));
}

TEST_F(Folders, UnmatchedImagesAreWarnedAbout) {
    write_png(a + "/only a.png", picture(20, 20, 1));
    for (int i = 10; i < 25; i++) write_file(b + "/" + std::to_string(i) + ".jpg", "");
    const Outcome outcome = compare({"--json", "--summary"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err,
              "pixloss: " + a + ": only a.png has no counterpart in " + b + "\npixloss: " + b +
                  ": 10.jpg, 11.jpg, 12.jpg, 13.jpg, 14.jpg, 15.jpg, 16.jpg, 17.jpg, 18.jpg, 19.jpg and 5 more have no "
                  "counterpart in " +
                  a + "\n");
    EXPECT_EQ(lines_of(outcome.out).size(), 4u);
    EXPECT_EQ(Json::parse(lines_of(outcome.out)[3])["summary"]["unmatched"], 16);
}

TEST_F(Folders, OneFailureStopsNoOther) {
    write_file(b + "/1.png", "no image");
    write_png(b + "/2.png", picture(41, 32, 3));
    const Outcome table = compare({}), csv = compare({"--csv"});
    for (const Outcome &outcome : {table, csv}) {
        EXPECT_EQ(outcome.exit_code, 1);
        EXPECT_EQ(outcome.err, "pixloss: " + b +
                                   "/1.png: is not a PNG, JPEG or TIFF image\npixloss: the images differ in shape: " + a +
                                   "/2.png is 40 x 32, 3 channels; " + b + "/2.png is 41 x 32, 3 channels\n");
    }
    EXPECT_TRUE(says(table.out, "\n1.png  ") && says(table.out, "  -  ") && says(table.out, "of 1 pair ")) << table.out;
    EXPECT_TRUE(says(csv.out, "\n" + a + "/1.png," + b + "/1.png,,,,wang,,,,,,,,,,\"" + b + "/1.png: is not")) << csv.out;
    EXPECT_TRUE(says(csv.out, "\n" + a + "/3.png," + b + "/3.png,40,33,3,wang,0.")) << csv.out;

    const std::vector<Json> objects = json({"--summary"}, 1);
    ASSERT_EQ(objects.size(), 4u);
    EXPECT_EQ(objects[0]["error"], b + "/1.png: is not a PNG, JPEG or TIFF image");
    EXPECT_FALSE(objects[0].contains("mse"));
    EXPECT_FALSE(objects[2].contains("error"));
    EXPECT_EQ(objects[3]["summary"]["pairs"], 1);
    EXPECT_EQ(objects[3]["summary"]["failed"], 2);
    EXPECT_EQ(objects[3]["summary"]["mse"]["mean"], objects[2]["mse"]);
}

TEST_F(Folders, EveryPairMayFail) {
    for (const char *name : {"/1.png", "/2.png", "/3.png"}) write_file(b + name, "");
    const Outcome outcome = compare({});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_TRUE(says(outcome.out, "\n3.png ")) << outcome.out;
    EXPECT_FALSE(says(outcome.out, "mean")) << outcome.out;
    EXPECT_EQ(json({"--summary"}, 1).back()["summary"].dump(), "{\"pairs\":0,\"failed\":3,\"unmatched\":0}");
}

TEST_F(Folders, FormatsThatCannotBeReadAreReported) {
    write_file(a + "/4.webp", "RIFF....WEBP"), write_file(b + "/4.webp", "RIFF....WEBP");
    ASSERT_EQ(symlink("nowhere", (b + "/5.png").c_str()), 0);
    write_png(a + "/5.png", picture(20, 20, 1));
    write_png(a + "/6.png", with_alpha(picture(20, 20, 1), 9)), write_png(b + "/6.png", picture(20, 20, 1));
    write_png(a + "/7.png", picture(9, 9, 1)), write_png(b + "/7.png", picture(9, 9, 1)); // smaller than the window
    const Outcome outcome = compare({});
    EXPECT_EQ(outcome.exit_code, 1);
    const Names lines = lines_of(outcome.err);
    ASSERT_EQ(lines.size(), 4u) << outcome.err;
    EXPECT_TRUE(says(lines[0], "pixloss: " + a + "/4.webp: is not a PNG, JPEG or TIFF image"));
    EXPECT_TRUE(says(lines[1], "pixloss: " + b + "/5.png: No such file"));
    EXPECT_TRUE(says(lines[2], "pixloss: " + a + "/6.png: pixel (0, 0) is not opaque"));
    EXPECT_TRUE(says(lines[3], "pixloss: " + b + "/7.png: ") && says(lines[3], "11")) << lines[3];
    EXPECT_TRUE(says(outcome.out, "of 3 pairs"));
    EXPECT_TRUE(says(compare({"--alpha", "white"}).out, "of 4 pairs"));
}

TEST_F(Folders, AmbiguousNames) {
    write_png(a + "/4.png", picture(20, 20, 1)), write_jpeg(a + "/4.jpg", picture(20, 20, 1), 90);
    write_tiff(b + "/4.tif", picture(20, 20, 1), {});
    EXPECT_FAILS(compare({}), 1, a + " has 4.jpg and 4.png", b + " has 4.tif", "which");
    EXPECT_FAILS(compare({"--csv"}), 1, "4.jpg and 4.png");
    EXPECT_FAILS(run({"compare", b, a}), 1, "4.jpg and 4.png", "4.tif");
    unlink((b + "/4.tif").c_str()); // without a counterpart they are no problem
    EXPECT_EQ(compare({}).exit_code, 0);
}

TEST_F(Folders, WithoutAPair) {
    const std::string empty = folder / "empty";
    mkdir(empty.c_str(), 0700);
    EXPECT_FAILS(run({"compare", a, empty}), 1, a + " has 3 images", empty + " has 0 images");
    write_png(empty + "/other.png", picture(20, 20, 1));
    for (const char *option : {"--json", "--csv"}) EXPECT_FAILS(run({"compare", option, empty, a}), 1, empty + " has 1 image,");
}

TEST_F(Folders, AndAFile) {
    EXPECT_FAILS(run({"compare", a, b + "/1.png"}), 1, a + ": is a directory", b + "/1.png is not");
    EXPECT_FAILS(run({"compare", a + "/1.png", b}), 1, b + ": is a directory", a + "/1.png is not");
    EXPECT_FAILS(run({"compare", a, folder / "missing"}), 1, (folder / "missing") + ": No such file");
}

TEST_F(Folders, OptionsThatDoNotGoTogether) {
    EXPECT_FAILS(compare({"--map", folder / "map.png"}), 2, "--map", "folders");
    EXPECT_FAILS(compare({"--json", "--csv"}), 2, "--csv", "--json");
    EXPECT_FAILS(compare({"--summary"}), 2, "--summary", "--json");
    EXPECT_FAILS(compare({"--summary", "--csv"}), 2, "--summary", "--json");
    EXPECT_FAILS(run({"compare", "--json", "--summary", a + "/1.png", b + "/1.png"}), 2, "--summary", "folders");
}

TEST_F(Folders, ProgressIsForTerminals) {
    write_file(b + "/2.png", "");
    for (const std::vector<std::string> &options : {Names{}, Names{"--json"}, Names{"--csv"}}) {
        std::vector<std::string> arguments = {"compare", a, b};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Outcome outcome = run_at_terminal(arguments);
        EXPECT_EQ(outcome.exit_code, 1);
        EXPECT_EQ(outcome.out, compare(options).out);
        for (const char *words : {"compare [", "] ", "0 % ", "33 %", "1 of 3", "2 of 3"}) EXPECT_TRUE(says(outcome.err, words));
        EXPECT_TRUE(says(outcome.err, "\r\033[Kpixloss: " + b + "/2.png: the file is empty\r\n")) << "not in a line of its own";
        EXPECT_EQ(outcome.err.substr(outcome.err.size() - 4), "\r\033[K") << "the bar stays";
    }
}

TEST_F(Folders, OutputThatCannotBeWritten) {
    for (const char *option : {"--json", "--csv"}) {
        const Outcome outcome = run_into("/dev/full", {"compare", option, a, b});
        EXPECT_EQ(outcome.exit_code, 1);
        EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
        EXPECT_TRUE(says(outcome.err, "standard output")) << outcome.err;
    }
}

// A name may hold what a terminal takes for a command, or a second line.
TEST_F(Folders, NamesWithControlCharacters) {
    const std::string odd = "/\x1b[31m\n.png", wide = "/\xc3\xa4.png";
    for (const std::string &where : {a, b})
        write_png(where + odd, picture(40, 31, 3)), write_png(where + wide, picture(40, 31, 3));
    write_file(b + "/\x1b]0;.png", ""), write_file(a + "/\x1b]0;.png", "");
    const Outcome outcome = compare({});
    EXPECT_EQ(outcome.exit_code, 1);
    for (const std::string &text : {outcome.out, outcome.err}) EXPECT_FALSE(says(text, "\x1b")) << text;
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
    EXPECT_TRUE(says(outcome.out, "?[31m?.png")) << outcome.out;
    EXPECT_TRUE(says(outcome.out, "\xc3\xa4.png       ")) << outcome.out; // as wide as the other, ten characters
}

TEST_F(Folders, Networks) {
    if (!says(run({"info"}).out, "by oneDNN")) GTEST_SKIP() << "this build cannot run networks";
    const auto rows = cells_of(compare({"--csv", "--features", "vgg11-random"}).out);
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(Names(rows[0].begin() + 14, rows[0].end()),
              (Names{"laplacian_l1", "features", "cosine", "style", "lpips", "networks", "error"}));
    EXPECT_EQ(rows[1][19], "vgg11-random");
    const Outcome table = compare({"--features", "vgg11-random"});
    EXPECT_TRUE(says(table.out, "random weights") && says(table.out, "lpips")) << table.out;
}

// What no pair can do is said once. A file of that name that is no library stands before the real one.
TEST_F(Folders, NetworksWithoutOneDnn) {
    write_file(folder / "libdnnl.so.2", "");
    const char *before = std::getenv("LD_LIBRARY_PATH");
    const std::string kept = before ? before : "";
    setenv("LD_LIBRARY_PATH", folder.path().c_str(), 1);
    const Outcome outcome = compare({"--features", "vgg11-random"});
    before ? setenv("LD_LIBRARY_PATH", kept.c_str(), 1) : unsetenv("LD_LIBRARY_PATH");
    EXPECT_FAILS(outcome, 1, "--features: ", "oneDNN");
    EXPECT_EQ(lines_of(outcome.err).size(), 1u) << outcome.err;
}
