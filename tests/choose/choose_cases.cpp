// Chooses from the long list of random cases those that reach code which the short one does not: tests/chosen_cases.inc, which the
// default check runs beside the short list. The library is compiled with -fsanitize-coverage=trace-pc: it calls the function below
// at each basic block, in every instruction set and in the CUDA kernels that run on the CPU. scripts/choose_cases.sh runs this.
//   pixloss_choose_cases CANDIDATES
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "random_cases.h"
#include "run_case.h"

extern "C" const char __executable_start, etext;
extern "C" void __sanitizer_cov_trace_pc();

namespace {

constexpr unsigned deliveries = 2; // as the tests have

// The blocks that ran since reset(), each once.
struct Trace {
    std::vector<std::atomic<uint32_t>> seen; // the last case that ran it
    std::vector<uint32_t> blocks;
    std::mutex mutex;
    std::atomic<uint32_t> turn{0};

    Trace() : seen(static_cast<size_t>(&etext - &__executable_start)) {}
    void reset() {
        blocks.clear();
        ++turn;
    }
    void add(size_t block) {
        const uint32_t now = turn.load(std::memory_order_relaxed);
        if (block >= seen.size() || seen[block].load(std::memory_order_relaxed) == now) return;
        if (seen[block].exchange(now, std::memory_order_relaxed) == now) return;
        const std::lock_guard<std::mutex> lock(mutex);
        blocks.push_back(static_cast<uint32_t>(block));
    }
};
Trace *trace; // not before main()

std::vector<uint32_t> blocks_of(uint32_t seed) {
    std::mt19937 random(seed);
    Case test = random_case(random);
    const oracle::Inputs inputs = make_inputs(test);
    trace->reset();
    for (unsigned i = 0; i < deliveries; ++i) {
        for (const Way &way : tested_ways()) run(way, test, inputs);
        vary_delivery(test, random);
    }
    return trace->blocks;
}

struct Candidate {
    uint32_t seed;
    std::vector<uint32_t> blocks; // that are not reached yet
};

class Choice {
  public:
    explicit Choice(size_t blocks) : reached_(blocks) {}

    void take(const std::vector<uint32_t> &blocks) {
        for (const uint32_t block : blocks) reached_[block] = true;
    }
    void keep_new(std::vector<uint32_t> &blocks) const {
        blocks.erase(std::remove_if(blocks.begin(), blocks.end(), [&](uint32_t block) { return reached_[block]; }), blocks.end());
    }
    size_t count() const { return static_cast<size_t>(std::count(reached_.begin(), reached_.end(), true)); }

  private:
    std::vector<bool> reached_;
};

// The case with most new blocks, again and again.
std::vector<uint32_t> choose(Choice &choice, std::vector<Candidate> candidates) {
    std::vector<uint32_t> chosen;
    for (;;) {
        for (Candidate &candidate : candidates) choice.keep_new(candidate.blocks);
        const auto best = std::max_element(candidates.begin(), candidates.end(), [](const Candidate &a, const Candidate &b) {
            return a.blocks.size() < b.blocks.size();
        });
        if (best == candidates.end() || best->blocks.empty()) return chosen;
        chosen.push_back(best->seed);
        choice.take(std::vector<uint32_t>(best->blocks));
    }
}

} // namespace

extern "C" void __sanitizer_cov_trace_pc() {
    if (trace) trace->add(static_cast<size_t>(static_cast<const char *>(__builtin_return_address(0)) - &__executable_start));
}

int main(int argc, char **argv) {
    const uint32_t count = argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 0;
    Trace made;
    trace = &made;
    Choice choice(made.seen.size());
    for (uint32_t i = 0; i < short_list.count; ++i) choice.take(blocks_of(short_list.first + i));
    const size_t by_short = choice.count();
    std::vector<Candidate> candidates;
    for (uint32_t i = 0; i < count; ++i) {
        if (i % 100 == 0) std::fprintf(stderr, "\r%u of %u candidates", i, count);
        Candidate candidate{long_list.first + i, blocks_of(long_list.first + i)};
        choice.keep_new(candidate.blocks);
        if (!candidate.blocks.empty()) candidates.push_back(std::move(candidate));
    }
    trace = nullptr;
    const std::vector<uint32_t> chosen = choose(choice, std::move(candidates));
    std::fprintf(stderr, "\r%zu basic blocks by the short list, %zu with %zu cases of the long one\n", by_short, choice.count(),
                 chosen.size());
    for (size_t i = 0; i < chosen.size(); ++i)
        std::printf("%u,%s", chosen[i], i % 12 == 11 || i + 1 == chosen.size() ? "\n" : " ");
}
