#!/usr/bin/env bash
# Installs what building and testing pixloss needs and this machine lacks, by apt (Debian, Ubuntu). Does nothing where all is there.
#   scripts/setup.sh         compilers, cmake, the libraries
#   scripts/setup.sh --dev   clang, clang-format and clang-tidy too
set -euo pipefail

packages=(cmake ninja-build gcc g++ pkg-config libgtest-dev libbenchmark-dev libpng-dev libjpeg62-turbo-dev libtiff-dev
  libcairo2-dev libcli11-dev nlohmann-json3-dev fonts-dejavu-core)
for argument in "$@"; do
  case "$argument" in
    --dev) packages+=(clang clang-format clang-tidy) ;;
    -h | --help) sed -n '2,4s/^# \?//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option '$argument' (there is --dev)" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup.sh: no apt here. Install by your own package manager: ${packages[*]}" >&2
  exit 1
fi

# A package counts as installed, too, when another one that is installed provides it: pkgconf for pkg-config, libjpeg-turbo8-dev ...
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
have() {
  case "$1" in
    pkg-config) command -v pkg-config >/dev/null ;;
    libjpeg62-turbo-dev) installed "$1" || installed libjpeg-turbo8-dev || installed libjpeg8-dev || installed libjpeg-dev ;;
    *) installed "$1" ;;
  esac
}
missing=()
for package in "${packages[@]}"; do have "$package" || missing+=("$package"); done
[ ${#missing[@]} -eq 0 ] && exit 0

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
for i in "${!missing[@]}"; do # Ubuntu has no libjpeg62-turbo-dev
  if [ "${missing[$i]}" = libjpeg62-turbo-dev ] && ! apt-cache show libjpeg62-turbo-dev >/dev/null 2>&1; then missing[$i]=libjpeg-dev; fi
done
apt install --no-install-recommends "${missing[@]}" || failed "apt-get could not install ${missing[*]}"
