// pixloss.hpp: what it hands to C, what it takes ownership of, what it throws. What C computes is tested elsewhere. The build adds
// -Wconversion and the like to this file's warnings: the header has to be clean in other people's builds.
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <pixloss/pixloss.hpp>
#include <regex>
#include <set>
#include <sstream>

namespace {

constexpr int64_t N = 2, C = 3, H = 9, W = 8;
constexpr size_t elements = N * C * H * W;

// ---- Types ----
template <class T>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> &&std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(moves_only<pxl::Context> && moves_only<pxl::Network> && moves_only<pxl::Loss> && moves_only<pxl::Workspace>);

template <class T>
using ViewOf = decltype(pxl::nchw(std::declval<T *>(), 1, 1, 1, 1));
static_assert(std::is_same_v<ViewOf<float>, pxl::Tensor> && std::is_same_v<ViewOf<const float>, pxl::ConstTensor>);
static_assert(std::is_convertible_v<pxl::Tensor, pxl::ConstTensor> && !std::is_convertible_v<pxl::ConstTensor, pxl::Tensor>);
static_assert(std::is_convertible_v<std::vector<float> &, pxl::Span<const float>>);
static_assert(!std::is_convertible_v<const std::vector<float> &, pxl::Span<float>>);
static_assert(!std::is_convertible_v<std::vector<float> &, pxl::Span<double>>);
static_assert(std::is_convertible_v<const pxl::Context &, pxl::On> && !std::is_convertible_v<pxl::Context *, pxl::On>);
static_assert(noexcept(std::declval<const pxl::Loss &>().try_evaluate(std::declval<const pxl::Args &>(),
                                                                      std::declval<const pxl::Workspace &>())));

std::vector<float> ramp(float first, float step) {
    std::vector<float> values(elements);
    for (size_t i = 0; i < elements; i++) values[i] = first + step * static_cast<float>(i % 7);
    return values;
}

struct Images {
    std::vector<float> x = ramp(0.2F, 0.1F), y = ramp(0.7F, -0.05F), gradient = std::vector<float>(elements);
    pxl::Tensor pred = pxl::nchw(x, N, C, H, W), target = pxl::nchw(y, N, C, H, W), grad = pxl::nchw(gradient, N, C, H, W);
};

template <class Call>
void expect_error(pxl_status status, const std::string &words, const Call &call) {
    try {
        call();
    } catch (const pxl::Error &error) {
        EXPECT_EQ(error.status(), status) << error.what();
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << "no '" << words << "' in: " << error.what();
        return;
    }
    ADD_FAILURE() << "nothing was thrown that says '" << words << "'";
}

} // namespace

