/* The expression language: one pass over the characters, no recursion; but for the random networks that it names, no allocation
 * before the whole expression is known to be good. Every name comes from the tables in terms.h; parse_fail.c says what is wrong
 * with others. Grammar and meaning: pxl_loss_parse in include/pixloss/pixloss.h.
 *
 * Each term is gathered into a public pxl_term, together with the columns of its arguments, and resolved like any other. */
#include "parse.h"

#include <math.h>

#include "error.h"

/* A number without a sign, if there is one: *length says. */
static pxl_status read_number(pxli_parser *p, double *value, size_t *length) {
    pxli_skip_space(p);
    *length = pxli_number_length(p->at);
    if (!*length) return PXL_OK;
    if (*length > PXLI_MAX_DIGITS)
        return pxli_fail_parse(p, p->at, PXL_SYNTAX_ERROR, "a number of %zu characters; at most %d are read", *length,
                               PXLI_MAX_DIGITS);
    *value = pxli_parse_number(p->at, *length);
    if (isnan(*value)) return pxli_fail(PXL_OUT_OF_MEMORY, "no memory for the C locale");
    if (isinf(*value))
        return pxli_fail_parse(p, p->at, PXL_INVALID_ARGUMENT, "%.*s is beyond the largest double", (int)*length, p->at);
    p->at += *length;
    return PXL_OK;
}

/* ---- Arguments ------------------------------------------------------------------------------------------------------ */

static pxl_penalty find_penalty(pxli_word w) {
    if (pxli_same(w, "mse") || pxli_same(w, "squared")) return PXL_L2;
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++)
        if (pxli_same(w, pxli_penalties[i].name)) return (pxl_penalty)i;
    return PXL_PENALTY_DEFAULT;
}

/* The field that an argument sets, or -1. */
static int find_field(const pxli_draft *d, pxli_word w) {
    for (int i = 1; i < PXLI_PENALTY_COUNT; i++)
        if (pxli_penalties[i].param && pxli_same(w, pxli_penalties[i].param) && pxli_takes_param(d, pxli_penalties[i].param))
            return PXLI_F_PARAM;
    if (pxli_takes(d, PXLI_F_PENALTY) && find_penalty(w)) return PXLI_F_PENALTY;
    if (pxli_takes(d, PXLI_F_ISOTROPIC) && pxli_same(w, "anisotropic")) return PXLI_F_ISOTROPIC;
    if (pxli_takes(d, PXLI_F_BORDER) && pxli_same(w, "padding")) return PXLI_F_BORDER;
    for (int f = 0; f < PXLI_FIELDS; f++)
        if (f != PXLI_F_PENALTY && f != PXLI_F_PARAM && pxli_takes(d, f) && pxli_same(w, pxli_fields[f].name)) return f;
    return -1;
}

/* field = one of a list of words */
static pxl_status read_choice(pxli_parser *p, pxli_draft *d, pxli_field field) {
    const pxli_field_info *info = &pxli_fields[field];
    const char *names[PXLI_PENALTY_COUNT];
    int count = 0;
    pxli_word w = pxli_read_word(p, false);
    if (!w.length) return pxli_fail_expected(p, info->name);
    for (int i = 0; i < info->word_count; i++) {
        if (!info->words[i]) continue;
        names[count++] = info->words[i];
        if (!pxli_same(w, info->words[i])) continue;
        pxli_set_int(&d->term, field, i);
        return PXL_OK;
    }
    return pxli_fail_choice(p, field, w, names, count);
}

static pxl_status read_preset(pxli_parser *p, pxli_draft *d) {
    pxli_word w = pxli_read_word(p, true);
    if (!w.length) w = pxli_foreign_word(p->at); // 3dgs
    if (!w.length || *w.at == '-') return pxli_fail_expected(p, "the name of a preset");
    const pxli_preset *preset = pxli_find_preset(w.at, w.length);
    if (!preset) {
        char suggestion[PXLI_SUGGESTION_LENGTH];
        pxli_suggest_preset(w.at, w.length, suggestion);
        return pxli_fail_parse(p, w.at, PXL_SYNTAX_ERROR, "unknown preset '%.*s'%s", pxli_shown(w), w.at, suggestion);
    }
    d->term.preset = preset->name;
    return PXL_OK;
}

