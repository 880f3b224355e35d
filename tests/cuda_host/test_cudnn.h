// For the self-test of the host's cuDNN: descriptors that destroy themselves, graphs of one convolution and what follows it.
#ifndef CUDA_HOST_TEST_CUDNN_H
#define CUDA_HOST_TEST_CUDNN_H
#include <array>
#include <memory>

#include "cudnn_host.h"
#include "test_support.h"

namespace cudnn_test {

using Dims = std::array<int64_t, 4>;
using Name = cudnnBackendAttributeName_t;
using ElementType = cudnnBackendAttributeType_t;
constexpr cudnnStatus_t success = CUDNN_STATUS_SUCCESS;

class Descriptor {
  public:
    explicit Descriptor(cudnnBackendDescriptorType_t type) {
        EXPECT_EQ(cudnnBackendCreateDescriptor(type, &descriptor_), success);
    }
    ~Descriptor() { cudnnBackendDestroyDescriptor(descriptor_); }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    operator cudnnBackendDescriptor_t() const { return descriptor_; }

    template <class T>
    cudnnStatus_t set(Name name, ElementType type, const std::vector<T> &values) const {
        return cudnnBackendSetAttribute(descriptor_, name, type, static_cast<int64_t>(values.size()), values.data());
    }
    cudnnStatus_t set(Name name, int64_t value) const { return set<int64_t>(name, CUDNN_TYPE_INT64, {value}); }
    cudnnStatus_t set(Name name, cudnnDataType_t value) const {
        return set<cudnnDataType_t>(name, CUDNN_TYPE_DATA_TYPE, {value});
    }
    cudnnStatus_t set(Name name, const Descriptor &value) const {
        return set<cudnnBackendDescriptor_t>(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, {value});
    }
    cudnnStatus_t set(Name name, float value) const { return set<float>(name, CUDNN_TYPE_FLOAT, {value}); }
    cudnnStatus_t set(Name name, cudnnHandle_t value) const { return set<cudnnHandle_t>(name, CUDNN_TYPE_HANDLE, {value}); }
    cudnnStatus_t finalize() const { return cudnnBackendFinalize(descriptor_); }

  private:
    cudnnBackendDescriptor_t descriptor_ = nullptr;
};
using Owned = std::unique_ptr<Descriptor>;

class Handle {
  public:
    Handle() { EXPECT_EQ(cudnnCreate(&handle_), success); }
    ~Handle() { EXPECT_EQ(cudnnDestroy(handle_), success); }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    operator cudnnHandle_t() const { return handle_; }

  private:
    cudnnHandle_t handle_ = nullptr;
};

enum class Layout { nchw, nhwc, cropped }; // cropped: NHWC, of a larger image with more channels
Dims strides_of(Layout layout, const Dims &dims);

struct TensorSpec {
    int64_t uid;
    Dims dims, strides;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    bool is_virtual = false;
    int64_t alignment = 4;
};
// Everything but what is left out, not finalised.
Owned tensor(const TensorSpec &spec, int without = -1);
Owned finished(Owned descriptor);
Owned convolution(std::vector<int64_t> pre = {1, 1}, std::vector<int64_t> post = {1, 1}, int without = -1);
Owned pointwise(cudnnPointwiseMode_t mode, bool propagates_nan = true, int without = -1);
Owned operation(bool backward, const Descriptor &convolution, const Descriptor &image, const Descriptor &weights,
                const Descriptor &response, int without = -1);

enum class Step { bias, bias_as_input, add, relu, relu_loses_nan, leaky_relu, relu_gradient };
constexpr float leaky_slope = 0.125f;

struct Problem {
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    Layout layout = Layout::nhwc;
    bool backward = false;
    Dims image = {2, 5, 7, 6};                  // x or dx
    int64_t outputs = 9, rows = 3, columns = 3; // K, R, S
    std::array<int64_t, 2> pre = {1, 1}, post = {1, 1};
    std::vector<Step> steps = {};
};

// Tensor ids: 1 image or dy, 2 weights, 3 result, 10 + i the other operand of step i, 100 + i virtual.
struct Data {
    TensorSpec spec;
    std::vector<double> values; // rounded to the type, in the order n, c, h, w
    std::unique_ptr<Buffer<char>> memory;
};

class Graph {
  public:
    Graph(cudnnHandle_t handle, const Problem &problem);

    cudnnStatus_t status = success; // of finalising the graph
    const Descriptor &descriptor() const { return *graph_; }
    // A plan of the engine with this index, not finalised.
    Owned plan(int engine) const;
    std::vector<std::pair<int64_t, void *>> pointers() const;
    void *workspace() const { return workspace_->data(); }
    std::vector<double> expected() const;
    std::vector<double> result() const;
    cudnnStatus_t run(int engine = cuda_host::cudnn::plain_engine) const;
    double tolerance(double expected) const;

  private:
    Data make(int64_t uid, const Dims &dims, cudnnDataType_t type, double scale);
    void add_step(size_t i, Step step, const TensorSpec &in, const TensorSpec &out);

    cudnnHandle_t handle_;
    Problem problem_;
    std::vector<Owned> descriptors_;
    Owned graph_;
    std::vector<cudnnBackendDescriptor_t> operations_;
    std::vector<Data> data_; // input, weights, result, others in the order of the steps
    std::unique_ptr<Buffer<char>> workspace_;
    unsigned random_ = 1;
};

Owned variant_pack(const std::vector<std::pair<int64_t, void *>> &pointers, void *workspace);
int64_t workspace_size(const Descriptor &plan);

// Nothing is left of handles, descriptors and memory; no switch is left set.
class Cudnn : public testing::Test {
  protected:
    void SetUp() override { before_ = cuda_host::counts(); }
    void TearDown() override;

  private:
    cuda_host::Counts before_{};
};

} // namespace cudnn_test
#endif
