#include "feature_case.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

namespace {

// ---- Networks ---------------------------------------------------------------------------------------------------------
void add_item(oracle::Network &layers, std::string item, int &channels) {
    if (item == "M" || item == "A" || item == "R") {
        const auto kind = item == "M" ? oracle::Layer::MAX_POOL : item == "A" ? oracle::Layer::AVERAGE_POOL : oracle::Layer::RELU;
        layers.push_back({kind, channels, channels, 0, {}, {}});
        return;
    }
    const bool alone = item[0] == 'c';
    const std::string text = std::to_string(channels) + ":" + item.substr(alone ? 1 : 0);
    for (oracle::Layer &layer : oracle::parse_architecture(text)) {
        channels = layer.outputs;
        if (layer.kind == oracle::Layer::CONVOLUTION || !alone) layers.push_back(layer);
    }
}

oracle::Network parse_layers(const std::string &text) {
    oracle::Network layers;
    const size_t colon = text.find(':');
    int channels = std::stoi(text.substr(0, colon));
    std::istringstream items(text.substr(colon + 1));
    for (std::string item; std::getline(items, item, ',');) add_item(layers, item, channels);
    return layers;
}

Model make_model(const std::string &text) {
    const uint64_t seed = text.size() + 1;
    Model model{"small", parse_layers(text), {}, nullptr};
    oracle::fill_random(model.layers, seed);
    for (size_t l = 0; l < model.layers.size(); ++l) {
        for (size_t o = 0; o < model.layers[l].bias.size(); ++o)
            model.layers[l].bias[o] = static_cast<float>(0.5 * oracle::uniform(seed, 1000 + l, o) - 0.2);
        model.linear.emplace_back();
        for (int c = 0; c < model.layers[l].outputs; ++c)
            model.linear[l].push_back(static_cast<float>(oracle::uniform(seed, 2000 + l, c)));
    }
    std::vector<std::vector<float>> memory;
    const std::vector<pxl_layer> layers = library_layers(model, memory);
    pxl_network *made = nullptr;
    EXPECT_EQ(pxl_network_create(layers.data(), layers.size(), &made), PXL_OK) << pxl_error_message();
    model.network.reset(made);
    return model;
}

std::map<std::string, Model> &models() {
    static std::map<std::string, Model> made;
    return made;
}

const Model &model_of(const pxl_network *network) {
    for (const auto &[text, model] : models())
        if (model.network.get() == network) return model;
    throw std::invalid_argument("the term's network is no model");
}

// Lives as long as the program.
const char *interned(const std::string &text) {
    static std::set<std::string> texts;
    return texts.insert(text).first->c_str();
}

} // namespace

const Model &model_of(const std::string &text) {
    auto found = models().find(text);
    if (found == models().end()) found = models().emplace(text, make_model(text)).first;
    return found->second;
}

std::vector<pxl_layer> library_layers(const Model &model, std::vector<std::vector<float>> &memory) {
    const pxl_layer_kind kinds[] = {PXL_CONVOLUTION, PXL_RELU, PXL_MAX_POOL, PXL_AVERAGE_POOL};
    std::vector<pxl_layer> layers;
    memory.reserve(memory.size() + 3 * model.layers.size());
    const auto keep = [&memory](const std::vector<double> &from) { return memory.emplace_back(from.begin(), from.end()).data(); };
    for (size_t l = 0; l < model.layers.size(); ++l) {
        const oracle::Layer &from = model.layers[l];
        pxl_layer layer = PXL_LAYER(kinds[from.kind]);
        if (from.kind == oracle::Layer::CONVOLUTION) {
            layer.inputs = from.inputs, layer.outputs = from.outputs, layer.size = from.size;
            layer.weight = keep(from.weight), layer.bias = keep(from.bias);
        }
        if (!model.linear[l].empty()) layer.linear = keep(model.linear[l]);
        layers.push_back(layer);
    }
    return layers;
}

// ---- Terms ------------------------------------------------------------------------------------------------------------
bool is_perceptual(pxl_term_kind kind) { return kind >= PXL_FEATURES && kind <= PXL_COSINE; }

pxl_term in_network(const Model &model, pxl_term_kind kind, const std::string &layers) {
    pxl_term term = PXL_TERM(kind, 1);
    term.network = model.network.get();
    term.net = interned(model.name);
    if (!layers.empty()) term.layers = interned(layers);
    if (!computes_f64()) term.precision = PXL_PRECISION_F32; // what the oracle is compared with, also where images are f16
    return term;
}

