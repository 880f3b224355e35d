#include "report.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "engine.hpp"

namespace cli {

std::string format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    std::string text(size_t(std::vsnprintf(nullptr, 0, format, arguments)), '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

std::string number(double value, int digits) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return format("%.*g", digits, value);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

std::string listed(const std::vector<std::string> &names) {
    constexpr size_t most = 10;
    const size_t shown = names.size() > most + 1 ? most : names.size();
    std::string text;
    for (size_t i = 0; i < shown; i++) text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return text + (shown < names.size() ? format(" and %zu more", names.size() - shown) : "");
}

std::string base_name(const std::string &path) { return path.substr(path.find_last_of('/') + 1); }

std::string printable(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
    return text;
}

namespace {
// In characters of UTF-8.
size_t length_of(const std::string &text) {
    return size_t(std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}
} // namespace

void Table::row(std::vector<std::string> cells) {
    for (std::string &cell : cells) cell = printable(std::move(cell));
    rows_.push_back(std::move(cells));
}

std::string Table::text() const {
    std::vector<size_t> widths;
    for (const auto &row : rows_)
        for (size_t i = 0; i < row.size(); i++) {
            if (i == widths.size()) widths.push_back(0);
            widths[i] = std::max(widths[i], length_of(row[i]));
        }
    std::string text, rule;
    for (size_t i = 0; i < widths.size(); i++) rule += (i ? "  " : "") + std::string(widths[i], '-');
    for (size_t r = 0; r < rows_.size(); r++) {
        for (size_t i = 0; i < rows_[r].size(); i++) {
            const std::string space(widths[i] - length_of(rows_[r][i]), ' ');
            text += i == 0 ? rows_[r][i] + space : "  " + space + rows_[r][i];
        }
        text += "\n";
        if (r == 0) text += rule + "\n";
    }
    return text;
}

void print(const std::string &text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
        throw std::runtime_error(std::string("standard output: ") + std::strerror(errno));
}

Progress::Progress(std::string label, int total)
    : label_(std::move(label)), total_(total), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
    if (open_) std::fputs("\r\033[K", stderr);
    open_ = false, percent_ = -1;
}

void Progress::update(int done, const std::string &note) {
    const int percent = total_ > 0 ? int(100.0 * done / total_) : 100;
    if (!terminal_ || percent == percent_) return;
    percent_ = percent;
    open_ = true;
    const int width = 30, full = percent * width / 100;
    const std::string bar = std::string(size_t(full), '#') + std::string(size_t(width - full), '.');
    std::fprintf(stderr, "\r\033[K%s [%s] %3d %%  %s", label_.c_str(), bar.c_str(), percent, note.c_str());
    std::fflush(stderr);
}

void Progress::finish(const std::string &note) {
    clear();
    std::fprintf(stderr, "%s: %s\n", label_.c_str(), note.c_str());
}

OutputFile::OutputFile(const std::string &path) : path_(path) {
    namespace fs = std::filesystem;
    std::error_code error;
    const auto status = fs::status(path, error);
    if (fs::is_directory(status)) fail(EISDIR);
    // A device or a pipe cannot be replaced by a renamed file.
    if (fs::exists(status) && !fs::is_regular_file(status)) throw std::runtime_error(path + ": is not a regular file");
    target_ = fs::exists(status) ? fs::canonical(path, error).string() : path; // a link stays one
    if (error && fs::exists(status)) fail(error.value());
    if (fs::exists(status) && access(target_.c_str(), W_OK) != 0) fail(errno);
    temporary_ = target_ + format(".%ld.tmp", long(getpid()));
    close(open_temporary());
    unlink(temporary_.c_str());
}

OutputFile::~OutputFile() {
    if (written_) unlink(temporary_.c_str());
}

void OutputFile::fail(int error) const { throw std::runtime_error(path_ + ": cannot be written: " + std::strerror(error)); }

int OutputFile::open_temporary() const {
    const int file = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0) fail(errno);
    return file;
}

void OutputFile::write(const std::vector<unsigned char> &bytes) {
    const int file = open_temporary();
    written_ = true;
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            const int error = errno;
            close(file);
            fail(error);
        }
        done += size_t(count);
    }
    if (close(file) != 0) fail(errno);
}

void OutputFile::commit() {
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
    written_ = false;
}

void check_png_name(const std::string &option, const std::string &path) {
    const size_t length = path.size();
    if (length < 5 || path.compare(length - 4, 4, ".png") != 0)
        throw UsageError(option + " '" + path + "': the pictures are PNG, end it in .png");
}

void check_not_input(const std::string &option, const std::string &output, const std::string &input) {
    std::error_code error; // one that is missing is not the other
    if (std::filesystem::equivalent(output, input == standard_input ? "/dev/stdin" : input, error) && !error)
        throw std::runtime_error(option + ": " + output + " would be written over the input " + display_name(input) +
                                 "; choose another name");
}

} // namespace cli
