// The C API as C++ objects: what is created is destroyed, and a failure is an exception that carries the library's own message.
#pragma once
#include <pixloss/pixloss.hpp>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "device.hpp"

namespace cli {

// What the user typed cannot be meant: exit code 2. Every other exception is a failure at run time: exit code 1.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The library's own message, which knows arguments but no files.
struct LibraryError : std::runtime_error {
    explicit LibraryError(const std::string &message, pxl_status with = PXL_DEVICE_ERROR)
        : std::runtime_error(message), status(with) {}
    pxl_status status;
};

inline void check(pxl_status status) {
    if (status == PXL_OUT_OF_MEMORY) throw std::bad_alloc();
    if (status != PXL_OK) throw LibraryError(pxl_error_message(), status);
}

// What this build or machine cannot do, with whatever images.
struct Unsupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Does the work; what the library says against it is said of the file that the image came from, unless it is
// Unsupported, which is no fault of the file.
template <class Work>
auto naming(const std::string &file, const Work &work) {
    try {
        return work();
    } catch (const LibraryError &error) {
        if (error.status == PXL_UNSUPPORTED) throw Unsupported(error.what());
        throw std::runtime_error(display_name(file) + ": " + error.what());
    }
}

using Context = std::unique_ptr<pxl_context, pxl::Destroy>;
using Loss = std::unique_ptr<pxl_loss, pxl::Destroy>;
using Network = std::unique_ptr<pxl_network, pxl::Destroy>;

inline Context make_context(const Device &device, int threads = 0) {
    pxl_context *context = nullptr;
    check(pxl_context_create(device.id(), threads, &context));
    return Context(context);
}

// `where` names the argument that holds the expression, for the message.
inline Loss parse_loss(const std::string &expression, const std::string &where = "--loss", pxl_context *context = nullptr) {
    pxl_loss *loss = nullptr;
    pxl_status status = pxl_loss_parse(expression.c_str(), context, &loss);
    if (status == PXL_OUT_OF_MEMORY) throw std::bad_alloc();
    if (status != PXL_OK) throw UsageError(where + " '" + expression + "': " + pxl_error_message());
    return Loss(loss);
}

// One loss on one set of tensors of a device, ready to be run any number of times. The tensors and the loss must outlive it.
class Evaluator {
  public:
    Evaluator(Device &device, pxl_context *context, const pxl_loss *loss, const pxl_args &args)
        : device_(device), context_(context), loss_(loss), args_(args), values_(1 + pxl_loss_term_count(loss)) {
        args_.values = static_cast<double *>(device_values_.data());
        size_t bytes = 0;
        check(pxl_workspace_size(context_, loss_, &args_, &bytes));
        workspace_.reserve(bytes);
        check(pxl_workspace_init(context_, loss_, &args_, workspace_.data(), workspace_.bytes(), nullptr));
    }
    Evaluator(const Evaluator &) = delete;
    Evaluator &operator=(const Evaluator &) = delete;

    // Does not wait for a device that works by itself. What the first launch has kept of the target serves the others.
    void launch() {
        check(pxl_evaluate(context_, loss_, &args_, workspace_.data(), workspace_.bytes(), nullptr));
        if (args_.target_use == PXL_TARGET_KEEP) args_.target_use = PXL_TARGET_KEPT;
    }
    // The weighted total, then each term's value.
    const std::vector<double> &run() {
        launch();
        device_.download(values_.data(), device_values_.data(), values_.size() * sizeof(double));
        return values_;
    }

  private:
    Device &device_;
    pxl_context *context_;
    const pxl_loss *loss_;
    pxl_args args_;
    std::vector<double> values_;
    DeviceMemory device_values_{device_, values_.size() * sizeof(double)}, workspace_{device_, 0};
};

// A linear filter and its adjoint, for tensors of these sizes.
class Filter {
  public:
    Filter(Device &device, const pxl_filter &filter, const pxl_tensor &input, const pxl_tensor &output)
        : filter_(filter), workspace_(device, 0) {
        size_t bytes = 0;
        check(pxl_filter_workspace_size(nullptr, &filter_, &input, &output, &bytes));
        workspace_.reserve(bytes);
    }
    void apply(const pxl_tensor &input, const pxl_tensor &output) {
        check(pxl_filter_apply(nullptr, &filter_, &input, &output, workspace_.data(), workspace_.bytes(), nullptr));
    }
    void adjoint(const pxl_tensor &grad_output, const pxl_tensor &grad_input) {
        check(pxl_filter_adjoint(nullptr, &filter_, &grad_output, &grad_input, workspace_.data(), workspace_.bytes(), nullptr));
    }

  private:
    pxl_filter filter_;
    DeviceMemory workspace_;
};

} // namespace cli
