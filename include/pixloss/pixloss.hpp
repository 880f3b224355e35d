/** @file
 * @brief pixloss for C++17: the functions of pixloss.h as objects. Header alone, on top of the C library; no mathematics of its
 * own.
 *
 *     pxl::Loss loss("0.84*ssim + 0.16*l1");                                       // 1. what to compute: once
 *
 *     pxl::Args args(pxl::nchw(x, 8, 3, 256, 256), pxl::nchw(y, 8, 3, 256, 256));  // 2. on what: once per shape
 *     args.grad_pred = pxl::nchw(g, 8, 3, 256, 256);                               //    x, y, g: vectors, arrays or pointers
 *     args.values = values;                                                        //    1 + terms doubles: total, ssim, l1
 *     pxl::Workspace workspace = loss.workspace(args);
 *
 *     loss.evaluate(args, workspace);                                              // 3. every training step
 *
 * pixloss.h is the manual: what it says of an argument holds here. Beyond it, once for all:
 *
 * - **Names.** pxl_x_y of a loss, context or network is its member y; every other pxl_x is pxl::x. What C returns through a
 *   pointer is returned. Enumerations and plain structs (pxl_term, pxl_layer, pxl_filter, made by PXL_TERM, PXL_LAYER,
 *   PXL_FILTER) are C's own; get() gives C's handle of an object.
 * - **Errors.** A status other than PXL_OK is thrown as pxl::Error, with the status and the library's message. Functions that
 *   cannot fail are noexcept. Code without exceptions takes evaluate's variant try_evaluate, or C's functions.
 * - **Ownership.** Context, Network, Loss and Workspace own what they stand for: they move, do not copy, and give it back. One
 *   that was moved from holds nullptr, which C takes for no context and refuses as a loss. Tensors and spans own nothing: what
 *   they view has to live as long as C's argument would.
 * - **Lengths.** Where elements come as a container or a span, their number is checked: PXL_INVALID_ARGUMENT.
 * - **Devices.** A tensor's device is the last argument of nchw and nhwc; memory of a GPU is the caller's, workspaces too. */
#ifndef PIXLOSS_HPP
#define PIXLOSS_HPP
#include <pixloss/pixloss.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/** All of it. */
namespace pxl {

// ---- Status -------------------------------------------------------------------------------------------------------------------
/// What a failed call throws; what() is the library's message.
class Error : public std::runtime_error {
  public:
    /// Of a status and its message.
    Error(pxl_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    pxl_status status() const noexcept { return status_; } ///< of the call that failed

  private:
    pxl_status status_;
};
/// Throws unless a C function ended well.
inline void check(pxl_status status) {
    if (status != PXL_OK) throw Error(status, pxl_error_message());
}
/// pxl_status_name().
inline const char *status_name(pxl_status status) noexcept { return pxl_status_name(status); }
inline const char *error_message() noexcept { return pxl_error_message(); } ///< of this thread's last failure
inline const char *version() noexcept { return pxl_version(); }             ///< of the library that runs

// ---- Devices ------------------------------------------------------------------------------------------------------------------
inline constexpr pxl_device cpu{PXL_CPU, 0};                                ///< the CPU
constexpr pxl_device cuda(int index) noexcept { return {PXL_CUDA, index}; } ///< a GPU, from 0

/// pxl_device_count().
inline int device_count(pxl_device_type type) {
    int count = 0;
    check(pxl_device_count(type, &count));
    return count;
}
/// pxl_device_describe().
inline std::string device_describe(pxl_device device) {
    char text[256] = "";
    check(pxl_device_describe(device, text, sizeof text));
    return text;
}

// ---- Elements -----------------------------------------------------------------------------------------------------------------
/// So many elements of somebody else's: std::span, which C++17 lacks, as far as it is needed here. Made from a pointer and a
/// number, or from whatever std::data and std::size take; of no elements, it points to none.
template <class T>
class Span {
    template <class U>
    static constexpr bool fits = std::is_convertible_v<U (*)[], T (*)[]>;

