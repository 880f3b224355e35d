// Filters, window statistics and reductions, and the adjoints of the first two.
#include <iterator>
#include <random>

#include "digest.h"
#include "make_case.h"

namespace {

constexpr int threads = 2;

oracle::Image noise(int64_t n, int64_t c, int64_t h, int64_t w, uint32_t seed) {
    std::mt19937 random(seed);
    oracle::Image image(n, c, h, w);
    for (double &value : image.v) value = random() / 2147483648.0 - 1;
    return image;
}
oracle::Image noise(const Shape &s, uint32_t seed) { return noise(s.n, s.c, s.h, s.w, seed); }

Tensor tensor(Device &device, Layout layout, pxl_dtype dtype, const Shape &s) {
    return Tensor(device, layout, dtype, s.n, s.c, s.h, s.w);
}

// ---- Filters ------------------------------------------------------------------------------------

struct FilterCase {
    pxl_filter filter;
    Shape shape;
    pxl_dtype dtype;
    Layout layout;
};

std::string name_of(const FilterCase &test) {
    static const char *const kinds[] = {"sobel", "laplacian", "blur", "box"};
    static const char *const borders[] = {"default", "valid", "zero", "reflect", "replicate", "symmetric"};
    const pxl_filter &filter = test.filter;
    std::string text = std::string(kinds[filter.kind]) + ' ' + borders[filter.border];
    if (filter.neighbours) text += " neighbours " + std::to_string(filter.neighbours);
    if (filter.window) text += " window " + std::to_string(filter.window);
    if (filter.sigma > 0) text += " sigma " + std::to_string(filter.sigma);
    return text + " on " + name_of(test.shape) + ' ' + dtype_name(test.dtype) + ' ' + layout_name(test.layout);
}

int taps_of(const pxl_filter &filter) {
    if (filter.kind == PXL_FILTER_SOBEL || filter.kind == PXL_FILTER_LAPLACIAN) return 3;
    return filter.window ? filter.window : oracle::default_taps(filter.sigma);
}

Shape filtered(const pxl_filter &filter, Shape shape) {
    const pxl_border border = filter.border ? filter.border : PXL_ZERO;
    if (filter.kind == PXL_FILTER_SOBEL) shape.c *= 2;
    shape.h = oracle::filtered_size(shape.h, taps_of(filter), border);
    shape.w = oracle::filtered_size(shape.w, taps_of(filter), border);
    return shape;
}

// The filtered image counts as values, the adjoint's result as a gradient.
Result filter(Device &device, const FilterCase &test) {
    const pxl_filter &how = test.filter;
    const Shape outputs = filtered(how, test.shape);
    Tensor input = tensor(device, test.layout, test.dtype, test.shape);
    Tensor output = tensor(device, test.layout, test.dtype, outputs);
    Tensor grad_output = tensor(device, test.layout, test.dtype, outputs);
    Tensor grad_input = tensor(device, test.layout, test.dtype, test.shape);
    input.set(noise(test.shape, 1));
    grad_output.set(noise(outputs, 2));
    pxl_context *context = context_of(device, threads);
    Result result;
    size_t bytes = 0;
    result.status = pxl_filter_workspace_size(context, &how, input.view(), output.view(), &bytes);
    if (result.status) return result;
    DeviceBuffer workspace(device, bytes, 16);
    result.status = pxl_filter_apply(context, &how, input.view(), output.view(), workspace.data(), bytes, nullptr);
    if (result.status) return result;
    result.status = pxl_filter_adjoint(context, &how, grad_output.view(), grad_input.view(), workspace.data(), bytes, nullptr);
    result.values.add(output.element_bytes());
    result.images.add(grad_input.element_bytes());
    result.damaged = !output.fences_intact() || !grad_input.fences_intact() || !workspace.fences_intact();
    return result;
}

pxl_filter make_filter(pxl_filter_kind kind, pxl_border border, int neighbours, int window, double sigma) {
    pxl_filter filter = PXL_FILTER(kind);
    filter.border = border;
    filter.neighbours = neighbours;
    filter.window = window;
    filter.sigma = sigma;
    return filter;
}

std::vector<pxl_filter> filters() {
    std::vector<pxl_filter> list;
    for (const pxl_border border : {PXL_BORDER_DEFAULT, PXL_VALID, PXL_ZERO, PXL_REFLECT, PXL_REPLICATE, PXL_SYMMETRIC}) {
        list.push_back(make_filter(PXL_FILTER_SOBEL, border, 0, 0, 0));
        for (const int neighbours : {0, 4, 8}) list.push_back(make_filter(PXL_FILTER_LAPLACIAN, border, neighbours, 0, 0));
        for (const int window : {0, 1, 3, 15, 33, 35, 101})
            list.push_back(make_filter(PXL_FILTER_BLUR, border, 0, window, 0.7 + window / 6.0));
        for (const int window : {1, 3, 7, 35}) list.push_back(make_filter(PXL_FILTER_BOX, border, 0, window, 0));
    }
    for (const int window : {2, 4, 10, 34}) {
        list.push_back(make_filter(PXL_FILTER_BLUR, PXL_VALID, 0, window, 0.3 * window));
        list.push_back(make_filter(PXL_FILTER_BOX, PXL_VALID, 0, window, 0));
    }
    return list;
}

} // namespace