namespace {

// The last ReLU of each of the first so many blocks that have one.
std::string last_relus(const Model &model, int blocks) {
    std::string text, last;
    int block = 1;
    for (size_t l = 0; l <= model.layers.size(); ++l) {
        const bool end = l == model.layers.size() || model.layers[l].kind == oracle::Layer::MAX_POOL ||
                         model.layers[l].kind == oracle::Layer::AVERAGE_POOL;
        if (!end && model.layers[l].kind == oracle::Layer::RELU) last = std::to_string(l);
        if (!end) continue;
        if (!last.empty() && block <= blocks) text += (text.empty() ? "" : ":") + last;
        last.clear(), ++block;
    }
    return text;
}

std::string layers_of(const Model &model, const pxl_term &term) {
    if (term.layers) return term.layers;
    if (term.kind == PXL_LPIPS) return last_relus(model, 5);
    if (term.kind == PXL_STYLE) return last_relus(model, 4);
    std::string text;
    for (const char *name : {"relu1_2", "relu2_2", "relu3_3"})
        if (oracle::layer_index(model.layers, name) >= 0) text += (text.empty() ? "" : ":") + std::string(name);
    return text;
}

void choose_layers(const Model &model, const pxl_term &from, oracle::FeatureTerm &to) {
    std::istringstream items(layers_of(model, from));
    for (std::string item; std::getline(items, item, ':');) {
        const size_t star = item.find('*');
        to.layers.push_back(oracle::layer_index(model.layers, star == std::string::npos ? item : item.substr(star + 1)));
        to.layer_weights.push_back((star == std::string::npos ? 1 : std::stod(item)) / (from.kind == PXL_COSINE ? 2 : 1));
        if (from.kind == PXL_LPIPS) to.linear.push_back(model.linear[to.layers.back()]);
    }
}

double default_parameter(pxl_penalty penalty) { return penalty == PXL_CHARBONNIER ? 1e-3 : 1; }

} // namespace

oracle::FeatureTerm oracle_term(const pxl_term &from, double L) {
    oracle::FeatureTerm to;
    choose_layers(model_of(from.network), from, to);
    to.data_range = L;
    to.penalty = from.penalty ? from.penalty : PXL_L2;
    to.param = from.penalty_param > 0 ? from.penalty_param : default_parameter(to.penalty);
    to.reduction = from.kind == PXL_FEATURES ? from.reduction : PXL_SPATIAL;
    if (from.unit || from.kind == PXL_LPIPS || from.kind == PXL_COSINE) to.transform = oracle::FeatureTerm::UNIT;
    if (from.kind == PXL_STYLE) to.transform = oracle::FeatureTerm::GRAM;
    const pxl_normalize normalize = from.kind == PXL_LPIPS ? PXL_NORMALIZE_LPIPS : from.normalize;
    if (normalize == PXL_NORMALIZE_IMAGENET) to.normalize = oracle::FeatureTerm::IMAGENET;
    if (normalize == PXL_NORMALIZE_LPIPS) to.normalize = oracle::FeatureTerm::LPIPS;
    return to;
}