/* net, layers or weights: all up to a comma, a parenthesis or a space; what it means is looked at when the term is resolved. */
static pxl_status read_text(pxli_parser *p, pxli_draft *d, pxli_field field) {
    char *to = field == PXLI_F_NET ? d->net : field == PXLI_F_LAYERS ? d->layers : d->weights;
    const size_t most = field == PXLI_F_NET      ? sizeof d->net - 1
                        : field == PXLI_F_LAYERS ? sizeof d->layers - 1
                                                 : sizeof d->weights - 1;
    pxli_skip_space(p);
    const size_t length = strcspn(p->at, ",() \t\n\v\f\r");
    if (!length)
        return pxli_fail_expected(p, field == PXLI_F_NET      ? "the name of a network"
                                     : field == PXLI_F_LAYERS ? "the names of layers"
                                                              : "the scales' weights");
    if (length > most)
        return pxli_fail_parse(p, p->at, PXL_SYNTAX_ERROR, "%s of %zu characters; at most %zu are read", pxli_fields[field].name,
                               length, most);
    memcpy(to, p->at, length);
    p->at += length;
    if (field == PXLI_F_NET)
        d->term.net = to;
    else if (field == PXLI_F_LAYERS)
        d->term.layers = to;
    else
        d->term.weights = to;
    return PXL_OK;
}

/* Stores a number that was written for a field. What a pxl_term gives a meaning of its own, 0 and -1, is only a number here. */
static pxl_status store_number(const pxli_parser *p, pxli_draft *d, pxli_field field, pxli_which which, pxli_word key,
                               const char *at, double value) {
    const pxli_field_info *info = &pxli_fields[field];
    bool may_be_0 = info->exact_zero || d->kind->kind == PXL_PSNR;
    if (field == PXLI_F_DATA_RANGE) may_be_0 = false;
    if (value < 0 || (value == 0 && !may_be_0))
        return pxli_fail_parse(p, at, PXL_INVALID_ARGUMENT, "%.*s is %g; a number %s is needed%s", pxli_shown(key), key.at, value,
                               may_be_0 ? "of at least 0" : "above 0", info->automatic ? ", or auto" : "");
    if (info->type == PXLI_NUMBER) {
        pxli_set_value(&d->term, field, which, value == 0 && info->exact_zero ? PXL_EXACT_ZERO : value);
        return PXL_OK;
    }
    if (value != floor(value) || value > INT_MAX)
        return pxli_fail_parse(p, at, PXL_INVALID_ARGUMENT, "%.*s is %g; a whole number up to %d is needed", pxli_shown(key),
                               key.at, value, INT_MAX);
    pxli_set_value(&d->term, field, which, value);
    return PXL_OK;
}

static pxl_status read_value(pxli_parser *p, pxli_draft *d, pxli_field field, pxli_which which, pxli_word key) {
    pxli_skip_space(p);
    const char *at = p->at, *expected = pxli_fields[field].automatic ? "a number or auto" : "a number";
    const bool negative = pxli_accept(p, '-');
    double value = 0;
    size_t length;
    pxl_status status = read_number(p, &value, &length);
    if (status) return status;
    if (!length) return pxli_fields[field].name_x ? pxli_fail_pair(p, key, which) : pxli_fail_expected(p, expected);
    return store_number(p, d, field, which, key, at, negative ? -value : value);
}