void add_filters(Digest &digest) {
    const Shape shapes[] = {{1, 1, 1, 1}, {2, 3, 1, 9}, {1, 2, 7, 5}, {2, 3, 37, 36}, {1, 1, 3, 150}, {1, 1, 130, 4}};
    for (const pxl_filter &how : filters())
        for (const Shape &shape : shapes)
            for (const pxl_dtype dtype : floating_types) {
                const Shape outputs = filtered(how, shape);
                if (outputs.h < 1 || outputs.w < 1) continue; // refused
                FilterCase test = {how, shape, dtype, Layout::nchw};
                test.layout = all_layouts[number_of(name_of(test)) % std::size(all_layouts)];
                digest.add(name_of(test), [&](Device &device) { return filter(device, test); });
            }
}

// ---- Statistics ---------------------------------------------------------------------------------

namespace {

struct StatisticsCase {
    pxl_term term;
    Shape shape;
    pxl_dtype dtype;
    Layout layout;
    bool grad_pred, grad_target;
};

std::string name_of(const StatisticsCase &test) {
    const std::string wanted = std::string(test.grad_pred ? " grad_pred" : "") + (test.grad_target ? " grad_target" : "");
    return expression(test.term) + " on " + name_of(test.shape) + ' ' + dtype_name(test.dtype) + ' ' + layout_name(test.layout) +
           wanted;
}

Shape statistics_shape(const StatisticsCase &test) {
    const oracle::Term term = oracle::resolve(test.term);
    const Shape &s = test.shape;
    return {s.n, 5 * s.c, oracle::axis_of_rows(term, s.h).outputs, oracle::axis_of_columns(term, s.w).outputs};
}

class StatisticsCall {
  public:
    StatisticsCall(Device &device, const StatisticsCase &test)
        : test_(test),
          context_(context_of(device, threads)),
          pred_(tensor(device, test.layout, test.dtype, test.shape)),
          target_(tensor(device, Layout::nchw, test.dtype, test.shape)),
          statistics_(maps(device)),
          grad_statistics_(maps(device)),
          grad_pred_(tensor(device, test.layout, test.dtype, test.shape)),
          grad_target_(tensor(device, test.layout, test.dtype, test.shape)) {
        pred_.set(noise(test.shape, 3));
        target_.set(noise(test.shape, 4));
        grad_statistics_.set(noise(statistics_shape(test), 5));
        result_.status = pxl_ssim_statistics_workspace_size(context_, &test_.term, pred_.view(), target_.view(), &bytes_);
        workspace_ = std::make_unique<DeviceBuffer>(device, bytes_, 16);
    }

    Result compute() {
        if (!result_.status) forward();
        if (!result_.status) adjoint();
        for (const Tensor *output : {&statistics_, &grad_pred_, &grad_target_})
            if (!output->fences_intact()) result_.damaged = true;
        if (!workspace_->fences_intact()) result_.damaged = true;
        return result_;
    }

  private:
    Tensor maps(Device &device) const {
        const pxl_dtype dtype = test_.dtype == PXL_F64 ? PXL_F64 : PXL_F32;
        return tensor(device, test_.layout, dtype, statistics_shape(test_));
    }
    void forward() {
        result_.status = pxl_ssim_statistics(context_, &test_.term, pred_.view(), target_.view(), statistics_.view(),
                                             workspace_->data(), bytes_, nullptr);
        result_.values.add(statistics_.element_bytes());
    }
    void adjoint() {
        result_.status =
            pxl_ssim_statistics_adjoint(context_, &test_.term, pred_.view(), target_.view(), grad_statistics_.view(),
                                        test_.grad_pred ? grad_pred_.view() : nullptr,
                                        test_.grad_target ? grad_target_.view() : nullptr, workspace_->data(), bytes_, nullptr);
        result_.images.add(grad_pred_.element_bytes());
        result_.images.add(grad_target_.element_bytes());
    }

