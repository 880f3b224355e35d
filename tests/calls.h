// Calls with few words: a network, a loss in it, images to compare.
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "pixloss/pixloss.h"

// Random weights, in a context as "n".
class Network {
  public:
    explicit Network(const char *architecture, int threads = 1) {
        EXPECT_EQ(pxl_context_create(PXL_CPU_DEVICE, threads, &context_), PXL_OK) << pxl_error_message();
        EXPECT_EQ(pxl_network_random(architecture, 5, &network_), PXL_OK) << pxl_error_message();
        EXPECT_EQ(pxl_context_add_network(context_, "n", network_), PXL_OK) << pxl_error_message();
    }
    ~Network() { pxl_network_destroy(network_), pxl_context_destroy(context_); }
    Network(const Network &) = delete;
    Network &operator=(const Network &) = delete;
    pxl_context *context() const { return context_; }
    pxl_network *get() const { return network_; }

  private:
    pxl_context *context_ = nullptr;
    pxl_network *network_ = nullptr;
};

class Loss {
  public:
    Loss(const char *expression, const Network &network) : context_(network.context()) {
        EXPECT_EQ(pxl_loss_parse(expression, context_, &loss_), PXL_OK) << pxl_error_message();
    }
    ~Loss() { pxl_loss_destroy(loss_); }
    Loss(const Loss &) = delete;
    Loss &operator=(const Loss &) = delete;
    pxl_context *context() const { return context_; }
    const pxl_loss *get() const { return loss_; }

  private:
    pxl_context *context_;
    pxl_loss *loss_ = nullptr;
};

struct Size {
    int64_t n, c, h, w;
};
// Both images, both gradients and the values of a loss.
class Images {
  public:
    Images(const Loss &loss, Size s) : loss_(loss), memory_(4 * static_cast<size_t>(s.n * s.c * s.h * s.w)) {
        for (size_t i = 0; i < memory_.size() / 2; ++i) memory_[i] = static_cast<float>(i * 37 % 101) / 101;
        for (size_t i = 0; i < 4; ++i)
            view_[i] = pxl_nchw(&memory_[i * memory_.size() / 4], PXL_F32, PXL_CPU_DEVICE, s.n, s.c, s.h, s.w);
        args_ = PXL_ARGS(&view_[0], &view_[1]);
        args_.grad_pred = &view_[2], args_.grad_target = &view_[3];
        values_.resize(1 + pxl_loss_term_count(loss.get()), -1);
        args_.values = values_.data();
    }
    pxl_status size() { return pxl_workspace_size(loss_.context(), loss_.get(), &args_, &bytes_); }
    void take_workspace(size_t bytes) { workspace_.resize((bytes_ = bytes) / sizeof(std::max_align_t) + 1); }
    pxl_status initialise() {
        take_workspace(bytes_);
        return pxl_workspace_init(loss_.context(), loss_.get(), &args_, workspace_.data(), bytes_, nullptr);
    }
    pxl_status evaluate() { return pxl_evaluate(loss_.context(), loss_.get(), &args_, workspace_.data(), bytes_, nullptr); }
    pxl_status all() {
        pxl_status status = size();
        if (!status) status = initialise();
        return status ? status : evaluate();
    }
    size_t bytes() const { return bytes_; }
    std::vector<double> &values() { return values_; }
    const std::vector<float> &memory() const { return memory_; }
    const pxl_tensor *pred() const { return &view_[0]; }

  private:
    const Loss &loss_;
    std::vector<float> memory_;
    pxl_tensor view_[4];
    pxl_args args_;
    std::vector<double> values_;
    std::vector<std::max_align_t> workspace_;
    size_t bytes_ = 0;
};

// A filter with its adjoint, statistics, a reduction, and what can be asked without a context.
struct Operators {
    std::vector<float> memory = std::vector<float>(8 * 3 * 31 * 29, 0.25f);
    pxl_tensor image = pxl_nchw(memory.data(), PXL_F32, PXL_CPU_DEVICE, 1, 3, 31, 29), output, statistics;
    std::vector<std::max_align_t> workspace = std::vector<std::max_align_t>(1 << 16);
    double results[3];
    size_t bytes = 0;
    Operators() {
        float *const after = memory.data() + 3 * 31 * 29;
        output = pxl_nchw(after, PXL_F32, PXL_CPU_DEVICE, 1, 3, 31, 29);
        statistics = pxl_nchw(after, PXL_F32, PXL_CPU_DEVICE, 1, 15, 31, 29);
    }
    pxl_status filter() {
        pxl_filter filter = PXL_FILTER(PXL_FILTER_BLUR);
        filter.sigma = 2;
        pxl_status status = pxl_filter_workspace_size(nullptr, &filter, &image, &output, &bytes);
        if (!status) status = pxl_filter_apply(nullptr, &filter, &image, &output, workspace.data(), bytes, nullptr);
        return status ? status : pxl_filter_adjoint(nullptr, &filter, &image, &output, workspace.data(), bytes, nullptr);
    }
    pxl_status statistic() {
        pxl_term term = PXL_TERM(PXL_SSIM, 1);
        term.border = PXL_ZERO;
        pxl_status status = pxl_ssim_statistics_workspace_size(nullptr, &term, &image, &image, &bytes);
        return status ? status
                      : pxl_ssim_statistics(nullptr, &term, &image, &image, &statistics, workspace.data(), bytes, nullptr);
    }
    pxl_status reduce() {
        const pxl_status status = pxl_reduce_workspace_size(nullptr, PXL_REDUCE_L2, PXL_OVER_CHANNEL, &image, &bytes);
        return status ? status
                      : pxl_reduce(nullptr, PXL_REDUCE_L2, PXL_OVER_CHANNEL, &image, results, workspace.data(), bytes, nullptr);
    }
    pxl_status questions() {
        char text[80];
        int count;
        const pxl_status status = pxl_device_count(PXL_CPU, &count);
        return status ? status : pxl_device_describe(PXL_CPU_DEVICE, text, sizeof text);
    }
};

// Why networks cannot be computed here; "": they can.
inline std::string why_no_networks() {
    const Network network("1:1");
    const Loss loss("features(net=n, layers=0)", network);
    Images images(loss, {1, 1, 1, 1});
    return images.size() == PXL_UNSUPPORTED ? pxl_error_message() : "";
}
#define SKIP_WITHOUT_NETWORKS()                       \
    do {                                              \
        const std::string reason = why_no_networks(); \
        if (!reason.empty()) GTEST_SKIP() << reason;  \
    } while (false)
#endif
