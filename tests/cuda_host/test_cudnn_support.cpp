#include <cmath>

#include "test_cudnn.h"

namespace cudnn_test {
namespace {

cuda_host::Number number_of(cudnnDataType_t type) {
    return type == CUDNN_DATA_FLOAT  ? cuda_host::Number::f32
           : type == CUDNN_DATA_HALF ? cuda_host::Number::f16
                                     : cuda_host::Number::bf16;
}

size_t size_of(const TensorSpec &spec) {
    int64_t last = 0;
    for (size_t i = 0; i < 4; ++i) last += (spec.dims[i] - 1) * spec.strides[i];
    return static_cast<size_t>(last + 1) * cuda_host::bytes_of(number_of(spec.type));
}

// at(n, c, h, w), in that order.
template <class At>
void for_each(const Dims &dims, At at) {
    for (int64_t n = 0; n < dims[0]; ++n)
        for (int64_t c = 0; c < dims[1]; ++c)
            for (int64_t h = 0; h < dims[2]; ++h)
                for (int64_t w = 0; w < dims[3]; ++w) at(n, c, h, w);
}

int64_t offset(const TensorSpec &spec, int64_t n, int64_t c, int64_t h, int64_t w) {
    return n * spec.strides[0] + c * spec.strides[1] + h * spec.strides[2] + w * spec.strides[3];
}

// Of a value that is broadcast.
double value_at(const Data &data, int64_t n, int64_t c, int64_t h, int64_t w) {
    const Dims &d = data.spec.dims;
    const int64_t i = d[0] == 1 ? 0 : n, j = d[1] == 1 ? 0 : c, y = d[2] == 1 ? 0 : h, x = d[3] == 1 ? 0 : w;
    return data.values[static_cast<size_t>(((i * d[1] + j) * d[2] + y) * d[3] + x)];
}

Dims response_dims(const Problem &p) {
    return {p.image[0], p.outputs, p.image[2] + p.pre[0] + p.post[0] - p.rows + 1,
            p.image[3] + p.pre[1] + p.post[1] - p.columns + 1};
}

bool is_inside(const Dims &dims, int64_t h, int64_t w) { return h >= 0 && h < dims[2] && w >= 0 && w < dims[3]; }

// By the definition: the sum over c (k of a gradient), r, s.
double convolve_at(const Problem &p, const Data &in, const Data &weights, int64_t n, int64_t k, int64_t h, int64_t w) {
    double sum = 0;
    for (int64_t c = 0; c < in.spec.dims[1]; ++c)
        for (int64_t r = 0; r < p.rows; ++r)
            for (int64_t s = 0; s < p.columns; ++s) {
                const int64_t y = p.backward ? h + p.pre[0] - r : h - p.pre[0] + r,
                              x = p.backward ? w + p.pre[1] - s : w - p.pre[1] + s;
                if (!is_inside(in.spec.dims, y, x)) continue;
                sum += value_at(in, n, c, y, x) * (p.backward ? value_at(weights, c, k, r, s) : value_at(weights, k, c, r, s));
            }
    return sum;
}

bool has_operand(Step step) { return step != Step::relu && step != Step::relu_loses_nan && step != Step::leaky_relu; }

cudnnPointwiseMode_t mode_of(Step step) {
    if (!has_operand(step)) return CUDNN_POINTWISE_RELU_FWD;
    return step == Step::relu_gradient ? CUDNN_POINTWISE_RELU_BWD : CUDNN_POINTWISE_ADD;
}

double apply(Step step, double x, double other) {
    if (mode_of(step) == CUDNN_POINTWISE_ADD) return x + other;
    if (step == Step::relu_gradient) return other > 0 ? x : 0;
    if (std::isnan(x)) return step == Step::relu_loses_nan ? 0 : x;
    return x > 0 ? x : step == Step::leaky_relu ? static_cast<double>(leaky_slope) * x : 0;
}

} // namespace

Dims strides_of(Layout layout, const Dims &dims) {
    if (layout == Layout::nchw) return {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
    const int64_t more = layout == Layout::cropped ? 3 : 0, pixel = dims[1] + more, row = (dims[3] + more) * pixel;
    return {(dims[2] + more) * row, 1, row, pixel};
}

Owned tensor(const TensorSpec &spec, int without) {
    auto d = std::make_unique<Descriptor>(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    const auto is_wanted = [=](int name) { return name != without; };
    if (is_wanted(CUDNN_ATTR_TENSOR_UNIQUE_ID)) d->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, spec.uid);
    if (is_wanted(CUDNN_ATTR_TENSOR_DATA_TYPE)) d->set(CUDNN_ATTR_TENSOR_DATA_TYPE, spec.type);
    if (is_wanted(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)) d->set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, spec.alignment);
    const std::vector<int64_t> dims(spec.dims.begin(), spec.dims.end()), strides(spec.strides.begin(), spec.strides.end());
    if (is_wanted(CUDNN_ATTR_TENSOR_DIMENSIONS)) d->set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims);
    if (is_wanted(CUDNN_ATTR_TENSOR_STRIDES)) d->set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides);
    const bool is_virtual = spec.is_virtual;
    if (is_virtual) cudnnBackendSetAttribute(*d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    return d;
}

