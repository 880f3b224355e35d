#!/usr/bin/env python3
"""Writes compat_signatures.json: the parameters and defaults of what pixloss.compat covers, from
the packages themselves.

    pip install pytorch-msssim==1.0.0 scikit-image==0.26.0 torchmetrics==1.9.0 kornia==0.9.0
    pip install --no-deps piq==0.8.0
    python python/tests/make_compat_signatures.py

piq imports torchvision for networks that are not used: a stub stands in. fused-ssim, which takes a
GPU to install, is written from its source, fused_ssim/__init__.py.
"""

import importlib
import inspect
import json
import pathlib
import sys
import types

FUSED_SSIM = {"fused_ssim": {"img1": None, "img2": None, "padding": "'same'", "train": "True"}}


def import_package(name):
    """The module, with a stub of torchvision for piq alone: the other packages look for the real
    one."""
    if not name.startswith("piq") or "piq" in sys.modules:
        return importlib.import_module(name)
    import torch

    stub, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.vgg16 = models.vgg19 = None
    models.inception = types.SimpleNamespace(
        **{f"Inception{letter}": torch.nn.Module for letter in "ABCDE"}
    )
    stub.models = models
    sys.modules.update({"torchvision": stub, "torchvision.models": models})
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules["torchvision"], sys.modules["torchvision.models"]


def parameters_of(function):
    call = function.__init__ if inspect.isclass(function) else function
    if call.__module__.startswith("torch.nn"):  # a module without parameters of its own
        return {}
    return {
        name: None if p.default is p.empty else repr(p.default)
        for name, p in inspect.signature(call).parameters.items()
        if name != "self"
    }


def signatures(rows):
    found = {"fused_ssim": FUSED_SSIM}
    for module_name in sorted(
        {module for module, _, _, reason in rows if reason is None and module != "fused_ssim"}
    ):
        module = import_package(module_name)
        names = [name for m, name, _, reason in rows if m == module_name and reason is None]
        found[module_name] = {name: parameters_of(getattr(module, name)) for name in sorted(names)}
    return found


if __name__ == "__main__":
    import pixloss.compat

    path = pathlib.Path(__file__).with_name("compat_signatures.json")
    path.write_text(
        json.dumps(signatures(pixloss.compat.table()), indent=1) + "\n", encoding="utf-8"
    )
    print(path)
