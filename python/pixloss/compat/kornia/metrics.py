"""kornia.metrics: ssim (a map), psnr."""

from __future__ import annotations

import torch

from ..._evaluate import evaluate as evaluate_arrays
from .._support import UnsupportedError, covers, evaluate, four_axes, refusing, same_shapes, term

__all__ = ["ssim", "SSIM", "psnr"]
REFUSED = {"ssim3d": "windows of three dimensions", "SSIM3D": "windows of three dimensions"}
__getattr__ = refusing("kornia.metrics", REFUSED)


def window(window_size: int, k_padding: str) -> dict:
    """The fields of kornia's SSIM."""
    if k_padding not in ("same", "valid"):
        raise ValueError(f"padding is {k_padding!r}; 'same' or 'valid' is needed")
    return {
        "preset": "kornia",
        "window": window_size,
        "border": "valid" if k_padding == "valid" else None,
    }


@covers()
def ssim(
    img1, img2, window_size: int, max_val: float = 1.0, eps: float = 1e-12, padding: str = "same"
):
    """The map of SSIM, N x C x H x W (padding="valid": of whole windows). Without a graph:
    kornia.losses.ssim_loss is differentiable. eps, which kornia adds to a denominator, is left out:
    up to 1.1e-5 in black flat windows."""
    same_shapes(img1, img2)
    if torch.is_grad_enabled() and (img1.requires_grad or img2.requires_grad):
        raise UnsupportedError(
            "ssim() of images that require a gradient: maps have none here; ssim_loss() has"
        )
    return evaluate_arrays(
        term("ssim", **window(window_size, padding)),
        img1,
        img2,
        layout="NCHW",
        map=True,
        data_range=max_val,
    ).map.to(img1.dtype)


@covers()
class SSIM(torch.nn.Module):
    """ssim() as a module."""

    def __init__(
        self, window_size: int, max_val: float = 1.0, eps: float = 1e-12, padding: str = "same"
    ):
        super().__init__()
        self._arguments = window_size, max_val, eps, padding

    def forward(self, img1, img2):
        return ssim(img1, img2, *self._arguments)


@covers()
def psnr(image, target, max_val: float):
    """PSNR in dB, of the error of the whole batch. Tensors of any shape."""
    same_shapes(image, target, TypeError)
    return evaluate("psnr", four_axes(image), four_axes(target), data_range=max_val)
