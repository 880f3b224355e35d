// What the host's cuDNN checks when a descriptor is finalised, but graphs of operations (cudnn_graph.cpp).
#include "control.h"
#include "cudnn_host.h"
#include "runtime.h"

namespace cuda_host::cudnn {
namespace {

constexpr cudnnStatus_t success = CUDNN_STATUS_SUCCESS, bad = CUDNN_STATUS_BAD_PARAM;

size_t element_bytes(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT ? 4 : 2; }
bool is_supported(int64_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_HALF || type == CUDNN_DATA_BFLOAT16; }

cudnnStatus_t finalize_tensor(const Descriptor &d) {
    const Attribute &dims = d.attributes.at(CUDNN_ATTR_TENSOR_DIMENSIONS), &strides = d.attributes.at(CUDNN_ATTR_TENSOR_STRIDES);
    if (dims.count != strides.count) return fail(bad, "a tensor's dimensions and strides differ in number");
    for (int64_t i = 0; i < dims.count; ++i)
        if (dims.at<int64_t>(i) <= 0 || strides.at<int64_t>(i) <= 0)
            return fail(bad, "a tensor's dimension or stride is not positive");
    if (!is_supported(integer_at(d, CUDNN_ATTR_TENSOR_DATA_TYPE)))
        return fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a tensor of a type other than float, half and bfloat16");
    if (dims.count != 4) return fail(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "a tensor that has not four dimensions");
    const Tensor tensor = tensor_of(d);
    if (tensor.alignment <= 0 || tensor.alignment % static_cast<int64_t>(element_bytes(tensor.type)))
        return fail(bad, "a tensor's alignment is not a multiple of its element");
    if (integer_at(d, CUDNN_ATTR_TENSOR_VECTOR_COUNT, 1) != 1 || integer_at(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "a tensor of vectors or by value");
    return success;
}

// Every element of the array, or an error.
template <class Is>
bool all_of(const Descriptor &d, Name name, Is is) {
    const Attribute &attribute = d.attributes.at(name);
    for (int64_t i = 0; i < attribute.count; ++i)
        if (!is(attribute.at<int64_t>(i))) return false;
    return true;
}

cudnnStatus_t finalize_convolution(const Descriptor &d) {
    const int64_t dims = integer_at(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS);
    for (const Name name : {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
                            CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS}) {
        const bool is_padding = name == CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS || name == CUDNN_ATTR_CONVOLUTION_POST_PADDINGS;
        if (d.attributes.at(name).count != dims) return fail(bad, "attribute %d is not of %d elements", int(name), int(dims));
        if (!all_of(d, name, [=](int64_t v) { return v >= (is_padding ? 0 : 1); })) return fail(bad, "attribute %d", int(name));
        if (!is_padding && !all_of(d, name, [](int64_t v) { return v == 1; }))
            return fail(CUDNN_STATUS_NOT_SUPPORTED, "strides and dilations other than 1 are not here");
    }
    if (dims != 2) return fail(CUDNN_STATUS_NOT_SUPPORTED, "convolutions other than in two dimensions are not here");
    const int64_t mode = integer_at(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE);
    if (mode != CUDNN_CROSS_CORRELATION) return fail(mode == CUDNN_CONVOLUTION ? CUDNN_STATUS_NOT_SUPPORTED : bad, "mode");
    if (integer_at(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE) != CUDNN_DATA_FLOAT)
        return fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a convolution that does not compute in float");
    return success;
}

cudnnStatus_t finalize_pointwise(const Descriptor &d) {
    if (integer_at(d, CUDNN_ATTR_POINTWISE_MATH_PREC) != CUDNN_DATA_FLOAT)
        return fail(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "a pointwise operation that does not compute in float");
    const int64_t mode = integer_at(d, CUDNN_ATTR_POINTWISE_MODE);
    if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD && mode != CUDNN_POINTWISE_RELU_BWD)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "pointwise operations other than add, relu and its gradient are not here");
    return success;
}

cudnnStatus_t finalize_heuristics(Descriptor &d) {
    const int64_t mode = integer_at(d, CUDNN_ATTR_ENGINEHEUR_MODE);
    if (mode != CUDNN_HEUR_MODE_A && mode != CUDNN_HEUR_MODE_B && mode != CUDNN_HEUR_MODE_FALLBACK)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "a mode of heuristics other than A, B and fallback");
    d.program = descriptor_at(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).program;
    const bool is_fused = !d.program->chain.empty();
    if (is_fused && cudnn_fusion() == Fusion::refused_by_heuristics)
        return fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine fuses this graph (set_cudnn_fusion)");
    d.engine = is_fused && cudnn_fusion() == Fusion::without_engines ? 0 : engine_count;
    return success;
}

