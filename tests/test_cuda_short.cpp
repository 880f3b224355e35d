// A short list for tools under which a test takes fifty times as long: the thread sanitizer, compute-sanitizer.
#ifdef PXL_TEST_CUDA
#include <gtest/gtest.h>

#include "cuda_operations.h"

namespace {

TEST(CudaShort, calls_of_every_kind) {
    pxl_term blur = PXL_TERM(PXL_BLUR, 0.2), pooled = windowed(PXL_SSIM), sobel = PXL_TERM(PXL_SOBEL, 0.1);
    pxl_term scales = windowed(PXL_MS_SSIM);
    blur.sigma = 1, pooled.downsample = 2, pooled.window = 3, scales.scales = 2, scales.window = 7;
    for (const auto &terms : std::vector<std::vector<pxl_term>>{{windowed(PXL_SSIM), pixel(PXL_L1)},
                                                                {windowed(PXL_STRUCTURE, "kornia"), blur},
                                                                {PXL_TERM(PXL_RMSE, 1), PXL_TERM(PXL_TV, 1), sobel},
                                                                {pooled},
                                                                {scales}}) {
        Case test = make_case(terms, {2, 1, 21, 23});
        if (takes_mask(terms[0])) test.mask = Mask::fractional;
        const oracle::Inputs inputs = make_inputs(test);
        EXPECT_TRUE(agrees(test, run(test, inputs), reference(test, inputs)));
    }
    Case mix = make_case({windowed(PXL_SSIM), sobel, pixel(PXL_L1), PXL_TERM(PXL_TV, 1)}, {1, 1, 21, 123});
    mix.grad_target = false; // for both gradients neighbours have a kernel of their own
    const oracle::Inputs inputs = make_inputs(mix);
    EXPECT_TRUE(agrees(mix, run(mix, inputs), reference(mix, inputs)));
    Fixture fixture;
    for (const Operation &operation : fixture.operations()) EXPECT_EQ(operation.call(), PXL_OK) << operation.name;
}

} // namespace
#endif
