// Everything that can fail for want of memory made to fail in turn, and every call of oneDNN: the status says so, with a message,
// nothing is left behind or changed, and the next try succeeds.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "calls.h"
#include "interposed.h"

namespace {

using interposed::Failing;
using Call = std::function<pxl_status()>;

// Has the call fail at its first point, its second, ... until it succeeds; how many there were. `check` sees what each try gave.
int fail_in_turn(Failing what, const Call &call, const std::function<void(pxl_status)> &check = nullptr) {
    const pxl_status expected = what == Failing::memory ? PXL_OUT_OF_MEMORY : PXL_UNSUPPORTED;
    for (int nth = 1; nth < 5000; ++nth) {
        pxl_loss_parse(nullptr, nullptr, nullptr); // a message that is not that of the call
        const std::string before = pxl_error_message();
        const interposed::Held held = interposed::held();
        interposed::fail(what, nth);
        const pxl_status status = call();
        const bool failed = interposed::has_failed();
        interposed::fail(Failing::nothing, 0);
        if (check) check(status);
        if (!failed && status == PXL_OK) return nth - 1;
        EXPECT_EQ(status, expected) << nth << ' ' << pxl_error_message();
        EXPECT_NE(pxl_error_message(), before) << nth;
        EXPECT_EQ(interposed::held(), held) << nth << ' ' << pxl_error_message();
        if (testing::Test::HasFailure()) break;
    }
    ADD_FAILURE() << "the call did not succeed";
    return -1;
}
template <typename T>
T *untouched() {
    return reinterpret_cast<T *>(0x10);
}
// Of a function that makes something: fails in turn, then frees what was made. Whatever fails does not write to its place.
template <typename T, typename Make, typename Destroy>
int fail_making(Make make, Destroy destroy) {
    const interposed::Held before = interposed::held();
    T *made = untouched<T>();
    const int points = fail_in_turn(Failing::memory, [&] {
        const pxl_status status = make(&made);
        EXPECT_EQ(made == untouched<T>(), status != PXL_OK);
        return status;
    });
    if (made != untouched<T>()) destroy(made);
    EXPECT_EQ(interposed::held(), before);
    return points;
}
int fail_network(const std::function<pxl_status(pxl_network **)> &make) {
    return fail_making<pxl_network>(make, pxl_network_destroy);
}

// ---- Contexts, networks, losses ---------------------------------------------------------------------------------------
TEST(Failures, contexts) {
    const auto make = [](pxl_context **made) { return pxl_context_create(PXL_CPU_DEVICE, 2, made); };
    EXPECT_EQ(fail_making<pxl_context>(make, pxl_context_destroy), 1);
}

TEST(Failures, names_of_networks) {
    const Network network("3:2"), other("3:2,2");
    const auto known = [&](const char *expression) {
        pxl_loss *loss = nullptr;
        const bool good = pxl_loss_parse(expression, network.context(), &loss) == PXL_OK;
        pxl_loss_destroy(loss);
        return good;
    };
    const auto add = [&](const char *name) {
        return [&, name] { return pxl_context_add_network(network.context(), name, other.get()); };
    };
    const auto check = [&](pxl_status status) {
        EXPECT_EQ(known("features(net=new, layers=relu1_2)"), status == PXL_OK);
        EXPECT_FALSE(known("features(net=n, layers=relu1_2)"));
    };
    EXPECT_EQ(fail_in_turn(Failing::memory, add("new"), check), 1);
    EXPECT_EQ(fail_in_turn(Failing::memory, add("n")), 0); // another one under the same name
    EXPECT_TRUE(known("features(net=n, layers=relu1_2)"));
}

std::vector<pxl_layer> some_layers(const std::vector<float> &numbers) {
    std::vector<pxl_layer> layers(3, PXL_LAYER(PXL_RELU));
    layers[0] = layers[2] = PXL_LAYER(PXL_CONVOLUTION);
    layers[0].inputs = 3, layers[0].outputs = layers[2].inputs = layers[2].outputs = 2;
    layers[0].size = layers[2].size = 3, layers[0].weight = layers[2].weight = numbers.data();
    layers[1].linear = numbers.data();
    return layers;
}
TEST(Failures, networks) {
    const std::vector<float> numbers(3 * 2 * 9, 0.5f);
    const std::vector<pxl_layer> layers = some_layers(numbers);
    const auto create = [&](pxl_network **made) { return pxl_network_create(layers.data(), layers.size(), made); };
    const auto random = [](pxl_network **made) { return pxl_network_random("3:4,M,5k5", 1, made); };
    EXPECT_EQ(fail_network(create), 5);
    EXPECT_EQ(fail_network(random), 6);
}

TEST(Failures, losses) {
    const Network network("3:4,4,M,2");
    const char *const expressions[] = {
        "l1", "0.84*ssim(window=11, sigma=1.5, border=valid) + 0.16*l1 + 0.1*sobel(charbonnier, eps=1e-3)",
        "mse + huber(delta=0.1) + 1e-3*tv(isotropic) - 0.01*psnr + dssim(preset=torchmetrics)",
        "lpips(net=n) + style(net=n, layers=0:2*relu2_1) + cosine(net=n, layers=relu1_2)",
        "l1 + features(layers=relu1_1, net=vgg11-random) + lpips(net=n) + style(net=vgg13-random)"};
    for (const char *expression : expressions) {
        const auto parse = [&](pxl_loss **made) { return pxl_loss_parse(expression, network.context(), made); };
        EXPECT_GE(fail_making<pxl_loss>(parse, pxl_loss_destroy), 1) << expression;
    }
    pxl_term terms[] = {PXL_TERM(PXL_LPIPS, 1), PXL_TERM(PXL_SSIM, 1), PXL_TERM(PXL_STYLE, 1)};
    terms[0].network = network.get(), terms[2].net = "vgg11-random";
    const auto create = [&](pxl_loss **made) { return pxl_loss_create(terms, 3, made); };
    EXPECT_GE(fail_making<pxl_loss>(create, pxl_loss_destroy), 6);
}

// ---- Files ------------------------------------------------------------------------------------------------------------
struct File {
    explicit File(const std::string &name) : path(testing::TempDir() + std::to_string(getpid()) + name) {}
    ~File() { std::filesystem::remove(path); }
    // Tensors of zeros, each with its shape and count of elements.
    void write(const std::vector<std::array<std::string, 2>> &tensors, const std::vector<size_t> &counts) const {
        std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
        size_t at = 0;
        for (size_t i = 0; i < tensors.size(); ++i) {
            header += ",\"" + tensors[i][0] + "\":{\"dtype\":\"F32\",\"shape\":" + tensors[i][1] + ",\"data_offsets\":[" +
                      std::to_string(at) + "," + std::to_string(at + 4 * counts[i]) + "]}";
            at += 4 * counts[i];
        }
        header += "}";
        const uint64_t length = header.size();
        std::ofstream to(path, std::ios::binary);
        for (int i = 0; i < 8; ++i) to.put(static_cast<char>(length >> 8 * i & 0xff));
        to << header << std::string(at, '\0');
    }
    std::string path;
};
TEST(Failures, files) {
#ifndef PXL_TEST_JANSSON
    GTEST_SKIP() << "this build has no JSON reader (libjansson)";
#endif
    const File weights("weights.safetensors"), linear("linear.safetensors");
    weights.write({{"features.0.weight", "[2,3,3,3]"}, {"features.0.bias", "[2]"}}, {54, 2});
    linear.write({{"lin0.weight", "[1,2,1,1]"}}, {2});
    for (const char *path : {static_cast<const char *>(nullptr), linear.path.c_str()}) {
        // libjansson without memory for a longer name goes on without one of its letters.
        const auto load = [&](pxl_network **made) {
            const pxl_status status = pxl_network_load(weights.path.c_str(), nullptr, path, made);
            const bool misread = status == PXL_IO_ERROR && std::strstr(pxl_error_message(), "no tensor features.0.");
            return misread ? PXL_OUT_OF_MEMORY : status;
        };
        EXPECT_GT(fail_network(load), path ? 30 : 20);
    }
}

// ---- Evaluations ------------------------------------------------------------------------------------------------------
class NetworkFailures : public testing::Test {
  protected:
    void SetUp() override { SKIP_WITHOUT_NETWORKS(); }
};
constexpr Size small{2, 3, 9, 8};

bool all_are(const std::vector<double> &values, double expected) {
    return std::all_of(values.begin(), values.end(), [&](double value) { return value == expected; });
}
// One walk through the network: what is prepared for a first one stays if a second one fails.
struct New {
    Network network{"3:4,4,M,5k5"};
    Loss loss{"lpips(net=n) + 0.5*style(net=n, layers=0:relu1_2, normalize=lpips) + 0.1*l1", network};
    Images images{loss, small};
};
TEST_F(NetworkFailures, preparing) {
    New prepared;
    ASSERT_EQ(prepared.images.size(), PXL_OK) << pxl_error_message();
    for (const Failing what : {Failing::memory, Failing::onednn}) {
        const interposed::Held before = interposed::held();
        {
            New one, other, third;
            other.images.take_workspace(prepared.images.bytes()), third.images.take_workspace(prepared.images.bytes());
            const std::vector<float> memory = third.images.memory();
            const int points = fail_in_turn(what, [&] { return one.images.size(); });
            EXPECT_GT(points, 50);
            EXPECT_EQ(fail_in_turn(what, [&] { return other.images.initialise(); }), points);
            for (int nth = 1; nth <= points; ++nth) {
                interposed::fail(what, nth);
                EXPECT_NE(third.images.evaluate(), PXL_OK) << nth;
                interposed::fail(Failing::nothing, 0);
                EXPECT_EQ(third.images.memory(), memory) << nth;
                EXPECT_TRUE(all_are(third.images.values(), -1)) << nth;
            }
        }
        EXPECT_EQ(interposed::held(), before);
    }
}

// Once convolutions run, gradients may have been written.
TEST_F(NetworkFailures, running) {
    const Network network("3:4,4,M,5k5");
    const Loss loss("lpips(net=n) + 0.5*style(net=n, layers=0:relu1_2) + 0.1*l1", network);
    Images images(loss, small);
    ASSERT_EQ(images.all(), PXL_OK) << pxl_error_message();
    const std::vector<double> values = images.values();
    const std::vector<float> memory = images.memory();
    for (const Failing what : {Failing::memory, Failing::onednn}) {
        const auto evaluate = [&] {
            std::fill(images.values().begin(), images.values().end(), -1);
            return images.evaluate();
        };
        const int points = fail_in_turn(
            what, evaluate, [&](pxl_status status) { EXPECT_TRUE(status == PXL_OK || all_are(images.values(), -1)); });
        EXPECT_GT(points, 100);
        EXPECT_EQ(images.values(), values);
        EXPECT_EQ(images.memory(), memory);
    }
}

// What runs while the library is looked for, in a process that has not done so yet.
void look_for_onednn_without(const char *what) {
    interposed::hide(what);
    const Network network("3:2");
    const Loss loss("features(net=n, layers=0)", network), other("ssim(window=3) + l1", network);
    Images images(loss, small), others(other, small);
    for (int i = 0; i < 2; ++i)
        if (images.size() != PXL_UNSUPPORTED || !std::strstr(pxl_error_message(), "libdnnl.so.2")) std::_Exit(1);
    std::_Exit(others.all() == PXL_OK ? 0 : 2);
}
TEST(Failures, a_library_that_is_missing_or_lacks_a_function) {
#ifndef PXL_TEST_ONEDNN
    GTEST_SKIP() << "this build has no oneDNN";
#endif
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    for (const char *what : {"libdnnl.so.2", "dnnl_engine_create", "dnnl_memory_desc_equal", "dnnl_sgemm"})
        EXPECT_EXIT(look_for_onednn_without(what), testing::ExitedWithCode(0), "") << what;
}

// ---- What takes a workspace allocates nothing ---------------------------------------------------------------------------
TEST(Failures, nothing_is_allocated_with_a_workspace) {
    const Network network("3:2");
    const Loss loss(
        "ssim(border=zero) + 0.1*sobel + laplacian + tv + blur(sigma=2) + huber - 0.01*psnr + rmse + ssim(preset=piq) + "
        "ssim(window=33, sigma=5, border=reflect) + structure(border=replicate, window=5)",
        network);
    Images images(loss, {2, 3, 67, 71});
    EXPECT_EQ(fail_in_turn(Failing::memory, [&] { return images.all(); }), 0);
}

TEST(Failures, operators_and_questions_allocate_nothing) {
    Operators operators;
    EXPECT_EQ(fail_in_turn(Failing::memory, [&] { return operators.filter(); }), 0);
    EXPECT_EQ(fail_in_turn(Failing::memory, [&] { return operators.statistic(); }), 0);
    EXPECT_EQ(fail_in_turn(Failing::memory, [&] { return operators.reduce(); }), 0);
    EXPECT_EQ(fail_in_turn(Failing::memory, [&] { return operators.questions(); }), 0);
}

// Nor is a network made for a term that has no window.
TEST(Failures, a_term_that_statistics_refuse_allocates_nothing) {
    Operators operators;
    for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_STYLE, PXL_COSINE}) {
        pxl_term term = PXL_TERM(kind, 1);
        term.net = "vgg16-random";
        interposed::fail(Failing::memory, 1);
        const pxl_status status =
            pxl_ssim_statistics_workspace_size(nullptr, &term, &operators.image, &operators.image, &operators.bytes);
        EXPECT_FALSE(interposed::has_failed());
        interposed::fail(Failing::nothing, 0);
        EXPECT_EQ(status, PXL_INVALID_ARGUMENT);
        EXPECT_NE(std::strstr(pxl_error_message(), "a windowed one is needed"), nullptr) << pxl_error_message();
    }
}

} // namespace
