// `pixloss fit` recovers, draws what it says, and is the same every time.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <sstream>

#include "files.hpp"
#include "program.hpp"

namespace {

// The numbers in the row of the table that begins with `name`: PSNR, SSIM.
std::vector<double> row(const std::string &table, const std::string &name) {
    const size_t start = table.find("\n" + name);
    EXPECT_NE(start, std::string::npos) << "no row '" << name << "' in\n" << table;
    if (start == std::string::npos) return {0, 0};
    const std::string line = table.substr(start + 1 + name.size(), table.find('\n', start + 1) - start - 1 - name.size());
    std::vector<double> numbers;
    std::istringstream words(line);
    for (std::string word; words >> word;)
        if (word != "dB") numbers.push_back(std::stod(word));
    return numbers;
}

// The last column of the table is how long it took.
std::string without_times(const std::string &table) {
    std::istringstream lines(table);
    std::string text;
    for (std::string line; std::getline(lines, line);) text += line.substr(0, line.find_last_of(' ')) + "\n";
    return text;
}

} // namespace

TEST(Fit, RecoversAndDraws) {
    const Folder folder;
    const Outcome outcome = run({"fit", "--steps", "60", "--loss", "mse", "--loss", "0.84*ssim + 0.16*l1", "--out",
                                 folder / "sheet.png", PIXLOSS_EXAMPLES "/chelsea.png"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const std::vector<double> before = row(outcome.out, "(degraded)");
    for (const char *loss : {"mse", "0.84*ssim + 0.16*l1"}) {
        const std::vector<double> after = row(outcome.out, loss);
        EXPECT_GT(after[0], before[0] + 0.5) << loss;
        EXPECT_GT(after[1], before[1] + 0.02) << loss;
        EXPECT_NE(outcome.err.find(std::string(loss) + ": 60 steps"), std::string::npos) << outcome.err;
    }
    EXPECT_EQ(outcome.err.find('\r'), std::string::npos) << "a progress bar where there is no terminal";
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"sheet-curves.png", "sheet.png"}));
    EXPECT_GT(decode_png(folder / "sheet.png").width, 4 * 300);
    EXPECT_GT(decode_png(folder / "sheet-curves.png").width, 800);
    EXPECT_NE(outcome.out.find("mse has the best PSNR because PSNR is a function of it"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("roughness * tv(isotropic)"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("known strength of the noise"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find(folder / "sheet.png"), std::string::npos);
    EXPECT_NE(outcome.out.find(folder / "sheet-curves.png"), std::string::npos);
}

TEST(Fit, IsTheSameEveryTime) {
    const Folder folder;
    write_png(folder / "a.png", picture(48, 40, 1));
    const auto fit = [&] { return run({"fit", "--steps", "5", "--out", folder / "o.png", folder / "a.png"}); };
    const Outcome first = fit();
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const std::string sheet = read_file(folder / "o.png"), curves = read_file(folder / "o-curves.png");
    EXPECT_EQ(without_times(fit().out), without_times(first.out));
    EXPECT_EQ(read_file(folder / "o.png"), sheet);
    EXPECT_EQ(read_file(folder / "o-curves.png"), curves);
}

TEST(Fit, SmallestImageAndOneStep) {
    const Folder folder;
    write_png(folder / "a.png", picture(11, 11, 1));
    const Outcome outcome = run({"fit", "--steps", "1", "--out", folder / "o.png", folder / "a.png"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    decode_png(folder / "o.png");
}

TEST(Fit, ManyLossesAndLongNames) {
    const Folder folder;
    write_png(folder / "a.png", picture(32, 90, 3));
    std::vector<std::string> arguments{"fit", "--steps", "2", "--out", folder / "o.png", folder / "a.png"};
    for (int i = 0; i < 9; i++)
        arguments.insert(arguments.end(), {"--loss", std::to_string(i + 1) +
                                                         "*ssim(window=7, sigma=1.25, border=reflect) + 0.5*huber(delta=0.1)"});
    EXPECT_EQ(run(arguments).exit_code, 0);
    decode_png(folder / "o.png");
    decode_png(folder / "o-curves.png");
}

TEST(FitErrors, WriteNothingOverTheInput) {
    const Folder folder;
    write_png(folder / "a-curves.png", picture(20, 20, 1));
    ASSERT_EQ(symlink("a-curves.png", (folder / "soft.png").c_str()), 0);
    ASSERT_EQ(symlink("a-curves.png", (folder / "b-curves.png").c_str()), 0);
    const std::vector<std::string> names = folder.names();
    const std::string bytes = read_file(folder / "a-curves.png");
    const auto fit_to = [&](const std::string &out) {
        return run({"fit", "--steps", "1", "--out", out, folder / "a-curves.png"});
    };
    EXPECT_FAILS(fit_to(folder / "a-curves.png"), 1, "--out", folder / "a-curves.png");
    EXPECT_FAILS(fit_to(folder / "soft.png"), 1, "--out", folder / "soft.png", folder / "a-curves.png");
    EXPECT_FAILS(fit_to(folder / "a.png"), 1, "--out", folder / "a-curves.png");
    EXPECT_FAILS(fit_to(folder / "b.png"), 1, "--out", folder / "b-curves.png", folder / "a-curves.png");
    EXPECT_EQ(folder.names(), names);
    EXPECT_EQ(read_file(folder / "a-curves.png"), bytes);
}

TEST(FitErrors, WriteNothing) {
    const Folder folder;
    write_png(folder / "small.png", picture(10, 10, 1));
    write_png(folder / "window.png", picture(12, 12, 1));
    write_float_tiff(folder / "hdr.tif", 20, 20, std::vector<float>(400, 2.5f));
    write_float_tiff(folder / "nan.tif", 20, 20, std::vector<float>(400, NAN));
    const std::vector<std::string> inputs = folder.names();
    const std::string out = folder / "o.png";
    EXPECT_FAILS(run({"fit", "--out", out, folder / "small.png"}), 1, folder / "small.png: ", "10", "11");
    EXPECT_FAILS(run({"fit", "--loss", "ssim(window=13)", "--out", out, folder / "window.png"}), 1, folder / "window.png: ", "12",
                 "13");
    EXPECT_FAILS(run({"fit", "--out", out, folder / "hdr.tif"}), 1, "hdr.tif", "2.5");
    EXPECT_FAILS(run({"fit", "--out", out, folder / "nan.tif"}), 1, "nan.tif", "nan");
    EXPECT_FAILS(run({"fit", "--out", out, folder / "missing.png"}), 1, "missing.png");
    EXPECT_FAILS(run({"fit", "--out", folder / "none/o.png", PIXLOSS_EXAMPLES "/chelsea.png"}), 1, folder / "none/o.png");
    EXPECT_EQ(folder.names(), inputs);
}
