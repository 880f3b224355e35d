// Offsets that do not fit into 32 bits, by huge strides over memory that is reserved but hardly touched, and images as long as a
// million pixels.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "make_case.h"

namespace {

// Elements of a float tensor far apart in one reserved range.
class SparseTensor {
  public:
    SparseTensor(const Shape &s, const int64_t (&stride)[4]) {
        const int64_t last = (s.n - 1) * stride[0] + (s.c - 1) * stride[1] + (s.h - 1) * stride[2] + (s.w - 1) * stride[3];
        bytes_ = static_cast<size_t>(last + 1) * sizeof(float);
        memory_ = static_cast<float *>(device_.reserve(bytes_));
        view_ = pxl_nchw(memory_, PXL_F32, device_.id(), s.n, s.c, s.h, s.w);
        std::copy(stride, stride + 4, view_.stride);
    }
    ~SparseTensor() {
        if (is_there()) device_.release_reserved(memory_, bytes_);
    }
    SparseTensor(const SparseTensor &) = delete;
    SparseTensor &operator=(const SparseTensor &) = delete;

    bool is_there() const { return memory_ != nullptr; }
    const pxl_tensor *view() const { return &view_; }
    void set(const oracle::Image &image) {
        each([&](float *element, size_t i) {
            const auto value = static_cast<float>(image.v[i]);
            device_.upload(element, &value, sizeof value);
        });
    }
    oracle::Image get() const {
        oracle::Image image(view_.size[0], view_.size[1], view_.size[2], view_.size[3]);
        each([&](const float *element, size_t i) {
            float value;
            device_.download(&value, element, sizeof value);
            image.v[i] = value;
        });
        return image;
    }

