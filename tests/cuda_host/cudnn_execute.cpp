// What the host's cuDNN checks before a plan is run, and the running of it.
#include <atomic>
#include <cmath>

#include "cudnn_host.h"
#include "runtime.h"
#include "scheduler.h"

namespace cuda_host::cudnn {
namespace {

constexpr cudnnStatus_t success = CUDNN_STATUS_SUCCESS, bad = CUDNN_STATUS_BAD_PARAM;

using Pointers = std::map<int64_t, void *>; // by the tensor's id

struct Execution {
    std::weak_ptr<const Descriptor> plan; // a graph that was captured needs it as long as it is launched, before cuDNN 9.28
    std::shared_ptr<const Program> program;
    int engine;
    Pointers pointers;
    void *workspace;
    size_t workspace_bytes;
};

Number number_of(cudnnDataType_t type) {
    return type == CUDNN_DATA_FLOAT ? Number::f32 : type == CUDNN_DATA_HALF ? Number::f16 : Number::bf16;
}

View view_of(const Tensor &tensor, const Pointers &pointers) {
    return {number_of(tensor.type), pointers.at(tensor.uid), tensor.dims, tensor.strides};
}

// ---- Checks ------------------------------------------------------------------------------------------------------------

cudnnStatus_t take_pointers(const Descriptor &pack, const Program &program, Pointers &pointers) {
    const Attribute &ids = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    for (int64_t i = 0; i < ids.count; ++i)
        pointers[ids.at<int64_t>(i)] = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).at<void *>(i);
    const std::vector<const Tensor *> tensors = program.tensors();
    for (const Tensor *tensor : tensors)
        if (!pointers.count(tensor->uid)) return fail(bad, "the variant pack lacks tensor %d", int(tensor->uid));
    if (pointers.size() != tensors.size()) return fail(bad, "the variant pack has an id of a virtual tensor, or of none");
    return success;
}

cudnnStatus_t check_pointer(const Tensor &tensor, void *pointer, int device) {
    if (!pointer) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "tensor %d is NULL", int(tensor.uid));
    if (reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(tensor.alignment))
        return fail(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER, "tensor %d is not aligned to %d bytes", int(tensor.uid),
                    int(tensor.alignment));
    if (!device_reaches(pointer, bytes_of(tensor), device))
        return fail(CUDNN_STATUS_EXECUTION_FAILED, "tensor %d lies outside of device %d's memory", int(tensor.uid), device);
    return success;
}

bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
    const char *const x = static_cast<const char *>(a), *const y = static_cast<const char *>(b);
    return x < y + b_bytes && y < x + a_bytes;
}

// May a kernel write the result where it reads this tensor? Only element by element, in the same place.
bool may_be_the_result(const Execution &e, const Tensor &tensor) {
    const Tensor &out = e.program->out();
    const bool is_elementwise = &tensor != &e.program->in && &tensor != &e.program->weights;
    return is_elementwise && e.pointers.at(tensor.uid) == e.pointers.at(out.uid) && tensor.dims == out.dims &&
           tensor.strides == out.strides && tensor.type == out.type;
}

cudnnStatus_t check_overlap(const Execution &e) {
    const Tensor &out = e.program->out();
    for (const Tensor *tensor : e.program->tensors())
        if (tensor != &out && !may_be_the_result(e, *tensor) &&
            overlap(e.pointers.at(out.uid), bytes_of(out), e.pointers.at(tensor->uid), bytes_of(*tensor)))
            return fail(bad, "the result overlaps tensor %d", int(tensor->uid));
    for (const Tensor *tensor : e.program->tensors())
        if (overlap(e.workspace, e.workspace_bytes, e.pointers.at(tensor->uid), bytes_of(*tensor)))
            return fail(bad, "the workspace overlaps tensor %d", int(tensor->uid));
    return success;
}

cudnnStatus_t check_memory(const Execution &e, int device) {
    for (const Tensor *tensor : e.program->tensors()) {
        const cudnnStatus_t status = check_pointer(*tensor, e.pointers.at(tensor->uid), device);
        if (status != success) return status;
    }
    if (!e.workspace) return fail(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "the plan needs a workspace");
    if (!device_reaches(e.workspace, e.workspace_bytes, device))
        return fail(CUDNN_STATUS_EXECUTION_FAILED, "the workspace is shorter than the plan's or not of device %d", device);
    return check_overlap(e);
}

