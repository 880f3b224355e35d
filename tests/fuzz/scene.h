// The memory of one call, decoded from a fuzzer's bytes: views and arrays, most of them good, some spoilt in one place. A view has a
// heap block of exactly the bytes that it reaches, so that the address sanitizer sees any access beside it, or shares that of
// another; one that reaches too far for that has an address that nothing may touch. Bytes that have run out read as 0, which stands
// for the ordinary.
#ifndef FUZZ_SCENE_H
#define FUZZ_SCENE_H
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "require.h"

using Bytes = FuzzedDataProvider;

inline bool one_in(Bytes &from, int n) { return from.ConsumeIntegralInRange(0, n - 1) == 1; }
// One of the list, as a rule.
template <typename T>
T one_of(Bytes &from, std::initializer_list<T> values) {
    if (one_in(from, 48)) {
        T any{};
        const std::vector<uint8_t> bytes = from.ConsumeBytes<uint8_t>(sizeof any);
        if (!bytes.empty()) std::memcpy(&any, bytes.data(), bytes.size());
        return any;
    }
    return values.begin()[from.ConsumeIntegralInRange<size_t>(0, values.size() - 1)];
}
// An enum may hold what is none of its constants: as from a caller in C.
template <typename Enum>
Enum one_of_first(Bytes &from, int count) {
    const int value = one_in(from, 48) ? from.ConsumeIntegral<int>() : from.ConsumeIntegralInRange(0, count - 1);
    Enum result;
    static_assert(sizeof result == sizeof value);
    std::memcpy(&result, &value, sizeof result);
    return result;
}

struct Sizes {
    int64_t size[4];
};
inline Sizes draw_sizes(Bytes &from) {
    const auto side = [&] { return one_of<int64_t>(from, {12, 1, 2, 3, 40, 17, 7, 64, 5}); };
    const int64_t n = one_of<int64_t>(from, {1, 2, 3}), c = one_of<int64_t>(from, {1, 3, 2, 4}), h = side();
    return {{n, c, h, side()}};
}

class Scene {
  public:
    explicit Scene(Bytes &from) : from_(from) {}

    // A view of these sizes. `output`: it will be written to.
    pxl_tensor *view(pxl_dtype dtype, const Sizes &sizes, bool output);
    // `count` numbers, or an address that nothing may touch where that is too many.
    template <typename T>
    T *array(int64_t count, bool output) {
        return reinterpret_cast<T *>(add_array(count, sizeof(T), output));
    }

    // Whether all memory is there, and no view has more elements than are computed in no time.
    bool is_real() const { return real_; }
    // Numbers for the inputs: of ordinary size, or any bits.
    void fill_inputs();
    // Every byte that is to be written.
    void fill_outputs(uint8_t byte);

    using Snapshot = std::vector<std::vector<uint8_t>>;
    Snapshot snapshot() const;
    // Nothing has changed since, or nothing but elements of outputs.
    void require_untouched(const Snapshot &before) const { require(snapshot() == before); }
    void require_only_outputs_changed(const Snapshot &before) const;
    // The elements of all outputs.
    std::vector<uint8_t> results() const;

  private:
    struct Block {
        std::unique_ptr<uint8_t[]> bytes;
        size_t size;
    };
    struct Placed {
        pxl_tensor tensor;
        int64_t low = 0, bytes = 0; // from data - low, so many
        bool real = true, output = false;
    };
    struct Array {
        uint8_t *data;
        size_t bytes;
        bool output;
    };

    void lay_out(pxl_tensor &tensor, bool output);
    void spoil(pxl_tensor &tensor);
    void place(Placed &placed);
    uint8_t *block_for(const Placed &placed);
    uint8_t *add_array(int64_t count, size_t each, bool output);
    uint8_t *add_block(size_t bytes);
    template <typename Visit>
    void each_output(Visit visit) const;

    Bytes &from_;
    bool real_ = true;
    std::deque<Block> blocks_;
    std::deque<Placed> views_; // which stay where they are
    std::vector<Array> arrays_;
};
#endif
