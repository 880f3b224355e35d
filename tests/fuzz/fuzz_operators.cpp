// libFuzzer's target for the operators (scripts/fuzz.sh): filters and window statistics with their adjoints, and reductions, on any
// views. What has to hold: call.h.
#include "call.h"

namespace {

// ---- Filters ----------------------------------------------------------------------------------------------------------
pxl_filter draw_filter(Bytes &from) {
    pxl_filter filter = PXL_FILTER(one_of_first<pxl_filter_kind>(from, 4));
    filter.border = one_of_first<pxl_border>(from, 6);
    if (filter.kind == PXL_FILTER_LAPLACIAN) filter.neighbours = one_of(from, {0, 4, 8});
    if (filter.kind >= PXL_FILTER_BLUR) filter.window = one_of(from, {3, 0, 1, 2, 11, 10, 65, 129, 128});
    if (filter.kind == PXL_FILTER_BLUR) filter.sigma = one_of(from, {1.5, 0.3, 9.0, 18.0, 1e-9});
    if (filter.kind >= PXL_FILTER_BLUR && filter.window) filter.window_x = one_of(from, {0, 1, 2, 3, 11, 65, 128});
    if (filter.kind == PXL_FILTER_BLUR) filter.sigma_x = one_of(from, {0.0, 0.5, 2.0, 18.0});
    if (one_in(from, 96)) filter.struct_size = from.ConsumeIntegral<uint8_t>();
    return filter;
}
int taps_of(const pxl_filter &filter, int window, double sigma) {
    if (filter.kind == PXL_FILTER_SOBEL || filter.kind == PXL_FILTER_LAPLACIAN) return 3;
    if (window || !(sigma > 0 && sigma < 1e6)) return window;
    return 2 * static_cast<int>(3.5 * sigma + 0.5) + 1;
}
Sizes filtered_sizes(const pxl_filter &filter, Sizes sizes) {
    const int down = taps_of(filter, filter.window, filter.sigma);
    const int along =
        taps_of(filter, filter.window_x ? filter.window_x : filter.window, filter.sigma_x > 0 ? filter.sigma_x : filter.sigma);
    for (int axis = 2; axis < 4 && filter.border == PXL_VALID; axis++)
        __builtin_sub_overflow(sizes.size[axis], (axis == 2 ? down : along) - int64_t(1), &sizes.size[axis]);
    if (filter.kind == PXL_FILTER_SOBEL) __builtin_mul_overflow(sizes.size[1], 2, &sizes.size[1]);
    return sizes;
}
void fuzz_filter(Bytes &from) {
    Scene scene(from);
    const pxl_filter filter = draw_filter(from);
    const Sizes sizes = draw_sizes(from);
    const pxl_dtype dtype = one_of_first<pxl_dtype>(from, 6);
    const bool adjoint = from.ConsumeBool();
    const pxl_tensor *const image = scene.view(dtype, sizes, adjoint);
    const pxl_tensor *const filtered = scene.view(dtype, filtered_sizes(filter, sizes), !adjoint);
    const auto apply = adjoint ? pxl_filter_adjoint : pxl_filter_apply;
    const pxl_tensor *const input = adjoint ? filtered : image, *const output = adjoint ? image : filtered;
    // The size is that of the forward call, in which the adjoint's input, which may repeat elements, would be an output.
    try_call(from, scene,
             {[&](size_t *bytes) { return pxl_filter_workspace_size(nullptr, &filter, image, filtered, bytes); },
              [&](void *workspace, size_t bytes) { return apply(nullptr, &filter, input, output, workspace, bytes, nullptr); },
              !adjoint});
}

// ---- Statistics -------------------------------------------------------------------------------------------------------
pxl_term draw_term(Bytes &from) {
    pxl_term term = PXL_TERM(one_of(from, {PXL_SSIM, PXL_STRUCTURE, PXL_PIXEL}), 1);
    term.preset = from.ConsumeBool() ? pxl_preset_name(from.ConsumeIntegralInRange<size_t>(0, 11)) : nullptr;
    term.border = one_of_first<pxl_border>(from, 6);
    term.window = one_of(from, {0, 3, 5, 11, 33});
    term.sigma = one_of(from, {0.0, 1.5, 40.0});
    if (term.window) term.window_x = one_of(from, {0, 3, 11, 65});
    if (term.sigma > 0) term.sigma_x = one_of(from, {0.0, 0.5, 3.0});
    term.uniform = term.sigma == 0 && from.ConsumeBool();
    term.sample_covariance = from.ConsumeBool();
    term.downsample = one_of(from, {1, 0, 2});
    return term;
}
// Those of the map that the term has, for `pred`; the statistics have five times the channels.
Sizes statistics_sizes(const pxl_term &term, const pxl_tensor *pred, Sizes sizes) {
    pxl_loss *loss = nullptr;
    if (pxl_loss_create(&term, 1, &loss) == PXL_OK) (void)pxl_map_size(loss, pred, sizes.size);
    pxl_loss_destroy(loss);
    __builtin_mul_overflow(sizes.size[1], 5, &sizes.size[1]);
    return sizes;
}
void fuzz_statistics(Bytes &from) {
    Scene scene(from);
    const pxl_term term = draw_term(from), *const given = one_in(from, 96) ? nullptr : &term;
    const Sizes sizes = draw_sizes(from);
    const pxl_dtype dtype = one_of_first<pxl_dtype>(from, 6);
    const bool adjoint = from.ConsumeBool();
    const pxl_tensor *const pred = scene.view(dtype, sizes, false), *const target = scene.view(dtype, sizes, false);
    const pxl_tensor *const statistics =
        scene.view(from.ConsumeBool() ? PXL_F64 : PXL_F32, statistics_sizes(term, pred, sizes), !adjoint);
    const pxl_tensor *const grad_pred = adjoint && !one_in(from, 3) ? scene.view(dtype, sizes, true) : nullptr;
    const pxl_tensor *const grad_target = adjoint && from.ConsumeBool() ? scene.view(PXL_F32, sizes, true) : nullptr;
    try_call(from, scene,
             {[&](size_t *bytes) { return pxl_ssim_statistics_workspace_size(nullptr, given, pred, target, bytes); },
              [&](void *workspace, size_t bytes) {
                  return adjoint ? pxl_ssim_statistics_adjoint(nullptr, given, pred, target, statistics, grad_pred, grad_target,
                                                               workspace, bytes, nullptr)
                                 : pxl_ssim_statistics(nullptr, given, pred, target, statistics, workspace, bytes, nullptr);
              },
              false});
}

// ---- Reductions -------------------------------------------------------------------------------------------------------
void fuzz_reduce(Bytes &from) {
    Scene scene(from);
    const Sizes sizes = draw_sizes(from);
    const auto kind = one_of_first<pxl_reduce_kind>(from, 6);
    const auto over = one_of_first<pxl_reduce_over>(from, 3);
    const pxl_tensor *const input = scene.view(one_of_first<pxl_dtype>(from, 6), sizes, false);
    int64_t groups = over == PXL_OVER_ALL || !input ? 1 : input->size[0];
    if (over == PXL_OVER_CHANNEL && input && __builtin_mul_overflow(groups, input->size[1], &groups)) groups = -1;
    double *const results = scene.array<double>(groups, true);
    try_call(from, scene,
             {[&](size_t *bytes) { return pxl_reduce_workspace_size(nullptr, kind, over, input, bytes); },
              [&](void *workspace, size_t bytes) {
                  return pxl_reduce(nullptr, kind, over, input, results, workspace, bytes, nullptr);
              },
              false});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Bytes from(data, bytes);
    switch (from.ConsumeIntegralInRange(0, 3)) {
        case 0:
        case 1: fuzz_filter(from); break;
        case 2: fuzz_statistics(from); break;
        default: fuzz_reduce(from);
    }
    return 0;
}
