#!/usr/bin/env bash
# Builds pixloss_bench optimised, runs it, prints a table of the medians. How to read it: bench/README.md. About ten minutes, on a
# machine that does nothing else meanwhile.
#   scripts/bench.sh             the default list; results go to bench/results/cpu.json and cpu.md, for committing
#   scripts/bench.sh OPTION...   with options of pixloss_bench (--loss=, --benchmark_filter=, ...); results stay in build/bench
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1-}" in -h | --help) sed -n '2,5s/^# \?//p' "$0"; exit 0 ;; esac

scripts/setup.sh
if ! command -v python3 >/dev/null; then
  echo "bench.sh: python3 is needed for the table" >&2
  exit 1
fi
build=build/bench
mkdir -p "$build"
echo "bench: building (log in $build/build.log)" >&2
if ! { cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPIXLOSS_BUILD_BENCH=ON -DPIXLOSS_BUILD_TESTS=OFF \
  -DPIXLOSS_BUILD_CLI=OFF && cmake --build "$build" --target pixloss_bench; } >"$build/build.log" 2>&1; then
  tail -n 30 "$build/build.log" >&2
  echo "bench.sh: the build failed, see $build/build.log" >&2
  exit 1
fi

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain --untracked-files=no 2>/dev/null)" ]; then commit+=" with uncommitted changes"; fi
out=$build
if [ $# -eq 0 ]; then out=bench/results; fi
mkdir -p "$out"

# The program's own lines go to the terminal's error stream, so that standard output is the table alone.
"$build/bin/pixloss_bench" --benchmark_repetitions=7 --benchmark_enable_random_interleaving=true \
  --benchmark_report_aggregates_only=true --benchmark_out="$build/raw.json" "$@" >&2
python3 bench/table.py "$build/raw.json" --commit "$commit" --json "$build/clean.json" >"$build/table.md"
mv "$build/clean.json" "$out/cpu.json"
mv "$build/table.md" "$out/cpu.md"
cat "$out/cpu.md"
