// Which device a test program tests.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>

#include "cuda_device.h"

namespace {

struct Choice {
    Device *device = &cpu();
    std::string missing; // why the wanted device is not there
};

Choice choose() {
    Choice choice;
    const char *wanted = std::getenv("PXLOSS_TEST_DEVICE");
    if (!wanted || std::string(wanted) == "cpu") return choice;
    const std::string name(wanted);
    const bool numbered = name.size() == 6 && name.rfind("cuda:", 0) == 0 && std::isdigit(static_cast<unsigned char>(name[5]));
    if (name != "cuda" && !numbered) {
        choice.missing = "PXLOSS_TEST_DEVICE is '" + name + "'; cpu, cuda or cuda:1 (to 9) is needed";
    } else if (Device *cuda = cuda_device(numbered ? name[5] - '0' : 0, choice.missing)) {
        choice.device = cuda;
    }
    return choice;
}

const Choice &choice() {
    static const Choice made = choose();
    return made;
}

// A skip before the test's body begins skips the body.
class SkipWithoutDevice : public testing::EmptyTestEventListener {
    void OnTestStart(const testing::TestInfo &test) override {
        if (!choice().missing.empty()) GTEST_SKIP() << choice().missing;
        const bool for_cuda = std::string(test.test_suite_name()).find("Cuda") != std::string::npos;
        if (for_cuda && choice().device == &cpu()) GTEST_SKIP() << "not on the CPU; PXLOSS_TEST_DEVICE=cuda is needed";
    }
};

[[maybe_unused]] const bool registered = [] {
    testing::UnitTest::GetInstance()->listeners().Append(new SkipWithoutDevice); // Google Test deletes it
    return true;
}();

} // namespace

Device &tested_device() { return *choice().device; }
