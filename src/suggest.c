/* What an unknown word was meant for. Three steps, the first that finds something counts:
 *   1. a name with the same letters, whatever their case and what separates them (FusedSSIM, fused_ssim)
 *   2. what other libraries call the same thing (kernel_size, pytorch_msssim): the tables below, the only place for such names
 *   3. the name that is spelt nearest, if few edits lead to it; a wrong proposal misleads more than none helps */
#include <stdio.h>
#include <string.h>

#include "terms.h"

/* ---- What others call it ------------------------------------------------------------------------------------------------ */
typedef struct synonym {
    const char *word; /* in small letters, without separators */
    const char *name; /* ours; NULL: we have none for it, and those that are spelt nearly so mean something else */
    const char *note; /* with a name: what goes beside it, "border=zero"; without one: what to say instead; or NULL */
} synonym;

static const synonym terms[] = {
    {"absolute", "l1", NULL},
    {"meanabsoluteerror", "l1", NULL},
    {"meansquarederror", "mse", NULL},
    {"squarederror", "mse", NULL},
    {"rms", "rmse", NULL},
    {"rootmeansquarederror", "rmse", NULL},
    {"peaksignalnoiseratio", "psnr", NULL},
    {"peaksignaltonoiseratio", "psnr", NULL},
    {"totalvariation", "tv", NULL},
    {"gaussian", "blur", NULL},
    {"gaussianblur", "blur", NULL},
    {"laplace", "laplacian", NULL},
    {"sobell1", "sobel", NULL}, // the columns of pixloss compare
    {"laplacianl1", "laplacian", NULL},
    {"structuralsimilarity", "ssim", NULL},
    {"structuralsimilarityindexmeasure", "ssim", NULL},
    {"structuraldissimilarity", "dssim", NULL},
    {"multiscalessim", "ms_ssim", NULL},
    {"multiscalestructuralsimilarity", "ms_ssim", NULL},
    {"content", "features", NULL},
    {"perceptual", "features", NULL},
    {"vgg", "features", NULL},
    {"gram", "style", NULL},
    {"cosinesimilarity", "cosine", NULL},
    {"cosinedistance", "cosine", NULL},
    // metrics that are spelt like ours
    {"fsim", NULL, NULL},
    {"srsim", NULL, NULL},
    {"gssim", NULL, NULL},
    {"iwssim", NULL, NULL},
    {"cwssim", NULL, NULL},
    {"snr", NULL, NULL},
    {"vsnr", NULL, NULL},
    {"wsnr", NULL, NULL},
    {"psnrb", NULL, NULL},
    {"nmse", NULL, NULL},
    {"wmse", NULL, NULL},
    {"nrmse", NULL, NULL},
    {"msle", NULL, NULL},
    {"rmsle", NULL, NULL},
    {"mase", NULL, NULL},
    {"rase", NULL, NULL},
    {"mape", NULL, NULL},
    {"elpips", NULL, NULL},
    {"contrastive", NULL, NULL},
};
#define PER_IMAGE "per_image in pxl_args gives a value for each image"
static const synonym arguments[] = {
    {"kernelsize", "window", NULL},
    {"windowsize", "window", NULL},
    {"winsize", "window", NULL},
    {"filtersize", "window", NULL},
    {"ksize", "window", NULL},
    {"kernel", "window", NULL},
    {"size", "window", NULL},
    {"win", "window", NULL},
    {"taps", "window", NULL},
    {"kernelsigma", "sigma", NULL},
    {"gaussiansigma", "sigma", NULL},
    {"windowsigma", "sigma", NULL},
    {"winsigma", "sigma", NULL},
    {"filtersigma", "sigma", NULL},
    {"gaussianweights", "sigma", NULL},
    {"std", "sigma", NULL},
    {"maxval", "data_range", NULL},
    {"maxvalue", "data_range", NULL},
    {"l", "data_range", NULL},
    {"drange", "data_range", NULL},
    {"dynamicrange", "data_range", NULL},
    {"valrange", "data_range", NULL},
    {"valuerange", "data_range", NULL},
    {"pixelrange", "data_range", NULL},
    {"range", "data_range", NULL},
    {"peak", "data_range", NULL},
    {"pad", "border", NULL},
    {"paddingmode", "border", NULL},
    {"bordermode", "border", NULL},
    {"boundary", "border", NULL},
    {"mode", "border", NULL},
    {"usesamplecovariance", "sample_covariance", NULL},
    {"unbiased", "sample_covariance", NULL},
    {"reduce", "reduction", NULL},
    {"sizeaverage", "reduction", NULL},
    {"epsilon", "eps", NULL},
    {"threshold", "delta", NULL},
    {"mae", "l1", NULL},
    {"mse", "l2", NULL},
    {"sqrt", "root", NULL},
    {"squareroot", "root", NULL},
    {"normtype", NULL, "a penalty is a word alone, l1 or l2; piq's l2 of tv is root, reduction=sum, mean_of_images"},
    {"reduction", NULL, PER_IMAGE},
    {"perimage", NULL, PER_IMAGE},
    {"betas", "weights", NULL},
    {"scaleweights", "weights", NULL},
    {"powerfactors", "weights", NULL},
    {"levels", "scales", NULL},
    {"normalize", "clamp", NULL},
    {"normalise", "clamp", NULL},
    {"network", "net", NULL},
    {"nettype", "net", NULL},
    {"model", "net", NULL},
    {"backbone", "net", NULL},
};
static const synonym presets[] = {
    {"pytorchmsssim", "vainf", NULL},
    {"scikitimage", "skimage", NULL},
    {"structuralsimilarity", "skimage", NULL},
    {"tensorflow", "tf", NULL},
    {"tfimage", "tf", NULL},
    {"tfimagessim", "tf", NULL},
    {"fused", "fused-ssim", NULL},
    {"gaussiansplatting", "seed", NULL},
    {"3dgs", "seed", NULL},
    {"graphdeco", "seed", NULL},
    {"inria", "seed", NULL},
    {"pytorchssim", "seed", NULL},
    {"libvmaf", "vmaf", NULL},
    {"netflix", "vmaf", NULL},
    {"ssimindex", "wang", NULL},
    {"paper", "wang", NULL},
    {"default", "wang", NULL},
    {"matlab", "wang", "border=replicate"},
    {"opencv", "wang", "border=reflect"},
    {"cv2", "wang", "border=reflect"},
    {"piqa", NULL, NULL},
};
static const synonym reductions[] = {
    {"average", "mean", NULL},     {"avg", "mean", NULL},      {"total", "sum", NULL},        {"none", NULL, PER_IMAGE},
    {"perimage", NULL, PER_IMAGE}, {"image", NULL, PER_IMAGE}, {"instance", NULL, PER_IMAGE},
};
#define MIRRORS "reflect is dcb|abcd|cba, symmetric (SciPy's reflect) cba|abcd|dcb"
static const synonym borders[] = {
    {"none", "valid", NULL},           {"same", "zero", NULL},
    {"constant", "zero", NULL},        {"gridconstant", "zero", NULL},
    {"edge", "replicate", NULL},       {"nearest", "replicate", NULL},
    {"clamp", "replicate", NULL},      {"reflect101", "reflect", NULL},
    {"wholesample", "reflect", NULL},  {"wholesamplesymmetric", "reflect", NULL},
    {"halfsample", "symmetric", NULL}, {"halfsamplesymmetric", "symmetric", NULL},
    {"gridmirror", "symmetric", NULL}, {"mirror", NULL, MIRRORS}, // SciPy's is reflect, that of textures symmetric
    {"mirrored", NULL, MIRRORS},       {"mirroredrepeat", "symmetric", NULL},
};
static const synonym precisions[] = {
    {"float", "f32", NULL},   {"float32", "f32", NULL}, {"fp32", "f32", NULL},      {"half", "f16", NULL},
    {"float16", "f16", NULL}, {"fp16", "f16", NULL},    {"bfloat16", "bf16", NULL},
};
static const synonym networks[] = {{"random", "vgg16-random", NULL}, {"vgg", "vgg16", NULL}};

