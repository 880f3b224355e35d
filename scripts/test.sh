#!/usr/bin/env bash
# What every change has to pass, in some ten minutes on two cores: builds with warnings as errors, the CUDA kernels for two
# architectures and as PTX; all tests but the long lists; the library under the address and undefined-behaviour sanitizers, and what
# threads share under that of threads; fuzzing of what takes bytes from outside. Ends with a table of where the time went, what was
# skipped and why.
#   scripts/test.sh                 that
#   scripts/test.sh --full          everything: the kernels for all architectures, with the check for spills on each; long lists,
#                                   other orders of threads; the program, too, under the sanitizers
#   scripts/test.sh --fuzz SECONDS  so long for each target of the fuzzer (10; with --full 60; 3600 before a release)
# Where there is no nvcc or no cuDNN, NVIDIA's is brought into build/cuda (from PyPI, up to 960 MB); PIXLOSS_CUDA=OFF in the
# environment does without CUDA. CONTRIBUTING.md says what runs when, and how long it may take.
set -uo pipefail # what fails is noted, and the rest goes on
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

full=no
fuzz_seconds=
while [ $# -gt 0 ]; do
  case "$1" in
    --full) full=yes ;;
    --fuzz) fuzz_seconds=${2-}; shift ;;
    -h | --help) sed -n '2,12s/^# \?//p' "$0"; exit 0 ;;
    *) echo "test.sh: unknown option '$1' (there are --full, --fuzz SECONDS)" >&2; exit 2 ;;
  esac
  shift || break
done
[ -n "$fuzz_seconds" ] || { fuzz_seconds=10; [ "$full" = no ] || fuzz_seconds=60; }
[[ $fuzz_seconds =~ ^[0-9]+$ ]] || { echo "test.sh: --fuzz takes a number of seconds" >&2; exit 2; }

cuda=${PIXLOSS_CUDA:-ON}
jobs=$(nproc)
report=build/test
status=0
rm -rf "$report"
mkdir -p "$report"
: >"$report/steps.tsv"

# step NAME COMMAND...: runs it, and notes how long it took and whether it failed.
step() {
  local name=$1 begun=$SECONDS result=passed
  shift
  echo "== $name"
  "$@" || { result=FAILED; status=1; }
  printf '%s\t%s\t%s\n' "$name" "$((SECONDS - begun))" "$result" >>"$report/steps.tsv"
  [ "$result" = passed ]
}
skip() { printf '%s\t%s\n' "$1" "$2" >>"$report/skipped.tsv"; }

setup() {
  if [ "$cuda" = OFF ]; then
    scripts/setup.sh --tests
  elif ! scripts/setup.sh --tests --cuda; then
    # Networks on a GPU are tested on the CPU, too, which takes cuDNN's headers; the rest does without.
    skip "networks in CUDA" "cuDNN and cuBLAS could not be brought"
    scripts/setup.sh --tests --cuda-compiler
  fi
}

# build PRESET [cmake options]
build() {
  local preset=$1
  shift
  cmake --preset "$preset" -DPIXLOSS_WERROR=ON "$@" >"$report/$preset.configure.log" || { cat "$report/$preset.configure.log"; return 1; }
  cmake --build --preset "$preset" -j "$jobs"
}

# run PRESET [ctest options]: all but what is labelled slow; with --full that, too, but under the sanitizers.
run() {
  local preset=$1
  shift
  [ "$full$preset" = yesrelease ] || set -- "$@" -LE slow
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --output-log "$PWD/$report/$preset.log" -j "$jobs" "$@"
}

# suite PRESET CMAKE_OPTIONS [ctest options]: both.
suite() {
  local preset=$1 options=$2
  shift 2
  # shellcheck disable=SC2086  # options are words
  if step "$preset: build" build "$preset" $options; then step "$preset: tests" run "$preset" "$@"; fi
}

fuzz() {
  scripts/setup.sh --fuzz || { skip "fuzz: all targets" "clang could not be installed"; return 0; }
  scripts/fuzz.sh "$fuzz_seconds"
}

# All architectures if the kernels are not those that --full last compiled for all of them.
checked=src/cuda/checked.txt
kernels() { find src/cuda src/math -name '*.cu' -o -name '*.cuh' -o -name '*.h' | LC_ALL=C sort | xargs sha256sum | sha256sum; }
architectures="75-real;90"
[ "$(kernels)" = "$(cat $checked 2>/dev/null)" ] || architectures=
release="-DPIXLOSS_CUDA=$cuda"
sanitize="-DPIXLOSS_SANITIZE=library -DPIXLOSS_BUILD_BENCH=OFF -DPIXLOSS_BUILD_CLI=OFF -DPIXLOSS_INSTALL=OFF
  -DPIXLOSS_INSTRUCTION_SETS=avx512"
if [ "$full" = yes ]; then
  architectures=
  sanitize="-DPIXLOSS_SANITIZE=ON -DPIXLOSS_BUILD_BENCH=ON -DPIXLOSS_BUILD_CLI=ON -DPIXLOSS_INSTALL=ON
    -DPIXLOSS_INSTRUCTION_SETS=avx512;avx2"
  export PXLOSS_TEST_LISTS=long
else
  skip "long lists, other orders of threads, the program under the sanitizers" "scripts/test.sh --full runs them"
fi
[ "$cuda" != OFF ] || skip "CUDA: all of it" "PIXLOSS_CUDA=OFF"

if step setup setup; then
  suite release "$release -DPIXLOSS_CUDA_ARCHITECTURES=$architectures" && [ "$full$cuda" = yesON ] && kernels >$checked
  # The kernels' own sanitizer builds are in the release suite: tests/cuda_host. Leaks count as errors; the allocator must say NULL,
  # not stop, when a test asks it for too much.
  export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
  export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  suite sanitize "$sanitize"
  suite thread -DPIXLOSS_CUDA=OFF -L '^threads$'
  step "fuzz, $fuzz_seconds s for each target" fuzz
fi

python3 scripts/test_report.py "$report" build/release/results build/sanitize/results build/thread/results
[ "$status" -eq 0 ] && echo "PASSED" || echo "FAILED"
exit "$status"
