"""The loss as operators, for torch.compile and torch.export: Dynamo does not look into them, and a
graph has no break.

register_autograd knows nothing of torch.func, so eager code takes the Functions of _eager.py.
register_vmap and register_autocast are not in torch 2.4 and not needed."""

from __future__ import annotations

import json

import torch

from .. import _loss
from .._errors import ArgumentError
from . import _eager, _run

_losses: dict = {}


def key_of(expression: str, threads: int, networks) -> str:
    """What names a loss in a graph: the same in every process, so that compiled graphs may be
    cached."""
    if not threads and not networks:
        key = expression
    else:
        key = json.dumps(
            {
                "expression": expression,
                "threads": threads,
                "networks": {name: network.key for name, network in (networks or {}).items()},
            }
        )
    _losses[key] = _loss.cached(expression, threads, networks)
    return key


def _find(key: str, data_range):
    """The loss of a key; one without networks can be made from it, in a process that loads a
    compiled graph."""
    loss = _losses.get(key)
    if loss is None:
        given = (
            json.loads(key)
            if key.startswith("{")
            else {"expression": key, "threads": 0, "networks": {}}
        )
        if given["networks"]:
            raise ArgumentError(
                f"the graph's loss has networks ({', '.join(given['networks'])}) that this process "
                "has not made: make its pixloss.torch.Loss first"
            )
        loss = _losses[key] = _loss.cached(given["expression"], given["threads"])
    if data_range is None:
        return loss
    return loss.with_data_range("auto" if data_range == -1 else data_range)


def _evaluate(pred, target, mask, weights, key, data_range, per_image, want_pred, want_target):
    if _eager.forward_mode_active():  # a compiled graph drops tangents in silence
        raise NotImplementedError(
            "pixloss computes no forward mode in a compiled graph; an eager loss has it"
        )
    values, grad_pred, grad_target = _run.evaluate(
        _find(key, data_range),
        pred,
        target,
        mask,
        weights,
        per_image,
        want_pred,
        want_target,
        as_tensor=True,
    )
    return (
        values,
        pred.new_empty(0) if grad_pred is None else grad_pred,
        pred.new_empty(0) if grad_target is None else grad_target,
    )


def _evaluate_fake(pred, target, mask, weights, key, data_range, per_image, want_pred, want_target):
    _run.check_images(pred, target)
    rows = pred.shape[0] if per_image else 1
    return (
        pred.new_empty((rows, 1 + len(_find(key, data_range).names)), dtype=torch.float64),
        _run.gradient_like(pred) if want_pred else pred.new_empty(0),
        _run.gradient_like(target) if want_target else pred.new_empty(0),
    )


def _setup(ctx, inputs, output):
    pred, target, _, weights, _, _, _, want_pred, want_target = inputs
    values, grad_pred, grad_target = output
    ctx.set_materialize_grads(False)
    ctx.per_image = inputs[6]
    ctx.wants = want_pred, want_target, weights is not None and weights.requires_grad
    ctx.save_for_backward(values, grad_pred, grad_target, pred, target, weights)


def _backward(ctx, by_values, *_):
    """By operators that have no derivative and take what the gradient depends on: of a plain
    product AOTAutograd would see nothing that requires a gradient, and a gradient penalty would
    lose this loss's part in silence."""
    values, grad_pred, grad_target, pred, target, weights = ctx.saved_tensors
    results = [None] * 9
    if by_values is not None:
        # Nothing else of the values is differentiable
        upstream = by_values[:, 0] if ctx.per_image else by_values[0, 0]
        for i, (wanted, gradient) in enumerate(zip(ctx.wants, (grad_pred, grad_target))):
            results[i] = scale(gradient, upstream, pred, target, weights) if wanted else None
        if ctx.wants[2]:
            results[3] = weigh(values, upstream, pred, target, weights)
    return tuple(results)


def _scale(gradient, upstream, pred, target, weights):
    return _eager.scaled(gradient, upstream, pred)


def _weigh(values, upstream, pred, target, weights):
    return _eager.weight_gradient(values, upstream, values.shape[0])


def _refuse(ctx, *_):
    raise NotImplementedError(_eager.REFUSAL)


# custom_op() does the same and takes 20 us more a step
_library = torch.library.Library("pixloss", "DEF")


def _define(name: str, schema: str, kernel, fake, backward, setup=None):
    _library.define(name + schema)
    for device in ("CPU", "CUDA"):
        _library.impl(name, kernel, device)
    torch.library.register_fake(f"pixloss::{name}", fake, lib=_library)
    torch.library.register_autograd(f"pixloss::{name}", backward, setup_context=setup, lib=_library)
    return getattr(torch.ops.pixloss, name).default


operator = _define(
    "evaluate",
    "(Tensor pred, Tensor target, Tensor? mask, Tensor? term_weights, str loss, float? data_range, "
    "bool per_image, bool want_pred, bool want_target) -> (Tensor, Tensor, Tensor)",
    _evaluate,
    _evaluate_fake,
    _backward,
    _setup,
)
_INPUTS = "Tensor pred, Tensor target, Tensor? term_weights"
scale = _define(
    "scale",
    f"(Tensor gradient, Tensor upstream, {_INPUTS}) -> Tensor",
    _scale,
    lambda gradient, upstream, pred, target, weights: torch.empty_like(gradient, dtype=pred.dtype),
    _refuse,
)
weigh = _define(
    "weigh",
    f"(Tensor values, Tensor upstream, {_INPUTS}) -> Tensor",
    _weigh,
    lambda values, upstream, pred, target, weights: torch.empty_like(weights),
    _refuse,
)


def evaluate(key: str, data_range, pred, target, mask, weights, per_image: bool):
    """(total, values) in a graph."""
    grad = torch.is_grad_enabled()
    values, _, _ = operator(
        pred,
        target,
        mask,
        weights,
        key,
        data_range,
        per_image,
        grad and pred.requires_grad,
        grad and target.requires_grad,
    )
    return _run.total_of(values, pred, per_image), values.detach()
