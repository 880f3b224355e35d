/** @file
 * What the library knows, for bindings and for programs that list it: enumerations by their words, the fields of each kind of term
 * with defaults and ranges, the layout of the public structs. A binding that reads these holds no list of its own, which would
 * fall behind. pixloss.h does not include this file.
 *
 *     for (size_t i = 0; (word = pxl_enum_word("pxl_term_kind", i, &kind)); i++)      // pixel, sobel, ...
 *         for (size_t f = 0; f < pxl_field_count(kind, PXL_PENALTY_DEFAULT); f++) {
 *             pxl_field_info field = PXL_FIELD_INFO();
 *             pxl_field_describe(kind, PXL_PENALTY_DEFAULT, f, &field);                // reduction, penalty, ...
 *         }
 *
 * All names and arrays are constants of the library and live as long as it is loaded. */
#ifndef PIXLOSS_INTROSPECT_H
#define PIXLOSS_INTROSPECT_H
#include "pixloss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup introspection Introspection
 * Enumerations, fields of terms, layout of structs.
 * @{ */
/** The word for a constant of an enumeration as expressions and messages spell it, and the constant's value: `index` 0, 1, ... counts
 * those that have a word. `enumeration` is the type's name: pxl_term_kind, pxl_penalty, pxl_reduction, pxl_normalize, pxl_precision,
 * pxl_clamp, pxl_border, pxl_dtype, pxl_device_type, pxl_filter_kind, pxl_reduce_kind or pxl_reduce_over. A default has no word; nor
 * has a kind of term that this version does not compute. NULL past the last, and for another enumeration; `*value` is then not
 * written. `value` may be NULL. */
PXL_API const char *pxl_enum_word(const char *enumeration, size_t index, int *value);

/** The type of a field in an expression, and of its member of pxl_term. */
typedef enum pxl_field_type {
    PXL_FIELD_TEXT = 0,    /**< const char *: a preset, names of layers, ... */
    PXL_FIELD_WORD = 1,    /**< an enumeration, by the words of pxl_enum_word() */
    PXL_FIELD_FLAG = 2,    /**< int, 0 or 1; in an expression the name alone */
    PXL_FIELD_INTEGER = 3, /**< int */
    PXL_FIELD_NUMBER = 4   /**< double */
} pxl_field_type;
/** One field of a kind of term; made by PXL_FIELD_INFO(). Ranges include both ends. */
typedef struct pxl_field_info {
    size_t struct_size;      /**< sizeof(pxl_field_info) */
    const char *name;        /**< in an expression; penalty_param is spelt delta, beta or eps there */
    const char *member;      /**< of pxl_term */
    size_t offset;           /**< of that member, in bytes */
    const char *member_x;    /**< where columns and rows may differ (window=11:5) the member of rows, of the same type, 0 if they
                                  do not; else NULL */
    size_t offset_x;         /**< of that member */
    pxl_field_type type;     /**< what it holds */
    const char *enumeration; /**< of a word: "pxl_border"; else NULL */
    double standard; /**< the default, of a word its value; NaN for a text, and where the images or another field decide */
    double low;      /**< least value. A number that must be above 0 has the least positive double */
    double high;     /**< largest value; infinity, or INT_MAX, where there is no bound */
    double step;     /**< values are low, low + step, ...; 0: every number between */
    int exact_zero;  /**< 1: 0 is written PXL_EXACT_ZERO in a pxl_term, where 0 stands for the default */
    int automatic;   /**< 1: -1 is allowed, "auto" in an expression */
} pxl_field_info;
#ifdef __cplusplus
static inline pxl_field_info PXL_FIELD_INFO() {
    pxl_field_info info = {};
    info.struct_size = sizeof info;
    return info;
}
#else
/** A pxl_field_info to be filled in. */
#define PXL_FIELD_INFO() ((pxl_field_info){.struct_size = sizeof(pxl_field_info)})
#endif
/** The number of fields of a kind of term under a penalty; PXL_PENALTY_DEFAULT: the kind's own. 0 for an unknown kind or penalty,
 * and for a kind that this version does not compute. */
PXL_API size_t pxl_field_count(pxl_term_kind kind, pxl_penalty penalty);
/** A field of a kind of term under a penalty, 0 to pxl_field_count() - 1, in the order in which the name of a term states them.
 * Defaults are those without a preset and with all other fields at theirs. Range and step hold for a value that is given;
 * PXL_INVALID_ARGUMENT past the last. */
PXL_API pxl_status pxl_field_describe(pxl_term_kind kind, pxl_penalty penalty, size_t index, pxl_field_info *info);
/** What the pixel map under this penalty is called as a term: "mse", "l1", "huber", ...; NULL for PXL_PENALTY_DEFAULT and for an
 * invalid value. */
PXL_API const char *pxl_penalty_term_name(pxl_penalty penalty);
/** 1 if a kind of term compares with the target, 0 if it is of pred alone, as tv is. */
PXL_API int pxl_kind_compares(pxl_term_kind kind);
/** 1 if a kind of term takes this preset of pxl_preset_name(), else 0. */
PXL_API int pxl_preset_fits(size_t index, pxl_term_kind kind);

/** The type of a struct's member. An enumeration is an int. */
typedef enum pxl_member_type {
    PXL_MEMBER_POINTER = 0, /**< to anything */
    PXL_MEMBER_INT = 1,     /**< int, or an enumeration */
    PXL_MEMBER_INT64 = 2,   /**< int64_t */
    PXL_MEMBER_SIZE = 3,    /**< size_t */
    PXL_MEMBER_DOUBLE = 4,  /**< double */
    PXL_MEMBER_DEVICE = 5   /**< pxl_device, a struct itself */
} pxl_member_type;
/** One member of a struct. Plain output, so that a binding can lay out this one by hand: pointer, int, size_t, size_t, size_t. */
typedef struct pxl_member_info {
    const char *name;     /**< "stride" */
    pxl_member_type type; /**< of one element */
    size_t count;         /**< elements; more than 1: an array */
    size_t offset;        /**< in bytes */
    size_t bytes;         /**< of all elements */
} pxl_member_info;
/** sizeof a public struct by its name: pxl_device, pxl_tensor, pxl_args, pxl_term, pxl_layer, pxl_filter, pxl_field_info. 0 for
 * another. */
PXL_API size_t pxl_struct_size(const char *name);
/** A member of such a struct, in the order of declaration. PXL_INVALID_ARGUMENT past the last, and for another struct. */
PXL_API pxl_status pxl_struct_member(const char *name, size_t index, pxl_member_info *info);
/** @} */

#ifdef __cplusplus
}
#endif
#endif