  public:
    constexpr Span() noexcept = default;
    /// `size` elements from `data` on.
    constexpr Span(T *data, size_t size) noexcept : data_(size ? data : nullptr), size_(size) {}
    /// All elements of a container or array.
    template <class Elements, class U = std::remove_pointer_t<decltype(std::data(std::declval<Elements &>()))>,
              class = std::enable_if_t<fits<U>>>
    constexpr Span(Elements &&elements) : Span(std::data(elements), std::size(elements)) {}
    constexpr T *data() const noexcept { return data_; }         ///< the first; nullptr if there is none
    constexpr size_t size() const noexcept { return size_; }     ///< their number
    constexpr bool empty() const noexcept { return size_ == 0; } ///< whether there is none

  private:
    T *data_ = nullptr;
    size_t size_ = 0;
};

/// An f16 element for programs that have no type for it: bits without arithmetic.
struct F16 {
    uint16_t bits; ///< of IEEE 754 binary16
};
/// The same of bf16.
struct BF16 {
    uint16_t bits; ///< the upper half of a float's
};
/// The dtype of a C++ type. Another type of the same bits: `template <> struct pxl::dtype_of<__half> : pxl::dtype_of<pxl::F16>
/// {};`
template <class T>
struct dtype_of;
/// f32
template <>
struct dtype_of<float> : std::integral_constant<pxl_dtype, PXL_F32> {};
/// f64
template <>
struct dtype_of<double> : std::integral_constant<pxl_dtype, PXL_F64> {};
/// u8
template <>
struct dtype_of<uint8_t> : std::integral_constant<pxl_dtype, PXL_U8> {};
/// u16
template <>
struct dtype_of<uint16_t> : std::integral_constant<pxl_dtype, PXL_U16> {};
/// f16
template <>
struct dtype_of<F16> : std::integral_constant<pxl_dtype, PXL_F16> {};
/// bf16
template <>
struct dtype_of<BF16> : std::integral_constant<pxl_dtype, PXL_BF16> {};

// ---- Tensors ------------------------------------------------------------------------------------------------------------------
/// A view that is only read; one of any strides is made from C's struct.
class ConstTensor {
  public:
    /// Of C's view.
    explicit ConstTensor(const pxl_tensor &tensor) noexcept : tensor_(tensor) {}
    const pxl_tensor *get() const noexcept { return &tensor_; }        ///< C's view, a part of this object
    pxl_dtype dtype() const noexcept { return tensor_.dtype; }         ///< of the elements
    pxl_device device() const noexcept { return tensor_.device; }      ///< where they lie
    int64_t size(size_t axis) const { return tensor_.size[axis]; }     ///< 0 to 3: N, C, H, W
    int64_t stride(size_t axis) const { return tensor_.stride[axis]; } ///< in elements
    /// The view of height x width pixels from (y, x) on. No checks.
    ConstTensor crop(int64_t y, int64_t x, int64_t height, int64_t width) const noexcept {
        return ConstTensor(pxl_crop(tensor_, y, x, height, width));
    }

