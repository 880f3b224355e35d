#!/usr/bin/env bash
# Fuzzes whatever takes what it is given from outside: expressions, arguments of evaluate and of the operators, safetensors, the
# program's images. Clang's libFuzzer with the address and undefined-behaviour sanitizers; two targets at a time.
#   scripts/fuzz.sh [--simple] [seconds] [target ...]   default: 60 each, of all targets (parser, evaluate, operators, safetensors, image);
#                                            3600 is the hour before a release
# --simple: by the simplest kernels, which are built in half the time. Ends with a table, and with 1 if anything was found: inputs then
# lie in build/fuzz/findings, each run again by build/fuzz/bin/fuzz_TARGET FILE. What was reached stays in build/fuzz/corpus, where the
# next run takes it up.
# Needs clang (scripts/setup.sh --fuzz). Networks are not computed here: the build has no oneDNN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=(evaluate operators image parser safetensors)
seconds=60
sets=avx512
if [ "${1-}" = --simple ]; then
  sets=
  shift
fi
case "${1-}" in
  -h | --help) sed -n '2,10s/^# \?//p' "$0"; exit 0 ;;
  '' | *[!0-9]*) ;;
  *) seconds=$1; shift ;;
esac
for target in "$@"; do
  [[ " ${targets[*]} " == *" $target "* ]] || { echo "fuzz.sh: unknown target '$target' (there are ${targets[*]})" >&2; exit 2; }
done
[ $# -eq 0 ] || targets=("$@")
command -v clang++ >/dev/null || { echo "fuzz.sh: clang is missing: scripts/setup.sh --fuzz installs it" >&2; exit 1; }

build=build/fuzz
mkdir -p "$build/findings"
echo "fuzz: building (log in $build/build.log)" >&2
if ! { cmake --preset fuzz "-DPIXLOSS_INSTRUCTION_SETS=$sets" && cmake --build --preset fuzz -j "$(nproc)" --target "${targets[@]/#/fuzz_}"; } >"$build/build.log" 2>&1; then
  tail -n 30 "$build/build.log" >&2
  echo "fuzz.sh: the build failed, see $build/build.log" >&2
  exit 1
fi

# malloc gives NULL, as it may, where an image's header claims more than this.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=64:quarantine_size_mb=16:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1
declare -A longest=([parser]=300 [evaluate]=400 [operators]=200 [safetensors]=4096 [image]=4096)
run() {
  local corpus=$build/corpus/$1 options=()
  mkdir -p "$corpus"
  [ ! -d "tests/fuzz/seeds/$1" ] || corpus+=" tests/fuzz/seeds/$1"
  [ ! -e "tests/fuzz/$1.dict" ] || options=("-dict=tests/fuzz/$1.dict")
  # shellcheck disable=SC2086  # two folders
  "$build/bin/fuzz_$1" -max_total_time="$seconds" -max_len="${longest[$1]}" -timeout=120 -rss_limit_mb=1024 \
    -artifact_prefix="$build/findings/$1-" -print_final_stats=1 "${options[@]}" $corpus
}
declare -A running=() results=()
status=0
collect() { # waits for one of those that run
  local ended result=0
  wait -n -p ended || result=$?
  results[${running[$ended]}]=$result
  unset "running[$ended]"
}
echo "fuzz: ${targets[*]}, $seconds s each (logs in $build)" >&2
for target in "${targets[@]}"; do
  [ ${#running[@]} -lt 2 ] || collect
  run "$target" >"$build/$target.log" 2>&1 &
  running[$!]=$target
done
while [ ${#running[@]} -gt 0 ]; do collect; done

field() { sed -nE "s/$2/\\1/p" "$build/$1.log" | tail -n 1; }
printf '%-12s %12s %10s %12s  %s\n' target inputs "a second" "edges seen" result
for target in "${targets[@]}"; do
  result=passed
  [ "${results[$target]}" -eq 0 ] || { result="FOUND SOMETHING: $build/$target.log"; status=1; }
  printf '%-12s %12s %10s %12s  %s\n' "$target" "$(field "$target" '^stat::number_of_executed_units: *(.*)')" \
    "$(field "$target" '^stat::average_exec_per_sec: *(.*)')" "$(field "$target" '.* cov: ([0-9]+) .*')" "$result"
done
exit "$status"
