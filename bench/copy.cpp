#include "copy.h"

#include "measure/loops.h"

namespace {
std::unique_ptr<Memory> make_array(bool wanted, size_t bytes) { return wanted ? std::make_unique<Memory>(bytes) : nullptr; }
void *data_of(const std::unique_ptr<Memory> &memory) { return memory ? memory->data() : nullptr; }
} // namespace

Copy::Copy(size_t bytes, Traffic traffic)
    : traffic_(traffic), a_(bytes), b_(make_array(traffic.reads == 2, bytes)), c_(make_array(traffic.writes, bytes)) {}

void Copy::run() {
    [[maybe_unused]] static volatile uint64_t sink; // a sum that nobody reads would not be formed
    sink = measure::stream(a_.data(), data_of(b_), data_of(c_), a_.size());
}

double Copy::bytes_to_move() const { return double(a_.size()) * (traffic_.reads + traffic_.writes); }
