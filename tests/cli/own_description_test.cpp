// What the program says of itself to man and to shells: all that --help says, in a form that they take.
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <sstream>

#include "program.hpp"

namespace {

std::string printed(const std::vector<std::string> &arguments) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
}

// The first words of the lines of --help that match.
std::vector<std::string> found_in_help(const std::vector<std::string> &arguments, const std::string &pattern) {
    std::vector<std::string> found;
    std::istringstream lines(printed(arguments));
    std::smatch match;
    for (std::string line; std::getline(lines, line);)
        if (std::regex_search(line, match, std::regex(pattern))) found.push_back(match[1]);
    return found;
}
std::vector<std::string> commands() {
    const std::string help = printed({"--help"});
    std::istringstream lines(help.substr(help.find("Subcommands:")));
    std::vector<std::string> found;
    std::string line;
    for (std::getline(lines, line); std::getline(lines, line) && line.rfind("  ", 0) == 0;)
        found.push_back(line.substr(2, line.find(' ', 2) - 2));
    return found;
}

// What a shell prints that has read a file and then runs a line; nothing if there is no such shell.
std::string in_shell(const std::string &shell, const std::string &file, const std::string &line) {
    const Folder folder;
    write_file(folder / "script", file + "\n" + line + "\n");
    const std::string command = shell + " '" + (folder / "script") + "' > '" + (folder / "out") + "' 2>&1";
    return std::system(command.c_str()) == 0 ? read_file(folder / "out") : "failed: " + read_file(folder / "out");
}
bool has(const std::string &program) { return std::system(("command -v " + program + " > /dev/null").c_str()) == 0; }

// The words that bash offers, in one line, for the last of these; "FILES" if it is to offer those.
std::string bash_offers(const std::string &words) {
    const std::string offers = in_shell("bash", "compopt() { COMPREPLY+=(FILES); }\n" + printed({"completion", "bash"}),
                                        "COMP_WORDS=(" + words +
                                            ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_pixloss\n"
                                            "echo -n \"${COMPREPLY[*]}\"");
    return offers;
}
std::string fish_offers(const std::string &line) {
    return in_shell("fish", printed({"completion", "fish"}), "complete -C '" + line + "' | string replace -r '\\t.*' ''; true");
}

} // namespace

TEST(OwnDescription, HasEveryCommandAndOptionOfHelp) {
    const std::string page = printed({"man"}), bash = printed({"completion", "bash"}), zsh = printed({"completion", "zsh"}),
                      fish = printed({"completion", "fish"});
    ASSERT_GE(commands().size(), 5u);
    for (const std::string &command : commands()) {
        EXPECT_NE(page.find(".SS pixloss " + command + "\n"), std::string::npos) << command;
        const std::vector<std::string> options = found_in_help({command, "--help"}, "^  (?:-.,)?--([a-z-]+)");
        EXPECT_GE(options.size(), 1u);
        for (const std::string &option : options) {
            EXPECT_NE(bash.find(" --" + option), std::string::npos) << command << " " << option;
            EXPECT_NE(zsh.find("--" + option), std::string::npos) << command << " " << option;
            EXPECT_NE(fish.find("__fish_seen_subcommand_from " + command + "'"), std::string::npos) << command << " " << option;
            EXPECT_NE(fish.find(" -l " + option + " "), std::string::npos) << command << " " << option;
            const std::string escaped = std::regex_replace("--" + option, std::regex("-"), "\\-");
            EXPECT_NE(page.find("\\fB" + escaped + "\\fR"), std::string::npos) << command << " " << option;
        }
    }
}