  private:
    pxl_tensor tensor_;
};
/// One that may be written, too.
class Tensor : public ConstTensor {
  public:
    /// Of C's view.
    explicit Tensor(const pxl_tensor &tensor) noexcept : ConstTensor(tensor) {}
    /// The view of height x width pixels from (y, x) on. No checks.
    Tensor crop(int64_t y, int64_t x, int64_t height, int64_t width) const noexcept {
        return Tensor(pxl_crop(*get(), y, x, height, width));
    }
};

/// @cond detail
namespace detail {
template <class T>
using TensorOf = std::conditional_t<std::is_const_v<T>, ConstTensor, Tensor>;
template <class T>
constexpr pxl_dtype dtype = dtype_of<std::remove_cv_t<T>>::value;
// C's tensors have no const; a ConstTensor keeps the promise.
template <class T>
void *data(T *elements) noexcept {
    return const_cast<std::remove_cv_t<T> *>(elements);
}

[[noreturn]] inline void too_few(const char *what, size_t size, const std::string &needed) {
    throw Error(PXL_INVALID_ARGUMENT,
                std::string(what) + " has " + std::to_string(size) + " elements; " + needed + " are needed");
}
inline void check_length(const char *what, size_t size, size_t needed) {
    if (size != 0 && size < needed) too_few(what, size, std::to_string(needed));
}
inline void check_image(size_t elements, int64_t n, int64_t c, int64_t h, int64_t w) {
    size_t images = elements; // by divisions, which do not overflow; what is not positive is left to the call
    for (int64_t size : {n, c, h, w}) images = size > 0 ? images / static_cast<uint64_t>(size) : images;
    if (images == 0)
        too_few("the tensor", elements,
                std::to_string(n) + " x " + std::to_string(c) + " x " + std::to_string(h) + " x " + std::to_string(w));
}
} // namespace detail
/// @endcond

/// A dense view, planes after one another. Of const elements a ConstTensor.
template <class T>
detail::TensorOf<T> nchw(T *data, int64_t n, int64_t c, int64_t h, int64_t w, pxl_device device = cpu) noexcept {
    return detail::TensorOf<T>(pxl_nchw(detail::data(data), detail::dtype<T>, device, n, c, h, w));
}
/// A dense view, channels last. Of const elements a ConstTensor.
template <class T>
detail::TensorOf<T> nhwc(T *data, int64_t n, int64_t c, int64_t h, int64_t w, pxl_device device = cpu) noexcept {
    return detail::TensorOf<T>(pxl_nhwc(detail::data(data), detail::dtype<T>, device, n, c, h, w));
}
/// A dense view, planes after one another, of a container or a span, which has so many elements at least.
template <class Elements, class = decltype(std::declval<Elements &>().size())>
auto nchw(Elements &elements, int64_t n, int64_t c, int64_t h, int64_t w, pxl_device device = cpu) {
    detail::check_image(elements.size(), n, c, h, w);
    return nchw(elements.data(), n, c, h, w, device);
}
/// A dense view, channels last, of a container or a span, which has so many elements at least.
template <class Elements, class = decltype(std::declval<Elements &>().size())>
auto nhwc(Elements &elements, int64_t n, int64_t c, int64_t h, int64_t w, pxl_device device = cpu) {
    detail::check_image(elements.size(), n, c, h, w);
    return nhwc(elements.data(), n, c, h, w, device);
}

// ---- Networks and contexts ----------------------------------------------------------------------------------------------------
/// Gives back what C made: std::unique_ptr<pxl_loss, pxl::Destroy>.
struct Destroy {
    void operator()(pxl_context *context) const noexcept { pxl_context_destroy(context); } ///< a context
    void operator()(pxl_network *network) const noexcept { pxl_network_destroy(network); } ///< a network
    void operator()(pxl_loss *loss) const noexcept { pxl_loss_destroy(loss); }             ///< a loss
};

/// @cond detail
namespace detail {
// What a C function, called with the arguments and a place for its result, has made.
template <class Handle, class Create, class... Arguments>
Handle *made(Create create, Arguments... arguments) {
    Handle *handle = nullptr;
    check(create(arguments..., &handle));
    return handle;
}
} // namespace detail
/// @endcond

/// A pxl_network.
class Network {
  public:
    /// pxl_network_create().
    explicit Network(Span<const pxl_layer> layers)
        : handle_(detail::made<pxl_network>(pxl_network_create, layers.data(), layers.size())) {}
    /// pxl_network_create().
    explicit Network(std::initializer_list<pxl_layer> layers) : Network(Span<const pxl_layer>(layers)) {}
    /// "vgg16", or a list of layers as pxl_network_random() has it.
    static Network random(const std::string &architecture, uint64_t seed) {
        return Network(detail::made<pxl_network>(pxl_network_random, architecture.c_str(), seed));
    }
    /// pxl_network_load().
    static Network load(const std::string &path, const char *architecture = nullptr, const char *linear_path = nullptr) {
        return Network(detail::made<pxl_network>(pxl_network_load, path.c_str(), architecture, linear_path));
    }
    size_t layer_count() const noexcept { return pxl_network_layer_count(get()); } ///< how many layers it has
    /// nullptr past the last.
    const char *layer_name(size_t layer) const noexcept { return pxl_network_layer_name(get(), layer); }
    pxl_network *get() const noexcept { return handle_.get(); } ///< C's handle

