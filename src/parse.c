/* The expression language: one pass over the characters, no recursion; but for the random networks that it names, no allocation
 * before the whole expression is known to be good. Every name comes from the tables in terms.h. Grammar and meaning: pxl_loss_parse in include/pixloss/pixloss.h.
 *
 * Each term is gathered into a public pxl_term, together with the columns of its arguments, and resolved like any other. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "context.h"
#include "error.h"
#include "network/network.h"
#include "terms.h"

typedef struct word {
    const char *at;
    size_t length;
} word;

typedef struct parser {
    const char *text, *at;
    const pxl_context *context;
} parser;

/* The term that is being read. */
typedef struct draft {
    pxl_term term;
    const pxli_kind_info *kind;
    uint32_t fields;      /* those that may be given: not the penalty of a term that is named by it */
    pxl_penalty named_by; /* mse, l1, huber, ...: the penalty that the name states; else PXL_PENALTY_DEFAULT */
    word name;
    word param; /* delta, beta or eps, if it was given */
    int columns[PXLI_FIELDS + 1];
    char net[PXLI_NETWORK_NAME], layers[PXLI_MAX_LAYERS_TEXT + 1];
} draft;

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool same(word a, const char *b) { return strlen(b) == a.length && !memcmp(a.at, b, a.length); }
static int shown(word w) { return w.length < 40 ? (int)w.length : 40; } // for %.*s

static void skip_space(parser *p) {
    while (is_space(*p->at)) p->at++;
}

static bool accept(parser *p, char c) {
    skip_space(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

/* Letters, digits and _, and - within the names of presets; empty if there is none. */
static word read_word(parser *p, bool hyphens) {
    skip_space(p);
    word w = {p->at, 0};
    if (is_letter(*p->at))
        while (is_letter(*p->at) || is_digit(*p->at) || (hyphens && *p->at == '-')) p->at++;
    w.length = (size_t)(p->at - w.at);
    return w;
}

static int column_of(const parser *p, const char *at) {
    ptrdiff_t column = at - p->text + 1;
    return column < INT_MAX ? (int)column : INT_MAX;
}

__attribute__((format(printf, 4, 5))) static pxl_status fail_at(const parser *p, const char *at, pxl_status status,
                                                                const char *format, ...) {
    char text[480];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return pxli_fail(status, "column %d: %s", column_of(p, at), text);
}

/* "column 7: expected X, found Y", Y being what stands at the next column that is not white. */
static pxl_status fail_expected(parser *p, const char *expected) {
    skip_space(p);
    const char *at = p->at;
    unsigned char c = (unsigned char)*at;
    if (!c) return fail_at(p, at, PXL_SYNTAX_ERROR, "expected %s, found the end of the expression", expected);
    if (c < 32 || c > 126) return fail_at(p, at, PXL_SYNTAX_ERROR, "expected %s, found the byte 0x%02x", expected, c);
    word w = read_word(p, false);
    if (!w.length) w.length = pxli_number_length(at);
    if (!w.length) w.length = 1;
    return fail_at(p, at, PXL_SYNTAX_ERROR, "expected %s, found '%.*s'", expected, shown(w), at);
}

/* A number without a sign, if there is one: *length says. */
static pxl_status read_number(parser *p, double *value, size_t *length) {
    skip_space(p);
    *length = pxli_number_length(p->at);
    if (!*length) return PXL_OK;
    if (*length > PXLI_MAX_DIGITS)
        return fail_at(p, p->at, PXL_SYNTAX_ERROR, "a number of %zu characters; at most %d are read", *length, PXLI_MAX_DIGITS);
    *value = pxli_parse_number(p->at, *length);
    if (isnan(*value)) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for the C locale");
    if (isinf(*value)) return fail_at(p, p->at, PXL_INVALID_ARGUMENT, "%.*s is beyond the largest double", (int)*length, p->at);
    p->at += *length;
    return PXL_OK;
}

/* ---- Arguments ------------------------------------------------------------------------------------------------------ */

static bool takes(const draft *d, pxli_field field) { return d->fields >> field & 1; }

/* delta, beta and eps: whether this term may have a parameter of that name, under whatever penalty. */
static bool takes_param(const draft *d, const char *name) {
    if (!takes(d, PXLI_F_PARAM)) return false;
    if (!takes(d, PXLI_F_PENALTY)) return !strcmp(name, pxli_param_name(d->kind->kind, d->named_by));
    return true;
}

static pxl_penalty find_penalty(word w) {
    if (same(w, "mse") || same(w, "squared")) return PXL_L2;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++)
        if (same(w, pxli_penalties[i].name)) return (pxl_penalty)i;
    return PXL_PENALTY_DEFAULT;
}

/* The field that an argument sets, or -1. */
static int find_field(const draft *d, word w) {
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++)
        if (pxli_penalties[i].param && same(w, pxli_penalties[i].param) && takes_param(d, pxli_penalties[i].param))
            return PXLI_F_PARAM;
    if (takes(d, PXLI_F_PENALTY) && find_penalty(w)) return PXLI_F_PENALTY;
    if (takes(d, PXLI_F_ISOTROPIC) && same(w, "anisotropic")) return PXLI_F_ISOTROPIC;
    if (takes(d, PXLI_F_BORDER) && same(w, "padding")) return PXLI_F_BORDER;
    for (int f = 0; f < PXLI_FIELDS; f++)
        if (f != PXLI_F_PENALTY && f != PXLI_F_PARAM && takes(d, f) && same(w, pxli_fields[f].name)) return f;
    return -1;
}

