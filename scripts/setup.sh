#!/usr/bin/env bash
# Installs what building and testing pixloss needs and this machine lacks, by apt (Debian, Ubuntu). Does nothing where all is there.
#   scripts/setup.sh                   compilers, cmake, the libraries
#   scripts/setup.sh --dev             clang with its sanitizers, clang-format and clang-tidy too
#   scripts/setup.sh --cuda            too, where there is no nvcc: NVIDIA's compiler, runtime, cuBLAS and cuDNN (1 GB of wheels
#                                      from PyPI) into build/cuda, laid out as a toolkit, where CMake looks for it
#   scripts/setup.sh --cuda-compiler   the same without cuBLAS and cuDNN (120 MB), which nothing in this version uses
# With --cuda..., also cuobjdump and nvdisasm where they are missing: the build's check for spills reads machine code with them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

packages=(cmake ninja-build gcc g++ pkg-config libgtest-dev libbenchmark-dev libpng-dev libjpeg62-turbo-dev libtiff-dev
  libcairo2-dev libcli11-dev nlohmann-json3-dev libjansson-dev libdnnl-dev fonts-dejavu-core)
wheels=()
compiler=(nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85)
libraries=(nvidia-cublas==13.0.2.14 nvidia-cudnn-cu13==9.19.0.56)
disassembler=(nvidia-cuda-cuobjdump==13.2.51 nvidia-cuda-nvdisasm==13.2.51)

folder=$root/build/cuda
# Below the folder, in PATH, where CUDACXX points to, or in the usual place: where CMake looks, too.
have_cuda() {
  [ -x "$folder/bin/$1" ] || command -v "$1" >/dev/null || [ -x "/usr/local/cuda/bin/$1" ] ||
    { [ -n "${CUDACXX-}" ] && [ -x "$(dirname "$CUDACXX")/$1" ]; }
}
want_compiler() {
  if ! have_cuda nvcc; then wheels+=("${compiler[@]}"); fi
  if ! have_cuda cuobjdump || ! have_cuda nvdisasm; then wheels+=("${disassembler[@]}"); fi
}
want_libraries() {
  if [ ! -e "$folder/lib64/libcudnn.so.9" ]; then wheels+=("${libraries[@]}"); fi
}
for argument in "$@"; do
  case "$argument" in
    --dev) packages+=(clang libclang-rt-dev clang-format clang-tidy) ;;
    --cuda) want_compiler; want_libraries ;;
    --cuda-compiler) want_compiler ;;
    -h | --help) sed -n '2,8s/^# \?//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option '$argument' (there are --dev, --cuda, --cuda-compiler)" >&2; exit 2 ;;
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
  [ ! -d "$files/cu13/lib" ] || ln -sfn lib "$folder/lib64"
  for name in include lib; do
    [ ! -d "$files/cudnn/$name" ] || ln -sf "$files/cudnn/$name"/* "$files/cu13/$name/"
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
