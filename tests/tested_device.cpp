// Which device a test program tests.
#include <gtest/gtest.h>

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
    if (std::string(wanted) != "cuda") {
        choice.missing = std::string("PXLOSS_TEST_DEVICE is '") + wanted + "'; cpu or cuda is needed";
    } else if (Device *cuda = cuda_device(choice.missing)) {
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
