// Runs the program and keeps what it said.
#pragma once
#include <string>
#include <vector>

inline const std::string coffee = PIXLOSS_EXAMPLES "/coffee.png"; // an image to run it on

struct Outcome {
    int exit_code; // -1 when a signal ended it
    std::string out, err;
};
Outcome run(const std::vector<std::string> &arguments);
// As `run`, with standard output going to `path`.
Outcome run_into(const std::string &path, const std::vector<std::string> &arguments);
// As `run`, with standard input coming from the file `path`, or from a pipe that gives `bytes`.
Outcome run_with_input(const std::string &path, const std::vector<std::string> &arguments);
Outcome run_piped(const std::string &bytes, const std::vector<std::string> &arguments);
// As `run`, where standard input and standard error are a terminal; it ends lines by \r\n.
Outcome run_at_terminal(const std::vector<std::string> &arguments);

// A fresh folder for one test, removed with everything in it.
class Folder {
  public:
    Folder();
    ~Folder();
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }
    std::vector<std::string> names() const; // sorted
    const std::string &path() const { return path_; }

  private:
    std::string path_;
};

std::string read_file(const std::string &path);
void write_file(const std::string &path, const std::string &bytes);

// A failure leaves standard output empty and says `words` on standard error. Use with EXPECT_PRED-free macros for a clear
// message.
#define EXPECT_FAILS(outcome, code, ...)                                                                           \
    do {                                                                                                           \
        const Outcome outcome_ = (outcome);                                                                        \
        EXPECT_EQ(outcome_.exit_code, code) << outcome_.err;                                                       \
        EXPECT_EQ(outcome_.out, "");                                                                               \
        EXPECT_EQ(outcome_.err.rfind("pixloss: ", 0), 0u) << outcome_.err;                                         \
        for (const std::string &word_ : std::vector<std::string>{__VA_ARGS__})                                     \
            EXPECT_NE(outcome_.err.find(word_), std::string::npos) << "no '" << word_ << "' in: " << outcome_.err; \
    } while (0)
