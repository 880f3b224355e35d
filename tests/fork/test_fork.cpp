// Children of this process compute what it computes. OpenMP's threads are not copied by a fork, and GCC's OpenMP would wait for them
// for ever. Each test is to have a process to itself: what counts is who has used OpenMP before.
#include <dirent.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <thread>

#include "calls.h"
#include "host.h"

#ifdef PXL_TEST_COVERAGE
extern "C" void __gcov_dump(void);
static void keep_counters() { __gcov_dump(); } // scripts/coverage.sh's, which _exit drops
#else
static void keep_counters() {}
#endif

namespace {

constexpr int threads = 2;
constexpr Size size = {2, 3, 96, 80}; // enough for several threads
constexpr char mix[] =
    "0.84*ssim(border=zero) + 0.16*l1 + 0.1*sobel + tv + blur(sigma=2) - 0.01*psnr + ssim(preset=seed) + l2(reduction=sum)";
const char *const losses[] = {"ssim", "l2", "sobel", mix};

using Results = std::vector<double>; // empty: a call failed

void send(int to, const Results &results) {
    const char *data = reinterpret_cast<const char *>(results.data());
    for (size_t left = results.size() * sizeof results[0]; left;) {
        const ssize_t written = write(to, data, left);
        if (written <= 0) return;
        data += written, left -= static_cast<size_t>(written);
    }
}
Results receive(int from) {
    std::string bytes;
    char buffer[4096];
    for (ssize_t count; (count = read(from, buffer, sizeof buffer)) > 0;) bytes.append(buffer, static_cast<size_t>(count));
    Results results(bytes.size() / sizeof(double));
    bytes.copy(reinterpret_cast<char *>(results.data()), bytes.size());
    return results;
}
// What `work` returns in a child.
Results in_child(const std::function<Results()> &work) {
    int ends[2];
    if (pipe(ends)) return {};
    const pid_t child = fork();
    if (child == 0) {
        alarm(120); // what ends a child that hangs
        send(ends[1], work());
        keep_counters();
        _exit(0);
    }
    close(ends[1]);
    const Results results = receive(ends[0]);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_FALSE(WIFSIGNALED(status)) << (WTERMSIG(status) == SIGALRM ? "the child hangs" : "the child died");
    return results;
}

Results results(Images &images, pxl_status status) {
    EXPECT_EQ(status, PXL_OK) << pxl_error_message();
    if (status != PXL_OK) return {};
    Results all = images.values();
    all.insert(all.end(), images.memory().begin(), images.memory().end());
    return all;
}
Results evaluate(const char *expression, const Network &network) {
    const Loss loss(expression, network);
    Images images(loss, size);
    return results(images, images.all());
}
// A filter, its adjoint and a reduction.
Results operators(pxl_context *context) {
    std::vector<float> memory(static_cast<size_t>(2 * size.n * size.c * size.h * size.w));
    for (size_t i = 0; i < memory.size() / 2; ++i) memory[i] = static_cast<float>(i * 37 % 101);
    const pxl_tensor from = pxl_nchw(memory.data(), PXL_F32, PXL_CPU_DEVICE, size.n, size.c, size.h, size.w);
    const pxl_tensor to = pxl_nchw(&memory[memory.size() / 2], PXL_F32, PXL_CPU_DEVICE, size.n, size.c, size.h, size.w);
    pxl_filter filter = PXL_FILTER(PXL_FILTER_BLUR);
    filter.sigma = 2;
    size_t bytes = 0, reduction = 0;
    double sum = 0;
    pxl_status status = pxl_filter_workspace_size(context, &filter, &from, &to, &bytes);
    if (!status) status = pxl_reduce_workspace_size(context, PXL_REDUCE_SUM, PXL_OVER_ALL, &to, &reduction);
    std::vector<std::max_align_t> workspace(std::max(bytes, reduction) / sizeof(std::max_align_t) + 1);
    if (!status) status = pxl_filter_apply(context, &filter, &from, &to, workspace.data(), bytes, nullptr);
    if (!status) status = pxl_reduce(context, PXL_REDUCE_SUM, PXL_OVER_ALL, &to, &sum, workspace.data(), reduction, nullptr);
    if (!status) status = pxl_filter_adjoint(context, &filter, &to, &from, workspace.data(), bytes, nullptr);
    EXPECT_EQ(status, PXL_OK) << pxl_error_message();
    Results all(memory.begin(), memory.end());
    all.push_back(sum);
    return all;
}
Results everything(const Network &network) {
    Results all = operators(network.context());
    for (const char *expression : losses) {
        const Results one = evaluate(expression, network);
        all.insert(all.end(), one.begin(), one.end());
    }
    return all;
}
int threads_of_process() {
    int count = 0;
    DIR *const tasks = opendir("/proc/self/task");
    while (tasks && readdir(tasks)) ++count;
    if (tasks) closedir(tasks);
    return count - 2; // . and ..
}

// No thread has been made: nothing is lost by a fork.
TEST(Fork, a_child_of_a_process_of_one_thread_has_threads) {
    const Network network("3:2", threads);
    ASSERT_EQ(threads_of_process(), 1);
    const auto evaluate_and_count = [&] {
        Results all = everything(network);
        all.push_back(threads_of_process());
        return all;
    };
    const Results child = in_child(evaluate_and_count);
    ASSERT_FALSE(child.empty());
    EXPECT_EQ(child.back(), threads);
    EXPECT_EQ(child, evaluate_and_count());
}

TEST(Fork, after_an_evaluation) {
    const Network network("3:2", threads);
    const Results expected = everything(network);
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(in_child([&] { return everything(network); }), expected);
    EXPECT_EQ(in_child([&] { return in_child([&] { return everything(network); }); }), expected) << "a grandchild";
    EXPECT_EQ(everything(network), expected) << "the parent";
    EXPECT_EQ(in_child([&] { return everything(network); }), expected) << "another child";
}

TEST(Fork, after_the_host_alone_has_used_openmp) {
    const Network network("3:2", threads);
    ASSERT_EQ(use_openmp(threads), threads);
    const Results child = in_child([&] { return everything(network); });
    EXPECT_EQ(child, everything(network));
}

TEST(Fork, from_a_thread) {
    const Network network("3:2", threads);
    std::thread([&] {
        const Results expected = everything(network);
        EXPECT_EQ(in_child([&] { return everything(network); }), expected);
    }).join();
}

TEST(Fork, while_another_thread_evaluates) {
    const Network network("3:2", threads);
    const Results expected = evaluate(mix, network);
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) EXPECT_EQ(evaluate(mix, network), expected);
    });
    for (int i = 0; i < 10; ++i) EXPECT_EQ(in_child([&] { return evaluate(mix, network); }), expected);
    stop = true;
    other.join();
}

