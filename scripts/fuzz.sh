#!/usr/bin/env bash
# Fuzzes the reader of weights files: clang's libFuzzer with the address and undefined-behaviour sanitizers.
#   scripts/fuzz.sh [seconds]   default 60. What it finds lies in build/fuzz; the corpus there is taken up again by the next run.
# Needs clang (scripts/setup.sh --dev) and libjansson.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "${1-60}" in
  -h | --help) sed -n '2,4s/^# \?//p' "$0"; exit 0 ;;
  *[!0-9]* | '') echo "fuzz.sh: '$1' is no number of seconds" >&2; exit 2 ;;
esac
command -v clang++ >/dev/null || { echo "fuzz.sh: clang is missing: scripts/setup.sh --dev installs it" >&2; exit 1; }

build=build/fuzz corpus=build/fuzz/corpus
mkdir -p "$corpus"
options=(-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude -Isrc -DPXLI_JSON)
for source in src/error.c src/network/safetensors.c; do
  clang "${options[@]}" -std=gnu11 -c "$source" -o "$build/$(basename "$source" .c).o"
done
clang++ "${options[@]}" -std=c++17 tests/fuzz/fuzz_safetensors.cpp "$build"/error.o "$build"/safetensors.o -ljansson -o "$build/fuzz_safetensors"

# Good files to begin with: header, then bytes of data. A header here is shorter than 256 bytes.
seed() {
  { printf "\\x$(printf %02x ${#2})\\0\\0\\0\\0\\0\\0\\0%s" "$2"; head -c "$3" /dev/zero; } >"$corpus/$1"
}
seed empty '{}' 0
seed two '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]}}' 12
seed others '{"s":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"e":{"dtype":"F4","shape":[3,0],"data_offsets":[10,10]}}' 10

"$build/fuzz_safetensors" -max_total_time="${1-60}" -max_len=4096 -timeout=10 -dict=tests/fuzz/safetensors.dict \
  -artifact_prefix="$build/" -print_final_stats=1 "$corpus"
