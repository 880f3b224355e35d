// Networks: making them, their layers' names, losses and contexts that know them, and all that is refused. Files of weights are in
// test_network_load.cpp. Nothing is computed here.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "feature_case.h"

namespace {

pxl_network *const no_network = reinterpret_cast<pxl_network *>(0x10);

void expect_message(const std::string &text) {
    EXPECT_NE(std::string(pxl_error_message()).find(text), std::string::npos) << text << " | " << pxl_error_message();
}
NetworkPtr random_network(const char *architecture, uint64_t seed = 1) {
    pxl_network *made = nullptr;
    EXPECT_EQ(pxl_network_random(architecture, seed, &made), PXL_OK) << architecture << ": " << pxl_error_message();
    return NetworkPtr(made);
}
std::vector<std::string> names_of(const pxl_network *network) {
    std::vector<std::string> names;
    for (size_t l = 0; l < pxl_network_layer_count(network); ++l) names.push_back(pxl_network_layer_name(network, l));
    EXPECT_EQ(pxl_network_layer_name(network, names.size()), nullptr);
    EXPECT_EQ(pxl_network_layer_name(network, std::numeric_limits<size_t>::max()), nullptr);
    return names;
}

// ---- Architectures ----------------------------------------------------------------------------------------------------
TEST(Network, layers_are_those_of_the_oracle) {
    for (const char *text : {"vgg11", "vgg19", "1:16,16,M,32k5,A,64", "8", "4096k1,1k15", "2:1,M,M,A,3,3,3,M,4"})
        EXPECT_EQ(names_of(random_network(text).get()), oracle::layer_names(oracle::parse_architecture(text))) << text;
    EXPECT_EQ(pxl_network_layer_count(nullptr), 0u);
    EXPECT_EQ(pxl_network_layer_name(nullptr, 0), nullptr);
    pxl_network_destroy(nullptr);
}

TEST(Network, bad_architectures_are_refused) {
    const std::pair<const char *, const char *> cases[] = {
        {"", "at character 1 M, A, or a number of channels from 1 to 4096 is needed"},
        {"vgg", "at character 1 M, A"},
        {"VGG16", "at character 1"},
        {"vgg16 ", "at character 1"},
        {"16,", "at character 4 M, A"},
        {"16,,8", "at character 4"},
        {"16;8", "at character 3 a comma or the end is needed"},
        {"16M", "at character 3 a comma"},
        {"-3", "at character 1"},
        {"0", "a number of channels from 1 to 4096"},
        {"4097", "a number of channels from 1 to 4096"},
        {"99999999999999999999", "a number of channels from 1 to 4096"},
        {"16k", "an odd size of the kernel, 1 to 15"},
        {"16k4", "an odd size of the kernel"},
        {"16k17", "an odd size of the kernel"},
        {"16k3k3", "at character 5 a comma"},
        {":16", "a number of channels from 1 to 4096 and a colon"},
        {"0:16", "and a colon"},
        {"3:", "at character 3 M, A"},
        {"3 :16", "at character 2"},
        {"3:16:8", "at character 5 a comma"},
        {"M,16", "the first layer has to be a convolution"},
        {"A", "the first layer has to be a convolution"},
    };
    for (const auto &[text, message] : cases) {
        pxl_network *network = no_network;
        EXPECT_EQ(pxl_network_random(text, 1, &network), PXL_INVALID_ARGUMENT) << text;
        EXPECT_EQ(network, no_network) << text;
        expect_message(message);
    }
    pxl_network *network = no_network;
    EXPECT_EQ(pxl_network_random(nullptr, 1, &network), PXL_INVALID_ARGUMENT);
    expect_message("architecture is NULL");
    EXPECT_EQ(pxl_network_random("8", 1, nullptr), PXL_INVALID_ARGUMENT);
    expect_message("network is NULL");
    EXPECT_EQ(pxl_network_random(std::string(100000, '9').c_str(), 1, &network), PXL_INVALID_ARGUMENT);
    EXPECT_EQ(network, no_network);
}

TEST(Network, has_256_layers_at_most) {
    std::string text = "1:1";
    for (int i = 1; i < 128; ++i) text += ",1";
    EXPECT_EQ(names_of(random_network(text.c_str()).get()).back(), "relu1_128");
    pxl_network *network = no_network;
    for (const char *more : {",M", ",1"}) {
        EXPECT_EQ(pxl_network_random((text + more).c_str(), 1, &network), PXL_INVALID_ARGUMENT);
        expect_message("more than 256 layers");
    }
    std::string pools = "1:1";
    for (int i = 0; i < 254; ++i) pools += ",M";
    EXPECT_EQ(names_of(random_network(pools.c_str()).get()).back(), "pool254");
}

// ---- Layers -----------------------------------------------------------------------------------------------------------
struct Stack { // a good one, which each test spoils in one place
    std::vector<float> numbers = std::vector<float>(1000, 0.25f);
    std::vector<pxl_layer> layers;
    Stack() {
        layers = {PXL_LAYER(PXL_CONVOLUTION), PXL_LAYER(PXL_RELU), PXL_LAYER(PXL_MAX_POOL), PXL_LAYER(PXL_CONVOLUTION),
                  PXL_LAYER(PXL_AVERAGE_POOL)};
        layers[0].inputs = 3, layers[0].outputs = 4, layers[0].size = 3;
        layers[3].inputs = 4, layers[3].outputs = 5, layers[3].size = 5;
        for (const int l : {0, 3}) layers[l].weight = layers[l].bias = numbers.data();
    }
    pxl_status create(pxl_network **network) const { return pxl_network_create(layers.data(), layers.size(), network); }
};

TEST(Network, layers_are_numbered_in_their_blocks) {
    const Stack stack;
    pxl_network *made = nullptr;
    ASSERT_EQ(stack.create(&made), PXL_OK) << pxl_error_message();
    const NetworkPtr network(made);
    EXPECT_EQ(names_of(made), (std::vector<std::string>{"conv1_1", "relu1_1", "pool1", "conv2_1", "pool2"}));
}

TEST(Network, bad_layers_are_refused) {
    const auto refuse = [](const char *text, const std::function<void(Stack &)> &spoil) {
        Stack stack;
        spoil(stack);
        pxl_network *network = no_network;
        EXPECT_EQ(stack.create(&network), PXL_INVALID_ARGUMENT) << text;
        EXPECT_EQ(network, no_network) << text;
        expect_message(text);
    };
    refuse("layers[1].struct_size is 0", [](Stack &s) { s.layers[1].struct_size = 0; });
    refuse("layers[3].struct_size is ", [](Stack &s) { s.layers[3].struct_size++; });
    refuse("layers[1].kind is 4", [](Stack &s) { s.layers[1].kind = static_cast<pxl_layer_kind>(4); });
    refuse("layers[4].kind is -1", [](Stack &s) {
        const int kind = -1;
        std::memcpy(&s.layers[4].kind, &kind, sizeof kind);
    });
    refuse("layers[0].inputs is 0; 1 to 4096", [](Stack &s) { s.layers[0].inputs = 0; });
    refuse("layers[0].inputs is -3", [](Stack &s) { s.layers[0].inputs = -3; });
    refuse("layers[0].outputs is 4097", [](Stack &s) { s.layers[0].outputs = 4097; });
    refuse("layers[0].size is 17; 1 to 15", [](Stack &s) { s.layers[0].size = 17; });
    refuse("layers[0].size is 2; an odd number", [](Stack &s) { s.layers[0].size = 2; });
    refuse("layers[3].inputs is 3, but the layer before gives 4", [](Stack &s) { s.layers[3].inputs = 3; });
    refuse("layers[3].weight is NULL", [](Stack &s) { s.layers[3].weight = nullptr; });
    refuse("layers[0].kind is 1; the first layer", [](Stack &s) { s.layers.erase(s.layers.begin()); });
    refuse("layers[1] is no convolution, but", [](Stack &s) { s.layers[1].outputs = 4; });
    refuse("layers[2] is no convolution, but", [](Stack &s) { s.layers[2].size = 2; });
    refuse("layers[4] is no convolution, but", [](Stack &s) { s.layers[4].bias = s.numbers.data(); });
    refuse("count is 257; a network has 1 to 256", [](Stack &s) { s.layers.resize(257, PXL_LAYER(PXL_RELU)); });
    const Stack stack;
    pxl_network *network = no_network;
    EXPECT_EQ(pxl_network_create(stack.layers.data(), 0, &network), PXL_INVALID_ARGUMENT);
    expect_message("count is 0");
    EXPECT_EQ(pxl_network_create(nullptr, 1, &network), PXL_INVALID_ARGUMENT);
    expect_message("layers is NULL");
    EXPECT_EQ(stack.create(nullptr), PXL_INVALID_ARGUMENT);
    expect_message("network is NULL");
    EXPECT_EQ(network, no_network);
}

// ---- Contexts ---------------------------------------------------------------------------------------------------------
struct Context {
    pxl_context *context = nullptr;
    Context() { EXPECT_EQ(pxl_context_create(PXL_CPU_DEVICE, 1, &context), PXL_OK); }
    ~Context() { pxl_context_destroy(context); }
    void add(const char *name, pxl_network *network) const {
        EXPECT_EQ(pxl_context_add_network(context, name, network), PXL_OK) << pxl_error_message();
    }
};
std::string loss_name(const std::string &expression, pxl_context *context = nullptr) {
    LossHandle loss;
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), context, loss.receive()), PXL_OK) << expression << ": " << pxl_error_message();
    return loss ? pxl_loss_term_name(loss, 0) : "";
}
void expect_unparsed(const std::string &expression, pxl_context *context, const std::string &text,
                     pxl_status status = PXL_INVALID_ARGUMENT) {
    pxl_loss *loss = reinterpret_cast<pxl_loss *>(0x10);
    EXPECT_EQ(pxl_loss_parse(expression.c_str(), context, &loss), status) << expression;
    EXPECT_EQ(loss, reinterpret_cast<pxl_loss *>(0x10)) << expression;
    expect_message(text);
}

