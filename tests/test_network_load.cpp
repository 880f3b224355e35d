// Networks from safetensors files that the tests write: the same as pxl_network_create makes of the same numbers, or refused with the
// names of file and tensor.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "feature_case.h"

namespace {

pxl_network *const untouched = reinterpret_cast<pxl_network *>(0x10);

// ---- Files ------------------------------------------------------------------------------------------------------------
struct Stored {
    std::string name;
    std::vector<int64_t> shape;
    std::vector<double> values;
};
std::string joined(const std::vector<int64_t> &numbers) {
    std::string text;
    for (const int64_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
    return text;
}
std::string file_of(const std::vector<Stored> &tensors, pxl_dtype dtype) {
    const std::string type = dtype == PXL_F16 ? "F16" : dtype == PXL_BF16 ? "BF16" : dtype == PXL_F64 ? "F64" : "F32";
    std::string header = "{", data;
    for (const Stored &tensor : tensors) {
        const size_t begin = data.size(), each = dtype_bytes(dtype);
        data.resize(begin + each * tensor.values.size());
        for (size_t i = 0; i < tensor.values.size(); ++i) store_element(dtype, tensor.values[i], &data[begin + i * each]);
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" + type + "\",\"shape\":[" +
                  joined(tensor.shape) + "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) +
                  "]}";
    }
    header += "}";
    std::string length;
    for (int i = 0; i < 8; ++i) length += static_cast<char>(header.size() >> 8 * i & 0xff);
    return length + header + data;
}

std::vector<Stored> tensors_of(const Model &model) {
    std::vector<Stored> tensors;
    for (size_t l = 0; l < model.layers.size(); ++l) {
        const oracle::Layer &layer = model.layers[l];
        if (layer.kind != oracle::Layer::CONVOLUTION) continue;
        const std::string name = "features." + std::to_string(l);
        tensors.push_back({name + ".weight", {layer.outputs, layer.inputs, layer.size, layer.size}, layer.weight});
        tensors.push_back({name + ".bias", {layer.outputs}, layer.bias});
    }
    return tensors;
}
// Of the last ReLU of each block.
std::vector<Stored> linear_of(const Model &model, bool four_dimensions) {
    std::vector<Stored> tensors;
    for (size_t l = 0; l < model.layers.size(); ++l) {
        const bool last = l + 1 == model.layers.size() || model.layers[l + 1].kind > oracle::Layer::RELU;
        if (model.layers[l].kind != oracle::Layer::RELU || !last) continue;
        const int64_t channels = model.layers[l].outputs;
        const std::vector<int64_t> flat = {channels}, deep = {1, channels, 1, 1};
        tensors.push_back({"lin" + std::to_string(tensors.size()) + ".weight", four_dimensions ? deep : flat, model.linear[l]});
    }
    return tensors;
}
void round_all(std::vector<double> &values, pxl_dtype dtype) {
    for (double &value : values) value = round_to(dtype, value);
}
// The same model with numbers that the type holds.
Model rounded_model(const Model &from, pxl_dtype dtype) {
    Model to{from.name, from.layers, from.linear, nullptr};
    for (oracle::Layer &layer : to.layers) round_all(layer.weight, dtype), round_all(layer.bias, dtype);
    for (auto &linear : to.linear) round_all(linear, dtype);
    std::vector<std::vector<float>> memory;
    const std::vector<pxl_layer> layers = library_layers(to, memory);
    pxl_network *made = nullptr;
    EXPECT_EQ(pxl_network_create(layers.data(), layers.size(), &made), PXL_OK) << pxl_error_message();
    to.network.reset(made);
    return to;
}

class NetworkLoad : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NE(mkdtemp(folder_.data()), nullptr);
        pxl_network *network = nullptr;
        if (pxl_network_load(write("probe", {}).c_str(), nullptr, nullptr, &network) == PXL_UNSUPPORTED)
            GTEST_SKIP() << pxl_error_message();
    }
    void TearDown() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    std::string write(const std::string &name, const std::vector<Stored> &tensors, pxl_dtype dtype = PXL_F32) const {
        const std::string path = folder_ + "/" + name + ".safetensors";
        std::ofstream(path, std::ios::binary) << file_of(tensors, dtype);
        return path;
    }
    static NetworkPtr load(const std::string &path, const char *architecture = nullptr, const char *linear = nullptr) {
        pxl_network *network = nullptr;
        EXPECT_EQ(pxl_network_load(path.c_str(), architecture, linear, &network), PXL_OK) << pxl_error_message();
        return NetworkPtr(network);
    }
    void refuse(const std::vector<Stored> &tensors, const std::string &text, const char *architecture = nullptr,
                pxl_dtype dtype = PXL_F32) const {
        const std::string path = write("refused", tensors, dtype);
        pxl_network *network = untouched;
        EXPECT_EQ(pxl_network_load(path.c_str(), architecture, nullptr, &network), PXL_IO_ERROR) << text;
        EXPECT_EQ(network, untouched) << text;
        const std::string message = pxl_error_message();
        EXPECT_NE(message.find(path), std::string::npos) << message;
        EXPECT_NE(message.find(text), std::string::npos) << text << " | " << message;
    }

