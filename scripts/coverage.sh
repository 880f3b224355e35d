#!/usr/bin/env bash
# Which lines and branches of src the tests of the default check reach, on the CPU in every instruction set and on the CUDA kernels
# that run on the CPU. (What only the sanitizers' builds and the fuzzer run is not counted.)
#   scripts/coverage.sh FILE                 builds with counters, tests, writes FILE: a line for each source
#   scripts/coverage.sh FILE --against OLD   compares with an earlier FILE too: ends with 1 if a source lost more than a percent
#   scripts/coverage.sh --full FILE ...      with the long lists
# Needs gcovr (installed by apt). Some seven minutes on two cores. Vectorised loops run slower with counters, so times mean nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

unset PXLOSS_TEST_DEVICE PXLOSS_ISA PXLOSS_TEST_LISTS PXLOSS_TEST_WORKSPACE PXLOSS_CUDA_ORDER PXLOSS_CUDA_SEED PXLOSS_CUDA_MISSING
lists=(-LE slow)
if [ "${1-}" = --full ]; then
  lists=()
  export PXLOSS_TEST_LISTS=long
  shift
fi
case "${1-}" in
  -h | --help) sed -n '2,7s/^# \?//p' "$0"; exit 0 ;;
  '' | -*) echo "coverage.sh: a file to write is needed" >&2; exit 2 ;;
esac
file=$1
old=
if [ $# -gt 1 ]; then
  [ "$2" = --against ] && [ -r "${3-}" ] || { echo "coverage.sh: --against takes a file that an earlier call wrote" >&2; exit 2; }
  old=$3
fi

scripts/setup.sh --tests --cuda --coverage
build=build/coverage
mkdir -p build
cmake --preset coverage -DPIXLOSS_CUDA=ON -DPIXLOSS_CUDA_ARCHITECTURES=90-real >"$build.configure.log"
# What is counted: not the kernels' sanitized builds, the shim's self-test, the installation.
cmake --build --preset coverage -j "$(nproc)" --target pixloss_tests pixloss_cuda_host_tests pixloss_cli_tests pixloss_cli_on_host_tests \
  pixloss_allocation_tests pixloss_fork_tests pixloss_threads_tests
find "$build" -name '*.gcda' -delete
# A test that fails stops nothing: the check is for that.
suites='^(oracle|cpu|isa_|slow_|cuda_host\.|cuda_host_(small|without|order|known)|cli|allocation|fork\.|threads)'
ctest --test-dir "$build" -R "$suites" "${lists[@]}" -j "$(nproc)" --progress || echo "coverage.sh: some tests failed" >&2
python3 scripts/coverage.py "$build" "$file" ${old:+"$old"}
