// What networks keep, and that nothing grows.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "calls.h"
#include "interposed.h"

namespace {

// As many sizes of images as a network keeps at once share what they have in common.
TEST(Memory, packed_weights_are_shared_by_sizes_of_images) {
    SKIP_WITHOUT_NETWORKS();
    const Network network("3:64,64,M,128,128");
    const size_t own = interposed::held().bytes; // the weights themselves
    const Loss loss("features(net=n, layers=relu2_2)", network);
    size_t one = 0;
    for (int64_t i = 0; i < 16; ++i) {
        Images images(loss, {1, 3, 32 + 3 * i, 64 - 2 * i});
        ASSERT_EQ(images.size(), PXL_OK) << pxl_error_message();
        if (i == 0) one = interposed::held().bytes - own;
    }
    EXPECT_LT(interposed::held().bytes - own, 3 * one);
}

// Sizes that no call uses any more make room for new ones: the blocks of memory held do not grow with every new size.
TEST(Memory, sizes_of_images_beyond_those_kept_are_let_go) {
    SKIP_WITHOUT_NETWORKS();
    const Network network("3:4,M,3");
    const Loss loss("features(net=n, layers=1)", network);
    const auto use = [&](int64_t first, int64_t count) {
        for (int64_t i = first; i < first + count; ++i)
            ASSERT_EQ(Images(loss, {1, 3, 8 + i, 8}).all(), PXL_OK) << pxl_error_message();
    };
    use(0, 32); // as many as are kept, and more
    const auto blocks = interposed::held().blocks;
    use(32, 32);
    EXPECT_EQ(interposed::held().blocks, blocks);
}

// ---- Nothing grows ----------------------------------------------------------------------------------------------------
// Of all libraries of the process, where its allocator says so (a sanitizer's does not).
size_t bytes_in_use() {
#if defined __GLIBC_PREREQ && __GLIBC_PREREQ(2, 33)
    const struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
#else
    return 0;
#endif
}
// So many calls after some that warm up: one that left the smallest block behind each time would be found.
void repeat(int count, const std::function<pxl_status()> &call) {
    const char *lists = std::getenv("PXLOSS_TEST_LISTS"); // short under sanitizers
    if (lists && lists == std::string("short")) count /= 10;
    for (int i = 0; i < 100; ++i) ASSERT_EQ(call(), PXL_OK) << pxl_error_message();
    const interposed::Held held = interposed::held();
    const size_t bytes = bytes_in_use();
    int failed = 0;
    for (int i = 0; i < count; ++i) failed += call() != PXL_OK;
    EXPECT_EQ(failed, 0) << pxl_error_message();
    EXPECT_EQ(interposed::held(), held);
    EXPECT_LT(bytes_in_use(), bytes + static_cast<size_t>(count) * sizeof(void *));
}
const char *const mixture =
    "0.84*ssim(border=zero) + 0.16*l1 + 0.1*sobel + tv + blur(sigma=2) - 0.01*psnr + ssim(preset=piq, window=5)";

TEST(Memory, ten_thousand_evaluations_do_not_grow) {
    const Network network("3:2"), two("3:2", 2);
    const Loss loss(mixture, network), parallel(mixture, two);
    Images small(loss, {1, 3, 17, 33}), large(parallel, {1, 3, 75, 79});
    repeat(10000, [&] { return small.all(); });
    repeat(1000, [&] { return large.all(); });
}

TEST(Memory, ten_thousand_evaluations_of_networks_do_not_grow) {
    SKIP_WITHOUT_NETWORKS();
    const Network network("3:4,M,3");
    const Loss loss("lpips(net=n) + style(net=n) + l1", network);
    Images images(loss, {2, 3, 9, 8});
    repeat(10000, [&] { return images.all(); });
    // Sizes that push each other out of what is kept.
    int64_t turn = 0;
    repeat(1000, [&] { return Images(loss, {1, 3, 4 + turn++ % 21, 6}).all(); });
}

TEST(Memory, ten_thousand_operators_and_losses_do_not_grow) {
    const Network network("3:4,M,3");
    Operators operators;
    repeat(10000, [&] {
        pxl_status status = operators.reduce();
        if (!status) status = operators.filter();
        return status ? status : operators.questions();
    });
    repeat(1000, [&] { return operators.statistic(); });
    repeat(10000, [&] {
        pxl_loss *loss = nullptr;
        const pxl_status status = pxl_loss_parse("l1 + lpips(net=n) + 0.1*ssim(preset=tf)", network.context(), &loss);
        pxl_loss_destroy(loss);
        const bool refused = pxl_loss_parse("l1 + lpips(net=n) + 0.1*sim", network.context(), &loss) == PXL_SYNTAX_ERROR;
        return status ? status : refused ? PXL_OK : PXL_UNSUPPORTED;
    });
}

} // namespace