/* All arguments that the term takes, as they are written. */
static int list_arguments(const draft *d, const char *names[PXLI_FIELDS + 2 * PXLI_PENALTY_COUNT]) {
    int count = 0;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++) {
        if (takes(d, PXLI_F_PENALTY)) names[count++] = pxli_penalties[i].name;
        if (pxli_penalties[i].param && takes_param(d, pxli_penalties[i].param)) names[count++] = pxli_penalties[i].param;
    }
    for (int f = 0; f < PXLI_FIELDS; f++)
        if (f != PXLI_F_PENALTY && f != PXLI_F_PARAM && takes(d, f)) names[count++] = pxli_fields[f].name;
    return count;
}

static pxl_status fail_argument(const parser *p, const draft *d, word argument) {
    const char *names[PXLI_FIELDS + 2 * PXLI_PENALTY_COUNT];
    char list[320];
    int count = list_arguments(d, names);
    size_t used = 0;
    for (int i = 0; i < count && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    char suggestion[PXLI_SUGGESTION_LENGTH];
    pxli_suggest(argument.at, argument.length, names, count, suggestion);
    return fail_at(p, argument.at, PXL_SYNTAX_ERROR, "%.*s has no argument '%.*s'%s%s takes %s", shown(d->name), d->name.at,
                   shown(argument), argument.at, suggestion, *suggestion ? " It" : "; it", list);
}

static pxl_status fail_unknown(const parser *p, const char *what, word w, const char *const *names, int count) {
    char suggestion[PXLI_SUGGESTION_LENGTH];
    pxli_suggest(w.at, w.length, names, count, suggestion);
    return fail_at(p, w.at, PXL_SYNTAX_ERROR, "unknown %s '%.*s'%s", what, shown(w), w.at, suggestion);
}

/* field = one of a list of words */
static pxl_status read_choice(parser *p, draft *d, pxli_field field) {
    const pxli_field_info *info = &pxli_fields[field];
    const char *names[PXLI_PENALTY_COUNT];
    int count = 0;
    word w = read_word(p, false);
    if (!w.length) return fail_expected(p, info->name);
    for (int i = 0; i < info->word_count; i++) {
        if (!info->words[i]) continue;
        names[count++] = info->words[i];
        if (!same(w, info->words[i])) continue;
        pxli_set_int(&d->term, field, i);
        return PXL_OK;
    }
    return fail_unknown(p, info->name, w, names, count);
}

static pxl_status read_preset(parser *p, draft *d) {
    word w = read_word(p, true);
    if (!w.length) return fail_expected(p, "the name of a preset");
    const pxli_preset *preset = pxli_find_preset(w.at, w.length);
    if (!preset) {
        char suggestion[PXLI_SUGGESTION_LENGTH];
        pxli_suggest_preset(w.at, w.length, suggestion);
        return fail_at(p, w.at, PXL_SYNTAX_ERROR, "unknown preset '%.*s'%s", shown(w), w.at, suggestion);
    }
    d->term.preset = preset->name;
    return PXL_OK;
}

/* net or layers: all up to a comma, a parenthesis or a space; what it means is looked at when the term is resolved. */
static pxl_status read_text(parser *p, draft *d, pxli_field field) {
    char *to = field == PXLI_F_NET ? d->net : d->layers;
    const size_t most = field == PXLI_F_NET ? sizeof d->net - 1 : sizeof d->layers - 1;
    skip_space(p);
    const size_t length = strcspn(p->at, ",() \t\n\v\f\r");
    if (!length) return fail_expected(p, field == PXLI_F_NET ? "the name of a network" : "the names of layers");
    if (length > most)
        return fail_at(p, p->at, PXL_SYNTAX_ERROR, "%s of %zu characters; at most %zu are read", pxli_fields[field].name, length,
                       most);
    memcpy(to, p->at, length);
    p->at += length;
    if (field == PXLI_F_NET)
        d->term.net = to;
    else
        d->term.layers = to;
    return PXL_OK;
}

/* Stores a number that was written for a field. What a pxl_term gives a meaning of its own, 0 and -1, is only a number here. */
static pxl_status store_number(const parser *p, draft *d, pxli_field field, word key, const char *at, double value) {
    const pxli_field_info *info = &pxli_fields[field];
    bool may_be_0 = info->exact_zero || d->kind->kind == PXL_PSNR;
    if (field == PXLI_F_DATA_RANGE) may_be_0 = false;
    if (value < 0 || (value == 0 && !may_be_0))
        return fail_at(p, at, PXL_INVALID_ARGUMENT, "%.*s is %g; a number %s is needed%s", shown(key), key.at, value,
                       may_be_0 ? "of at least 0" : "above 0", info->automatic ? ", or auto" : "");
    if (info->type == PXLI_NUMBER) {
        pxli_set_number(&d->term, field, value == 0 && info->exact_zero ? PXL_EXACT_ZERO : value);
        return PXL_OK;
    }
    if (value != floor(value) || value > INT_MAX)
        return fail_at(p, at, PXL_INVALID_ARGUMENT, "%.*s is %g; a whole number up to %d is needed", shown(key), key.at, value,
                       INT_MAX);
    pxli_set_int(&d->term, field, (int)value);
    return PXL_OK;
}

/* field = number, or auto where that is allowed */
static pxl_status read_quantity(parser *p, draft *d, pxli_field field, word key) {
    const pxli_field_info *info = &pxli_fields[field];
    skip_space(p);
    const char *at = p->at;
    if (info->automatic && is_letter(*at)) {
        word w = read_word(p, false);
        if (!same(w, "auto")) return fail_at(p, at, PXL_SYNTAX_ERROR, "expected a number or auto, found '%.*s'", shown(w), w.at);
        if (info->type == PXLI_NUMBER)
            pxli_set_number(&d->term, field, PXL_FROM_DATA);
        else
            pxli_set_int(&d->term, field, PXL_DOWNSAMPLE_AUTO);
        return PXL_OK;
    }
    bool negative = accept(p, '-');
    double value = 0;
    size_t length;
    pxl_status status = read_number(p, &value, &length);
    if (status) return status;
    if (!length) return fail_expected(p, info->automatic ? "a number or auto" : "a number");
    return store_number(p, d, field, key, at, negative ? -value : value);
}

/* An argument that is a word alone: a penalty or a flag. */
static void set_word(draft *d, pxli_field field, word w) {
    if (field == PXLI_F_PENALTY)
        d->term.penalty = find_penalty(w);
    else
        pxli_set_int(&d->term, field, !same(w, "anisotropic"));
}

static pxl_status read_argument(parser *p, draft *d) {
    word w = read_word(p, false);
    if (!w.length) return fail_expected(p, "an argument");
    int field = find_field(d, w);
    if (field < 0) return fail_argument(p, d, w);
    if (d->columns[field])
        return fail_at(p, w.at, PXL_SYNTAX_ERROR, "'%.*s' repeats or contradicts the argument in column %d", shown(w), w.at,
                       d->columns[field]);
    d->columns[field] = column_of(p, w.at);
    bool alone = field == PXLI_F_PENALTY || pxli_fields[field].type == PXLI_FLAG;
    skip_space(p);
    if (alone && *p->at == '=')
        return fail_at(p, p->at, PXL_SYNTAX_ERROR, "'%.*s' stands alone, without a value", shown(w), w.at);
    if (alone) {
        set_word(d, field, w);
        return PXL_OK;
    }
    if (field == PXLI_F_PARAM) d->param = w;
    if (!accept(p, '=')) return fail_expected(p, "'=' and a value");
    if (field == PXLI_F_PRESET) return read_preset(p, d);
    if (pxli_fields[field].type == PXLI_TEXT) return read_text(p, d, field);
    if (pxli_fields[field].type == PXLI_WORD) return read_choice(p, d, field);
    return read_quantity(p, d, field, w);
}

static pxl_status read_arguments(parser *p, draft *d) {
    do {
        pxl_status status = read_argument(p, d);
        if (status) return status;
    } while (accept(p, ','));
    return accept(p, ')') ? PXL_OK : fail_expected(p, "',' or ')'");
}

/* delta, beta and eps each belong to a penalty, which may stand behind them: so this comes last. */
static pxl_status check_param(const parser *p, const draft *d) {
    if (!d->param.length) return PXL_OK;
    pxl_penalty penalty = pxli_effective_penalty(&d->term, d->kind);
    const char *expected = pxli_param_name(d->kind->kind, penalty);
    if (expected && same(d->param, expected)) return PXL_OK;
    return fail_at(p, d->param.at, PXL_SYNTAX_ERROR, "the penalty %s has no %.*s%s%s", pxli_penalties[penalty].name,
                   shown(d->param), d->param.at, expected ? "; it has " : "", expected ? expected : "");
}

/* ---- Terms ---------------------------------------------------------------------------------------------------------- */

static pxl_status fail_name(const parser *p, word name) {
    const char *names[32];
    int count = 0;
    for (int i = 0; i < pxli_kind_count; i++)
        if (pxli_kinds[i].fields) names[count++] = pxli_kinds[i].name;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++) names[count++] = pxli_penalties[i].term_name;
    names[count++] = "mae";
    return fail_unknown(p, "term", name, names, count);
}