  private:
    explicit Network(pxl_network *network) noexcept : handle_(network) {}
    std::unique_ptr<pxl_network, Destroy> handle_;
};

/// A pxl_context.
class Context {
  public:
    /// pxl_context_create().
    explicit Context(pxl_device device = cpu, int threads = 0)
        : handle_(detail::made<pxl_context>(pxl_context_create, device, threads)) {}
    /// Keeps the network alive. Not while another thread uses the context.
    void add_network(const std::string &name, const Network &network) {
        check(pxl_context_add_network(get(), name.c_str(), network.get()));
    }
    pxl_context *get() const noexcept { return handle_.get(); } ///< C's handle

  private:
    std::unique_ptr<pxl_context, Destroy> handle_;
};

/// Where a call runs, the last argument of all that compute: a context (none: the tensors' device, with all its threads), a
/// stream (a cudaStream_t; none: CUDA's default), or {context, stream}.
struct On {
    On() noexcept = default;
    On(std::nullptr_t) noexcept {}                       ///< neither
    On(pxl_stream stream_) noexcept : stream(stream_) {} ///< a stream
    /// A context, and a stream.
    On(const Context &context_, pxl_stream stream_ = nullptr) noexcept : context(context_.get()), stream(stream_) {}
    On(const Context *) = delete;   // would be taken for a stream
    pxl_context *context = nullptr; ///< as C takes it
    pxl_stream stream = nullptr;    ///< as C takes it
};

// ---- Workspaces ---------------------------------------------------------------------------------------------------------------
/// The scratch memory of calls, one at a time.
class Workspace {
  public:
    Workspace() noexcept = default; ///< of no bytes
    /// Memory of the CPU.
    explicit Workspace(size_t bytes)
        : memory_(::operator new(bytes ? bytes : 1, alignment, std::nothrow), [](void *it) { ::operator delete(it, alignment); }),
          bytes_(bytes) {
        if (!memory_) throw Error(PXL_OUT_OF_MEMORY, "no memory for a workspace of " + std::to_string(bytes) + " bytes");
    }
    /// Memory of any device, that `release` gives back: `Workspace(memory, bytes, [](void *it) { cudaFree(it); })`; or that
    /// stays the caller's.
    Workspace(
        void *memory, size_t bytes, void (*release)(void *) = [](void *) {}) noexcept
        : memory_(memory, release), bytes_(bytes) {}
    /// Leaves `other` without bytes.
    Workspace(Workspace &&other) noexcept : memory_(std::move(other.memory_)), bytes_(std::exchange(other.bytes_, 0)) {}
    /// Leaves `other` without bytes.
    Workspace &operator=(Workspace &&other) noexcept {
        memory_ = std::move(other.memory_);
        bytes_ = std::exchange(other.bytes_, 0);
        return *this;
    }
    void *data() const noexcept { return memory_.get(); } ///< its first byte
    size_t size() const noexcept { return bytes_; }       ///< its bytes

  private:
    static constexpr std::align_val_t alignment{64};
    std::unique_ptr<void, void (*)(void *)> memory_{nullptr, [](void *) {}};
    size_t bytes_ = 0;
};

// ---- Losses -------------------------------------------------------------------------------------------------------------------
/// pxl_args, with the tensors themselves. What is empty is not wanted, or has its default.
struct Args {
    /// Of both images; nothing is wanted yet.
    Args(ConstTensor pred_, ConstTensor target_) noexcept : pred(pred_), target(target_) {}

    ConstTensor pred;                              ///< N x C x H x W
    ConstTensor target;                            ///< the same
    std::optional<ConstTensor> weight;             ///< of the pixels, N x 1 x H x W
    std::optional<Tensor> grad_pred;               ///< d total / d pred
    std::optional<Tensor> grad_target;             ///< d total / d target
    bool accumulate = false;                       ///< they are added to what is there
    Span<const float> grad_loss;                   ///< one, or with per_image one per image
    Span<const float> term_weights;                ///< one per term
    Span<double> values;                           ///< 1 + terms, or with per_image so many per image
    Span<float> values_f32;                        ///< the same, rounded
    bool per_image = false;                        ///< one row of values for each image
    std::optional<Tensor> map;                     ///< SSIM at each position
    std::optional<Tensor> statistics;              ///< of the first windowed term
    std::optional<Tensor> feature_map;             ///< where a perceptual distance comes from
    std::optional<Tensor> pixel_map;               ///< the charge of each pixel
    pxl_target_use target_use = PXL_TARGET_PASSES; ///< what becomes of the target in a network

