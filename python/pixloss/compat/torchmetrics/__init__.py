"""torchmetrics 1.9, for the metrics that terms exist for: `import pixloss.compat.torchmetrics as
torchmetrics`."""

from __future__ import annotations

from .._support import covers, refusing
from . import functional, image
from .image import _BASE, _MeanSquare

__all__ = ["functional", "image", "MeanSquaredError"]
REFUSED: dict = {}
__getattr__ = refusing("torchmetrics", REFUSED)


@covers(num_outputs="errors of columns; one number is computed", kwargs=_BASE)
class MeanSquaredError(_MeanSquare):
    """The mean squared error over batches, or with squared=False its root."""

    def __init__(self, squared: bool = True, num_outputs: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.squared = squared

    def _value(self, state):
        return self._mean(state) if self.squared else self._mean(state).sqrt()
