/* Which build of the CPU's kernels runs. */
#ifndef PXLI_ISA_H
#define PXLI_ISA_H
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The best instruction set that this processor has; the environment's PXLOSS_ISA=avx2 (or sse2), read once, asks for less. One that
 * is not in pxli_isa_list is passed over. */
const char *pxli_isa_name(void);
/* The names of all that this processor runs, best first: "avx512, avx2, sse2". */
void pxli_isa_list(char *text, size_t size);
/* Selects an instruction set of that list, for tests that compare them in one process; false: it is not in the list. A workspace
 * must be sized, initialised and evaluated with one instruction set; no call may be under way. */
bool pxli_isa_choose(const char *name);

#ifdef __cplusplus
}
#endif
#endif