TEST(OwnDescription, ManualPage) {
    const std::string page = printed({"man"});
    EXPECT_EQ(page.rfind(".TH PIXLOSS 1 \"\" \"pixloss " PIXLOSS_PROGRAM_VERSION "\"", 0), 0u);
    for (const char *section : {"NAME", "SYNOPSIS", "OPTIONS", "COMMANDS", "EXAMPLES", "EXIT CODES", "ENVIRONMENT"})
        EXPECT_NE(page.find(std::string(".SH ") + section + "\n"), std::string::npos) << section;
    EXPECT_NE(page.find("Default: 0.84*ssim + 0.16*l1."), std::string::npos);
    EXPECT_NE(page.find("One of: wang, vainf, skimage"), std::string::npos);
    EXPECT_EQ(page.find("One of: cpu, cuda."), std::string::npos); // there is cuda:1
    EXPECT_EQ(page.find("One of: refuse"), std::string::npos);     // there are colours
    for (const char *words :
         {"\\fB\\-\\-csv\\fR", "\\fB\\-\\-summary\\fR", "\\fB\\-\\-alpha\\fR \\fIALPHA\\fR", "Default: refuse.", "two folders"})
        EXPECT_NE(page.find(words), std::string::npos) << words;
}

TEST(OwnDescription, ManualPageIsFreeOfErrors) {
    if (!has("groff")) GTEST_SKIP() << "there is no groff here";
    const Folder folder;
    write_file(folder / "page", printed({"man"}));
    const std::string command = "groff -ww -man -z '" + (folder / "page") + "' > '" + (folder / "out") + "' 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(read_file(folder / "out"), "");
}

TEST(OwnDescription, Bash) {
    if (!has("bash")) GTEST_SKIP() << "there is no bash here";
    EXPECT_EQ(bash_offers("pixloss c"), "compare completion");
    EXPECT_EQ(bash_offers("pixloss --v"), "--version");
    EXPECT_EQ(bash_offers("pixloss compare --m"), "--map --map-of");
    EXPECT_EQ(bash_offers("pixloss compare --preset f"), "fused-ssim");
    EXPECT_EQ(bash_offers("pixloss compare --c"), "--csv");
    EXPECT_EQ(bash_offers("pixloss compare --alpha ''"), "refuse ignore black white checker");
    EXPECT_EQ(bash_offers("pixloss fit --alpha w"), "white");
    EXPECT_EQ(bash_offers("pixloss bench --dtype = b"), "bf16");
    EXPECT_EQ(bash_offers("pixloss bench --dtype ="), "f32 f16 bf16 f64");
    EXPECT_EQ(bash_offers("pixloss bench --size ''"), "");
    EXPECT_EQ(bash_offers("pixloss bench p"), "");
    EXPECT_EQ(bash_offers("pixloss compare --map m"), "FILES");
    EXPECT_EQ(bash_offers("pixloss compare --json p"), "FILES");
    EXPECT_EQ(bash_offers("pixloss compare a.png --js"), "--json");
    EXPECT_EQ(bash_offers("pixloss completion ''"), "bash zsh fish");
}

TEST(OwnDescription, Fish) {
    if (!has("fish")) GTEST_SKIP() << "there is no fish here";
    EXPECT_EQ(fish_offers("pixloss c"), "compare\ncompletion\n");
    EXPECT_EQ(fish_offers("pixloss compare --ma"), "--map\n--map-of\n");
    EXPECT_EQ(fish_offers("pixloss compare --preset fused"), "fused-ssim\n");
    EXPECT_EQ(fish_offers("pixloss compare --alpha ch"), "checker\n");
    EXPECT_EQ(fish_offers("pixloss bench --size "), "");
    EXPECT_EQ(fish_offers("pixloss completion "), "bash\nfish\nzsh\n");
    EXPECT_EQ(fish_offers("pixloss compare /usr/bi"), "/usr/bin/\n");
    EXPECT_EQ(fish_offers("pixloss bench /usr/bi"), "");
}

TEST(OwnDescription, Zsh) {
    if (!has("zsh")) GTEST_SKIP() << "there is no zsh here";
    const std::string script = printed({"completion", "zsh"});
    EXPECT_EQ(script.rfind("#compdef pixloss\n", 0), 0u);
    EXPECT_EQ(in_shell("zsh -f", "autoload -U compinit\ncompinit -D -u\n" + script, "echo $_comps[pixloss]"), "_pixloss\n");
}

TEST(OwnDescription, ShellsThatAreNone) {
    EXPECT_FAILS(run({"completion"}), 2, "SHELL");
    EXPECT_FAILS(run({"completion", "tcsh"}), 2, "tcsh", "bash");
}
