/* The tables of what a term can be (terms.h), and access to the fields of a public term by their number. */
#include "terms.h"

#include <string.h>

#include "math/window.h"

#define BIT(field) (1u << PXLI_F_##field)
#define MAP        (BIT(PENALTY) | BIT(PARAM) | BIT(REDUCTION))
#define FEATURES   (BIT(NET) | BIT(LAYERS) | BIT(DATA_RANGE) | BIT(PRECISION))
#define EXPONENTS  (BIT(ALPHA) | BIT(BETA) | BIT(GAMMA))
#define WINDOWED                                                                                                 \
    (BIT(PRESET) | BIT(BORDER) | BIT(WINDOW) | BIT(SIGMA) | BIT(UNIFORM) | BIT(K1) | BIT(K2) | BIT(DATA_RANGE) | \
     BIT(SAMPLE_COVARIANCE) | BIT(DOWNSAMPLE) | BIT(REDUCTION))

const pxli_kind_info pxli_kinds[] = {
    {"pixel", PXL_PIXEL, PXL_L2, MAP},
    {"sobel", PXL_SOBEL, PXL_L1, MAP | BIT(ISOTROPIC) | BIT(BORDER)},
    {"laplacian", PXL_LAPLACIAN, PXL_L1, MAP | BIT(NEIGHBOURS) | BIT(BORDER)},
    {"tv", PXL_TV, PXL_L1, MAP | BIT(ISOTROPIC) | BIT(OWN_COUNTS) | BIT(ROOT) | BIT(MEAN_OF_IMAGES)},
    {"blur", PXL_BLUR, PXL_L2, MAP | BIT(BORDER) | BIT(WINDOW) | BIT(SIGMA)},
    {"rmse", PXL_RMSE, PXL_PENALTY_DEFAULT, BIT(MEAN_OF_IMAGES)},
    {"psnr", PXL_PSNR, PXL_PENALTY_DEFAULT, BIT(MEAN_OF_IMAGES) | BIT(PARAM) | BIT(DATA_RANGE)},
    {"ssim", PXL_SSIM, PXL_PENALTY_DEFAULT, WINDOWED | EXPONENTS},
    {"dssim", PXL_DSSIM, PXL_PENALTY_DEFAULT, WINDOWED | EXPONENTS},
    {"luminance", PXL_LUMINANCE, PXL_PENALTY_DEFAULT, WINDOWED},
    {"contrast", PXL_CONTRAST, PXL_PENALTY_DEFAULT, WINDOWED},
    {"structure", PXL_STRUCTURE, PXL_PENALTY_DEFAULT, WINDOWED},
    {"features", PXL_FEATURES, PXL_L2, MAP | FEATURES | BIT(NORMALIZE) | BIT(UNIT)},
    {"lpips", PXL_LPIPS, PXL_L2, FEATURES | BIT(REDUCTION)},
    {"style", PXL_STYLE, PXL_L2, MAP | FEATURES | BIT(NORMALIZE)},
    {"cosine", PXL_COSINE, PXL_L2, FEATURES | BIT(NORMALIZE) | BIT(REDUCTION)},
    {"ms_ssim", PXL_MS_SSIM, PXL_PENALTY_DEFAULT,
     (WINDOWED & ~BIT(DOWNSAMPLE)) | BIT(SCALES) | BIT(WEIGHTS) | BIT(CLAMP) | BIT(PARAM)},
    {"enl", PXL_ENL, PXL_PENALTY_DEFAULT, 0},
};
const int pxli_kind_count = sizeof pxli_kinds / sizeof *pxli_kinds;

const pxli_penalty_info pxli_penalties[PXLI_PENALTY_COUNT] = {
    [PXL_L2] = {"l2", "mse", NULL, 1}, /* pxli_l2's lift */
    [PXL_L1] = {"l1", "l1", NULL, 0},
    [PXL_HUBER] = {"huber", "huber", "delta", 1},
    [PXL_SMOOTH_L1] = {"smooth_l1", "smooth_l1", "beta", 1},
    [PXL_CHARBONNIER] = {"charbonnier", "charbonnier", "eps", 1e-3},
    [PXL_PSEUDO_HUBER] = {"pseudo_huber", "pseudo_huber", "delta", 1},
    [PXL_LOG_COSH] = {"log_cosh", "log_cosh", NULL, 0},
};

