#include "network.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "expression.hpp"
#include "report.hpp"

namespace cli {
namespace {

const char random_weights[] = "random weights (seed 1)";

// The architecture whose weights are to be drawn; "" if `features` is a file. A name that is neither has no folder and no ending.
std::string random_architecture(const std::string &features) {
    if (features == "random") return "vgg16";
    const std::vector<std::string> known = {"vgg11-random", "vgg13-random", "vgg16-random", "vgg19-random"};
    if (std::find(known.begin(), known.end(), features) != known.end()) return features.substr(0, features.find('-'));
    std::error_code error;
    if (features.find_first_of("/.") == std::string::npos && !std::filesystem::exists(features, error))
        throw UsageError("--features '" + features + "': no file and no network of this name; there are " + listed(known) +
                         ", and random, which is vgg16-random");
    return "";
}

Network make_network(const NetworkOptions &options, const std::string &architecture) {
    pxl_network *network = nullptr;
    if (architecture.empty())
        check(pxl_network_load(options.features->c_str(), nullptr, options.lpips ? options.lpips->c_str() : nullptr, &network));
    else
        check(pxl_network_random(architecture.c_str(), 1, &network));
    return Network(network);
}

// What stands behind "net=" in a term's name; "" if it has no network.
std::string network_of(const std::string &term) {
    const size_t begin = term.find("net=");
    return begin == std::string::npos ? "" : term.substr(begin + 4, term.find_first_of(",)", begin) - begin - 4);
}

// vgg16, vgg16-random, or custom: the library tells by the name of a term.
std::string name_of(const pxl_network *network) {
    pxl_term term = PXL_TERM(PXL_FEATURES, 1);
    term.network = network, term.layers = "0";
    pxl_loss *loss = nullptr;
    check(pxl_loss_create(&term, 1, &loss));
    return network_of(pxl_loss_term_name(Loss(loss).get(), 0));
}

// What the library asks for, as the program takes it.
std::string in_the_program(const std::string &message) {
    const auto says = [&](const char *words) { return message.find(words) != std::string::npos; };
    if (says("linear weights")) return " (--lpips FILE)";
    if (says("pxl_context_add_network")) return " (--features FILE adds one)";
    return says("per_image") ? " (compare of two folders prints one for each pair)" : "";
}

NamedNetwork random_network(const std::string &name) { return {name, random_weights, "", true}; }

bool has_layer(const pxl_network *network, const std::string &name) {
    for (size_t i = 0; pxl_network_layer_name(network, i); i++)
        if (name == pxl_network_layer_name(network, i)) return true;
    return false;
}

} // namespace

std::string NamedNetwork::line() const {
    if (random) return name + ": " + weights + ", not the distances of the trained network";
    return name + " of " + weights + (linear.empty() ? "" : ", lpips of " + linear);
}

Networks::Networks(const NetworkOptions &options) {
    const auto check_name = [](const char *option, const std::optional<std::string> &name) {
        if (name && name->empty()) throw UsageError(std::string(option) + " '': the name of a file is needed");
    };
    check_name("--features", options.features);
    check_name("--lpips", options.lpips);
    const std::string architecture = options.features ? random_architecture(*options.features) : "";
    if (options.lpips && (!options.features || !architecture.empty()))
        throw UsageError("--lpips goes with --features and a file of weights, which it was trained for");
    if (!options.features) return;
    network_ = make_network(options, architecture);
    const std::string name = name_of(network_.get());
    named_ =
        architecture.empty() ? NamedNetwork{name, *options.features, options.lpips.value_or(""), false} : random_network(name);
    context_ = make_context(cpu_device());
    check(pxl_context_add_network(context_.get(), name.c_str(), network_.get()));
}

std::string Networks::layers() const {
    for (const char *name : {"relu1_2", "relu2_2", "relu3_3"})
        if (has_layer(network_.get(), name)) return "";
    std::string layers, last;
    for (size_t i = 0, block = 1; pxl_network_layer_name(network_.get(), i); i++) {
        const std::string name = pxl_network_layer_name(network_.get(), i);
        if (name.compare(0, 4, "relu") == 0) last = name;
        if (name.compare(0, 4, "pool") != 0 && pxl_network_layer_name(network_.get(), i + 1)) continue;
        if (!last.empty() && block <= 3) layers += (layers.empty() ? "" : ":") + last;
        last = "", block++;
    }
    return layers;
}

std::string Networks::with_network(const std::string &expression) const {
    return given() ? with_argument(expression, network_terms(), "net=" + named_.name, {"net"}) : expression;
}

Loss Networks::parse(const std::string &expression, const std::string &where) const {
    try {
        return parse_loss(with_network(expression), where, context_.get());
    } catch (const UsageError &error) {
        throw UsageError(error.what() + in_the_program(error.what()));
    }
}

Loss Networks::make(const std::string &expression) const {
    pxl_loss *loss = nullptr;
    check(pxl_loss_parse(with_network(expression).c_str(), context_.get(), &loss));
    return Loss(loss);
}

std::vector<NamedNetwork> Networks::used_by(const std::vector<const pxl_loss *> &losses) const {
    std::vector<NamedNetwork> used;
    for (const pxl_loss *loss : losses)
        for (size_t i = 0; i < pxl_loss_term_count(loss); i++) {
            const std::string name = network_of(pxl_loss_term_name(loss, i));
            const bool known = std::any_of(used.begin(), used.end(), [&](const NamedNetwork &n) { return n.name == name; });
            if (!name.empty() && !known) used.push_back(name == named_.name ? named_ : random_network(name));
        }
    return used;
}

std::string network_lines(const std::vector<NamedNetwork> &networks, const std::string &label) {
    std::string text;
    for (const NamedNetwork &network : networks) text += "\n" + label + network.line();
    return text;
}

nlohmann::ordered_json network_json(const std::vector<NamedNetwork> &networks) {
    nlohmann::ordered_json array = nlohmann::ordered_json::array();
    for (const NamedNetwork &network : networks) {
        const auto linear = network.linear.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(network.linear);
        array.push_back({{"name", network.name}, {"weights", network.weights}, {"linear", linear}});
    }
    return array;
}

} // namespace cli