static const double automatic_value = PXL_FROM_DATA; // as PXL_DOWNSAMPLE_AUTO and PXL_SCALES_AUTO
/* field = number, or auto where that is allowed, or number : number where each axis has its own */
static pxl_status read_quantity(pxli_parser *p, pxli_draft *d, pxli_field field, pxli_word key) {
    const pxli_field_info *info = &pxli_fields[field];
    pxli_skip_space(p);
    const char *at = p->at;
    if (info->automatic && pxli_is_letter(*at)) {
        pxli_word w = pxli_read_word(p, false);
        if (!pxli_same(w, "auto"))
            return pxli_fail_parse(p, at, PXL_SYNTAX_ERROR, "expected a number or auto, found '%.*s'", pxli_shown(w), w.at);
        pxli_set_value(&d->term, field, PXLI_FIRST, automatic_value);
        return PXL_OK;
    }
    pxl_status status = read_value(p, d, field, PXLI_FIRST, key);
    if (status || !info->name_x || !pxli_accept(p, ':')) return status;
    status = read_value(p, d, field, PXLI_SECOND, key);
    pxli_skip_space(p);
    if (!status && *p->at == ':')
        return pxli_fail_parse(p, p->at, PXL_SYNTAX_ERROR, "%.*s has two values at most, vertical:horizontal", pxli_shown(key),
                               key.at);
    return status;
}

/* An argument that is a word alone: a penalty or a flag. */
static void set_word(pxli_draft *d, pxli_field field, pxli_word w) {
    if (field == PXLI_F_PENALTY)
        d->term.penalty = find_penalty(w);
    else
        pxli_set_int(&d->term, field, !pxli_same(w, "anisotropic"));
}

static pxl_status read_argument(pxli_parser *p, pxli_draft *d) {
    pxli_word w = pxli_read_word(p, false);
    if (!w.length) return pxli_fail_no_argument(p, d);
    int field = find_field(d, w);
    if (field < 0) return pxli_fail_argument(p, d, w);
    if (d->columns[field])
        return pxli_fail_parse(p, w.at, PXL_SYNTAX_ERROR, "'%.*s' repeats or contradicts the argument in column %d",
                               pxli_shown(w), w.at, d->columns[field]);
    d->columns[field] = pxli_column_of(p, w.at);
    bool alone = field == PXLI_F_PENALTY || pxli_fields[field].type == PXLI_FLAG;
    pxli_skip_space(p);
    if (alone && *p->at == '=')
        return pxli_fail_parse(p, p->at, PXL_SYNTAX_ERROR, "'%.*s' stands alone, without a value", pxli_shown(w), w.at);
    if (alone) {
        set_word(d, field, w);
        return PXL_OK;
    }
    if (field == PXLI_F_PARAM) d->param = w;
    if (!pxli_accept(p, '=')) return pxli_fail_expected(p, "'=' and a value");
    if (field == PXLI_F_PRESET) return read_preset(p, d);
    if (pxli_fields[field].type == PXLI_TEXT) return read_text(p, d, field);
    if (pxli_fields[field].type == PXLI_WORD) return read_choice(p, d, field);
    return read_quantity(p, d, field, w);
}

static pxl_status read_arguments(pxli_parser *p, pxli_draft *d) {
    do {
        pxl_status status = read_argument(p, d);
        if (status) return status;
    } while (pxli_accept(p, ','));
    return pxli_accept(p, ')') ? PXL_OK : pxli_fail_expected(p, "',' or ')'");
}

/* delta, beta and eps each belong to a penalty, which may stand behind them: so this comes last. */
static pxl_status check_param(const pxli_parser *p, const pxli_draft *d) {
    if (!d->param.length) return PXL_OK;
    pxl_penalty penalty = pxli_effective_penalty(&d->term, d->kind);
    const char *expected = pxli_param_name(d->kind->kind, penalty);
    if (expected && pxli_same(d->param, expected)) return PXL_OK;
    return pxli_fail_parse(p, d->param.at, PXL_SYNTAX_ERROR, "the penalty %s has no %.*s%s%s", pxli_penalties[penalty].name,
                           pxli_shown(d->param), d->param.at, expected ? "; it has " : "", expected ? expected : "");
}

/* ---- Terms ---------------------------------------------------------------------------------------------------------- */

