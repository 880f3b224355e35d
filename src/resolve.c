/* From a public term, where zero stands for a default, to one with every default filled in: first all checks, each with a message
 * of its own, then a filling in that cannot fail. */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "terms.h"

static const double default_blur_sigma = 1.5, default_k1 = 0.01, default_k2 = 0.03;

static bool uses(const pxli_kind_info *kind, pxli_field field) { return kind->fields >> field & 1; }

pxl_status pxli_fail_at(const pxli_place *place, const char *field_name, int field, const char *format, ...) {
    char text[480];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *space = *text ? " " : "";
    if (!place->columns)
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s%s%s%s%s", place->term, field_name ? "." : "", field_name ? field_name : "",
                         space, text);
    int column = place->columns[field] ? place->columns[field] : place->columns[PXLI_FIELDS];
    return pxli_fail(PXL_INVALID_ARGUMENT, "column %d: %s%s%s", column, field_name ? field_name : "the term", space, text);
}
#define FAIL_TERM(place, ...) pxli_fail_at(place, NULL, PXLI_FIELDS, __VA_ARGS__)

static pxl_status check_kind(const pxl_term *from, const pxli_place *place, const pxli_kind_info **kind) {
    if (from->struct_size != sizeof *from)
        return pxli_fail_at(place, "struct_size", PXLI_FIELDS, "is %zu; it must be sizeof(pxl_term), %zu, which PXL_TERM sets",
                            from->struct_size, sizeof *from);
    *kind = pxli_find_kind(from->kind);
    if (!*kind) return pxli_fail_at(place, "kind", PXLI_FIELDS, "is %d, which is no pxl_term_kind", (int)from->kind);
    if (!(*kind)->fields) {
        FAIL_TERM(place, "is of kind %s, which is not in this version", (*kind)->name);
        return PXL_UNSUPPORTED;
    }
    if (!isfinite(from->weight))
        return pxli_fail_at(place, "weight", PXLI_FIELDS, "is %g; a finite number is needed", from->weight);
    return PXL_OK;
}

static pxl_status check_unused(const pxl_term *from, const pxli_place *place, const pxli_kind_info *kind) {
    if (from->network && !pxli_is_features(kind->kind))
        return pxli_fail_at(place, "network", PXLI_FIELDS, "is given, but %s has no network", kind->name);
    for (int f = 0; f < PXLI_FIELDS; f++) {
        const char *name = pxli_fields[f].name;
        if (uses(kind, f) || pxli_field_is_zero(from, f)) continue;
        if (pxli_get_value(from, f, PXLI_SECOND) != 0 && pxli_get_value(from, f, PXLI_FIRST) == 0)
            return pxli_fail_at(place, pxli_fields[f].name_x, f, "is %g, but %s has no %s", pxli_get_value(from, f, PXLI_SECOND),
                                kind->name, name);
        if (pxli_fields[f].type == PXLI_TEXT)
            return PXLI_FAIL_FIELD(place, f, "is \"%.40s\", but %s has no %s", pxli_get_text(from, f), kind->name, name);
        if (pxli_fields[f].type == PXLI_NUMBER)
            return PXLI_FAIL_FIELD(place, f, "is %g, but %s has no %s", pxli_get_value(from, f, PXLI_FIRST), kind->name, name);
        return PXLI_FAIL_FIELD(place, f, "is %d, but %s has no %s", pxli_get_int(from, f), kind->name, name);
    }
    return PXL_OK;
}

/* By the type of the field alone. */
static pxli_range range_of_type(const pxli_field_info *info) {
    switch (info->type) {
        case PXLI_WORD: return (pxli_range){info->words[0] ? 0 : 1, info->word_count - 1, 1};
        case PXLI_FLAG: return (pxli_range){0, 1, 1};
        case PXLI_INTEGER: return (pxli_range){1, INT_MAX, 1};
        case PXLI_NUMBER: return (pxli_range){info->exact_zero ? 0 : DBL_TRUE_MIN, INFINITY, 0};
        default: return (pxli_range){NAN, NAN, 0};
    }
}
pxli_range pxli_field_range(pxl_term_kind kind, pxli_field field) {
    pxli_range range = range_of_type(&pxli_fields[field]);
    switch (field) {
        case PXLI_F_K1:
        case PXLI_F_K2: range.high = 1e15; break; // f32 holds no (k L)^2 beside pixels near L otherwise
        case PXLI_F_ALPHA:
        case PXLI_F_BETA:
        case PXLI_F_GAMMA: range.high = 100; break; // by so much the power multiplies a factor's relative error
        case PXLI_F_PARAM:
            if (kind == PXL_PSNR) range.low = 0;
            if (kind == PXL_MS_SSIM) range.high = 1 - DBL_EPSILON / 2;
            break;
        case PXLI_F_NEIGHBOURS: return (pxli_range){4, 8, 4};
        case PXLI_F_SCALES: range.high = PXLI_MAX_SCALES; break;
        case PXLI_F_WINDOW: return (pxli_range){3, kind == PXL_BLUR ? PXLI_MAX_BLUR : PXLI_MAX_WINDOW, 2};
        default: break;
    }
    return range;
}
static bool in_range(double value, pxli_range range) {
    return value >= range.low && value <= range.high && (range.step == 0 || fmod(value - range.low, range.step) == 0);
}
/* What a message calls a value of a field: in an expression the second one has no name. */
static const char *name_of(const pxli_place *place, pxli_field field, pxli_which which, char text[32]) {
    if (which == PXLI_FIRST) return pxli_fields[field].name;
    if (!place->columns) return pxli_fields[field].name_x;
    snprintf(text, 32, "the second of %s", pxli_fields[field].name);
    return text;
}
#define FAIL_VALUE(place, field, which, ...) pxli_fail_at(place, name_of(place, field, which, (char[32]){0}), field, __VA_ARGS__)

