/* What introspect.h tells of the library. Words, fields and presets come from the tables of terms.h; a default is read from a term that
 * was filled in, so that it cannot differ from what a loss computes with; members are laid out by the compiler. */
#include "pixloss/introspect.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "network/network.h"
#include "terms.h"
#include "view.h"

#define COUNT_OF(array) (sizeof array / sizeof *array)

/* ---- Enumerations ----------------------------------------------------------------------------------------------------- */

static const char *const device_words[] = {"cpu", "cuda"};
static const char *const filter_words[] = {"sobel", "laplacian", "blur", "box"};
static const char *const reduce_words[] = {"sum", "mean", "min", "max", "l1", "l2"};
static const char *const over_words[] = {"all", "image", "channel"};

static const struct {
    const char *enumeration;
    const char *const *words;
    int count;
} plain_enumerations[] = {
    {"pxl_device_type", device_words, COUNT_OF(device_words)},
    {"pxl_filter_kind", filter_words, COUNT_OF(filter_words)},
    {"pxl_reduce_kind", reduce_words, COUNT_OF(reduce_words)},
    {"pxl_reduce_over", over_words, COUNT_OF(over_words)},
};

static const char *word_at(const char *const *words, int count, size_t index, int *value) {
    for (int i = 0; i < count; i++) {
        if (!words[i] || index-- > 0) continue;
        if (value) *value = i;
        return words[i];
    }
    return NULL;
}

static const char *kind_at(size_t index, int *value) {
    for (int i = 0; i < pxli_kind_count; i++) {
        if (!pxli_kinds[i].fields || index-- > 0) continue;
        if (value) *value = (int)pxli_kinds[i].kind;
        return pxli_kinds[i].name;
    }
    return NULL;
}

static const char *dtype_at(size_t index, int *value) {
    if (index > PXL_U16) return NULL;
    if (value) *value = (int)index;
    return pxli_dtype_name((pxl_dtype)index);
}

const char *pxl_enum_word(const char *enumeration, size_t index, int *value) {
    if (!enumeration) return NULL;
    if (!strcmp(enumeration, "pxl_term_kind")) return kind_at(index, value);
    if (!strcmp(enumeration, "pxl_dtype")) return dtype_at(index, value);
    for (size_t i = 0; i < COUNT_OF(plain_enumerations); i++)
        if (!strcmp(enumeration, plain_enumerations[i].enumeration))
            return word_at(plain_enumerations[i].words, plain_enumerations[i].count, index, value);
    for (int f = 0; f < PXLI_FIELDS; f++)
        if (pxli_fields[f].enumeration && !strcmp(enumeration, pxli_fields[f].enumeration))
            return word_at(pxli_fields[f].words, pxli_fields[f].word_count, index, value);
    return NULL;
}

/* ---- Fields ----------------------------------------------------------------------------------------------------------- */

/* What a kind of term computes with by default. Its network has no layers. */
static pxli_term filled_term(pxl_term_kind kind, pxl_penalty penalty) {
    const pxl_network network = {.inputs = 3};
    pxl_term term = {.struct_size = sizeof term, .kind = kind, .weight = 1, .penalty = penalty};
    pxli_term filled;
    if (pxli_is_features(kind)) term.network = &network;
    pxli_term_fill(&term, &filled);
    filled.features.network = NULL;
    return filled;
}

