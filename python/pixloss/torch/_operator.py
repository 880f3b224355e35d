"""The loss as operators, for torch.compile and torch.export: Dynamo does not look into them, and a
graph has no break.

They know nothing of torch.func, so eager code takes the Functions of _eager.py. register_vmap and
register_autocast are not in torch 2.4 and not needed."""

from __future__ import annotations

import json

import torch
from torch.autograd import Function

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


# ---- What runs in a compiled graph ---------------------------------------------------------------
def _evaluate(pred, target, mask, weights, key, data_range, per_image, want_pred, want_target):
    """[total, values, the gradients that are wanted]."""
    _refuse_forward_mode()
    values, *gradients = _run.evaluate(
        _find(key, data_range), pred, target, mask, weights, per_image, want_pred, want_target
    )
    total = _run.total_of(values, pred, per_image)
    matrix = _run.matrix_of(values, pred.shape[0] if per_image else 1)
    return [total, matrix, *(gradient for gradient in gradients if gradient is not None)]


def _evaluate_fake(pred, target, mask, weights, key, data_range, per_image, want_pred, want_target):
    _run.check_images(pred, target)
    rows = pred.shape[0] if per_image else 1
    total = pred.new_empty((rows,) if per_image else (), dtype=_run.total_type(pred))
    matrix = pred.new_empty((rows, 1 + len(_find(key, data_range).names)), dtype=torch.float64)
    wanted = [image for image, want in ((pred, want_pred), (target, want_target)) if want]
    return [total, matrix, *map(_run.gradient_like, wanted)]


def _refuse_forward_mode() -> None:
    if _eager.forward_mode_active():  # a compiled graph drops tangents in silence
        raise NotImplementedError(
            "pixloss computes no forward mode in a compiled graph; an eager loss has it"
        )


# ---- What Dynamo sees ----------------------------------------------------------------------------
class Differentiable(Function):
    """The operator of a compiled graph in autograd; AOTAutograd traces both, so that the product of
    a gradient with what arrives is compiled with the rest."""

    @staticmethod
    def forward(ctx, pred, target, mask, weights, key, data_range, per_image):
        wants = ctx.needs_input_grad
        total, values, *gradients = compiled_operator(
            pred, target, mask, weights, key, data_range, per_image, wants[0], wants[1]
        )
        ctx.rows = pred.shape[0] if per_image else 1
        ctx.mark_non_differentiable(values)
        ctx.save_for_backward(pred, target, weights, values, *gradients)
        return total, values

    @staticmethod
    def backward(ctx, upstream, _):
        pred, target, weights, values, *gradients = ctx.saved_tensors
        images = [image for image, want in zip((pred, target), ctx.needs_input_grad) if want]
        inputs = images + ([weights] if ctx.needs_input_grad[3] else [])
        upstream = bind(upstream, inputs)
        found = [
            _eager.scaled(gradient, upstream, image) for gradient, image in zip(gradients, images)
        ]
        if ctx.needs_input_grad[3]:
            found.append(_eager.weight_gradient(values, upstream, ctx.rows))
        if torch.is_grad_enabled():
            found = [_eager.Refuse.apply(gradient, *inputs) for gradient in found]
        return tuple(found.pop(0) if want else None for want in ctx.needs_input_grad)


def _autograd(pred, target, mask, weights, key, data_range, per_image):
    _refuse_forward_mode()
    given = (pred, target, mask, weights, key, data_range, per_image)
    requires = (tensor.requires_grad for tensor in (pred, target, weights) if tensor is not None)
    if torch.is_grad_enabled() and any(requires):
        return Differentiable.apply(*given)
    return _values(*given)


def _values(*given):
    total, values = compiled_operator(*given, False, False)
    return total, values


# Functions of Python by dispatch keys: custom_op() wraps them, which takes 20 us more a step. There
# are two operators, as what has a kernel for autograd has it called in a compiled graph, too, where
# there is nothing for it to do: `evaluate` has one, which calls `compiled`.
_library = torch.library.Library("pixloss", "DEF")
_INPUTS = (
    "Tensor pred, Tensor target, Tensor? mask, Tensor? term_weights, str loss, float? data_range, "
    "bool per_image"
)


def _define(name: str, schema: str, kernel, fake):
    _library.define(name + schema)
    for device in ("CPU", "CUDA"):
        _library.impl(name, kernel, device)
    torch.library.register_fake(f"pixloss::{name}", fake, lib=_library)
    return getattr(torch.ops.pixloss, name).default


compiled_operator = _define(
    "compiled",
    f"({_INPUTS}, bool want_pred, bool want_target) -> Tensor[]",
    _evaluate,
    _evaluate_fake,
)
operator = _define("evaluate", f"({_INPUTS}) -> (Tensor, Tensor)", _values, _values)
_library.impl("evaluate", _autograd, "Autograd")
# The upstream gradient as a function of inputs. AOTAutograd refuses to differentiate a backward
# graph that holds something which requires a gradient: of a plain product it would hold nothing
# that does, and a gradient penalty would lose this loss's part in silence. An operator, as of what
# can be computed in forward a backward graph holds the result alone.
bind = _define(
    "bind",
    "(Tensor upstream, Tensor[] inputs) -> Tensor",
    lambda upstream, inputs: upstream.clone(),
    lambda upstream, inputs: torch.empty_like(upstream),
)


def evaluate(key: str, data_range, pred, target, mask, weights, per_image: bool):
    """(total, values) in a graph."""
    return operator(pred, target, mask, weights, key, data_range, per_image)
