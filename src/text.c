/* Words and numbers as people write them: numbers without the locale, and the known name that a mistyped one is near to. */
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

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Levenshtein's distance by rows; `word` is cut at 32 characters, which no known name reaches. */
static int edit_distance(const char *word, size_t length, const char *name) {
    enum { LONGEST = 32 };
    int row[LONGEST + 1];
    if (length > LONGEST) length = LONGEST;
    for (size_t i = 0; i <= length; i++) row[i] = (int)i;
    for (int j = 1; name[j - 1]; j++) {
        int diagonal = row[0];
        row[0] = j;
        for (size_t i = 1; i <= length; i++) {
            int best = diagonal + (lower(word[i - 1]) != name[j - 1]);
            if (row[i] + 1 < best) best = row[i] + 1;
            if (row[i - 1] + 1 < best) best = row[i - 1] + 1;
            diagonal = row[i];
            row[i] = best;
        }
    }
    return row[length];
}

void pxli_suggest(const char *word, size_t length, const char *const *names, int count, char text[PXLI_SUGGESTION_LENGTH]) {
    const char *nearest = NULL;
    int least = 0;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(word, length, names[i]);
        size_t longer = strlen(names[i]) > length ? strlen(names[i]) : length;
        if ((size_t)distance > longer / 2 || (nearest && distance >= least)) continue;
        least = distance;
        nearest = names[i];
    }
    text[0] = 0;
    if (nearest) snprintf(text, PXLI_SUGGESTION_LENGTH, "; did you mean '%s'?", nearest);
}