cudnnStatus_t check_stream(const cudnnContext &handle) {
    const cudaError_t error = may_enqueue(handle.stream);
    if (error != cudaSuccess) return fail(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "%s", cudaGetErrorString(error));
    if (handle.device == current_device() && device_of(handle.stream) == handle.device) return success;
    return fail(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the handle, its stream and the current device are not of one device");
}

// ---- The work ----------------------------------------------------------------------------------------------------------

// A factor that is another one at each call.
float disturbance(const Program &program) {
    static std::atomic<unsigned> calls;
    const float unit = program.in.type == CUDNN_DATA_FLOAT ? 0x1p-20f : program.in.type == CUDNN_DATA_HALF ? 0x1p-9f : 0x1p-6f;
    return 1 + unit * static_cast<float>(1 + calls++ % 7);
}

// The slope's formula keeps NaN, which is not below the clip; the larger of x and the clip does not.
float relu(const Pointwise &p, float x) {
    if (std::isnan(x)) return p.propagates_nan || p.slope != 0 ? x : p.lower_clip;
    if (x < p.lower_clip) return p.slope ? p.lower_clip + p.slope * (x - p.lower_clip) : p.lower_clip;
    return x > p.upper_clip ? p.upper_clip : x;
}

float relu_gradient(const Pointwise &p, float x, float dy) {
    if (x > p.lower_clip && x <= p.upper_clip) return dy;
    return x <= p.lower_clip && p.slope ? p.slope * dy : 0.0f;
}

// The step of an index into a tensor that is broadcast in dimensions of 1.
int64_t step(const Tensor &tensor, size_t dimension) { return tensor.dims[dimension] == 1 ? 0 : tensor.strides[dimension]; }

void apply(const Pointwise &p, const void *other, const Row &row) {
    const Number number = number_of(p.other.type), result = number_of(p.out.type);
    for (int64_t w = 0; w < row.width; ++w)
        for (int64_t c = 0; c < row.channels; ++c) {
            float &x = row.values[w * row.channels + c];
            const int64_t at = row.n * step(p.other, 0) + c * step(p.other, 1) + row.h * step(p.other, 2) + w * step(p.other, 3);
            if (p.mode == CUDNN_POINTWISE_ADD) x += load(number, other, at);
            if (p.mode == CUDNN_POINTWISE_RELU_FWD) x = relu(p, x);
            if (p.mode == CUDNN_POINTWISE_RELU_BWD) x = relu_gradient(p, load(number, other, at), x);
            x = round_to(result, x);
        }
}

void finish_row(const Execution &e, float factor, const Row &row) {
    const Program &program = *e.program;
    const Number number = number_of(program.convolved.type);
    for (int64_t i = 0; i < row.width * row.channels; ++i) row.values[i] = round_to(number, row.values[i] * factor);
    for (const Pointwise &p : program.chain) {
        const auto other = e.pointers.find(p.other.uid);
        apply(p, p.mode == CUDNN_POINTWISE_RELU_FWD ? nullptr : other->second, row);
    }
}

Convolution convolution_of(const Execution &e) {
    const Program &program = *e.program;
    View out = view_of(program.out(), e.pointers);
    Convolution result{view_of(program.in, e.pointers),
                       view_of(program.weights, e.pointers),
                       out,
                       program.backward_data,
                       program.pre_padding,
                       Rounding::none};
    if (program.backward_data)
        for (size_t i = 0; i < 2; ++i) result.pre_padding[i] = program.weights.dims[2 + i] - 1 - program.pre_padding[i];
    if (e.engine == tensor_core && program.in.type == CUDNN_DATA_FLOAT) result.rounding = Rounding::inputs_to_tf32;
    if (e.engine == reduced) result.rounding = Rounding::sum_to_tf32;
    return result;
}

void run(const Execution &e) {
    fill_poison(e.workspace, e.workspace_bytes);
    if (e.plan.expired()) { // its kernels are gone: nothing that can be relied on
        const Convolution convolution = convolution_of(e);
        const auto [batch, channels, height, width] = convolution.out.dims;
        std::vector<float> lost(static_cast<size_t>(width * channels), NAN);
        for (int64_t n = 0; n < batch; ++n)
            for (int64_t h = 0; h < height; ++h) store_row(convolution.out, {n, h, width, channels, lost.data()});
        return;
    }
    const float factor = e.engine == nondeterministic ? disturbance(*e.program) : 1.0f;
    convolve(convolution_of(e), [&](const Row &row) { finish_row(e, factor, row); });
}

} // namespace

cudnnStatus_t execute(cudnnHandle_t handle, const DescriptorPtr &plan, const Descriptor &pack) {
    Execution e{plan, plan->program, plan->engine, {}, nullptr, 0};
    e.workspace = pack.attributes.at(CUDNN_ATTR_VARIANT_PACK_WORKSPACE).at<void *>();
    e.workspace_bytes = static_cast<size_t>(cudnn::workspace_bytes(plan->engine, *plan->program));
    cudnnStatus_t status = take_pointers(pack, *plan->program, e.pointers);
    if (status == success) status = check_stream(*handle);
    if (status == success) status = check_memory(e, handle->device);
    if (status != success) return status;
    ++totals().launches;
    enqueue(handle->stream, [e] { run(e); });
    return success;
}

} // namespace cuda_host::cudnn
