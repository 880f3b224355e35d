"""The loss in autograd. Value and gradients come from one call in forward; backward multiplies what
was kept by what arrives.

Derivatives of that gradient are not computed. They are refused, and not left to be 0:
once_differentiable refuses only where the upstream gradient requires one itself, which
loss.backward() does not, so that beside another loss a gradient penalty would lose this one's part
in silence."""

from __future__ import annotations

import torch
from torch.autograd import Function

from . import _run

_forward_ad = torch.autograd.forward_ad
_transforms_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
REFUSAL = (
    "pixloss computes first derivatives alone: no second derivatives, and no forward mode through "
    "a gradient"
)


def forward_mode_active() -> bool:
    return getattr(_forward_ad, "_current_level", 0) >= 0


class Refuse(Function):
    """A gradient that depends on pred, target and term weights, and says so when it is
    differentiated."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient, *inputs):
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *_):
        raise NotImplementedError(REFUSAL)

    @staticmethod
    def jvp(ctx, *_):
        raise NotImplementedError(REFUSAL)


def scaled(gradient, upstream, image):
    """gradient times upstream, a scalar or one for each image, in the image's type."""
    if upstream.dim():
        upstream = upstream.to(gradient.dtype).view(-1, 1, 1, 1)
    product = gradient * upstream  # a scalar's type does not widen the product
    return product if product.dtype is image.dtype else product.to(image.dtype)


def weight_gradient(values, upstream, rows: int):
    """A weight's gradient is the term's value."""
    matrix = _run.matrix_of(values, rows)[:, 1:]
    return (matrix * upstream.to(matrix).reshape(-1, 1)).sum(0).float()


def _backward(kept, values, upstream, rows: int):
    grad_pred, grad_target, pred, target, weights = kept
    refused = torch.is_grad_enabled() or forward_mode_active()
    if (
        not refused
        and grad_target is None
        and weights is None
        and not upstream.dim()
        and upstream.is_cpu
        and upstream.item() == 1
    ):
        if grad_pred.dtype is pred.dtype:
            return grad_pred, None, None  # loss.backward(): no pass over memory
    inputs = [tensor for tensor in (pred, target, weights) if tensor is not None]
    results = [
        None if gradient is None else scaled(gradient, upstream, image)
        for gradient, image in ((grad_pred, pred), (grad_target, target))
    ]
    results.append(None if weights is None else weight_gradient(values, upstream, rows))
    if refused:
        results = [None if result is None else Refuse.apply(result, *inputs) for result in results]
    return tuple(results)


class Eager(Function):
    """The fast one: no setup_context, for which Function.apply() calls inspect.signature() (30
    us)."""

    @staticmethod
    def forward(ctx, pred, target, mask, weights, loss, per_image):
        wants = ctx.needs_input_grad
        values, grad_pred, grad_target = _run.evaluate(
            loss, pred, target, mask, weights, per_image, wants[0], wants[1]
        )
        ctx.save_for_backward(
            grad_pred,
            grad_target,
            pred,
            target if wants[1] else None,
            weights if wants[3] else None,
        )
        ctx.rows = pred.shape[0] if per_image else 1
        ctx.values = values if wants[3] else None
        return _run.total_of(values, pred, per_image), values

    @staticmethod
    def backward(ctx, upstream, _):
        grad_pred, grad_target, grad_weights = _backward(
            ctx.saved_tensors, ctx.values, upstream, ctx.rows
        )
        return grad_pred, grad_target, None, grad_weights, None, None


class Functional(Function):
    """The same for torch.func and forward mode: all outputs are tensors, both gradients are
    computed."""

    @staticmethod
    def forward(pred, target, mask, weights, loss, per_image):
        wanted = pred.dtype.is_floating_point
        values, grad_pred, grad_target = _run.evaluate(
            loss, pred.resolve_neg(), target.resolve_neg(), mask, weights, per_image, wanted, wanted
        )
        rows = pred.shape[0] if per_image else 1
        empty = pred.new_empty(0)
        return (
            _run.total_of(values, pred, per_image),
            _run.matrix_of(values, rows).clone(),
            grad_pred if wanted else empty,
            grad_target if wanted else empty,
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, values, grad_pred, grad_target = output
        pred, target, _, weights, _, per_image = inputs
        ctx.mark_non_differentiable(values, grad_pred, grad_target)
        ctx.rows = pred.shape[0] if per_image else 1
        ctx.per_image = per_image
        kept = (values, grad_pred, grad_target, pred, target, weights)
        ctx.save_for_backward(*kept)
        ctx.save_for_forward(*kept)

    @staticmethod
    def backward(ctx, upstream, *_):
        values, *kept = ctx.saved_tensors
        grad_pred, grad_target, grad_weights = _backward(kept, values, upstream, ctx.rows)
        return grad_pred, grad_target, None, grad_weights, None, None

    @staticmethod
    def jvp(ctx, d_pred, d_target, _, d_weights, *__):
        """<gradient, tangent>, which is right; the tangent of that is refused."""
        values, grad_pred, grad_target, pred, target, weights = ctx.saved_tensors
        inputs = [tensor for tensor in (pred, target, weights) if tensor is not None]
        images = (1, 2, 3) if ctx.per_image else None
        parts = [
            (Refuse.apply(gradient, *inputs) * tangent).sum(images)
            for gradient, tangent in ((grad_pred, d_pred), (grad_target, d_target))
            if tangent is not None
        ]
        if d_weights is not None:
            rows = (Refuse.apply(values, *inputs)[:, 1:] * d_weights).sum(1)
            parts.append(rows if ctx.per_image else rows[0])
        total = sum(parts).to(torch.float64 if pred.dtype is torch.float64 else torch.float32)
        return total, None, None, None

    @staticmethod
    def vmap(info, in_dims, pred, target, mask, weights, loss, per_image):
        """One call for each entry."""

        def entries(tensor, axis):
            return [tensor] * info.batch_size if axis is None else tensor.movedim(axis, 0).unbind()

        columns = zip(
            *(entries(tensor, axis) for tensor, axis in zip((pred, target, mask, weights), in_dims))
        )
        outputs = zip(*(Functional.apply(*column, loss, per_image) for column in columns))
        return tuple(torch.stack(output) for output in outputs), (0, 0, 0, 0)


def evaluate(loss, pred, target, mask, weights, per_image):
    """(total, values), the total in autograd's graph where something requires a gradient."""
    if _transforms_active() or forward_mode_active():
        total, values, _, _ = Functional.apply(pred, target, mask, weights, loss, per_image)
        return total, values
    if pred.is_neg() or target.is_neg():  # a lazy minus sign, which an address does not show
        pred = pred.resolve_neg()
        target = target.resolve_neg()
    requires = (
        pred.requires_grad
        or target.requires_grad
        or (weights is not None and weights.requires_grad)
    )
    if requires and torch.is_grad_enabled():
        return Eager.apply(pred, target, mask, weights, loss, per_image)
    values, _, _ = _run.evaluate(loss, pred, target, mask, weights, per_image, False, False)
    return _run.total_of(values, pred, per_image), values
