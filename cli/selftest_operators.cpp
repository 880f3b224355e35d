// The library's operators on one image: filters, statistics of windows, their adjoints, and reductions.
#include "element.hpp"
#include "report.hpp"
#include "selftest.hpp"

namespace cli {
namespace {

const char *const border_names[] = {"default", "valid", "zero", "reflect", "replicate", "symmetric"};

// Calls of one operator: its size and the work, on either device.
struct Call {
    std::function<pxl_status(size_t *)> size;
    std::function<pxl_status(void *, size_t)> work;
};
pxl_status run(Device &device, const Call &call) {
    size_t bytes = 0;
    if (const pxl_status status = call.size(&bytes)) return status;
    const DeviceMemory workspace(device, bytes);
    return call.work(workspace.data(), bytes);
}

class Operators {
  public:
    Operators(Device &device, const Pictures &pictures, uint64_t choice)
        : device_(device), pictures_(pictures), layout_(layouts[choice % 3]), other_layout_(layouts[choice / 3 % 3]) {}
    std::vector<OperatorFinding> run_all() {
        if (pictures_.weight.empty() && is_floating(pictures_.dtype)) filters(), statistics();
        if (pictures_.weight.empty()) reductions();
        return std::move(findings_);
    }

  private:
    // An array on the device, and the same numbers in f64.
    struct Both {
        Both(Device &device, const Size &s, pxl_dtype dtype, Layout layout, const std::vector<double> *values)
            : there(device), exact(cpu_device()), size(s) {
            if (values) there.put(*values, s, dtype, layout), exact.put(*values, s, PXL_F64, Layout::nchw);
            if (!values) there.clear(s, dtype, layout), exact.clear(s, PXL_F64, Layout::nchw);
        }
        Array there, exact;
        Size size;
    };
    // `make(first)`: the call on the device's arrays, or on the exact ones. False if it is refused in f64.
    template <class Make>
    bool compare(const std::string &group, const std::string &expression, const Make &make, const std::vector<Both *> &outputs) {
        const pxl_status exact = cli::run(cpu_device(), make(false));
        if (exact == PXL_INVALID_ARGUMENT) return false;
        check(exact);
        OperatorFinding result{group, expression, {{}, condition(), ""}};
        if (const pxl_status status = cli::run(device_, make(true))) {
            result.finding.message = std::string(pxl_status_name(status)) + ": " + pxl_error_message();
            if (status == PXL_DEVICE_ERROR) throw LibraryError(expression + ", " + condition() + ": " + result.finding.message);
        } else {
            for (Both *output : outputs) judge(*output, result.finding);
        }
        findings_.push_back(std::move(result));
        return true;
    }
    static void judge(Both &output, Finding &finding) {
        std::vector<double> actual, expected;
        if (!output.there.get(actual)) finding.message = "elements outside of the output's view were written";
        output.exact.get(expected);
        finding.errors.include({0, gradient_error(actual, expected, output.there.view().dtype)});
    }
    std::string condition() const {
        return std::string(dtype_name(pictures_.dtype)) + " " + size_name(pictures_.size) + " " + layout_name(layout_) + " to " +
               layout_name(other_layout_);
    }

    void filters() {
        pxl_filter laplacian = PXL_FILTER(PXL_FILTER_LAPLACIAN), eight = laplacian, blur = PXL_FILTER(PXL_FILTER_BLUR),
                   wide = blur, of_axes = blur, box = PXL_FILTER(PXL_FILTER_BOX), wide_box = box, flat_box = box;
        eight.neighbours = 8, blur.sigma = 1.5, wide.sigma = 5, wide.window = 41, box.window = 3, wide_box.window = 21;
        of_axes.sigma = 0.6, of_axes.sigma_x = 2, flat_box.window = 3, flat_box.window_x = 15;
        for (const int border : {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC}) {
            filter("filter sobel", PXL_FILTER(PXL_FILTER_SOBEL), border);
            for (const pxl_filter &each : {laplacian, eight}) filter("filter laplacian", each, border);
            for (const pxl_filter &each : {blur, wide, of_axes}) filter("filter blur", each, border);
            for (const pxl_filter &each : {box, wide_box, flat_box}) filter("filter box", each, border);
        }
    }
    static int taps_of(const pxl_filter &filter, int window, double sigma) {
        if (filter.kind == PXL_FILTER_BLUR && !window) return 2 * int(3.5 * sigma + 0.5) + 1;
        return window ? window : 3;
    }
    void filter(const std::string &group, pxl_filter filter, int border) {
        filter.border = pxl_border(border);
        const int down = taps_of(filter, filter.window, filter.sigma);
        const int along = taps_of(filter, filter.window_x ? filter.window_x : filter.window,
                                  filter.sigma_x > 0 ? filter.sigma_x : filter.sigma);
        const Size &in = pictures_.size;
        const bool crops = border == PXL_VALID;
        const Size out{in[0], in[1] * (filter.kind == PXL_FILTER_SOBEL ? 2 : 1), crops ? in[2] - down + 1 : in[2],
                       crops ? in[3] - along + 1 : in[3]};
        if (out[2] < 1 || out[3] < 1) return;
        const std::string taps = down == along ? format(" of %d taps, ", down) : format(" of %d:%d taps, ", down, along);
        const std::string name = group.substr(7) + taps + border_names[border];
        Both input(device_, in, pictures_.dtype, layout_, &pictures_.pred);
        Both output(device_, out, pictures_.dtype, other_layout_, nullptr);
        const auto size = [&](bool there) {
            return [&, there](size_t *bytes) {
                return pxl_filter_workspace_size(nullptr, &filter, &view(input, there), &view(output, there), bytes);
            };
        };
        const auto forward = [&](bool there) {
            return Call{size(there), [&, there](void *workspace, size_t bytes) {
                            return pxl_filter_apply(nullptr, &filter, &view(input, there), &view(output, there), workspace, bytes,
                                                    nullptr);
                        }};
        };
        if (!compare(group, name, forward, {&output})) return;
        const Pictures gradients = make_pictures(out, pictures_.dtype, false, true);
        output.there.put(gradients.pred, out, pictures_.dtype, other_layout_);
        output.exact.put(gradients.pred, out, PXL_F64, Layout::nchw);
        input.there.clear(in, pictures_.dtype, layout_), input.exact.clear(in, PXL_F64, Layout::nchw);
        const auto adjoint = [&](bool there) {
            return Call{size(there), [&, there](void *workspace, size_t bytes) {
                            return pxl_filter_adjoint(nullptr, &filter, &view(output, there), &view(input, there), workspace,
                                                      bytes, nullptr);
                        }};
        };
        compare(group, "adjoint of " + name, adjoint, {&input});
    }

