#!/usr/bin/env bash
# Runs short tests under valgrind, which sees what the sanitizers do not: reads of what was never written, also in oneDNN's calls.
# Ten minutes or so.
#   scripts/valgrind.sh [filter]   default: the short tests of the library, and those of what it takes and gives back; else a filter
#                                  of Google Test's for pixloss_tests alone
# Needs valgrind (apt-get install valgrind). It knows no AVX-512: the kernels for AVX2 run. Not part of continuous integration.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1-}" in
  -h | --help) sed -n '2,6s/^# \?//p' "$0"; exit 0 ;;
esac
command -v valgrind >/dev/null || { echo "valgrind.sh: valgrind is missing: apt-get install valgrind" >&2; exit 1; }

build=build/valgrind
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPIXLOSS_CUDA=OFF -DPIXLOSS_BUILD_CLI=OFF -DPIXLOSS_BUILD_BENCH=OFF >/dev/null
cmake --build "$build" --target pixloss_tests pixloss_allocation_tests

# Threads of OpenMP that spin while they wait would take most of the time.
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
# What OpenMP keeps for its threads is not lost, but looks as if it might be: only what is surely lost counts.
check() { valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$@"; }
short='Check*:Evaluate.*:Loss*:Presets.*:Status.*:Network.*:NetworkContext.*:NetworkLoad.*:Safetensors.*:MapSize.*:Context.*:Tensor.*'
# valgrind computes long double, the reference of some sums, in 64 bits.
short+=':MsSsimTerms.*:Reduce.*:FeatureCalls.kept_targets*:FeatureCalls.many_shapes*-Reduce.sums_of_large_and_small*'
check "$build/bin/pixloss_tests" --gtest_brief=1 --gtest_filter="${1-$short}"
[ $# -gt 0 ] || check "$build/bin/pixloss_allocation_tests" --gtest_brief=1 --gtest_filter='Failures.*:NetworkFailures.*:Memory.packed*'
