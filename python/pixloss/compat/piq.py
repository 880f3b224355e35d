"""piq 0.8: `import pixloss.compat.piq as piq`. Images are N x C x H x W in [0, data_range]; that
they are is not checked."""

from __future__ import annotations

from typing import Collection, Optional, Sequence, Union

import torch

from ._support import (
    ArgumentError,
    Only,
    covers,
    evaluate,
    network_of,
    reduced,
    refusing,
    term,
    text_of,
)

__all__ = [
    "ssim",
    "multi_scale_ssim",
    "psnr",
    "total_variation",
    "SSIMLoss",
    "MultiScaleSSIMLoss",
    "TVLoss",
    "ContentLoss",
    "StyleLoss",
    "LPIPS",
]
REFUSED = {
    "information_weighted_ssim": "no term computes it",
    "InformationWeightedSSIMLoss": "no term computes it",
    "DISTS": "no term computes it",
}
__getattr__ = refusing("piq", REFUSED)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_UNIT = (
    "piq adds 1e-10 to the norm, pixloss 1e-8 under the root; "
    "pixloss.torch.features(unit=True) is that"
)


@covers(full="contrast and structure apart; the terms contrast and structure are those")
def ssim(
    x,
    y,
    kernel_size: int = 11,
    kernel_sigma: float = 1.5,
    data_range: Union[int, float] = 1.0,
    reduction: str = "mean",
    full: bool = False,
    downsample: bool = True,
    k1: float = 0.01,
    k2: float = 0.03,
):
    """SSIM; reduction "mean", "sum" or "none" of one value for each image."""
    loss = term(
        "ssim",
        preset="piq",
        window=kernel_size,
        sigma=kernel_sigma,
        k1=k1,
        k2=k2,
        downsample=None if downsample else 1,
    )
    return _complement(loss, x, y, reduction, data_range)


def _complement(loss, x, y, reduction, data_range):
    """1 - a distance of each image, reduced."""
    distance = reduced(loss, x, y, reduction, data_range=data_range)
    return (x.shape[0] if reduction == "sum" else 1) - distance


@covers()
def multi_scale_ssim(
    x,
    y,
    kernel_size: int = 11,
    kernel_sigma: float = 1.5,
    data_range: Union[int, float] = 1.0,
    reduction: str = "mean",
    scale_weights: Optional[torch.Tensor] = None,
    k1: float = 0.01,
    k2: float = 0.03,
):
    """MS-SSIM; scale_weights are divided by their sum."""
    return _complement(
        _scales(kernel_size, kernel_sigma, k1, k2, scale_weights), x, y, reduction, data_range
    )


def _scales(kernel_size, kernel_sigma, k1, k2, scale_weights) -> str:
    return term(
        "ms_ssim",
        preset="piq",
        window=kernel_size,
        sigma=kernel_sigma,
        k1=k1,
        k2=k2,
        weights=text_of(scale_weights),
    )


@covers(convert_to_greyscale="a conversion to luma, which is no part of a loss here")
def psnr(
    x,
    y,
    data_range: Union[int, float] = 1.0,
    reduction: str = "mean",
    convert_to_greyscale: bool = False,
):
    """PSNR of each image in dB, reduced; with 1e-8 under the fraction, so that equal images have 80
    dB."""
    if reduction == "mean":
        return evaluate(
            term("psnr", mean_of_images=True, eps=1e-8 * data_range**2), x, y, data_range=data_range
        )
    return reduced(term("psnr", eps=1e-8 * data_range**2), x, y, reduction, data_range=data_range)


@covers()
def total_variation(x, reduction: str = "mean", norm_type: str = "l2"):
    """Of each image the sum of |differences| ("l1"), of their squares ("l2_squared"), or the root
    of that ("l2"), whose gradient is 0 where it is 0 (piq's is NaN)."""
    if norm_type not in ("l1", "l2", "l2_squared"):
        raise ValueError("Incorrect norm type, should be one of {'l1', 'l2', 'l2_squared'}")
    penalty = "l1" if norm_type == "l1" else "l2"
    loss = term("tv", penalty=penalty, root=norm_type == "l2", reduction="sum")
    values = evaluate(loss, x, x.detach(), per_image=True)
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"reduction is {reduction!r}; 'mean', 'sum' or 'none' is needed")
    return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[reduction]()


# ---- Modules -------------------------------------------------------------------------------------
@covers()
class SSIMLoss(torch.nn.Module):
    """1 - SSIM."""

    def __init__(
        self,
        kernel_size: int = 11,
        kernel_sigma: float = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
        downsample: bool = True,
        reduction: str = "mean",
        data_range: Union[int, float] = 1.0,
    ):
        super().__init__()
        self.loss = term(
            "ssim",
            preset="piq",
            window=kernel_size,
            sigma=kernel_sigma,
            k1=k1,
            k2=k2,
            downsample=None if downsample else 1,
        )
        self.reduction = reduction
        self.data_range = data_range

    def forward(self, x, y):
        return _loss_of_images(self.loss, x, y, self.reduction, self.data_range)


def _loss_of_images(loss, x, y, reduction, data_range):
    """piq subtracts the reduced score from 1, whatever the reduction is."""
    distance = reduced(loss, x, y, reduction, data_range=data_range)
    return distance + (1 - x.shape[0]) if reduction == "sum" else distance


