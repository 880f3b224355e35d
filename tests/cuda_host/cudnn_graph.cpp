// Operations, and graphs of them: one convolution, then a chain of pointwise operations, each on the result of the one before.
#include <algorithm>
#include <cfloat>

#include "cudnn_host.h"

namespace cuda_host::cudnn {
namespace {

constexpr cudnnStatus_t success = CUDNN_STATUS_SUCCESS, bad = CUDNN_STATUS_BAD_PARAM;
constexpr cudnnStatus_t unsupported_pattern = CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;

struct ConvolutionNames {
    Name alpha, beta, convolution, image, weights, response; // image: x or dx; response: y or dy
};
const ConvolutionNames forward_names = {
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
    CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
const ConvolutionNames backward_names = {
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY};

bool is_pointwise(const Descriptor &d) { return d.type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR; }
bool is_backward(const Descriptor &d) { return d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR; }
const ConvolutionNames &names_of(const Descriptor &d) { return is_backward(d) ? backward_names : forward_names; }
Tensor tensor_at(const Descriptor &d, Name name) { return tensor_of(descriptor_at(d, name)); }

std::array<int64_t, 2> paddings(const Descriptor &convolution, Name name) {
    const Attribute &attribute = convolution.attributes.at(name);
    return {attribute.at<int64_t>(0), attribute.at<int64_t>(1)};
}

cudnnStatus_t finalize_convolution(const Descriptor &d) {
    const ConvolutionNames &names = names_of(d);
    const Tensor image = tensor_at(d, names.image), weights = tensor_at(d, names.weights),
                 response = tensor_at(d, names.response);
    const Descriptor &convolution = descriptor_at(d, names.convolution);
    if (image.uid == weights.uid || image.uid == response.uid || weights.uid == response.uid)
        return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors of a convolution have one id");
    if (image.dims[0] != response.dims[0] || weights.dims[0] != response.dims[1] || image.dims[1] % weights.dims[1])
        return fail(bad, "batch or channels of a convolution's tensors do not agree");
    if (image.dims[1] != weights.dims[1]) return fail(CUDNN_STATUS_NOT_SUPPORTED, "groups are not here");
    const auto pre = paddings(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    const auto post = paddings(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    for (size_t i = 0; i < 2; ++i)
        if (response.dims[2 + i] != image.dims[2 + i] + pre[i] + post[i] - weights.dims[2 + i] + 1)
            return fail(bad, "height or width of a convolution's tensors do not agree");
    if (number_at(d, names.alpha, 0) != 1 || number_at(d, names.beta, 0) != 0)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "alpha is not 1 or beta not 0");
    return success;
}

cudnnPointwiseMode_t mode_of(const Descriptor &d) {
    return static_cast<cudnnPointwiseMode_t>(
        integer_at(descriptor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR), CUDNN_ATTR_POINTWISE_MODE));
}

// The operands of each mode, and no others.
cudnnStatus_t check_operands(const Descriptor &d) {
    const cudnnPointwiseMode_t mode = mode_of(d);
    const bool is_gradient = mode == CUDNN_POINTWISE_RELU_BWD;
    const bool right = has(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC) == (mode == CUDNN_POINTWISE_ADD) &&
                       has(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC) == !is_gradient &&
                       has(d, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC) == is_gradient &&
                       has(d, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC) == is_gradient;
    return right ? success : fail(bad, "X, B, Y for add; X, Y for relu; X, DY, DX for its gradient");
}

Name chain_name(const Descriptor &d) {
    return mode_of(d) == CUDNN_POINTWISE_RELU_BWD ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_XDESC;
}
Name out_name(const Descriptor &d) {
    return mode_of(d) == CUDNN_POINTWISE_RELU_BWD ? CUDNN_ATTR_OPERATION_POINTWISE_DXDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC;
}

cudnnStatus_t finalize_pointwise(const Descriptor &d) {
    const cudnnStatus_t status = check_operands(d);
    if (status != success) return status;
    const Tensor in = tensor_at(d, chain_name(d)), out = tensor_at(d, out_name(d));
    if (in.dims != out.dims) return fail(bad, "a pointwise operation's input and output differ in shape");
    if (in.uid == out.uid) return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "a pointwise operation in place");
    if (mode_of(d) == CUDNN_POINTWISE_RELU_BWD && tensor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC).dims != in.dims)
        return fail(bad, "X of a gradient differs in shape");
    if (mode_of(d) == CUDNN_POINTWISE_ADD)
        for (size_t i = 0; i < 4; ++i) {
            const int64_t b = tensor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC).dims[i];
            if (b != 1 && b != in.dims[i]) return fail(bad, "B is not of X's shape, nor 1 where it differs");
        }
    if (number_at(d, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, 1) != 1 ||
        number_at(d, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, 1) != 1)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "alpha1 or alpha2 is not 1");
    return success;
}