TEST(Wrapper, CallsEveryFunctionOfTheHeaders) {
    const auto read = [](const char *name) {
        std::ifstream file(PXL_TEST_INCLUDE + std::string("/pixloss/") + name);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const std::string header = read("pixloss.h") + read("tensor.h") + read("networks.h") + read("operators.h");
    const std::string wrapper = read("pixloss.hpp");
    const std::regex declaration("\nPXL_API [^(\n]*?(pxl_[a-z0-9_]+)\\(");
    std::set<std::string> functions;
    for (std::sregex_iterator it(header.begin(), header.end(), declaration), end; it != end; ++it) functions.insert((*it)[1]);
    EXPECT_GE(functions.size(), 36u);
    for (const std::string &function : functions)
        EXPECT_TRUE(std::regex_search(wrapper, std::regex("[^_a-z0-9/]" + function + "[(,]"))) << function;
}

TEST(Wrapper, GivesWhatCGives) {
    Images images;
    std::array<double, 3> values{}, expected{};
    std::vector<float> gradient(elements, -1);
    pxl_loss *c_loss = nullptr;
    ASSERT_EQ(pxl_loss_parse("0.84*ssim(window=3) + 0.16*l1", nullptr, &c_loss), PXL_OK);
    const std::unique_ptr<pxl_loss, pxl::Destroy> owner(c_loss);
    const pxl_tensor pred = *images.pred.get(), target = *images.target.get();
    const pxl_tensor grad = pxl_nchw(gradient.data(), PXL_F32, PXL_CPU_DEVICE, N, C, H, W);
    pxl_args c_args = PXL_ARGS(&pred, &target);
    c_args.values = expected.data(), c_args.grad_pred = &grad;
    size_t bytes = 0;
    ASSERT_EQ(pxl_workspace_size(nullptr, c_loss, &c_args, &bytes), PXL_OK);
    std::vector<double> memory(bytes / sizeof(double) + 2);
    ASSERT_EQ(pxl_workspace_init(nullptr, c_loss, &c_args, memory.data(), bytes, nullptr), PXL_OK);
    ASSERT_EQ(pxl_evaluate(nullptr, c_loss, &c_args, memory.data(), bytes, nullptr), PXL_OK);

    const pxl::Loss loss("0.84*ssim(window=3) + 0.16*l1");
    pxl::Args args(images.pred, images.target);
    args.grad_pred = images.grad, args.values = values;
    EXPECT_EQ(loss.workspace_size(args), bytes);
    loss.evaluate(args, loss.workspace(args));
    EXPECT_EQ(values, expected);
    EXPECT_EQ(images.gradient, gradient);
}

TEST(Wrapper, TensorsAreThoseOfC) {
    const auto expect = [](const pxl::ConstTensor &tensor, pxl_dtype dtype, const void *data, const pxl_device &device) {
        EXPECT_EQ(tensor.dtype(), dtype);
        EXPECT_EQ(tensor.get()->data, data);
        EXPECT_EQ(tensor.device().type, device.type);
        EXPECT_EQ(tensor.device().index, device.index);
        for (size_t axis = 0; axis < 4; axis++) EXPECT_EQ(tensor.size(axis), (std::array<int64_t, 4>{N, C, H, W}[axis]));
    };
    std::vector<float> f32(elements);
    const std::vector<double> f64(elements);
    std::array<uint8_t, elements> u8{};
    uint16_t u16[elements];
    pxl::F16 f16[elements];
    const pxl::BF16 bf16[elements] = {};
    expect(pxl::nchw(f32, N, C, H, W), PXL_F32, f32.data(), pxl::cpu);
    expect(pxl::nchw(f64, N, C, H, W), PXL_F64, f64.data(), pxl::cpu);
    expect(pxl::nchw(u8, N, C, H, W), PXL_U8, u8.data(), pxl::cpu);
    expect(pxl::nchw(u16, N, C, H, W), PXL_U16, u16, pxl::cpu);
    expect(pxl::nhwc(f16, N, C, H, W), PXL_F16, f16, pxl::cpu);
    expect(pxl::nhwc(bf16, N, C, H, W, pxl::cuda(3)), PXL_BF16, bf16, pxl::cuda(3));

    const pxl::Tensor dense = pxl::nhwc(f32, N, C, H, W), crop = dense.crop(1, 2, 4, 5);
    EXPECT_EQ(dense.stride(1), 1);
    EXPECT_EQ(crop.get()->data, f32.data() + 1 * W * C + 2 * C);
    EXPECT_EQ(crop.size(2), 4);
    EXPECT_EQ(crop.size(3), 5);
}

TEST(Wrapper, ChecksTheNumberOfElements) {
    std::vector<float> image(elements - 1);
    expect_error(PXL_INVALID_ARGUMENT, "431 elements; 2 x 3 x 9 x 8", [&] { pxl::nchw(image, N, C, H, W); });
    expect_error(PXL_INVALID_ARGUMENT, "431 elements", [&] { pxl::nhwc(image, int64_t{1} << 62, int64_t{1} << 62, 4, 4); });
    EXPECT_NO_THROW(pxl::nchw(image, N, C, H - 1, W));

    Images images;
    const pxl::Loss loss("ssim(window=3) + l1");
    pxl::Args args(images.pred, images.target);
    std::vector<double> values(5);
    const std::vector<float> weights(1), upstream(1);
    args.values = values;
    EXPECT_NO_THROW(loss.workspace(args));
    args.per_image = true;
    expect_error(PXL_INVALID_ARGUMENT, "values has 5 elements; 6", [&] { loss.workspace(args); });
    args.per_image = false, args.term_weights = weights;
    expect_error(PXL_INVALID_ARGUMENT, "term_weights has 1 elements; 2", [&] { loss.evaluate(args, pxl::Workspace()); });
    args.per_image = true, args.term_weights = {}, args.values = {}, args.grad_loss = upstream;
    expect_error(PXL_INVALID_ARGUMENT, "grad_loss has 1 elements; 2", [&] { loss.workspace_size(args); });
}

TEST(Wrapper, EmptySpansAreNone) {
    std::vector<double> none;
    none.reserve(4);
    EXPECT_EQ(pxl::Span<double>(none).data(), nullptr);
    EXPECT_TRUE(pxl::Span<double>(none).empty());
}

TEST(Wrapper, ArgumentsReachC) {
    std::vector<float> memory(elements);
    const auto view = [&](int64_t channels) { return pxl::nchw(memory.data(), N, channels, H, W); };
    double values[6];
    float rounded[6];
    const float weights[2] = {}, upstream[2] = {};
    pxl::Args args(view(1), view(2));
    args.weight = view(3), args.grad_pred = view(4), args.grad_target = view(5);
    args.map = view(6), args.statistics = view(7), args.feature_map = view(8), args.pixel_map = view(9);
    args.grad_loss = upstream, args.term_weights = weights, args.values = values, args.values_f32 = rounded;
    args.accumulate = args.per_image = true, args.target_use = PXL_TARGET_KEEP;
    const pxl::Args copy = args; // whose pointers are its own
    const pxl_args c = copy.get();
    const pxl_tensor *tensors[] = {c.pred, c.target,     c.weight,      c.grad_pred, c.grad_target,
                                   c.map,  c.statistics, c.feature_map, c.pixel_map};
    for (size_t i = 0; i < 9; i++) {
        EXPECT_EQ(tensors[i]->size[1], static_cast<int64_t>(i + 1));
        EXPECT_TRUE(reinterpret_cast<uintptr_t>(tensors[i]) - reinterpret_cast<uintptr_t>(&copy) < sizeof copy) << i;
    }
    // Of as many members as the wrapper knows: this does not compile when C has more.
    const auto &[size, pred, target, weight, grad_pred, grad_target, grad_loss, term_weights, to, per_image, map, statistics, use,
                 feature_map, accumulate, values_f32, pixel_map] = c;
    EXPECT_EQ(size, sizeof c);
    EXPECT_EQ(c.values, values);
    EXPECT_EQ(c.values_f32, rounded);
    EXPECT_EQ(c.accumulate, 1);
    EXPECT_EQ(c.grad_loss, upstream);
    EXPECT_EQ(c.term_weights, weights);
    EXPECT_EQ(c.per_image, 1);
    EXPECT_EQ(c.target_use, PXL_TARGET_KEEP);

    const pxl_args few = pxl::Args(view(1), view(2)).get();
    EXPECT_EQ(few.weight, nullptr);
    EXPECT_EQ(few.grad_pred, nullptr);
    EXPECT_EQ(few.values, nullptr);
}

TEST(Wrapper, ErrorsCarryCsMessage) {
    expect_error(PXL_SYNTAX_ERROR, "column", [] { pxl::Loss("0.84*sim"); });
    EXPECT_NE(std::string(pxl::error_message()).find("column"), std::string::npos);
    EXPECT_STREQ(pxl::status_name(PXL_SYNTAX_ERROR), "PXL_SYNTAX_ERROR");
    expect_error(PXL_INVALID_ARGUMENT, "", [] { pxl::Context(pxl::cpu, -1); });
    expect_error(PXL_INVALID_ARGUMENT, "vgg3O", [] { pxl::Network::random("vgg3O", 1); });
    expect_error(PXL_INVALID_ARGUMENT, "", [] { pxl::Network(std::initializer_list<pxl_layer>{}); });
    expect_error(PXL_INVALID_ARGUMENT, "", [] { pxl::device_describe({PXL_CPU, 7}); });
    EXPECT_THROW(pxl::Network::load("/nonexistent.safetensors"), pxl::Error); // this build may not read such files

    Images images;
    const pxl::Loss loss("ssim(window=3)");
    pxl::Args args(images.pred, images.target);
    expect_error(PXL_INVALID_ARGUMENT, "nothing is wanted", [&] { loss.workspace(args); });
    args.grad_pred = images.grad;
    const pxl::Workspace small(16);
    expect_error(PXL_WORKSPACE_TOO_SMALL, "", [&] { loss.evaluate(args, small); });
    EXPECT_EQ(loss.try_evaluate(args, small), PXL_WORKSPACE_TOO_SMALL);
    EXPECT_EQ(loss.try_evaluate(args, loss.workspace(args)), PXL_OK);
    expect_error(PXL_OUT_OF_MEMORY, "workspace", [] { pxl::Workspace(SIZE_MAX / 4); });
}

TEST(Wrapper, Moves) {
    pxl::Loss loss("mse + l1"), other("psnr");
    pxl_loss *const handle = loss.get();
    other = std::move(loss);
    EXPECT_EQ(other.get(), handle);
    EXPECT_EQ(loss.get(), nullptr); // NOLINT(bugprone-use-after-move): what is promised of it
    EXPECT_EQ(loss.term_count(), 0u);
    Images images;
    std::vector<double> values(1);
    pxl::Args args(images.pred, images.target);
    args.values = values;
    expect_error(PXL_INVALID_ARGUMENT, "loss", [&] { loss.workspace(args); });

    std::vector<pxl::Loss> losses;
    for (const char *expression : {"mse", "l1", "huber"}) losses.emplace_back(expression);
    losses.push_back(std::move(other));
    EXPECT_STREQ(losses[2].term_name(0), "huber");
    EXPECT_EQ(losses[3].get(), handle);

    pxl::Context context(pxl::cpu, 1), moved = std::move(context);
    EXPECT_EQ(context.get(), nullptr); // NOLINT(bugprone-use-after-move)
    EXPECT_NE(moved.get(), nullptr);
    pxl::Network network = pxl::Network::random("1:2", 1);
    network = pxl::Network::random("1:2,M", 2);
    EXPECT_EQ(network.layer_count(), 3u);
}

TEST(Wrapper, WorkspacesGiveBackTheirMemoryOnce) {
    static int released;
    released = 0;
    const auto count = [](void *memory) {
        released++;
        delete static_cast<double *>(memory);
    };
    {
        pxl::Workspace one(new double, sizeof(double), count), two(new double, sizeof(double), count);
        void *const memory = two.data();
        one = std::move(two);
        EXPECT_EQ(released, 1);
        EXPECT_EQ(one.data(), memory);
        EXPECT_EQ(two.data(), nullptr); // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(two.size(), 0u);
        const pxl::Workspace three(std::move(one));
        EXPECT_EQ(three.size(), sizeof(double));
        EXPECT_EQ(released, 1);
    }
    EXPECT_EQ(released, 2);
    double mine = 0;
    {
        const pxl::Workspace borrowed(&mine, sizeof mine);
        EXPECT_EQ(borrowed.data(), &mine);
    }
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pxl::Workspace(100).data()) % 64, 0u);
}