// ---- Reference --------------------------------------------------------------------------------------------------------
namespace {

double spread(const oracle::Image &image) {
    const auto [least, largest] = std::minmax_element(image.v.begin(), image.v.end());
    return *largest - *least;
}
double range_of(const pxl_term &term, const oracle::Inputs &inputs, int64_t n) {
    if (term.data_range > 0) return term.data_range;
    if (term.data_range == 0) return inputs.type_range;
    if (!inputs.per_image) return std::max(spread(inputs.pred), spread(inputs.target));
    return std::max(spread(oracle::slice(inputs.pred, n)), spread(oracle::slice(inputs.target, n)));
}

// One perceptual term: rows of its total and its value, as oracle::evaluate has them.
oracle::Result perceptual(const pxl_term &term, double weight, const oracle::Inputs &inputs) {
    const oracle::Image &x = inputs.pred;
    const Model &model = model_of(term.network);
    const double share = inputs.per_image || term.reduction == PXL_SUM ? 1 : 1.0 / static_cast<double>(x.n);
    oracle::Result result;
    result.grad_pred = result.grad_target = result.slack_pred = result.slack_target = oracle::like(x);
    result.values.assign(inputs.per_image ? 2 * static_cast<size_t>(x.n) : 2, 0);
    for (int64_t n = 0; n < x.n; ++n) {
        const size_t row = inputs.per_image ? 2 * static_cast<size_t>(n) : 0;
        const double upstream = inputs.grad_loss.empty() ? 1 : inputs.grad_loss[row / 2];
        const oracle::FeatureResult one =
            oracle::evaluate(model.layers, oracle_term(term, range_of(term, inputs, n)), oracle::slice(x, n),
                             oracle::slice(inputs.target, n), {weight * upstream * share});
        result.values[row + 1] += share * one.values[0];
        result.values[row] += weight * share * one.values[0];
        oracle::put_slice(result.grad_pred, n, one.grad_pred);
        oracle::put_slice(result.grad_target, n, one.grad_target);
    }
    for (const double value : result.values) result.scale.push_back(std::fabs(value));
    result.value_slack.assign(result.values.size(), 0);
    return result;
}

oracle::Result one_term(const pxl_term &term, double weight, const oracle::Inputs &inputs) {
    if (is_perceptual(term.kind)) return perceptual(term, weight, inputs);
    oracle::Inputs own = inputs;
    own.term_weights = {weight};
    own.rounding = tolerance_of(PXL_F32).rounding;
    return oracle::evaluate({oracle::resolve(term)}, own);
}

// 1 - cos is half the square of a difference of unit vectors, of which each rounds by u.
void add_rounding_of_cosine(double weight, oracle::Result &one) {
    for (size_t i = 0; i < one.values.size(); i += 2) {
        const double slack = std::sqrt(2 * std::fabs(one.values[i + 1])) * std::ldexp(1, -24);
        one.value_slack[i] += std::fabs(weight) * slack, one.value_slack[i + 1] += slack;
    }
}

void add_rows(std::vector<double> &to, const std::vector<double> &from, size_t terms, size_t term) {
    const size_t rows = from.size() / 2;
    to.resize(rows * (1 + terms));
    for (size_t r = 0; r < rows; ++r) {
        to[r * (1 + terms)] += from[2 * r];
        to[r * (1 + terms) + 1 + term] = from[2 * r + 1];
    }
}

} // namespace

oracle::Result feature_reference(const Case &test, const oracle::Inputs &inputs) {
    oracle::Result result;
    const size_t terms = test.terms.size();
    for (size_t k = 0; k < terms; ++k) {
        const double weight = inputs.term_weights.empty() ? test.terms[k].weight : inputs.term_weights[k];
        oracle::Result one = one_term(test.terms[k], weight, inputs);
        if (test.terms[k].kind == PXL_COSINE) add_rounding_of_cosine(weight, one);
        add_rows(result.values, one.values, terms, k);
        add_rows(result.scale, one.scale, terms, k);
        add_rows(result.value_slack, one.value_slack, terms, k);
        if (k == 0) {
            result.grad_pred = one.grad_pred, result.grad_target = one.grad_target;
            result.slack_pred = one.slack_pred, result.slack_target = one.slack_target;
            continue;
        }
        oracle::add_scaled(result.grad_pred, one.grad_pred, 1), oracle::add_scaled(result.grad_target, one.grad_target, 1);
        oracle::add_scaled(result.slack_pred, one.slack_pred, 1), oracle::add_scaled(result.slack_target, one.slack_target, 1);
    }
    return result;
}

// ---- Comparison -------------------------------------------------------------------------------------------------------
namespace {

// Of float32, whatever the images are: sums of some hundred products through three or four convolutions, and where features are
// divided by a norm that is next to nothing, or are differences of Gram matrices, some digits less.
constexpr double value_tolerance = 5e-5, gradient_tolerance = 2e-4;

testing::AssertionResult values_agree(const std::vector<double> &actual, const oracle::Result &expected) {
    if (actual.size() != expected.values.size())
        return testing::AssertionFailure() << actual.size() << " values instead of " << expected.values.size();
    for (size_t i = 0; i < actual.size(); ++i) {
        const double allowed = value_tolerance * expected.scale[i] + expected.value_slack[i];
        if (std::fabs(actual[i] - expected.values[i]) <= allowed) continue;
        return testing::AssertionFailure() << "values[" << i << "] is " << actual[i] << " instead of " << expected.values[i]
                                           << ", off by " << actual[i] - expected.values[i] << " where " << allowed
                                           << " is allowed";
    }
    return testing::AssertionSuccess();
}

} // namespace