#define TABLE(list) \
    { list, sizeof list / sizeof *list }
static const struct {
    const synonym *list;
    size_t count;
} tables[PXLI_TOPICS] = {
    [PXLI_TOPIC_TERM] = TABLE(terms),       [PXLI_TOPIC_ARGUMENT] = TABLE(arguments),
    [PXLI_TOPIC_PRESET] = TABLE(presets),   [PXLI_TOPIC_REDUCTION] = TABLE(reductions),
    [PXLI_TOPIC_BORDER] = TABLE(borders),   [PXLI_TOPIC_PRECISION] = TABLE(precisions),
    [PXLI_TOPIC_NETWORK] = TABLE(networks),
};

/* ---- The same letters ---------------------------------------------------------------------------------------------------- */
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }
static bool is_separator(char c) { return c == '_' || c == '-' || c == '.' || c == ' '; }

bool pxli_same_letters(const char *word, size_t length, const char *name) {
    for (size_t i = 0;; i++, name++) {
        while (i < length && is_separator(word[i])) i++;
        while (is_separator(*name)) name++;
        if (i == length || !*name) return i == length && !*name;
        if (lower(word[i]) != lower(*name)) return false;
    }
}

/* L1Loss and mse_loss are l1 and mse. */
static size_t without_loss(const char *word, size_t length) {
    enum { LOSS = 4 };
    return length > LOSS && pxli_same_letters(word + length - LOSS, LOSS, "loss") ? length - LOSS : length;
}

