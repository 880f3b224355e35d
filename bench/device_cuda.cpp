// Memory, events and graphs by NVIDIA's runtime; the kernels are in copy_cuda.cu.
#include "device_cuda.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <new>
#include <stdexcept>

#include "copy_cuda.h"

namespace {

void check(cudaError_t error, const char *call) {
    if (error) throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(error));
}
#define CHECK(call) check(call, #call)

int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
    return value;
}
void check_allocation(cudaError_t error, size_t bytes) {
    if (error) cudaGetLastError();
    if (error) throw std::runtime_error("cudaMalloc of " + std::to_string(bytes) + " bytes: " + cudaGetErrorString(error));
}

// One or two arrays read, another written; `copies` of all take turns.
class CudaCopy : public Work {
  public:
    CudaCopy(Device &device, size_t bytes, Traffic traffic, int64_t copies)
        : device_(device), quads_(int64_t(bytes + 31) / 32 * 2), traffic_(traffic) {
        const size_t size = size_t(quads_) * 16;
        const auto allocate = [&](bool wanted) { return wanted ? device.allocate(size) : nullptr; };
        sink_ = device.allocate(sizeof(float));
        for (int64_t i = 0; i < copies; i++) {
            const Arrays arrays = {allocate(true), allocate(traffic.reads == 2), allocate(traffic.writes)};
            for (const auto &read : {arrays.a, arrays.b}) // NaN is as fast, but who knows
                if (read) check(cudaMemset(read.get(), 0, size), "cudaMemset");
            arrays_.push_back(arrays);
        }
        CHECK(cudaDeviceSynchronize()); // the stream does not wait for the default one
    }
    void run() override {
        next_ = (next_ + 1) % arrays_.size();
        check(launch(arrays_[next_]), "copy's kernel");
    }
    double bytes_to_move() const override { return 16.0 * double(quads_) * (traffic_.reads + traffic_.writes); }
    Traffic traffic() const override { return traffic_; }

  private:
    struct Arrays {
        std::shared_ptr<void> a, b, c;
    };
    cudaError_t launch(const Arrays &arrays) const {
        const auto stream = static_cast<cudaStream_t>(device_.stream());
        const auto *const a = static_cast<const char *>(arrays.a.get());
        auto *const sink = static_cast<float *>(sink_.get());
        if (traffic_.reads == 1 && traffic_.writes)
            return cudaMemcpyAsync(arrays.c.get(), a, size_t(quads_) * 16, cudaMemcpyDeviceToDevice, stream);
        if (traffic_.reads == 1) return bench_sum_two(a, a + quads_ * 8, quads_ / 2, sink, stream); // the halves of one array
        if (traffic_.writes) return bench_add_two(a, arrays.b.get(), arrays.c.get(), quads_, stream);
        return bench_sum_two(a, arrays.b.get(), quads_, sink, stream);
    }
    Device &device_;
    int64_t quads_; // of 16 bytes, in each array; an even number
    Traffic traffic_;
    std::vector<Arrays> arrays_;
    std::shared_ptr<void> sink_;
    size_t next_ = 0;
};

class Memcpy : public Work {
  public:
    explicit Memcpy(Device &device, size_t bytes)
        : device_(device), bytes_(bytes), from_(device.allocate(bytes)), to_(device.allocate(bytes)) {}
    void run() override {
        check(cudaMemcpyAsync(to_.get(), from_.get(), bytes_, cudaMemcpyDeviceToDevice,
                              static_cast<cudaStream_t>(device_.stream())),
              "cudaMemcpyAsync");
    }
    double bytes_to_move() const override { return 2.0 * double(bytes_); }

  private:
    Device &device_;
    size_t bytes_;
    std::shared_ptr<void> from_, to_;
};

class MultiplyAdd : public Work {
  public:
    explicit MultiplyAdd(Device &device, int multiprocessors)
        : device_(device), multiprocessors_(multiprocessors), sink_(device.allocate(sizeof(float))) {}
    void run() override {
        check(bench_multiply_add(multiprocessors_, static_cast<float *>(sink_.get()), &count_,
                                 static_cast<cudaStream_t>(device_.stream())),
              "fma's kernel");
    }
    double bytes_to_move() const override { return 0; }
    double multiply_adds() const override { return count_; }

  private:
    Device &device_;
    int multiprocessors_;
    std::shared_ptr<void> sink_;
    double count_ = 0;
};

