/* What a host program does with OpenMP, in C. */
#ifndef TESTS_FORK_HOST_H
#define TESTS_FORK_HOST_H
#ifdef __cplusplus
extern "C" {
#endif
/* How many threads a region of so many had. */
int use_openmp(int threads);
#ifdef __cplusplus
}
#endif
#endif
