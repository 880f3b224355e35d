// What can be read, and how it fails when it cannot.
#include <gtest/gtest.h>

#include <tiffio.h>

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "program.hpp"

namespace {

// Whether the two files hold the same samples.
void expect_equal(const std::string &a, const std::string &b) {
    const Outcome outcome = run({"compare", "--json", a, b});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(nlohmann::json::parse(outcome.out)["mae"], 0.0) << a << " and " << b;
}

double psnr(const std::string &a, const std::string &b) {
    const Outcome outcome = run({"compare", "--json", a, b});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out)["psnr"];
}

// Every way to cut the file short is an error that names it.
void expect_truncation_noticed(const std::string &path, const Folder &folder) {
    const std::string whole = read_file(path), cut = folder / "cut";
    for (size_t length :
         {size_t(0), size_t(1), size_t(9), whole.size() / 4, whole.size() / 2, whole.size() - 20, whole.size() - 5}) {
        write_file(cut, whole.substr(0, length));
        EXPECT_FAILS(run({"compare", "--json", cut, path}), 1, cut);
        EXPECT_FAILS(run({"compare", "--map", folder / "map.png", path, cut}), 1, cut);
    }
    EXPECT_NE(folder.names().front(), "map.png");
}

std::string big_endian(uint32_t value) {
    return {char(value >> 24), char(value >> 16 & 255), char(value >> 8 & 255), char(value & 255)};
}

} // namespace

TEST(Png, EveryKindHoldsTheSameSamples) {
    const Folder folder;
    for (int channels : {1, 3}) {
        const Samples image = picture(37, 23, channels);
        write_png(folder / "a.png", image);
        write_png(folder / "interlaced.png", image, 8, true);
        write_png(folder / "opaque.png", with_alpha(image, 255));
        Samples wide = image;
        for (uint16_t &value : wide.values) value = uint16_t(value * 257);
        write_png(folder / "16.png", wide, 16);
        for (const char *other : {"interlaced.png", "opaque.png", "16.png"}) expect_equal(folder / "a.png", folder / other);
    }
}

TEST(Png, PaletteOfFewBits) {
    const Folder folder;
    std::vector<uint8_t> indices;
    Samples expected{21, 17, 3, {}};
    const std::vector<uint8_t> palette{0, 10, 20, 255, 128, 3, 77, 88, 99, 250, 0, 1};
    for (int i = 0; i < 21 * 17; i++) {
        indices.push_back(uint8_t(i * i % 7 % 4));
        for (int c = 0; c < 3; c++) expected.values.push_back(palette[size_t(indices.back() * 3 + c)]);
    }
    write_png(folder / "rgb.png", expected);
    for (int bits : {2, 8}) {
        write_palette_png(folder / "palette.png", 21, 17, indices, palette, bits);
        expect_equal(folder / "rgb.png", folder / "palette.png");
    }
}

TEST(Png, GreyOfFewBits) {
    const Folder folder;
    for (const int bits : {1, 2, 4}) {
        const int most = (1 << bits) - 1;
        Samples wide{21, 17, 1, {}};
        std::vector<uint8_t> values;
        for (int i = 0; i < 21 * 17; i++) {
            values.push_back(uint8_t(i * i % 7 % (most + 1)));
            wide.values.push_back(uint16_t(values.back() * 255 / most));
        }
        write_png(folder / "8.png", wide);
        write_grey_png(folder / "few.png", 21, 17, values, bits);
        expect_equal(folder / "8.png", folder / "few.png");
    }
}

TEST(Png, Truncated) {
    const Folder folder;
    write_png(folder / "whole.png", picture(64, 64, 3));
    expect_truncation_noticed(folder / "whole.png", folder);
}

