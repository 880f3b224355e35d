// step.c in C++: descends on the pixels themselves, with 0.84 (1 - SSIM) + 0.16 l1 as the loss; and on a schedule, which begins
// with l1 alone. With the library installed:
//     c++ -std=c++17 examples/step.cpp $(pkg-config --cflags --libs pixloss) && ./a.out
#include <cstdio>
#include <pixloss/pixloss.hpp>
#include <vector>

namespace {

constexpr int size = 64, steps = 200;

std::vector<float> chessboard() {
    std::vector<float> image;
    for (int i = 0; i < size * size; i++) image.push_back(static_cast<float>((i % size / 8 + i / size / 8) % 2));
    return image;
}

double descend() {
    const std::vector<float> wanted = chessboard();
    std::vector<float> image(wanted.size(), 0.5F), gradient(wanted.size());
    std::array<float, 2> weights{};
    std::array<double, 3> values{}; // total, ssim, l1

    const pxl::Loss loss("0.84*ssim + 0.16*l1");                                             // what to compute: once
    pxl::Args args(pxl::nchw(image, 1, 1, size, size), pxl::nchw(wanted, 1, 1, size, size)); // on what: once per shape
    args.grad_pred = pxl::nchw(gradient, 1, 1, size, size);
    args.term_weights = weights;
    args.values = values;
    const pxl::Workspace workspace = loss.workspace(args);

    for (int step = 0; step <= steps; step++) { // every step
        const float ssim = step < 20 ? 0.0F : 0.84F;
        weights = {ssim, 1 - ssim};
        loss.evaluate(args, workspace);
        if (step % 50 == 0) std::printf("step %3d: %.4f, ssim %.4f, l1 %.4f\n", step, values[0], values[1], values[2]);
        for (size_t i = 0; i < image.size(); i++) image[i] -= 60 * gradient[i];
    }
    return values[0];
}

} // namespace

int main() {
    try {
        return descend() < 0.2 ? 0 : 1; // from 0.5
    } catch (const pxl::Error &error) {
        std::fprintf(stderr, "%s: %s\n", pxl::status_name(error.status()), error.what());
        return 1;
    }
}
