// Streams and captured evaluations, on a real device and on the shim of cuda_host.
#ifndef TESTS_CUDA_STREAM_H
#define TESTS_CUDA_STREAM_H
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

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

// The bits of a call by itself on the default stream.
inline Bits alone(const Case &test, const oracle::Inputs &inputs) {
    const Outcome outcome = run(test, inputs);
    EXPECT_EQ(outcome.status, PXL_OK) << outcome.message << describe(test);
    return outcome.bits;
}
// Each host thread with a case, a stream and a workspace of its own, all at once: each call gives its bits by itself.
inline void expect_same_bits_at_once(const std::vector<Case> &cases) {
    std::vector<Bits> expected;
    std::vector<std::unique_ptr<Evaluation>> calls;
    for (const Case &test : cases) {
        const oracle::Inputs inputs = make_inputs(test);
        expected.push_back(alone(test, inputs));
        calls.push_back(std::make_unique<Evaluation>(tested_device(), test, inputs));
        ASSERT_EQ(calls.back()->prepare(), PXL_OK) << pxl_error_message();
    }
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    std::vector<std::string> failures(cases.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < cases.size(); ++i)
        threads.emplace_back([&, i] {
            const Stream stream;
            for (int step = 0; step < 4; ++step)
                if (calls[i]->evaluate(stream)) failures[i] = pxl_error_message();
            if (cudaStreamSynchronize(stream)) failures[i] += "cudaStreamSynchronize failed";
        });
    for (std::thread &thread : threads) thread.join();
    for (size_t i = 0; i < cases.size(); ++i) {
        EXPECT_EQ(failures[i], "") << describe(cases[i]);
        EXPECT_EQ(calls[i]->outcome(PXL_OK).bits, expected[i]) << describe(cases[i]);
    }
}

inline std::vector<float> as_floats(const std::vector<double> &values) { return {values.begin(), values.end()}; }
#endif