    void statistics() {
        for (const int border : {PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC})
            for (const int window : {3, 11, 33}) {
                pxl_term term = PXL_TERM(PXL_SSIM, 1);
                term.border = pxl_border(border), term.window = window, term.sigma = window / 6.0;
                statistics(term, format("statistics of %d taps, ", window) + border_names[border]);
            }
    }
    void statistics(const pxl_term &term, const std::string &name) {
        const Size &in = pictures_.size;
        const int64_t crop = term.border == PXL_VALID ? term.window - 1 : 0;
        const Size out{in[0], 5 * in[1], in[2] - crop, in[3] - crop};
        if (out[2] < 1 || out[3] < 1) return;
        Both pred(device_, in, pictures_.dtype, layout_, &pictures_.pred),
            target(device_, in, pictures_.dtype, layout_, &pictures_.target);
        Both output(device_, out, PXL_F32, other_layout_, nullptr);
        Both grad_pred(device_, in, pictures_.dtype, other_layout_, nullptr), grad_target(device_, in, PXL_F32, layout_, nullptr);
        const auto size = [&](bool there) {
            return [&, there](size_t *bytes) {
                return pxl_ssim_statistics_workspace_size(nullptr, &term, &view(pred, there), &view(target, there), bytes);
            };
        };
        const auto forward = [&](bool there) {
            return Call{size(there), [&, there](void *workspace, size_t bytes) {
                            return pxl_ssim_statistics(nullptr, &term, &view(pred, there), &view(target, there),
                                                       &view(output, there), workspace, bytes, nullptr);
                        }};
        };
        if (!compare("statistics", name, forward, {&output})) return;
        const Pictures gradients = make_pictures(out, PXL_F32, false, true);
        output.there.put(gradients.pred, out, PXL_F32, other_layout_);
        output.exact.put(gradients.pred, out, PXL_F64, Layout::nchw);
        const auto adjoint = [&](bool there) {
            return Call{size(there), [&, there](void *workspace, size_t bytes) {
                            return pxl_ssim_statistics_adjoint(nullptr, &term, &view(pred, there), &view(target, there),
                                                               &view(output, there), &view(grad_pred, there),
                                                               &view(grad_target, there), workspace, bytes, nullptr);
                        }};
        };
        compare("statistics", "adjoint of " + name, adjoint, {&grad_pred, &grad_target});
    }

    void reductions() {
        static const char *const kinds[] = {"sum", "mean", "min", "max", "l1", "l2"};
        static const char *const overs[] = {"all", "image", "channel"};
        const Size &s = pictures_.size;
        const size_t counts[] = {1, size_t(s[0]), size_t(s[0] * s[1])};
        Both input(device_, s, pictures_.dtype, layout_, &pictures_.pred);
        for (int kind = PXL_REDUCE_SUM; kind <= PXL_REDUCE_L2; kind++)
            for (int over = PXL_OVER_ALL; over <= PXL_OVER_CHANNEL; over++) {
                Numbers<double> there(device_), exact(cpu_device());
                std::vector<double> actual(counts[over], -1), expected = actual;
                double *results[] = {exact.put(expected), there.put(actual)};
                const auto call = [&](bool on) {
                    return Call{[&, on](size_t *bytes) {
                                    return pxl_reduce_workspace_size(nullptr, pxl_reduce_kind(kind), pxl_reduce_over(over),
                                                                     &view(input, on), bytes);
                                },
                                [&, on](void *workspace, size_t bytes) {
                                    return pxl_reduce(nullptr, pxl_reduce_kind(kind), pxl_reduce_over(over), &view(input, on),
                                                      results[on], workspace, bytes, nullptr);
                                }};
                };
                if (!compare("reduce", std::string(kinds[kind]) + " over " + overs[over], call, {})) continue;
                there.get(actual), exact.get(expected);
                for (size_t i = 0; i < actual.size(); i++)
                    findings_.back().finding.errors.include({value_error(Kind::reduction, actual[i], expected[i]), 0});
            }
    }

    static const pxl_tensor &view(const Both &both, bool there) { return there ? both.there.view() : both.exact.view(); }

    Device &device_;
    const Pictures &pictures_;
    Layout layout_, other_layout_;
    std::vector<OperatorFinding> findings_;
};

} // namespace

std::vector<OperatorFinding> compare_operators(Device &device, const Pictures &pictures, uint64_t choice) {
    return Operators(device, pictures, choice).run_all();
}

} // namespace cli
