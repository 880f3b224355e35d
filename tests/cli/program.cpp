#include "program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

extern char **environ;

std::string read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string &path, const std::string &bytes) {
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

Folder::Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pixloss_cli_XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error(pattern + ": cannot be made");
    path_ = pattern;
}

Folder::~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
}

std::vector<std::string> Folder::names() const {
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(path_)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

namespace {

// Where a program's standard streams lead: paths, or for the input a descriptor.
struct Streams {
    std::string in = "/dev/null", out, err;
    int in_descriptor = -1;
};

pid_t spawn(const std::vector<std::string> &arguments, const Streams &streams) {
    std::vector<char *> argv{const_cast<char *>(PIXLOSS_PROGRAM)};
    for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (streams.in_descriptor >= 0)
        posix_spawn_file_actions_adddup2(&actions, streams.in_descriptor, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, streams.in.c_str(), O_RDONLY | O_NOCTTY, 0);
    const int mode = O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY;
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, streams.out.c_str(), mode, 0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, streams.err.c_str(), mode, 0600);
    pid_t child = 0;
    const int failed = posix_spawn(&child, PIXLOSS_PROGRAM, &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed) throw std::runtime_error(PIXLOSS_PROGRAM ": cannot be started");
    return child;
}

int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A terminal that nobody sits at: what a program writes to `path` can be read from `master`.
struct Terminal {
    Terminal() : master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        if (master < 0 || grantpt(master) || unlockpt(master)) throw std::runtime_error("no terminal can be made");
        path = ptsname(master);
    }
    ~Terminal() { close(master); }
    // Until no program has it open.
    std::string read_all() const {
        std::string text;
        char bytes[4096];
        for (ssize_t count; (count = read(master, bytes, sizeof bytes)) > 0;) text.append(bytes, size_t(count));
        return text;
    }
    int master;
    std::string path;
};

} // namespace

Outcome run(const std::vector<std::string> &arguments) { return run_with_input("/dev/null", arguments); }

Outcome run_with_input(const std::string &path, const std::vector<std::string> &arguments) {
    const Folder folder;
    const int code = wait_for(spawn(arguments, {path, folder / "out", folder / "err"}));
    return {code, read_file(folder / "out"), read_file(folder / "err")};
}

Outcome run_into(const std::string &path, const std::vector<std::string> &arguments) {
    const Folder folder;
    const int code = wait_for(spawn(arguments, {"/dev/null", path, folder / "err"}));
    return {code, "", read_file(folder / "err")};
}

Outcome run_piped(const std::string &bytes, const std::vector<std::string> &arguments) {
    const Folder folder;
    signal(SIGPIPE, SIG_IGN); // a program that has seen enough is no error here
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) throw std::runtime_error("no pipe can be made");
    const pid_t child = spawn(arguments, {"", folder / "out", folder / "err", ends[0]});
    close(ends[0]);
    size_t done = 0;
    for (ssize_t count; done < bytes.size() && (count = write(ends[1], &bytes[done], bytes.size() - done)) > 0;)
        done += size_t(count);
    close(ends[1]);
    const int code = wait_for(child);
    return {code, read_file(folder / "out"), read_file(folder / "err")};
}

Outcome run_at_terminal(const std::vector<std::string> &arguments) {
    const Folder folder;
    const Terminal terminal;
    const pid_t child = spawn(arguments, {terminal.path, folder / "out", terminal.path});
    const std::string seen = terminal.read_all();
    const int code = wait_for(child);
    return {code, read_file(folder / "out"), seen};
}