TEST(NetworkContext, networks_are_known_by_their_names) {
    const Context known;
    const NetworkPtr a = random_network("8,8,M,12"), b = random_network("4");
    known.add("a", a.get()), known.add("My_net-1.0", b.get());
    EXPECT_EQ(loss_name("features(net=a, layers=pool1)", known.context), "features(net=a, layers=pool1)");
    EXPECT_EQ(loss_name("style(net=My_net-1.0)", known.context), "style(net=My_net-1.0)");
    known.add("a", a.get()); // the same once more
    LossHandle before;
    ASSERT_EQ(pxl_loss_parse("features(net=a, layers=pool1)", known.context, before.receive()), PXL_OK);
    known.add("a", b.get()); // another: for later expressions
    expect_unparsed("features(net=a, layers=pool1)", known.context, "column 17: layers is \"pool1\"; \"pool1\" is no layer of a");
    EXPECT_STREQ(pxl_loss_term_name(before, 0), "features(net=a, layers=pool1)");
}

// What is random says so: no term takes random weights unless it names them.
TEST(NetworkContext, random_weights_have_to_be_named) {
    const Context empty;
    for (const char *kind : {"features", "lpips", "style", "cosine"}) {
        const std::string name = kind;
        for (pxl_context *context : {static_cast<pxl_context *>(nullptr), empty.context}) {
            expect_unparsed("ssim + 0.1*" + name, context,
                            "column 12: net is not given, and there is no network: add one to the context "
                            "(pxl_context_add_network), or write " +
                                name + "(net=vgg16-random) for random weights");
            expect_unparsed(name + "(layers=relu1_2)", context, "column 1: net is not given");
            for (const std::string vgg : {"vgg11", "vgg13", "vgg16", "vgg19"})
                expect_unparsed(
                    "l1 - " + name + "(layers=1, net=" + vgg + ")", context,
                    "column " + std::to_string(name.size() + 17) + ": net is \"" + vgg +
                        "\", but no network has this name: add one to the context (pxl_context_add_network), or write " + vgg +
                        "-random for random weights");
        }
    }
    EXPECT_EQ(loss_name("style(net=vgg11-random)", empty.context), "style(net=vgg11-random)");
    const NetworkPtr network = random_network("8,8,M,12");
    empty.add("vgg16", network.get());
    EXPECT_EQ(loss_name("cosine(net=vgg16, layers=pool1)", empty.context), "cosine(net=vgg16, layers=pool1)");
    EXPECT_EQ(loss_name("cosine(net=vgg11-random, layers=20)", empty.context), "cosine(net=vgg11-random, layers=20)");
    expect_unparsed("cosine(net=vgg19)", empty.context, "net is \"vgg19\", but no network has this name");
}