/* Fills in the kind, and the penalty where the name is that of a penalty of the pixel map. */
static pxl_status find_term(const pxli_parser *p, pxli_draft *d) {
    for (int i = 0; !d->kind && i < pxli_kind_count; i++)
        if (pxli_same(d->name, pxli_kinds[i].name)) d->kind = &pxli_kinds[i];
    if (d->kind && !d->kind->fields)
        return pxli_fail_parse(p, d->name.at, PXL_UNSUPPORTED, "%s is not in this version", d->kind->name);
    if (!d->kind) {
        d->named_by = pxli_same(d->name, "mae")       ? PXL_L1
                      : pxli_same(d->name, "squared") ? PXL_PENALTY_DEFAULT
                                                      : find_penalty(d->name);
        if (!d->named_by) return pxli_fail_name(p, d->name);
        d->kind = pxli_find_kind(PXL_PIXEL);
    }
    d->term.kind = d->kind->kind;
    d->term.penalty = d->named_by;
    d->fields = d->kind->fields;
    if (d->named_by) d->fields &= ~(1u << PXLI_F_PENALTY);
    if (d->named_by && !pxli_penalties[d->named_by].param) d->fields &= ~(1u << PXLI_F_PARAM);
    return PXL_OK;
}

/* [-] [number *], with the sign of the operator before it */
static pxl_status read_weight(pxli_parser *p, double sign, double *weight) {
    size_t length;
    *weight = 1;
    if (pxli_accept(p, '-')) sign = -sign;
    pxli_skip_space(p);
    const pxli_parser start = *p;
    pxl_status status = read_number(p, weight, &length);
    if (!status && length && !pxli_accept(p, '*')) {
        status = pxli_fail_complement(&start);
        return status ? status : pxli_fail_expected(p, "'*' and a term after the number");
    }
    *weight *= sign;
    return status;
}

/* A weight, if there is one, and name [( arguments )] */
static pxl_status read_term(pxli_parser *p, double sign, const pxli_term *before, size_t count, pxli_term *to) {
    pxli_draft d = {.term = {.struct_size = sizeof(pxl_term)}};
    pxl_status status = read_weight(p, sign, &d.term.weight);
    if (status) return status;
    d.name = pxli_read_word(p, false);
    if (!d.name.length) status = pxli_fail_complement(p);
    if (!d.name.length) return status ? status : pxli_fail_expected(p, "the name of a term");
    status = find_term(p, &d);
    d.columns[PXLI_FIELDS] = pxli_column_of(p, d.name.at);
    if (!status && pxli_accept(p, '(')) status = read_arguments(p, &d);
    if (!status) status = check_param(p, &d);
    const pxli_place place = {NULL, d.columns, p->context, before, (int)count};
    return status ? status : pxli_term_resolve_at(&d.term, &place, to);
}

static pxl_status read_terms(pxli_parser *p, pxli_term *terms, size_t *count) {
    double sign = 1;
    for (*count = 0;;) {
        pxli_skip_space(p);
        if (*count == PXLI_MAX_TERMS)
            return pxli_fail_parse(p, p->at, PXL_INVALID_ARGUMENT, "more than %d terms; a loss has no more", PXLI_MAX_TERMS);
        pxl_status status = read_term(p, sign, terms, *count, &terms[*count]);
        if (status) return status;
        ++*count;
        if (pxli_accept(p, '+'))
            sign = 1;
        else if (pxli_accept(p, '-'))
            sign = -1;
        else if (*p->at)
            return pxli_fail_expected(p, "'+', '-' or the end");
        else
            return PXL_OK;
    }
}

pxl_status pxl_loss_parse(const char *expression, pxl_context *context, pxl_loss **loss) {
    if (!loss) return pxli_fail(PXL_INVALID_ARGUMENT, "loss is NULL; a place for the result is needed");
    if (!expression) return pxli_fail(PXL_INVALID_ARGUMENT, "expression is NULL; a string is needed");
    pxli_parser p = {expression, expression, context};
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
