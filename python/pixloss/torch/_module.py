"""pixloss.torch.Loss."""

from __future__ import annotations

from typing import Optional

import torch

from .. import _loss
from .. import _terms
from .._errors import ArgumentError
from . import _eager, _operator, _run

_is_exporting = getattr(torch.compiler, "is_exporting", lambda: False)  # torch >= 2.7


def _in_words(data_range):
    """As the operator takes it: None, a number, or -1 for "auto"."""
    if data_range is None or data_range == "auto":
        return None if data_range is None else -1.0
    return float(data_range)


def evaluate(loss, key, pred, target, mask, term_weights, data_range, per_image):
    """(total, values): one path for modules and functions. `loss` is None in a graph, where `key`
    names it."""
    if not (isinstance(pred, torch.Tensor) and isinstance(target, torch.Tensor)):
        _run.check_images(pred, target)
    pred, target = _run.comparable(pred, target)
    if loss is not None and data_range is not None:
        loss = loss.with_data_range(data_range)
    if mask is not None or term_weights is not None or pred.shape != target.shape:
        _run.check_images(pred, target)
        mask = mask if mask is None else _run.prepare_mask(mask, pred)
        if term_weights is not None:
            count = len((loss or _operator._find(key, None)).names)
            term_weights = _run.prepare_weights(term_weights, count, pred)
    if loss is None:
        return _operator.evaluate(
            key, _in_words(data_range), pred, target, mask, term_weights, per_image
        )
    return _eager.evaluate(loss, pred, target, mask, term_weights, per_image)


class Loss(torch.nn.Module):
    """A weighted sum of image losses as a module: `Loss("0.84*ssim + 0.16*l1")(pred,
    target).backward()`.

    expression: README.md has the grammar; pixloss.terms() and pixloss.fields(term) list what there
        is. ssim, ms_ssim, lpips, ... are distances, 0 for equal images.
    reduction: "mean", one total for the batch as the terms' own reductions make it; "none", one for
        each image (N), each with its own upstream gradient.
    data_range: L of SSIM, PSNR and networks for terms that state none; a number or "auto". By
        default 1 for floats, 255 for uint8.
    networks: {name: pixloss.Network} for net=name; a term without net takes the one called vgg16,
        or the only one.
    threads: at most so many on the CPU; 0: as many as OpenMP would use.
    """

    def __init__(
        self,
        expression: str,
        *,
        reduction: str = "mean",
        data_range=None,
        networks: Optional[dict] = None,
        threads: int = 0,
    ):
        super().__init__()
        if reduction not in ("mean", "none"):
            raise ArgumentError(
                f"reduction is {reduction!r}; 'mean' or 'none' is needed (a term's own stands in "
                "the expression: 'l1(reduction=sum)')"
            )
        self.expression = expression
        self.reduction = reduction
        self.data_range = data_range
        self.networks = dict(networks or {})
        self.threads = threads
        self._per_image = reduction == "none"
        self._open()

    def _open(self) -> None:
        """The parts that are this process's: not copied, not pickled."""
        self._core = _loss.cached(self.expression, self.threads, self.networks)
        self._key = _operator.key_of(self.expression, self.threads, self.networks)
        # The values of the last call, in a list: when a module's attributes change, Dynamo checks
        # it anew.
        self._last = [None]

    def __getstate__(self):
        state = self.__dict__.copy()
        for name in ("_core", "_key", "_last"):
            state.pop(name, None)
        return state

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        self._open()

    def forward(self, pred, target, mask=None, term_weights=None, data_range=None):
        """The total: a scalar (reduction="none": N of them) on pred's device, float32 (float64 for
        such images); nothing waits for a GPU.

        pred, target: N x C x H x W of any strides, floats in [0, data_range] or uint8. Of two types
            they are compared in the wider one.
        mask: weights >= 0 of pixels, H x W, N x H x W or N x 1 x H x W.
        term_weights: one for each term in place of the expression's; a tensor may require a
            gradient, which is the term's value.
        data_range: in place of the module's.
        """
        if data_range is None:
            data_range = self.data_range
        if torch.compiler.is_compiling():
            total, last = evaluate(
                None, self._key, pred, target, mask, term_weights, data_range, self._per_image
            )
            if not _is_exporting():  # an exported program has no state but its buffers
                self._last[0] = last
            return total
        total, self._last[0] = evaluate(
            self._core, None, pred, target, mask, term_weights, data_range, self._per_image
        )
        return total

    @property
    def terms(self) -> dict:
        """{name of a term: its value in the last call, without its weight}, detached: for logs.
        Scalars, or N of each with reduction="none"."""
        values = self._last[0]
        if values is None:
            return {}
        columns = len(self._core.names) + 1
        if isinstance(values, torch.Tensor):
            matrix = values.detach().reshape(-1, columns)
        else:
            matrix = _run.matrix_of(values, len(values) // columns)
        matrix = matrix.float()
        return {
            label: matrix[:, i + 1] if self._per_image else matrix[0, i + 1]
            for i, label in enumerate(self._core.labels)
        }

    def extra_repr(self) -> str:
        given = {
            "reduction": self.reduction,
            "data_range": self.data_range,
            "networks": list(self.networks),
            "threads": self.threads,
        }
        plain = {"reduction": "mean", "data_range": None, "networks": [], "threads": 0}
        return ", ".join(
            [repr(self.expression), *(f"{k}={v!r}" for k, v in given.items() if v != plain[k])]
        )