    /// As C has them. They point to this object's members.
    pxl_args get() const noexcept {
        const auto tensor = [](const auto &wanted) { return wanted ? wanted->get() : nullptr; };
        pxl_args args = PXL_ARGS(pred.get(), target.get());
        args.weight = tensor(weight);
        args.grad_pred = tensor(grad_pred), args.grad_target = tensor(grad_target);
        args.grad_loss = grad_loss.data(), args.term_weights = term_weights.data(), args.values = values.data();
        args.values_f32 = values_f32.data(), args.accumulate = accumulate, args.per_image = per_image;
        args.map = tensor(map), args.statistics = tensor(statistics), args.feature_map = tensor(feature_map);
        args.pixel_map = tensor(pixel_map);
        args.target_use = target_use;
        return args;
    }
};

/// A pxl_loss.
class Loss {
  public:
    /// An expression, "0.84*ssim + 0.16*l1": pxl_loss_parse(). Networks that it names are those of the context.
    explicit Loss(const std::string &expression, const On &on = {})
        : handle_(detail::made<pxl_loss>(pxl_loss_parse, expression.c_str(), on.context)) {}
    /// pxl_loss_create().
    explicit Loss(Span<const pxl_term> terms) : handle_(detail::made<pxl_loss>(pxl_loss_create, terms.data(), terms.size())) {}
    /// pxl_loss_create().
    explicit Loss(std::initializer_list<pxl_term> terms) : Loss(Span<const pxl_term>(terms)) {}

    size_t term_count() const noexcept { return pxl_loss_term_count(get()); } ///< how many terms it has
    /// nullptr past the last.
    const char *term_name(size_t term) const noexcept { return pxl_loss_term_name(get(), term); }
    /// NaN past the last.
    double term_weight(size_t term) const noexcept { return pxl_loss_term_weight(get(), term); }
    /// N, C, H', W' of Args::map.
    std::array<int64_t, 4> map_size(const ConstTensor &pred) const {
        std::array<int64_t, 4> size{};
        check(pxl_map_size(get(), pred.get(), size.data()));
        return size;
    }

    /// pxl_workspace_size().
    size_t workspace_size(const Args &args, const On &on = {}) const {
        size_t bytes = 0;
        const pxl_args c = checked(args);
        check(pxl_workspace_size(on.context, get(), &c, &bytes));
        return bytes;
    }
    /// pxl_workspace_init().
    void workspace_init(const Args &args, const Workspace &workspace, const On &on = {}) const {
        const pxl_args c = checked(args);
        check(pxl_workspace_init(on.context, get(), &c, workspace.data(), workspace.size(), on.stream));
    }
    /// Of the CPU, sized and initialised.
    Workspace workspace(const Args &args, const On &on = {}) const {
        Workspace made(workspace_size(args, on));
        workspace_init(args, made, on);
        return made;
    }

    /// pxl_evaluate().
    void evaluate(const Args &args, const Workspace &workspace, const On &on = {}) const {
        checked(args);
        check(try_evaluate(args, workspace, on));
    }
    /// Without exceptions and without a look at the spans' lengths; error_message() says what was wrong.
    [[nodiscard]] pxl_status try_evaluate(const Args &args, const Workspace &workspace, const On &on = {}) const noexcept {
        const pxl_args c = args.get();
        return pxl_evaluate(on.context, get(), &c, workspace.data(), workspace.size(), on.stream);
    }
    pxl_loss *get() const noexcept { return handle_.get(); } ///< C's handle

