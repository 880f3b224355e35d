// Images for the benchmarks: memory, a view of it in some layout, and pixels that are the same in every type and layout.
#ifndef BENCH_IMAGE_H
#define BENCH_IMAGE_H
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "cases.h"
#include "pixloss/pixloss.h"

// Bytes aligned to 64, 0xff each (NaN in every floating-point type), touched first by the threads that will use them.
class Memory {
  public:
    explicit Memory(size_t bytes); // throws std::bad_alloc
    void *data() const { return data_.get(); }
    size_t size() const { return size_; }

  private:
    struct Free {
        void operator()(void *data) const { std::free(data); }
    };
    size_t size_;
    std::unique_ptr<void, Free> data_;
};

class Image {
  public:
    Image(pxl_dtype dtype, Layout layout, int64_t n, int64_t c, int64_t h, int64_t w);
    const pxl_tensor *view() const { return &view_; }
    const Memory &memory() const { return memory_; } // all of it, which the view may show a part of
    size_t bytes() const;                            // of its elements
    double get(int64_t n, int64_t c, int64_t y, int64_t x) const;

    // Multiples of 1/256, as of a photograph with 8 bits: exact in every type, and so are stencils of them. A sign (l1) then
    // never hangs on a rounding, and a result may be compared with that of another type.
    void draw_target();
    void draw_pred();    // the target with noise
    void draw_weights(); // 0, 1/4, 1/2, 3/4
    void clear();

  private:
    template <typename Level>
    void draw(Level level);
    void set(int64_t offset, float value);

    pxl_tensor view_;
    Memory memory_;
};
#endif