TEST(NetworkContext, a_term_without_a_name_takes_vgg16_or_the_only_network) {
    const Context known;
    const NetworkPtr a = random_network("8,8,M,12"), b = random_network("4");
    known.add("mine", a.get());
    EXPECT_EQ(loss_name("lpips", known.context), "lpips(net=mine)");
    EXPECT_EQ(loss_name("features(layers=pool1)", known.context), "features(net=mine, layers=pool1)");
    known.add("b", b.get());
    expect_unparsed("l1 + lpips", known.context,
                    "column 6: net is not given, and there are several networks: write lpips(net=b), or another of b, mine");
    expect_unparsed("lpips(net=vgg16)", known.context, "net is \"vgg16\", but no network has this name");
    known.add("vgg16", b.get());
    EXPECT_EQ(loss_name("cosine(layers=relu1_1)", known.context), "cosine(net=vgg16, layers=relu1_1)");
    EXPECT_EQ(loss_name("style(net=mine)", known.context), "style(net=mine)");
    const Context random;
    random.add("vgg16-random", a.get());
    EXPECT_EQ(loss_name("style", random.context), "style(net=vgg16-random)");
}

TEST(NetworkContext, many_long_names_fit_the_message) {
    const Context known;
    const NetworkPtr network = random_network("4");
    for (char letter = 'a'; letter <= 'z'; ++letter)
        for (int i = 0; i < 3; ++i) known.add(std::string(static_cast<size_t>(61 + i), letter).c_str(), network.get());
    expect_unparsed("lpips", known.context, "(net=" + std::string(63, 'z') + "), or another of " + std::string(63, 'z') + ", ");
    EXPECT_EQ(std::string(pxl_error_message()).substr(std::strlen(pxl_error_message()) - 5), ", ...");
    expect_unparsed("lpips(net=" + std::string(62, 'Q') + "1)", known.context,
                    "; add one to the context (pxl_context_add_network) for another");
}

