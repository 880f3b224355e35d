/* What is wrong with an expression, and what was meant: a name that is near, another library's name, a number without a name, a
 * formula. */
#include "parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

int pxli_column_of(const pxli_parser *p, const char *at) {
    ptrdiff_t column = at - p->text + 1;
    return column < INT_MAX ? (int)column : INT_MAX;
}

pxl_status pxli_fail_parse(const pxli_parser *p, const char *at, pxl_status status, const char *format, ...) {
    char text[480];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return pxli_fail(status, "column %d: %s", pxli_column_of(p, at), text);
}

pxl_status pxli_fail_expected(pxli_parser *p, const char *expected) {
    pxli_skip_space(p);
    const char *at = p->at;
    unsigned char c = (unsigned char)*at;
    if (!c) return pxli_fail_parse(p, at, PXL_SYNTAX_ERROR, "expected %s, found the end of the expression", expected);
    if (c < 32 || c > 126) return pxli_fail_parse(p, at, PXL_SYNTAX_ERROR, "expected %s, found the byte 0x%02x", expected, c);
    pxli_word w = pxli_read_word(p, false);
    if (!w.length) w.length = pxli_number_length(at);
    if (!w.length) w.length = 1;
    return pxli_fail_parse(p, at, PXL_SYNTAX_ERROR, "expected %s, found '%.*s'", expected, pxli_shown(w), at);
}

/* ---- Arguments ------------------------------------------------------------------------------------------------------ */
/* Whether no penalty before it calls its parameter so. */
static bool has_new_param(int penalty) {
    const char *param = pxli_penalties[penalty].param;
    for (int i = 1; i < penalty && param; i++)
        if (pxli_penalties[i].param && strcmp(pxli_penalties[i].param, param) == 0) return false;
    return param != NULL;
}
/* All arguments that the term takes, as they are written. */
static int list_arguments(const pxli_draft *d, const char *names[PXLI_FIELDS + 2 * PXLI_PENALTY_COUNT]) {
    int count = 0;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++) {
        if (pxli_takes(d, PXLI_F_PENALTY)) names[count++] = pxli_penalties[i].name;
        if (has_new_param(i) && pxli_takes_param(d, pxli_penalties[i].param)) names[count++] = pxli_penalties[i].param;
    }
    for (int f = 0; f < PXLI_FIELDS; f++)
        if (f != PXLI_F_PENALTY && f != PXLI_F_PARAM && pxli_takes(d, f)) names[count++] = pxli_fields[f].name;
    return count;
}

/* A value whose field was left out: valid is border=valid. */
static bool suggest_value(const pxli_draft *d, pxli_word value, char text[PXLI_SUGGESTION_LENGTH]) {
    const char *field = NULL, *found = NULL;
    for (int f = 0; f < PXLI_FIELDS && !found; f++) {
        if (!pxli_takes(d, f) || f == PXLI_F_PENALTY || pxli_fields[f].type != PXLI_WORD) continue;
        field = pxli_fields[f].name;
        for (int i = 0; i < pxli_fields[f].word_count && !found; i++)
            if (pxli_fields[f].words[i] && pxli_same(value, pxli_fields[f].words[i])) found = pxli_fields[f].words[i];
    }
    const pxli_preset *preset = !found && pxli_takes(d, PXLI_F_PRESET) ? pxli_find_preset(value.at, value.length) : NULL;
    if (preset) {
        field = pxli_fields[PXLI_F_PRESET].name;
        found = preset->name;
    }
    if (found) snprintf(text, PXLI_SUGGESTION_LENGTH, "; did you mean '%s=%s'?", field, found);
    return found != NULL;
}

/* Words that mean something else in terms of a network: vgg16 is net=vgg16, and spatial is no reduction. */
static bool suggest_of_network(const pxli_draft *d, pxli_word word, char text[PXLI_SUGGESTION_LENGTH]) {
    if (!pxli_is_features(d->kind->kind)) return false;
    if (pxli_same_letters(word.at, word.length, "spatial")) {
        snprintf(text, PXLI_SUGGESTION_LENGTH, "; feature_map in pxl_args is the map that others call so");
        return true;
    }
    if (word.length < 3 || !pxli_same_letters(word.at, 3, "vgg")) return false;
    snprintf(text, PXLI_SUGGESTION_LENGTH, "; did you mean 'net=%.*s'?", pxli_shown(word), word.at);
    return true;
}

