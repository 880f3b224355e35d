// How much scratch an evaluation on the CPU asks for: under 4 MiB a thread for single-scale terms, whatever the image.
#include <gtest/gtest.h>

#include "dtype.h"
#include "run_case.h"

namespace {

constexpr size_t most = 4 << 20; // bytes a thread

// Sizes are asked for without looking at a pixel, so the images are addresses alone, each far from the others.
pxl_tensor image(int place, pxl_dtype dtype, const Shape &s, bool nhwc) {
    void *const data = reinterpret_cast<void *>(static_cast<uintptr_t>(place + 1) << 42);
    return (nhwc ? pxl_nhwc : pxl_nchw)(data, dtype, PXL_CPU_DEVICE, s.n, s.c, s.h, s.w);
}

struct Asked {
    pxl_dtype dtype;
    Shape shape;
    bool nhwc, masked, per_image;
};
std::ostream &operator<<(std::ostream &to, const Asked &asked) {
    const Shape &s = asked.shape;
    return to << s.n << 'x' << s.c << 'x' << s.h << 'x' << s.w << ' ' << dtype_name(asked.dtype)
              << (asked.nhwc ? " nhwc" : " nchw") << (asked.masked ? " masked" : "") << (asked.per_image ? " per_image" : "");
}

// Of values and both gradients.
pxl_status workspace_size(const pxl_loss *loss, const Asked &asked, int threads, size_t *bytes) {
    const pxl_tensor pred = image(0, asked.dtype, asked.shape, asked.nhwc),
                     target = image(1, asked.dtype, asked.shape, asked.nhwc);
    const pxl_tensor grad_pred = image(2, asked.dtype, asked.shape, asked.nhwc);
    const pxl_tensor grad_target = image(3, asked.dtype, asked.shape, asked.nhwc);
    const pxl_tensor weight = image(4, PXL_F32, {asked.shape.n, 1, asked.shape.h, asked.shape.w}, false);
    pxl_args args = PXL_ARGS(&pred, &target);
    args.values = reinterpret_cast<double *>(uintptr_t(1) << 41);
    args.per_image = asked.per_image;
    if (asked.masked) args.weight = &weight;
    if (is_floating(asked.dtype)) args.grad_pred = &grad_pred, args.grad_target = &grad_target;
    return pxl_workspace_size(context_of(cpu(), threads), loss, &args, bytes);
}

// Small and large, with few rows or few columns, as many images or channels as memory has.
const Shape shapes[] = {{1, 1, 1, 1},         {1, 3, 33, 47},       {8, 3, 512, 512},   {1, 3, 2160, 3840},
                        {1, 1, 1, 32768},     {1, 1, 32768, 1},     {1, 3, 40, 32768},  {1, 3, 32768, 40},
                        {1, 3, 32768, 32768}, {4, 4, 32768, 32768}, {64, 64, 512, 512}, {4096, 3, 64, 64}};

int excesses_of(const pxl_loss *loss, const Asked &asked) {
    int excesses = 0;
    for (const int threads : {1, 2, 16}) {
        size_t bytes = 0;
        const pxl_status status = workspace_size(loss, asked, threads, &bytes);
        if (status == PXL_INVALID_ARGUMENT) return excesses; // no whole window fits, or a mask does not go with the term
        EXPECT_EQ(status, PXL_OK) << pxl_error_message();
        if (bytes < most * static_cast<size_t>(threads)) continue;
        ADD_FAILURE() << bytes << " bytes for " << threads << " threads, " << pxl_loss_term_name(loss, 0) << ' ' << asked;
        ++excesses;
    }
    return excesses;
}

// Blocks that were averaged add up to a gradient, which f16 and bf16 would round each time: there it is kept as a whole in f32.
bool sums_gradients_apart(const pxl_term &term) { return oracle::resolve(term).downsample != 1; }

// What more than the limit was asked for, of `dtypes` and all shapes and kinds.
int count_excesses(const pxl_loss *loss, const std::vector<pxl_dtype> &dtypes) {
    int excesses = 0;
    for (const pxl_dtype dtype : dtypes)
        for (const Shape &shape : shapes)
            for (int kind = 0; kind < 8 && excesses < 10; ++kind)
                excesses += excesses_of(loss, {dtype, shape, (kind & 1) != 0, (kind & 2) != 0, (kind & 4) != 0});
    return excesses;
}

TEST(Workspace, of_single_scale_terms_is_under_4_mib_a_thread) {
    for (const Spec &spec : all_specs()) {
        if (spec.term.kind == PXL_MS_SSIM) continue; // keeps its scales
        LossHandle loss;
        ASSERT_EQ(pxl_loss_create(&spec.term, 1, loss.receive()), PXL_OK) << pxl_error_message();
        std::vector<pxl_dtype> dtypes = {PXL_F32, PXL_F64, PXL_U8, PXL_U16};
        if (!sums_gradients_apart(spec.term)) dtypes.insert(dtypes.end(), {PXL_F16, PXL_BF16});
        ASSERT_EQ(count_excesses(loss, dtypes), 0);
    }
}

// There is a number for each tile and term: nine terms would take 6 MB of the largest shape, 64 GiB.
TEST(Workspace, of_a_few_terms_is_under_it_too) {
    for (const char *const mix :
         {"0.84*ssim + 0.16*l1", "0.5*mse + 0.5*ssim + 0.1*sobel", "l1 + 0.1*ssim(window=33, sigma=5.5) - 0.01*psnr"}) {
        LossHandle loss;
        ASSERT_EQ(pxl_loss_parse(mix, nullptr, loss.receive()), PXL_OK) << pxl_error_message();
        ASSERT_EQ(count_excesses(loss, {PXL_F32, PXL_F16, PXL_BF16, PXL_F64, PXL_U8, PXL_U16}), 0) << mix;
    }
}

} // namespace
