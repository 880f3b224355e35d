// The networks in which images are compared: those of --features, and what has to be said of weights that are random.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "commands.hpp"
#include "engine.hpp"

namespace cli {

// A network in use, as the output names it.
struct NamedNetwork {
    std::string name, weights, linear; // linear: the file of lpips' weights, or ""
    bool random = false;
    std::string line() const; // "vgg16 of weights.safetensors"
};

class Networks {
  public:
    // Throws, naming file and tensor, unless the weights can be read.
    explicit Networks(const NetworkOptions &options);

    bool given() const { return network_ != nullptr; } // by --features
    const NamedNetwork &named() const { return named_; }
    // Whether lpips can be computed.
    bool has_linear() const { return named_.random || !named_.linear.empty(); }
    // The layers that features and cosine compare: "" for their default, or if this network lacks those, relu1_1:relu2_1: the last
    // ReLU of each of the first three blocks.
    std::string layers() const;

    // The expression with the network of --features in each term that needs one and names none.
    std::string with_network(const std::string &expression) const;
    // Of an expression as the user typed it, or as with_network gives it.
    Loss parse(const std::string &expression, const std::string &where = "--loss") const;
    // The same of an expression of the program's own: a LibraryError if it does not fit the network.
    Loss make(const std::string &expression) const;
    // Those of the losses' terms, each once.
    std::vector<NamedNetwork> used_by(const std::vector<const pxl_loss *> &losses) const;

  private:
    NamedNetwork named_;
    Network network_;
    Context context_;
};

// A line for each network, for tables; an array of objects, for --json.
std::string network_lines(const std::vector<NamedNetwork> &networks, const std::string &label);
nlohmann::ordered_json network_json(const std::vector<NamedNetwork> &networks);

} // namespace cli
