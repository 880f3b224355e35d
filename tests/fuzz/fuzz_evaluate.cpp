// libFuzzer's target for pxl_evaluate and the calls beside it (scripts/fuzz.sh): any loss, on any views and
// arrays. What has to hold: call.h.
#include <cmath>
#include <iterator>
#include <string>

#include "call.h"

namespace {

constexpr double exact_zero = PXL_EXACT_ZERO, infinity = HUGE_VAL;

void draw_penalty(Bytes &from, pxl_term &term) {
    term.reduction = one_of_first<pxl_reduction>(from, 3);
    term.penalty = one_of_first<pxl_penalty>(from, 6);
    if (term.penalty >= PXL_HUBER) term.penalty_param = one_of(from, {0.0, 0.5, 1e-3, 1e-30, 1e30});
    term.isotropic = one_in(from, 4);
    term.own_counts = one_in(from, 8);
    term.root = one_in(from, 8);
}
void draw_second_values(Bytes &from, pxl_term &term) {
    if (!from.ConsumeBool()) return;
    term.window_x = one_of(from, {0, 3, 5, 11, 65, 129});
    term.sigma_x = one_of(from, {0.0, 0.3, 2.0, 18.0});
}
void draw_window(Bytes &from, pxl_term &term) {
    term.preset = from.ConsumeBool() ? pxl_preset_name(from.ConsumeIntegralInRange<size_t>(0, 11)) : nullptr;
    term.reduction = one_of_first<pxl_reduction>(from, 3);
    term.window = one_of(from, {0, 3, 5, 7, 11, 21, 33});
    term.sigma = one_of(from, {0.0, 0.5, 1.5, 40.0, 1e-9});
    draw_second_values(from, term);
    term.uniform = term.sigma == 0 && from.ConsumeBool();
    term.k1 = one_of(from, {0.0, 0.01, exact_zero, 10.0});
    term.k2 = one_of(from, {0.0, 0.03, exact_zero, 1e-200});
    term.data_range = one_of(from, {0.0, PXL_FROM_DATA, 1.0, 255.0, 1e-30, 1e30});
    term.sample_covariance = from.ConsumeBool();
    term.downsample = one_of(from, {0, 1, 2, 3, 17, PXL_DOWNSAMPLE_AUTO});
    if (term.kind != PXL_SSIM || from.ConsumeBool()) return;
    for (double *exponent : {&term.alpha, &term.beta, &term.gamma}) *exponent = one_of(from, {0.0, 1.0, 0.5, 3.0, exact_zero});
}
pxl_term draw_term(Bytes &from) {
    static constexpr pxl_term_kind kinds[] = {PXL_PIXEL,    PXL_SSIM,      PXL_SOBEL,  PXL_LAPLACIAN, PXL_TV,
                                              PXL_BLUR,     PXL_RMSE,      PXL_PSNR,   PXL_DSSIM,     PXL_LUMINANCE,
                                              PXL_CONTRAST, PXL_STRUCTURE, PXL_MS_SSIM};
    pxl_term term = PXL_TERM(kinds[from.ConsumeIntegralInRange<size_t>(0, std::size(kinds) - 1)], 1);
    term.weight = one_of(from, {1.0, -0.5, 0.0, 1e-3, 1e300, infinity});
    if (term.kind <= PXL_BLUR) draw_penalty(from, term);
    const bool bordered = term.kind == PXL_SOBEL || term.kind == PXL_LAPLACIAN || term.kind == PXL_BLUR || term.kind >= PXL_SSIM;
    if (bordered) term.border = one_of_first<pxl_border>(from, 6);
    if (term.kind == PXL_LAPLACIAN) term.neighbours = one_of(from, {0, 4, 8});
    if (term.kind == PXL_BLUR) {
        term.sigma = one_of(from, {1.5, 0.3, 0.0, 9.0, 18.0});
        term.window = one_of(from, {0, 3, 11, 99, 129});
        draw_second_values(from, term);
    }
    if (term.kind == PXL_RMSE || term.kind == PXL_PSNR || term.kind == PXL_TV) term.mean_of_images = from.ConsumeBool();
    if (term.kind == PXL_PSNR) term.penalty_param = one_of(from, {0.0, 1e-8});
    if (term.kind >= PXL_SSIM) draw_window(from, term);
    if (one_in(from, 96)) term.struct_size = from.ConsumeIntegral<uint8_t>();
    return term;
}

using Loss = std::unique_ptr<pxl_loss, decltype(&pxl_loss_destroy)>;
Loss draw_loss(Bytes &from) {
    pxl_loss *loss = nullptr;
    pxl_status status;
    if (one_in(from, 3)) {
        const std::string text = from.ConsumeRandomLengthString(100);
        if (text.find("-random") != std::string::npos) return {nullptr, pxl_loss_destroy}; // these weights take seconds
        status = pxl_loss_parse(text.c_str(), nullptr, &loss);
    } else {
        std::vector<pxl_term> terms;
        for (int i = from.ConsumeIntegralInRange(0, 3); i >= 0; i--) terms.push_back(draw_term(from));
        status = pxl_loss_create(terms.data(), terms.size(), &loss);
    }
    require((status == PXL_OK) == (loss != nullptr));
    if (status != PXL_OK) require_message();
    return {loss, pxl_loss_destroy};
}

class Arguments {
  public:
    Arguments(Bytes &from, const pxl_loss *loss, Scene &scene)
        : from_(from), loss_(loss), scene_(scene), sizes_(draw_sizes(from)), dtype_(one_of_first<pxl_dtype>(from, 6)) {
        const pxl_tensor *const pred = scene.view(dtype_, sizes_, false);
        made_ = PXL_ARGS(pred, scene.view(dtype_, sizes_, false));
        add_inputs();
        add_outputs(pred);
        if (one_in(from, 96)) made_.struct_size = from.ConsumeIntegral<uint8_t>();
        if (one_in(from, 32)) made_.target_use = one_of_first<pxl_target_use>(from, 4);
    }
    const pxl_args &made() const { return made_; }

