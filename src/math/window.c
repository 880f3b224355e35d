/* Filter taps and borders: see window.h. */
#include "window.h"

#include <math.h>
#include <string.h>

void pxli_window_taps(int count, double sigma, double *taps) {
    const double centre = (count - 1) / 2.0;
    double sum = 0;
    for (int k = 0; k < count; k++) {
        const double x = sigma > 0 ? (k - centre) / sigma : 0; /* squared after: sigma^2 may underflow */
        taps[k] = exp(-x * x / 2);
        sum += taps[k];
    }
    for (int k = 0; k < count; k++) taps[k] /= sum;
}

static double excess(int count, const double *taps) {
    double sum = -1;
    for (int k = 0; k < count; k++) sum += taps[k];
    return sum;
}
void pxli_round_taps(int count, double *taps) {
    for (int k = 0; k < count; k++) taps[k] = (double)(float)taps[k];
    /* small taps have fine steps, but the smallest would change by much of themselves; the centre takes what is left */
    int k = 0;
    while (k < count / 2 && taps[k] < 0.01) k++;
    taps[k] = taps[count - 1 - k] = (double)(float)(taps[k] - excess(count, taps) / 2);
    taps[count / 2] = (double)(float)(taps[count / 2] - excess(count, taps));
}

int pxli_window_size(double sigma) { return 2 * (int)(3.5 * sigma + 0.5) + 1; }

void pxli_forward_taps(const double *taps, int radius, pxl_border border, int64_t size, int64_t j, double *out) {
    memset(out, 0, (size_t)(2 * radius + 1) * sizeof *out);
    for (int q = -radius; q <= radius; q++) {
        const int64_t i = pxli_border_index(border, size, j + q);
        if (i >= 0) out[i - j + radius] += taps[q + radius];
    }
}

/* Adds what position p, which reads pixel i, takes from all positions of the map. */
static void add_reader(const double *taps, int radius, int64_t size, int64_t i, int64_t p, double *out) {
    const int64_t first = p - radius > 0 ? p - radius : 0, last = p + radius < size - 1 ? p + radius : size - 1;
    for (int64_t j = first; j <= last; j++) out[j - i + radius] += taps[p - j + radius];
}

void pxli_adjoint_taps(const double *taps, int radius, pxl_border border, int64_t size, int64_t i, double *out) {
    memset(out, 0, (size_t)(2 * radius + 1) * sizeof *out);
    add_reader(taps, radius, size, i, i, out);
    if (!pxli_border_folds(border)) return;
    for (int p = 1; p <= radius; p++) {
        if (pxli_border_index(border, size, -p) == i) add_reader(taps, radius, size, i, -p, out);
        if (pxli_border_index(border, size, size - 1 + p) == i) add_reader(taps, radius, size, i, size - 1 + p, out);
    }
}
