#!/usr/bin/env bash
# Shows what pixloss does: builds it, recovers a blurred and noisy photograph by descent on three losses, compares two images,
# measures the speed. The pictures are in build/demo. A few minutes on a small machine, most of them the first build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for argument in "$@"; do
  case "$argument" in
    -h | --help) sed -n '2,3s/^# \?//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown argument '$argument' (it takes none)" >&2; exit 2 ;;
  esac
done
scripts/setup.sh
log=build/demo/build.log
mkdir -p build/demo
echo "demo: building (log in $log)" >&2
# For the GPU that is here; without one there is nothing to show on it, and seven architectures take minutes.
cuda=-DPIXLOSS_CUDA=OFF
if nvidia-smi -L >/dev/null 2>&1; then cuda=-DPIXLOSS_CUDA_ARCHITECTURES=native; fi
if ! { cmake --preset release "$cuda" -DPIXLOSS_BUILD_TESTS=OFF -DPIXLOSS_BUILD_BENCH=OFF -B build/demo/cmake &&
  cmake --build build/demo/cmake --target pixloss_program; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "demo: the build failed, see $log" >&2
  exit 1
fi
pixloss=build/demo/cmake/bin/pixloss
image=examples/images/coffee.png

echo
"$pixloss" info
echo
echo "== Recover $image from a blurred and noisy copy: the same descent on three losses"
"$pixloss" fit --loss mse --loss '0.84*ssim + 0.16*l1' --loss '0.8*l1 + 0.2*ssim + 0.05*sobel' --out build/demo/coffee.png "$image" \
  >build/demo/fit.txt
echo
echo "== Compare the photograph with a JPEG of it"
"$pixloss" compare --loss '0.84*ssim + 0.16*l1' --map build/demo/coffee-ssim.png "$image" examples/images/coffee-q25.jpg
echo
echo "== Speed"
"$pixloss" bench --size 4x3x720x1280
echo
echo "== Recovered"
sed '/^$/,$d' build/demo/fit.txt # the table, without the list of files
echo
echo "Pictures in $PWD:"
printf '  %-30s %s\n' "build/demo/coffee.png" "original, degraded, recovered" \
  "build/demo/coffee-curves.png" "PSNR over the steps of the descent" \
  "build/demo/coffee-ssim.png" "where the JPEG differs, as SSIM sees it"
