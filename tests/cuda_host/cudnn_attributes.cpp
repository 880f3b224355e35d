// The attributes of the host's cuDNN: of which descriptor, type and number, which are required, and setting and getting them.
#include <algorithm>

#include "cudnn_host.h"

namespace cuda_host::cudnn {
namespace {

enum Access { required, optional, read_only };

constexpr int any_operation = -1;

struct Specification {
    Name name;
    ElementType type; // CUDNN_TYPE_FLOAT: CUDNN_TYPE_DOUBLE, too
    int64_t min_count, max_count;
    Access access;
    int element; // the type of descriptors
};
using Specifications = std::vector<Specification>;

Specification value(Name name, ElementType type, Access access = required) { return {name, type, 1, 1, access, 0}; }
Specification values(Name name, ElementType type, int64_t max_count, Access access = required) {
    return {name, type, 1, max_count, access, 0};
}
Specification reference(Name name, int element, Access access = required, int64_t max_count = 1) {
    return {name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, max_count, access, element};
}
Specification tensor(Name name, Access access = required) { return reference(name, CUDNN_BACKEND_TENSOR_DESCRIPTOR, access); }

constexpr int64_t many = 1 << 20;

const std::map<Type, Specifications> &all_specifications() {
    static const auto *const all = new std::map<Type, Specifications>{
        {CUDNN_BACKEND_TENSOR_DESCRIPTOR,
         {value(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64), value(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE),
          value(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64),
          values(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, CUDNN_DIM_MAX),
          values(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, CUDNN_DIM_MAX),
          value(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, optional),
          value(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, optional),
          value(CUDNN_ATTR_TENSOR_VECTOR_COUNT, CUDNN_TYPE_INT64, optional)}},
        {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR,
         {value(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE),
          value(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE),
          value(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64),
          values(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, CUDNN_DIM_MAX),
          values(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, CUDNN_DIM_MAX),
          values(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, CUDNN_DIM_MAX),
          values(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, CUDNN_DIM_MAX)}},
        {CUDNN_BACKEND_POINTWISE_DESCRIPTOR,
         {value(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE),
          value(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE),
          value(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, optional),
          value(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_FLOAT, optional),
          value(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_FLOAT, optional),
          value(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_FLOAT, optional)}},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
         {value(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT),
          value(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT),
          reference(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
          tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X), tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W),
          tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y)}},
        {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
         {value(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_TYPE_FLOAT),
          value(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, CUDNN_TYPE_FLOAT),
          reference(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
          tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX), tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W),
          tensor(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY)}},
        {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
         {reference(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_BACKEND_POINTWISE_DESCRIPTOR),
          tensor(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), tensor(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, optional),
          tensor(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, optional), tensor(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, optional),
          tensor(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, optional),
          value(CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, CUDNN_TYPE_FLOAT, optional),
          value(CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, CUDNN_TYPE_FLOAT, optional)}},
        {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR,
         {value(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE),
          reference(CUDNN_ATTR_OPERATIONGRAPH_OPS, any_operation, required, many),
          value(CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_TYPE_INT64, read_only)}},
        {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
         {reference(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
          value(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE),
          reference(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, read_only, many)}},
        {CUDNN_BACKEND_ENGINE_DESCRIPTOR,
         {reference(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
          value(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64),
          values(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, many, read_only),
          values(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, many, read_only)}},
        {CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
         {reference(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR),
          value(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64, read_only)}},
        {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR,
         {value(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE),
          reference(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR),
          value(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, read_only)}},
        {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
         {values(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, many),
          values(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, many),
          value(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR)}},
    };
    return *all;
}

const Specification *specification(Type type, Name name) {
    for (const Specification &s : all_specifications().at(type))
        if (s.name == name) return &s;
    return nullptr;
}

size_t element_bytes(ElementType type) {
    switch (type) {
        case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
        case CUDNN_TYPE_HANDLE:
        case CUDNN_TYPE_INT64:
        case CUDNN_TYPE_DOUBLE:
        case CUDNN_TYPE_VOID_PTR:
        case CUDNN_TYPE_BACKEND_DESCRIPTOR: return 8;
        default: return 4; // enumerations, float
    }
}