Owned finished(Owned descriptor) {
    EXPECT_EQ(descriptor->finalize(), success);
    return descriptor;
}

Owned convolution(std::vector<int64_t> pre, std::vector<int64_t> post, int without) {
    auto d = std::make_unique<Descriptor>(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const auto is_wanted = [=](int name) { return name != without; };
    const std::vector<int64_t> ones = {1, 1};
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_COMP_TYPE)) d->set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_CONV_MODE))
        d->set<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, {CUDNN_CROSS_CORRELATION});
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS)) d->set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t{2});
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_DILATIONS)) d->set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, ones);
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)) d->set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, ones);
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)) d->set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, pre);
    if (is_wanted(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)) d->set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, post);
    return d;
}

Owned pointwise(cudnnPointwiseMode_t mode, bool propagates_nan, int without) {
    auto d = std::make_unique<Descriptor>(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    if (without != CUDNN_ATTR_POINTWISE_MODE)
        d->set<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, {mode});
    if (without != CUDNN_ATTR_POINTWISE_MATH_PREC) d->set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
    const int32_t nan = propagates_nan;
    if (mode == CUDNN_POINTWISE_RELU_FWD)
        d->set<int32_t>(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, {nan});
    return d;
}

Owned operation(bool backward, const Descriptor &convolution, const Descriptor &image, const Descriptor &weights,
                const Descriptor &response, int without) {
    auto d = std::make_unique<Descriptor>(backward ? CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR
                                                   : CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    const auto set = [&](Name forward_name, Name backward_name, const auto &value) {
        const Name name = backward ? backward_name : forward_name;
        EXPECT_EQ(name == without ? success : d->set(name, value), success);
    };
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f);
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f);
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, convolution);
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, image);
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, weights);
    set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, response);
    return d;
}

Data Graph::make(int64_t uid, const Dims &dims, cudnnDataType_t type, double scale) {
    Data data{{uid, dims, strides_of(problem_.layout, dims), type, false, 4}, {}, nullptr};
    data.spec.alignment = static_cast<int64_t>(cuda_host::bytes_of(number_of(type)));
    std::vector<char> bytes(size_of(data.spec), '\xff'); // what lies between is NaN
    for_each(dims, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        random_ = random_ * 1664525u + 1013904223u;
        const float value = static_cast<float>(scale * (static_cast<double>(random_ >> 8) / (1 << 23) - 1));
        cuda_host::store(number_of(type), bytes.data(), offset(data.spec, n, c, h, w), value);
        data.values.push_back(static_cast<double>(cuda_host::load(number_of(type), bytes.data(), offset(data.spec, n, c, h, w))));
    });
    data.memory = std::make_unique<Buffer<char>>(bytes);
    return data;
}

void Graph::add_step(size_t i, Step step, const TensorSpec &in, const TensorSpec &out) {
    const auto keep = [this](Owned d) -> const Descriptor & { return *descriptors_.emplace_back(std::move(d)); };
    const Descriptor &input = keep(finished(tensor(in))), &output = keep(finished(tensor(out)));
    const Descriptor &settings = keep(pointwise(mode_of(step), step == Step::relu));
    const float slope = step == Step::leaky_relu ? leaky_slope : 0;
    EXPECT_EQ(settings.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, slope), success);
    EXPECT_EQ(settings.finalize(), success);
    const Descriptor &d = keep(std::make_unique<Descriptor>(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
    const bool is_gradient = step == Step::relu_gradient;
    EXPECT_EQ(d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, settings), success);
    EXPECT_EQ(d.set(is_gradient ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_XDESC, input), success);
    EXPECT_EQ(d.set(is_gradient ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC, output), success);
    if (has_operand(step)) {
        const bool is_bias = step == Step::bias || step == Step::bias_as_input;
        const Dims dims = is_bias ? Dims{1, out.dims[1], 1, 1} : out.dims;
        data_.push_back(make(10 + static_cast<int64_t>(i), dims, step == Step::bias ? CUDNN_DATA_FLOAT : problem_.type, 1));
        const Descriptor &other = keep(finished(tensor(data_.back().spec)));
        EXPECT_EQ(d.set(is_gradient ? CUDNN_ATTR_OPERATION_POINTWISE_XDESC : CUDNN_ATTR_OPERATION_POINTWISE_BDESC, other),
                  success);
    }
    EXPECT_EQ(d.finalize(), success);
    operations_.push_back(d);
}