  private:
    template <typename Visit>
    void each(Visit visit) const {
        size_t i = 0;
        for (int64_t n = 0; n < view_.size[0]; ++n)
            for (int64_t c = 0; c < view_.size[1]; ++c)
                for (int64_t y = 0; y < view_.size[2]; ++y)
                    for (int64_t x = 0; x < view_.size[3]; ++x)
                        visit(memory_ + n * view_.stride[0] + c * view_.stride[1] + y * view_.stride[2] + x * view_.stride[3],
                              i++);
    }
    Device &device_ = tested_device();
    pxl_tensor view_{};
    float *memory_ = nullptr;
    size_t bytes_ = 0;
};

struct Strides {
    const char *name;
    Shape shape;
    int64_t stride[4];
};
void PrintTo(const Strides &strides, std::ostream *to) { *to << strides.name; } // as part of ctest's name of the test
constexpr int64_t billion = int64_t{1} << 30;
const Strides far_apart[] = {{"images", {4, 2, 13, 17}, {billion + 3, 13 * 17, 17, 1}},
                             {"channels", {1, 5, 13, 17}, {1, billion + 1, 17, 1}},
                             {"rows", {1, 1, 14, 17}, {1, 1, billion / 4 + 1, 1}},
                             {"columns", {1, 1, 13, 17}, {1, 1, 1, billion / 4 + 17}}};

class FarApart : public testing::TestWithParam<Strides> {};

TEST_P(FarApart, elements_are_found) {
    const Strides &far = GetParam();
    pxl_term sobel = PXL_TERM(PXL_SOBEL, 0.1);
    Case test = make_case({windowed(PXL_SSIM), pixel(PXL_L1), sobel, windowed(PXL_SSIM, "torchmetrics")}, far.shape);
    oracle::Inputs inputs = make_inputs(test);
    SparseTensor pred(far.shape, far.stride), target(far.shape, far.stride), grad_pred(far.shape, far.stride),
        grad_target(far.shape, far.stride);
    if (!pred.is_there() || !target.is_there() || !grad_pred.is_there() || !grad_target.is_there())
        GTEST_SKIP() << "there is no room for four ranges of 16 GiB";
    pred.set(inputs.pred), target.set(inputs.target);
    LossHandle loss;
    ASSERT_EQ(pxl_loss_create(test.terms.data(), test.terms.size(), loss.receive()), PXL_OK) << pxl_error_message();
    Device &device = tested_device();
    const DeviceArray<double> values(device, 5);
    pxl_args args = PXL_ARGS(pred.view(), target.view());
    args.grad_pred = grad_pred.view(), args.grad_target = grad_target.view(), args.values = values.data();
    size_t bytes = 0;
    ASSERT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << pxl_error_message();
    DeviceBuffer workspace(device, bytes);
    ASSERT_EQ(pxl_workspace_init(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    ASSERT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    const oracle::Result expected = reference(test, inputs);
    for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(values.get()[i], expected.values[i], 1e-5 * expected.scale[i]);
    EXPECT_TRUE(close(grad_pred.get(), expected.grad_pred, expected.slack_pred, 1e-4, PXL_F32));
    EXPECT_TRUE(close(grad_target.get(), expected.grad_target, expected.slack_target, 1e-4, PXL_F32));
    for (int over = PXL_OVER_ALL; over <= PXL_OVER_CHANNEL; ++over) {
        ASSERT_EQ(pxl_reduce_workspace_size(nullptr, PXL_REDUCE_SUM, static_cast<pxl_reduce_over>(over), pred.view(), &bytes),
                  PXL_OK);
        DeviceBuffer scratch(device, bytes);
        const size_t groups = over == PXL_OVER_ALL ? 1 : over == PXL_OVER_IMAGE ? far.shape.n : far.shape.n * far.shape.c;
        const DeviceArray<double> sums(device, groups);
        ASSERT_EQ(pxl_reduce(nullptr, PXL_REDUCE_SUM, static_cast<pxl_reduce_over>(over), pred.view(), sums.data(),
                             scratch.data(), bytes, nullptr),
                  PXL_OK);
        double total = 0, direct = 0;
        for (const double sum : sums.get()) total += sum;
        for (const double value : inputs.pred.v) direct += value;
        EXPECT_NEAR(total, direct, 1e-9 * direct);
    }
}
INSTANTIATE_TEST_SUITE_P(along, FarApart, testing::ValuesIn(far_apart), [](const auto &info) { return info.param.name; });

class SlowLong : public testing::TestWithParam<Shape> {};

TEST_P(SlowLong, images_of_a_million_pixels_in_a_line) {
    pxl_term ssim = windowed(PXL_SSIM), blur = PXL_TERM(PXL_BLUR, 1), psnr = PXL_TERM(PXL_PSNR, -0.1);
    ssim.window = 3, ssim.sigma = 1, ssim.border = PXL_REFLECT;
    blur.window = 3, blur.sigma = 1, blur.border = PXL_REPLICATE;
    for (const pxl_dtype dtype : {PXL_F32, PXL_F16}) {
        Case test =
            make_case({ssim, pixel(PXL_L1), PXL_TERM(PXL_TV, 0.1), PXL_TERM(PXL_SOBEL, 0.1), blur, psnr}, GetParam(), dtype);
        test.grad_dtype = PXL_F32;
        test.threads = 2;
        const oracle::Inputs inputs = make_inputs(test);
        EXPECT_TRUE(agrees(test, run(test, inputs), reference(test, inputs)));
    }
}
// Each kind of term with each border, once.
std::vector<pxl_term> one_of_each(const Shape &shape) {
    std::vector<pxl_term> terms;
    for (const Spec &spec : all_specs()) {
        const oracle::Term term = oracle::resolve(spec.term);
        const bool known = std::any_of(terms.begin(), terms.end(), [&](const pxl_term &other) {
            return other.kind == spec.term.kind && oracle::resolve(other).border == term.border;
        });
        if (!known && term.downsample == 1 && oracle::fits(term, shape.h, shape.w)) terms.push_back(spec.term);
    }
    return terms;
}
TEST_P(SlowLong, every_term_agrees_with_the_oracle) {
    std::vector<pxl_term> terms = one_of_each(GetParam());
    EXPECT_GE(terms.size(), 20u);
    for (const pxl_term &term : terms) {
        Case test = make_case({term}, GetParam());
        test.threads = 2;
        const oracle::Inputs inputs = make_inputs(test);
        EXPECT_TRUE(agrees(test, run(test, inputs), reference(test, inputs)));
    }
}
INSTANTIATE_TEST_SUITE_P(shape, SlowLong, testing::Values(Shape{1, 1, 1, 1 << 20}, Shape{1, 1, 1 << 20, 1}));

// More pixels than f32 can count, the sums of which f32 could not hold.
TEST(SlowMany, pixels_are_averaged_exactly) {
    const Case test = make_case({pixel(PXL_L1), pixel(PXL_L2)}, {1, 1, 5000, 5000});
    oracle::Inputs inputs = make_inputs(test);
    inputs.pred = oracle::Image(1, 1, 5000, 5000, 0.75), inputs.target = oracle::Image(1, 1, 5000, 5000, 0.25);
    const Outcome outcome = run(test, inputs);
    ASSERT_EQ(outcome.status, PXL_OK) << outcome.message;
    EXPECT_EQ(outcome.values[1], 0.5);
    EXPECT_EQ(outcome.values[2], 0.25);
}

// ---- More than 2^31 elements that are really there ---------------------------------------------------------------------
constexpr int64_t side = 46342; // its square is 2^31 + 97,316

// A plane of bytes, each row a piece of the same noise; nullptr if there is no memory.
class Bytes {
  public:
    explicit Bytes(uint32_t seed) {
        void *const memory = mmap(nullptr, side * side, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return;
        data_ = static_cast<uint8_t *>(memory);
        std::mt19937 random(seed);
        std::vector<uint8_t> noise(side + 4096);
        for (uint8_t &byte : noise) byte = static_cast<uint8_t>(1 + random() % 250);
        for (int64_t y = 0; y < side; ++y) std::memcpy(data_ + y * side, &noise[static_cast<size_t>(y * 37 % 4096)], side);
    }
    ~Bytes() {
        if (data_) munmap(data_, side * side);
    }
    Bytes(const Bytes &) = delete;
    Bytes &operator=(const Bytes &) = delete;
    uint8_t *data() const { return data_; }
    pxl_tensor view() const { return pxl_nchw(data_, PXL_U8, PXL_CPU_DEVICE, 1, 1, side, side); }

  private:
    uint8_t *data_ = nullptr;
};
std::vector<double> values_of(const pxl_loss *loss, const pxl_tensor &pred, const pxl_tensor &target) {
    std::vector<double> values(1 + pxl_loss_term_count(loss));
    pxl_args args = PXL_ARGS(&pred, &target);
    args.values = values.data();
    size_t bytes = 0;
    EXPECT_EQ(pxl_workspace_size(nullptr, loss, &args, &bytes), PXL_OK) << pxl_error_message();
    DeviceBuffer workspace(cpu(), bytes);
    EXPECT_EQ(pxl_evaluate(nullptr, loss, &args, workspace.data(), bytes, nullptr), PXL_OK) << pxl_error_message();
    return values;
}
// The mean of a term with border=valid and so many taps, from bands of rows that are evaluated on their own.
double mean_of_bands(const pxl_loss *loss, const pxl_tensor &pred, const pxl_tensor &target, int64_t taps) {
    constexpr int64_t band = 4000;
    const int64_t rows = side - taps + 1;
    double sum = 0;
    for (int64_t y = 0; y < rows; y += band) {
        const int64_t count = std::min(band, rows - y);
        const auto crop = [&](const pxl_tensor &image) { return pxl_crop(image, y, 0, count + taps - 1, side); };
        sum += values_of(loss, crop(pred), crop(target))[1] * static_cast<double>(count);
    }
    return sum / static_cast<double>(rows);
}
int64_t gigabytes_available() {
    std::ifstream from("/proc/meminfo");
    std::string word;
    for (int64_t number; from >> word;)
        if (word == "MemAvailable:" && from >> number) return number >> 20;
    return 0;
}

TEST(SlowHuge, more_than_2_to_the_31_elements) {
    if (gigabytes_available() < 5) GTEST_SKIP() << "two images of 2^31 bytes take 4.3 GB, of which fewer are free";
    const Bytes x(1), y(2);
    if (!x.data() || !y.data()) GTEST_SKIP() << "there is no room for two images of 2^31 bytes";
    x.data()[side * side - 1] = 255; // the last element is looked at
    LossHandle loss, ssim, sobel;
    ASSERT_EQ(pxl_loss_parse("ssim(border=valid) + sobel(border=valid) + l1 + mse", nullptr, loss.receive()), PXL_OK);
    ASSERT_EQ(pxl_loss_parse("ssim(border=valid)", nullptr, ssim.receive()), PXL_OK);
    ASSERT_EQ(pxl_loss_parse("sobel(border=valid)", nullptr, sobel.receive()), PXL_OK);
    const pxl_tensor pred = x.view(), target = y.view();
    const std::vector<double> values = values_of(loss, pred, target);
    EXPECT_NEAR(values[1], mean_of_bands(ssim, pred, target, 11), 1e-6 * values[1]);
    EXPECT_NEAR(values[2], mean_of_bands(sobel, pred, target, 3), 1e-9 * values[2]);
    int64_t absolute = 0, square = 0, sum = 0;
    for (int64_t i = 0; i < side * side; ++i) {
        const int difference = x.data()[i] - y.data()[i];
        absolute += std::abs(difference), square += difference * difference, sum += x.data()[i];
    }
    const double count = static_cast<double>(side * side);
    EXPECT_NEAR(values[3], static_cast<double>(absolute) / count, 1e-9 * values[3]);
    EXPECT_NEAR(values[4], static_cast<double>(square) / count, 1e-9 * values[4]);
    const std::pair<pxl_reduce_kind, double> reductions[] = {{PXL_REDUCE_SUM, static_cast<double>(sum)}, {PXL_REDUCE_MAX, 255}};
    for (const auto &[kind, expected] : reductions) {
        size_t bytes = 0;
        double result = 0;
        ASSERT_EQ(pxl_reduce_workspace_size(nullptr, kind, PXL_OVER_ALL, &pred, &bytes), PXL_OK);
        DeviceBuffer workspace(cpu(), bytes);
        ASSERT_EQ(pxl_reduce(nullptr, kind, PXL_OVER_ALL, &pred, &result, workspace.data(), bytes, nullptr), PXL_OK);
        EXPECT_EQ(result, expected);
    }
}

} // namespace
