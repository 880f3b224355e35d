// Which device a test program tests.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "../src/cpu/isa.h"
#include "cuda_device.h"

namespace {

struct Choice {
    Device *device = &cpu();
    Device *beside = nullptr; // of "all": the CUDA device beside the CPU
    std::string missing;      // why the wanted device is not there
};

Choice choose() {
    Choice choice;
    const char *wanted = std::getenv("PXLOSS_TEST_DEVICE");
    if (!wanted || std::string(wanted) == "cpu") return choice;
    const std::string name(wanted);
    const bool numbered = name.size() == 6 && name.rfind("cuda:", 0) == 0 && std::isdigit(static_cast<unsigned char>(name[5]));
    if (name != "cuda" && name != "all" && !numbered) {
        choice.missing = "PXLOSS_TEST_DEVICE is '" + name + "'; cpu, cuda, cuda:1 (to 9) or all is needed";
        return choice;
    }
    Device *cuda = cuda_device(numbered ? name[5] - '0' : 0, choice.missing);
    (name == "all" ? choice.beside : choice.device) = cuda;
    return choice;
}

const Choice &choice() {
    static const Choice made = choose();
    return made;
}

std::vector<std::string> instruction_sets() {
    if (std::getenv("PXLOSS_ISA")) return {pxli_isa_name()};
    char list[80];
    pxli_isa_list(list, sizeof list);
    std::istringstream text(list);
    std::vector<std::string> names;
    for (std::string name; std::getline(text >> std::ws, name, ',');) names.push_back(name);
    return names;
}

std::vector<Way> ways() {
    std::vector<Way> all;
    if (choice().device == &cpu())
        for (const std::string &name : instruction_sets()) all.push_back({&cpu(), name});
    else
        all.push_back({choice().device, ""});
    if (choice().beside) all.push_back({choice().beside, ""});
    return all;
}

class EndWithoutDevice : public testing::EmptyTestEventListener {
    static constexpr int skipped = 77; // SKIP_RETURN_CODE in cmake/PixlossSuite.cmake
    void OnTestProgramStart(const testing::UnitTest &) override {
        if (choice().missing.empty()) return;
        std::printf("skipped: %s\n", choice().missing.c_str());
        std::fflush(stdout);
        std::_Exit(skipped);
    }
    // A skip before the test's body begins skips the body.
    void OnTestStart(const testing::TestInfo &test) override {
        const bool for_cuda = std::string(test.test_suite_name()).find("Cuda") != std::string::npos;
        if (for_cuda && choice().device == &cpu()) GTEST_SKIP() << "not on the CPU; PXLOSS_TEST_DEVICE=cuda is needed";
    }
};

[[maybe_unused]] const bool registered = [] {
    testing::UnitTest::GetInstance()->listeners().Append(new EndWithoutDevice); // Google Test deletes it
    return true;
}();

} // namespace

Device &tested_device() { return *choice().device; }

const std::vector<Way> &tested_ways() {
    static const std::vector<Way> all = ways();
    return all;
}

UsingWay::UsingWay(const Way &way) : before_(pxli_isa_name()) {
    if (way.instruction_set.empty()) return;
    EXPECT_TRUE(pxli_isa_choose(way.instruction_set.c_str())) << way.name();
}
UsingWay::~UsingWay() { pxli_isa_choose(before_.c_str()); }