  private:
    pxl_args checked(const Args &args) const {
        const size_t images = args.per_image && args.pred.size(0) > 0 ? static_cast<size_t>(args.pred.size(0)) : 1;
        detail::check_length("values", args.values.size(), images * (1 + term_count()));
        detail::check_length("values_f32", args.values_f32.size(), images * (1 + term_count()));
        detail::check_length("grad_loss", args.grad_loss.size(), images);
        detail::check_length("term_weights", args.term_weights.size(), term_count());
        return args.get();
    }
    std::unique_ptr<pxl_loss, Destroy> handle_;
};

/// The names of the presets: pxl_preset_name().
inline std::vector<std::string> preset_names() {
    std::vector<std::string> names;
    for (size_t i = 0; pxl_preset_name(i); i++) names.emplace_back(pxl_preset_name(i));
    return names;
}

// ---- Operators ----------------------------------------------------------------------------------------------------------------
// On the CPU the workspace of each is Workspace(pxl::..._workspace_size(...)).
/// pxl_filter_workspace_size().
inline size_t filter_workspace_size(const pxl_filter &filter, const ConstTensor &input, const Tensor &output, const On &on = {}) {
    size_t bytes = 0;
    check(pxl_filter_workspace_size(on.context, &filter, input.get(), output.get(), &bytes));
    return bytes;
}
/// pxl_filter_apply().
inline void filter_apply(const pxl_filter &filter, const ConstTensor &input, const Tensor &output, const Workspace &workspace,
                         const On &on = {}) {
    check(pxl_filter_apply(on.context, &filter, input.get(), output.get(), workspace.data(), workspace.size(), on.stream));
}
/// pxl_filter_adjoint().
inline void filter_adjoint(const pxl_filter &filter, const ConstTensor &grad_output, const Tensor &grad_input,
                           const Workspace &workspace, const On &on = {}) {
    check(pxl_filter_adjoint(on.context, &filter, grad_output.get(), grad_input.get(), workspace.data(), workspace.size(),
                             on.stream));
}

/// pxl_ssim_statistics_workspace_size().
inline size_t ssim_statistics_workspace_size(const pxl_term &term, const ConstTensor &pred, const ConstTensor &target,
                                             const On &on = {}) {
    size_t bytes = 0;
    check(pxl_ssim_statistics_workspace_size(on.context, &term, pred.get(), target.get(), &bytes));
    return bytes;
}
/// pxl_ssim_statistics().
inline void ssim_statistics(const pxl_term &term, const ConstTensor &pred, const ConstTensor &target, const Tensor &statistics,
                            const Workspace &workspace, const On &on = {}) {
    check(pxl_ssim_statistics(on.context, &term, pred.get(), target.get(), statistics.get(), workspace.data(), workspace.size(),
                              on.stream));
}
/// pxl_ssim_statistics_adjoint(). Either gradient may be std::nullopt.
inline void ssim_statistics_adjoint(const pxl_term &term, const ConstTensor &pred, const ConstTensor &target,
                                    const ConstTensor &grad_statistics, const std::optional<Tensor> &grad_pred,
                                    const std::optional<Tensor> &grad_target, const Workspace &workspace, const On &on = {}) {
    check(pxl_ssim_statistics_adjoint(on.context, &term, pred.get(), target.get(), grad_statistics.get(),
                                      grad_pred ? grad_pred->get() : nullptr, grad_target ? grad_target->get() : nullptr,
                                      workspace.data(), workspace.size(), on.stream));
}

/// pxl_reduce_workspace_size().
inline size_t reduce_workspace_size(pxl_reduce_kind kind, pxl_reduce_over over, const ConstTensor &input, const On &on = {}) {
    size_t bytes = 0;
    check(pxl_reduce_workspace_size(on.context, kind, over, input.get(), &bytes));
    return bytes;
}
/// pxl_reduce(). `results`: one, N, or N x C.
inline void reduce(pxl_reduce_kind kind, pxl_reduce_over over, const ConstTensor &input, Span<double> results,
                   const Workspace &workspace, const On &on = {}) {
    const int64_t images = over == PXL_OVER_ALL ? 1 : input.size(0), channels = over == PXL_OVER_CHANNEL ? input.size(1) : 1;
    if (images > 0 && channels > 0)
        detail::check_length("results", results.size(), static_cast<size_t>(images) * static_cast<size_t>(channels));
    check(pxl_reduce(on.context, kind, over, input.get(), results.data(), workspace.data(), workspace.size(), on.stream));
}

} // namespace pxl
#endif