static double default_of(const pxli_term *term, pxli_field field) {
    switch (field) {
        case PXLI_F_SCALES: return term->scales.count;
        case PXLI_F_CLAMP: return term->scales.clamp;
        case PXLI_F_PENALTY: return term->penalty;
        case PXLI_F_PARAM: return term->kind == PXL_MS_SSIM ? term->scales.eps : term->param;
        case PXLI_F_UNIT: return term->features.transform == PXLI_TRANSFORM_UNIT;
        case PXLI_F_NORMALIZE: return term->features.normalize;
        case PXLI_F_ISOTROPIC: return term->isotropic;
        case PXLI_F_OWN_COUNTS: return term->own_counts;
        case PXLI_F_ROOT: return term->root;
        case PXLI_F_NEIGHBOURS: return term->neighbours;
        case PXLI_F_MEAN_OF_IMAGES: return term->mean_of_images;
        case PXLI_F_BORDER: return term->window.border;
        case PXLI_F_WINDOW: return term->window.y.taps;
        case PXLI_F_SIGMA: return term->window.y.sigma;
        case PXLI_F_UNIFORM: return term->window.y.sigma == 0;
        case PXLI_F_K1: return term->window.k1;
        case PXLI_F_K2: return term->window.k2;
        case PXLI_F_SAMPLE_COVARIANCE: return term->window.sample_covariance;
        case PXLI_F_DOWNSAMPLE: return term->window.downsample;
        case PXLI_F_ALPHA: return term->alpha;
        case PXLI_F_BETA: return term->beta;
        case PXLI_F_GAMMA: return term->gamma;
        case PXLI_F_REDUCTION: return term->reduction;
        default: return NAN; // texts; the data range and the precision follow from the images
    }
}

/* The bits of the fields that a kind has under a penalty; *penalty becomes the kind's own if it is the default. */
static uint32_t fields_of(pxl_term_kind kind, pxl_penalty *penalty) {
    const pxli_kind_info *info = pxli_find_kind(kind);
    if (!info || (unsigned)*penalty >= PXLI_PENALTY_COUNT) return 0;
    const bool takes_penalty = info->fields >> PXLI_F_PENALTY & 1;
    if (*penalty != PXL_PENALTY_DEFAULT && !takes_penalty) return 0;
    uint32_t fields = info->fields;
    if (*penalty != PXL_PENALTY_DEFAULT && *penalty != PXL_L2) fields &= ~(1u << PXLI_F_ROOT); /* which makes l2 the default */
    if (*penalty == PXL_PENALTY_DEFAULT) *penalty = info->penalty;
    return pxli_param_name(kind, *penalty) ? fields : fields & ~(1u << PXLI_F_PARAM);
}

size_t pxl_field_count(pxl_term_kind kind, pxl_penalty penalty) {
    size_t count = 0;
    for (uint32_t fields = fields_of(kind, &penalty); fields; fields &= fields - 1) count++;
    return count;
}

static void describe(pxl_term_kind kind, pxl_penalty penalty, pxli_field field, pxl_field_info *info) {
    const pxli_field_info *from = &pxli_fields[field];
    const bool takes_penalty = pxli_find_kind(kind)->fields >> PXLI_F_PENALTY & 1;
    const pxli_term term = filled_term(kind, takes_penalty ? penalty : PXL_PENALTY_DEFAULT);
    const pxli_range range = pxli_field_range(kind, field);
    info->name = field == PXLI_F_PARAM ? pxli_param_name(kind, penalty) : from->name;
    info->member = from->name;
    info->offset = from->offset;
    info->member_x = from->name_x;
    info->offset_x = from->offset_x;
    info->type = (pxl_field_type)from->type;
    info->enumeration = from->enumeration;
    info->standard = default_of(&term, field);
    info->low = range.low;
    info->high = range.high;
    info->step = range.step;
    info->exact_zero = from->exact_zero;
    info->automatic = from->automatic;
}
_Static_assert((int)PXLI_TEXT == PXL_FIELD_TEXT && (int)PXLI_WORD == PXL_FIELD_WORD && (int)PXLI_FLAG == PXL_FIELD_FLAG &&
                   (int)PXLI_INTEGER == PXL_FIELD_INTEGER && (int)PXLI_NUMBER == PXL_FIELD_NUMBER,
               "pxl_field_type is not pxli_field_type");

