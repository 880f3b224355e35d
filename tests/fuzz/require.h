// What the targets share: a condition that holds whatever the input is, and what a refusal has to be like.
#ifndef FUZZ_REQUIRE_H
#define FUZZ_REQUIRE_H
#include <cstdlib>
#include <cstring>

#include "pixloss/pixloss.h"

inline void require(bool condition) {
    if (!condition) abort();
}

// Some text, in one line, that was not cut: whoever reads a log learns what was wrong.
inline void require_message() {
    const char *message = pxl_error_message();
    const size_t length = std::strlen(message), kept = 511;
    require(length > 0 && length < kept);
    for (size_t i = 0; i < length; i++) require(static_cast<unsigned char>(message[i]) >= 32 && message[i] != 127);
}
#endif
