/* The one list of what a term can be: kinds, the fields that each uses, penalties, presets. Resolving, naming and parsing all
 * read it, so a new kind or field is a line in a table here. Below it, what these three share. */
#ifndef PXLI_TERMS_H
#define PXLI_TERMS_H
#include "loss.h"

/* The fields of pxl_term but for struct_size, kind and weight, in the order in which a name states them. */
typedef enum pxli_field {
    PXLI_F_PRESET,
    PXLI_F_NET,
    PXLI_F_LAYERS,
    PXLI_F_SCALES,
    PXLI_F_WEIGHTS,
    PXLI_F_CLAMP,
    PXLI_F_PENALTY,
    PXLI_F_PARAM,
    PXLI_F_UNIT,
    PXLI_F_NORMALIZE,
    PXLI_F_PRECISION,
    PXLI_F_ISOTROPIC,
    PXLI_F_OWN_COUNTS,
    PXLI_F_ROOT,
    PXLI_F_NEIGHBOURS,
    PXLI_F_MEAN_OF_IMAGES,
    PXLI_F_BORDER,
    PXLI_F_WINDOW,
    PXLI_F_SIGMA,
    PXLI_F_UNIFORM,
    PXLI_F_K1,
    PXLI_F_K2,
    PXLI_F_DATA_RANGE,
    PXLI_F_SAMPLE_COVARIANCE,
    PXLI_F_DOWNSAMPLE,
    PXLI_F_ALPHA,
    PXLI_F_BETA,
    PXLI_F_GAMMA,
    PXLI_F_REDUCTION,
    PXLI_FIELDS
} pxli_field;

typedef enum pxli_field_type {
    PXLI_TEXT,    /* const char * */
    PXLI_WORD,    /* an enum whose values 0, 1, ... are spelt `words` */
    PXLI_FLAG,    /* int, 0 or 1 */
    PXLI_INTEGER, /* int */
    PXLI_NUMBER   /* double, finite, > 0; 0 for the default */
} pxli_field_type;

typedef struct pxli_field_info {
    const char *name; /* of the member and in an expression; penalty_param is spelt as its penalty says */
    pxli_field_type type;
    size_t offset;
    const char *const *words; /* NULL where a value cannot be written (a default) */
    int word_count;
    const char *enumeration; /* PXLI_WORD: the type's name, "pxl_border" */
    bool exact_zero;         /* 0 in an expression is PXL_EXACT_ZERO, not the default */
    bool automatic;          /* -1 is allowed, and spelt auto */
    const char *name_x;      /* where each axis may have its own value, a:b in an expression, the member that holds the second, 0
                                if it is the first one, too; else NULL */
    size_t offset_x;
} pxli_field_info;
extern const pxli_field_info pxli_fields[PXLI_FIELDS];

typedef struct pxli_kind_info {
    const char *name;
    pxl_term_kind kind;
    pxl_penalty penalty; /* the default; PXL_PENALTY_DEFAULT where there is none */
    uint32_t fields;     /* bit 1 << pxli_field for each that it uses; 0: not in this version */
} pxli_kind_info;
extern const pxli_kind_info pxli_kinds[];
extern const int pxli_kind_count;
const pxli_kind_info *pxli_find_kind(pxl_term_kind kind); /* NULL for a number that is none */

typedef struct pxli_penalty_info {
    const char *name;      /* as an argument */
    const char *term_name; /* of the pixel map with this penalty */
    const char *param;     /* what penalty_param is called; NULL: it has none */
    double param_default;
} pxli_penalty_info;
enum { PXLI_PENALTY_COUNT = 8 }; /* PXL_PENALTY_DEFAULT is a line of NULLs */
extern const pxli_penalty_info pxli_penalties[PXLI_PENALTY_COUNT];
/* What penalty_param is called in a term of this kind and penalty; NULL: it has none. */
const char *pxli_param_name(pxl_term_kind kind, pxl_penalty penalty);
/* The values that a field of this kind takes when it is given, both ends included; step 0: every number between. */
typedef struct pxli_range {
    double low, high, step;
} pxli_range;
pxli_range pxli_field_range(pxl_term_kind kind, pxli_field field);
/* The penalty of a public term, with the default filled in. */
pxl_penalty pxli_effective_penalty(const pxl_term *term, const pxli_kind_info *kind);

typedef struct pxli_preset {
    const char *name;
    pxl_border border;
    int taps;
    double sigma;
    bool uniform;         /* unless a sigma is given */
    bool taps_from_sigma; /* where the window is Gaussian */
    bool sample_covariance, skip_short_axis, symmetric_decimation;
    int downsample;
    double data_range; /* as in pxli_window */
    bool has_scales;   /* ms_ssim knows it */
    pxli_halving halving;
    bool mean_of_channels, crop, own_ranges; /* as in pxli_scales */
    bool divides_weights;                    /* given ones by their sum */
} pxli_preset;
extern const pxli_preset pxli_presets[];
extern const int pxli_preset_count;
const pxli_preset *pxli_find_preset(const char *name, size_t length); /* NULL if there is none */

/* Taps of a Gaussian cut at 3.5 sigma, 2 int(3.5 sigma + 0.5) + 1; saturates far above every limit. */
int pxli_gaussian_taps(double sigma);

/* Where a term stands, for messages: in an array ("terms[2]"), or with `columns` in an expression. columns[f] is where field f
 * was given (0: nowhere), columns[PXLI_FIELDS] where the term's name is. */