TEST(NetworkContext, bad_names_are_refused) {
    const Context known;
    const NetworkPtr network = random_network("4");
    const auto refuse = [&](pxl_context *context, const char *name, pxl_network *which, const char *text) {
        EXPECT_EQ(pxl_context_add_network(context, name, which), PXL_INVALID_ARGUMENT) << text;
        expect_message(text);
    };
    refuse(nullptr, "a", network.get(), "context is NULL");
    refuse(known.context, nullptr, network.get(), "name is \"\"");
    refuse(known.context, "a", nullptr, "network is NULL");
    for (const char *name : {"", "a b", "a,b", "a(b", "a=b", "a:b", "\xc3\xa4", "a\n"})
        refuse(known.context, name, network.get(), "name is ");
    refuse(known.context, std::string(64, 'a').c_str(), network.get(), "up to 63 letters");
    known.add(std::string(63, 'a').c_str(), network.get());
    EXPECT_EQ(loss_name("style(net=" + std::string(63, 'a') + ")", known.context), "style(net=" + std::string(63, 'a') + ")");
}

// ---- Expressions ------------------------------------------------------------------------------------------------------
TEST(NetworkLoss, names_parse_to_the_same_term) {
    const Context known;
    const NetworkPtr network = random_network("8,8,M,12,A,16");
    known.add("n", network.get());
    for (const char *text :
         {"features(net=n)", "lpips(net=n)", "style(net=n, l1)", "cosine(net=n, layers=8)",
          "features(net=n, layers=0.5*relu1_2:1e-30*3:pool1, charbonnier, eps=0.01, unit, normalize=imagenet, data_range=2)",
          "features(net=n, huber, data_range=auto, reduction=spatial)", "style(net=n, layers=1, reduction=sum)",
          "lpips(net=n, layers=2*1:9, data_range=255, reduction=sum)", "style(net=n, precision=tf32)",
          "features(net=n, precision=f16, data_range=2)", "cosine(net=n, normalize=lpips, data_range=auto)",
          "features(net=n, smooth_l1, beta=0.25, reduction=sum)"}) {
        const std::string name = loss_name(text, known.context);
        EXPECT_EQ(name, text);
        EXPECT_EQ(loss_name(name, known.context), name);
    }
    EXPECT_EQ(loss_name("features(net=n, layers=relu1_2, l2, normalize=none, reduction=mean)", known.context), "features(net=n)");
    EXPECT_EQ(loss_name("cosine(net=n, layers=3)", known.context), "cosine(net=n)");
    EXPECT_EQ(loss_name("lpips(net=n, layers=relu1_2:relu2_1:relu3_1)", known.context), "lpips(net=n)");
    EXPECT_EQ(loss_name("lpips(net=vgg16-random)"), "lpips(net=vgg16-random)");
    EXPECT_EQ(loss_name("cosine(layers=20, net=vgg11-random)"), "cosine(net=vgg11-random, layers=20)");
}

