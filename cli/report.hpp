// What the commands print and write: tables, a progress bar, files that appear whole or not at all.
#pragma once
#include <string>
#include <vector>

namespace cli {

// printf into a string.
std::string format(const char *format, ...) __attribute__((format(printf, 1, 2)));
// "inf" and "nan" by name.
std::string number(double value, int digits = 9);
// Of one value at least, none of them NaN.
double median(std::vector<double> values);

// "a, b and c"; of many the first ones and the number of the others.
std::string listed(const std::vector<std::string> &names);

// For a terminal: control characters, which a file's name may have, show as ?.
std::string printable(std::string text);

// Of a path.
std::string base_name(const std::string &path);

// Columns as wide as their widest cell; the first is aligned to the left, the others to the right.
class Table {
  public:
    explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
    void row(std::vector<std::string> cells);
    std::string text() const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

// To standard output, all at once, so that nothing is printed by a command that fails. Throws if it cannot be written.
void print(const std::string &text);

// A bar on standard error while a loop runs, if that is a terminal; otherwise one line when it is done.
class Progress {
  public:
    Progress(std::string label, int total);
    ~Progress(); // clears the bar of a loop that was left early
    void update(int done, const std::string &note);
    void clear(); // before something else is printed; the next `update` draws it again
    void finish(const std::string &note);

  private:
    std::string label_;
    int total_, percent_ = -1;
    bool terminal_, open_ = false;
};

// A file to be written: made under a temporary name beside it, and given its own name when it is complete.
class OutputFile {
  public:
    // Throws, naming the path, unless the file can be made there. Leaves nothing behind until `write`.
    explicit OutputFile(const std::string &path);
    OutputFile(const OutputFile &) = delete;
    OutputFile &operator=(const OutputFile &) = delete;
    ~OutputFile(); // removes what was written but not committed
    void write(const std::vector<unsigned char> &bytes);
    void commit();
    const std::string &path() const { return path_; }

  private:
    [[noreturn]] void fail(int error) const;
    int open_temporary() const;

    std::string path_, target_, temporary_;
    bool written_ = false;
};

// For the name given with `option`: a usage error unless it ends in .png.
void check_png_name(const std::string &option, const std::string &path);
// Throws if `output`, which may not exist yet, is the file `input`, under whatever name.
void check_not_input(const std::string &option, const std::string &output, const std::string &input);

} // namespace cli
