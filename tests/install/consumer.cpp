// consumer.c, in C++.
#include <cstdio>
#include <pixloss/pixloss.hpp>

int main() {
    const std::array<float, 64> x{1}, y{};
    std::array<double, 2> values{};
    const pxl::Loss loss("mse");
    pxl::Args args(pxl::nchw(x, 1, 1, 8, 8), pxl::nchw(y, 1, 1, 8, 8));
    args.values = values;
    loss.evaluate(args, loss.workspace(args));
    std::printf("mse = %g by pixloss %s\n", values[0], pxl::version());
}
