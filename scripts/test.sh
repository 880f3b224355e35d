#!/usr/bin/env bash
# Everything that has to pass: builds with warnings as errors, the CUDA kernels for all architectures, and runs all tests; then,
# under the address and undefined-behaviour sanitizers, all but those labelled slow, and under that of threads what threads share;
# then fuzzes for a minute each what takes bytes from outside (scripts/fuzz.sh; clang is installed for it).
# Ends with a summary and the names of what was skipped. Where there is no nvcc or no cuDNN, NVIDIA's is brought
# into build/cuda (from PyPI, up to 960 MB); PIXLOSS_CUDA=OFF in the environment does without CUDA.
#   scripts/test.sh           all of it
#   scripts/test.sh --quick   without the sanitizers and the fuzzing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=no
for argument in "$@"; do
  case "$argument" in
    --quick) quick=yes ;;
    -h | --help) sed -n '2,8s/^# \?//p' "$0"; exit 0 ;;
    *) echo "test.sh: unknown option '$argument' (there is --quick)" >&2; exit 2 ;;
  esac
done
cuda=${PIXLOSS_CUDA:-ON}
# Networks on a GPU are tested on the CPU, too, which takes cuDNN's headers; the rest does without.
libraries=yes
if [ "$cuda" = OFF ]; then
  scripts/setup.sh --tests
elif ! scripts/setup.sh --tests --cuda; then
  libraries=no
  scripts/setup.sh --tests --cuda-compiler
fi

jobs=$(nproc)
summary=()
skipped=()
status=0

# run_suite PRESET CUDA [ctest options]: configures, builds, tests; notes the result and what ctest did not run.
run_suite() {
  local preset=$1 with_cuda=$2 log=build/$1/test.log line
  shift 2
  echo "== $preset: build"
  cmake --preset "$preset" -DPIXLOSS_WERROR=ON -DPIXLOSS_CUDA="$with_cuda" >"build/$preset.configure.log" || { cat "build/$preset.configure.log"; return 1; }
  cmake --build --preset "$preset" -j "$jobs" || { summary+=("$preset: the build failed"); status=1; return 0; }
  echo "== $preset: test"
  ctest --test-dir "build/$preset" --output-on-failure --progress --no-tests=error --output-log "$PWD/$log" -j "$jobs" "$@" || status=1
  line=$(grep -E '^[0-9]+% tests passed|^No tests were found' "$log" || echo "ctest did not finish")
  summary+=("$preset: $line")
  # ctest lists below the summary what did not run: "  12 - name (Skipped)". The tests on a CUDA device share one reason.
  while IFS= read -r line; do skipped+=("$preset: $line"); done < <(sed -nE 's/^[[:space:]]*[0-9]+ - (.*) \((Skipped|Not Run|Disabled)\)$/\1/p' "$log")
}

# A minute for each target of the fuzzer, two at a time.
run_fuzz() {
  local line
  if ! scripts/setup.sh --fuzz; then
    skipped+=("fuzz: all of it (clang could not be installed)")
    return 0
  fi
  echo "== fuzz"
  scripts/fuzz.sh 60 | tee build/fuzz.table || status=1
  while IFS= read -r line; do summary+=("fuzz: $line"); done <build/fuzz.table
}

# The reason why there is no CUDA device, from the log of the tests that were skipped for it.
no_device() { grep -m 1 -oE '(there are no CUDA devices|this build has no CUDA backend).*' "$1" || echo "see $1"; }

mkdir -p build
start=$SECONDS
run_suite release "$cuda"
if [ "$quick" = no ]; then
  # Leaks count as errors; the allocator must say NULL, not stop, when a test asks it for too much.
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  # The kernels' own sanitizer builds are in the release suite: the self-test of tests/cuda_host, and short lists under TSan.
  run_suite sanitize OFF -LE slow
  run_suite thread OFF -L '^threads$'
  run_fuzz
  skipped+=("sanitize: the tests labelled slow, and the CUDA backend")
else
  skipped+=("sanitize, thread and fuzz: all of it (--quick)")
fi
if [ "$cuda" = OFF ]; then skipped+=("CUDA: all of it (PIXLOSS_CUDA=OFF)"); fi
if [ "$libraries" = no ]; then skipped+=("CUDA: networks (cuDNN and cuBLAS could not be brought)"); fi

echo
echo "== Summary ($((SECONDS - start)) s)"
printf '  %s\n' "${summary[@]}"
echo "Skipped:"
printf '  %s\n' "${skipped[@]}"
if grep -q 'cuda\..*(Skipped)' build/release/test.log; then
  echo "The tests named cuda. take a GPU (scripts/gpu.sh): $(no_device build/release/test.log)"
fi
[ "$status" -eq 0 ] && echo "PASSED" || echo "FAILED"
exit "$status"
