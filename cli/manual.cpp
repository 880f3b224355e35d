// The manual page, in the macros of man(7).
#include <algorithm>
#include <sstream>

#include "description.hpp"

namespace cli {
namespace {

// Text as it is to be seen: what roff or its fonts would turn into something else by the names for it.
std::string roff(const std::string &text) {
    std::string result;
    for (char c : text) switch (c) {
            case '\\': result += "\\e"; break;
            case '-': result += "\\-"; break;
            case '\'': result += "\\(aq"; break;
            case '`': result += "\\(ga"; break;
            case '^': result += "\\(ha"; break;
            case '~': result += "\\(ti"; break;
            case '"': result += "\\(dq"; break;
            default: result += c;
        }
    return result.empty() || result[0] != '.' ? result : "\\&" + result;
}
std::string bold(const std::string &text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(const std::string &text) { return "\\fI" + roff(text) + "\\fR"; }

std::string sentence(const std::string &text) { return roff(text) + (text.empty() || text.back() != '.' ? ".\n" : "\n"); }

// A line that begins with a space is an example, with what it is for after some more; the others run on.
std::string line_of(const std::string &line) {
    if (line.empty()) return ".PP\n";
    if (line[0] != ' ') return roff(line) + "\n";
    const size_t begin = line.find_first_not_of(' '), gap = line.find("   ", begin);
    if (gap == std::string::npos) return ".PP\n" + bold(line.substr(begin)) + "\n.PP\n";
    return ".TP\n" + bold(line.substr(begin, gap - begin)) + "\n" + roff(line.substr(line.find_first_not_of(' ', gap))) + "\n";
}
std::string paragraphs(const std::string &text) {
    std::istringstream lines(text.substr(std::min(text.find_first_not_of('\n'), text.size())));
    std::string result;
    for (std::string line; std::getline(lines, line);) result += line_of(line);
    return result;
}

std::string upper(std::string text) {
    for (char &c : text)
        if (c >= 'a' && c <= 'z') c = char(c - 'a' + 'A');
    return text;
}

// The program's notes are paragraphs that begin with their title and a colon: each is a section.
std::string sections(const std::string &notes) {
    std::string result;
    for (size_t begin = notes.find_first_not_of('\n'); begin < notes.size();) {
        const size_t end = std::min(notes.find("\n\n", begin), notes.size()), colon = std::min(notes.find(':', begin), end);
        const size_t text = std::min(colon + (notes.compare(colon, 2, ": ") == 0 ? 2 : 1), end);
        result += ".SH " + upper(notes.substr(begin, colon - begin)) + "\n" + paragraphs(notes.substr(text, end - text));
        begin = notes.find_first_not_of('\n', end);
    }
    return result;
}

std::string argument(const Argument &argument) {
    std::string names, values;
    for (const std::string &name : argument.names)
        names += (names.empty() ? "" : ", ") + (name[0] == '-' ? bold(name) : italic(name));
    if (argument.takes_value && argument.names[0][0] == '-' && !argument.type.empty()) names += " " + italic(argument.type);
    for (const std::string &value : argument.values) values += (values.empty() ? "" : ", ") + value;
    if (values.empty() || argument.has_others)
        values.clear();
    else
        values = roff("One of: " + values + ".") + "\n";
    return ".TP\n" + names + "\n" + sentence(argument.text) + values +
           (argument.initial.empty() ? "" : sentence("Default: " + argument.initial));
}

std::string synopsis(const Command &program, const Command &command) {
    std::string text = bold(program.name + " " + command.name) + " [" + italic("OPTIONS") + "]";
    for (const Argument &argument : command.positionals) text += " " + italic(argument.names[0]);
    return text + "\n";
}

std::string arguments(const std::vector<Argument> &all) {
    std::string text;
    for (const Argument &each : all) text += argument(each);
    return text;
}

} // namespace

std::string manual_page(const Command &program, const std::string &version) {
    const size_t colon = program.text.find(": ");
    std::string page = ".TH " + upper(program.name) + " 1 \"\" \"" + program.name + " " + version + "\" \"User Commands\"\n";
    page += ".SH NAME\n" + program.name + " \\- " + roff(program.text.substr(colon == std::string::npos ? 0 : colon + 2)) + "\n";
    page += ".SH SYNOPSIS\n";
    for (const Command &command : program.commands) page += synopsis(program, command) + ".br\n";
    page += bold(program.name) + " [" + italic("OPTIONS") + "]\n.SH OPTIONS\n" + arguments(program.options) + ".SH COMMANDS\n";
    for (const Command &command : program.commands)
        page += ".SS " + program.name + " " + command.name + "\n" + sentence(command.text) + arguments(command.positionals) +
                arguments(command.options) + (command.notes.empty() ? "" : ".PP\n" + paragraphs(command.notes));
    return page + sections(program.notes);
}

} // namespace cli