Graph::Graph(cudnnHandle_t handle, const Problem &problem) : handle_(handle), problem_(problem) {
    const Problem &p = problem_;
    const Dims response = response_dims(p), result = p.backward ? p.image : response;
    data_.push_back(make(1, p.backward ? response : p.image, p.type, 1));
    data_.push_back(make(2, {p.outputs, p.image[1], p.rows, p.columns}, p.type, 0.5));
    data_.push_back(make(3, result, p.type, 0));
    const auto spec_after = [&](size_t i) { // what step i takes; after the last one the result
        TensorSpec spec = data_[2].spec;
        if (i == p.steps.size()) return spec;
        spec.uid = 100 + static_cast<int64_t>(i), spec.type = CUDNN_DATA_FLOAT, spec.is_virtual = true, spec.alignment = 4;
        return spec;
    };
    const auto keep = [this](Owned d) -> const Descriptor & { return *descriptors_.emplace_back(std::move(d)); };
    const Descriptor &in = keep(finished(tensor(data_[0].spec))), &weights = keep(finished(tensor(data_[1].spec)));
    const Descriptor &out = keep(finished(tensor(spec_after(0))));
    const Descriptor &settings = keep(finished(convolution({p.pre[0], p.pre[1]}, {p.post[0], p.post[1]})));
    operations_.push_back(keep(finished(operation(p.backward, settings, p.backward ? out : in, weights, p.backward ? in : out))));
    for (size_t i = 0; i < p.steps.size(); ++i) add_step(i, p.steps[i], spec_after(i), spec_after(i + 1));
    graph_ = std::make_unique<Descriptor>(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    EXPECT_EQ(graph_->set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle), success);
    EXPECT_EQ(graph_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations_), success);
    status = graph_->finalize();
    workspace_ = std::make_unique<Buffer<char>>(size_t{1} << 20);
}

Owned Graph::plan(int engine) const {
    const Descriptor e(CUDNN_BACKEND_ENGINE_DESCRIPTOR), configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    EXPECT_EQ(e.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, *graph_), success);
    EXPECT_EQ(e.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, int64_t{engine}), success);
    EXPECT_EQ(e.finalize(), success);
    EXPECT_EQ(configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, e), success);
    EXPECT_EQ(configuration.finalize(), success);
    auto d = std::make_unique<Descriptor>(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    EXPECT_EQ(d->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_), success);
    EXPECT_EQ(d->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration), success);
    return d;
}

std::vector<std::pair<int64_t, void *>> Graph::pointers() const {
    std::vector<std::pair<int64_t, void *>> all;
    for (const Data &data : data_) all.emplace_back(data.spec.uid, data.memory->data());
    return all;
}

Owned variant_pack(const std::vector<std::pair<int64_t, void *>> &pointers, void *workspace) {
    auto d = std::make_unique<Descriptor>(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    std::vector<int64_t> ids;
    std::vector<void *> data;
    for (const auto &[id, pointer] : pointers) ids.push_back(id), data.push_back(pointer);
    EXPECT_EQ(d->set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids), success);
    EXPECT_EQ(d->set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data), success);
    EXPECT_EQ(d->set<void *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace}), success);
    return d;
}

int64_t workspace_size(const Descriptor &plan) {
    int64_t size = 0, count = 0;
    EXPECT_EQ(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &size),
              success);
    EXPECT_EQ(count, 1);
    return size;
}

cudnnStatus_t Graph::run(int engine) const {
    const Owned plan = finished(this->plan(engine)), pack = finished(variant_pack(pointers(), workspace()));
    EXPECT_GT(workspace_size(*plan), 0);
    return cudnnBackendExecute(handle_, *plan, *pack);
}

std::vector<double> Graph::expected() const {
    std::vector<double> values;
    for_each(data_[2].spec.dims, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        double value = convolve_at(problem_, data_[0], data_[1], n, c, h, w);
        size_t other = 3;
        for (const Step step : problem_.steps)
            value = apply(step, value, has_operand(step) ? value_at(data_[other++], n, c, h, w) : 0);
        values.push_back(value);
    });
    return values;
}

std::vector<double> Graph::result() const {
    const Data &out = data_[2];
    const std::vector<char> bytes = out.memory->get();
    std::vector<double> values;
    for_each(out.spec.dims, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        values.push_back(
            static_cast<double>(cuda_host::load(number_of(out.spec.type), bytes.data(), offset(out.spec, n, c, h, w))));
    });
    return values;
}

// Of a sum in float, then half a unit in the last place of the type.
double Graph::tolerance(double expected) const {
    const double unit = problem_.type == CUDNN_DATA_FLOAT ? 0 : problem_.type == CUDNN_DATA_HALF ? 0x1p-11 : 0x1p-8;
    return 2e-5 + unit * 1.01 * std::abs(expected);
}

void Cudnn::TearDown() {
    cuda_host::set_cudnn_fusion(cuda_host::Fusion::on);
    const cuda_host::Counts now = cuda_host::counts();
    EXPECT_EQ(now.live_handles, before_.live_handles);
    EXPECT_EQ(now.live_descriptors, before_.live_descriptors);
    EXPECT_EQ(now.live_allocations, before_.live_allocations);
    EXPECT_EQ(now.live_streams + now.live_graphs, before_.live_streams + before_.live_graphs);
    cudaGetLastError();
}

} // namespace cudnn_test
