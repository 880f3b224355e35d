// What is timed: a loss, a reduction, a copy.
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

class Work {
  public:
    virtual ~Work() = default;
    virtual void run() = 0;                   // once; on a GPU returns before it is done
    virtual double bytes_to_move() const = 0; // that any implementation has to move, from and to memory, in one run
};
#endif
