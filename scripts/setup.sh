#!/usr/bin/env bash
# Installs what building and testing pixloss needs and this machine lacks, by apt (Debian, Ubuntu). Does nothing where all is there.
#   scripts/setup.sh                   compilers, cmake, the libraries
#   scripts/setup.sh --tests           what some tests ask for too: doxygen (the reference), lintian (the Debian packages), clang with
#                                      its OpenMP (forks), zsh and fish (completions)
#   scripts/setup.sh --fuzz            clang with its sanitizers too
#   scripts/setup.sh --dev             the same, clang-format and clang-tidy
#   scripts/setup.sh --coverage        gcovr
#   scripts/setup.sh --cuda            too, where there is no nvcc with its runtime: NVIDIA's compiler, runtime, cuBLAS, cuDNN, NVRTC
#                                      (wheels from PyPI: 960 MB, unpacked 1.5 GB) into build/cuda, laid out as a toolkit, where
#                                      CMake looks for it
#   scripts/setup.sh --cuda-compiler   the same without cuBLAS and cuDNN (120 MB, unpacked 280), which networks on a GPU take
# With --cuda..., also cuobjdump and nvdisasm where they are missing: the build's check for spills reads machine code with them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages=(cmake ninja-build gcc g++ pkg-config libgtest-dev libbenchmark-dev libpng-dev libjpeg62-turbo-dev libtiff-dev
  libcairo2-dev libcli11-dev nlohmann-json3-dev libjansson-dev libdnnl-dev fonts-dejavu-core dpkg-dev file)
wheels=()
compiler=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85)
# With NVRTC cuDNN compiles what it fuses.
libraries=(nvidia-cublas==13.0.2.14 nvidia-cudnn-cu13==9.19.0.56 nvidia-cuda-nvrtc==13.0.88)
disassembler=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)

folder=$root/build/cuda
# Prints the toolkit of the nvcc $1, if it is whole: with the runtime's headers and its static library, as CMake wants it. nvcc may
# be a script or a link, but it knows where its toolkit is.
whole_toolkit() {
  local said top
  said=$("$1" --dryrun -E -x cu /dev/null 2>&1) || return 1
  top=$(realpath -e "$(sed -n 's/^#\$ TOP=//p' <<<"$said")" 2>/dev/null) || return 1
  [ -e "$top/include/cuda_runtime.h" ] || return 1
  [ -e "$top/lib64/libcudart_static.a" ] || [ -e "$top/lib/libcudart_static.a" ] || return 1
  echo "$top"
}
# The first whole one in the order in which CMake looks: what the user names, build/cuda, PATH, the usual place.
find_toolkit() {
  local nvcc
  for nvcc in "${CUDACXX-}" ${CUDA_PATH:+"$CUDA_PATH/bin/nvcc"} ${CUDA_HOME:+"$CUDA_HOME/bin/nvcc"} "$folder/bin/nvcc" \
    nvcc /usr/local/cuda/bin/nvcc; do
    command -v "$nvcc" >/dev/null || continue
    whole_toolkit "$nvcc" && return 0
    echo "setup: $nvcc is passed over: no cuda_runtime.h or no libcudart_static.a in its toolkit" >&2
  done
  return 1
}
have_tool() { [ -x "$folder/bin/$1" ] || [ -x "$toolkit/bin/$1" ] || command -v "$1" >/dev/null; }
want_compiler() {
  local toolkit
  toolkit=$(find_toolkit) || wheels+=("${compiler[@]}")
  if ! have_tool cuobjdump || ! have_tool nvdisasm; then wheels+=("${disassembler[@]}"); fi
}
want_libraries() {
  if [ ! -e "$folder/lib64/libcudnn.so.9" ] || [ ! -e "$folder/lib64/libnvrtc.so.13" ]; then wheels+=("${libraries[@]}"); fi
}
for argument in "$@"; do
  case "$argument" in
    --tests) packages+=(doxygen lintian clang libomp-dev zsh fish) ;;
    --coverage) packages+=(gcovr) ;;
    --fuzz) packages+=(clang libclang-rt-dev) ;;
    --dev) packages+=(clang libclang-rt-dev clang-format clang-tidy) ;;
    --cuda) want_compiler; want_libraries ;;
    --cuda-compiler) want_compiler ;;
    -h | --help) sed -n '2,13s/^# \?//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option '$argument' (there are --tests, --coverage, --fuzz, --dev, --cuda, --cuda-compiler)" >&2; exit 2 ;;
  esac
