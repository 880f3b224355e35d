// The yardstick of what is bound by arithmetic: how many multiply-adds the machine does.
#ifndef BENCH_MEASURE_MULTIPLY_ADD_H
#define BENCH_MEASURE_MULTIPLY_ADD_H
#include <cstdint>
#include <string>

namespace measure {

// "avx512" from the library's description of the CPU, "CPU, avx512 (of avx512, avx2, sse2), 2 threads"; "" if that has another
// form.
std::string instruction_set(const std::string &description);

// Multiply-adds on registers, in independent chains. `instruction_set` is the name of the one that the library uses: width and
// clock depend on it. Without FMA instructions (sse2) a multiply-add is a multiplication and an addition. As many threads take
// part as the library uses for so many pixels.
class MultiplyAdd {
  public:
    enum Precision { SINGLE, DOUBLE };
    MultiplyAdd(const std::string &instruction_set, Precision precision, int64_t pixels);
    void run() const;
    double count() const; // multiply-adds in a run, each of one number

  private:
    double (*chains_)(int rounds); // returns a number that depends on every chain
    int lanes_, threads_;
};

} // namespace measure
#endif
