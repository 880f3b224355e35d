// `pixloss selftest`: it passes on the CPU, and what it compares by fails when it should.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "../../cli/element.hpp"
#include "../../cli/selftest_bounds.hpp"
#include "program.hpp"

using namespace cli;

namespace {
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

std::vector<double> gradient() {
    std::vector<double> values;
    for (int i = 0; i < 1000; i++) values.push_back(std::sin(0.1 * i) * std::exp(-0.005 * i));
    return values;
}
double error_with(size_t at, double change, pxl_dtype stored = PXL_F32) {
    std::vector<double> actual = gradient();
    for (double &value : actual) value = rounded(stored, value);
    actual[at] += change;
    return gradient_error(actual, gradient(), stored);
}
} // namespace

TEST(Bounds, AValueThatIsRightPasses) {
    for (const double value : {0.3, -12.5, 1e-9, 4e7}) {
        EXPECT_EQ(value_error(Kind::plain, value, value), 0);
        EXPECT_LT(value_error(Kind::plain, value * (1 + 9e-6), value), 1);
    }
    EXPECT_EQ(value_error(Kind::logarithm, infinity, infinity), 0);
    EXPECT_LT(value_error(Kind::logarithm, 30.0003, 30), 1);
    EXPECT_LT(value_error(Kind::root, 1e-7, 0), 1);
    EXPECT_LT(value_error(Kind::reduction, 1 + 9e-10, 1), 1);
}

TEST(Bounds, AValueThatIsWrongFails) {
    for (const Kind kind : {Kind::plain, Kind::root, Kind::logarithm, Kind::reduction}) {
        EXPECT_GT(value_error(kind, 0.31, 0.3), 1);
        EXPECT_GT(value_error(kind, -0.3, 0.3), 1);
        EXPECT_GT(value_error(kind, 0, 0.3), 1);
        EXPECT_GT(value_error(kind, not_a_number, 0.3), 1); // was not written
        EXPECT_GT(value_error(kind, 0.3, not_a_number), 1);
        EXPECT_GT(value_error(kind, infinity, 0.3), 1);
        EXPECT_GT(value_error(kind, -infinity, infinity), 1);
    }
    EXPECT_GT(value_error(Kind::plain, 0.3 * (1 + 1.1e-5), 0.3), 1);
    EXPECT_GT(value_error(Kind::plain, 1e-7, 0), 1);
    EXPECT_GT(value_error(Kind::reduction, 1 + 1.1e-9, 1), 1);
}

TEST(Bounds, AGradientThatIsRightPasses) {
    for (const pxl_dtype stored : {PXL_F32, PXL_F16, PXL_BF16}) {
        EXPECT_LT(error_with(0, 0, stored), 1e-3);
        EXPECT_LT(error_with(500, 8e-5, stored), 1);
    }
}

TEST(Bounds, OneWrongElementFails) {
    for (const pxl_dtype stored : {PXL_F32, PXL_F16, PXL_BF16})
        for (const size_t at : {0, 16, 500, 999}) {
            EXPECT_GT(error_with(at, 0.01, stored), 1) << dtype_name(stored) << " " << at;
            EXPECT_GT(error_with(at, -1, stored), 1);
            EXPECT_EQ(error_with(at, not_a_number, stored), infinity);
            EXPECT_EQ(error_with(at, infinity, stored), infinity);
        }
    EXPECT_GT(error_with(500, 1.2e-4), 1);
    EXPECT_GT(error_with(999, -1.2e-4), 1);
    std::vector<double> shorter = gradient();
    shorter.pop_back();
    EXPECT_EQ(gradient_error(shorter, gradient(), PXL_F32), infinity);
    EXPECT_EQ(gradient_error(std::vector<double>(1000, not_a_number), gradient(), PXL_F32), infinity);
    EXPECT_GT(gradient_error(std::vector<double>(1000, 0), gradient(), PXL_F32), 1);
    EXPECT_GT(gradient_error({1e-3}, {0}, PXL_F32), 1);
}