  private:
    std::string folder_ = testing::TempDir() + "/pixloss_network_XXXXXX";
};

// The value and the gradients of a term in one network and in another.
Bits bits_in(const pxl_network *network, pxl_term_kind kind, const char *layers = nullptr, int64_t inputs = 3) {
    pxl_term term = PXL_TERM(kind, 1);
    term.network = network, term.layers = layers;
    Case test = make_case({term}, {1, inputs, 33, 34});
    test.parsed = false;
    return run(cpu(), test, make_inputs(test)).bits;
}
void expect_same(const pxl_network *a, const pxl_network *b) {
    ASSERT_EQ(pxl_network_layer_count(a), pxl_network_layer_count(b));
    for (size_t l = 0; l < pxl_network_layer_count(a); ++l)
        EXPECT_STREQ(pxl_network_layer_name(a, l), pxl_network_layer_name(b, l));
}

// ---- What is read -----------------------------------------------------------------------------------------------------
// vgg11 with few channels: pooling after every convolution, then after every second.
const char *const like_vgg11 = "3:4,M,6,M,8,8,M,5,5,M,5,7";

TEST_F(NetworkLoad, gives_the_network_of_the_same_numbers) {
    SKIP_WITHOUT_NETWORKS();
    for (const pxl_dtype dtype : {PXL_F32, PXL_F16, PXL_BF16})
        for (const bool four_dimensions : {false, true}) {
            const Model model = rounded_model(model_of(like_vgg11), dtype);
            const std::string path = write("weights", tensors_of(model), dtype);
            const std::string linear = write("linear", linear_of(model, four_dimensions), dtype);
            for (const char *architecture : {static_cast<const char *>(nullptr), like_vgg11}) {
                const NetworkPtr network = load(path, architecture, linear.c_str());
                expect_same(network.get(), model.network.get());
                EXPECT_EQ(bits_in(network.get(), PXL_STYLE), bits_in(model.network.get(), PXL_STYLE));
                EXPECT_EQ(bits_in(network.get(), PXL_LPIPS), bits_in(model.network.get(), PXL_LPIPS));
            }
        }
}

TEST_F(NetworkLoad, derives_kernels_channels_and_gaps) {
    SKIP_WITHOUT_NETWORKS();
    for (const char *text : {"1:3k1", "2:5k7,M,9", "3:4,4,4,M,6k5,M,8,8"}) {
        const Model &model = model_of(text);
        const NetworkPtr network = load(write("weights", tensors_of(model)));
        expect_same(network.get(), model.network.get());
        const int64_t inputs = model.layers[0].inputs;
        EXPECT_EQ(bits_in(network.get(), PXL_FEATURES, "1", inputs), bits_in(model.network.get(), PXL_FEATURES, "1", inputs))
            << text;
    }
}