TEST(Wrapper, LossesOfTermsAndWhatTheySay) {
    pxl_term ssim = PXL_TERM(PXL_SSIM, 0.5);
    ssim.window = 5;
    const pxl::Loss loss{ssim, PXL_TERM(PXL_SOBEL, 2)};
    EXPECT_EQ(loss.term_count(), 2u);
    EXPECT_STREQ(loss.term_name(0), pxl::Loss(std::vector<pxl_term>{ssim}).term_name(0));
    EXPECT_EQ(loss.term_name(2), nullptr);
    EXPECT_EQ(loss.term_weight(1), 2);
    EXPECT_EQ(loss.map_size(Images().pred), (std::array<int64_t, 4>{N, C, H - 4, W - 4}));
    const std::vector<std::string> presets = pxl::preset_names();
    EXPECT_EQ(presets.front(), "wang");
    EXPECT_EQ(presets.back(), "vmaf");
    EXPECT_EQ(pxl::device_count(PXL_CPU), 1);
    EXPECT_NE(pxl::device_describe(pxl::cpu).find("CPU"), std::string::npos);
    EXPECT_STREQ(pxl::version(), pxl_version());
}

TEST(Wrapper, NetworksBelongToContextsToo) {
    const float weight[2] = {0.5F, -1};
    pxl_layer convolution = PXL_LAYER(PXL_CONVOLUTION);
    convolution.inputs = 1, convolution.outputs = 2, convolution.size = 1, convolution.weight = weight;
    pxl::Context context;
    {
        const pxl::Network network{convolution, PXL_LAYER(PXL_RELU)};
        EXPECT_STREQ(network.layer_name(1), "relu1_1");
        EXPECT_EQ(network.layer_name(2), nullptr);
        context.add_network("tiny", network);
    }
    EXPECT_EQ(pxl::Loss("features(net=tiny, layers=relu1_1)", context).term_count(), 1u);
    EXPECT_THROW(pxl::Loss("features(net=tiny, layers=relu1_1)"), pxl::Error);
    expect_error(PXL_INVALID_ARGUMENT, "", [&] { context.add_network("", pxl::Network::random("1:1", 1)); });
}