// Known, and of this type?
cudnnStatus_t check_name(const Descriptor &descriptor, Name name, ElementType type) {
    const Specification *const s = specification(descriptor.type, name);
    if (!s)
        return fail(CUDNN_STATUS_BAD_PARAM, "descriptors of type %d have no attribute %d here", int(descriptor.type), int(name));
    if (type == s->type || (type == CUDNN_TYPE_DOUBLE && s->type == CUDNN_TYPE_FLOAT)) return CUDNN_STATUS_SUCCESS;
    return fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d is of type %d, not %d", int(name), int(s->type), int(type));
}

bool is_operation(Type type) {
    return type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ||
           type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR ||
           type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
}

bool is_of(Type type, int wanted) { return wanted == any_operation ? is_operation(type) : type == wanted; }

// The descriptors of an array of the caller's.
cudnnStatus_t find_all(const Specification &s, int64_t count, const void *elements, std::vector<DescriptorPtr> &found) {
    for (int64_t i = 0; i < count; ++i) {
        const cudnnBackendDescriptor_t handle = static_cast<const cudnnBackendDescriptor_t *>(elements)[i];
        if (!handle) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "attribute %d: descriptor %d is NULL", int(s.name), int(i));
        const DescriptorPtr descriptor = find(handle);
        if (!descriptor) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: descriptor %d is none", int(s.name), int(i));
        if (!is_of(descriptor->type, s.element))
            return fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "attribute %d: a descriptor of type %d", int(s.name),
                        int(descriptor->type));
        found.push_back(descriptor);
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t set_descriptors(const Specification &s, int64_t count, const void *elements, Attribute &attribute) {
    std::vector<DescriptorPtr> found;
    const cudnnStatus_t status = find_all(s, count, elements, found);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    for (const DescriptorPtr &descriptor : found) {
        if (!descriptor->finalized)
            return fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d: a descriptor that is not finalised", int(s.name));
        attribute.descriptors.push_back(descriptor);
    }
    return CUDNN_STATUS_SUCCESS;
}

template <class T>
Attribute make_attribute(ElementType type, const std::vector<T> &elements) {
    const char *const bytes = reinterpret_cast<const char *>(elements.data());
    return {type, static_cast<int64_t>(elements.size()), std::vector<char>(bytes, bytes + elements.size() * sizeof(T)), {}};
}

// What the heuristics returns: configurations, each with its engine.
Attribute results_of(const Descriptor &heuristics) {
    Attribute results{CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, {}, {}};
    const Attribute &graph = heuristics.attributes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const bool fallback = integer_at(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE) == CUDNN_HEUR_MODE_FALLBACK;
    if (!heuristics.engine) return results; // finalised without any
    for (int64_t index = fallback ? plain_engine : 0; index < engine_count; ++index) {
        Descriptor engine{CUDNN_BACKEND_ENGINE_DESCRIPTOR, true, {}, heuristics.program, static_cast<int>(index)};
        engine.attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = graph;
        engine.attributes[CUDNN_ATTR_ENGINE_GLOBAL_INDEX] = make_attribute<int64_t>(CUDNN_TYPE_INT64, {index});
        Descriptor configuration{CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, true, {}, engine.program, engine.engine};
        configuration.attributes[CUDNN_ATTR_ENGINECFG_ENGINE] = {
            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {std::make_shared<Descriptor>(engine)}};
        results.descriptors.push_back(std::make_shared<Descriptor>(configuration));
    }
    results.count = static_cast<int64_t>(results.descriptors.size());
    return results;
}

// Of a finalised descriptor: what was set, or what follows from it.
Attribute read(const Descriptor &descriptor, Name name) {
    const auto set = descriptor.attributes.find(name);
    if (set != descriptor.attributes.end()) return set->second;
    switch (name) {
        case CUDNN_ATTR_ENGINEHEUR_RESULTS: return results_of(descriptor);
        case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
            return make_attribute(CUDNN_TYPE_NUMERICAL_NOTE, numerical_notes(descriptor.engine, *descriptor.program));
        case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE: return make_attribute(CUDNN_TYPE_BEHAVIOR_NOTE, behavior_notes(descriptor.engine));
        case CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT: return make_attribute<int64_t>(CUDNN_TYPE_INT64, {engine_count});
        case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
        case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
            return make_attribute<int64_t>(CUDNN_TYPE_INT64, {workspace_bytes(descriptor.engine, *descriptor.program)});
        default: return {CUDNN_TYPE_INT64, 0, {}, {}}; // optional, and not set
    }
}

