#!/usr/bin/env bash
# Everything that takes a GPU, in one command of at most nine minutes, without a network: builds for the GPU at hand, runs the tests
# on it, the program's selftest, the benchmarks, and compute-sanitizer on a short list. A step that fails or runs out of time does
# not stop the others: their limits fit into the nine minutes together. What is left then is for the peers.
#   scripts/gpu.sh --gtest DIR [--benchmark DIR] [--json DIR]   source folders of Google Test, Google Benchmark, nlohmann-json, for
#                                                               machines where they are not installed
#   --fused-ssim DIR   its source folder, for the peers (bench/peers.py; where there is torch)
#   --arch N       compile for this architecture instead of the GPU's own: to try the script where there is no GPU
#   --build DIR    default build/gpu; --minutes N   default 9; --only STEP[,STEP]   of build, tests, selftest, bench, sanitizer, networks
# Needs nvcc, cmake, ninja (or make), python3. Results go to bench/results/<gpu>.json and .md; with OUT set, a copy of them and of
# all logs goes to $OUT/bench/results and $OUT/logs.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build/gpu minutes=9 arch=native only=build,tests,selftest,bench,sanitizer,networks
options=() peers=()
while [ $# -gt 0 ]; do
  case "$1" in
    --gtest | --benchmark | --json | --fused-ssim | --arch | --build | --minutes | --only)
      [ $# -gt 1 ] || { echo "gpu.sh: the value of $1 is missing" >&2; exit 2; } ;;
  esac
  case "$1" in
    --gtest) options+=("-DPIXLOSS_GTEST_DIR=$(realpath "$2")") ;;
    --benchmark) options+=("-DPIXLOSS_BENCHMARK_DIR=$(realpath "$2")") ;;
    --json) options+=("-DPIXLOSS_JSON_DIR=$(realpath "$2")") ;;
    --fused-ssim) peers=(--fused-ssim "$(realpath "$2")") ;;
    --arch) arch=$2 ;;
    --build) build=$2 ;;
    --minutes) minutes=$2 ;;
    --only) only=$2 ;;
    -h | --help) sed -n '2,13s/^# \?//p' "$0"; exit 0 ;;
    *) echo "gpu.sh: unknown option '$1' (there are --gtest, --benchmark, --json, --fused-ssim, --arch, --build, --minutes, --only)" >&2; exit 2 ;;
  esac
  shift 2
done
if ! [[ $minutes =~ ^[1-9][0-9]{0,2}$ ]]; then
  echo "gpu.sh: --minutes '$minutes': a whole number from 1 is needed" >&2
  exit 2
fi
for word in ${only//,/ }; do
  case $word in
    build | tests | selftest | bench | sanitizer | networks) ;;
    *) echo "gpu.sh: --only '$only': there are build, tests, selftest, bench, sanitizer, networks" >&2; exit 2 ;;
  esac
done

gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
if [ -z "$gpu" ] && [ "$arch" = native ]; then
  echo "gpu.sh: nvidia-smi finds no GPU here; --arch 90 tries the script without one" >&2
  exit 2
fi
name=$(tr 'A-Z ' 'a-z-' <<<"${gpu:-no-gpu}" | tr -cd 'a-z0-9-')
logs=$build/logs
mkdir -p "$logs"
start=$SECONDS
status=0
summary=()

seconds_left() { echo $((minutes * 60 - (SECONDS - start))); }
# step NAME SECONDS COMMAND...: runs it within its own time and what is left of the whole; its output goes to a log, its end to the
# terminal when it failed.
step() {
  local name=$1 limit=$2 left begun=$SECONDS log result
  left=$(seconds_left)
  shift 2
  log=$logs/$(tr ' ' '-' <<<"$name").log
  if [ "$left" -lt 5 ]; then
    summary+=("$name: no time left")
    status=1
    return 1
  fi
  [ "$limit" -lt "$left" ] || limit=$left
  echo "== $name (at most $limit s; log in $log)"
  timeout --kill-after=5 "$limit" "$@" >"$log" 2>&1
  result=$?
  case $result in
    0) summary+=("$name: passed, $((SECONDS - begun)) s") ;;
    124 | 137) summary+=("$name: stopped after $limit s") ;;
    *) summary+=("$name: FAILED ($result), $((SECONDS - begun)) s") ;;
  esac
  [ "$result" -eq 0 ] || { status=1; tail -n 25 "$log"; }
  return "$result"
}
wanted() { [[ ,$only, == *,$1,* ]]; }

