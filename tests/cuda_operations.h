// Calls of every kind on small images, with all that they need: to count, to spoil, to watch.
#ifndef TESTS_CUDA_OPERATIONS_H
#define TESTS_CUDA_OPERATIONS_H
#include <functional>

#include "make_case.h"

// A call that succeeds, and what it left; everything it needs was made before.
struct Operation {
    std::string name;
    std::function<pxl_status()> call;
    std::function<Bits()> results;
};

inline Bits bits_of(const Tensor &tensor) { return {tensor.element_bytes()}; }

class Evaluated {
  public:
    explicit Evaluated(Case test)
        : test_(std::move(test)), inputs_(make_inputs(test_)), evaluation_(tested_device(), test_, inputs_) {
        EXPECT_EQ(evaluation_.prepare(), PXL_OK) << pxl_error_message() << describe(test_);
    }
    Operation operation(const std::string &name) {
        return {name, [this] { return evaluation_.evaluate(); }, [this] { return evaluation_.outcome(PXL_OK).bits; }};
    }
    Operation preparation(const std::string &name) {
        return {name, [this] { return evaluation_.initialise(); }, [] { return Bits{{0}}; }};
    }

  private:
    Case test_;
    oracle::Inputs inputs_;
    Evaluation evaluation_;
};

inline Case masked_mix() {
    pxl_term rmse = PXL_TERM(PXL_RMSE, 0.5), blur = PXL_TERM(PXL_BLUR, 0.2), ssim = windowed(PXL_SSIM, "torchmetrics");
    blur.sigma = 2, rmse.mean_of_images = 1;
    Case test = make_case({ssim, rmse, blur, windowed(PXL_SSIM), PXL_TERM(PXL_TV, 1)}, {2, 2, 30, 33}, PXL_F16);
    test.mask = Mask::fractional;
    test.upstream = Upstream::given;
    test.own_weights = test.per_image = true;
    return test;
}

// What the operations work on, made once.
struct Fixture {
    Evaluated plain{make_case({windowed(PXL_SSIM)}, {1, 1, 30, 33})}, mix{masked_mix()};
    Tensor image{tested_device(), Layout::nchw, PXL_F32, 1, 2, 30, 33},
        output{tested_device(), Layout::nchw, PXL_F32, 1, 2, 30, 33};
    Tensor statistics{tested_device(), Layout::nchw, PXL_F32, 1, 10, 30, 33};
    DeviceArray<double> sums{tested_device(), 2};
    DeviceBuffer workspace{tested_device(), 1 << 20};
    pxl_filter blur = PXL_FILTER(PXL_FILTER_BLUR);
    pxl_term window = windowed(PXL_SSIM, "seed");

    Fixture() {
        blur.sigma = 2;
        image.set(make_inputs(make_case({pixel(PXL_L1)}, {1, 2, 30, 33})).pred);
    }
    std::vector<Operation> operations() {
        return {plain.preparation("workspace_init"),
                plain.operation("ssim"),
                mix.operation("masked mix"),
                {"filter",
                 [this] {
                     return pxl_filter_apply(nullptr, &blur, image.view(), output.view(), workspace.data(), workspace.bytes(),
                                             nullptr);
                 },
                 [this] { return bits_of(output); }},
                {"filter's adjoint",
                 [this] {
                     return pxl_filter_adjoint(nullptr, &blur, image.view(), output.view(), workspace.data(), workspace.bytes(),
                                               nullptr);
                 },
                 [this] { return bits_of(output); }},
                {"statistics",
                 [this] {
                     return pxl_ssim_statistics(nullptr, &window, image.view(), image.view(), statistics.view(), workspace.data(),
                                                workspace.bytes(), nullptr);
                 },
                 [this] { return bits_of(statistics); }},
                {"statistics' adjoint",
                 [this] {
                     return pxl_ssim_statistics_adjoint(nullptr, &window, image.view(), image.view(), statistics.view(),
                                                        output.view(), nullptr, workspace.data(), workspace.bytes(), nullptr);
                 },
                 [this] { return bits_of(output); }},
                {"reduce",
                 [this] {
                     return pxl_reduce(nullptr, PXL_REDUCE_SUM, PXL_OVER_CHANNEL, image.view(), sums.data(), workspace.data(),
                                       workspace.bytes(), nullptr);
                 },
                 [this] {
                     const std::vector<double> values = sums.get();
                     const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
                     return Bits{{bytes, bytes + values.size() * sizeof(double)}};
                 }}};
    }
};

#endif