static pxl_status check_number(const pxl_term *from, const pxli_place *place, pxli_field field, pxli_which which) {
    double value = pxli_get_value(from, field, which);
    const char *automatic = pxli_fields[field].automatic ? ", or PXL_FROM_DATA" : "";
    const bool taken = isfinite(value) && (value >= 0 || (*automatic && value == PXL_FROM_DATA));
    if (!taken)
        return FAIL_VALUE(place, field, which, "is %g; a finite number above 0 is needed (0: %s%s)", value,
                          which == PXLI_FIRST ? "the default" : "as along columns", automatic);
    const double most = pxli_field_range(from->kind, field).high;
    if (value > most && field != PXLI_F_PARAM) // pxli_check_scales has a message for eps
        return FAIL_VALUE(place, field, which, "is %g; at most %g is taken", value, most);
    return PXL_OK;
}

static pxl_status check_integer(const pxl_term *from, const pxli_place *place, pxli_field field, pxli_which which) {
    int value = (int)pxli_get_value(from, field, which);
    const pxli_range range = pxli_field_range(from->kind, field);
    if (value == 0 || in_range(value, range) || (value == -1 && pxli_fields[field].automatic)) return PXL_OK;
    switch (field) {
        case PXLI_F_NEIGHBOURS: return PXLI_FAIL_FIELD(place, field, "is %d; 4 or 8 is needed", value);
        case PXLI_F_DOWNSAMPLE: return PXLI_FAIL_FIELD(place, field, "is %d; 1 or more is needed, or PXL_DOWNSAMPLE_AUTO", value);
        case PXLI_F_SCALES:
            return PXLI_FAIL_FIELD(place, field, "is %d; 1 to %g is needed, or PXL_SCALES_AUTO (auto in an expression)", value,
                                   range.high);
        default:
            return FAIL_VALUE(place, field, which, "is %d; an odd number from %g to %g is needed", value, range.low, range.high);
    }
}

static pxl_status check_value(const pxl_term *from, const pxli_place *place, pxli_field field, pxli_which which) {
    return pxli_fields[field].type == PXLI_NUMBER ? check_number(from, place, field, which)
                                                  : check_integer(from, place, field, which);
}
/* One value, or two. */
static pxl_status check_values(const pxl_term *from, const pxli_place *place, pxli_field field) {
    const double first = pxli_get_value(from, field, PXLI_FIRST), second = pxli_get_value(from, field, PXLI_SECOND);
    const pxl_status status = check_value(from, place, field, PXLI_FIRST);
    if (status || second == 0) return status;
    if (first == 0)
        return pxli_fail_at(place, pxli_fields[field].name_x, field, "is %g, but %s is not given, which it goes with", second,
                            pxli_fields[field].name);
    return check_value(from, place, field, PXLI_SECOND);
}

/* Each field by itself. */
static pxl_status check_field(const pxl_term *from, const pxli_place *place, pxli_field field) {
    const pxli_field_info *info = &pxli_fields[field];
    // by pxli_find_network, pxli_check_features, pxli_check_scales
    if (field == PXLI_F_NET || field == PXLI_F_LAYERS || field == PXLI_F_WEIGHTS) return PXL_OK;
    if (info->type == PXLI_TEXT) {
        size_t length = from->preset ? strlen(from->preset) : 0;
        if (!from->preset || pxli_find_preset(from->preset, length)) return PXL_OK;
        char suggestion[PXLI_SUGGESTION_LENGTH];
        pxli_suggest_preset(from->preset, length, suggestion);
        return PXLI_FAIL_FIELD(place, field, "is \"%.40s\", which is unknown%s", from->preset, suggestion);
    }
    if (info->type == PXLI_NUMBER || info->type == PXLI_INTEGER) return check_values(from, place, field);
    int value = pxli_get_int(from, field), most = info->type == PXLI_FLAG ? 1 : info->word_count - 1;
    if (value >= 0 && value <= most) return PXL_OK;
    if (info->type == PXLI_FLAG) return PXLI_FAIL_FIELD(place, field, "is %d; 0 or 1 is needed", value);
    return PXLI_FAIL_FIELD(place, field, "is %d; a pxl_%s, 0 to %d, is needed", value, info->name, most);
}