TEST(Png, OversizedIsRefusedByItsHeader) {
    const Folder folder;
    write_png(folder / "a.png", picture(20, 20, 1));
    const std::string bytes = read_file(folder / "a.png");
    // A header of 8 bits, grey, with its checksum by the CRC that PNG uses.
    const auto lie = [&](uint32_t width, uint32_t height) {
        const std::string chunk = "IHDR" + big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5);
        uint32_t crc = 0xffffffffu;
        for (unsigned char byte : chunk) {
            crc ^= byte;
            for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
        write_file(folder / "big.png", bytes.substr(0, 12) + chunk + big_endian(~crc) + bytes.substr(33));
    };
    lie(65537, 1);
    EXPECT_FAILS(run({"compare", folder / "big.png", folder / "a.png"}), 1, "big.png", "65537", "1 channel (", "too large");
    lie(65536, 65536);
    EXPECT_FAILS(run({"compare", folder / "big.png", folder / "a.png"}), 1, "big.png", "too large");
    lie(0x7fffffff, 0x7fffffff); // before rows of 2 GiB are made room for, or filled
    EXPECT_FAILS(run({"compare", folder / "big.png", folder / "a.png"}), 1, "big.png", "too large");
    lie(20, 21); // one row more than there is
    EXPECT_FAILS(run({"compare", folder / "big.png", folder / "a.png"}), 1, "big.png", "truncated");
}

TEST(Jpeg, GreyAndColour) {
    const Folder folder;
    for (int channels : {1, 3}) {
        write_png(folder / "a.png", picture(61, 43, channels));
        write_jpeg(folder / "a.jpg", picture(61, 43, channels), 95);
        write_jpeg(folder / "progressive.jpg", picture(61, 43, channels), 95, true);
        EXPECT_GT(psnr(folder / "a.png", folder / "a.jpg"), 28.0);
        expect_equal(folder / "a.jpg", folder / "progressive.jpg");
    }
}

TEST(Jpeg, Truncated) {
    const Folder folder;
    write_jpeg(folder / "whole.jpg", picture(64, 64, 3), 90);
    expect_truncation_noticed(folder / "whole.jpg", folder);
    write_jpeg(folder / "whole.jpg", picture(64, 64, 3), 90, true);
    expect_truncation_noticed(folder / "whole.jpg", folder);
}

TEST(Jpeg, CmykIsRefused) {
    const Folder folder;
    write_cmyk_jpeg(folder / "cmyk.jpg", 20, 20);
    EXPECT_FAILS(run({"compare", folder / "cmyk.jpg", folder / "cmyk.jpg"}), 1, "cmyk.jpg", "CMYK");
}

TEST(Tiff, EveryLayoutHoldsTheSameSamples) {
    const Folder folder;
    for (int channels : {1, 3})
        for (int bits : {8, 16, 32}) {
            const Samples image = picture(45, 37, channels, 8);
            write_png(folder / "a.png", image);
            Samples samples = image;
            if (bits == 16)
                for (uint16_t &value : samples.values) value = uint16_t(value * 257);
            for (int layout = 0; layout < 16; layout++) {
                TiffOptions options;
                options.bits = bits;
                options.tiles = (layout & 1) != 0;
                options.planes = (layout & 2) != 0;
                options.big_endian = (layout & 4) != 0;
                options.deflate = (layout & 8) != 0;
                write_tiff(folder / "a.tif", samples, options);
                SCOPED_TRACE(testing::Message() << channels << " channels, " << bits << " bits, layout " << layout);
                expect_equal(folder / "a.png", folder / "a.tif");
            }
        }
}

TEST(Tiff, FloatsAreTakenAsTheyAre) {
    const Folder folder;
    std::vector<float> a(400, 3.0f), b(400, -1.0f);
    write_float_tiff(folder / "a.tif", 20, 20, a);
    write_float_tiff(folder / "b.tif", 20, 20, b);
    const Outcome outcome = run({"compare", "--json", folder / "a.tif", folder / "b.tif"});
    EXPECT_EQ(nlohmann::json::parse(outcome.out)["mse"], 16.0);
}