@covers()
class MultiScaleSSIMLoss(torch.nn.Module):
    """1 - MS-SSIM."""

    def __init__(
        self,
        kernel_size: int = 11,
        kernel_sigma: float = 1.5,
        k1: float = 0.01,
        k2: float = 0.03,
        scale_weights: Optional[torch.Tensor] = None,
        reduction: str = "mean",
        data_range: Union[int, float] = 1.0,
    ):
        super().__init__()
        self.loss = _scales(kernel_size, kernel_sigma, k1, k2, scale_weights)
        self.reduction = reduction
        self.data_range = data_range

    def forward(self, x, y):
        return _loss_of_images(self.loss, x, y, self.reduction, self.data_range)


@covers()
class TVLoss(torch.nn.Module):
    """total_variation() as a module."""

    def __init__(self, norm_type: str = "l2", reduction: str = "mean"):
        super().__init__()
        self.norm_type = norm_type
        self.reduction = reduction

    def forward(self, x):
        return total_variation(x, self.reduction, self.norm_type)


class _Features(torch.nn.Module):
    def __init__(self, extractor, layers, weights, replace_pooling, distance, reduction, mean, std):
        super().__init__()
        if len(layers) != len(weights):
            raise AssertionError(
                f"Lengths of provided layers and weighs mismatch ({len(weights)} weights and "
                f"{len(layers)} layers), which will cause incorrect results. Please provide weight "
                "for each layer."
            )
        self.networks = {"vgg16": network_of(extractor, replace_pooling)}
        self.layers = {str(layer): float(weight) for layer, weight in zip(layers, weights)}
        self.distance = {"mse": "l2", "mae": "l1"}[distance]
        self.reduction = reduction
        self.normalize = _normalization(mean, std)

    def forward(self, x, y):
        return reduced(self._loss(x), x, y, self.reduction, data_range=1.0, networks=self.networks)


def _normalization(mean: Sequence[float], std: Sequence[float]) -> str:
    known = {(_MEAN, _STD): "imagenet", ((0.0,) * 3, (1.0,) * 3): "none"}
    key = tuple(map(float, mean)), tuple(map(float, std))
    if key not in known:
        raise ArgumentError(f"mean={mean}, std={std}: ImageNet's are computed, or 0 and 1 for none")
    return known[key]


def _weighted(layers: dict) -> str:
    return ":".join(f"{weight!r}*{layer}" for layer, weight in layers.items())


_EXTRACTOR = (
    "is a torch module with VGG's layers (torchvision's vgg16(weights=...).features) or a "
    "pixloss.Network: weights are not downloaded"
)


@covers(normalize_features=_UNIT, allow_layers_weights_mismatch="each layer has its weight")
class ContentLoss(_Features):
    __doc__ = f"""The distance of features, summed over channels and averaged over pixels.
    feature_extractor {_EXTRACTOR}."""

    def __init__(
        self,
        feature_extractor="vgg16",
        layers: Collection[str] = ("relu3_3",),
        weights: Sequence[float] = (1.0,),
        replace_pooling: bool = False,
        distance: str = "mse",
        reduction: str = "mean",
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
        normalize_features: bool = False,
        allow_layers_weights_mismatch: bool = False,
    ):
        super().__init__(
            feature_extractor, layers, weights, replace_pooling, distance, reduction, mean, std
        )

    def _loss(self, x) -> str:
        return term(
            "features",
            layers=_weighted(self.layers),
            penalty=self.distance,
            reduction="spatial",
            normalize=self.normalize,
        )


@covers(
    distance=Only(
        "mse", reason="a mean of absolute differences of Gram matrices takes each layer's channels"
    ),
    normalize_features=_UNIT,
    allow_layers_weights_mismatch="each layer has its weight",
)
class StyleLoss(_Features):
    __doc__ = f"""The mean squared difference of Gram matrices, which are not divided by the number
    of pixels. feature_extractor {_EXTRACTOR}; layers by their names (relu1_2)."""

    def __init__(
        self,
        feature_extractor="vgg16",
        layers: Collection[str] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
        weights: Sequence[float] = (0.75, 0.5, 0.2, 0.2),
        replace_pooling: bool = False,
        distance: str = "mse",
        reduction: str = "mean",
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
        normalize_features: bool = False,
        allow_layers_weights_mismatch: bool = False,
    ):
        super().__init__(
            feature_extractor, layers, weights, replace_pooling, distance, reduction, mean, std
        )

    def _loss(self, x) -> str:
        """mean (G - G')^2 over C x C entries is (H W)^2 times what style has of Gram matrices
        divided by C H W."""
        height, width = x.shape[2:]
        halvings = {layer: int(layer.rpartition("_")[0][-1]) - 1 for layer in self.layers}
        layers = {
            layer: weight * float((height >> halvings[layer]) * (width >> halvings[layer])) ** 2
            for layer, weight in self.layers.items()
        }
        return term("style", layers=_weighted(layers), normalize=self.normalize)


@covers(
    replace_pooling="of a network with max pooling, whose linear weights are LPIPS'",
    distance="LPIPS is a squared distance",
    mean="LPIPS' own",
    std="LPIPS' own",
)
class LPIPS(torch.nn.Module):
    """LPIPS in `network`, a pixloss.Network with linear weights: Network.from_state_dict(vgg16,
    linear). piq's downloads them."""

    def __init__(
        self,
        replace_pooling: bool = False,
        distance: str = "mse",
        reduction: str = "mean",
        mean: Sequence[float] = _MEAN,
        std: Sequence[float] = _STD,
        *,
        network=None,
    ):
        super().__init__()
        self.networks = {"vgg16": network_of(network)}
        self.reduction = reduction

    def forward(self, x, y):
        return reduced("lpips", x, y, self.reduction, data_range=1.0, networks=self.networks)