/* tv's root: of squares, which are the same of the magnitude and of both differences. */
static pxl_status check_root(const pxl_term *from, const pxli_place *place, pxl_penalty penalty) {
    if (from->root && penalty != PXL_L2)
        return PXLI_FAIL_FIELD(place, PXLI_F_ROOT, "does not go with the penalty %s: it is the root of squares, l2",
                               pxli_penalties[penalty].name);
    if (from->root && from->isotropic)
        return PXLI_FAIL_FIELD(place, PXLI_F_ROOT, "does not go with isotropic, whose squares are those of both differences");
    return PXL_OK;
}
static pxl_status check_penalty(const pxl_term *from, const pxli_place *place, const pxli_kind_info *kind) {
    pxl_penalty penalty = pxli_effective_penalty(from, kind);
    if (from->penalty_param != 0 && !pxli_param_name(kind->kind, penalty))
        return PXLI_FAIL_FIELD(place, PXLI_F_PARAM, "is %g, but the penalty %s has no parameter", from->penalty_param,
                               pxli_penalties[penalty].name);
    if (from->own_counts && from->isotropic)
        return PXLI_FAIL_FIELD(place, PXLI_F_OWN_COUNTS, "does not go with isotropic: a magnitude needs both differences");
    if (from->own_counts && from->reduction == PXL_SUM)
        return PXLI_FAIL_FIELD(place, PXLI_F_OWN_COUNTS, "does not go with reduction = sum, which divides by no count");
    return check_root(from, place, penalty);
}

/* The taps that follow from sigma, which only now is known to be a good number. */
static pxl_status check_window(const pxl_term *from, const pxli_place *place, const pxli_kind_info *kind) {
    if (from->uniform && from->sigma != 0)
        return PXLI_FAIL_FIELD(place, PXLI_F_SIGMA, "is %g, but a uniform window has no sigma", from->sigma);
    if (!uses(kind, PXLI_F_WINDOW)) return PXL_OK;
    pxli_term filled;
    pxli_term_fill(from, &filled);
    const int most = (int)pxli_field_range(kind->kind, PXLI_F_WINDOW).high;
    const pxli_which which = filled.window.y.taps > most ? PXLI_FIRST : PXLI_SECOND;
    const int taps = which == PXLI_FIRST ? filled.window.y.taps : filled.window.x.taps;
    if (taps <= most) return PXL_OK;
    return FAIL_VALUE(place, PXLI_F_SIGMA, which,
                      "is %g, which takes %d taps; at most %d are allowed: give a smaller sigma or a window",
                      pxli_get_value(from, PXLI_F_SIGMA, which), taps, most);
}

static double sigma_of(const pxl_term *from, pxli_which which) {
    return which == PXLI_SECOND && from->sigma_x > 0 ? from->sigma_x : from->sigma;
}
static int window_of(const pxl_term *from, pxli_which which) {
    return which == PXLI_SECOND && from->window_x ? from->window_x : from->window;
}
static pxli_axis windowed_axis(const pxl_term *from, const pxli_preset *preset, pxli_which which) {
    const double given = sigma_of(from, which);
    const int window = window_of(from, which);
    const bool gaussian = !from->uniform && (given > 0 || !preset->uniform);
    pxli_axis to = {0, 0};
    if (gaussian) to.sigma = given > 0 ? given : preset->sigma;
    to.taps = window ? window : gaussian && preset->taps_from_sigma ? pxli_gaussian_taps(to.sigma) : preset->taps;
    if (to.taps < 3) to.taps = 3; // a sigma below 1/7: the outer taps are 0 to working precision
    return to;
}
static void fill_windowed(const pxl_term *from, pxli_window *to) {
    const char *name = from->preset ? from->preset : "wang";
    const pxli_preset *preset = pxli_find_preset(name, strlen(name));
    to->y = windowed_axis(from, preset, PXLI_FIRST), to->x = windowed_axis(from, preset, PXLI_SECOND);
    to->border = from->border ? from->border : preset->border;
    to->sample_covariance = from->sample_covariance || preset->sample_covariance;
    to->downsample = from->downsample ? from->downsample : preset->downsample;
    // Only where they matter, so that windows which compute the same also compare equal.
    to->skip_short_axis = preset->skip_short_axis && to->border == PXL_VALID;
    to->symmetric_decimation = preset->symmetric_decimation && to->downsample != 1;
    to->k1 = from->k1 == PXL_EXACT_ZERO ? 0 : from->k1 > 0 ? from->k1 : default_k1;
    to->k2 = from->k2 == PXL_EXACT_ZERO ? 0 : from->k2 > 0 ? from->k2 : default_k2;
    to->data_range = from->data_range != 0 ? from->data_range : preset->data_range;
}