TEST(Wrapper, Operators) {
    Images images;
    pxl_filter filter = PXL_FILTER(PXL_FILTER_BLUR);
    filter.sigma = 1;
    const pxl::Workspace workspace(pxl::filter_workspace_size(filter, images.pred, images.grad));
    pxl::filter_apply(filter, images.pred, images.grad, workspace);
    std::vector<float> back(elements);
    const pxl::Tensor adjoint = pxl::nchw(back, N, C, H, W);
    pxl::filter_adjoint(filter, images.target, adjoint, workspace);
    const auto dot = [](const std::vector<float> &a, const std::vector<float> &b) {
        return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
    };
    EXPECT_NEAR(dot(images.gradient, images.y), dot(images.x, back), 1e-4);

    const pxl_term term = PXL_TERM(PXL_SSIM, 1);
    pxl_term window = term;
    window.window = 3;
    std::vector<float> moments(elements / (H * W) * 5 * (H - 2) * (W - 2));
    const pxl::Tensor statistics = pxl::nchw(moments, N, 5 * C, H - 2, W - 2);
    const pxl::Workspace memory(pxl::ssim_statistics_workspace_size(window, images.pred, images.target) + (1 << 20));
    pxl::ssim_statistics(window, images.pred, images.target, statistics, memory);
    EXPECT_GT(moments[0], 0.2F);
    std::fill(back.begin(), back.end(), 7.0F);
    pxl::ssim_statistics_adjoint(window, images.pred, images.target, statistics, adjoint, std::nullopt, memory);
    EXPECT_NE(back[0], 7.0F);

    std::vector<double> sums(N * C);
    const pxl::Workspace scratch(pxl::reduce_workspace_size(PXL_REDUCE_SUM, PXL_OVER_CHANNEL, images.pred));
    pxl::reduce(PXL_REDUCE_SUM, PXL_OVER_CHANNEL, images.pred, sums, scratch);
    EXPECT_NEAR(sums[1], std::accumulate(images.x.begin() + H * W, images.x.begin() + 2 * H * W, 0.0), 1e-5);
    sums.resize(5);
    expect_error(PXL_INVALID_ARGUMENT, "results has 5 elements; 6",
                 [&] { pxl::reduce(PXL_REDUCE_SUM, PXL_OVER_CHANNEL, images.pred, sums, scratch); });
}

TEST(Wrapper, RunsOnAContext) {
    Images images;
    const pxl::Context one(pxl::cpu, 1);
    const pxl::Loss loss("ssim(window=3)");
    pxl::Args args(images.pred, images.target);
    args.grad_pred = images.grad;
    loss.evaluate(args, loss.workspace(args, one), one);
    loss.evaluate(args, loss.workspace(args, {one, nullptr}), nullptr);
    EXPECT_LE(loss.workspace_size(args, one), loss.workspace_size(args));
}
