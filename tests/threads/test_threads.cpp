// Eight threads with one loss and one network between them. tests/sanitized builds this under ThreadSanitizer, too. Each call
// takes one thread: what OpenMP's own teams wait for is unknown to the sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "calls.h"

namespace {

constexpr int threads = 8, sizes = 20; // more than a network keeps what it prepared for

// `work` for each thread, which is to return how much went wrong.
int in_threads(const std::function<int(int thread)> &work) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) running.emplace_back([&, t] { wrong += work(t); });
    for (std::thread &thread : running) thread.join();
    return wrong;
}
Size size(int i) { return {1 + i % 2, 3, 9 + i % sizes, 33 - i % sizes}; }
struct Result {
    std::vector<double> values;
    std::vector<float> memory; // images and gradients
    bool operator==(const Result &other) const { return values == other.values && memory == other.memory; }
};
Result result(const Loss &loss, Size size) {
    Images images(loss, size);
    if (images.all() != PXL_OK) return {};
    return {images.values(), images.memory()};
}
// The threads begin: nothing has been computed or prepared before.
void expect_the_same_in_threads(const char *expression) {
    const Network network("3:6,6,M,5k5"), alone("3:6,6,M,5k5");
    const Loss loss(expression, network), one(expression, alone);
    std::vector<Result> results(threads * sizes);
    const int wrong = in_threads([&](int t) {
        for (int i = 0; i < sizes; ++i) results[static_cast<size_t>(t * sizes + i)] = result(loss, size((t + 1) * i + 3 * t));
        return 0;
    });
    EXPECT_EQ(wrong, 0);
    for (int t = 0; t < threads; ++t)
        for (int i = 0; i < sizes; ++i) {
            const Result expected = result(one, size((t + 1) * i + 3 * t));
            ASSERT_FALSE(expected.values.empty()) << pxl_error_message();
            EXPECT_EQ(results[static_cast<size_t>(t * sizes + i)], expected) << t << ' ' << i;
        }
}

TEST(Threads, one_loss) {
    expect_the_same_in_threads(
        "0.84*ssim(border=zero) + 0.16*l1 + 0.1*sobel + tv + blur(sigma=2) - 0.01*psnr + ssim(preset=seed)");
}

TEST(Threads, one_network) {
    SKIP_WITHOUT_NETWORKS();
    expect_the_same_in_threads("lpips(net=n) + 0.5*style(net=n) + features(net=n, layers=0:relu1_2) + l1");
}

// Losses, contexts and the last reference to a network come and go.
TEST(Threads, what_is_made_and_destroyed) {
    pxl_network *network = nullptr;
    ASSERT_EQ(pxl_network_random("3:6,M,5", 1, &network), PXL_OK);
    std::vector<pxl_context *> contexts(threads);
    for (pxl_context *&context : contexts) {
        ASSERT_EQ(pxl_context_create(PXL_CPU_DEVICE, 1, &context), PXL_OK);
        ASSERT_EQ(pxl_context_add_network(context, "n", network), PXL_OK);
    }
    pxl_network_destroy(network);
    const int wrong = in_threads([&](int t) {
        int failed = 0;
        for (int i = 0; i < 50; ++i) {
            pxl_loss *loss = nullptr;
            failed += pxl_loss_parse("lpips(net=n) + 2*style(net=n)", contexts[static_cast<size_t>(t)], &loss) != PXL_OK;
            pxl_loss_destroy(loss);
        }
        pxl_context_destroy(contexts[static_cast<size_t>(t)]);
        return failed;
    });
    EXPECT_EQ(wrong, 0);
}

TEST(Threads, messages_are_of_their_thread) {
    const Network network("3:2");
    const int wrong = in_threads([&](int t) {
        int failed = 0;
        const std::string name = "unknown_" + std::to_string(t);
        for (int i = 0; i < 200; ++i) {
            pxl_loss *loss = nullptr;
            failed += pxl_loss_parse(("l1 + " + name).c_str(), network.context(), &loss) != PXL_SYNTAX_ERROR;
            failed += !std::strstr(pxl_error_message(), name.c_str());
        }
        return failed;
    });
    EXPECT_EQ(wrong, 0);
}

} // namespace