pxl_status pxli_fail_argument(const pxli_parser *p, const pxli_draft *d, pxli_word argument) {
    const char *names[PXLI_FIELDS + 2 * PXLI_PENALTY_COUNT];
    char list[320], suggestion[PXLI_SUGGESTION_LENGTH];
    const int count = list_arguments(d, names);
    const pxli_word said = pxli_foreign_word(argument.at); // data-range
    pxli_list(names, count, list, sizeof list);
    if (pxli_suggest_known(PXLI_TOPIC_ARGUMENT, said.at, said.length, names, count, suggestion))
        argument = said;
    else if (!suggest_of_network(d, said, suggestion) && !suggest_value(d, argument, suggestion))
        pxli_suggest(PXLI_TOPIC_ARGUMENT, argument.at, argument.length, names, count, suggestion);
    const char *it = !*suggestion ? "; it" : suggestion[strlen(suggestion) - 1] == '?' ? " It" : ". It";
    return pxli_fail_parse(p, argument.at, PXL_SYNTAX_ERROR, "%.*s has no argument '%.*s'%s%s takes %s", pxli_shown(d->name),
                           d->name.at, pxli_shown(argument), argument.at, suggestion, it, list);
}

pxl_status pxli_fail_pair(pxli_parser *p, pxli_word key, pxli_which which) {
    char expected[96];
    pxli_skip_space(p);
    if (which == PXLI_FIRST) // (11, 5) and [11, 5] are what others write
        snprintf(expected, sizeof expected, "a number%s", *p->at == '(' || *p->at == '[' ? ", or vertical:horizontal" : "");
    else
        snprintf(expected, sizeof expected, "the horizontal value of %.*s after the ':'", pxli_shown(key), key.at);
    return pxli_fail_expected(p, expected);
}

/* The field of this name that has a value for each axis; -1: none. */
static int field_of_axes(const char *name) {
    for (int f = 0; f < PXLI_FIELDS && name; f++)
        if (pxli_fields[f].name_x && !strcmp(pxli_fields[f].name, name)) return f;
    return -1;
}
/* The second of two numbers with a colon between them, and the colon. */
static size_t second_length(const char *after_first) {
    const size_t second = *after_first == ':' ? pxli_number_length(after_first + 1) : 0;
    return second ? 1 + second : 0;
}
/* The parameter that a number without a name is meant for, as it is written: delta of huber, the window of ssim. NULL: none. */
static const char *natural_parameter(const pxli_draft *d, double value) {
    const char *param =
        pxli_takes(d, PXLI_F_PARAM) ? pxli_param_name(d->kind->kind, pxli_effective_penalty(&d->term, d->kind)) : NULL;
    if (d->kind->kind == PXL_PSNR && value >= 1) return pxli_fields[PXLI_F_DATA_RANGE].name;
    if (param) return param;
    if (pxli_takes(d, PXLI_F_NEIGHBOURS) && (value == 4 || value == 8)) return pxli_fields[PXLI_F_NEIGHBOURS].name;
    if (pxli_takes(d, PXLI_F_WINDOW) && value >= 3 && value == floor(value))
        return fmod(value, 2) == 1 ? pxli_fields[PXLI_F_WINDOW].name : NULL;
    return pxli_takes(d, PXLI_F_SIGMA) ? pxli_fields[PXLI_F_SIGMA].name : NULL;
}

/* What a number without a name was meant for: huber(1), ssim(11:5), or after window=11 the second of its values. */
static pxl_status fail_unnamed(const pxli_parser *p, const pxli_draft *d, pxli_word number, const char *parameter) {
    const int axes = field_of_axes(parameter);
    const double given = axes >= 0 ? pxli_get_value(&d->term, axes, PXLI_FIRST) : 0;
    char before[96];
    bool first = true;
    for (int f = 0; f < PXLI_FIELDS; f++) first = first && !d->columns[f];
    if (axes >= 0 && given == 0) number.length += second_length(number.at + number.length);
    if (given != 0)
        snprintf(before, sizeof before, "%s=%g:", parameter, given);
    else
        snprintf(before, sizeof before, "%.*s%s%s=", first ? pxli_shown(d->name) : 0, d->name.at, first ? "(" : "", parameter);
    const int length = pxli_shown(number);
    return pxli_fail_parse(p, number.at, PXL_SYNTAX_ERROR, "expected an argument, found '%.*s'; did you mean '%s%.*s%s'?", length,
                           number.at, before, length, number.at, first ? ")" : "");
}
static bool has_both_values(const pxli_draft *d, const char *parameter) {
    const int axes = field_of_axes(parameter);
    return axes >= 0 && pxli_get_value(&d->term, axes, PXLI_SECOND) != 0;
}

