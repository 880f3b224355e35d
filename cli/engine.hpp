// The C API as C++ objects: what is created is destroyed, and a failure is an exception that carries the library's own message.
#pragma once
#include <pixloss/pixloss.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace cli {

// What the user typed cannot be meant: exit code 2. Every other exception is a failure at run time: exit code 1.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The library's own message, which knows arguments but no files.
struct LibraryError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void check(pxl_status status) {
    if (status == PXL_OUT_OF_MEMORY) throw std::bad_alloc();
    if (status != PXL_OK) throw LibraryError(pxl_error_message());
}

// Does the work; what the library says against it is said of the file that the image came from.
template <class Work>
auto naming(const std::string &file, const Work &work) {
    try {
        return work();
    } catch (const LibraryError &error) {
        throw std::runtime_error(file + ": " + error.what());
    }
}

struct Release {
    void operator()(pxl_loss *loss) const { pxl_loss_destroy(loss); }
    void operator()(pxl_context *context) const { pxl_context_destroy(context); }
    void operator()(void *memory) const { std::free(memory); }
};
using Context = std::unique_ptr<pxl_context, Release>;
using Loss = std::unique_ptr<pxl_loss, Release>;

inline Context make_context(int threads = 0) {
    pxl_context *context = nullptr;
    check(pxl_context_create(PXL_CPU_DEVICE, threads, &context));
    return Context(context);
}

// `where` names the argument that holds the expression, for the message.
inline Loss parse_loss(const std::string &expression, const std::string &where = "--loss") {
    pxl_loss *loss = nullptr;
    pxl_status status = pxl_loss_parse(expression.c_str(), nullptr, &loss);
    if (status == PXL_OUT_OF_MEMORY) throw std::bad_alloc();
    if (status != PXL_OK) throw UsageError(where + " '" + expression + "': " + pxl_error_message());
    return Loss(loss);
}

// Memory of the alignment that suits vector loads and streaming stores.
class Workspace {
  public:
    explicit Workspace(size_t bytes = 0) : bytes_(bytes), memory_(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) {
        if (!memory_) throw std::bad_alloc();
    }
    void *data() const { return memory_.get(); }
    size_t bytes() const { return bytes_; }

  private:
    size_t bytes_;
    std::unique_ptr<void, Release> memory_;
};

// One loss on one set of tensors, ready to be run any number of times. The tensors and the loss must outlive it.
class Evaluator {
  public:
    Evaluator(pxl_context *context, const pxl_loss *loss, const pxl_args &args) : context_(context), loss_(loss), args_(args) {
        values_.resize(1 + pxl_loss_term_count(loss));
        if (!args_.values) args_.values = values_.data();
        size_t bytes = 0;
        check(pxl_workspace_size(context_, loss_, &args_, &bytes));
        workspace_ = Workspace(bytes);
        check(pxl_workspace_init(context_, loss_, &args_, workspace_.data(), bytes, nullptr));
    }
    Evaluator(const Evaluator &) = delete;
    Evaluator &operator=(const Evaluator &) = delete;

    // The weighted total, then each term's value.
    const std::vector<double> &run() {
        check(pxl_evaluate(context_, loss_, &args_, workspace_.data(), workspace_.bytes(), nullptr));
        return values_;
    }

  private:
    pxl_context *context_;
    const pxl_loss *loss_;
    pxl_args args_;
    std::vector<double> values_;
    Workspace workspace_;
};

// A linear filter and its adjoint, for tensors of these sizes.
class Filter {
  public:
    Filter(pxl_context *context, const pxl_filter &filter, const pxl_tensor &input, const pxl_tensor &output)
        : context_(context), filter_(filter) {
        size_t bytes = 0;
        check(pxl_filter_workspace_size(context_, &filter_, &input, &output, &bytes));
        workspace_ = Workspace(bytes);
    }
    void apply(const pxl_tensor &input, const pxl_tensor &output) {
        check(pxl_filter_apply(context_, &filter_, &input, &output, workspace_.data(), workspace_.bytes(), nullptr));
    }
    void adjoint(const pxl_tensor &grad_output, const pxl_tensor &grad_input) {
        check(pxl_filter_adjoint(context_, &filter_, &grad_output, &grad_input, workspace_.data(), workspace_.bytes(), nullptr));
    }

  private:
    pxl_context *context_;
    pxl_filter filter_;
    Workspace workspace_;
};

} // namespace cli