  private:
    void add_inputs() {
        const int64_t *const s = sizes_.size;
        if (one_in(from_, 3)) made_.weight = scene_.view(from_.ConsumeBool() ? dtype_ : PXL_F32, {{s[0], 1, s[2], s[3]}}, false);
        made_.per_image = one_of(from_, {0, 1});
        const int64_t rows = made_.per_image ? s[0] : 1;
        const auto terms = static_cast<int64_t>(pxl_loss_term_count(loss_));
        int64_t numbers = 0;
        if (__builtin_mul_overflow(rows, 1 + terms, &numbers)) numbers = -1;
        if (!one_in(from_, 5)) made_.values = scene_.array<double>(numbers, true);
        if (one_in(from_, 4)) made_.grad_loss = scene_.array<float>(rows, false);
        if (one_in(from_, 4)) made_.term_weights = scene_.array<float>(terms, false);
    }
    void add_outputs(const pxl_tensor *pred) {
        const pxl_dtype dtype = one_in(from_, 4) ? PXL_F32 : dtype_;
        if (!one_in(from_, 4)) made_.grad_pred = scene_.view(dtype, sizes_, true);
        if (one_in(from_, 3)) made_.grad_target = scene_.view(dtype, sizes_, true);
        Sizes map = sizes_;
        if (!one_in(from_, 3) || pxl_map_size(loss_, pred, map.size) != PXL_OK) return;
        if (from_.ConsumeBool()) made_.map = scene_.view(from_.ConsumeBool() ? PXL_F64 : PXL_F32, map, true);
        if (__builtin_mul_overflow(map.size[1], 5, &map.size[1])) return;
        if (from_.ConsumeBool()) made_.statistics = scene_.view(from_.ConsumeBool() ? PXL_F64 : PXL_F32, map, true);
    }

    Bytes &from_;
    const pxl_loss *loss_;
    Scene &scene_;
    const Sizes sizes_;
    const pxl_dtype dtype_;
    pxl_args made_;
};

void evaluate(Bytes &from, const pxl_loss *loss) {
    Scene scene(from);
    const Arguments arguments(from, loss, scene);
    const pxl_args *const args = &arguments.made();
    try_call(from, scene,
             {[&](size_t *bytes) { return pxl_workspace_size(nullptr, loss, args, bytes); },
              [&](void *workspace, size_t bytes) {
                  const pxl_status status = pxl_workspace_init(nullptr, loss, args, workspace, bytes, nullptr);
                  const pxl_status evaluated = pxl_evaluate(nullptr, loss, args, workspace, bytes, nullptr);
                  require(status == PXL_OK || status == evaluated);
                  return evaluated;
              }});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    Bytes from(data, bytes);
    const Loss loss = draw_loss(from);
    if (loss) evaluate(from, loss.get());
    return 0;
}
