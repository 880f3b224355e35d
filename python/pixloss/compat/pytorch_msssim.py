"""pytorch_msssim 1.0: `import pixloss.compat.pytorch_msssim as pytorch_msssim`. Values are SSIM and
MS-SSIM, 1 for equal images."""

from __future__ import annotations

from typing import Optional, Sequence

import torch

from ._support import covers, evaluate, planes, refusing, same_shapes, term, text_of

__all__ = ["ssim", "ms_ssim", "SSIM", "MS_SSIM"]
REFUSED: dict = {}
__getattr__ = refusing("pytorch_msssim", REFUSED)
_WINDOW = "a window of one's own; win_size and win_sigma make the Gaussian"
_VOLUMES = "windows of three dimensions"


def _images(X, Y, win_size: int):
    """As the package takes them: axes of length 1 behind the channels are dropped there, which
    these keep."""
    same_shapes(X, Y)
    if X.dim() != 4:
        raise ValueError(
            f"the images have {X.dim()} dimensions; N x C x H x W is needed (volumes: {_VOLUMES} "
            "are not computed)"
        )
    if win_size % 2 == 0:
        raise ValueError(f"win_size is {win_size}; an odd number is needed")
    return X, Y


def _mean(loss, X, Y, data_range, size_average: bool):
    return 1 - evaluate(loss, X, Y, per_image=not size_average, data_range=data_range)


@covers(win=_WINDOW)
def ssim(
    X,
    Y,
    data_range: float = 255,
    size_average: bool = True,
    win_size: int = 11,
    win_sigma: float = 1.5,
    win: Optional[torch.Tensor] = None,
    K: Sequence[float] = (0.01, 0.03),
    nonnegative_ssim: bool = False,
):
    """SSIM, a scalar, or with size_average=False one value for each image. X, Y: N x C x H x W in
    [0, data_range]."""
    X, Y = _images(X, Y, win_size)
    loss = term("ssim", preset="vainf", window=win_size, sigma=win_sigma, k1=K[0], k2=K[1])
    if not nonnegative_ssim:
        return _mean(loss, X, Y, data_range, size_average)
    channels = torch.relu(_mean(loss, planes(X), planes(Y), data_range, False)).view(X.shape[:2])
    return channels.mean() if size_average else channels.mean(1)


@covers(win=_WINDOW)
def ms_ssim(
    X,
    Y,
    data_range: float = 255,
    size_average: bool = True,
    win_size: int = 11,
    win_sigma: float = 1.5,
    win: Optional[torch.Tensor] = None,
    weights: Optional[Sequence[float]] = None,
    K: Sequence[float] = (0.01, 0.03),
):
    """MS-SSIM, a scalar, or with size_average=False one value for each image."""
    X, Y = _images(X, Y, win_size)
    loss = term(
        "ms_ssim",
        preset="vainf",
        window=win_size,
        sigma=win_sigma,
        k1=K[0],
        k2=K[1],
        weights=text_of(weights),
    )
    return _mean(loss, X, Y, data_range, size_average)


class _Module(torch.nn.Module):
    def forward(self, X, Y):
        return self._function(X, Y, **self._arguments)


@covers(spatial_dims=_VOLUMES)
class SSIM(_Module):
    """ssim() as a module; `channel` is not looked at."""

    _function = staticmethod(ssim)

    def __init__(
        self,
        data_range: float = 255,
        size_average: bool = True,
        win_size: int = 11,
        win_sigma: float = 1.5,
        channel: int = 3,
        spatial_dims: int = 2,
        K: Sequence[float] = (0.01, 0.03),
        nonnegative_ssim: bool = False,
    ):
        super().__init__()
        self._arguments = dict(
            data_range=data_range,
            size_average=size_average,
            win_size=win_size,
            win_sigma=win_sigma,
            K=K,
            nonnegative_ssim=nonnegative_ssim,
        )


@covers(spatial_dims=_VOLUMES)
class MS_SSIM(_Module):
    """ms_ssim() as a module; `channel` is not looked at."""

    _function = staticmethod(ms_ssim)

    def __init__(
        self,
        data_range: float = 255,
        size_average: bool = True,
        win_size: int = 11,
        win_sigma: float = 1.5,
        channel: int = 3,
        spatial_dims: int = 2,
        weights: Optional[Sequence[float]] = None,
        K: Sequence[float] = (0.01, 0.03),
    ):
        super().__init__()
        self._arguments = dict(
            data_range=data_range,
            size_average=size_average,
            win_size=win_size,
            win_sigma=win_sigma,
            K=K,
            weights=weights,
        )
