"""kornia.losses: ssim_loss, psnr_loss, total_variation, charbonnier_loss, and their modules."""

from __future__ import annotations

import torch

from .._support import Only, covers, evaluate, four_axes, pixels, refusing, same_shapes, term
from . import metrics

__all__ = [
    "ssim_loss",
    "SSIMLoss",
    "psnr_loss",
    "PSNRLoss",
    "total_variation",
    "TotalVariation",
    "charbonnier_loss",
    "CharbonnierLoss",
]
REFUSED = {
    "MS_SSIMLoss": "it mixes scales of one image with an l1 in their windows; 0.84*ms_ssim + "
    "0.16*l1 is the paper's mix",
    "ssim3d_loss": "windows of three dimensions",
    "SSIM3DLoss": "windows of three dimensions",
}
__getattr__ = refusing("kornia.losses", REFUSED)
_REDUCED = Only("mean", "sum", reason="a loss for each pixel, of which no gradient is computed")


@covers(reduction=_REDUCED)
def ssim_loss(
    img1,
    img2,
    window_size: int,
    max_val: float = 1.0,
    eps: float = 1e-12,
    reduction: str = "mean",
    padding: str = "same",
):
    """(1 - SSIM) / 2. kornia clamps it to [0, 1] for each pixel, which in exact arithmetic changes
    nothing; eps is left out."""
    same_shapes(img1, img2)
    return evaluate(
        term("dssim", reduction=reduction, **metrics.window(window_size, padding)),
        img1,
        img2,
        data_range=max_val,
    )


@covers(reduction=_REDUCED)
class SSIMLoss(torch.nn.Module):
    """ssim_loss() as a module."""

    def __init__(
        self,
        window_size: int,
        max_val: float = 1.0,
        eps: float = 1e-12,
        reduction: str = "mean",
        padding: str = "same",
    ):
        super().__init__()
        self._arguments = window_size, max_val, eps, reduction, padding

    def forward(self, img1, img2):
        return ssim_loss(img1, img2, *self._arguments)


@covers()
def psnr_loss(image, target, max_val: float):
    """-PSNR, of the error of the whole batch."""
    return -metrics.psnr(image, target, max_val)


@covers()
class PSNRLoss(torch.nn.Module):
    """psnr_loss() as a module."""

    def __init__(self, max_val: float):
        super().__init__()
        self.max_val = max_val

    def forward(self, image, target):
        return psnr_loss(image, target, self.max_val)


@covers()
def total_variation(img, reduction: str = "sum"):
    """Of each plane: * x H x W gives *. "sum" of |differences|, or "mean", each direction over its
    own count."""
    if reduction not in ("sum", "mean"):
        raise NotImplementedError("Invalid reduction option.")
    images = img.reshape(-1, 1, *img.shape[-2:])
    loss = "tv(reduction=sum)" if reduction == "sum" else "tv(own_counts)"
    return evaluate(loss, images, images.detach(), per_image=True).view(img.shape[:-2])


@covers()
class TotalVariation(torch.nn.Module):
    """total_variation() as a module."""

    def __init__(self):
        super().__init__()

    def forward(self, img):
        return total_variation(img)


@covers()
def charbonnier_loss(img1, img2, reduction: str = "none"):
    """sqrt(d^2 + 1) - 1 of each pixel, their mean or sum: pseudo_huber here."""
    same_shapes(img1, img2)
    if reduction not in ("none", "mean", "sum"):
        raise NotImplementedError("Invalid reduction option.")
    if reduction == "none":
        charges = pixels(term("pseudo_huber", delta=1.0, reduction="sum"), img1, img2)
        return charges.to(torch.promote_types(img1.dtype, img2.dtype))
    return evaluate(
        term("pseudo_huber", delta=1.0, reduction=reduction), four_axes(img1), four_axes(img2)
    )


@covers()
class CharbonnierLoss(torch.nn.Module):
    """charbonnier_loss() as a module."""

    def __init__(self, reduction: str = "none"):
        super().__init__()
        self.reduction = reduction

    def forward(self, img1, img2):
        return charbonnier_loss(img1, img2, self.reduction)
