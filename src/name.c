/* The name of a term: an expression that gives this very term again. A field is written if leaving it out would change the term;
 * so no second list of defaults has to be kept in step with the one that fills them in. */
#include <stdio.h>
#include <string.h>

#include "terms.h"

static bool same_features(const pxli_features *a, const pxli_features *b) {
    if (a->normalize != b->normalize || a->precision != b->precision || a->transform != b->transform || a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++)
        if (a->layer[i] != b->layer[i] || a->weight[i] != b->weight[i]) return false;
    return true;
}
static bool same_scales(const pxli_scales *a, const pxli_scales *b) {
    for (int i = 0; i < a->count && i < b->count; i++)
        if (a->weight[i] != b->weight[i]) return false;
    return a->count == b->count && a->automatic == b->automatic && a->clamp == b->clamp && a->eps == b->eps &&
           a->halving == b->halving && a->mean_of_channels == b->mean_of_channels && a->crop == b->crop &&
           a->own_ranges == b->own_ranges;
}
static bool same_term(const pxli_term *a, const pxli_term *b) {
    return a->reduction == b->reduction && a->penalty == b->penalty && a->param == b->param && a->isotropic == b->isotropic &&
           a->own_counts == b->own_counts && a->root == b->root && a->mean_of_images == b->mean_of_images &&
           a->neighbours == b->neighbours && a->alpha == b->alpha && a->beta == b->beta && a->gamma == b->gamma &&
           pxli_same_window(&a->window, &b->window) && same_features(&a->features, &b->features) &&
           same_scales(&a->scales, &b->scales);
}

/* Clears every field that `resolved` does not need: those that the preset gives, then the preset if it gives nothing, then in a
 * second round those that were there only to differ from it. A parameter that was given for a penalty stays: it is half of what
 * the penalty means, and a log without it would leave the reader looking for its default. So does the name of a network. */
static void clear_defaults(pxl_term *term, const pxli_term *resolved) {
    for (int i = 0; i < 2 * PXLI_FIELDS; i++) {
        int field = PXLI_FIELDS - 1 - i % PXLI_FIELDS; // the preset last
        if (field == PXLI_F_PARAM || field == PXLI_F_NET || pxli_field_is_zero(term, field)) continue;
        pxl_term candidate = *term;
        pxli_term filled;
        pxli_clear_field(&candidate, field);
        pxli_term_fill(&candidate, &filled);
        if (same_term(&filled, resolved)) *term = candidate;
    }
}

typedef struct writer {
    char *text;
    size_t length;
    int arguments;
} writer;

static void append(writer *to, const char *text) {
    size_t length = strlen(text), room = PXLI_MAX_NAME - 1 - to->length;
    if (length > room) length = room; // never: the longest name is shorter than PXLI_MAX_NAME
    memcpy(to->text + to->length, text, length);
    to->length += length;
    to->text[to->length] = 0;
}

static void append_argument(writer *to, const char *key, const char *value) {
    append(to, to->arguments++ ? ", " : "(");
    append(to, key);
    if (value) append(to, "=");
    if (value) append(to, value);
}

static void write_number(writer *to, const char *key, const pxl_term *term, pxli_field field) {
    const pxli_field_info *info = &pxli_fields[field];
    const double value = pxli_get_value(term, field, PXLI_FIRST), second = pxli_get_value(term, field, PXLI_SECOND);
    char text[PXLI_NUMBER_LENGTH];
    if (info->automatic && value == -1) {
        append_argument(to, key, "auto");
        return;
    }
    pxli_format_number(info->exact_zero && value == PXL_EXACT_ZERO ? 0 : value, text);
    append_argument(to, key, text);
    if (second == 0 || second == value) return;
    pxli_format_number(second, text);
    append(to, ":");
    append(to, text);
}

static void write_field(writer *to, const pxl_term *term, const pxli_term *resolved, pxli_field field) {
    const pxli_field_info *info = &pxli_fields[field];
    if (info->type == PXLI_TEXT)
        append_argument(to, info->name, pxli_get_text(term, field));
    else if (info->type == PXLI_FLAG)
        append_argument(to, info->name, NULL);
    else if (field == PXLI_F_PENALTY)
        append_argument(to, info->words[term->penalty], NULL);
    else if (field == PXLI_F_PARAM)
        write_number(to, pxli_param_name(term->kind, resolved->penalty), term, field);
    else if (info->type == PXLI_WORD)
        append_argument(to, info->name, info->words[pxli_get_int(term, field)]);
    else
        write_number(to, info->name, term, field);
}

void pxli_term_write_name(const pxl_term *from, pxli_term *to) {
    pxl_term term = *from;
    writer out = {to->name, 0, 0};
    clear_defaults(&term, to);
    append(&out, to->kind == PXL_PIXEL ? pxli_penalties[to->penalty].term_name : pxli_find_kind(to->kind)->name);
    if (to->kind == PXL_PIXEL) term.penalty = PXL_PENALTY_DEFAULT; // the name has said it
    for (int field = 0; field < PXLI_FIELDS; field++)
        if (!pxli_field_is_zero(&term, field)) write_field(&out, &term, to, field);
    if (out.arguments) append(&out, ")");
}
