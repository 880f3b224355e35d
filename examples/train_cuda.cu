// A training loop on the GPU in small: an image is recovered from noise by gradient descent, the whole step in a CUDA graph, the mix
// of terms on a schedule (mae first, then mae and ssim) without a rebuild or a new capture.
// From the repository's root, after a build of the library with CUDA (README.md, Building):
//   nvcc -std=c++17 examples/train_cuda.cu -Iinclude build/library/src/libpixloss.a -lgomp -ljansson -o build/train_cuda
#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "pixloss/pixloss.h"

static void check(cudaError_t error) {
    if (error) std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error)), std::exit(1);
}
static void check(pxl_status status) {
    if (status) std::fprintf(stderr, "pixloss: %s\n", pxl_error_message()), std::exit(1);
}

// What stands for a network and its optimizer: the pixels themselves, moved against their gradient.
__global__ void descend(float *x, const float *gradient, float rate, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] -= rate * gradient[i];
}

int main() {
    int devices = 0;
    check(pxl_device_count(PXL_CUDA, &devices));
    if (!devices) {
        std::printf("no GPU here: %s\n", pxl_error_message());
        return 0;
    }
    constexpr int n = 4, c = 3, h = 256, w = 256, count = n * c * h * w, steps = 300;
    std::vector<float> image(count), start(count);
    for (int i = 0; i < count; i++) {
        image[i] = 0.5f + 0.4f * std::sin(0.07f * (i % w)) * std::cos(0.05f * (i / w % h));
        start[i] = static_cast<float>(std::rand()) / RAND_MAX;
    }
    float *x, *y, *gradient, *weights;
    double *values;
    check(cudaMalloc(&x, count * sizeof(float))), check(cudaMalloc(&y, count * sizeof(float)));
    check(cudaMalloc(&gradient, count * sizeof(float))), check(cudaMalloc(&weights, 2 * sizeof(float)));
    check(cudaMalloc(&values, 3 * sizeof(double)));
    check(cudaMemcpy(x, start.data(), count * sizeof(float), cudaMemcpyHostToDevice));
    check(cudaMemcpy(y, image.data(), count * sizeof(float), cudaMemcpyHostToDevice));

    pxl_loss *loss;
    check(pxl_loss_parse("ssim + l1", nullptr, &loss));
    pxl_tensor pred = pxl_nchw(x, PXL_F32, PXL_CUDA_DEVICE(0), n, c, h, w), target = pred, grad = pred;
    target.data = y, grad.data = gradient;
    pxl_args args = PXL_ARGS(&pred, &target);
    args.grad_pred = &grad, args.values = values, args.term_weights = weights; // all on the device

    cudaStream_t stream;
    size_t bytes;
    void *workspace;
    check(cudaStreamCreate(&stream));
    check(pxl_workspace_size(nullptr, loss, &args, &bytes));
    check(cudaMalloc(&workspace, bytes));
    check(pxl_workspace_init(nullptr, loss, &args, workspace, bytes, stream));

    cudaGraph_t graph;
    cudaGraphExec_t step;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    check(pxl_evaluate(nullptr, loss, &args, workspace, bytes, stream)); // one kernel: loss and gradient
    descend<<<(count + 255) / 256, 256, 0, stream>>>(x, gradient, 0.2f * count, count);
    check(cudaStreamEndCapture(stream, &graph));
    check(cudaGraphInstantiate(&step, graph, 0));

    for (int i = 0; i < steps; i++) {
        const float mix[2] = {i < steps / 3 ? 0.0f : 0.1f, 0.02f}; // ssim, l1: read by the captured step
        check(cudaMemcpyAsync(weights, mix, sizeof mix, cudaMemcpyHostToDevice, stream));
        check(cudaGraphLaunch(step, stream));
        if (i % 50 && i + 1 < steps) continue;
        double now[3];
        check(cudaMemcpyAsync(now, values, sizeof now, cudaMemcpyDeviceToHost, stream));
        check(cudaStreamSynchronize(stream));
        std::printf("step %3d  loss %.5f  1 - ssim %.5f  l1 %.5f\n", i, now[0], now[1], now[2]);
    }
    pxl_loss_destroy(loss);
    check(cudaGraphExecDestroy(step)), check(cudaGraphDestroy(graph)), check(cudaStreamDestroy(stream));
    for (void *memory : {static_cast<void *>(x), static_cast<void *>(y), static_cast<void *>(gradient),
                         static_cast<void *>(weights), static_cast<void *>(values), workspace})
        check(cudaFree(memory));
    return 0;
}
