/* The scales of an ms_ssim term: their weights, and what becomes of factors that are not above 0. */
#include <math.h>
#include <string.h>

#include "terms.h"

/* Wang, Simoncelli, Bovik (2003), table 1 */
static const double standard_weights[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
enum { STANDARD_SCALES = sizeof standard_weights / sizeof *standard_weights };
static const double default_eps = 1e-4, largest_weight = 100; /* as exponents */

/* The weights in "0.2:0.5:0.3"; how many, or 0 if that is no list of weights. */
static int read_weights(const char *text, double weight[PXLI_MAX_SCALES]) {
    for (int count = 0; count < PXLI_MAX_SCALES;) {
        const size_t length = pxli_number_length(text);
        if (!length || length > PXLI_MAX_DIGITS) return 0;
        weight[count] = pxli_parse_number(text, length);
        if (!(weight[count++] <= largest_weight)) return 0;
        text += length;
        if (!*text) return count;
        if (*text++ != ':') return 0;
    }
    return 0;
}
static int weights_of(const pxl_term *term, double weight[PXLI_MAX_SCALES]) {
    if (term->weights) return read_weights(term->weights, weight);
    memcpy(weight, standard_weights, sizeof standard_weights);
    return STANDARD_SCALES;
}
static double sum_of(const double *weight, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += weight[i];
    return sum;
}
static const pxli_preset *preset_of(const pxl_term *term) {
    return term->preset ? pxli_find_preset(term->preset, strlen(term->preset)) : NULL;
}

static pxl_status check_clamp(const pxli_place *place, const pxl_term *term) {
    const bool floors = term->clamp == PXL_CLAMP_DEFAULT || term->clamp == PXL_CLAMP_EPS;
    if (term->penalty_param != 0 && !floors)
        return pxli_fail_at(place, "eps", PXLI_F_PARAM, "is %g, but with this clamp there is none", term->penalty_param);
    if (term->penalty_param >= 1)
        return pxli_fail_at(place, "eps", PXLI_F_PARAM, "is %g; a number below 1 is needed", term->penalty_param);
    return PXL_OK;
}
pxl_status pxli_check_scales(const pxli_place *place, const pxl_term *term) {
    double weight[PXLI_MAX_SCALES];
    const int count = weights_of(term, weight);
    if (term->preset && !preset_of(term)->has_scales)
        return PXLI_FAIL_FIELD(place, PXLI_F_PRESET,
                               "is \"%s\", which has no MS-SSIM of halved images; wang, vainf, tf, torchmetrics and piq have",
                               term->preset);
    if (!count)
        return PXLI_FAIL_FIELD(place, PXLI_F_WEIGHTS, "is \"%.40s\"; 1 to %d numbers from 0 to %g are needed, as in 0.2:0.5:0.3",
                               term->weights, PXLI_MAX_SCALES, largest_weight);
    if (term->weights && strlen(term->weights) > PXLI_MAX_WEIGHTS_TEXT)
        return PXLI_FAIL_FIELD(place, PXLI_F_WEIGHTS, "has %zu characters; at most %d are read", strlen(term->weights),
                               PXLI_MAX_WEIGHTS_TEXT);
    if (term->scales == PXL_SCALES_AUTO && weight[0] == 0)
        return PXLI_FAIL_FIELD(place, PXLI_F_WEIGHTS, "is \"%.40s\"; with scales = auto the first has to be above 0",
                               term->weights);
    if (term->scales > count)
        return PXLI_FAIL_FIELD(place, PXLI_F_SCALES, "is %d, but there are %d weights: `weights` gives one for each scale",
                               term->scales, count);
    if (!(sum_of(weight, term->scales > 0 ? term->scales : count) > 0))
        return PXLI_FAIL_FIELD(place, PXLI_F_WEIGHTS, "is \"%.40s\"; their sum has to be above 0", term->weights);
    return check_clamp(place, term);
}

void pxli_fill_scales(const pxl_term *from, pxli_scales *to) {
    const pxli_preset *preset = preset_of(from);
    const int all = weights_of(from, to->weight);
    to->count = from->scales > 0 ? from->scales : all;
    to->automatic = from->scales == PXL_SCALES_AUTO;
    if (to->count < all || (preset && preset->divides_weights && from->weights)) {
        const double sum = sum_of(to->weight, to->count);
        for (int i = 0; i < to->count; i++) to->weight[i] /= sum;
    }
    for (int i = to->count; i < PXLI_MAX_SCALES; i++) to->weight[i] = 0;
    to->clamp = from->clamp ? from->clamp : preset && from->penalty_param == 0 ? PXL_CLAMP_RELU : PXL_CLAMP_EPS;
    to->eps = to->clamp != PXL_CLAMP_EPS ? 0 : from->penalty_param > 0 ? from->penalty_param : default_eps;
    if (!preset) return; /* PXLI_HALVE_REPEAT, and none of the rest */
    to->halving = preset->halving, to->mean_of_channels = preset->mean_of_channels;
    to->crop = preset->crop, to->own_ranges = preset->own_ranges;
}
