// How far the figures of a run are to be trusted: in the JSON, and in warnings at its end.
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "measure/load.h"

// Google Benchmark's JSON, which begins with a "context", with an "end": the load after the last case.
class JsonWithEnd : public benchmark::JSONReporter {
  public:
    explicit JsonWithEnd(const measure::Load &load) : load_(load) {}
    void Finalize() override;

  private:
    const measure::Load &load_;
};

// Whether the options ask for a JSON file. Google Benchmark exits if it is given a reporter for a file and no file.
bool writes_json(int argc, char **argv);

void describe_load(const measure::Load &load); // in the context, before the first case
// Prints load and warnings to standard error, after the last case. `unsteady`: names of cases that varied too much.
void print_end(const measure::Load &load, const std::vector<std::string> &unsteady);
#endif