TEST(Bounds, ErrorsPassBelowOneOnly) {
    Errors errors{0.5, 0.25};
    EXPECT_TRUE(errors.pass());
    errors.include({0.1, 0.75});
    EXPECT_EQ(errors.value, 0.5);
    EXPECT_EQ(errors.gradient, 0.75);
    for (const Errors &bad : {Errors{1, 0}, Errors{0, 1}, Errors{infinity, 0}, Errors{not_a_number, 0}, Errors{0, not_a_number}})
        EXPECT_FALSE(bad.pass());
}

TEST(Elements, RoundToNearestTiesToEven) {
    EXPECT_EQ(rounded(PXL_F16, 1 + 0x1p-11), 1);
    EXPECT_EQ(rounded(PXL_F16, 1 + 3 * 0x1p-11), 1 + 0x1p-9);
    EXPECT_EQ(rounded(PXL_F16, 2 - 0x1p-12), 2);
    EXPECT_EQ(rounded(PXL_F16, -65519), -65504);
    EXPECT_EQ(rounded(PXL_F16, 65520), infinity);
    EXPECT_EQ(rounded(PXL_F16, 0x1p-24), 0x1p-24);
    EXPECT_EQ(rounded(PXL_F16, 0x1p-25), 0);
    EXPECT_EQ(rounded(PXL_F16, 3 * 0x1p-25), 0x1p-23);
    EXPECT_EQ(rounded(PXL_BF16, 1 + 0x1p-8), 1);
    EXPECT_EQ(rounded(PXL_BF16, 1 + 3 * 0x1p-8), 1 + 0x1p-6);
    EXPECT_EQ(rounded(PXL_BF16, -0x1p-126 * 0.5), -0x1p-127);
    EXPECT_TRUE(std::isnan(rounded(PXL_BF16, not_a_number)));
    EXPECT_EQ(rounded(PXL_U8, 254.4), 254);
    for (int bits = 0; bits < 65536; bits++)
        for (const pxl_dtype dtype : {PXL_F16, PXL_BF16}) {
            const auto element = uint16_t(bits);
            const double value = load_element(dtype, &element);
            uint16_t again = 0;
            store_element(dtype, value, &again);
            if (!std::isnan(value)) {
                ASSERT_EQ(again, element) << dtype_name(dtype);
            }
        }
}

TEST(Selftest, PassesOnTheCpu) {
    const Outcome outcome = run({"selftest", "--quick", "--device", "cpu"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
    for (const char *word : {"selftest of cpu, CPU", "ssim window=33", "sobel replicate", "ssim preset=vmaf", "structure",
                             "reduce", "bf16", "u16", "\nPASS: 0 of "})
        EXPECT_NE(outcome.out.find(word), std::string::npos) << "no '" << word << "' in\n" << outcome.out;
    EXPECT_EQ(outcome.out.find("FAIL"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.err.find('\r'), std::string::npos) << "a progress bar where there is no terminal";
}

TEST(Selftest, Json) {
    const Outcome outcome = run({"selftest", "--quick", "--json", "--device", "cpu"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.out;
    const nlohmann::json json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["device"], "cpu");
    EXPECT_EQ(json["pass"], true);
    EXPECT_EQ(json["failures"].size(), 0);
    EXPECT_EQ(json["types"].size(), 5);
    EXPECT_GT(json["groups"].size(), 50);
    int comparisons = 0;
    for (const auto &group : json["groups"]) {
        EXPECT_GT(group["comparisons"], 0) << group;
        EXPECT_EQ(group["failures"], 0) << group;
        EXPECT_LT(group["value"], 1) << group;
        EXPECT_LT(group["gradient"], 1) << group;
        EXPECT_EQ(group["pass"], true) << group;
        comparisons += int(group["comparisons"]);
    }
    EXPECT_EQ(json["comparisons"], comparisons);
}

TEST(SelftestErrors, OutputThatCannotBeWritten) {
    EXPECT_EQ(run_into("/dev/full", {"selftest", "--quick", "--device", "cpu"}).exit_code, 1);
}