testing::AssertionResult features_agree(const Case &test, const Outcome &outcome, const oracle::Result &expected) {
    if (outcome.status)
        return testing::AssertionFailure() << pxl_status_name(outcome.status) << ": " << outcome.message << "\n  "
                                           << describe(test);
    if (!outcome.damage.empty()) return testing::AssertionFailure() << outcome.damage << "\n  " << describe(test);
    testing::AssertionResult result = testing::AssertionSuccess();
    if (test.values) result = values_agree(outcome.values, expected);
    if (!result) return result << "\n  " << describe(test);
    const double tolerance = gradient_tolerance;
    if (test.grad_pred) result = close(outcome.grad_pred, expected.grad_pred, expected.slack_pred, tolerance, test.grad_dtype);
    if (!result) return result << "\n  in grad_pred of " << describe(test);
    if (test.grad_target)
        result = close(outcome.grad_target, expected.grad_target, expected.slack_target, tolerance, test.grad_dtype);
    return result ? result : result << "\n  in grad_target of " << describe(test);
}

testing::AssertionResult agrees_with_oracle(Case test) {
    std::vector<Way> ways = tested_ways(); // those that have not agreed yet
    testing::AssertionResult result = testing::AssertionSuccess();
    for (int attempt = 0; attempt < 3 && !ways.empty(); ++attempt, test.seed += 1000) {
        const oracle::Inputs inputs = make_inputs(test);
        const oracle::Result expected = feature_reference(test, inputs);
        const auto agrees_now = [&](const Way &way) {
            testing::AssertionResult agreed = features_agree(test, run(way, test, inputs), expected);
            if (!agreed) result = agreed << way.name();
            return static_cast<bool>(agreed);
        };
        ways.erase(std::remove_if(ways.begin(), ways.end(), agrees_now), ways.end());
    }
    return ways.empty() ? testing::AssertionSuccess() : result;
}

// ---- Random cases -----------------------------------------------------------------------------------------------------
namespace {

const char *const networks[][2] = {{"3:8,8,M,12,A,16k5", "3:5,M,7k1,A,9"},       {"3:4,A,A,6", "3:17,33k7,M,5"},
                                   {"3:c6,A,R,c5,M,R,R,4", "3:8,8,M,12,A,16k5"}, {"1:5,M,7k1,A,9", "1:16,c16,A,R,M,8"},
                                   {"2:16,A,8,M,M,4", "2:c3,R,R,A,7"},           {"3:16,16,M,16,16,M,16,16,16", "3:1,1,1"},
                                   {"4:c9,M,M,c5,R,A,c3", "4:32,A,A,M,2k1"},     {"3:31,M,64", "3:c1k1"}};

int draw(std::mt19937 &random, int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); }
bool one_in(std::mt19937 &random, int n) { return draw(random, n) == 0; }

// The layers before images of that size are halved to nothing.
int usable_layers(const Model &model, const Shape &shape) {
    int64_t least = std::min(shape.h, shape.w);
    int count = 0;
    for (const oracle::Layer &layer : model.layers) {
        const bool pools = layer.kind == oracle::Layer::MAX_POOL || layer.kind == oracle::Layer::AVERAGE_POOL;
        if (pools && (least /= 2) < 1) break;
        ++count;
    }
    return count;
}
// Where one channel alone is not 0 its share of the norm is 1 but for rounding, and so is all that is left of a difference. Few
// pixels are so where there are some channels.
constexpr int channels_of_unit = 5;
std::vector<int> choice_of_layers(const Model &model, const Shape &shape, bool unit) {
    std::vector<int> choice;
    for (int l = 0; l < usable_layers(model, shape); ++l)
        if (!unit || model.layers[static_cast<size_t>(l)].outputs >= channels_of_unit) choice.push_back(l);
    return choice;
}
std::string random_layers(const std::vector<int> &choice, std::mt19937 &random) {
    std::string text;
    for (int i = 0, count = 1 + draw(random, 4); i < count; ++i) {
        if (i) text += ":";
        if (one_in(random, 3)) text += std::to_string(0.25 * (1 + draw(random, 8))) + "*";
        text += std::to_string(choice[random() % choice.size()]);
    }
    return text;
}