static void propose(char text[PXLI_SUGGESTION_LENGTH], const char *name, const char *note) {
    snprintf(text, PXLI_SUGGESTION_LENGTH, "; did you mean '%s'%s%s?", name, note ? " with " : "", note ? note : "");
}

static const char *find_name(const char *word, size_t length, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (pxli_same_letters(word, length, names[i])) return names[i];
    return NULL;
}

static const synonym *find_synonym(pxli_topic topic, const char *word, size_t length) {
    for (size_t i = 0; i < tables[topic].count; i++)
        if (pxli_same_letters(word, length, tables[topic].list[i].word)) return &tables[topic].list[i];
    return NULL;
}

bool pxli_suggest_known(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                        char text[PXLI_SUGGESTION_LENGTH]) {
    text[0] = 0;
    if (topic == PXLI_TOPIC_TERM) length = without_loss(word, length);
    const char *name = find_name(word, length, names, count);
    const synonym *known = name ? NULL : find_synonym(topic, word, length);
    if (name) propose(text, name, NULL);
    if (!known) return name != NULL;
    if (known->name) {
        name = find_name(known->name, strlen(known->name), names, count);
        if (name) propose(text, name, known->note);
        return name != NULL; // not one of `names`: it may still be spelt like one of them
    }
    if (known->note) snprintf(text, PXLI_SUGGESTION_LENGTH, "; %s", known->note);
    return true;
}

/* ---- Near names ---------------------------------------------------------------------------------------------------------- */
static int least(int a, int b) { return a < b ? a : b; }

enum { LONGEST = 64 }; // no known name is longer
/* The distance of Damerau and Levenshtein by rows, in halves: a letter too few, too many or wrong is 2, two letters in each
 * other's place are 1. */
static int edit_distance(const char *word, size_t length, const char *name) {
    int rows[3][LONGEST + 1], *row = rows[0], *above = rows[1], *top = rows[2];
    for (size_t i = 0; i <= length; i++) row[i] = 2 * (int)i;
    for (int j = 1; name[j - 1]; j++) {
        int *next = top;
        top = above;
        above = row;
        row = next;
        row[0] = 2 * j;
        for (size_t i = 1; i <= length; i++) {
            const char a = lower(word[i - 1]), b = lower(name[j - 1]);
            row[i] = least(above[i - 1] + 2 * (a != b), least(above[i], row[i - 1]) + 2);
            if (i > 1 && j > 1 && a == lower(name[j - 2]) && lower(word[i - 2]) == b) row[i] = least(row[i], top[i - 2] + 1);
        }
    }
    return row[length];
}

/* The largest distance of two words that can be the same, by the length of the longer. With three letters or fewer too many words
 * are one edit apart. Names of layers are all alike, and any of them shows how the others are made. */
static int most_edits(pxli_topic topic, size_t longer) {
    if (topic == PXLI_TOPIC_LAYER) return 2 * (int)(longer / 2);
    return longer <= 3 ? 1 : longer <= 5 ? 2 : 2 * (int)(longer / 3);
}

static void suggest_near(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                         char text[PXLI_SUGGESTION_LENGTH]) {
    const char *nearest = NULL;
    int fewest = 0;
    for (int i = 0; i < count && length <= LONGEST; i++) {
        const size_t named = strlen(names[i]);
        const int distance = edit_distance(word, length, names[i]);
        if (distance > most_edits(topic, named > length ? named : length) || (nearest && distance >= fewest)) continue;
        fewest = distance;
        nearest = names[i];
    }
    if (nearest) propose(text, nearest, NULL);
}

void pxli_suggest(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                  char text[PXLI_SUGGESTION_LENGTH]) {
    if (!pxli_suggest_known(topic, word, length, names, count, text)) suggest_near(topic, word, length, names, count, text);
}

/* ---- Lists --------------------------------------------------------------------------------------------------------------- */
void pxli_list(const char *const *names, int count, char *text, size_t size) {
    static const char more[] = ", ...";
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < count; i++) {
        const size_t needed = strlen(names[i]) + (i ? 2 : 0);
        if (used + needed + sizeof more > size) {
            snprintf(text + used, size - used, "%s", i ? more : more + 2);
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
    }
}

void pxli_suggest_or_list(pxli_topic topic, const char *word, size_t length, const char *const *names, int count,
                          char text[PXLI_SUGGESTION_LENGTH]) {
    static const char begin[] = "; there are ";
    pxli_suggest(topic, word, length, names, count, text);
    if (*text) return;
    memcpy(text, begin, sizeof begin);
    pxli_list(names, count, text + sizeof begin - 1, PXLI_SUGGESTION_LENGTH - sizeof begin + 1);
}
