// "-": an image from standard input.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

class StandardInput : public testing::Test {
  protected:
    void SetUp() override {
        write_png(folder / "a.png", picture(61, 43, 3));
        write_tiff(folder / "a.tif", picture(61, 43, 3), {});
        write_jpeg(folder / "a.jpg", picture(61, 43, 3), 90);
    }
    std::string bytes_of(const std::string &name) const { return read_file(folder / name); }
    const Folder folder;
};

void expect_same(const Outcome &outcome, const std::string &where) {
    ASSERT_EQ(outcome.exit_code, 0) << where << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(nlohmann::json::parse(outcome.out)["mae"], 0.0) << where;
}

} // namespace

TEST_F(StandardInput, IsEitherImageOfEveryFormat) {
    for (const char *name : {"a.png", "a.tif", "a.jpg"}) {
        expect_same(run_piped(bytes_of(name), {"compare", "--json", "-", folder / name}), name);
        expect_same(run_piped(bytes_of(name), {"compare", "--json", folder / name, "-"}), name);
        expect_same(run_with_input(folder / name, {"compare", "--json", folder / name, "-"}), name);
    }
}

TEST_F(StandardInput, MayBeLongerThanAPipeHolds) {
    write_png(folder / "large.png", picture(700, 500, 3));
    ASSERT_GT(bytes_of("large.png").size(), 1u << 17);
    expect_same(run_piped(bytes_of("large.png"), {"compare", "--json", "-", folder / "large.png"}), "large.png");
}

TEST_F(StandardInput, AnyPipeCanBeRead) {
    for (const char *name : {"a.png", "a.tif", "a.jpg"})
        expect_same(run_piped(bytes_of(name), {"compare", "--json", folder / name, "/dev/stdin"}), name);
}

TEST_F(StandardInput, HasItsNameInTheOutput) {
    const Outcome table = run_piped(bytes_of("a.png"), {"compare", folder / "a.png", "-"});
    EXPECT_NE(table.out.find("test       standard input\n"), std::string::npos) << table.out;
    const Outcome json = run_piped(bytes_of("a.png"), {"compare", "--json", folder / "a.png", "-"});
    EXPECT_EQ(nlohmann::json::parse(json.out)["test"], "-");
}

TEST_F(StandardInput, ServesFitToo) {
    const Outcome outcome =
        run_piped(bytes_of("a.png"), {"fit", "--steps", "2", "--loss", "mse", "--out", folder / "out.png", "-"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(StandardInput, ThatIsNoImage) {
    const std::string png = bytes_of("a.png"), path = folder / "a.png";
    const auto with = [&](const std::string &bytes) { return run_piped(bytes, {"compare", path, "-"}); };
    EXPECT_FAILS(with(""), 1, "standard input: ", "empty");
    EXPECT_FAILS(with("this is no image"), 1, "standard input: ", "PNG, JPEG or TIFF");
    EXPECT_FAILS(with(std::string(10 << 20, 'y')), 1, "standard input: ", "PNG, JPEG or TIFF");
    for (const char *name : {"a.png", "a.tif", "a.jpg"})
        EXPECT_FAILS(with(bytes_of(name).substr(0, bytes_of(name).size() / 2)), 1, "standard input: ", "truncated");
    EXPECT_FAILS(with(png.substr(0, 9)), 1, "standard input: ", "truncated");
    EXPECT_FAILS(run_with_input(folder.path(), {"compare", path, "-"}), 1, "standard input: ", "directory");
    write_png(folder / "b.png", picture(20, 43, 3));
    EXPECT_FAILS(run_with_input(folder / "b.png", {"compare", path, "-"}), 1, path, "standard input is 20 x 43");
}

TEST_F(StandardInput, IsOneImageOnly) {
    EXPECT_FAILS(run_piped(bytes_of("a.png"), {"compare", "-", "-"}), 2, "standard input", "both");
    EXPECT_FAILS(run_piped(bytes_of("a.png"), {"compare", "-", folder.path()}), 1, folder.path(), "standard input", "directory");
}

TEST_F(StandardInput, ThatIsATerminal) {
    const Outcome outcome = run_at_terminal({"compare", folder / "a.png", "-"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.err, "pixloss: standard input: is a terminal; pipe or redirect an image into it\r\n");
}

TEST_F(StandardInput, IsNotWrittenOver) {
    const std::string before = bytes_of("a.png");
    EXPECT_FAILS(run_with_input(folder / "a.png", {"compare", "--map", folder / "a.png", "-", folder / "a.jpg"}), 1, "--map",
                 "standard input");
    EXPECT_EQ(bytes_of("a.png"), before);
}