// A network that a term itself gives is called by its weights: vgg16-random are those of seed 1.
TEST(NetworkLoss, names_say_what_the_weights_are) {
    const auto called = [](const char *architecture, uint64_t seed, const char *net = nullptr) {
        const NetworkPtr network = random_network(architecture, seed);
        pxl_term term = PXL_TERM(PXL_STYLE, 1);
        term.network = network.get(), term.net = net, term.layers = "0";
        LossHandle loss;
        EXPECT_EQ(pxl_loss_create(&term, 1, loss.receive()), PXL_OK) << pxl_error_message();
        return std::string(pxl_loss_term_name(loss, 0));
    };
    EXPECT_EQ(called("vgg11", 1), "style(net=vgg11-random, layers=0)");
    EXPECT_EQ(called("vgg11", 2), "style(net=custom, layers=0)");
    EXPECT_EQ(called("8,8,M,12", 1), "style(net=custom, layers=0)");
    EXPECT_EQ(called("vgg11", 2, "mine"), "style(net=mine, layers=0)");
    const Context known; // the others' names mean them where they were added
    const NetworkPtr network = random_network("8,8,M,12");
    known.add("custom", network.get());
    EXPECT_EQ(loss_name("style(net=custom, layers=0)", known.context), "style(net=custom, layers=0)");
}

// Up to the most that an expression can say of a term.
TEST(NetworkLoss, the_longest_name_is_whole) {
    const Context known;
    const NetworkPtr network = random_network("8,8,M,12,A,16");
    const std::string net(63, 'n');
    known.add(net.c_str(), network.get());
    std::string layers = "relu1_2";
    while (layers.size() < 255 - 26) layers += ":1.00000000000000000*relu3_1";
    const std::string name = "features(net=" + net + ", layers=" + layers +
                             ", charbonnier, eps=1.2345678901234567e-100, unit, normalize=imagenet, "
                             "data_range=1.2345678901234567e+100, reduction=spatial)";
    EXPECT_EQ(loss_name(name, known.context), name);
    expect_unparsed("features(layers=" + std::string(256, '1') + ")", nullptr,
                    "column 17: layers of 256 characters; at most 255 are read", PXL_SYNTAX_ERROR);
}

