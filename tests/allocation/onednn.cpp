// oneDNN's functions, each in a wrapper that can fail in its place and counts what is made and destroyed.
#include <cstring>

#include "interposed.h"

#ifndef PXL_TEST_ONEDNN
void *interposed::wrapped_onednn(const char *, void *) { return nullptr; }
#else
#include <oneapi/dnnl/dnnl.h>

namespace {

enum Role { acts, creates, destroys, tells, asks }; // tells: NULL or 0 where it fails. asks: never fails

template <typename Result>
Result failure() {
    return Result{}; // NULL, 0
}
template <>
dnnl_status_t failure<dnnl_status_t>() {
    return interposed::failing() == interposed::Failing::memory ? dnnl_out_of_memory : dnnl_runtime_error;
}

template <Role role, int id, typename Result, typename... Arguments>
struct Wrapper {
    static inline Result (*real)(Arguments...);
    static Result call(Arguments... arguments) {
        if ((role == acts || role == creates) && interposed::fails(true, true)) return failure<Result>();
        const Result result = real(arguments...);
        if (role == tells && result != Result{} && interposed::fails(true, false)) return failure<Result>();
        if constexpr (role == creates || role == destroys)
            if (result == dnnl_success) interposed::count_onednn(role == creates ? 1 : -1);
        return result;
    }
};
template <Role role, int id, typename Result, typename... Arguments>
void *wrap(Result (*)(Arguments...), void *real) {
    using Own = Wrapper<role, id, Result, Arguments...>;
    Own::real = reinterpret_cast<Result (*)(Arguments...)>(real);
    return reinterpret_cast<void *>(Own::call);
}

} // namespace

#define WRAP(name, role) \
    if (!std::strcmp(function, "dnnl_" #name)) return wrap<role, __LINE__>(decltype(&dnnl_##name){}, real);
void *interposed::wrapped_onednn(const char *function, void *real) {
    WRAP(engine_create, creates)
    WRAP(engine_destroy, destroys)
    WRAP(stream_create, creates)
    WRAP(stream_destroy, destroys)
    WRAP(stream_wait, acts)
    WRAP(memory_desc_init_by_tag, acts)
    WRAP(memory_desc_get_size, tells)
    WRAP(memory_desc_equal, asks)
    WRAP(memory_create, creates)
    WRAP(memory_destroy, destroys)
    WRAP(convolution_forward_desc_init, acts)
    WRAP(primitive_desc_create, creates)
    WRAP(primitive_desc_destroy, destroys)
    WRAP(primitive_desc_query_md, tells)
    WRAP(primitive_create, creates)
    WRAP(primitive_destroy, destroys)
    WRAP(primitive_execute, acts)
    WRAP(primitive_attr_create, creates)
    WRAP(primitive_attr_destroy, destroys)
    WRAP(primitive_attr_set_scratchpad_mode, acts)
    WRAP(primitive_attr_set_post_ops, acts)
    WRAP(post_ops_create, creates)
    WRAP(post_ops_destroy, destroys)
    WRAP(post_ops_append_eltwise, acts)
    WRAP(reorder_primitive_desc_create, creates)
    WRAP(sgemm, acts)
    return nullptr;
}
#endif