done
has_pip() { python3 -m pip --version >/dev/null 2>&1; }
if [ ${#wheels[@]} -gt 0 ] && ! has_pip; then packages+=(python3 python3-venv); fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup.sh: no apt here. Install by your own package manager: ${packages[*]}" >&2
  exit 1
fi

# A package counts as installed, too, when another one that is installed provides it: pkgconf for pkg-config, libjpeg-turbo8-dev ...
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
have() {
  case "$1" in
    pkg-config) command -v pkg-config >/dev/null ;;
    libclang-rt-dev) compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*' >/dev/null ;;
    libjpeg62-turbo-dev) installed "$1" || installed libjpeg-turbo8-dev || installed libjpeg8-dev || installed libjpeg-dev ;;
    *) installed "$1" ;;
  esac
}
missing=()
for package in "${packages[@]}"; do have "$package" || missing+=("$package"); done

install_wheels() {
  [ ${#wheels[@]} -gt 0 ] || return 0
  local python=python3 wheel name files=$folder/wheels/nvidia
  mkdir -p "$folder/download"
  if ! has_pip; then
    python=$folder/venv/bin/python
    "$python" -m pip --version >/dev/null 2>&1 || python3 -m venv "$folder/venv"
  fi
  echo "setup: bringing ${wheels[*]} into build/cuda" >&2
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder/download" \
    "${wheels[@]}" >"$folder/pip.log" 2>&1 || {
    tail -n 15 "$folder/pip.log" >&2
    echo "setup.sh: pip could not download ${wheels[*]}; what it said is in build/cuda/pip.log" >&2
    [ "${wheels[*]}" = "${disassembler[*]}" ] && return 0 # the build does without: it takes every spill for one inside a loop
    exit 1
  }
  for wheel in "$folder"/download/*.whl; do "$python" -m zipfile -e "$wheel" "$folder/wheels"; done
  rm -r "$folder/download"
  # A toolkit's layout: bin, include, lib64, nvvm. Unpacking loses the mode of programs.
  find "$files" -path '*/bin/*' -type f -exec chmod +x {} +
  for name in bin include lib nvvm; do
    [ ! -d "$files/cu13/$name" ] || ln -sfn "wheels/nvidia/cu13/$name" "$folder/$name"
  done
  # nvcc looks for lib64 beside the folder that bin stands for, CMake beside bin.
  [ ! -d "$files/cu13/lib" ] || { ln -sfn lib "$files/cu13/lib64"; ln -sfn lib "$folder/lib64"; }
  for name in include lib; do
    [ ! -d "$files/cudnn/$name" ] || ln -sf "$files/cudnn/$name"/* "$files/cu13/$name/"
  done
  for name in "$files"/cu13/lib/lib*.so.*; do # wheels have libx.so.1 alone; -lx looks for libx.so
    [ ! -e "$name" ] || ln -sfn "$(basename "$name")" "${name%%.so.*}.so"
  done
}
if [ ${#missing[@]} -eq 0 ]; then
  install_wheels
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: missing: ${missing[*]}. Neither root nor sudo here: have them installed by: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo)
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
failed() {
  tail -n 15 "$log" >&2
  echo "setup.sh: $1" >&2
  exit 1
}

echo "setup: installing ${missing[*]}" >&2
# An update that fails (one dead mirror among several) is no reason to stop: the install below tells.
apt update || true
for i in "${!missing[@]}"; do # Ubuntu has no libjpeg62-turbo-dev, and the sanitizers with clang itself
  apt-cache show "${missing[$i]}" >/dev/null 2>&1 && continue
  case "${missing[$i]}" in
    libjpeg62-turbo-dev) missing[$i]=libjpeg-dev ;;
    libclang-rt-dev) missing[$i]=clang ;;
  esac
done
apt install --no-install-recommends "${missing[@]}" || failed "apt-get could not install ${missing[*]}"
install_wheels
