// What the parts of the host's cuDNN share: descriptors, what a graph of operations comes to, engines. Internal to the shim.
#ifndef CUDA_HOST_CUDNN_HOST_H
#define CUDA_HOST_CUDNN_HOST_H
#pragma GCC visibility push(default) // dlsym must find them
#include <cudnn_graph.h>
#pragma GCC visibility pop

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "convolution.h"

struct cudnnContext {
    int device;
    cudaStream_t stream;
};

namespace cuda_host::cudnn {

using Type = cudnnBackendDescriptorType_t;
using Name = cudnnBackendAttributeName_t;
using ElementType = cudnnBackendAttributeType_t;

struct Descriptor;
using DescriptorPtr = std::shared_ptr<Descriptor>;

struct Attribute {
    ElementType type;
    int64_t count;
    std::vector<char> bytes;                // of every type but descriptors
    std::vector<DescriptorPtr> descriptors; // as they were when they were set

    template <class T>
    T at(int64_t i = 0) const {
        T value;
        std::memcpy(&value, bytes.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
        return value;
    }
};

struct Tensor {
    int64_t uid, alignment;
    std::array<int64_t, 4> dims, strides; // n, c, h, w
    cudnnDataType_t type;
    bool is_virtual;
};
bool operator==(const Tensor &a, const Tensor &b);
size_t bytes_of(const Tensor &tensor); // from the first element to the end of the last

// The convolution of a graph and the pointwise operations that follow it.
struct Pointwise {
    cudnnPointwiseMode_t mode;
    bool propagates_nan;
    float lower_clip, upper_clip, slope;
    Tensor other; // ADD: B; RELU_BWD: X; RELU_FWD: nothing
    Tensor out;
};
struct Program {
    bool backward_data;
    std::array<int64_t, 2> pre_padding, post_padding;
    Tensor in, weights, convolved; // `in` is dy of a backward convolution
    std::vector<Pointwise> chain;
    const Tensor &out() const { return chain.empty() ? convolved : chain.back().out; }
    std::vector<const Tensor *> tensors() const; // all that have a pointer, each once; the output is the last
};

struct Descriptor {
    Type type;
    bool finalized = false;
    std::map<Name, Attribute> attributes;
    std::shared_ptr<const Program> program; // of a finalised graph and all that is made from it
    int engine = 0;                         // of a finalised engine and all that is made from it
};

// In the order in which the heuristics lists them.
enum Engine { nondeterministic, tensor_core, reduced, without_plan, plain_engine, engine_count };
std::vector<cudnnBackendNumericalNote_t> numerical_notes(int engine, const Program &program);
std::vector<cudnnBackendBehaviorNote_t> behavior_notes(int engine);
int64_t workspace_bytes(int engine, const Program &program);

cudnnStatus_t fail(cudnnStatus_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3))); // cudnnGetLastErrorString

DescriptorPtr find(cudnnBackendDescriptor_t descriptor); // nullptr: there is none
bool is_live(cudnnHandle_t handle);

cudnnStatus_t set_attribute(Descriptor &descriptor, Name name, ElementType type, int64_t count, const void *elements);
cudnnStatus_t get_attribute(const Descriptor &descriptor, Name name, ElementType type, int64_t capacity, int64_t *count,
                            void *elements);
cudnnStatus_t check_required(const Descriptor &descriptor);
bool has(const Descriptor &descriptor, Name name);
const Descriptor &descriptor_at(const Descriptor &descriptor, Name name);
int64_t integer_at(const Descriptor &descriptor, Name name, int64_t otherwise = 0); // also of an enumeration
double number_at(const Descriptor &descriptor, Name name, double otherwise);

Tensor tensor_of(const Descriptor &descriptor);
cudnnStatus_t finalize(Descriptor &descriptor);
cudnnStatus_t finalize_operation(const Descriptor &descriptor); // convolutions and pointwise operations
cudnnStatus_t finalize_graph(Descriptor &descriptor);
cudnnStatus_t execute(cudnnHandle_t handle, const DescriptorPtr &plan, const Descriptor &pack);

} // namespace cuda_host::cudnn
#endif