/* Fills in the kind, and the penalty where the name is that of a penalty of the pixel map. */
static pxl_status find_term(const parser *p, draft *d) {
    for (int i = 0; !d->kind && i < pxli_kind_count; i++)
        if (same(d->name, pxli_kinds[i].name)) d->kind = &pxli_kinds[i];
    if (d->kind && !d->kind->fields) return fail_at(p, d->name.at, PXL_UNSUPPORTED, "%s is not in this version", d->kind->name);
    if (!d->kind) {
        d->named_by = same(d->name, "mae") ? PXL_L1 : same(d->name, "squared") ? PXL_PENALTY_DEFAULT : find_penalty(d->name);
        if (!d->named_by) return fail_name(p, d->name);
        d->kind = pxli_find_kind(PXL_PIXEL);
    }
    d->term.kind = d->kind->kind;
    d->term.penalty = d->named_by;
    d->fields = d->kind->fields;
    if (d->named_by) d->fields &= ~(1u << PXLI_F_PENALTY);
    if (d->named_by && !pxli_penalties[d->named_by].param) d->fields &= ~(1u << PXLI_F_PARAM);
    return PXL_OK;
}

/* [number *] name [( arguments )], with the sign of the operator before it, and perhaps one of its own */
static pxl_status read_term(parser *p, double sign, const pxli_term *before, size_t count, pxli_term *to) {
    draft d = {.term = {.struct_size = sizeof(pxl_term)}};
    double weight = 1;
    size_t length;
    if (accept(p, '-')) sign = -sign;
    pxl_status status = read_number(p, &weight, &length);
    if (status) return status;
    if (length && !accept(p, '*')) return fail_expected(p, "'*' and a term after the number");
    d.term.weight = sign * weight;
    d.name = read_word(p, false);
    if (!d.name.length) return fail_expected(p, "the name of a term");
    status = find_term(p, &d);
    d.columns[PXLI_FIELDS] = column_of(p, d.name.at);
    if (!status && accept(p, '(')) status = read_arguments(p, &d);
    if (!status) status = check_param(p, &d);
    const pxli_place place = {NULL, d.columns, p->context, before, (int)count};
    return status ? status : pxli_term_resolve_at(&d.term, &place, to);
}

