"""A function for each term that the library has, made from its list of terms and fields."""

from __future__ import annotations

import inspect

import torch

from .. import _loss
from .. import _terms
from .._errors import ArgumentError
from . import _module, _operator, _pixels

_DOC = """{title} as a function: {description}

    pred{target}: N x C x H x W of any strides on the CPU or a CUDA device, floats in
        [0, data_range] or uint8.
    mask: weights >= 0 of pixels, H x W, N x H x W or N x 1 x H x W.
    reduction: "mean"{reductions}, or "none": a value for each image.{pixels}
    data_range: {data_range}
    networks: {{name: pixloss.Network}} for net=name.
    threads: at most so many on the CPU; 0: as OpenMP would.
{fields}
    Differentiable once, in pred{target_too}. Returns a scalar, or N of them, in float32 (float64
    for such images)."""


_PIXELS = """ "pixels": a value for each
        pixel, N x C x H x W, which frameworks call "none", with their upstream gradients; a second
        call computes the gradient. Without a mask."""


def _is_of_pixels(kind: _terms.Kind) -> bool:
    return kind.value == _terms.KINDS["pixel"].value


def _charges(kind: _terms.Kind, fields: dict, pred, target, mask, threads: int):
    if not _is_of_pixels(kind):
        raise ArgumentError(
            f"reduction is 'pixels'; {kind.name} is not a function of single pixels"
        )
    if mask is not None:
        raise ArgumentError("a mask is given with reduction='pixels'; multiply the result by it")
    return _pixels.evaluate(
        _terms.term(kind.name, reduction="sum", **fields), pred, target, threads
    )


def _document(kind: _terms.Kind) -> str:
    own = {
        name: text
        for name, text in _terms.describe(kind).items()
        if name not in ("reduction", "data_range")
    }
    has_range = "data_range" in kind.fields
    reduction = kind.fields.get("reduction")
    return _DOC.format(
        title=kind.name,
        target=", target" if kind.compares else "",
        target_too=" and target" if kind.compares else "",
        description=(
            "a distance, 0 for equal images."
            if kind.compares and kind.name != "psnr"
            else "in dB, larger for closer images." if kind.compares else "of pred alone."
        ),
        reductions=(
            "".join(f', "{word}"' for word in reduction.words if word != "mean")
            if reduction
            else ""
        ),
        pixels=_PIXELS if _is_of_pixels(kind) else "",
        data_range=(
            "L, a number or 'auto'; by default 1 for floats, 255 for uint8."
            if has_range
            else "not used by this term."
        ),
        fields="".join(f"    {name}: {text}.\n" for name, text in own.items()),
    )


def _signature(kind: _terms.Kind) -> inspect.Signature:
    kinds = inspect.Parameter
    positional = [kinds("pred", kinds.POSITIONAL_OR_KEYWORD)]
    positional.append(
        kinds("target", kinds.POSITIONAL_OR_KEYWORD, **({} if kind.compares else {"default": None}))
    )
    positional.append(kinds("mask", kinds.POSITIONAL_OR_KEYWORD, default=None))
    named = {"reduction": "mean", "data_range": None, "networks": None, "threads": 0}
    named.update({name: None for name in kind.fields if name not in named})
    return inspect.Signature(
        positional
        + [kinds(name, kinds.KEYWORD_ONLY, default=default) for name, default in named.items()]
    )


@torch.compiler.assume_constant_result
def _constant_key(expression: str, threads: int) -> str:
    return _operator.key_of(expression, threads, None)


def _make(kind: _terms.Kind):
    def function(
        pred,
        target=None,
        mask=None,
        *,
        reduction="mean",
        data_range=None,
        networks=None,
        threads=0,
        **fields,
    ):
        if target is None:
            if kind.compares:
                raise TypeError(f"{kind.name}() missing 1 required argument: 'target'")
            target = pred.detach()
        if reduction == "pixels":
            return _charges(kind, fields, pred, target, mask, threads)
        per_image = reduction == "none"
        if reduction not in ("mean", "none"):
            fields["reduction"] = reduction
        expression = _terms.term(kind.name, **fields)
        if torch.compiler.is_compiling():
            key = (
                _constant_key(expression, threads)
                if not networks
                else _operator.key_of(expression, threads, networks)
            )
            return _module.evaluate(None, key, pred, target, mask, None, data_range, per_image)[0]
        loss = _loss.cached(expression, threads, networks, False)
        return _module.evaluate(loss, None, pred, target, mask, None, data_range, per_image)[0]

    function.__name__ = function.__qualname__ = kind.name
    function.__module__ = "pixloss.torch"
    function.__doc__ = _document(kind)
    function.__signature__ = _signature(kind)
    return function


FUNCTIONS = {name: _make(kind) for name, kind in _terms.KINDS.items()}