pxl_status pxl_field_describe(pxl_term_kind kind, pxl_penalty penalty, size_t index, pxl_field_info *info) {
    if (!info) return pxli_fail(PXL_INVALID_ARGUMENT, "info is NULL; a place for the result is needed");
    if (info->struct_size != sizeof *info)
        return pxli_fail(PXL_INVALID_ARGUMENT,
                         "info.struct_size is %zu; it must be sizeof(pxl_field_info), %zu, which "
                         "PXL_FIELD_INFO sets",
                         info->struct_size, sizeof *info);
    const size_t count = pxl_field_count(kind, penalty);
    if (index >= count)
        return pxli_fail(PXL_INVALID_ARGUMENT, "index is %zu; kind %d under penalty %d has %zu fields", index, (int)kind,
                         (int)penalty, count);
    const uint32_t fields = fields_of(kind, &penalty);
    int field = 0;
    while (!(fields >> field & 1) || index-- > 0) field++;
    describe(kind, penalty, field, info);
    return PXL_OK;
}

const char *pxl_penalty_term_name(pxl_penalty penalty) {
    return (unsigned)penalty < PXLI_PENALTY_COUNT ? pxli_penalties[penalty].term_name : NULL;
}

int pxl_kind_compares(pxl_term_kind kind) { return pxli_find_kind(kind) && kind != PXL_TV; }

int pxl_preset_fits(size_t index, pxl_term_kind kind) {
    const pxli_kind_info *info = pxli_find_kind(kind);
    if (!info || index >= (size_t)pxli_preset_count || !(info->fields >> PXLI_F_PRESET & 1)) return 0;
    return kind != PXL_MS_SSIM || pxli_presets[index].has_scales;
}

/* ---- Structs ---------------------------------------------------------------------------------------------------------- */

#define TYPE_OF(expression)                  \
    _Generic((expression), int               \
             : PXL_MEMBER_INT, unsigned      \
             : PXL_MEMBER_INT, int64_t       \
             : PXL_MEMBER_INT64, size_t      \
             : PXL_MEMBER_SIZE, double       \
             : PXL_MEMBER_DOUBLE, pxl_device \
             : PXL_MEMBER_DEVICE, default    \
             : PXL_MEMBER_POINTER)
