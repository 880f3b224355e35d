#!/usr/bin/env bash
# The Python package as a user gets it: builds the sdist, installs it in a fresh environment, runs python/tests.
#   scripts/python_test.sh --setup [--full]   brings what the tests take beside the package into build/python/base, which is kept: torch
#                                             for the CPU (200 MB), NumPy, Pillow, pytest; --full: the packages of the drop-ins (300 MB)
#   scripts/python_test.sh [--full]           the rest, with SSE2's kernels alone; --full: all kernels, and the drop-ins beside their packages
#   scripts/python_test.sh -- ARGUMENTS       with arguments for pytest
# PYTHON in the environment names another interpreter than python3. Ends with 3 if there is no venv, or no package index that answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setup=no full=no
while [ $# -gt 0 ]; do
  case "$1" in
    --setup) setup=yes ;;
    --full) full=yes ;;
    --) shift; break ;;
    -h | --help) sed -n '2,7s/^# \?//p' "$0"; exit 0 ;;
    *) echo "python_test.sh: unknown option '$1' (there are --setup, --full, --)" >&2; exit 2 ;;
  esac
  shift
done
python=${PYTHON:-python3}
folder=$PWD/build/python
base=$folder/base/bin/python
install() { "$1" -m pip install --quiet --disable-pip-version-check "${@:2}"; }
# A package that is not there is an error, an index that does not answer is none.
missing() {
  "$base" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder/download" pip >/dev/null 2>&1 && exit 1
  exit 3
}

if [ "$setup" = yes ]; then
  [ -x "$base" ] || "$python" -m venv "$folder/base" || exit 3
  install "$base" torch==2.13.0 numpy pillow pytest build || missing
  [ "$full" = no ] || {
    install "$base" pytorch-msssim==1.0.0 scikit-image==0.26.0 torchmetrics==1.9.0 kornia==0.9.0 &&
      install "$base" --no-deps piq==0.8.0 # asks for torchvision, for networks that are not used
  } || missing
  exit 0
fi

rm -rf "$folder/dist" "$folder/fresh"
"$base" -m build --sdist --outdir "$folder/dist" . >"$folder/sdist.log" 2>&1 || { tail -n 20 "$folder/sdist.log"; exit 1; }
"$base" -m venv "$folder/fresh"
fresh=$folder/fresh/bin/python
options=(-C cmake.define.PIXLOSS_CUDA=OFF)
[ "$full" = yes ] || options+=(-C cmake.define.PIXLOSS_INSTRUCTION_SETS=)
CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) install "$fresh" "$folder"/dist/*.tar.gz "${options[@]}"
# The package lies in the fresh environment alone; what else the tests import is the other's.
"$base" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$("$fresh" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
unset PIXLOSS_LIBRARY PYTHONPATH
program=build/release/bin/pixloss
[ ! -x "$program" ] || export PIXLOSS_PROGRAM=$PWD/$program
PYTHONDONTWRITEBYTECODE=1 "$fresh" tests/test_convert_weights.py # by ctest only where python3 itself has torch
[ "$full" = yes ] && set -- "$@" || set -- -m "not slow" "$@"
"$fresh" -m pytest -q -rs -p no:cacheprovider --durations=10 "$@" python/tests