TEST(Fork, between_init_and_evaluate) {
    const Network network("3:2", threads);
    for (const char *expression : losses) {
        const Loss loss(expression, network);
        Images images(loss, size);
        ASSERT_EQ(images.size(), PXL_OK);
        ASSERT_EQ(images.initialise(), PXL_OK);
        const Results before = in_child([&] { return results(images, images.evaluate()); });
        const Results expected = results(images, images.evaluate());
        ASSERT_FALSE(expected.empty());
        EXPECT_EQ(before, expected) << expression;
        EXPECT_EQ(in_child([&] { return results(images, images.evaluate()); }), expected) << expression;
    }
}

TEST(Fork, what_a_child_says_of_its_threads) {
    ASSERT_EQ(use_openmp(threads), threads);
    const auto described = [] {
        char text[99] = "";
        pxl_device_describe(PXL_CPU_DEVICE, text, sizeof text);
        return Results{std::string(text).find(" 1 thread") != std::string::npos ? 1.0 : 0.0};
    };
    EXPECT_EQ(in_child(described), Results{1});
}

// By oneDNN, which has threads of its own from OpenMP: results are those of one thread.
TEST(Fork, networks) {
    SKIP_WITHOUT_NETWORKS();
    constexpr char expression[] = "lpips(net=n) + 0.5*style(net=n) + features(net=n, layers=0:relu1_2) + ssim";
    const Network network("3:16,16,M,24", threads), one("3:16,16,M,24");
    const Loss loss(expression, network);
    Images images(loss, size), unused(loss, size);
    ASSERT_EQ(images.size(), PXL_OK);
    ASSERT_EQ(images.initialise(), PXL_OK);
    const Results before = in_child([&] { return results(images, images.evaluate()); });
    const Results expected = evaluate(expression, one);
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(before, expected) << "not evaluated by the parent";
    ASSERT_EQ(images.evaluate(), PXL_OK);
    EXPECT_EQ(in_child([&] { return results(images, images.evaluate()); }), expected) << "evaluated by the parent";
    EXPECT_EQ(in_child([&] { return results(unused, unused.all()); }), expected) << "prepared by the child";
}

#ifdef PXL_TEST_OTHER_OPENMP
// The library as another part of the process has it, by another OpenMP. oneDNN may have got either.
TEST(Fork, two_openmps_in_a_process) {
    void *const part = dlopen(PXL_TEST_OTHER_OPENMP, RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(part) << dlerror();
    const auto call = reinterpret_cast<int (*)(const char *, double *)>(dlsym(part, "pxl_test_evaluate"));
    ASSERT_TRUE(call);
    const Network network("3:2", threads);
    const auto both = [&](const char *expression) {
        Results all = evaluate(mix, network), others(1 + 3 * 96 * 80);
        EXPECT_EQ(call(expression, others.data()), PXL_OK);
        all.insert(all.end(), others.begin(), others.end());
        return all;
    };
    const std::string why = why_no_networks();
    for (const char *expression : {mix, "lpips(net=n)"}) {
        if (expression != mix && !why.empty()) continue;
        const Results expected = both(expression);
        EXPECT_EQ(in_child([&] { return both(expression); }), expected) << expression;
        EXPECT_EQ(both(expression), expected) << expression;
    }
}
#endif

#ifdef PXL_TEST_SHARED
// A process may unload the library: a fork then calls nothing of it.
TEST(Fork, after_the_library_is_unloaded) {
    void *const library = dlopen(PXL_TEST_SHARED, RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(library) << dlerror();
    ASSERT_EQ(dlclose(library), 0);
    EXPECT_FALSE(dlopen(PXL_TEST_SHARED, RTLD_NOW | RTLD_NOLOAD)) << "still there";
    EXPECT_EQ(in_child([] { return Results{1}; }), Results{1});
}
#endif

} // namespace
