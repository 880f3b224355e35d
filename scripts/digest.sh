#!/usr/bin/env bash
# Guards a refactoring: writes hashes of the library's results and of its machine code to a file, and
# compares two such files.
#   scripts/digest.sh [option ...] FILE                builds, and writes FILE
#   scripts/digest.sh [option ...] FILE --against OLD  the same, then compares FILE with OLD
#   scripts/digest.sh --against OLD NEW                compares two files
# Options: --only bits or --only code; --build FOLDER (default build/release, which is configured if it
# is not there).
# bits: a line for each case of tests/digest and each way to compute it: by every instruction set of
# this processor, and by the CUDA kernels on the CPU. A refactoring must not change any.
# code: a line for each function of the library, per instruction set and precision, and for each
# CUDA kernel, per architecture that the build has as machine code. If the code is the same, too, there is nothing to measure again.
# Comments, line numbers and names of local variables do not matter.
# Compare files of one machine and the same compilers only. Exits with 0 if all is equal, with 1 if
# something differs or the build fails, with 2 for wrong usage.
set -euo pipefail

fail() { # STATUS MESSAGE
  echo "digest.sh: $2" >&2
  exit "$1"
}
build='' only='' against='' file='' compares_alone=no
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) sed -n '2,15s/^# \?//p' "$0"; exit 0 ;;
    --build | --only | --against)
      [ $# -gt 1 ] || fail 2 "$1 needs a value"
      [ "$1" != --build ] || build=$2
      [ "$1" != --only ] || only=$2
      if [ "$1" = --against ]; then
        against=$2
        [ -n "$file" ] || compares_alone=yes
      fi
      shift ;;
    -*) fail 2 "unknown option '$1' (there are --build, --only, --against)" ;;
    *)
      [ -z "$file" ] || fail 2 "one FILE only, not '$file' and '$1'"
      file=$1 ;;
  esac
  shift
done
case "$only" in '' | bits | code) ;; *) fail 2 "--only bits or --only code, not '$only'" ;; esac
[ -n "$file" ] || fail 2 "FILE is missing (--help)"
[ -z "$against" ] || [ -r "$against" ] || fail 2 "there is no $against"
file=$(realpath -m -- "$file")
[ -z "$against" ] || against=$(realpath -- "$against")
[ -z "$build" ] || build=$(realpath -m -- "$build")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v python3 >/dev/null || fail 1 "python3 is missing"

compare() {
  [ -r "$file" ] || fail 2 "there is no $file"
  python3 scripts/digest.py compare "$against" "$file"
}
if [ "$compares_alone" = yes ]; then
  [ -z "$build$only" ] || fail 2 "--against OLD NEW takes no --build and no --only"
  compare
  exit
fi

# ---- Build ---------------------------------------------------------------------------------------
default=$PWD/build/release
build=${build:-$default}
[ -e "$build/CMakeCache.txt" ] || [ "$build" = "$default" ] ||
  fail 1 "$build is not configured (cmake -B)"
mkdir -p "$build" "$(dirname "$file")"
build_target() { # NAME, and the section that needs it
  [ -n "$only" ] && [ "$only" != "$2" ] && return 0
  cmake --build "$build" -j "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" --target "$1"
}
configure() { [ -e "$build/CMakeCache.txt" ] || cmake --preset release; }
build_all() { configure && build_target pixloss_digest bits && build_target pixloss code; }
echo "digest: building (log in $build/digest.log)" >&2
if ! build_all >"$build/digest.log" 2>&1; then
  tail -n 30 "$build/digest.log" >&2
  fail 1 "the build failed, see $build/digest.log"
fi

# ---- Header --------------------------------------------------------------------------------------
sources=(CMakeLists.txt cmake include src tests)
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
first_line() { { "$@" 2>/dev/null || true; } | head -n 1; }
header() {
  local tree=clean nvcc='' flags=''
  [ -z "$(git status --porcelain -- "${sources[@]}" 2>/dev/null)" ] || tree=changed
  nvcc=$(command -v nvcc || echo build/cuda/bin/nvcc)
  flags=$(grep -m 1 '^flags' /proc/cpuinfo || true)
  echo "# commit: $(git rev-parse HEAD 2>/dev/null || echo unknown)"
  echo "# tree: $tree"
  echo "# compiler: $(first_line "$(cached CMAKE_C_COMPILER)" --version)"
  echo "# compiler of C++: $(first_line "$(cached CMAKE_CXX_COMPILER)" --version)"
  echo "# nvcc: $({ "$nvcc" --version 2>/dev/null || echo none; } | tail -n 1)"
  echo "# C library: $(first_line getconf GNU_LIBC_VERSION)"
  echo "# build: $(cached CMAKE_BUILD_TYPE), CUDA $(cached PIXLOSS_CUDA)"
  echo "# built instruction sets: $(cached PIXLOSS_INSTRUCTION_SETS)"
  echo "# built CUDA architectures: $(cached PIXLOSS_CUDA_ARCHITECTURES)"
  echo "# processor: $(tr ' ' '\n' <<<"$flags" |
    grep -xE 'sse2|avx2|fma|bmi|bmi2|popcnt|avx512(f|bw|cd|dq|vl)' | tr '\n' ' ')"
}

# ---- Sections ------------------------------------------------------------------------------------
bits() {
  echo '[bits]'
  unset PXLOSS_TEST_DEVICE PXLOSS_ISA PXLOSS_TEST_LISTS PXLOSS_CUDA_ORDER PXLOSS_CUDA_SEED PXLOSS_CUDA_MISSING PXLOSS_TEST_WORKSPACE
  # Threads that wait sleep: the cases are short, and the machine may be busy.
  OMP_WAIT_POLICY=passive "$build/bin/pixloss_digest"
}
code() {
  local nvcc tools=(--tools "$PWD/build/cuda/bin")
  nvcc=$(command -v nvcc || true)
  [ -z "$nvcc" ] || tools+=(--tools "$(dirname "$(realpath "$nvcc")")")
  echo '[code]'
  python3 scripts/digest.py code "$build" "${tools[@]}"
}
echo "digest: hashing into $file" >&2
{
  header
  [ "$only" = code ] || bits
  [ "$only" = bits ] || code
} >"$file.part"
mv "$file.part" "$file"
[ -z "$against" ] || compare
