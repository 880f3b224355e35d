#!/usr/bin/env bash
# What every change has to pass, in under 14 minutes on two cores (20 without AVX-512), ten more where CUDA's kernels changed: builds
# with warnings as errors, the CUDA kernels as PTX; all tests but the long lists; the library under the address and
# undefined-behaviour sanitizers, and what threads share under that of threads; the Python package; fuzzing of what takes bytes from
# outside. Ends with a table of where the time went, what was skipped and why.
#   scripts/test.sh                 that
#   scripts/test.sh --full          everything: the kernels for all architectures, with the check for spills on each; long lists,
#                                   other orders of threads; the program, too, under the sanitizers; drop-ins beside their packages
#   scripts/test.sh --fuzz SECONDS  fuzzes each target for SECONDS (10; with --full 60; 3600 before a release)
# Where there is no nvcc or no cuDNN, NVIDIA's is brought into build/cuda (from PyPI, up to 960 MB); PIXLOSS_CUDA=OFF in the
# environment does without CUDA. CONTRIBUTING.md says what runs when, and how long it may take.
set -uo pipefail # what fails is noted, and the rest goes on
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

full=no
fuzz_seconds=
while [ $# -gt 0 ]; do
  case "$1" in
    --full) full=yes ;;
    --fuzz)
      [[ ${2-} =~ ^[1-9][0-9]*$ ]] || { echo "test.sh: --fuzz takes a number of seconds" >&2; exit 2; }
      fuzz_seconds=$2
      shift
      ;;
    -h | --help) sed -n '2,12s/^# \?//p' "$0"; exit 0 ;;
    *) echo "test.sh: unknown option '$1' (there are --full, --fuzz SECONDS)" >&2; exit 2 ;;
  esac
  shift
done
[ -n "$fuzz_seconds" ] || { fuzz_seconds=10; [ "$full" = no ] || fuzz_seconds=60; }
# What a user set for a run by hand changes what is tested.
unset PXLOSS_TEST_DEVICE PXLOSS_ISA PXLOSS_TEST_LISTS PXLOSS_TEST_WORKSPACE PXLOSS_CUDA_ORDER PXLOSS_CUDA_SEED PXLOSS_CUDA_MISSING

cuda=${PIXLOSS_CUDA:-ON}
jobs=$(nproc)
report=build/test
status=0
brought=0 # seconds
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
lacking=() # what could not be brought: said in the last line
lack() {
  skip "$1" "$2"
  lacking+=("$1")
}

setup() {
  if [ "$cuda" = OFF ]; then
    scripts/setup.sh --tests
  elif ! scripts/setup.sh --tests --cuda; then
    # Networks on a GPU are tested on the CPU, too, which takes cuDNN's headers; the rest does without.
    lack "networks in CUDA" "cuDNN and cuBLAS could not be brought"
    libraries=OFF
    scripts/setup.sh --tests --cuda-compiler
  fi
}

# build PRESET [cmake options]
build() {
  local preset=$1
  shift
  rm -f "build/$preset/CMakeCache.txt" # settings of an earlier build by hand would leave tests out
  cmake --preset "$preset" -DPIXLOSS_WERROR=ON "$@" >"$report/$preset.configure.log" || { cat "$report/$preset.configure.log"; return 1; }
  cmake --build --preset "$preset" -j "$jobs"
}

# run PRESET: all but the entries labelled slow; with --full these, too, except in the sanitizers' build.
run() {
  local preset=$1
  [ "$full$preset" = yesrelease ] && set -- || set -- -LE slow
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error --output-log "$PWD/$report/$preset.log" -j "$jobs" "$@"
}

# suite PRESET [cmake options]: both.
suite() {
  rm -rf "build/$1/results"
  step "$1: build" build "$@" && step "$1: tests" run "$1"
}

# The Python package. What its tests take beside it is brought once, which is no part of the check's time.
python_options=()
[ "$full" = no ] || python_options=(--full)
python_setup() {
  local begun=$SECONDS result
  scripts/python_test.sh --setup "${python_options[@]}"
  result=$?
  brought=$((SECONDS - begun))
  return "$result"
}
python_package() {
  case "$1" in
    0) step "python: sdist and tests" scripts/python_test.sh "${python_options[@]}" ;;
    3) lack "python: all tests" "no venv, or no package index to bring torch from" ;;
    *) return "$1" ;;
  esac
}

