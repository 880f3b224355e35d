// The functions of cuDNN's graph interface on the host: handles, descriptors, texts. Errors of cudnnGetLastErrorString say what was
// wrong. Each call takes the shim's lock and counts as one of CUDA's.
#include <cstdarg>
#include <cstdio>
#include <set>
#include <string>

#include "control.h"
#include "cudnn_host.h"
#include "runtime.h"

namespace cuda_host {
namespace {
Fusion fusion = Fusion::on;
}

Fusion cudnn_fusion() { return fusion; }

void set_cudnn_fusion(Fusion wanted) {
    const std::lock_guard<std::mutex> lock(call_mutex());
    fusion = wanted;
}

namespace cudnn {
namespace {

std::map<cudnnBackendDescriptor_t, DescriptorPtr> &live_descriptors() {
    static auto *const all = new std::map<cudnnBackendDescriptor_t, DescriptorPtr>;
    return *all;
}

std::set<cudnnHandle_t> &live_handles() {
    static auto *const all = new std::set<cudnnHandle_t>;
    return *all;
}

thread_local std::string last_error;

int status_of(cudaError_t error) {
    const bool is_memory = error == cudaErrorMemoryAllocation;
    return fail(is_memory ? CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED : CUDNN_STATUS_EXECUTION_FAILED_CUDART, "%s",
                cudaGetErrorString(error));
}

cudnnStatus_t call(const char *name, unsigned traits, const std::function<int()> &body) {
    return static_cast<cudnnStatus_t>(library_call(name, traits, status_of, body));
}

bool is_known(Type type) {
    switch (type) {
        case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR: return true;
        default: return false;
    }
}

// Calls `body` with the descriptor, if it is one.
cudnnStatus_t with(cudnnBackendDescriptor_t handle, const std::function<cudnnStatus_t(const DescriptorPtr &)> &body) {
    if (!handle) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "the descriptor is NULL");
    const DescriptorPtr descriptor = find(handle);
    return descriptor ? body(descriptor) : fail(CUDNN_STATUS_BAD_PARAM, "this is no descriptor, or was destroyed");
}

cudnnStatus_t create(Type type, cudnnBackendDescriptor_t *result) {
    if (!result) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no place for the descriptor");
    *result = nullptr;
    if (!is_known(type)) return fail(CUDNN_STATUS_NOT_SUPPORTED, "descriptors of type %d are not here", int(type));
    const DescriptorPtr descriptor = std::make_shared<Descriptor>(Descriptor{type, false, {}, {}, 0});
    live_descriptors()[descriptor.get()] = descriptor;
    ++totals().live_descriptors;
    *result = descriptor.get();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t check_execution(cudnnHandle_t handle, const DescriptorPtr &plan, const DescriptorPtr &pack) {
    if (!handle || !plan || !pack) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "handle, plan or pack is NULL or none");
    if (!is_live(handle)) return fail(CUDNN_STATUS_BAD_PARAM, "this is no handle, or was destroyed");
    if (plan->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || pack->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return fail(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "not a plan and a variant pack");
    if (!plan->finalized || !pack->finalized) return fail(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "plan or pack is not finalised");
    return CUDNN_STATUS_SUCCESS;
}

struct StatusText {
    cudnnStatus_t status;
    const char *text;
};
#define TEXT(status) \
    { status, #status }
const StatusText texts[] = {
    TEXT(CUDNN_STATUS_SUCCESS),
    TEXT(CUDNN_STATUS_NOT_INITIALIZED),
    TEXT(CUDNN_STATUS_BAD_PARAM),
    TEXT(CUDNN_STATUS_BAD_PARAM_NULL_POINTER),
    TEXT(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER),
    TEXT(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED),
    TEXT(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES),
    TEXT(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE),
    TEXT(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE),
    TEXT(CUDNN_STATUS_NOT_SUPPORTED),
    TEXT(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN),
    TEXT(CUDNN_STATUS_NOT_SUPPORTED_SHAPE),
    TEXT(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE),
    TEXT(CUDNN_STATUS_NOT_SUPPORTED_LAYOUT),
    TEXT(CUDNN_STATUS_INTERNAL_ERROR),
    TEXT(CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED),
    TEXT(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED),
    TEXT(CUDNN_STATUS_EXECUTION_FAILED),
    TEXT(CUDNN_STATUS_EXECUTION_FAILED_CUDART),
};
#undef TEXT

} // namespace

cudnnStatus_t fail(cudnnStatus_t status, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    last_error = text;
    return status;
}

DescriptorPtr find(cudnnBackendDescriptor_t descriptor) {
    const auto found = live_descriptors().find(descriptor);
    return found == live_descriptors().end() ? nullptr : found->second;
}

bool is_live(cudnnHandle_t handle) { return live_handles().count(handle); }

} // namespace cudnn
} // namespace cuda_host

using namespace cuda_host::cudnn;

size_t cudnnGetVersion() { return cuda_host::is_missing(cuda_host::Library::cudnn) ? 0 : CUDNN_VERSION; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
    for (const StatusText &text : texts)
        if (text.status == status) return text.text;
    return "CUDNN_UNKNOWN_STATUS";
}

void cudnnGetLastErrorString(char *message, size_t size) {
    if (!message || !size) return;
    std::snprintf(message, size, "%s", last_error.c_str());
    last_error.clear();
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    return call("cudnnCreate", cuda_host::unsafe, [=] {
        if (!handle) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no place for the handle");
        *handle = nullptr;
        if (cuda_host::is_missing(cuda_host::Library::cudnn)) return fail(CUDNN_STATUS_NOT_INITIALIZED, "cuDNN is missing");
        *handle = new cudnnContext{cuda_host::current_device(), nullptr};
        live_handles().insert(*handle);
        ++cuda_host::totals().live_handles;
        return CUDNN_STATUS_SUCCESS;
    });
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    return call("cudnnDestroy", cuda_host::synchronises | cuda_host::unsafe | cuda_host::releases, [=] {
        if (!live_handles().erase(handle)) return fail(CUDNN_STATUS_BAD_PARAM, "this is no handle, or was destroyed");
        --cuda_host::totals().live_handles;
        delete handle;
        return CUDNN_STATUS_SUCCESS;
    });
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    return call("cudnnSetStream", cuda_host::plain, [=] {
        if (!is_live(handle)) return fail(CUDNN_STATUS_BAD_PARAM, "this is no handle, or was destroyed");
        if (!cuda_host::is_stream(stream)) return fail(CUDNN_STATUS_BAD_PARAM, "this is no stream, or was destroyed");
        if (cuda_host::device_of(stream) != handle->device) return fail(CUDNN_STATUS_BAD_PARAM, "a stream of another device");
        handle->stream = stream;
        return CUDNN_STATUS_SUCCESS;
    });
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor) {
    return call("cudnnBackendCreateDescriptor", cuda_host::plain, [=] { return create(type, descriptor); });
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
    return call("cudnnBackendDestroyDescriptor", cuda_host::releases, [=] {
        return with(descriptor, [=](const DescriptorPtr &) {
            live_descriptors().erase(descriptor);
            --cuda_host::totals().live_descriptors;
            return CUDNN_STATUS_SUCCESS;
        });
    });
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *elements) {
    return call("cudnnBackendSetAttribute", cuda_host::plain, [=] {
        return with(descriptor, [=](const DescriptorPtr &d) { return set_attribute(*d, name, type, count, elements); });
    });
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t capacity, int64_t *count, void *elements) {
    return call("cudnnBackendGetAttribute", cuda_host::plain, [=] {
        return with(descriptor, [=](const DescriptorPtr &d) { return get_attribute(*d, name, type, capacity, count, elements); });
    });
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
    return call("cudnnBackendFinalize", cuda_host::plain, [=] {
        return with(descriptor, [](const DescriptorPtr &d) {
            // A plan loads its kernels.
            const bool loads = d->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR;
            const cudaError_t refused = cuda_host::refused_by_capture(loads ? cuda_host::unsafe : cuda_host::plain);
            return refused == cudaSuccess ? finalize(*d) : static_cast<cudnnStatus_t>(status_of(refused));
        });
    });
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
    return call("cudnnBackendExecute", cuda_host::plain, [=] {
        const DescriptorPtr plan_of = find(plan), pack_of = find(pack);
        const cudnnStatus_t status = check_execution(handle, plan_of, pack_of);
        return status == CUDNN_STATUS_SUCCESS ? execute(handle, plan_of, *pack_of) : status;
    });
}