static pxl_status read_terms(parser *p, pxli_term *terms, size_t *count) {
    double sign = 1;
    for (*count = 0;;) {
        skip_space(p);
        if (*count == PXLI_MAX_TERMS)
            return fail_at(p, p->at, PXL_INVALID_ARGUMENT, "more than %d terms; a loss has no more", PXLI_MAX_TERMS);
        pxl_status status = read_term(p, sign, terms, *count, &terms[*count]);
        if (status) return status;
        ++*count;
        if (accept(p, '+'))
            sign = 1;
        else if (accept(p, '-'))
            sign = -1;
        else if (*p->at)
            return fail_expected(p, "'+', '-' or the end");
        else
            return PXL_OK;
    }
}

pxl_status pxl_loss_parse(const char *expression, pxl_context *context, pxl_loss **loss) {
    if (!loss) return pxli_fail(PXL_INVALID_ARGUMENT, "loss is NULL; a place for the result is needed");
    if (!expression) return pxli_fail(PXL_INVALID_ARGUMENT, "expression is NULL; a string is needed");
    parser p = {expression, expression, context};
    pxli_term terms[PXLI_MAX_TERMS]; // 40 kB of stack
    size_t count = 0;
    pxl_status status = read_terms(&p, terms, &count);
    if (!status) status = pxli_loss_allocate(count, loss);
    if (status)
        pxli_terms_release(terms, count);
    else
        memcpy((*loss)->terms, terms, count * sizeof *terms);
    return status;
}
