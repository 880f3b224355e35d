"""The charge of each pixel, what frameworks call reduction = "none", in autograd.

A pixel's charge is of that pixel alone, so the gradient for an upstream gradient g of the map is
that of the sum of the charges with g as the map of weights, whatever its signs are: a second call,
which computes the charges again and keeps nothing between."""

from __future__ import annotations

import torch
from torch.autograd import Function

from .. import _loss
from . import _eager, _run


class Charges(Function):
    """Of images of one channel, so that the map of weights, which all channels share, has each
    pixel's own."""

    @staticmethod
    def forward(ctx, pred, target, loss):
        ctx.loss = loss
        ctx.save_for_backward(pred, target)
        charges = torch.empty(pred.shape, dtype=_run.total_type(pred), device=pred.device)
        _run.pixel_map(loss, pred, target, charges)
        return charges

    @staticmethod
    def backward(ctx, upstream):
        pred, target = ctx.saved_tensors
        wants = ctx.needs_input_grad[:2]
        weights = upstream.resolve_neg()
        _, *gradients = _run.evaluate(ctx.loss, pred, target, weights, None, False, *wants)
        found = [
            gradient if gradient is None else gradient.to(image.dtype)
            for gradient, image in zip(gradients, (pred, target))
        ]
        if torch.is_grad_enabled() or _eager.forward_mode_active():
            inputs = (pred, target, upstream)
            found = [
                gradient if gradient is None else _eager.Refuse.apply(gradient, *inputs)
                for gradient in found
            ]
        return (*found, None)


def _is_channels_last(image) -> bool:
    return not image.is_contiguous() and image.is_contiguous(memory_format=torch.channels_last)


def _one_channel(image, channels_last: bool):
    """A view, where the image is laid out so."""
    n, c, h, w = image.shape
    if channels_last:
        return image.permute(0, 2, 3, 1).reshape(n, 1, h, w * c)
    return image.reshape(n * c, 1, h, w)


def _all_channels(image, shape, channels_last: bool):
    n, c, h, w = shape
    return image.view(n, h, w, c).permute(0, 3, 1, 2) if channels_last else image.view(shape)


@torch.compiler.disable  # a compiled function breaks its graph here
def evaluate(expression: str, pred, target, threads: int = 0):
    """N x C x H x W of f32 (f64 for such images). expression: one term on pixels, reduction=sum."""
    _run.check_images(pred, target)
    pred, target = _run.comparable(pred, target)
    loss = _loss.cached(expression, threads, None, False)
    channels_last = _is_channels_last(pred)
    images = (_one_channel(image.resolve_neg(), channels_last) for image in (pred, target))
    return _all_channels(Charges.apply(*images, loss), pred.shape, channels_last)
