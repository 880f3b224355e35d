// Completion scripts for bash, zsh and fish, each in the manner of its shell: commands, options, values where they are few, files
// where a file is wanted, and nothing where only the user knows.
#include "description.hpp"

namespace cli {
namespace {

std::string join(const std::vector<std::string> &words, const std::string &between = " ") {
    std::string text;
    for (const std::string &word : words) text += (text.empty() ? "" : between) + word;
    return text;
}

std::vector<std::string> names_of(const std::vector<Command> &commands) {
    std::vector<std::string> names;
    for (const Command &command : commands) names.push_back(command.name);
    return names;
}

std::vector<std::string> names_of(const std::vector<Argument> &options) {
    std::vector<std::string> names;
    for (const Argument &option : options) names.insert(names.end(), option.names.begin(), option.names.end());
    return names;
}

// The words that a positional argument can be: of the program its commands.
std::vector<std::string> words_of(const Command &command) {
    std::vector<std::string> words = names_of(command.commands);
    for (const Argument &argument : command.positionals)
        words.insert(words.end(), argument.values.begin(), argument.values.end());
    return words;
}

// `text` with a backslash before each of `special`, or with what `instead` is there.
std::string escaped(const std::string &text, const std::string &special, const std::string &before = "\\") {
    std::string result;
    for (char c : text) result += (special.find(c) == std::string::npos ? "" : before) + std::string(1, c);
    return result;
}

// ---- bash: what stands before the word decides ----
std::string bash_values(const Command &program, const Command &command) {
    std::string cases;
    const std::string name = &command == &program ? "" : command.name;
    for (const Argument &option : command.options)
        if (option.takes_value)
            cases += "    '" + name + " " + join(option.names, "' | '" + name + " ") + "') values='" + join(option.values) + "'" +
                     " files=" + (option.is_file ? "yes" : "") + " options= ;;\n";
    return cases;
}

std::string bash_command(const Command &program, const Command &command) {
    return "    " + (&command == &program ? "''" : command.name) + ") options='" + join(names_of(command.options)) +
           "' values='" + join(words_of(command)) + "'" + (command.takes_file() ? " files=yes" : "") + " ;;\n";
}

std::string bash(const Command &program) {
    std::string commands = bash_command(program, program), values = bash_values(program, program);
    for (const Command &command : program.commands) {
        commands += bash_command(program, command);
        values += bash_values(program, command);
    }
    const std::string name = program.name;
    return "_" + name +
           "() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= options= values= files= i\n"
           "    # --option=value is three words here.\n"
           "    if [[ $word == = ]]; then\n"
           "        word=\n"
           "    elif [[ $before == = ]]; then\n"
           "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
           "    fi\n"
           "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n"
           "        " +
           join(names_of(program.commands), " | ") +
           ") command=${COMP_WORDS[i]} && break ;;\n"
           "        esac\n"
           "    done\n"
           "    case $command in\n" +
           commands +
           "    esac\n"
           "    case \"$command $before\" in\n" +
           values +
           "    esac\n"
           "    if [[ $word == -* ]]; then values=$options files=; fi\n"
           "    COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
           "    # Readline itself knows best how to complete and quote the names of files.\n"
           "    if [[ $files ]]; then compopt -o default; fi\n"
           "}\n"
           "complete -F _" +
           name + " " + name + "\n";
}

// ---- zsh: specifications for _arguments ----
std::string zsh_quoted(const std::string &text) {
    std::string quoted;
    for (char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    return "'" + quoted + "'";
}

std::string zsh_value(const Argument &argument, const std::string &name) {
    const std::string action = argument.is_file ? "_files" : argument.values.empty() ? " " : "(" + join(argument.values) + ")";
    return ":" + escaped(name, ":\\") + ":" + action;
}

std::string zsh_arguments(const Command &command) {
    std::string lines;
    for (const Argument &option : command.options)
        for (const std::string &name : option.names) {
            const std::string value = option.takes_value ? zsh_value(option, option.type) : "";
            lines += " \\\n            " + zsh_quoted((option.repeats ? "*" : "") + name + (option.takes_value ? "=" : "") + "[" +
                                                      escaped(option.text, "[]\\") + "]" + value);
        }
    int place = 1;
    for (const Argument &each : command.positionals) {
        const std::string number = each.repeats ? "*" : std::to_string(place++);
        lines += " \\\n            " + zsh_quoted(number + zsh_value(each, each.names[0]));
    }
    return lines;
}

std::string zsh(const Command &program) {
    std::string commands, arguments;
    for (const Command &command : program.commands) {
        commands += "            " + zsh_quoted(escaped(command.name, ":") + ":" + command.text) + "\n";
        arguments += "        " + command.name + ")\n            _arguments" + zsh_arguments(command) + "\n            ;;\n";
    }
    return "_" + program.name +
           "() {\n"
           "    local context state state_descr line\n"
           "    local -a commands\n"
           "    typeset -A opt_args\n"
           "    _arguments -C" +
           zsh_arguments(program) +
           " \\\n            '1:command:->command' '*::argument:->argument'\n"
           "    case $state in\n"
           "    command)\n"
           "        commands=(\n" +
           commands +
           "        )\n"
           "        _describe command commands\n"
           "        ;;\n"
           "    argument)\n"
           "        case $line[1] in\n" +
           arguments +
           "        esac\n"
           "        ;;\n"
           "    esac\n"
           "}\n"
           // Both as a file of $fpath, which is the function's body, and by `source`.
           "if [[ $funcstack[1] == _" +
           program.name + " ]]; then _" + program.name + " \"$@\"; else compdef _" + program.name + " " + program.name + "; fi\n";
}

// ---- fish: a line for each ----
std::string fish_quoted(const std::string &text) { return "'" + escaped(text, "'\\") + "'"; }

std::string fish_options(const std::string &program, const Command &command, const std::string &condition) {
    std::string lines;
    const std::string begin = "complete -c " + program + " -n '" + condition + "'";
    for (const Argument &option : command.options) {
        lines += begin;
        for (const std::string &name : option.names) lines += name[1] == '-' ? " -l " + name.substr(2) : " -s " + name.substr(1);
        if (option.is_file) lines += " -r -F";
        if (option.takes_value && !option.is_file) lines += " -x";
        if (!option.values.empty()) lines += " -a '" + join(option.values) + "'";
        lines += " -d " + fish_quoted(option.text) + "\n";
    }
    if (command.takes_file()) lines += begin + " -F\n";
    return lines;
}

std::string fish(const Command &program) {
    std::string text = "complete -c " + program.name + " -f\n" + fish_options(program.name, program, "__fish_use_subcommand");
    for (const Command &command : program.commands) {
        text += "complete -c " + program.name + " -n __fish_use_subcommand -a " + command.name + " -d " +
                fish_quoted(command.text) + "\n";
        const std::string seen = "__fish_seen_subcommand_from " + command.name;
        text += fish_options(program.name, command, seen);
        if (!words_of(command).empty())
            text += "complete -c " + program.name + " -n '" + seen + "' -a '" + join(words_of(command)) + "'\n";
    }
    return text;
}

} // namespace

const std::vector<std::string> &shells() {
    static const std::vector<std::string> names = {"bash", "zsh", "fish"};
    return names;
}

std::string completion(const Command &program, const std::string &shell) {
    const std::string origin = "# Made by `" + program.name + " completion " + shell + "`.\n";
    if (shell == "bash") return origin + bash(program);
    if (shell == "zsh") return "#compdef " + program.name + "\n" + origin + zsh(program);
    return origin + fish(program);
}

} // namespace cli
