// Streams and captured evaluations, on a real device and on the shim of cuda_host.
#ifndef TESTS_CUDA_STREAM_H
#define TESTS_CUDA_STREAM_H
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "run_case.h"

// A stream of the tested device that does not wait for the default one, so that work on the wrong stream is out of order.
class Stream {
  public:
    Stream() {
        int current = 0;
        EXPECT_EQ(cudaGetDevice(&current), cudaSuccess);
        EXPECT_EQ(cudaSetDevice(tested_device().id().index), cudaSuccess);
        EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
        EXPECT_EQ(cudaSetDevice(current), cudaSuccess);
    }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    operator cudaStream_t() const { return stream_; }
    void wait() const { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }

  private:
    cudaStream_t stream_ = nullptr;
};

class Graph {
  public:
    Graph() = default;
    ~Graph() {
        if (instance_) cudaGraphExecDestroy(instance_);
        if (graph_) cudaGraphDestroy(graph_);
    }
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;
    pxl_status capture(cudaStream_t stream, Evaluation &evaluation) {
        EXPECT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
        const pxl_status status = evaluation.evaluate(stream);
        EXPECT_EQ(cudaStreamEndCapture(stream, &graph_), cudaSuccess);
        EXPECT_EQ(cudaGraphInstantiate(&instance_, graph_, 0), cudaSuccess);
        return status;
    }
    void replay(cudaStream_t stream) const { EXPECT_EQ(cudaGraphLaunch(instance_, stream), cudaSuccess); }

  private:
    cudaGraph_t graph_ = nullptr;
    cudaGraphExec_t instance_ = nullptr;
};

inline std::vector<float> as_floats(const std::vector<double> &values) { return {values.begin(), values.end()}; }
#endif
