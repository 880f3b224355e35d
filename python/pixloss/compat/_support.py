"""What the drop-ins for torch share: terms of images as the packages hand them over."""

from __future__ import annotations

import functools

import torch

from .. import _loss, _terms, networks
from ..torch import _module, _pixels
from ._plain import (  # noqa: F401
    ArgumentError,
    NotCovered,
    Only,
    UnsupportedError,
    covers,
    refusing,
)

# ---- Terms ---------------------------------------------------------------------------------------
term = functools.lru_cache(maxsize=512)(_terms.term)


def evaluate(
    expression: str, pred, target, per_image: bool = False, data_range=None, networks=None
):
    """A scalar, or one value for each image, in autograd's graph."""
    loss = _loss.cached(expression, 0, networks, False)
    return _module.evaluate(loss, None, pred, target, None, None, data_range, per_image)[0]


def reduced(expression: str, pred, target, reduction, **more):
    """By the packages' word: "mean" or "elementwise_mean", "sum", "none" or None, of one value for
    each image."""
    if reduction in ("mean", "elementwise_mean"):
        return evaluate(expression, pred, target, **more)
    if reduction not in ("sum", "none", None):
        raise ArgumentError(f"reduction is {reduction!r}; 'mean', 'sum' or 'none' is needed")
    values = evaluate(expression, pred, target, per_image=True, **more)
    return values.sum() if reduction == "sum" else values


def planes(images):
    """N x C x H x W as N C images of one channel: for values of each channel."""
    return images.flatten(0, 1).unsqueeze(1)


def four_axes(tensor):
    """Any shape as N x C x H x W, for terms that know no neighbours."""
    return (
        tensor.reshape((1,) * (4 - tensor.dim()) + tuple(tensor.shape))
        if tensor.dim() <= 4
        else tensor.reshape(1, 1, 1, -1)
    )


def pixels(expression: str, pred, target):
    """The charge of each pixel of tensors of one shape, any; in f32 (f64 for such images)."""
    charges = _pixels.evaluate(expression, four_axes(pred), four_axes(target))
    return charges.reshape(pred.shape)


def joined_range(pred, target):
    """max - min of either image over the batch, as a number; waits for the device."""
    return torch.maximum(pred.max() - pred.min(), target.max() - target.min()).item()


def same_shapes(pred, target, error=ValueError):
    if pred.shape != target.shape:
        raise error(f"the images differ in shape: {tuple(pred.shape)} and {tuple(target.shape)}")


def text_of(weights):
    """Weights of scales, as a hashable text."""
    if weights is None:
        return None
    values = weights.tolist() if hasattr(weights, "tolist") else weights
    return ":".join(_terms.number(value) for value in values)


def network_of(extractor, average_pooling: bool = False):
    """A pixloss.Network, or that of a torch module with VGG's layers."""
    if isinstance(extractor, networks.Network):
        if average_pooling:
            raise UnsupportedError(
                "replace_pooling=True: pass the torch module, or a Network with average_pool layers"
            )
        return extractor
    if not isinstance(extractor, torch.nn.Module):
        raise UnsupportedError(
            f"{extractor!r}: weights are not downloaded; pass torchvision's "
            "vgg16(weights=...).features, or a pixloss.Network"
        )
    layers = networks.layers_of_state(extractor.state_dict())
    if average_pooling:
        layers = [
            {**layer, "kind": "average_pool"} if layer["kind"] == "max_pool" else layer
            for layer in layers
        ]
    return networks.Network(layers)
