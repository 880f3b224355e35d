#!/usr/bin/env bash
# Writes tests/chosen_cases.inc: cases of the long list of random ones that reach code which the short list does not, on the CPU in
# every instruction set and on the CUDA kernels that run on the CPU. To be run when terms were added, as that changes all random
# cases, or when scripts/coverage.sh finds a loss.
#   scripts/choose_cases.sh [candidates]   default: all 16,000 of the long list; some ten minutes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1-}" in
  -h | --help) sed -n '2,5s/^# \?//p' "$0"; exit 0 ;;
esac
build=build/choose
mkdir -p build
cmake --preset release -B "$build" -DPIXLOSS_COVERAGE=trace -DPIXLOSS_CUDA=ON -DPIXLOSS_CUDA_ARCHITECTURES=90-real >"$build.configure.log"
cmake --build "$build" -j "$(nproc)" --target pixloss_choose_cases
[ -e tests/chosen_cases.inc ] || : >tests/chosen_cases.inc
PXLOSS_TEST_DEVICE=all OMP_WAIT_POLICY=passive "$build/bin/pixloss_choose_cases" "${1:-16000}" >"$build/chosen"
mv "$build/chosen" tests/chosen_cases.inc