// The caller's own descriptors become those of the attribute.
cudnnStatus_t fill_descriptors(const Specification &s, const Attribute &attribute, int64_t count, void *elements) {
    std::vector<DescriptorPtr> targets;
    const cudnnStatus_t status = find_all(s, count, elements, targets);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    for (const DescriptorPtr &target : targets)
        if (target->finalized) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: into a descriptor that is in use", int(s.name));
    for (size_t i = 0; i < targets.size(); ++i) *targets[i] = *attribute.descriptors[i];
    return CUDNN_STATUS_SUCCESS;
}

} // namespace

cudnnStatus_t set_attribute(Descriptor &descriptor, Name name, ElementType type, int64_t count, const void *elements) {
    const cudnnStatus_t status = check_name(descriptor, name, type);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    const Specification &s = *specification(descriptor.type, name);
    if (descriptor.finalized) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d of a finalised descriptor", int(name));
    if (s.access == read_only) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d is read only", int(name));
    if (count < s.min_count || count > s.max_count)
        return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d has %lld elements", int(name), static_cast<long long>(count));
    if (!elements) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: NULL", int(name));
    Attribute attribute{type, count, {}, {}};
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        const cudnnStatus_t refused = set_descriptors(s, count, elements, attribute);
        if (refused != CUDNN_STATUS_SUCCESS) return refused;
    } else {
        const char *const bytes = static_cast<const char *>(elements);
        attribute.bytes.assign(bytes, bytes + static_cast<size_t>(count) * element_bytes(type));
    }
    descriptor.attributes[name] = attribute;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t get_attribute(const Descriptor &descriptor, Name name, ElementType type, int64_t capacity, int64_t *count,
                            void *elements) {
    const cudnnStatus_t status = check_name(descriptor, name, type);
    if (status != CUDNN_STATUS_SUCCESS) return status;
    if (!descriptor.finalized) return fail(CUDNN_STATUS_NOT_INITIALIZED, "attribute %d of no finalised descriptor", int(name));
    if (capacity < 0 || (capacity && !elements)) return fail(CUDNN_STATUS_BAD_PARAM, "attribute %d: no room", int(name));
    const Attribute attribute = read(descriptor, name);
    if (attribute.count && attribute.type != type)
        return fail(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, "attribute %d was set with another type", int(name));
    const int64_t given = std::min(capacity, attribute.count);
    // Asked for the number alone, cuDNN tells of more configurations than it then gives.
    const int64_t number = attribute.count + (name == CUDNN_ATTR_ENGINEHEUR_RESULTS ? 3 : 0);
    if (count) *count = capacity ? given : number;
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        return fill_descriptors(*specification(descriptor.type, name), attribute, given, elements);
    if (given) std::memcpy(elements, attribute.bytes.data(), static_cast<size_t>(given) * element_bytes(type));
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_required(const Descriptor &descriptor) {
    for (const Specification &s : all_specifications().at(descriptor.type))
        if (s.access == required && !has(descriptor, s.name))
            return fail(CUDNN_STATUS_BAD_PARAM, "a descriptor of type %d lacks attribute %d", int(descriptor.type), int(s.name));
    return CUDNN_STATUS_SUCCESS;
}

bool has(const Descriptor &descriptor, Name name) { return descriptor.attributes.count(name); }

const Descriptor &descriptor_at(const Descriptor &descriptor, Name name) {
    return *descriptor.attributes.at(name).descriptors.front();
}

int64_t integer_at(const Descriptor &descriptor, Name name, int64_t otherwise) {
    if (!has(descriptor, name)) return otherwise;
    const Attribute &attribute = descriptor.attributes.at(name);
    if (attribute.type == CUDNN_TYPE_INT64) return attribute.at<int64_t>();
    return attribute.type == CUDNN_TYPE_BOOLEAN ? attribute.bytes[0] != 0 : attribute.at<int32_t>();
}

double number_at(const Descriptor &descriptor, Name name, double otherwise) {
    if (!has(descriptor, name)) return otherwise;
    const Attribute &attribute = descriptor.attributes.at(name);
    return attribute.type == CUDNN_TYPE_DOUBLE ? attribute.at<double>() : attribute.at<float>();
}

} // namespace cuda_host::cudnn