fuzz() {
  if [ "$full" = yes ]; then scripts/fuzz.sh "$fuzz_seconds"; else scripts/fuzz.sh --simple "$fuzz_seconds"; fi
}

# For all architectures, and on the CPU also under sanitizers, if the kernels, what they include, their
# shim or their tests are not those of which all that has passed, and which were committed so. A header
# that a kernel includes for the first time has to be added here.
checked=src/cuda/checked.txt
kernels() {
  {
    git ls-files -z --cached --others --exclude-standard -- src/CMakeLists.txt src/cuda src/math src/network \
      src/{backend,context,device,error,loss,plan,scales}.h tests/cuda_host 'tests/*cuda*' cmake/PixlossCuda.cmake \
      cmake/cuda_kernels.py ":!$checked" ':!*.md' | LC_ALL=C sort -z | xargs -0 sha256sum &&
      grep -A 1 '^compiler=\|^disassembler=' scripts/setup.sh # the compiler's version
  } | sha256sum
}
architectures=90-virtual
sanitized=OFF
gpu=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
[ -z "$gpu" ] || architectures+=";$gpu-real"
found=$(kernels) || found= # before the tests: what is edited meanwhile is not checked
[ -n "$found" ] && [ "$found" = "$(cat $checked 2>/dev/null)" ] || architectures='' sanitized=ON
if [ "$full" = yes ]; then
  architectures=
  sanitized=ON
  export PXLOSS_TEST_LISTS=long
else
  skip "long lists, other orders of threads, the program and most cases under the sanitizers" "scripts/test.sh --full runs them"
fi
[ "$cuda" != OFF ] || skip "CUDA: all of it" "PIXLOSS_CUDA=OFF"
[ "$sanitized$cuda" != OFFON ] || skip "CUDA kernels as machine code, and under sanitizers" "they are those of $checked"

libraries=$cuda # cuDNN and cuBLAS
if step setup setup; then
  suite release "-DPIXLOSS_CUDA=$cuda" "-DPIXLOSS_CUDNN=$libraries" "-DPIXLOSS_CUBLAS=$libraries" \
    "-DPIXLOSS_CUDA_ARCHITECTURES=$architectures" -DPIXLOSS_SANITIZED_TESTS=ON "-DPIXLOSS_CUDA_HOST_SANITIZED=$sanitized"
  step "digest: build" cmake --build --preset release -j "$jobs" --target pixloss_digest
  if [ "$full" = yes ]; then
    # Everything, tests and program too: the release suite has the library alone.
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    suite sanitize -DPIXLOSS_INSTALL=ON "-DPIXLOSS_INSTRUCTION_SETS=avx512;avx2"
  fi
  python_setup
  python=$?
  # Side by side: Python's tests take one core most of the time.
  fuzzing=
  if scripts/setup.sh --fuzz; then
    step "fuzz, $fuzz_seconds s for each target" fuzz >"$report/fuzz.log" 2>&1 &
    fuzzing=$!
  else
    lack "fuzz: all targets" "clang could not be installed"
  fi
  python_package "$python" || status=1
  if [ -n "$fuzzing" ]; then
    wait "$fuzzing" || status=1
    cat "$report/fuzz.log"
  fi
fi

minutes=14 # on two cores; CONTRIBUTING.md
grep -q avx512f /proc/cpuinfo || minutes=20
[ "$sanitized" = OFF ] || minutes=$((minutes + 10))
[ "$full" = no ] || minutes=0 # no limit
python3 scripts/test_report.py "$report" $((SECONDS - brought)) "$minutes" || status=1
if [ "$status" -ne 0 ]; then
  echo "FAILED"
elif [ ${#lacking[@]} -gt 0 ]; then
  printf 'PASSED without'
  printf ' %s;' "${lacking[@]}"
  echo
else
  echo "PASSED"
  # Of the kernels' sanitized tests, whether they ran: not every machine can.
  results=build/release/results
  if [ -n "$found" ] && [ "$architectures$cuda" = ON ] && [ -e $results/cuda_host_asan.1.json ] && [ -e $results/cuda_host_tsan.1.json ]; then
    echo "$found" >$checked
  fi
fi
exit "$status"