TEST_F(NetworkLoad, passes_over_tensors_of_other_names) {
    const Model &model = model_of(like_vgg11);
    std::vector<Stored> tensors = tensors_of(model);
    tensors.insert(tensors.begin(), {{"classifier.0.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"features", {}, {1}}});
    for (const char *name : {"features.0.weights", "features.weight", "features.x.weight", "features.99999.weight.mask",
                             "features.0.num_batches_tracked", "xfeatures.0.weight"})
        tensors.push_back({name, {1}, {0}});
    expect_same(load(write("weights", tensors)).get(), model.network.get());
}

TEST_F(NetworkLoad, given_architectures_may_pool_by_average_and_at_the_end) {
    const NetworkPtr network = load(write("weights", tensors_of(model_of("3:4,M,6"))), "4,A,6,M,A");
    EXPECT_STREQ(pxl_network_layer_name(network.get(), 6), "pool3");
    EXPECT_EQ(pxl_network_layer_count(load(write("weights", tensors_of(model_of("3:4,M,6")))).get()), 5u);
}

// As many layers as there may be, and more: the last gap and convolution end at 256.
TEST_F(NetworkLoad, reads_256_layers_and_no_more) {
    for (const int blocks : {85, 86}) {
        std::string text = "1:1k1";
        for (int i = 1; i < blocks; ++i) text += ",M,1k1";
        text += blocks == 85 ? ",1k1" : ""; // 2 + 84 x 3 + 2 = 256
        std::vector<Stored> tensors;
        if (blocks == 85) {
            tensors = tensors_of(model_of(text));
            EXPECT_EQ(pxl_network_layer_count(load(write("weights", tensors)).get()), 256u);
            continue;
        }
        for (int i = 0; i < blocks; ++i) {
            const std::string name = "features." + std::to_string(3 * i);
            tensors.push_back({name + ".weight", {1, 1, 1, 1}, {1}});
            tensors.push_back({name + ".bias", {1}, {1}});
        }
        refuse(tensors, "tensor features.255.weight is of no convolution of the architecture");
    }
    std::vector<Stored> tensors; // convolutions 2, then 3 layers apart, so that a gap lies at 253
    int at = 0;
    for (; at < 252; at += at == 0 ? 2 : 3) {
        tensors.push_back({"features." + std::to_string(at) + ".weight", {1, 1, 1, 1}, {1}});
        tensors.push_back({"features." + std::to_string(at) + ".bias", {1}, {1}});
    }
    tensors.push_back({"features.254.weight", {1, 1, 1, 1}, {1}}), tensors.push_back({"features.254.bias", {1}, {1}});
    EXPECT_EQ(pxl_network_layer_count(load(write("weights", tensors)).get()), 256u);
}

TEST_F(NetworkLoad, names_of_losses_are_those_of_the_architecture) {
    const NetworkPtr network = load(write("weights", tensors_of(model_of("3:4,M,6"))));
    pxl_term term = PXL_TERM(PXL_STYLE, 1);
    term.network = network.get();
    LossHandle loss;
    ASSERT_EQ(pxl_loss_create(&term, 1, loss.receive()), PXL_OK) << pxl_error_message();
    EXPECT_STREQ(pxl_loss_term_name(loss, 0), "style(net=custom)");
}

// ---- What is refused --------------------------------------------------------------------------------------------------
TEST_F(NetworkLoad, bad_tensors_are_refused_by_name) {
    const Model &model = model_of("3:4,M,6");
    const auto spoilt = [&](const std::function<void(std::vector<Stored> &)> &spoil) {
        std::vector<Stored> tensors = tensors_of(model);
        spoil(tensors);
        return tensors;
    };
    const auto shape = [&](size_t i, std::vector<int64_t> sizes) {
        return spoilt([&](std::vector<Stored> &t) {
            int64_t count = 1;
            for (const int64_t size : sizes) count *= size;
            t[i].shape = sizes, t[i].values.assign(static_cast<size_t>(count), 1);
        });
    };
    refuse({}, "has no tensor features.0.weight");
    refuse(spoilt([](auto &t) { t.erase(t.begin()); }), "has no tensor features.0.weight");
    refuse(spoilt([](auto &t) { t.erase(t.begin() + 1); }), "has no tensor features.0.bias");
    refuse(spoilt([](auto &t) { t.erase(t.begin() + 3); }), "has no tensor features.3.bias");
    refuse(shape(0, {4, 3, 3}), "tensor features.0.weight is 4 x 3 x 3; outputs x inputs x k x k with");
    refuse(shape(0, {4, 3, 3, 5}), "tensor features.0.weight is 4 x 3 x 3 x 5");
    refuse(shape(0, {4, 3, 2, 2}), "tensor features.0.weight is 4 x 3 x 2 x 2");
    refuse(shape(0, {4, 3, 17, 17}), "tensor features.0.weight is 4 x 3 x 17 x 17");
    refuse(shape(0, {0, 3, 3, 3}), "tensor features.0.weight is 0 x 3 x 3 x 3");
    refuse(shape(0, {4097, 1, 1, 1}), "tensor features.0.weight is 4097 x 1 x 1 x 1");
    refuse(shape(0, {}), "tensor features.0.weight is ");
    refuse(shape(1, {5}), "tensor features.0.bias is 5; 4 is needed");
    refuse(shape(1, {4, 1}), "tensor features.0.bias is 4 x 1; 4 is needed");
    refuse(shape(2, {6, 5, 3, 3}), "tensor features.3.weight is 6 x 5 x 3 x 3; ", "4,M,6");
    refuse(shape(2, {6, 4, 5, 5}), "tensor features.3.weight is 6 x 4 x 5 x 5; 6 x 4 x 3 x 3 is needed", "4,M,6");
    refuse(spoilt([](auto &t) { t[2].name = "features.4.weight"; }), "features.4.weight is of no convolution");
    refuse(spoilt([](auto &t) {
               t.push_back({"features.1.weight", {4}, {1, 1, 1, 1}});
           }),
           "tensor features.1.weight is of no convolution");
    refuse(tensors_of(model), "tensor features.3.weight is of no convolution", "4");
    refuse(tensors_of(model), "has no tensor features.5.weight", "4,M,6,6");
    refuse(tensors_of(model), "tensor features.0.weight is of type F64; F32, F16 or BF16 is needed", nullptr, PXL_F64);
}

// Channels that do not follow from one another, in a file without an architecture.
TEST_F(NetworkLoad, channels_that_do_not_fit_are_refused) {
    std::vector<Stored> tensors = tensors_of(model_of("3:4,M,6"));
    tensors[2].shape = {6, 2, 3, 3}, tensors[2].values.resize(6 * 2 * 9);
    refuse(tensors, "tensor features.3.weight is 6 x 2 x 3 x 3; ");
}

TEST_F(NetworkLoad, batch_normalisations_are_refused_as_such) {
    std::vector<Stored> tensors; // vgg11_bn: convolution, normalisation, ReLU, pooling, convolution
    for (const int at : {0, 4}) {
        const std::string name = "features." + std::to_string(at), norm = "features." + std::to_string(at + 1);
        const int64_t inputs = at ? 4 : 3;
        tensors.push_back({name + ".weight", {4, inputs, 1, 1}, std::vector<double>(static_cast<size_t>(4 * inputs), 1)});
        tensors.push_back({name + ".bias", {4}, {1, 1, 1, 1}});
        for (const char *what : {".weight", ".bias", ".running_mean", ".running_var"})
            tensors.push_back({norm + what, {4}, {1, 1, 1, 1}});
    }
    refuse(tensors, "features.1.running_mean is of a batch normalisation, which is not supported");
}

TEST_F(NetworkLoad, bad_linear_weights_are_refused_by_name) {
    const Model &model = model_of("3:4,M,6");
    const std::string path = write("weights", tensors_of(model));
    const auto refuse_linear = [&](const std::function<void(std::vector<Stored> &)> &spoil, const std::string &text) {
        std::vector<Stored> tensors = linear_of(model, true);
        spoil(tensors);
        const std::string linear = write("linear", tensors);
        pxl_network *network = untouched;
        EXPECT_EQ(pxl_network_load(path.c_str(), nullptr, linear.c_str(), &network), PXL_IO_ERROR) << text;
        EXPECT_EQ(network, untouched);
        const std::string message = pxl_error_message();
        EXPECT_NE(message.find(linear), std::string::npos) << message;
        EXPECT_NE(message.find(text), std::string::npos) << text << " | " << message;
    };
    refuse_linear([](auto &t) { t.erase(t.begin()); }, "has no tensor lin0.weight");
    refuse_linear([](auto &t) { t.erase(t.begin() + 1); }, "has no tensor lin1.weight");
    refuse_linear(
        [](auto &t) {
            t[1].shape = {1, 5, 1, 1}, t[1].values.resize(5);
        },
        "tensor lin1.weight is 1 x 5 x 1 x 1; 6, or");
    refuse_linear([](auto &t) { t[1].shape = {2, 3}; }, "tensor lin1.weight is 2 x 3; 6, or 1 x 6 x 1 x 1");
}

TEST_F(NetworkLoad, unreadable_files_and_nulls_are_refused) {
    const std::string good = write("weights", tensors_of(model_of("3:4,M,6")));
    pxl_network *network = untouched;
    EXPECT_EQ(pxl_network_load("/nowhere/at-all.safetensors", nullptr, nullptr, &network), PXL_IO_ERROR);
    EXPECT_NE(std::strstr(pxl_error_message(), "/nowhere/at-all.safetensors"), nullptr) << pxl_error_message();
    EXPECT_EQ(pxl_network_load(good.c_str(), nullptr, "/nowhere/linear", &network), PXL_IO_ERROR);
    EXPECT_NE(std::strstr(pxl_error_message(), "/nowhere/linear"), nullptr) << pxl_error_message();
    EXPECT_EQ(pxl_network_load(good.c_str(), "4,X", nullptr, &network), PXL_INVALID_ARGUMENT);
    EXPECT_NE(pxl_network_load(good.c_str(), "M,4", nullptr, &network), PXL_OK);
    EXPECT_EQ(pxl_network_load(nullptr, nullptr, nullptr, &network), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(pxl_network_load(good.c_str(), nullptr, nullptr, nullptr), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(network, untouched);
}

} // namespace
