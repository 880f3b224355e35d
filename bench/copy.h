// The yardstick of memory on the CPU: plain loops over arrays as large as a case's images (measure/loops.h).
#ifndef BENCH_COPY_H
#define BENCH_COPY_H
#include <memory>

#include "image.h"
#include "work.h"

class Copy : public Work {
  public:
    Copy(size_t bytes, Traffic traffic); // of each array
    void run() override;
    double bytes_to_move() const override; // rounded up to whole cache lines
    Traffic traffic() const override { return traffic_; }

  private:
    Traffic traffic_;
    Memory a_;
    std::unique_ptr<Memory> b_, c_;
};
#endif
