#include "contest.h"

Contest::Contest(Device &device, Work &work, Work *copy, Work *multiply_add)
    : work_(work),
      copy_(copy),
      multiply_add_(multiply_add),
      own_(device, [&work] { work.run(); }),
      beside_(device, [copy] { copy->run(); }),
      arithmetic_(device, [multiply_add] { multiply_add->run(); }) {}

void Contest::sample_yardsticks() {
    if (copy_) beside_.sample();
    if (multiply_add_) arithmetic_.sample();
}

void Contest::sample() {
    if (!sampled_) sample_yardsticks();
    own_.sample();
    if (sampled_) sample_yardsticks();
    sampled_ = true;
}

bool Contest::is_steady() const {
    return own_.timing().is_steady() && (!copy_ || beside_.timing().is_steady()) &&
           (!multiply_add_ || arithmetic_.timing().is_steady());
}

std::map<std::string, double> Contest::results() const {
    std::map<std::string, double> results;
    const measure::Timing own = own_.timing();
    const auto add = [&](const std::string &prefix, const measure::Timing &timing) {
        results[prefix + "min"] = timing.minimum;
        results[prefix + "median"] = timing.median;
        results[prefix + "spread"] = timing.spread;
    };
    const auto add_ratio = [&](const char *name, double amount, double of, const measure::Timing &other) {
        if (own.is_steady() && other.is_steady()) results[name] = (amount / own.median) / (of / other.median);
    };
    add("", own);
    if (copy_) {
        add("copy_", beside_.timing());
        add_ratio("of_copy", work_.bytes_to_move(), copy_->bytes_to_move(), beside_.timing());
    }
    if (multiply_add_) {
        add("fma_", arithmetic_.timing());
        add_ratio("of_fma", work_.multiply_adds(), multiply_add_->multiply_adds(), arithmetic_.timing());
    }
    return results;
}
