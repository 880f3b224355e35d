#include "test_support.h"

#if CUDA_HOST_TSAN
// Stop at the first race, for the death tests.
extern "C" const char *__tsan_default_options() { return "halt_on_error=1:exitcode=66"; }
#endif
