"""torchmetrics.functional: mean_squared_error; image metrics as in
torchmetrics.functional.image."""

from __future__ import annotations

from ..._support import covers, evaluate, four_axes, refusing, same_shapes
from . import image

__all__ = ["image", "mean_squared_error"]
REFUSED: dict = {}
__getattr__ = refusing("torchmetrics.functional", REFUSED)


@covers(num_outputs="errors of columns; one number is computed")
def mean_squared_error(preds, target, squared: bool = True, num_outputs: int = 1):
    """The mean of the squared differences, or with squared=False its root. Tensors of any shape."""
    same_shapes(preds, target, RuntimeError)
    return evaluate("mse" if squared else "rmse", four_axes(preds), four_axes(target))