typedef struct pxli_place {
    const char *term;
    const int *columns;
    const pxl_context *context; /* whose networks it may name; NULL: none */
    const pxli_term *before;    /* the terms before it, which may have its random network already */
    int before_count;
} pxli_place;
/* A failure of the term itself (field_name NULL), or of one field. In an expression the message starts with the column of what is
 * wrong. */
pxl_status pxli_fail_at(const pxli_place *place, const char *field_name, int field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define PXLI_FAIL_FIELD(place, field, ...) pxli_fail_at(place, pxli_fields[field].name, field, __VA_ARGS__)
/* Checks one public term and fills in every default. The network of to->features is retained. */
pxl_status pxli_term_resolve_at(const pxl_term *from, const pxli_place *place, pxli_term *to);
/* resolve_features.c: finds the network of a term, and gives it in term->network and term->net; a reference to it in *own, which is
 * NULL for terms without. */
pxl_status pxli_find_network(const pxli_place *place, pxl_term *term, pxl_network **own);
/* Layers, normalisation and size of a term whose network has been found. */
pxl_status pxli_check_features(const pxli_place *place, const pxl_term *term);
/* Of a term that was checked. */
void pxli_fill_features(const pxl_term *from, pxli_features *to);
/* resolve_scales.c: the weights and the clamp of ms_ssim. */
pxl_status pxli_check_scales(const pxli_place *place, const pxl_term *term);
/* Of a term that was checked. */
void pxli_fill_scales(const pxl_term *from, pxli_scales *to);
/* Only fills in the defaults of a valid term; to->name is not written. */
void pxli_term_fill(const pxl_term *from, pxli_term *to);
/* to->name of a valid term `from` that was filled into `to`. */
void pxli_term_write_name(const pxl_term *from, pxli_term *to);

/* Access to a field of a public term by its number. */
int pxli_get_int(const pxl_term *term, pxli_field field);          /* PXLI_WORD, PXLI_FLAG, PXLI_INTEGER */
const char *pxli_get_text(const pxl_term *term, pxli_field field); /* PXLI_TEXT */
void pxli_set_int(pxl_term *term, pxli_field field, int value);
/* PXLI_INTEGER, PXLI_NUMBER: the first value of a field, or its second. */
typedef enum pxli_which { PXLI_FIRST, PXLI_SECOND } pxli_which;
double pxli_get_value(const pxl_term *term, pxli_field field, pxli_which which);
void pxli_set_value(pxl_term *term, pxli_field field, pxli_which which, double value);
/* Both values of a field that may have two. */
bool pxli_field_is_zero(const pxl_term *term, pxli_field field);
void pxli_clear_field(pxl_term *term, pxli_field field);

/* Memory for `count` terms, in *loss. */
pxl_status pxli_loss_allocate(size_t count, pxl_loss **loss);
/* Lets go of the networks of `count` terms. */
void pxli_terms_release(const pxli_term *terms, size_t count);

/* Numbers with a point whatever the locale. Parsing takes exactly `length` characters [digits][.digits][e[+-]digits]; NaN if
 * there was no memory for a locale. Formatting writes the fewest digits that read back as `value`. */
/* The characters of digits [. digits] [e [sign] digits] or . digits at the head of a text; 0 if there is no number. */
size_t pxli_number_length(const char *text);
double pxli_parse_number(const char *text, size_t length);
enum { PXLI_NUMBER_LENGTH = 32, PXLI_MAX_DIGITS = 63 };
void pxli_format_number(double value, char text[PXLI_NUMBER_LENGTH]);

/* What an unknown word was to be, for suggest.c's tables of other libraries' names. */
typedef enum pxli_topic {
    PXLI_TOPIC_TERM,
    PXLI_TOPIC_ARGUMENT,
    PXLI_TOPIC_PRESET,
    PXLI_TOPIC_REDUCTION,
    PXLI_TOPIC_BORDER,
    PXLI_TOPIC_PRECISION,
    PXLI_TOPIC_NETWORK,
    PXLI_TOPIC_LAYER,
    PXLI_TOPIC_OTHER,
    PXLI_TOPICS
} pxli_topic;
enum { PXLI_SUGGESTION_LENGTH = 256 };
/* "; did you mean 'ssim'?": the one of `names` that has the same letters whatever their case and whatever separates them, or that
 * other libraries call so; else, spelt nearest, the first of equals, if a few edits lead to it. Empty if there is none. */
void pxli_suggest(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                  char text[PXLI_SUGGESTION_LENGTH]);
/* The same, or "; there are mean, sum, spatial". */
void pxli_suggest_or_list(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                          char text[PXLI_SUGGESTION_LENGTH]);
/* Only if the word is known, not for one that is near a name. Whether it is known; the text may be empty even so. */
bool pxli_suggest_known(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                        char text[PXLI_SUGGESTION_LENGTH]);
void pxli_suggest_preset(const char *word, size_t length, char text[PXLI_SUGGESTION_LENGTH]);
/* Whether they are the same but for the case of letters and for separators, _ - . and spaces. */
bool pxli_same_letters(const char *word, size_t length, const char *name);
/* "mean, sum, spatial": whole names, and ", ..." for those that have no room. */
void pxli_list(const char *const *names, int count, char *text, size_t size);
#endif