# cuDNN and cuBLAS as Python packages have them: headers to build with, libraries to be found.
packages=$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null)
for folder in ${packages:+"$packages"/*}; do
  [ -e "$folder/include/cudnn_graph.h" ] && options+=("-DPIXLOSS_CUDNN_INCLUDE=$folder/include")
  [ -e "$folder/include/cublas_v2.h" ] && options+=("-DPIXLOSS_CUBLAS_INCLUDE=$folder/include")
  [ -d "$folder/lib" ] && LD_LIBRARY_PATH=$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$PWD/build/cuda/lib64 # where scripts/setup.sh --cuda brings them
export LD_LIBRARY_PATH

generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
compile() {
  cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DPIXLOSS_CUDA=ON -DPIXLOSS_CUDA_ARCHITECTURES="$arch" \
    -DPIXLOSS_BUILD_TESTS=ON -DPIXLOSS_CUDA_HOST_TESTS=OFF -DPIXLOSS_GPU_TEST_SHARDS=12 "${options[@]}" &&
    cmake --build "$build" -j "$(nproc)"
}
export -f compile
tests=$build/bin/pixloss_tests bench=$build/bin/pixloss_bench program=$build/bin/pixloss
export PXLOSS_TEST_DEVICE=cuda PXLOSS_TEST_LISTS=long # of the test program wherever it runs here; on a GPU no list takes long

if wanted build; then
  # A shell of its own, since timeout runs programs and not functions.
  step build 195 env build="$build" arch="$arch" bash -c "generator=(${generator[*]}); options=(${options[*]@Q}); compile"
fi
if wanted tests; then
  step tests 100 ctest --test-dir "$build" -L '^cuda$' -LE slow -E networks --output-on-failure --no-tests=error -j 6
  summary+=("  all labelled cuda but the slow ones (-LE slow)")
  grep -E '^[0-9]+% tests passed|^	? *[0-9]+ - .*\((Failed|Timeout|Skipped|Not Run)\)' "$logs/tests.log" | head -n 30
  # A test that finds no device is skipped, which ctest counts as passed.
  if reason=$(grep -m 1 -ohE '(there are no CUDA devices|there is no CUDA device|this build has no CUDA backend).*' \
    "$build/Testing/Temporary/LastTest.log" 2>/dev/null); then
    summary[-2]="tests: FAILED, skipped: $reason"
    status=1
  fi
fi
if wanted selftest; then
  if [ -x "$program" ]; then
    step selftest 30 "$program" selftest --device cuda --quick
    tail -n 3 "$logs/selftest.log"
  else
    summary+=("selftest: not run: the program was not built (libpng, libjpeg, libtiff, cairo, CLI11, nlohmann-json)")
  fi
fi
if wanted bench; then
  rm -f "$build/clean.json"
  if [ ! -x "$bench" ]; then
    summary+=("bench: not built: Google Benchmark is missing (--benchmark DIR)")
    status=1
  elif ! "$bench" --help 2>&1 | grep -q -- --device; then
    summary+=("bench: pixloss_bench of this version has no --device")
    status=1
  else
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    [ -z "$(git status --porcelain --untracked-files=no 2>/dev/null)" ] || commit+=" with uncommitted changes"
    # A case that fails its check is listed below the table, so the table is made whatever the program's exit status.
    rm -f "$build/raw.json"
    step bench 125 "$bench" --device=cuda --benchmark_repetitions=5 --benchmark_min_time=0.05 --benchmark_report_aggregates_only=true \
      --benchmark_out="$build/raw.json"
    [ -s "$build/raw.json" ] && step "bench table" 5 python3 bench/table.py "$build/raw.json" --partial --commit "$commit" --json "$build/clean.json" && {
      mkdir -p bench/results
      cp "$build/clean.json" "bench/results/$name.json"
      cp "$logs/bench-table.log" "bench/results/$name.md"
      cat "bench/results/$name.md"
    }
  fi
fi

if wanted sanitizer; then
  if command -v compute-sanitizer >/dev/null; then
    short='CudaShort.*:CudaStream.order_is_kept:CudaGraph.*'
    for tool in memcheck racecheck initcheck synccheck; do
      filter=$short
      [ "$tool" = memcheck ] || filter='CudaShort.*'
      extra=()
      [ "$tool" != memcheck ] || extra=(--leak-check=full)
      step "sanitizer $tool" 20 env PXLOSS_TEST_WORKSPACE="$([ "$tool" = initcheck ] && echo uninitialised || echo poisoned)" \
        compute-sanitizer --tool "$tool" "${extra[@]}" --error-exitcode 9 "$tests" --gtest_filter="$filter"
    done
  else
    summary+=("sanitizer: no compute-sanitizer here")
    status=1
  fi
fi
# Last of all tests, as cuDNN compiles kernels for each of their many small networks: in what time is left, or in a call of its own.
if wanted networks; then
  step networks 400 ctest --test-dir "$build" -L '^cuda$' -LE slow -R networks --output-on-failure --no-tests=error -j 6
  grep -E '^[0-9]+% tests passed|^	? *[0-9]+ - .*\((Failed|Timeout|Skipped|Not Run)\)' "$logs/networks.log" | head -n 30
fi
if wanted bench && [ -e "$build/clean.json" ]; then
  if ! python3 -c 'import torch' 2>/dev/null; then
    summary+=("peers: no torch here")
  elif [ "$(seconds_left)" -lt 30 ]; then
    summary+=("peers: no time left")
  else
    step peers 120 python3 bench/peers.py --pixloss-json "$build/raw.json" --json "bench/results/$name-peers.json" "${peers[@]}"
    cat "$logs/peers.log"
  fi
fi

if [ -n "${OUT-}" ]; then
  mkdir -p "$OUT/bench/results" "$OUT/logs"
  cp -f "bench/results/$name"* "$OUT/bench/results/" 2>/dev/null
  cp -f "$logs"/*.log "$build/cuda_kernels.md" "$OUT/logs/" 2>/dev/null
fi
[ ${#summary[@]} -gt 0 ] || { summary=("nothing was run"); status=1; }
echo
echo "== Summary: ${gpu:-no GPU}, $((SECONDS - start)) s"
printf '  %s\n' "${summary[@]}"
[ "$status" -eq 0 ] && echo "PASSED" || echo "FAILED"
exit "$status"