static pxli_axis blur_axis(const pxl_term *from, pxli_which which) {
    const double given = sigma_of(from, which);
    const int window = window_of(from, which);
    pxli_axis to = {0, given > 0 ? given : default_blur_sigma};
    to.taps = window ? window : pxli_gaussian_taps(to.sigma);
    if (to.taps < 3) to.taps = 3;
    return to;
}
static void fill_filter(const pxl_term *from, pxli_window *to) {
    to->border = from->border ? from->border : PXL_ZERO;
    to->y = to->x = (pxli_axis){3, 0};
    if (from->kind == PXL_BLUR) to->y = blur_axis(from, PXLI_FIRST), to->x = blur_axis(from, PXLI_SECOND);
}

static double exponent(double given) { return given == PXL_EXACT_ZERO ? 0 : given > 0 ? given : 1; }

void pxli_term_fill(const pxl_term *from, pxli_term *to) {
    const pxli_kind_info *kind = pxli_find_kind(from->kind);
    memset(to, 0, sizeof *to);
    to->kind = from->kind;
    to->weight = from->weight;
    to->reduction = from->reduction;
    to->penalty = kind->penalty ? pxli_effective_penalty(from, kind) : PXL_PENALTY_DEFAULT;
    to->param = from->penalty_param > 0 ? from->penalty_param : pxli_penalties[to->penalty].param_default;
    to->isotropic = from->isotropic;
    to->own_counts = from->own_counts;
    to->root = from->root;
    to->mean_of_images = from->mean_of_images;
    if (uses(kind, PXLI_F_NEIGHBOURS)) to->neighbours = from->neighbours ? from->neighbours : 4;
    to->alpha = exponent(from->alpha);
    to->beta = exponent(from->beta);
    to->gamma = exponent(from->gamma);
    if (pxli_has_statistics(kind->kind))
        fill_windowed(from, &to->window);
    else if (uses(kind, PXLI_F_BORDER))
        fill_filter(from, &to->window);
    else
        to->window.data_range = from->data_range;
    if (pxli_is_features(kind->kind)) pxli_fill_features(from, &to->features);
    if (kind->kind != PXL_MS_SSIM) return;
    to->param = 0, to->window.downsample = 1, to->window.skip_short_axis = to->window.symmetric_decimation = false;
    pxli_fill_scales(from, &to->scales);
}

static pxl_status check_term(const pxl_term *from, const pxli_place *place, const pxli_kind_info *kind) {
    pxl_status status = PXL_OK;
    for (int f = 0; !status && f < PXLI_FIELDS; f++) status = check_field(from, place, f);
    if (!status && kind->penalty) status = check_penalty(from, place, kind);
    if (!status && pxli_is_features(kind->kind)) status = pxli_check_features(place, from);
    if (!status && kind->kind == PXL_MS_SSIM) status = pxli_check_scales(place, from);
    return status ? status : check_window(from, place, kind);
}
pxl_status pxli_term_resolve_at(const pxl_term *from, const pxli_place *place, pxli_term *to) {
    const pxli_kind_info *kind = NULL;
    pxl_network *own = NULL;
    pxl_status status = check_kind(from, place, &kind);
    if (!status) status = check_unused(from, place, kind);
    if (status) return status;
    pxl_term term = *from;
    if (pxli_is_features(kind->kind)) status = pxli_find_network(place, &term, &own);
    if (!status) status = check_term(&term, place, kind);
    if (status) {
        pxl_network_destroy(own);
        return status;
    }
    pxli_term_fill(&term, to);
    pxli_term_write_name(&term, to);
    return PXL_OK;
}

pxl_status pxli_windowed_resolve(const pxl_term *from, const char *where, pxli_term *to) {
    const pxli_place place = {.term = where};
    const pxli_kind_info *kind = NULL;
    if (!from) return pxli_fail(PXL_INVALID_ARGUMENT, "%s is NULL", where);
    const pxl_status status = check_kind(from, &place, &kind);
    if (!status && !pxli_is_windowed(kind->kind)) // before a network is made for it
        return pxli_fail(PXL_INVALID_ARGUMENT, "%s is of kind %s; a windowed one is needed, such as PXL_SSIM", where, kind->name);
    return status ? status : pxli_term_resolve_at(from, &place, to);
}
