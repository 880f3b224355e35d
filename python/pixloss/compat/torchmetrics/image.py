"""torchmetrics.image 1.9: metrics as modules that accumulate over batches, with update(),
compute(), reset() and forward()."""

from __future__ import annotations

import math
from typing import Optional, Sequence, Union

import torch

from .._support import UnsupportedError, covers, evaluate, four_axes, refusing, same_shapes
from .functional import image as functional

__all__ = [
    "StructuralSimilarityIndexMeasure",
    "MultiScaleStructuralSimilarityIndexMeasure",
    "PeakSignalNoiseRatio",
    "TotalVariation",
]
REFUSED = {
    "LearnedPerceptualImagePatchSimilarity": "it downloads weights; "
    "functional.image.learned_perceptual_image_patch_similarity takes a network of given ones"
}
__getattr__ = refusing("torchmetrics.image", REFUSED)
_BASE = "synchronisation between processes, which is torchmetrics' own"


class Accumulated(torch.nn.Module):
    """A metric whose state is summed over batches: `_batch` gives a batch's state, `_value` the
    metric of a state."""

    def __init__(self, **kwargs):
        super().__init__()
        if kwargs:
            raise UnsupportedError(f"{', '.join(kwargs)}: {_BASE}")
        self.reset()

    def reset(self) -> None:
        """Forgets all batches."""
        self._batches: list = []

    def update(self, *images) -> None:
        """Adds a batch."""
        with torch.no_grad():
            self._add(*images)

    def _add(self, *images):
        state = self._joined([self._batch(*images)])
        self._batches.append(tuple(part.detach() for part in state))
        return state

    def compute(self):
        """The metric of all batches since the last reset."""
        if not self._batches:
            raise RuntimeError("compute() before update(): there is no batch yet")
        return self._value(self._joined(self._batches))

    def forward(self, *images):
        """Adds a batch, and returns its own metric, differentiable."""
        return self._value(self._add(*images))

    @staticmethod
    def _joined(batches):
        return tuple(torch.cat([part.reshape(-1) for part in column]) for column in zip(*batches))


class _PerImage(Accumulated):
    """A metric that reduces one value for each image."""

    def __init__(self, reduction, **kwargs):
        if reduction not in ("elementwise_mean", "sum", "none", None):
            raise ValueError(
                f"reduction is {reduction!r}; 'elementwise_mean', 'sum' or 'none' is needed"
            )
        self.reduction = reduction
        super().__init__(**kwargs)

    def _batch(self, preds, target):
        if self.reduction == "elementwise_mean":  # counts for each image
            return (self._function(preds, target, **self._arguments).expand(preds.shape[0]),)
        return (self._function(preds, target, reduction="none", **self._arguments),)

    def _value(self, state):
        return {"elementwise_mean": torch.mean, "sum": torch.sum}.get(
            self.reduction, lambda values: values
        )(state[0])


@covers(
    return_full_image=functional._MAPS, return_contrast_sensitivity=functional._MAPS, kwargs=_BASE
)
class StructuralSimilarityIndexMeasure(_PerImage):
    """SSIM over batches."""

    _function = staticmethod(functional.structural_similarity_index_measure)

    def __init__(
        self,
        gaussian_kernel: bool = True,
        sigma: Union[float, Sequence[float]] = 1.5,
        kernel_size: Union[int, Sequence[int]] = 11,
        reduction: Optional[str] = "elementwise_mean",
        data_range: Optional[Union[float, tuple]] = None,
        k1: float = 0.01,
        k2: float = 0.03,
        return_full_image: bool = False,
        return_contrast_sensitivity: bool = False,
        **kwargs,
    ):
        super().__init__(reduction, **kwargs)
        self._arguments = dict(
            gaussian_kernel=gaussian_kernel,
            sigma=sigma,
            kernel_size=kernel_size,
            data_range=data_range,
            k1=k1,
            k2=k2,
        )


@covers(kwargs=_BASE)
class MultiScaleStructuralSimilarityIndexMeasure(_PerImage):
    """MS-SSIM over batches."""

    _function = staticmethod(functional.multiscale_structural_similarity_index_measure)

    def __init__(
        self,
        gaussian_kernel: bool = True,
        kernel_size: Union[int, Sequence[int]] = 11,
        sigma: Union[float, Sequence[float]] = 1.5,
        reduction: Optional[str] = "elementwise_mean",
        data_range: Optional[Union[float, tuple]] = None,
        k1: float = 0.01,
        k2: float = 0.03,
        betas: tuple = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
        normalize: Optional[str] = "relu",
        **kwargs,
    ):
        super().__init__(reduction, **kwargs)
        self._arguments = dict(
            gaussian_kernel=gaussian_kernel,
            sigma=sigma,
            kernel_size=kernel_size,
            data_range=data_range,
            k1=k1,
            k2=k2,
            betas=betas,
            normalize=normalize,
        )


class _MeanSquare(Accumulated):
    """State: the sum of squared differences, and their number."""

    def _batch(self, preds, target):
        same_shapes(preds, target, RuntimeError)
        total = evaluate("mse(reduction=sum)", four_axes(preds), four_axes(target))
        return total, torch.tensor(preds.numel(), device=total.device)

    @staticmethod
    def _mean(state):
        return state[0].sum() / state[1].sum()


@covers(kwargs=_BASE)
class PeakSignalNoiseRatio(Accumulated):
    """PSNR over batches: of the error of all pixels, or with dim=(1, 2, 3) of each image's."""

    def __init__(
        self,
        data_range: Union[float, tuple],
        base: float = 10.0,
        reduction: Optional[str] = "elementwise_mean",
        dim: Optional[Union[int, tuple]] = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.data_range = data_range
        self.base = base
        self.reduction = reduction
        self.dim = dim

    def _batch(self, preds, target):
        if self.dim is not None:
            return (
                functional.peak_signal_noise_ratio(
                    preds, target, self.data_range, self.base, "none", self.dim
                ),
            )
        preds, target, _ = functional._ranged(preds, target, self.data_range)
        return _MeanSquare._batch(self, preds, target)

    def _value(self, state):
        if self.dim is not None:
            return _PerImage._value(self, state)
        largest = (
            self.data_range[1] - self.data_range[0]
            if isinstance(self.data_range, tuple)
            else self.data_range
        )
        return (
            10
            * torch.log10(largest**2 / _MeanSquare._mean(state))
            * (math.log(10) / math.log(self.base))
        )


@covers(kwargs=_BASE)
class TotalVariation(_PerImage):
    """Total variation over batches: the sum over images, their mean, or each image's."""

    def __init__(self, reduction: Optional[str] = "sum", **kwargs):
        super().__init__("elementwise_mean" if reduction == "mean" else reduction, **kwargs)

    def _batch(self, img):
        return (functional.total_variation(img, "none"),)
