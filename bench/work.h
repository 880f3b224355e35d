// What is timed: a loss, a filter, a reduction, a yardstick.
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

// Arrays of a case's size that a loop moves, the yardstick of memory.
struct Traffic {
    int reads;   // 1 or 2
    bool writes; // writes one
};

class Work {
  public:
    virtual ~Work() = default;
    virtual void run() = 0;                                // once; on a GPU returns before it is done
    virtual double bytes_to_move() const = 0;              // that any implementation has to move, from and to memory, in one run
    virtual Traffic traffic() const { return {2, false}; } // of the loop to compare it with
    virtual double multiply_adds() const { return 0; }     // that its formulas ask for in one run; 0: not counted
    virtual int taps() const { return 0; }                 // of a blur alone
};
#endif
