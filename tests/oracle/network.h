// Networks of convolutions, rectifiers and poolings, layer by layer in float64, and the gradients back through them.
#ifndef ORACLE_NETWORK_H
#define ORACLE_NETWORK_H
#include <string>

#include "image.h"

namespace oracle {

struct Layer {
    // CONVOLUTION: size x size, stride 1, size / 2 zeros around. Pooling: 2 x 2, stride 2, an odd last row or column left out.
    enum Kind { CONVOLUTION, RELU, MAX_POOL, AVERAGE_POOL };
    Kind kind = CONVOLUTION;
    int inputs = 0, outputs = 0;      // channels
    int size = 0;                     // of a convolution
    std::vector<double> weight, bias; // outputs x inputs x size x size; outputs. Parsing leaves them 0.
};
using Network = std::vector<Layer>;

// "vgg11", "vgg13", "vgg16", "vgg19", or a list such as "1:16,16,M,32k5,A": input channels (3) and a colon; then a convolution by
// its output channels (k: its size, else 3) with a rectifier after it, M a maximum or A an average. Throws std::invalid_argument.
Network parse_architecture(const std::string &text);
// conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 ...: the block, and which convolution of it.
std::vector<std::string> layer_names(const Network &network);
// Of a name, or of a number in decimal; -1 where there is no such layer.
int layer_index(const Network &network, const std::string &name);

// Number i of a stream of numbers spread evenly over [0, 1), multiples of 2^-24: splitmix64.
double uniform(uint64_t seed, uint64_t stream, uint64_t i);
// Weights even over +-sqrt(6 / (inputs size^2)), rounded to float32, convolution j's from stream j; biases 0.
void fill_random(Network &network, uint64_t seed);

// What each layer puts out, up to and with layer `last`; [0] is the input, [1 + l] is layer l's.
std::vector<Image> forward(const Network &network, const Image &input, int last);
// grads[1 + l]: of the value with respect to what layer l puts out directly, or empty. The gradient with respect to the input.
Image backward(const Network &network, const std::vector<Image> &outputs, const std::vector<Image> &grads);

} // namespace oracle
#endif
