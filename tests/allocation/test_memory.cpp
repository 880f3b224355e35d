// What networks keep, and that nothing grows.
#include <gtest/gtest.h>

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

} // namespace
