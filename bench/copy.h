// The yardstick: plain loops over arrays as large as a case's images, as fast as the machine can move them.
#ifndef BENCH_COPY_H
#define BENCH_COPY_H
#include <memory>

#include "image.h"
#include "work.h"

class Copy : public Work {
  public:
    // `bytes` of an array. Two are read; with `write` a third is written past the caches, otherwise both are summed.
    Copy(size_t bytes, bool write);
    void run() override;
    double bytes_to_move() const override; // rounded up to whole cache lines

  private:
    Memory a_, b_;
    std::unique_ptr<Memory> c_;
};
#endif