class Graph : public Work {
  public:
    Graph(Work &work, cudaStream_t stream) : work_(work), stream_(stream) {
        work.run(); // what is loaded at the first launch is loaded now
        CHECK(cudaStreamSynchronize(stream));
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        try {
            work.run();
        } catch (...) {
            cudaStreamEndCapture(stream, &graph);
            if (graph) cudaGraphDestroy(graph);
            throw;
        }
        CHECK(cudaStreamEndCapture(stream, &graph));
        const cudaError_t error = cudaGraphInstantiate(&executable_, graph, 0);
        cudaGraphDestroy(graph);
        check(error, "cudaGraphInstantiate");
    }
    ~Graph() override { cudaGraphExecDestroy(executable_); }
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;
    void run() override { CHECK(cudaGraphLaunch(executable_, stream_)); }
    double bytes_to_move() const override { return work_.bytes_to_move(); }

  private:
    Work &work_;
    cudaStream_t stream_;
    cudaGraphExec_t executable_ = nullptr;
};

class Cuda : public Device {
  public:
    explicit Cuda(int index) : index_(index) {
        CHECK(cudaSetDevice(index));
        CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
        CHECK(cudaEventCreate(&begin_));
        CHECK(cudaEventCreate(&end_));
        cache_ = attribute(cudaDevAttrL2CacheSize, index);
        multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount, index);
    }
    ~Cuda() override {
        cudaEventDestroy(end_);
        cudaEventDestroy(begin_);
        cudaStreamDestroy(stream_);
    }
    Cuda(const Cuda &) = delete;
    Cuda &operator=(const Cuda &) = delete;

    pxl_device id() const override { return PXL_CUDA_DEVICE(index_); }
    pxl_stream stream() const override { return stream_; }
    std::shared_ptr<void> allocate(size_t bytes) override {
        void *memory = nullptr;
        check_allocation(cudaMalloc(&memory, std::max<size_t>(bytes, 1)), bytes);
        std::shared_ptr<void> owned(memory, [](void *m) { cudaFree(m); });
        CHECK(cudaMemset(memory, 0xff, bytes));
        CHECK(cudaDeviceSynchronize()); // the stream does not wait for the default one
        return owned;
    }
    void upload(void *to, const void *from, size_t bytes) override {
        CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
        CHECK(cudaDeviceSynchronize());
    }
    void download(void *to, const void *from, size_t bytes) override {
        CHECK(cudaDeviceSynchronize());
        CHECK(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost));
    }
    double seconds(const std::function<void()> &run, int64_t runs) override {
        float milliseconds = 0;
        CHECK(cudaEventRecord(begin_, stream_));
        for (int64_t i = 0; i < runs; i++) run();
        CHECK(cudaEventRecord(end_, stream_));
        CHECK(cudaEventSynchronize(end_));
        CHECK(cudaEventElapsedTime(&milliseconds, begin_, end_));
        return 1e-3 * milliseconds;
    }
    double shortest_sample() const override { return 2e-3; }
    int64_t copies_to_be_cold(double bytes) const override {
        return std::clamp<int64_t>(int64_t(std::ceil(4.0 * cache_ / bytes)), 1, 64);
    }
    std::unique_ptr<Work> make_copy(size_t bytes, Traffic traffic, int64_t copies) override {
        return std::make_unique<CudaCopy>(*this, bytes, traffic, copies);
    }
    // f16 and bf16 images are computed in f32, too.
    std::unique_ptr<Work> make_multiply_add(pxl_dtype, int64_t) override {
        return std::make_unique<MultiplyAdd>(*this, multiprocessors_);
    }
    std::unique_ptr<Work> make_roof(const std::string &name) override {
        if (name == "fma") return std::make_unique<MultiplyAdd>(*this, multiprocessors_);
        return std::make_unique<Memcpy>(*this, std::max<size_t>(size_t(8) * cache_, 64 << 20));
    }
    std::unique_ptr<Work> capture(Work &work) override { return std::make_unique<Graph>(work, stream_); }
    std::vector<std::pair<std::string, std::string>> properties() const override {
        int runtime = 0;
        cudaRuntimeGetVersion(&runtime);
        std::vector<std::pair<std::string, std::string>> all = {
            {"multiprocessors", std::to_string(multiprocessors_)},
            {"l2_bytes", std::to_string(cache_)},
            {"cuda_runtime", std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10)}};
        int clock = 0; // kHz; the highest that the card says it runs at
        if (cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, index_) == cudaSuccess && clock > 0)
            all.emplace_back("clock_mhz", std::to_string(clock / 1000));
        cudaGetLastError();
        std::ifstream file("/proc/driver/nvidia/version");
        std::string line;
        if (std::getline(file, line)) all.emplace_back("driver", line);
        return all;
    }

  private:
    int index_;
    cudaStream_t stream_ = nullptr;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    int cache_ = 0, multiprocessors_ = 0;
};

} // namespace

std::unique_ptr<Device> make_cuda_device(int index) { return std::make_unique<Cuda>(index); }
