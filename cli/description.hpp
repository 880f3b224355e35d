// What a command line can say, as CLI11 has it, for those who want it in another form: the manual page, the completion of shells.
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace cli {

struct Argument {
    std::vector<std::string> names;  // "-h", "--help"; of a positional one its name alone, "IMAGE"
    std::string type, text, initial; // FILE; what it is for; what it is if it is not given ("": nothing)
    std::vector<std::string> values; // those that it can have, where they are few
    bool has_others = false;         // than these
    bool takes_value = false, is_file = false, repeats = false;
};

struct Command {
    std::string name, text, notes;
    std::vector<Argument> options, positionals;
    std::vector<Command> commands;
    bool takes_file() const;
};
Command describe(const CLI::App &app); // without what --help does not show

// `shell`: one of these.
const std::vector<std::string> &shells();
std::string completion(const Command &program, const std::string &shell);
std::string manual_page(const Command &program, const std::string &version);

} // namespace cli