#define SIZE_OF(type, member) sizeof(((type *)0)->member)
#define MEMBER(type, member) \
    { #member, TYPE_OF(((type *)0)->member), 1, offsetof(type, member), SIZE_OF(type, member) }
#define ARRAY(type, member) \
    { #member, TYPE_OF(((type *)0)->member[0]), COUNT_OF(((type *)0)->member), offsetof(type, member), SIZE_OF(type, member) }

static const pxl_member_info device_members[] = {MEMBER(pxl_device, type), MEMBER(pxl_device, index)};
static const pxl_member_info tensor_members[] = {
    MEMBER(pxl_tensor, data), MEMBER(pxl_tensor, dtype), MEMBER(pxl_tensor, device),
    MEMBER(pxl_tensor, ndim), ARRAY(pxl_tensor, size),   ARRAY(pxl_tensor, stride),
};
static const pxl_member_info args_members[] = {
    MEMBER(pxl_args, struct_size), MEMBER(pxl_args, pred),        MEMBER(pxl_args, target),     MEMBER(pxl_args, weight),
    MEMBER(pxl_args, grad_pred),   MEMBER(pxl_args, grad_target), MEMBER(pxl_args, grad_loss),  MEMBER(pxl_args, term_weights),
    MEMBER(pxl_args, values),      MEMBER(pxl_args, per_image),   MEMBER(pxl_args, map),        MEMBER(pxl_args, statistics),
    MEMBER(pxl_args, target_use),  MEMBER(pxl_args, feature_map), MEMBER(pxl_args, accumulate), MEMBER(pxl_args, values_f32),
    MEMBER(pxl_args, pixel_map),
};
static const pxl_member_info term_members[] = {
    MEMBER(pxl_term, struct_size), MEMBER(pxl_term, kind),           MEMBER(pxl_term, weight),
    MEMBER(pxl_term, reduction),   MEMBER(pxl_term, penalty),        MEMBER(pxl_term, penalty_param),
    MEMBER(pxl_term, isotropic),   MEMBER(pxl_term, own_counts),     MEMBER(pxl_term, root),
    MEMBER(pxl_term, neighbours),  MEMBER(pxl_term, mean_of_images), MEMBER(pxl_term, border),
    MEMBER(pxl_term, window),      MEMBER(pxl_term, window_x),       MEMBER(pxl_term, sigma),
    MEMBER(pxl_term, sigma_x),     MEMBER(pxl_term, uniform),        MEMBER(pxl_term, k1),
    MEMBER(pxl_term, k2),          MEMBER(pxl_term, data_range),     MEMBER(pxl_term, sample_covariance),
    MEMBER(pxl_term, downsample),  MEMBER(pxl_term, alpha),          MEMBER(pxl_term, beta),
    MEMBER(pxl_term, gamma),       MEMBER(pxl_term, scales),         MEMBER(pxl_term, weights),
    MEMBER(pxl_term, clamp),       MEMBER(pxl_term, preset),         MEMBER(pxl_term, network),
    MEMBER(pxl_term, net),         MEMBER(pxl_term, layers),         MEMBER(pxl_term, normalize),
    MEMBER(pxl_term, unit),        MEMBER(pxl_term, precision),
};
static const pxl_member_info layer_members[] = {
    MEMBER(pxl_layer, struct_size), MEMBER(pxl_layer, kind),   MEMBER(pxl_layer, inputs), MEMBER(pxl_layer, outputs),
    MEMBER(pxl_layer, size),        MEMBER(pxl_layer, weight), MEMBER(pxl_layer, bias),   MEMBER(pxl_layer, linear),
};
static const pxl_member_info filter_members[] = {
    MEMBER(pxl_filter, struct_size), MEMBER(pxl_filter, kind),     MEMBER(pxl_filter, border), MEMBER(pxl_filter, neighbours),
    MEMBER(pxl_filter, window),      MEMBER(pxl_filter, window_x), MEMBER(pxl_filter, sigma),  MEMBER(pxl_filter, sigma_x),
};
static const pxl_member_info field_info_members[] = {
    MEMBER(pxl_field_info, struct_size), MEMBER(pxl_field_info, name),        MEMBER(pxl_field_info, member),
    MEMBER(pxl_field_info, offset),      MEMBER(pxl_field_info, member_x),    MEMBER(pxl_field_info, offset_x),
    MEMBER(pxl_field_info, type),        MEMBER(pxl_field_info, enumeration), MEMBER(pxl_field_info, standard),
    MEMBER(pxl_field_info, low),         MEMBER(pxl_field_info, high),        MEMBER(pxl_field_info, step),
    MEMBER(pxl_field_info, exact_zero),  MEMBER(pxl_field_info, automatic),
};

#define STRUCT(type, members) \
    { #type, sizeof(type), members, COUNT_OF(members) }
static const struct described {
    const char *name;
    size_t bytes;
    const pxl_member_info *members;
    size_t count;
} structs[] = {
    STRUCT(pxl_device, device_members),
    STRUCT(pxl_tensor, tensor_members),
    STRUCT(pxl_args, args_members),
    STRUCT(pxl_term, term_members),
    STRUCT(pxl_layer, layer_members),
    STRUCT(pxl_filter, filter_members),
    STRUCT(pxl_field_info, field_info_members),
};

static const struct described *find_struct(const char *name) {
    for (size_t i = 0; name && i < COUNT_OF(structs); i++)
        if (!strcmp(name, structs[i].name)) return &structs[i];
    return NULL;
}

size_t pxl_struct_size(const char *name) {
    const struct described *found = find_struct(name);
    return found ? found->bytes : 0;
}

pxl_status pxl_struct_member(const char *name, size_t index, pxl_member_info *info) {
    if (!info) return pxli_fail(PXL_INVALID_ARGUMENT, "info is NULL; a place for the result is needed");
    const struct described *found = find_struct(name);
    if (!found)
        return pxli_fail(PXL_INVALID_ARGUMENT, "name is \"%.40s\"; pxl_tensor, pxl_args, ... are known", name ? name : "");
    if (index >= found->count)
        return pxli_fail(PXL_INVALID_ARGUMENT, "index is %zu; %s has %zu members", index, name, found->count);
    *info = found->members[index];
    return PXL_OK;
}