cudnnStatus_t finalize_engine(Descriptor &d) {
    const int64_t index = integer_at(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
    if (index < 0 || index >= engine_count) return fail(CUDNN_STATUS_NOT_SUPPORTED, "there is no engine %d", int(index));
    d.program = descriptor_at(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH).program;
    d.engine = static_cast<int>(index);
    return success;
}

cudnnStatus_t inherit(Descriptor &d, Name name) {
    const Descriptor &from = descriptor_at(d, name);
    d.program = from.program;
    d.engine = from.engine;
    return success;
}

cudnnStatus_t finalize_plan(Descriptor &d) {
    inherit(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
    if (!is_live(d.attributes.at(CUDNN_ATTR_EXECUTION_PLAN_HANDLE).at<cudnnHandle_t>())) return fail(bad, "no handle");
    if (d.engine == without_plan) return fail(CUDNN_STATUS_NOT_SUPPORTED, "this engine's configuration has no kernel here");
    if (!d.program->chain.empty() && cudnn_fusion() == Fusion::refused_by_plans)
        return fail(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine fuses this graph (set_cudnn_fusion)");
    return success;
}

cudnnStatus_t finalize_pack(const Descriptor &d) {
    const Attribute &ids = d.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    if (ids.count != d.attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count)
        return fail(bad, "a variant pack's ids and pointers differ in number");
    std::map<int64_t, int> seen;
    for (int64_t i = 0; i < ids.count; ++i)
        if (seen[ids.at<int64_t>(i)]++) return fail(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES, "a variant pack has an id twice");
    return success;
}

cudnnStatus_t finalize_by_type(Descriptor &d) {
    switch (d.type) {
        case CUDNN_BACKEND_TENSOR_DESCRIPTOR: return finalize_tensor(d);
        case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR: return finalize_convolution(d);
        case CUDNN_BACKEND_POINTWISE_DESCRIPTOR: return finalize_pointwise(d);
        case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR: return finalize_graph(d);
        case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR: return finalize_heuristics(d);
        case CUDNN_BACKEND_ENGINE_DESCRIPTOR: return finalize_engine(d);
        case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR: return inherit(d, CUDNN_ATTR_ENGINECFG_ENGINE);
        case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR: return finalize_plan(d);
        case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return finalize_pack(d);
        default: return finalize_operation(d);
    }
}

} // namespace

Tensor tensor_of(const Descriptor &d) {
    Tensor tensor{};
    tensor.uid = integer_at(d, CUDNN_ATTR_TENSOR_UNIQUE_ID), tensor.alignment = integer_at(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    tensor.type = static_cast<cudnnDataType_t>(integer_at(d, CUDNN_ATTR_TENSOR_DATA_TYPE));
    tensor.is_virtual = integer_at(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    for (int i = 0; i < 4; ++i) {
        tensor.dims[static_cast<size_t>(i)] = d.attributes.at(CUDNN_ATTR_TENSOR_DIMENSIONS).at<int64_t>(i);
        tensor.strides[static_cast<size_t>(i)] = d.attributes.at(CUDNN_ATTR_TENSOR_STRIDES).at<int64_t>(i);
    }
    return tensor;
}

bool operator==(const Tensor &a, const Tensor &b) {
    return a.uid == b.uid && a.alignment == b.alignment && a.dims == b.dims && a.strides == b.strides && a.type == b.type &&
           a.is_virtual == b.is_virtual;
}

size_t bytes_of(const Tensor &tensor) {
    int64_t last = 0;
    for (size_t i = 0; i < 4; ++i) last += (tensor.dims[i] - 1) * tensor.strides[i];
    return static_cast<size_t>(last + 1) * element_bytes(tensor.type);
}

cudnnStatus_t finalize(Descriptor &descriptor) {
    if (descriptor.finalized) return fail(bad, "finalised twice");
    cudnnStatus_t status = check_required(descriptor);
    if (status == success) status = finalize_by_type(descriptor);
    descriptor.finalized = status == success;
    return status;
}

} // namespace cuda_host::cudnn
