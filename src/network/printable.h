/* Text from a file, for a message: cut where it is long, and without the control characters that a terminal would obey. */
#ifndef PXLI_PRINTABLE_H
#define PXLI_PRINTABLE_H
#include <stddef.h>
#include <string.h>

enum { PXLI_PRINTABLE_BYTES = 112 };
typedef struct pxli_printable_text {
    char text[PXLI_PRINTABLE_BYTES];
} pxli_printable_text;

static inline pxli_printable_text pxli_printable(const char *text) {
    static const char dots[] = "...";
    pxli_printable_text made;
    const size_t most = sizeof made.text - sizeof dots;
    size_t length = 0;
    for (; text[length] && length < most; length++) {
        const unsigned char c = (unsigned char)text[length];
        made.text[length] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
    if (!text[length]) {
        made.text[length] = 0;
        return made;
    }
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) length--; /* not within a character of UTF-8 */
    memcpy(made.text + length, dots, sizeof dots);
    return made;
}
#endif