static const char *const reduction_words[] = {"mean", "sum", "spatial"};
static const char *const penalty_words[PXLI_PENALTY_COUNT] = {NULL,        "l2",          "l1",           "huber",
                                                              "smooth_l1", "charbonnier", "pseudo_huber", "log_cosh"};
static const char *const clamp_words[] = {NULL, "eps", "relu", "simple", "none"};
static const char *const normalize_words[] = {NULL, "none", "imagenet", "lpips"};
static const char *const precision_words[] = {NULL, "f32", "tf32", "f16", "bf16"};
static const char *const border_words[] = {NULL, "valid", "zero", "reflect", "replicate", "symmetric"};

#define AT(member) offsetof(pxl_term, member)
#define INTEGER(member) \
    { #member, PXLI_INTEGER, AT(member), NULL, 0, NULL, false, false, NULL, 0 }
#define FLAG(member) \
    { #member, PXLI_FLAG, AT(member), NULL, 0, NULL, false, false, NULL, 0 }
#define NUMBER(member, may_be_0) \
    { #member, PXLI_NUMBER, AT(member), NULL, 0, NULL, may_be_0, false, NULL, 0 }
#define TEXT(member) \
    { #member, PXLI_TEXT, AT(member), NULL, 0, NULL, false, false, NULL, 0 }
#define AUTOMATIC(member, type) \
    { #member, type, AT(member), NULL, 0, NULL, false, true, NULL, 0 }
#define OF_EACH_AXIS(member, type) \
    { #member, type, AT(member), NULL, 0, NULL, false, false, #member "_x", AT(member##_x) }
#define WORD(member, words) \
    { #member, PXLI_WORD, AT(member), words, sizeof words / sizeof *words, "pxl_" #member, false, false, NULL, 0 }

const pxli_field_info pxli_fields[PXLI_FIELDS] = {
    [PXLI_F_PRESET] = TEXT(preset),
    [PXLI_F_NET] = TEXT(net),
    [PXLI_F_LAYERS] = TEXT(layers),
    [PXLI_F_SCALES] = AUTOMATIC(scales, PXLI_INTEGER),
    [PXLI_F_WEIGHTS] = TEXT(weights),
    [PXLI_F_CLAMP] = WORD(clamp, clamp_words),
    [PXLI_F_PENALTY] = WORD(penalty, penalty_words),
    [PXLI_F_PARAM] = NUMBER(penalty_param, false),
    [PXLI_F_UNIT] = FLAG(unit),
    [PXLI_F_NORMALIZE] = WORD(normalize, normalize_words),
    [PXLI_F_PRECISION] = WORD(precision, precision_words),
    [PXLI_F_ISOTROPIC] = FLAG(isotropic),
    [PXLI_F_OWN_COUNTS] = FLAG(own_counts),
    [PXLI_F_ROOT] = FLAG(root),
    [PXLI_F_NEIGHBOURS] = INTEGER(neighbours),
    [PXLI_F_MEAN_OF_IMAGES] = FLAG(mean_of_images),
    [PXLI_F_BORDER] = WORD(border, border_words),
    [PXLI_F_WINDOW] = OF_EACH_AXIS(window, PXLI_INTEGER),
    [PXLI_F_SIGMA] = OF_EACH_AXIS(sigma, PXLI_NUMBER),
    [PXLI_F_UNIFORM] = FLAG(uniform),
    [PXLI_F_K1] = NUMBER(k1, true),
    [PXLI_F_K2] = NUMBER(k2, true),
    [PXLI_F_DATA_RANGE] = AUTOMATIC(data_range, PXLI_NUMBER),
    [PXLI_F_SAMPLE_COVARIANCE] = FLAG(sample_covariance),
    [PXLI_F_DOWNSAMPLE] = AUTOMATIC(downsample, PXLI_INTEGER),
    [PXLI_F_ALPHA] = NUMBER(alpha, true),
    [PXLI_F_BETA] = NUMBER(beta, true),
    [PXLI_F_GAMMA] = NUMBER(gamma, true),
    [PXLI_F_REDUCTION] = WORD(reduction, reduction_words),
};

// The enums are read and written as ints.
_Static_assert(sizeof(pxl_normalize) == sizeof(int) && sizeof(pxl_precision) == sizeof(int) &&
                   sizeof(pxl_penalty) == sizeof(int) && sizeof(pxl_border) == sizeof(int) &&
                   sizeof(pxl_reduction) == sizeof(int) && sizeof(pxl_clamp) == sizeof(int),
               "an enum is not an int wide");

const pxli_kind_info *pxli_find_kind(pxl_term_kind kind) {
    for (int i = 0; i < pxli_kind_count; i++)
        if (pxli_kinds[i].kind == kind) return &pxli_kinds[i];
    return NULL;
}

const char *pxli_param_name(pxl_term_kind kind, pxl_penalty penalty) {
    return kind == PXL_PSNR || kind == PXL_MS_SSIM ? "eps" : pxli_penalties[penalty].param;
}

pxl_penalty pxli_effective_penalty(const pxl_term *term, const pxli_kind_info *kind) {
    if (term->penalty != PXL_PENALTY_DEFAULT) return term->penalty;
    if (term->root) return PXL_L2;
    return term->isotropic ? PXL_CHARBONNIER : kind->penalty;
}

int pxli_gaussian_taps(double sigma) {
    const double far_above = 1e6; // where the conversion to int is still exact
    return pxli_window_size(sigma < far_above ? sigma : far_above);
}

static size_t field_bytes(pxli_field field) {
    switch (pxli_fields[field].type) {
        case PXLI_TEXT: return sizeof(const char *);
        case PXLI_NUMBER: return sizeof(double);
        default: return sizeof(int);
    }
}

int pxli_get_int(const pxl_term *term, pxli_field field) {
    int value;
    memcpy(&value, (const char *)term + pxli_fields[field].offset, sizeof value);
    return value;
}

const char *pxli_get_text(const pxl_term *term, pxli_field field) {
    const char *text;
    memcpy(&text, (const char *)term + pxli_fields[field].offset, sizeof text);
    return text;
}

void pxli_set_int(pxl_term *term, pxli_field field, int value) {
    memcpy((char *)term + pxli_fields[field].offset, &value, sizeof value);
}

double pxli_get_value(const pxl_term *term, pxli_field field, pxli_which which) {
    const pxli_field_info *info = &pxli_fields[field];
    if (which == PXLI_SECOND && !info->name_x) return 0;
    const char *from = (const char *)term + (which == PXLI_FIRST ? info->offset : info->offset_x);
    int whole;
    double number;
    memcpy(&whole, from, sizeof whole);
    if (info->type == PXLI_INTEGER) return whole;
    memcpy(&number, from, sizeof number);
    return number;
}

void pxli_set_value(pxl_term *term, pxli_field field, pxli_which which, double value) {
    const pxli_field_info *info = &pxli_fields[field];
    char *to = (char *)term + (which == PXLI_FIRST ? info->offset : info->offset_x);
    const int whole = info->type == PXLI_INTEGER ? (int)value : 0;
    if (info->type == PXLI_INTEGER)
        memcpy(to, &whole, sizeof whole);
    else
        memcpy(to, &value, sizeof value);
}

bool pxli_field_is_zero(const pxl_term *term, pxli_field field) {
    if (pxli_get_value(term, field, PXLI_SECOND) != 0) return false;
    switch (pxli_fields[field].type) {
        case PXLI_TEXT: return !pxli_get_text(term, field);
        case PXLI_NUMBER: return pxli_get_value(term, field, PXLI_FIRST) == 0;
        default: return pxli_get_int(term, field) == 0;
    }
}

void pxli_clear_field(pxl_term *term, pxli_field field) {
    memset((char *)term + pxli_fields[field].offset, 0, field_bytes(field));
    if (pxli_fields[field].name_x) memset((char *)term + pxli_fields[field].offset_x, 0, field_bytes(field));
}
