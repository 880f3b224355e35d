/* Reading expressions: the grammar is parse.c, what is wrong and what was meant is said by parse_fail.c. */
#ifndef PXLI_PARSE_H
#define PXLI_PARSE_H
#include <limits.h>
#include <string.h>

#include "network/network.h"
#include "terms.h"

typedef struct pxli_word {
    const char *at;
    size_t length;
} pxli_word;

typedef struct pxli_parser {
    const char *text, *at;
    const pxl_context *context;
} pxli_parser;

/* The term that is being read. */
typedef struct pxli_draft {
    pxl_term term;
    const pxli_kind_info *kind;
    uint32_t fields;      /* those that may be given: not the penalty of a term that is named by it */
    pxl_penalty named_by; /* mse, l1, huber, ...: the penalty that the name states; else PXL_PENALTY_DEFAULT */
    pxli_word name;
    pxli_word param; /* delta, beta or eps, if it was given */
    int columns[PXLI_FIELDS + 1];
    char net[PXLI_NETWORK_NAME], layers[PXLI_MAX_LAYERS_TEXT + 1], weights[PXLI_MAX_WEIGHTS_TEXT + 1];
} pxli_draft;

/* ---- Words ---------------------------------------------------------------------------------------------------------- */
static inline bool pxli_is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool pxli_is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool pxli_is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static inline bool pxli_same(pxli_word a, const char *b) { return strlen(b) == a.length && !memcmp(a.at, b, a.length); }
static inline int pxli_shown(pxli_word w) { return w.length < 40 ? (int)w.length : 40; } // for %.*s

static inline void pxli_skip_space(pxli_parser *p) {
    while (pxli_is_space(*p->at)) p->at++;
}

static inline bool pxli_accept(pxli_parser *p, char c) {
    pxli_skip_space(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

static inline bool pxli_is_of_word(char c, bool hyphens) {
    return pxli_is_letter(c) || pxli_is_digit(c) || (hyphens && c == '-');
}
/* Letters, digits and _, and - within the names of presets; empty if there is none. */
static inline pxli_word pxli_read_word(pxli_parser *p, bool hyphens) {
    pxli_skip_space(p);
    pxli_word w = {p->at, 0};
    if (pxli_is_letter(*p->at))
        while (pxli_is_of_word(*p->at, hyphens)) p->at++;
    w.length = (size_t)(p->at - w.at);
    return w;
}
/* A word of others: it may have hyphens (smooth-l1) and begin with a digit (3dgs). */
static inline pxli_word pxli_foreign_word(const char *at) {
    pxli_word w = {at, 0};
    while (pxli_is_of_word(at[w.length], true)) w.length++;
    return w;
}

/* ---- Arguments ------------------------------------------------------------------------------------------------------ */
static inline bool pxli_takes(const pxli_draft *d, pxli_field field) { return d->fields >> field & 1; }

/* delta, beta and eps: whether this term may have a parameter of that name, under whatever penalty. */
static inline bool pxli_takes_param(const pxli_draft *d, const char *name) {
    if (!pxli_takes(d, PXLI_F_PARAM)) return false;
    if (!pxli_takes(d, PXLI_F_PENALTY)) return !strcmp(name, pxli_param_name(d->kind->kind, d->named_by));
    return true;
}

/* ---- What is wrong -------------------------------------------------------------------------------------------------- */
/* A message that begins with the column of `at`. All of these return the status that they are given, or that fits. */
pxl_status pxli_fail_parse(const pxli_parser *p, const char *at, pxl_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int pxli_column_of(const pxli_parser *p, const char *at);
/* "column 7: expected X, found Y", Y being what stands at the next column that is not white. */
pxl_status pxli_fail_expected(pxli_parser *p, const char *expected);
/* The term has no argument of this name. */
pxl_status pxli_fail_argument(const pxli_parser *p, const pxli_draft *d, pxli_word argument);
/* An argument has to stand at the next column. A number, as in huber(1), is told the parameter that it is meant for. */
pxl_status pxli_fail_no_argument(pxli_parser *p, const pxli_draft *d);
/* A field with a value for each axis has none here, or no second one after the colon. */
pxl_status pxli_fail_pair(pxli_parser *p, pxli_word key, pxli_which which);
/* The field has no value of this name. */
pxl_status pxli_fail_choice(const pxli_parser *p, pxli_field field, pxli_word w, const char *const *names, int count);
/* There is no term of this name. */
pxl_status pxli_fail_name(const pxli_parser *p, pxli_word name);
/* PXL_OK, unless 1 - ssim stands at the next column, as in formulas, perhaps in parentheses: the term is that already. */
pxl_status pxli_fail_complement(const pxli_parser *p);
#endif
