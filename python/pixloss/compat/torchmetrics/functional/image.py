"""torchmetrics.functional.image 1.9: SSIM, MS-SSIM, PSNR, total variation, LPIPS."""

from __future__ import annotations

import math
from typing import Optional, Sequence, Union

from ..._support import (
    ArgumentError,
    UnsupportedError,
    covers,
    evaluate,
    four_axes,
    joined_range,
    network_of,
    reduced,
    refusing,
    same_shapes,
    term,
    text_of,
)

__all__ = [
    "structural_similarity_index_measure",
    "multiscale_structural_similarity_index_measure",
    "peak_signal_noise_ratio",
    "total_variation",
    "learned_perceptual_image_patch_similarity",
]
REFUSED: dict = {}
__getattr__ = refusing("torchmetrics.functional.image", REFUSED)
_MAPS = "maps are not differentiable here; pixloss.evaluate(map=True) gives that of SSIM"


def _axes(name: str, value):
    """One value, or the two of an image's axes."""
    if isinstance(value, Sequence) and len(value) != 2:
        raise ValueError(
            f"`{name}` has dimension {len(value)}, but expected to be two less that target "
            "dimensionality, which is: 4"
        )
    return tuple(value) if isinstance(value, Sequence) else value


def _ranged(preds, target, data_range):
    """Images and range: a pair clamps them, none is that of the batch."""
    if isinstance(data_range, tuple):
        low, high = data_range
        return preds.clamp(low, high), target.clamp(low, high), high - low
    return preds, target, joined_range(preds, target) if data_range is None else float(data_range)


def _window(gaussian_kernel: bool, sigma, kernel_size) -> dict:
    sigma, kernel_size = _axes("sigma", sigma), _axes("kernel_size", kernel_size)
    # Of a Gaussian torchmetrics takes the taps from sigma, whatever kernel_size says
    return {"sigma": sigma} if gaussian_kernel else {"uniform": True, "window": kernel_size}


def _similarity(loss: str, preds, target, reduction, data_range):
    same_shapes(preds, target, RuntimeError)
    if preds.dim() != 4:
        raise UnsupportedError(
            f"images of shape {tuple(preds.shape)}: N x C x H x W is computed; volumes are not"
        )
    # For the mean the preset takes the range from the batch, without waiting for the device
    if data_range is None and reduction == "elementwise_mean":
        return 1 - reduced(loss, preds, target, reduction)
    if data_range is None and loss.startswith("ms_ssim") and preds.shape[0] > 1:
        raise UnsupportedError(
            f"data_range=None, reduction={reduction!r}: each scale's range over the batch is "
            "computed with the mean alone; give a data_range"
        )
    preds, target, data_range = _ranged(preds, target, data_range)
    if reduction == "sum":
        return preds.shape[0] - reduced(loss, preds, target, reduction, data_range=data_range)
    return 1 - reduced(loss, preds, target, reduction, data_range=data_range)


@covers(return_full_image=_MAPS, return_contrast_sensitivity=_MAPS)
def structural_similarity_index_measure(
    preds,
    target,
    gaussian_kernel: bool = True,
    sigma: Union[float, Sequence[float]] = 1.5,
    kernel_size: Union[int, Sequence[int]] = 11,
    reduction: Optional[str] = "elementwise_mean",
    data_range: Optional[Union[float, tuple]] = None,
    k1: float = 0.01,
    k2: float = 0.03,
    return_full_image: bool = False,
    return_contrast_sensitivity: bool = False,
):
    """SSIM of N x C x H x W images; reduction "elementwise_mean", "sum" or "none" of one value for
    each image."""
    loss = term(
        "ssim",
        preset="torchmetrics",
        border="reflect",
        k1=k1,
        k2=k2,
        **_window(gaussian_kernel, sigma, kernel_size),
    )
    return _similarity(loss, preds, target, reduction, data_range)


@covers()
def multiscale_structural_similarity_index_measure(
    preds,
    target,
    gaussian_kernel: bool = True,
    sigma: Union[float, Sequence[float]] = 1.5,
    kernel_size: Union[int, Sequence[int]] = 11,
    reduction: Optional[str] = "elementwise_mean",
    data_range: Optional[Union[float, tuple]] = None,
    k1: float = 0.01,
    k2: float = 0.03,
    betas: tuple = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
    normalize: Optional[str] = "relu",
):
    """MS-SSIM; normalize "relu", "simple" or None."""
    if normalize not in ("relu", "simple", None):
        raise ValueError(
            "Argument `normalize` to be expected either `None` or one of 'relu' or 'simple'"
        )
    loss = term(
        "ms_ssim",
        preset="torchmetrics",
        k1=k1,
        k2=k2,
        weights=text_of(betas),
        clamp=normalize or "none",
        **_window(gaussian_kernel, sigma, kernel_size),
    )
    return _similarity(loss, preds, target, reduction, data_range)


@covers()
def peak_signal_noise_ratio(
    preds,
    target,
    data_range: Union[float, tuple],
    base: float = 10.0,
    reduction: Optional[str] = "elementwise_mean",
    dim: Optional[Union[int, tuple]] = None,
):
    """PSNR in dB (of another base: log_base times 10): of the batch's error, or with dim=(1, 2, 3)
    of each image's."""
    same_shapes(preds, target, RuntimeError)
    preds, target, data_range = _ranged(preds, target, data_range)
    scale = math.log(10) / math.log(base)
    if dim is None:
        return scale * evaluate("psnr", four_axes(preds), four_axes(target), data_range=data_range)
    if preds.dim() != 4 or sorted([dim] if isinstance(dim, int) else dim) != [1, 2, 3]:
        raise UnsupportedError(
            f"dim={dim}: one value for the batch (None) or for each image ((1, 2, 3)) is computed"
        )
    return scale * reduced("psnr(mean_of_images)", preds, target, reduction, data_range=data_range)


@covers()
def total_variation(img, reduction: Optional[str] = "sum"):
    """The sum of |differences| of neighbours: over the batch, its mean over images, or each
    image's."""
    if img.dim() != 4:
        raise RuntimeError(f"Expected input `img` to be an 4D tensor, but got {img.shape}")
    if reduction not in ("sum", "mean", "none", None):
        raise ArgumentError(f"reduction is {reduction!r}; 'sum', 'mean' or 'none' is needed")
    values = evaluate(
        "tv(reduction=sum)", img, img.detach(), per_image=reduction not in ("sum", "mean")
    )
    return values / img.shape[0] if reduction == "mean" else values


@covers()
def learned_perceptual_image_patch_similarity(
    img1, img2, net_type=None, reduction: str = "mean", normalize: bool = False
):
    """LPIPS in a network whose weights are given: net_type is a pixloss.Network with linear
    weights, as Network.from_state_dict(vgg16, linear) makes it ("vgg", "alex" and "squeeze"
    download theirs). Images in [-1, 1], or with normalize=True in [0, 1]; reduction "mean" or
    "sum"."""
    networks = {"vgg16": network_of(net_type)}
    if not normalize:
        img1, img2 = (img1 + 1) / 2, (img2 + 1) / 2
    return reduced("lpips", img1, img2, reduction, data_range=1.0, networks=networks)