TEST(NetworkLoss, errors_name_the_column_and_what_is_near) {
    const Context known;
    const NetworkPtr network = random_network("8,8,M,12,A,16"), grey = random_network("1:8,8");
    known.add("small", network.get()), known.add("grey", grey.get());
    const std::pair<const char *, const char *> cases[] = {
        {"l1 + features(net=smal)", "column 15: net is \"smal\", which is unknown here; did you mean 'small'?"},
        {"features(net=vgg16_random)", "did you mean 'vgg16-random'?"},
        {"features(net=vgg19-rnadom)", "did you mean 'vgg19-random'?"},
        {"features(net=random)", "did you mean 'vgg16-random'?"},
        {"features(net=Small)", "did you mean 'small'?"},
        {"features(net=vgg17)",
         "unknown here; there are grey, small, vgg11-random, vgg13-random, vgg16-random, vgg19-random; add one to the context"},
        {"style(net=resnet)", "unknown here; there are grey, small, vgg11-random, "},
        {"features(net=small, layers=relu1_3)", "column 21: layers is \"relu1_3\"; \"relu1_3\" is no layer of small"},
        {"features(net=small, layers=relu9)", "did you mean 'relu"},
        {"features(net=small, layers=conv1_1:con2_1)", "did you mean 'conv2_1'?"},
        {"features(net=small, layers=10)", "\"10\" is no layer"},
        {"features(net=small, layers=99999999999999999999)", "is no layer"},
        {"features(net=small, layers=-1)", "\"-1\" is no layer"},
        {"features(net=small, layers=0*relu1_1)", "with a weight above 0"},
        {"features(net=small, layers=-1*relu1_1)", "with a weight above 0"},
        {"features(net=small, layers=1e400*relu1_1)", "with a weight above 0"},
        {"features(net=small, layers=1e-400*relu1_1)", "with a weight above 0"},
        {"features(net=small, layers=nan*relu1_1)", "with a weight above 0"},
        {"features(net=small, layers=*relu1_1)", "is no layer"},
        {"features(net=small, layers=2*)", "is no layer"},
        {"features(net=small, layers=2*2*relu1_1)", "is no layer"},
        {"features(net=small, layers=relu1_1::relu1_2)", "\"\" is no layer"},
        {"features(net=small, layers=relu1_1:)", "\"\" is no layer"},
        {"features(net=small, layers=:relu1_1)", "\"\" is no layer"},
        {"features(net=small, layers=:)", "\"\" is no layer"},
        {"features(net=small, layers=0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:1)", "At most 16"},
        {"lpips(net=grey)", "column 1: normalize takes three channels; grey has 1"},
        {"features(net=grey, normalize=imagenet)", "column 20: normalize takes three channels"},
        {"features(net=a*b)", "column 10: net is \"a*b\"; letters, digits"},
    };
    for (const auto &[text, message] : cases) expect_unparsed(text, known.context, message);
    const std::pair<const char *, const char *> syntax[] = {
        {"features(net=)", "column 14: expected the name of a network, found ')'"},
        {"features(layers=)", "column 17: expected the names of layers, found ')'"},
        {"features(layers)", "column 16: expected '=' and a value"},
        {"features(net=small, unit=1)", "'unit' stands alone"},
        {"lpips(unit)", "lpips has no argument 'unit'"},
        {"lpips(l1)", "lpips has no argument 'l1'"},
        {"lpips(normalize=none)", "lpips has no argument 'normalize'"},
        {"style(unit)", "style has no argument 'unit'"},
        {"cosine(l1)", "cosine has no argument 'l1'"},
        {"features(window=3)", "features has no argument 'window'"},
        {"ssim(net=vgg16)", "ssim has no argument 'net'"},
        {"features(normalize=imagnet)", "unknown normalize 'imagnet'; did you mean 'imagenet'?"},
        {"features(precision=half)", "unknown precision 'half'"},
        {"features(net=small, net=small)", "'net' repeats"},
    };
    for (const auto &[text, message] : syntax) expect_unparsed(text, known.context, message, PXL_SYNTAX_ERROR);
    EXPECT_EQ(loss_name("features(net=small, layers=0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0)", known.context),
              "features(net=small, layers=0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0)");
}

