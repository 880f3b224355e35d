/* The presets: what each library's SSIM sets, as read in its source. include/pixloss/pixloss.h documents them for users. */
#include <string.h>

#include "terms.h"

#define AUTO PXL_DOWNSAMPLE_AUTO

const pxli_preset pxli_presets[] = {
    // name, border, taps, sigma, uniform, taps from sigma, sample covariance, skip short axis, symmetric decimation, downsample,
    // L, has MS-SSIM, how that halves odd sizes; mean of channels, crop, own ranges, divides weights
    {"wang", PXL_VALID, 11, 1.5, false, false, false, false, false, 1, 0, true, PXLI_HALVE_REPEAT, false, false, false, false},
    {"vainf", PXL_VALID, 11, 1.5, false, false, false, true, false, 1, 0, true, PXLI_HALVE_PAD, false, false, false, false},
    {"skimage", PXL_VALID, 7, 1.5, true, true, true, false, false, 1, 0, false, PXLI_HALVE_REPEAT, false, false, false, false},
    {"tf", PXL_VALID, 11, 1.5, false, false, false, false, false, 1, 0, true, PXLI_HALVE_REPEAT, false, false, false, false},
    {"torchmetrics", PXL_REFLECT, 11, 1.5, false, true, false, false, false, 1, PXL_FROM_DATA, true, PXLI_HALVE_DROP, true, true,
     true, false},
    {"piq", PXL_VALID, 11, 1.5, false, false, false, false, false, AUTO, 0, true, PXLI_HALVE_FRONT, false, false, false, true},
    {"kornia", PXL_REFLECT, 11, 1.5, false, false, false, false, false, 1, 0, false, PXLI_HALVE_REPEAT, false, false, false,
     false},
    {"fused-ssim", PXL_ZERO, 11, 1.5, false, false, false, false, false, 1, 0, false, PXLI_HALVE_REPEAT, false, false, false,
     false},
    {"seed", PXL_ZERO, 11, 1.5, false, false, false, false, false, 1, 0, false, PXLI_HALVE_REPEAT, false, false, false, false},
    {"monai", PXL_VALID, 7, 1.5, true, true, true, false, false, 1, 0, false, PXLI_HALVE_REPEAT, false, false, false, false},
    {"vmaf", PXL_VALID, 11, 1.5, false, false, false, false, true, AUTO, 0, false, PXLI_HALVE_REPEAT, false, false, false, false},
};
enum { COUNT = sizeof pxli_presets / sizeof *pxli_presets };
const int pxli_preset_count = COUNT;

const pxli_preset *pxli_find_preset(const char *name, size_t length) {
    for (int i = 0; i < COUNT; i++)
        if (strlen(pxli_presets[i].name) == length && !memcmp(pxli_presets[i].name, name, length)) return &pxli_presets[i];
    return NULL;
}

void pxli_suggest_preset(const char *name, size_t length, char text[PXLI_SUGGESTION_LENGTH]) {
    const char *names[COUNT];
    for (int i = 0; i < COUNT; i++) names[i] = pxli_presets[i].name;
    pxli_suggest_or_list(PXLI_TOPIC_PRESET, name, length, names, COUNT, text);
}

const char *pxl_preset_name(size_t index) { return index < COUNT ? pxli_presets[index].name : NULL; }
