"""fused_ssim (rahul-goel/fused-ssim): `from pixloss.compat.fused_ssim import fused_ssim`. On the
CPU, too."""

from __future__ import annotations

import torch

from ._support import covers, evaluate, refusing, term

__all__ = ["fused_ssim", "allowed_padding"]
allowed_padding = ["same", "valid"]
REFUSED = {"FusedSSIMMap": "the package's own autograd.Function; fused_ssim() is the loss"}
__getattr__ = refusing("fused_ssim", REFUSED)


@covers()
def fused_ssim(img1, img2, padding: str = "same", train: bool = True):
    """Mean SSIM of N x C x H x W images in [0, 1], differentiable by img1. train=False: without a
    graph."""
    if padding not in allowed_padding:
        raise ValueError(f"padding is {padding!r}; 'same' or 'valid' is needed")
    loss = term("ssim", preset="fused-ssim", border="valid" if padding == "valid" else None)
    with torch.set_grad_enabled(train and torch.is_grad_enabled()):
        return 1 - evaluate(loss, img1, img2.detach())
