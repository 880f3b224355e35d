// `pixloss selftest` in its parts: selftest_terms.cpp lists what is computed, selftest_images.cpp makes images and lays them out,
// selftest_case.cpp and selftest_operators.cpp compute on both devices and compare, selftest.cpp counts and reports.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "device.hpp"
#include "engine.hpp"
#include "selftest_bounds.hpp"

namespace cli {

// A loss to test.
struct Subject {
    std::string group, expression;
    std::vector<Kind> kinds; // of its terms
    bool signs;              // needs images whose differences keep their sign; see selftest_bounds.hpp
};
std::vector<Subject> selftest_subjects();

using Size = std::array<int64_t, 4>; // N, C, H, W
inline int64_t elements(const Size &s) { return s[0] * s[1] * s[2] * s[3]; }
std::string size_name(const Size &size);

// Two images and a weight map as doubles, rounded to their type; where the weight is 0 both are NaN, if the type has one.
struct Pictures {
    Size size;
    pxl_dtype dtype;
    bool signs;
    std::vector<double> pred, target, weight; // weight: N x 1 x H x W, empty without a mask
};
Pictures make_pictures(const Size &size, pxl_dtype dtype, bool masked, bool signs);

enum class Layout { nchw, nhwc, crop };
constexpr Layout layouts[] = {Layout::nchw, Layout::nhwc, Layout::crop};
const char *layout_name(Layout layout);

// N x C x H x W elements on a device, in some layout; all else is 0xff, which is NaN in every floating-point type. The memory
// stays for the next use.
class Array {
  public:
    explicit Array(Device &device) : device_(device), memory_(device, 0) {}
    // Elements of 0xff: an output.
    void clear(const Size &size, pxl_dtype dtype, Layout layout);
    void put(const std::vector<double> &values, const Size &size, pxl_dtype dtype, Layout layout);
    // The elements, and their bytes. False if anything else has changed since `clear`.
    bool get(std::vector<double> &values);
    const std::vector<unsigned char> &bytes() const { return bytes_; } // since the last `get`
    const pxl_tensor &view() const { return view_; }

  private:
    void arrange(const Size &size, pxl_dtype dtype, Layout layout);
    template <class Visit>
    void each(const Visit &visit) const;

    Device &device_;
    DeviceMemory memory_;
    std::vector<unsigned char> bytes_;
    pxl_tensor view_{};
    int64_t origin_ = 0;
};

// Small arrays on a device: values, weights.
template <class T>
class Numbers {
  public:
    explicit Numbers(Device &device) : device_(device), memory_(device, 0) {}
    T *put(const std::vector<T> &values) {
        if (values.empty()) return nullptr;
        memory_.reserve(values.size() * sizeof(T));
        device_.upload(memory_.data(), values.data(), values.size() * sizeof(T));
        return static_cast<T *>(memory_.data());
    }
    void get(std::vector<T> &values) { device_.download(values.data(), memory_.data(), values.size() * sizeof(T)); }

  private:
    Device &device_;
    DeviceMemory memory_;
};

// What one comparison showed.
struct Finding {
    Errors errors;
    std::string condition; // "f16 2x3x33x29 nhwc, masked"
    std::string message;   // of a call that failed, or what else is wrong; empty: nothing
    bool pass() const { return message.empty() && errors.pass(); }
};

// The way in which a loss is run: where the images lie, what is wanted.
struct Delivery {
    Layout layout = Layout::nchw, grad_layout = Layout::nchw;
    bool grad_pred = false, grad_target = false;
    pxl_dtype grad_dtype = PXL_F32;
};
// What the results depend on besides the images.
struct Setting {
    bool per_image = false;
    std::vector<float> grad_loss, term_weights; // empty: not given
};
struct Result {
    std::vector<double> values, grad_pred, grad_target;
};

// Runs losses on one pair of images, on the device and in f64 on the CPU.
class Comparison {
  public:
    Comparison(Device &device, const Pictures &pictures);
    // `choice`, a number without meaning, chooses layouts, outputs and settings; `quick`: fewer of them. Nothing if the library
    // refuses such images for this loss in f64: they are smaller than the window, say.
    std::vector<Finding> run(const Subject &subject, uint64_t choice, bool quick);

  private:
    struct Problem;
    bool refer(const Problem &problem, Result &result) const;
    Finding compare(const Problem &problem, const Delivery &delivery, const Result &expected, double scale);
    pxl_status evaluate(const Problem &problem, const Delivery &delivery, const Setting &setting, std::vector<double> &values,
                        bool all_threads);

    Device &device_;
    const Pictures &pictures_;
    std::array<Array, 3> pred_, target_, weight_; // in every layout
    Array grad_pred_, grad_target_;
    Numbers<double> values_;
    Numbers<float> grad_loss_, term_weights_;
    DeviceMemory workspace_;
    Context one_thread_;
    bool threaded_; // the second run of each loss takes all of the CPU's threads
};

// Filters, statistics and reductions, in the way of Comparison; of the group's name and what was found.
struct OperatorFinding {
    std::string group, expression;
    Finding finding;
};
std::vector<OperatorFinding> compare_operators(Device &device, const Pictures &pictures, uint64_t choice);

} // namespace cli