TEST(Tiff, FloatsOfEveryWidth) {
    const Folder folder;
    const float kinds[] = {0.5f, 1.0f, -1.0f, 3.0f, 0x1p-24f};
    const uint16_t halves[] = {0x3800, 0x3c00, 0xbc00, 0x4200, 0x0001};
    std::vector<float> singles;
    std::string half, twofold;
    for (size_t i = 0; i < 400; i++) {
        const double value = double(singles.emplace_back(kinds[i % 5]));
        half.append(reinterpret_cast<const char *>(&halves[i % 5]), 2);
        twofold.append(reinterpret_cast<const char *>(&value), 8);
    }
    write_float_tiff(folder / "32.tif", 20, 20, singles);
    for (const bool big_endian : {false, true}) {
        write_raw_tiff(folder / "16.tif", {20, 20, 16, SAMPLEFORMAT_IEEEFP, PHOTOMETRIC_MINISBLACK, half, big_endian});
        write_raw_tiff(folder / "64.tif", {20, 20, 64, SAMPLEFORMAT_IEEEFP, PHOTOMETRIC_MINISBLACK, twofold, big_endian});
        expect_equal(folder / "32.tif", folder / "16.tif");
        expect_equal(folder / "32.tif", folder / "64.tif");
    }
}

TEST(Tiff, KindsThatCannotBeRead) {
    const Folder folder;
    const std::string bytes(1600, 'x'), path = folder / "a.tif";
    const auto with = [&](int bits, int format, int photometric) {
        write_raw_tiff(path, {20, 20, bits, format, photometric, bytes.substr(0, size_t(50 * bits))});
        return run({"compare", path, path});
    };
    EXPECT_FAILS(with(8, SAMPLEFORMAT_UINT, PHOTOMETRIC_MINISWHITE), 1, path, "white is 0");
    EXPECT_FAILS(with(8, SAMPLEFORMAT_UINT, PHOTOMETRIC_PALETTE), 1, path, "palette");
    EXPECT_FAILS(with(8, SAMPLEFORMAT_UINT, PHOTOMETRIC_SEPARATED), 1, path, "CMYK");
    EXPECT_FAILS(with(8, SAMPLEFORMAT_UINT, PHOTOMETRIC_CIELAB), 1, path, "Lab");
    EXPECT_FAILS(with(32, SAMPLEFORMAT_UINT, PHOTOMETRIC_MINISBLACK), 1, path, "unsigned 32-bit");
    EXPECT_FAILS(with(16, SAMPLEFORMAT_INT, PHOTOMETRIC_MINISBLACK), 1, path, "signed 16-bit");
    EXPECT_FAILS(with(8, SAMPLEFORMAT_IEEEFP, PHOTOMETRIC_MINISBLACK), 1, path, "floating-point 8-bit");
}

TEST(Tiff, Truncated) {
    const Folder folder;
    for (bool deflate : {false, true}) {
        TiffOptions options;
        options.deflate = deflate;
        write_tiff(folder / "whole.tif", picture(64, 64, 3), options);
        expect_truncation_noticed(folder / "whole.tif", folder);
    }
}

TEST(Files, ThatAreNoImages) {
    const Folder folder;
    const std::string good = PIXLOSS_EXAMPLES "/coffee.png";
    write_file(folder / "text", "this is not an image");
    write_file(folder / "empty", "");
    EXPECT_FAILS(run({"compare", folder / "missing.png", good}), 1, folder / "missing.png", "No such file");
    EXPECT_FAILS(run({"compare", good, folder / "text"}), 1, folder / "text", "PNG, JPEG or TIFF");
    EXPECT_FAILS(run({"compare", good, folder / "empty"}), 1, folder / "empty", "empty");
    EXPECT_FAILS(run({"compare", good, folder.path()}), 1, folder.path(), "directory");
    EXPECT_FAILS(run({"compare", good, "/dev/null"}), 1, "/dev/null");
}

TEST(Files, AreToldApartByContent) {
    const Folder folder;
    write_png(folder / "a.jpg", picture(20, 20, 1));
    write_tiff(folder / "b.png", picture(20, 20, 1), {});
    expect_equal(folder / "a.jpg", folder / "b.png");
}