    StatisticsCase test_;
    pxl_context *context_;
    Tensor pred_, target_, statistics_, grad_statistics_, grad_pred_, grad_target_;
    size_t bytes_ = 0;
    std::unique_ptr<DeviceBuffer> workspace_;
    Result result_;
};

// The term with those fields alone that say which window.
pxl_term window_of(const pxl_term &term) {
    pxl_term how = PXL_TERM(PXL_SSIM, 1);
    how.window = term.window;
    how.sigma = term.sigma;
    how.uniform = term.uniform;
    how.border = term.border;
    how.sample_covariance = term.sample_covariance;
    how.preset = term.preset;
    return how;
}

void add_window(Digest &digest, const pxl_term &how) {
    for (const Shape &shape : {Shape{1, 1, 1, 1}, {2, 3, 1, 12}, {1, 2, 13, 9}, {2, 1, 35, 36}, {1, 1, 11, 150}})
        for (const pxl_dtype dtype : floating_types) {
            if (!oracle::fits(oracle::resolve(how), shape.h, shape.w)) continue; // refused
            StatisticsCase test = {how, shape, dtype, Layout::nchw, true, true};
            const uint32_t drawn = number_of(name_of(test));
            test.layout = all_layouts[drawn % std::size(all_layouts)];
            test.grad_pred = drawn / 8 % 4 != 1;
            test.grad_target = drawn / 8 % 4 != 2;
            digest.add(name_of(test), [&](Device &device) { return StatisticsCall(device, test).compute(); });
        }
}

} // namespace

void add_statistics(Digest &digest) {
    for (const std::string family : {"ssim", "presets"})
        for (const pxl_term &term : specs_of(family))
            if (oracle::resolve(term).downsample == 1 && term.kind == PXL_SSIM) add_window(digest, window_of(term));
}

// ---- Reductions ---------------------------------------------------------------------------------

namespace {

Result reduce(Device &device, pxl_reduce_kind kind, pxl_reduce_over over, const Tensor &input, size_t count) {
    pxl_context *context = context_of(device, threads);
    Result result;
    size_t bytes = 0;
    result.status = pxl_reduce_workspace_size(context, kind, over, input.view(), &bytes);
    if (result.status) return result;
    DeviceBuffer workspace(device, bytes, 16);
    const DeviceArray<double> sums(device, count);
    result.status = pxl_reduce(context, kind, over, input.view(), sums.data(), workspace.data(), bytes, nullptr);
    result.values.add(sums.get());
    result.damaged = !workspace.fences_intact() || !sums.fences_intact();
    return result;
}

oracle::Image values_of(pxl_dtype dtype, const Shape &shape) {
    oracle::Image image = noise(shape, 8);
    if (is_floating(dtype)) return image;
    for (double &value : image.v) value = static_cast<int>((value + 1) * 127);
    return image;
}

// All kinds over all, each image and each channel.
void add_reductions_of(Digest &digest, const Shape &shape, pxl_dtype dtype, Layout layout) {
    static const char *const kinds[] = {"sum", "mean", "min", "max", "l1", "l2"};
    static const char *const overs[] = {"all", "images", "channels"};
    const int64_t counts[] = {1, shape.n, shape.n * shape.c};
    const oracle::Image values = values_of(dtype, shape);
    const std::string images = " on " + name_of(shape) + ' ' + dtype_name(dtype) + ' ' + layout_name(layout);
    for (size_t kind = 0; kind < std::size(kinds); ++kind)
        for (size_t over = 0; over < std::size(overs); ++over)
            digest.add(std::string(kinds[kind]) + " over " + overs[over] + images, [&](Device &device) {
                Tensor input = tensor(device, layout, dtype, shape);
                input.set(values);
                return reduce(device, static_cast<pxl_reduce_kind>(kind), static_cast<pxl_reduce_over>(over), input,
                              static_cast<size_t>(counts[over]));
            });
}

} // namespace

void add_reductions(Digest &digest) {
    for (const pxl_dtype dtype : {PXL_F32, PXL_F64, PXL_F16, PXL_BF16, PXL_U8, PXL_U16})
        for (const Layout layout : {Layout::nchw, Layout::nhwc, Layout::flip})
            for (const Shape &shape : {Shape{2, 3, 17, 19}, {1, 2, 67, 131}, {3, 1, 1, 700}})
                add_reductions_of(digest, shape, dtype, layout);
}
