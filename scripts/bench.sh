#!/usr/bin/env bash
# Builds pixloss_bench optimised, runs it, prints tables of the medians. How to read them: bench/README.md. About 40 minutes, on a
# machine that does nothing else meanwhile.
#   scripts/bench.sh             the default list, then SSIM by one thread and by lesser instruction sets, then other libraries if
#                                ${PYTHON:-python3} has torch; results go to bench/results/cpu*.json and cpu.md and the short
#                                table to README.md, for committing
#                                (REPETITIONS=3 in the environment: quicker and noisier)
#   scripts/bench.sh OPTION...   with options of pixloss_bench (--loss=, --benchmark_filter=, ...); results stay in build/bench
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1-}" in -h | --help) sed -n '2,8s/^# \?//p' "$0"; exit 0 ;; esac

scripts/setup.sh
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
  echo "bench.sh: $python is needed for the table" >&2
  exit 1
fi
build=build/bench
mkdir -p "$build"
echo "bench: building (log in $build/build.log)" >&2
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPIXLOSS_BUILD_BENCH=ON -DPIXLOSS_BUILD_TESTS=OFF \
  -DPIXLOSS_BUILD_CLI=OFF -DPIXLOSS_CUDA=OFF && cmake --build "$build" --target pixloss_bench; } >"$build/build.log" 2>&1; then
  tail -n 30 "$build/build.log" >&2
  echo "bench.sh: the build failed, see $build/build.log" >&2
  exit 1
fi

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain --untracked-files=no 2>/dev/null)" ]; then commit+=" with uncommitted changes"; fi
out=$build
if [ $# -eq 0 ]; then out=bench/results; fi
mkdir -p "$out"

# run NAME OPTION...: a table on standard output, the results in $out/NAME.json. The program's own lines go to the error stream.
run() {
  local name=$1
  shift
  "$build/bin/pixloss_bench" --benchmark_repetitions="${REPETITIONS:-7}" --benchmark_enable_random_interleaving=true \
    --benchmark_min_time=0.2 --benchmark_report_aggregates_only=true --benchmark_out="$build/raw-$name.json" "$@" >&2
  "$python" bench/table.py "$build/raw-$name.json" --commit "$commit" --json "$build/clean.json"
  mv "$build/clean.json" "$out/$name.json"
}
all() {
  rm -f "$out"/cpu*.json # of a run before
  local ssim='^cpu/(ssim|0[.]5[*]mse.*)/f32/(1x3x1080x1920|16x1x256x256)/gradient' isa
  run cpu
  printf '\n## One thread\n\n'
  OMP_NUM_THREADS=1 run cpu-1-thread --benchmark_filter="$ssim"
  for isa in avx2 sse2; do
    printf '\n## Instructions: %s\n\n' "$isa"
    PXLOSS_ISA=$isa run "cpu-$isa" --benchmark_filter="$ssim"
  done
  if "$python" -c 'import torch' 2>/dev/null; then
    printf '\n## Other libraries\n\n'
    "$python" bench/peers.py --device cpu --pixloss-json "$build/raw-cpu.json" --json "$out/cpu-peers.json"
  else
    echo "bench: $python has no torch: without other libraries" >&2
  fi
}
if [ $# -eq 0 ]; then all >"$build/table.md"; else run cpu "$@" >"$build/table.md"; fi
mv "$build/table.md" "$out/cpu.md"
if [ $# -eq 0 ]; then "$python" bench/readme.py; fi
cat "$out/cpu.md"
