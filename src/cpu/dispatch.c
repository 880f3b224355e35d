/* Which build of the kernels this processor runs. To add an instruction set: its lines here, a line in
 * src/CMakeLists.txt, which says by PXLI_BUILD_<name> what is built. */
#include <stdlib.h>
#include <string.h>

#include "isa.h"
#include "kernels.h"

#if defined __x86_64__ || defined __i386__
/* What -march=x86-64-v3 and -v4 allow the compiler to use (clang 14 does not know these names here). */
#define HAS(FEATURE) (__builtin_cpu_supports(FEATURE) != 0)
#define HAS_V3       (HAS("avx2") && HAS("fma") && HAS("bmi") && HAS("bmi2") && HAS("popcnt"))
#define HAS_V4       (HAS_V3 && HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq") && HAS("avx512vl"))
#ifdef PXLI_BUILD_avx512
#define BUILD_AVX512(X) X(avx512, HAS_V4)
#else
#define BUILD_AVX512(X)
#endif
#ifdef PXLI_BUILD_avx2
#define BUILD_AVX2(X) X(avx2, HAS_V3)
#else
#define BUILD_AVX2(X)
#endif
#define PXLI_BUILDS(X) BUILD_AVX512(X) BUILD_AVX2(X) X(sse2, HAS("sse2"))
#else
#define PXLI_BUILDS(X) X(simd128, 1)
#endif

#define DECLARE(ISA, SUPPORTED)                       \
    const pxli_kernels *pxli_kernels_f32_##ISA(void); \
    const pxli_kernels *pxli_kernels_f64_##ISA(void);
PXLI_BUILDS(DECLARE)

typedef struct build {
    const char *name;
    const pxli_kernels *(*f32)(void), *(*f64)(void);
} build;
#define BUILD(ISA, SUPPORTED) {#ISA, pxli_kernels_f32_##ISA, pxli_kernels_f64_##ISA},
static const build builds[] = {PXLI_BUILDS(BUILD)};
enum { BUILDS = sizeof builds / sizeof builds[0] };

static bool runs(int i) {
#define RUNS(ISA, SUPPORTED) SUPPORTED,
    const bool supported[] = {PXLI_BUILDS(RUNS)};
    return supported[i];
}

/* Written once with the same value by whoever comes first, so a race is harmless; atomic to be allowed to say so. */
static _Atomic(const build *) choice;

static const build *chosen(void) {
    const build *best = choice;
    if (best) return best;
    const char *wanted = getenv("PXLOSS_ISA");
    for (int i = 0; i < BUILDS; i++) {
        if (!runs(i)) continue;
        if (!best) best = &builds[i];
        if (wanted && !strcmp(wanted, builds[i].name)) best = &builds[i];
    }
    if (!best) best = &builds[BUILDS - 1];
    choice = best;
    return best;
}

bool pxli_isa_choose(const char *name) {
    for (int i = 0; i < BUILDS; i++)
        if (runs(i) && !strcmp(name, builds[i].name)) {
            choice = &builds[i];
            return true;
        }
    return false;
}

const pxli_kernels *pxli_kernels_for(pxl_dtype dtype) { return dtype == PXL_F64 ? chosen()->f64() : chosen()->f32(); }
const char *pxli_isa_name(void) { return chosen()->name; }
void pxli_isa_list(char *text, size_t size) {
    size_t used = 0;
    if (size) text[0] = 0;
    for (int i = 0; i < BUILDS; i++) {
        if (!runs(i)) continue;
        const size_t length = strlen(builds[i].name) + (used ? 2 : 0);
        if (used + length + 1 > size) return;
        strcat(text, used ? ", " : ""), strcat(text, builds[i].name);
        used += length;
    }
}