pxl_term random_perceptual(const Model &model, const Shape &shape, std::mt19937 &random) {
    static constexpr pxl_term_kind kinds[] = {PXL_FEATURES, PXL_FEATURES, PXL_FEATURES, PXL_STYLE, PXL_COSINE, PXL_LPIPS};
    const bool three = model.layers[0].inputs == 3, units = !choice_of_layers(model, shape, true).empty();
    const pxl_term_kind kind = kinds[draw(random, !units ? 4 : three ? 6 : 5)];
    const bool unit = kind == PXL_COSINE || kind == PXL_LPIPS || (kind == PXL_FEATURES && units && one_in(random, 3));
    pxl_term term = in_network(model, kind, random_layers(choice_of_layers(model, shape, unit), random));
    const bool features = term.kind == PXL_FEATURES, charged = features || term.kind == PXL_STYLE;
    if (charged) term.penalty = static_cast<pxl_penalty>(draw(random, 8));
    if (term.penalty > PXL_L1 && term.penalty != PXL_LOG_COSH && one_in(random, 2))
        term.penalty_param = 0.0625 * (1 + draw(random, 8));
    if (one_in(random, 3)) term.reduction = features && one_in(random, 2) ? PXL_SPATIAL : PXL_SUM;
    if (features) term.unit = unit;
    if (term.kind != PXL_LPIPS) term.normalize = static_cast<pxl_normalize>(draw(random, three ? 4 : 2));
    const bool spread = shape.h * shape.w > 4; // else all pixels may be equal
    if (one_in(random, 4)) term.data_range = spread && one_in(random, 2) ? PXL_FROM_DATA : 0.75;
    return term;
}
pxl_term random_other(std::mt19937 &random) {
    static constexpr pxl_term_kind kinds[] = {PXL_PIXEL, PXL_SOBEL, PXL_TV, PXL_RMSE, PXL_SSIM, PXL_SSIM};
    pxl_term term = PXL_TERM(kinds[draw(random, 6)], 1);
    if (term.kind == PXL_SSIM) term.window = 5, term.border = PXL_ZERO;
    if (term.kind == PXL_PIXEL) term.penalty = PXL_L1;
    return term;
}

} // namespace

Case random_feature_case(std::mt19937 &random) {
    const auto &texts = networks[random() % std::size(networks)];
    const Model *const choice[] = {&model_of(texts[0]), &model_of(texts[1])};
    const int inputs = choice[0]->layers[0].inputs;
    Case test;
    test.shape = {1 + draw(random, 3), inputs == 3 && one_in(random, 4) ? 1 : inputs, 1 + draw(random, 19), 1 + draw(random, 19)};
    for (int i = 0, count = one_in(random, 2) ? 1 : 2 + draw(random, 4); i < count; ++i) {
        const bool other = i > 0 && one_in(random, 3);
        pxl_term term = other ? random_other(random) : random_perceptual(*choice[one_in(random, 3)], test.shape, random);
        term.weight = one_in(random, 6) ? 0 : 0.125 * (1 + draw(random, 12)) * (one_in(random, 4) ? -1 : 1);
        test.terms.push_back(term);
    }
    static constexpr pxl_dtype types[] = {PXL_F32, PXL_F32, PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16};
    test.dtype = types[draw(random, 8)];
    if (test.dtype == PXL_F64 && !computes_f64()) test.dtype = PXL_F32;
    test.pattern = one_in(random, 2) ? Pattern::noisy : Pattern::independent;
    test.per_image = one_in(random, 3);
    test.upstream = one_in(random, 3) ? Upstream::given : Upstream::none;
    test.own_weights = one_in(random, 4);
    test.seed = static_cast<uint32_t>(random());
    vary_delivery(test, random);
    test.parsed = false;
    return test;
}

bool computes_f64() { return &tested_device() == &cpu(); }
std::vector<pxl_dtype> dtypes_of_images(std::vector<pxl_dtype> dtypes) {
    if (!computes_f64()) dtypes.erase(std::remove(dtypes.begin(), dtypes.end(), PXL_F64), dtypes.end());
    return dtypes;
}
std::string why_no_networks() {
    const Case test = make_case({in_network(model_of("1:1"), PXL_FEATURES, "0")}, {1, 1, 1, 1});
    const Outcome outcome = run(tested_device(), test, make_inputs(test));
    return outcome.status == PXL_UNSUPPORTED ? outcome.message : "";
}
