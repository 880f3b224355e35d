#include "description.hpp"

#include <pixloss/pixloss.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "alpha.hpp"

namespace cli {
namespace {

// Of CLI11's list of a choice, "TYPE:{f32,f16}".
std::vector<std::string> members(const std::string &type) {
    const size_t begin = type.find('{'), end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos) return {};
    return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

std::vector<std::string> presets() {
    std::vector<std::string> names;
    for (size_t i = 0; pxl_preset_name(i); i++) names.emplace_back(pxl_preset_name(i));
    return names;
}

bool is_shown(const CLI::App *app) { return !app->get_group().empty(); }
bool is_shown(const CLI::Option *option) { return !option->get_group().empty(); }

Argument describe(const CLI::Option &option) {
    Argument argument;
    for (const std::string &name : option.get_snames()) argument.names.push_back("-" + name);
    for (const std::string &name : option.get_lnames()) argument.names.push_back("--" + name);
    if (option.get_positional()) argument.names.push_back(option.get_name(true));
    const std::string type = option.get_type_name();
    argument.type = type.substr(0, type.find(':'));
    argument.text = option.get_description();
    argument.initial = option.get_default_str();
    argument.values = members(type);
    if (argument.type == "PRESET") argument.values = presets();
    if (argument.type == "DEVICE") argument.values = {"cpu", "cuda"};
    if (argument.type == "ALPHA") argument.values = alpha_names();
    argument.has_others = argument.type == "DEVICE" || argument.type == "ALPHA"; // cuda:1, #ff8000
    argument.takes_value = option.get_items_expected_max() > 0;
    argument.is_file = argument.type == "FILE";
    argument.repeats = option.get_items_expected_max() > 1;
    return argument;
}

} // namespace

bool Command::takes_file() const {
    return std::any_of(positionals.begin(), positionals.end(), [](const Argument &argument) { return argument.is_file; });
}

Command describe(const CLI::App &app) {
    Command command{app.get_name(), app.get_description(), app.get_footer(), {}, {}, {}};
    for (const CLI::Option *option : app.get_options([](const CLI::Option *each) { return is_shown(each); }))
        (option->get_positional() ? command.positionals : command.options).push_back(describe(*option));
    for (const CLI::App *each : app.get_subcommands([](const CLI::App *each) { return is_shown(each); }))
        command.commands.push_back(describe(*each));
    for (Command &each : command.commands)
        if (each.notes == command.notes) each.notes.clear(); // CLI11 hands them down
    return command;
}

} // namespace cli
