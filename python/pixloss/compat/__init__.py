"""Drop-ins: modules with the names, parameters and values of other packages, so that a script
changes one line.

    import pixloss.compat.pytorch_msssim as pytorch_msssim
    from pixloss.compat.skimage.metrics import structural_similarity
    from pixloss.compat.torchmetrics.functional.image import structural_similarity_index_measure
    import pixloss.compat.piq as piq

Each name takes the package's parameters with their defaults. A value that is not computed raises
pixloss.UnsupportedError with the reason; table() lists every name, parameter and refusal. The
packages themselves need not be installed.
"""

from __future__ import annotations

import importlib

MODULES = (
    "pytorch_msssim",
    "fused_ssim",
    "skimage.metrics",
    "torchmetrics.functional",
    "torchmetrics.functional.image",
    "torchmetrics",
    "torchmetrics.image",
    "piq",
    "kornia.metrics",
    "kornia.losses",
)


def table() -> list:
    """A row for each name: (module, name, {parameter: None, or why other values than the default
    are refused}, reason). A name that is refused as a whole has no parameters, and a reason."""
    rows = []
    for module_name in MODULES:
        module = importlib.import_module(f"{__name__}.{module_name}")
        for name, covered in sorted(vars(module).items()):
            if hasattr(covered, "__covers__"):
                rows.append((module_name, name, covered.__covers__, None))
        rows += [(module_name, name, {}, reason) for name, reason in sorted(module.REFUSED.items())]
    return rows


def markdown() -> str:
    """table() as Markdown, for python/README.md."""
    lines = ["| name | parameters | refused |", "|---|---|---|"]
    for module, name, parameters, reason in table():
        taken = ", ".join(parameter for parameter, why in parameters.items() if why is None)
        refused = reason or "; ".join(
            f"`{parameter}`: {why}" for parameter, why in parameters.items() if why
        )
        lines.append(f"| `{module}.{name}` | {taken} | {refused} |")
    return "\n".join(lines) + "\n"
