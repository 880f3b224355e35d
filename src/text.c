/* Numbers as people write them, without the locale. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "terms.h"

/* strtod and printf follow the thread's locale, where 0.5 may be spelt 0,5. Switching the thread's own is invisible to others,
 * unlike setlocale. The C library returns a constant for "C", so nothing is allocated in practice. */
typedef struct c_locale {
    locale_t own, previous;
} c_locale;

static bool enter_c_locale(c_locale *state) {
    state->own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (state->own == (locale_t)0) return false;
    state->previous = uselocale(state->own);
    return true;
}

static void leave_c_locale(const c_locale *state) {
    uselocale(state->previous);
    freelocale(state->own);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
size_t pxli_number_length(const char *text) {
    size_t n = 0, digits = 0;
    for (; is_digit(text[n]); n++) digits++;
    if (text[n] == '.')
        for (n++; is_digit(text[n]); n++) digits++;
    if (!digits) return 0;
    size_t exponent = n + 1;
    if (text[n] != 'e' && text[n] != 'E') return n;
    if (text[exponent] == '+' || text[exponent] == '-') exponent++;
    if (!is_digit(text[exponent])) return n;
    while (is_digit(text[exponent])) exponent++;
    return exponent;
}

double pxli_parse_number(const char *text, size_t length) {
    char copy[PXLI_MAX_DIGITS + 1];
    c_locale state;
    if (length > PXLI_MAX_DIGITS || !enter_c_locale(&state)) return NAN;
    memcpy(copy, text, length);
    copy[length] = 0;
    double value = strtod(copy, NULL);
    leave_c_locale(&state);
    return value;
}

void pxli_format_number(double value, char text[PXLI_NUMBER_LENGTH]) {
    c_locale state;
    bool entered = enter_c_locale(&state);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, PXLI_NUMBER_LENGTH, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    if (entered) leave_c_locale(&state);
}
