#!/bin/sh
# Makes tests/data/known_values.json anew: three environments below build/known_values (3 GB), then runs the script. The versions are
# those at the head of tests/data/make_known_values.py. Needs Python 3.11 (PYTHON=...) and a package index. Takes 5 minutes.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
folder=build/known_values
script=tests/data/make_known_values.py
mkdir -p "$folder"

"$python" -m venv "$folder/main"
pip="$folder/main/bin/pip install --quiet --disable-pip-version-check"
# torch without CUDA: from the index that pip is set up for if it has one, else from PyTorch's own.
$pip torch==2.13.0+cpu || $pip torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
$pip numpy==2.4.6 scikit-image==0.26.0 pillow==13.0.0 pytorch-msssim==1.0.0 torchmetrics==1.9.0 kornia==0.9.0
$pip --no-deps piq==0.8.0 monai==1.6.1
$pip --no-deps --upgrade --target "$folder/old_monai" monai==1.1.0

"$python" -m venv "$folder/tensorflow"
"$folder/tensorflow/bin/pip" install --quiet --disable-pip-version-check tensorflow-cpu==2.21.0 numpy==2.4.6 pillow==13.0.0

export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3 TF_ENABLE_ONEDNN_OPTS=0
exec "$folder/main/bin/python" -W ignore "$script" --tensorflow "$folder/tensorflow/bin/python" --old-monai "$folder/old_monai" "$@"
