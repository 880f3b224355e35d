// libFuzzer's target for expressions (scripts/fuzz.sh). Whatever the text is, it is refused with a message, or it becomes a loss
// whose own description, term by term, is an expression for the same loss. The same text gives the same twice.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "require.h"

namespace {

// The networks that expressions can name; those that would be made with random weights would take seconds.
pxl_context *context() {
    static pxl_context *const context = [] {
        pxl_context *made = nullptr;
        pxl_network *network = nullptr;
        require(pxl_context_create(PXL_CPU_DEVICE, 1, &made) == PXL_OK);
        require(pxl_network_random("3:2,2,M,2,2,M,2,2,2,M,2,M,2", 1, &network) == PXL_OK);
        for (const char *name :
             {"n", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11-random", "vgg13-random", "vgg16-random", "vgg19-random"})
            require(pxl_context_add_network(made, name, network) == PXL_OK);
        pxl_network_destroy(network);
        return made;
    }();
    return context;
}

struct Term {
    double weight;
    std::string name;
    bool operator==(const Term &other) const { return weight == other.weight && name == other.name; }
};
struct Parsed {
    pxl_status status = PXL_OK;
    std::string message; // if it was refused
    std::vector<Term> terms;
    bool operator==(const Parsed &other) const {
        return status == other.status && message == other.message && terms == other.terms;
    }
};

std::vector<Term> terms_of(const pxl_loss *loss) {
    std::vector<Term> terms;
    const size_t count = pxl_loss_term_count(loss);
    require(count >= 1 && count <= 32);
    for (size_t i = 0; i < count; i++) {
        terms.push_back({pxl_loss_term_weight(loss, i), pxl_loss_term_name(loss, i)});
        require(std::isfinite(terms[i].weight) && !terms[i].name.empty());
    }
    require(!pxl_loss_term_name(loss, count) && std::isnan(pxl_loss_term_weight(loss, count)));
    return terms;
}

Parsed parse(const std::string &text) {
    Parsed parsed;
    auto *const untouched = reinterpret_cast<pxl_loss *>(0x10);
    pxl_loss *loss = untouched;
    parsed.status = pxl_loss_parse(text.c_str(), context(), &loss);
    if (parsed.status != PXL_OK) {
        require(loss == untouched);
        require(parsed.status == PXL_SYNTAX_ERROR || parsed.status == PXL_INVALID_ARGUMENT || parsed.status == PXL_UNSUPPORTED);
        require_message();
        parsed.message = pxl_error_message();
        return parsed;
    }
    parsed.terms = terms_of(loss);
    pxl_loss_destroy(loss);
    return parsed;
}

std::string expression(const std::vector<Term> &terms) {
    std::string text;
    for (const Term &term : terms) {
        char weight[40];
        std::snprintf(weight, sizeof weight, "%.17g*", std::fabs(term.weight));
        text += std::signbit(term.weight) ? " - " : text.empty() ? "" : " + ";
        text += weight + term.name;
    }
    return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const std::string text(reinterpret_cast<const char *>(data), bytes);
    const Parsed parsed = parse(text);
    require(parse(text) == parsed);
    if (parsed.status == PXL_OK) require(parse(expression(parsed.terms)) == parsed);
    return 0;
}