TEST(NetworkLoss, terms_are_refused_by_field) {
    const NetworkPtr network = random_network("8,8,M,12");
    const auto refuse = [&](pxl_term_kind kind, const char *text, const std::function<void(pxl_term &)> &spoil) {
        pxl_term terms[2] = {PXL_TERM(PXL_FEATURES, 1), PXL_TERM(kind, 1)};
        terms[0].network = terms[1].network = network.get();
        spoil(terms[1]);
        pxl_loss *loss = nullptr;
        EXPECT_EQ(pxl_loss_create(terms, 2, &loss), PXL_INVALID_ARGUMENT) << text;
        EXPECT_EQ(loss, nullptr) << text;
        expect_message(text);
    };
    refuse(PXL_PIXEL, "terms[1].network is given, but pixel has no network", [](pxl_term &) {});
    refuse(PXL_PIXEL, "terms[1].layers is \"1\", but pixel has no layers",
           [](pxl_term &t) { t.network = nullptr, t.layers = "1"; });
    refuse(PXL_LPIPS, "terms[1].unit is 1, but lpips has no unit", [](pxl_term &t) { t.unit = 1; });
    refuse(PXL_COSINE, "terms[1].penalty is 2, but cosine has no penalty", [](pxl_term &t) { t.penalty = PXL_L1; });
    refuse(PXL_FEATURES, "terms[1].unit is 2; 0 or 1", [](pxl_term &t) { t.unit = 2; });
    refuse(PXL_FEATURES, "terms[1].normalize is 4", [](pxl_term &t) { t.normalize = static_cast<pxl_normalize>(4); });
    refuse(PXL_FEATURES, "terms[1].net is \"a b\"", [](pxl_term &t) { t.net = "a b"; });
    refuse(PXL_FEATURES, "terms[1].net is \"\"", [](pxl_term &t) { t.net = ""; });
    refuse(PXL_FEATURES, "terms[1].layers is \"\"", [](pxl_term &t) { t.layers = ""; });
    refuse(PXL_FEATURES, "terms[1].layers has 300 characters", [](pxl_term &t) {
        static const std::string many(300, '1');
        t.layers = many.c_str();
    });
    refuse(
        PXL_FEATURES,
        "terms[1].net is \"unknown\", which is unknown here; there are vgg11-random, vgg13-random, vgg16-random, vgg19-random; "
        "set network for another",
        [](pxl_term &t) { t.network = nullptr, t.net = "unknown"; });
    for (const pxl_term_kind kind : {PXL_FEATURES, PXL_LPIPS, PXL_STYLE, PXL_COSINE}) {
        refuse(kind, "terms[1].net and network are NULL: set network, or net = \"vgg16-random\" for random weights",
               [](pxl_term &t) { t.network = nullptr; });
        refuse(kind,
               "terms[1].net is \"vgg13\", but no network has this name: set network, or write vgg13-random for random weights",
               [](pxl_term &t) { t.network = nullptr, t.net = "vgg13"; });
    }
    refuse(PXL_STYLE, "terms[1].data_range is -2", [](pxl_term &t) { t.data_range = -2; });
    refuse(PXL_COSINE, "terms[1].reduction is 3", [](pxl_term &t) { t.reduction = static_cast<pxl_reduction>(3); });
    const NetworkPtr plain = random_network("2:8,M,8");
    refuse(PXL_COSINE, "terms[1].layers is not given, and custom has none of the default layers",
           [&](pxl_term &t) { t.network = plain.get(); });
    const Stack stack;
    pxl_network *made = nullptr;
    ASSERT_EQ(stack.create(&made), PXL_OK);
    const NetworkPtr without(made);
    refuse(PXL_LPIPS, "whose layer relu1_1 has no linear weights", [&](pxl_term &t) { t.network = made; });
}

TEST(NetworkLoss, spatial_is_a_reduction_of_features_alone) {
    const NetworkPtr network = random_network("8,8,M,12");
    for (const pxl_term_kind kind : {PXL_LPIPS, PXL_STYLE, PXL_COSINE}) {
        pxl_term term = PXL_TERM(kind, 1);
        term.network = network.get(), term.reduction = PXL_SPATIAL;
        LossHandle loss;
        EXPECT_EQ(pxl_loss_create(&term, 1, loss.receive()), PXL_OK) << pxl_error_message();
    }
}

TEST(NetworkLoss, one_random_network_serves_all_terms) {
    LossHandle loss;
    ASSERT_EQ(
        pxl_loss_parse(
            "lpips(net=vgg11-random) + style(net=vgg11-random) + cosine(net=vgg11-random, layers=1) + lpips(net=vgg13-random)",
            nullptr, loss.receive()),
        PXL_OK)
        << pxl_error_message();
    EXPECT_STREQ(pxl_loss_term_name(loss, 3), "lpips(net=vgg13-random)");
}

} // namespace