pxl_status pxli_fail_no_argument(pxli_parser *p, const pxli_draft *d) {
    pxli_skip_space(p);
    const pxli_word number = {p->at, pxli_number_length(p->at)};
    const bool is_whole = number.length && (size_t)pxli_shown(number) == number.length;
    const char *parameter = is_whole ? natural_parameter(d, pxli_parse_number(number.at, number.length)) : NULL;
    if (number.length && d->term.weights)
        return pxli_fail_parse(p, number.at, PXL_SYNTAX_ERROR, "numbers of weights stand between colons: weights=%.40s:%.*s",
                               d->term.weights, pxli_shown(number), number.at);
    return parameter && !has_both_values(d, parameter) ? fail_unnamed(p, d, number, parameter)
                                                       : pxli_fail_expected(p, "an argument");
}

pxl_status pxli_fail_choice(const pxli_parser *p, pxli_field field, pxli_word w, const char *const *names, int count) {
    const pxli_topic topic = field == PXLI_F_REDUCTION   ? PXLI_TOPIC_REDUCTION
                             : field == PXLI_F_BORDER    ? PXLI_TOPIC_BORDER
                             : field == PXLI_F_PRECISION ? PXLI_TOPIC_PRECISION
                                                         : PXLI_TOPIC_OTHER;
    char suggestion[PXLI_SUGGESTION_LENGTH];
    pxli_suggest_or_list(topic, w.at, w.length, names, count, suggestion);
    return pxli_fail_parse(p, w.at, PXL_SYNTAX_ERROR, "unknown %s '%.*s'%s", pxli_fields[field].name, pxli_shown(w), w.at,
                           suggestion);
}

/* ---- Terms ---------------------------------------------------------------------------------------------------------- */
/* PXL_OK, unless the word means a term that is not in this version. */
static pxl_status fail_unsupported(const pxli_parser *p, pxli_word w) {
    char suggestion[PXLI_SUGGESTION_LENGTH];
    for (int i = 0; i < pxli_kind_count; i++) {
        if (pxli_kinds[i].fields) continue;
        pxli_suggest_known(PXLI_TOPIC_TERM, w.at, w.length, &pxli_kinds[i].name, 1, suggestion);
        if (*suggestion) return pxli_fail_parse(p, w.at, PXL_UNSUPPORTED, "%s is not in this version", pxli_kinds[i].name);
    }
    return PXL_OK;
}

pxl_status pxli_fail_name(const pxli_parser *p, pxli_word name) {
    const char *names[32];
    char suggestion[PXLI_SUGGESTION_LENGTH];
    int count = 0;
    for (int i = 0; i < pxli_kind_count; i++)
        if (pxli_kinds[i].fields) names[count++] = pxli_kinds[i].name;
    names[count++] = pxli_penalties[PXL_L2].name;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++) names[count++] = pxli_penalties[i].term_name;
    names[count++] = "mae";
    pxli_word said = pxli_foreign_word(name.at); // smooth-l1
    pxl_status status = fail_unsupported(p, said);
    if (!status) status = fail_unsupported(p, name);
    if (status) return status;
    if (!pxli_suggest_known(PXLI_TOPIC_TERM, said.at, said.length, names, count, suggestion)) said = name;
    pxli_suggest_or_list(PXLI_TOPIC_TERM, said.at, said.length, names, count, suggestion);
    return pxli_fail_parse(p, said.at, PXL_SYNTAX_ERROR, "unknown term '%.*s'%s", pxli_shown(said), said.at, suggestion);
}

pxl_status pxli_fail_complement(const pxli_parser *p) {
    static const pxl_term_kind complements[] = {PXL_SSIM, PXL_MS_SSIM, PXL_LUMINANCE, PXL_CONTRAST, PXL_STRUCTURE, PXL_COSINE};
    pxli_parser q = *p;
    pxli_accept(&q, '(');
    pxli_skip_space(&q);
    const size_t length = pxli_number_length(q.at);
    if (!length || length > PXLI_MAX_DIGITS || pxli_parse_number(q.at, length) != 1) return PXL_OK;
    q.at += length;
    if (!pxli_accept(&q, '-')) return PXL_OK;
    const pxli_word name = pxli_read_word(&q, false), whole = pxli_foreign_word(name.at); /* ms-ssim */
    for (size_t i = 0; i < sizeof complements / sizeof *complements; i++) {
        const char *term = pxli_find_kind(complements[i])->name;
        const bool ssim = complements[i] == PXL_SSIM;
        if (pxli_same_letters(name.at, name.length, term) || pxli_same_letters(whole.at, whole.length, term))
            return pxli_fail_parse(p, p->at, PXL_SYNTAX_ERROR, "as a term, %s is 1 - %s already: write %s%s", term,
                                   ssim                            ? "SSIM"
                                   : complements[i] == PXL_MS_SSIM ? "MS-SSIM"
                                                                   : term,
                                   term, ssim ? ", or dssim for half of it" : "");
    }
    return name.length ? fail_unsupported(p, pxli_foreign_word(name.at)) : PXL_OK;
}