Pointwise pointwise_of(const Descriptor &d) {
    const Descriptor &settings = descriptor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    Pointwise result{};
    result.mode = mode_of(d);
    result.propagates_nan = integer_at(settings, CUDNN_ATTR_POINTWISE_NAN_PROPAGATION) == 1; // CUDNN_PROPAGATE_NAN
    result.lower_clip = static_cast<float>(number_at(settings, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0));
    result.upper_clip = static_cast<float>(number_at(settings, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, FLT_MAX));
    result.slope = static_cast<float>(number_at(settings, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0));
    if (result.mode == CUDNN_POINTWISE_ADD) result.other = tensor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    if (result.mode == CUDNN_POINTWISE_RELU_BWD) result.other = tensor_at(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
    result.out = tensor_at(d, out_name(d));
    return result;
}

void take_convolution(const Descriptor &d, Program &program) {
    const ConvolutionNames &names = names_of(d);
    const Descriptor &convolution = descriptor_at(d, names.convolution);
    program.backward_data = is_backward(d);
    program.pre_padding = paddings(convolution, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    program.post_padding = paddings(convolution, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS);
    program.weights = tensor_at(d, names.weights);
    program.in = tensor_at(d, program.backward_data ? names.response : names.image);
    program.convolved = tensor_at(d, program.backward_data ? names.image : names.response);
}

// The operations may come in any order: each follows the one whose result it takes.
cudnnStatus_t take_chain(std::vector<DescriptorPtr> operations, Program &program) {
    while (!operations.empty()) {
        const Tensor current = program.out();
        const auto next = std::find_if(operations.begin(), operations.end(),
                                       [&](const DescriptorPtr &d) { return tensor_at(*d, chain_name(*d)).uid == current.uid; });
        if (next == operations.end()) return fail(bad, "an operation is not connected to the others");
        if (!current.is_virtual) return fail(unsupported_pattern, "a result within the graph is not virtual");
        if (!(tensor_at(**next, chain_name(**next)) == current))
            return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors have one id");
        program.chain.push_back(pointwise_of(**next));
        operations.erase(next);
    }
    return success;
}

bool has_other(const Pointwise &p) { return p.mode != CUDNN_POINTWISE_RELU_FWD; }

cudnnStatus_t check_ids(const Program &program) {
    std::vector<Tensor> inputs = {program.in, program.weights}, results = {program.convolved};
    for (const Pointwise &p : program.chain) {
        if (has_other(p)) inputs.push_back(p.other);
        results.push_back(p.out);
    }
    for (const Tensor &in : inputs) {
        if (in.is_virtual) return fail(bad, "nothing computes a virtual tensor");
        for (const Tensor &other : inputs)
            if (in.uid == other.uid && !(in == other))
                return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors, one id");
    }
    for (size_t i = 0; i < results.size(); ++i) {
        for (size_t j = 0; j < inputs.size() + i; ++j)
            if (results[i].uid == (j < i ? results[j] : inputs[j - i]).uid)
                return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "two tensors have one id");
    }
    return program.out().is_virtual ? fail(bad, "the graph's result is virtual") : success;
}

// Does each element have a place of its own?
bool is_injective(const Tensor &tensor) {
    std::array<size_t, 4> order = {0, 1, 2, 3};
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tensor.strides[a] < tensor.strides[b]; });
    int64_t extent = 1;
    for (const size_t i : order) {
        if (tensor.dims[i] == 1) continue;
        if (tensor.strides[i] < extent) return false;
        extent += (tensor.dims[i] - 1) * tensor.strides[i];
    }
    return true;
}

cudnnStatus_t check_types(const Program &program) {
    const cudnnDataType_t io = program.in.type;
    const auto is_right = [io](const Tensor &tensor) { return tensor.type == io || tensor.type == CUDNN_DATA_FLOAT; };
    bool right = program.weights.type == io && is_right(program.convolved);
    for (const Pointwise &p : program.chain) right = right && is_right(p.out) && (!has_other(p) || is_right(p.other));
    if (!right) return fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "types other than the input's and float");
    if (!is_injective(program.out())) return fail(CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "elements of the result overlap");
    return success;
}

} // namespace

std::vector<const Tensor *> Program::tensors() const {
    std::vector<const Tensor *> all = {&in, &weights};
    for (const Pointwise &p : chain)
        if (has_other(p) && std::none_of(all.begin(), all.end(), [&](const Tensor *t) { return t->uid == p.other.uid; }))
            all.push_back(&p.other);
    all.push_back(&out());
    return all;
}

cudnnStatus_t finalize_operation(const Descriptor &descriptor) {
    return is_pointwise(descriptor) ? finalize_pointwise(descriptor) : finalize_convolution(descriptor);
}

cudnnStatus_t finalize_graph(Descriptor &descriptor) {
    if (!is_live(descriptor.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_HANDLE).at<cudnnHandle_t>())) return fail(bad, "no handle");
    std::vector<DescriptorPtr> operations = descriptor.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).descriptors;
    const auto first = std::stable_partition(operations.begin(), operations.end(), [](auto &d) { return is_pointwise(*d); });
    if (operations.end() - first != 1) return fail(unsupported_pattern, "not one convolution");
    Program program{};
    take_convolution(**first, program);
    operations.erase(first);
    cudnnStatus_t status = take_chain(operations, program);
    if (status == success) status = check_ids(program);
    if (status == success) status = check_types(program);
    if (status == success) descriptor.program = std::make_shared<const Program>(program);
    return status;
}

std::vector<cudnnBackendNumericalNote_t> numerical_notes(int engine, const Program &program) {
    const bool converts = program.in.type == CUDNN_DATA_FLOAT;
    switch (engine) {
        case nondeterministic: return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
        case tensor_core:
            if (!converts) return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
            return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
        case reduced: return {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_WINOGRAD};
        default: return {};
    }
}

std::vector<cudnnBackendBehaviorNote_t> behavior_notes(int engine) {
    if (engine == tensor_core) return {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION};
    return {};
}

int64_t workspace_bytes(int engine, const Program &program) {
    return 256 * (1 + engine) + static_cast<int64_t>(bytes_of(program.in));
}

} // namespace cuda_host::cudnn
