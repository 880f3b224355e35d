"""pixloss: image losses and their exact gradients in one pass over memory.

    # NumPy, CuPy, DLPack, buffers
    pixloss.evaluate("0.84*ssim + 0.16*l1", pred, target, layout="NCHW", gradient=True)
    pixloss.compare("original.png", "compressed.jpg")  # every metric of two images
    pixloss.operators.sobel(image)  # the filters, with adjoints

    import pixloss.torch
    pixloss.torch.Loss("0.84*ssim + 0.16*l1")(pred, target).backward()
    import pixloss.compat.pytorch_msssim as pytorch_msssim  # the one changed line of a script

Importing the package imports no framework and does not load the library: that happens at the first
use, so that a framework imported meanwhile shares its OpenMP runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ._errors import (
    ArgumentError,
    DeviceError,
    Error,
    FileError,
    OutOfMemoryError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from . import compat, operators, torch
    from ._compare import compare
    from ._evaluate import Evaluation, evaluate
    from .info import devices, fields, presets, terms, version
    from .networks import Network

__all__ = [
    "evaluate",
    "Evaluation",
    "compare",
    "operators",
    "Network",
    "terms",
    "fields",
    "presets",
    "devices",
    "version",
    "Error",
    "ArgumentError",
    "UnsupportedError",
    "OutOfMemoryError",
    "FileError",
    "DeviceError",
]

_HOMES = {
    "evaluate": "_evaluate",
    "Evaluation": "_evaluate",
    "compare": "_compare",
    "Network": "networks",
    "terms": "info",
    "fields": "info",
    "presets": "info",
    "devices": "info",
    "version": "info",
}
_MODULES = ("operators", "networks", "torch", "compat", "info")


def __getattr__(name: str):
    if name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    elif name == "__version__":
        value = __getattr__("version")()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOMES, *_MODULES, "__version__"})
