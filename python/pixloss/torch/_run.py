"""Evaluation on torch tensors: the structs of a call are kept for each set of shapes, so that a
step sets addresses and calls."""

from __future__ import annotations

import ctypes as C

import torch

from .. import _library as L
from .. import _loss, _views
from .._errors import ArgumentError

# By the words of the library; older versions of torch have no uint16.
_DTYPES = {
    getattr(torch, name): word for word, name in _views.NAMES.items() if hasattr(torch, name)
}
_PAIRED = {torch.float32, torch.float16, torch.bfloat16}
_MOST_SHAPES = 64
_NO_STREAM = C.c_void_p(None)


def view(tensor) -> L.Tensor:
    """N x C x H x W with its strides."""
    device = (
        L.Device(type=L.CUDA, index=tensor.device.index)
        if tensor.is_cuda
        else L.Device(type=L.CPU, index=0)
    )
    made = L.Tensor(
        data=tensor.data_ptr(), dtype=L.DTYPES[_DTYPES[tensor.dtype]], device=device, ndim=4
    )
    made.size[:4] = tensor.shape
    made.stride[:4] = tensor.stride()
    return made


def check_images(pred, target) -> None:
    """In the caller's words what the library would say of a struct."""
    for name, image in (("pred", pred), ("target", target)):
        if not isinstance(image, torch.Tensor):
            raise TypeError(f"{name} is of type {type(image).__name__}; a torch.Tensor is needed")
        if image.dtype not in _DTYPES:
            raise ArgumentError(
                f"{name} is of {image.dtype}; {', '.join(map(str, _DTYPES))} are computed"
            )
        if image.dim() != 4:
            hint = "; image[None] makes a batch of one" if image.dim() == 3 else ""
            raise ArgumentError(
                f"{name} has shape {tuple(image.shape)}; N x C x H x W is needed{hint}"
            )
        if not (image.is_cuda or image.device.type == "cpu"):
            raise ArgumentError(f"{name} is on {image.device}; the CPU or a CUDA device is needed")
    if pred.shape != target.shape or pred.device != target.device:
        raise ArgumentError(
            f"pred is {tuple(pred.shape)} on {pred.device}, target {tuple(target.shape)} on "
            f"{target.device}; they have to be the same"
        )


class Plan:
    """The structs of one call of one set of shapes and strides."""

    __slots__ = (
        "views",
        "call",
        "args",
        "reference",
        "bytes",
        "doubles",
        "pred",
        "target",
        "mask",
        "grad_pred",
        "grad_target",
    )

    def __init__(self, loss, pred, target, mask, weights, per_image, grad_pred, grad_target):
        check_images(pred, target)
        given = {
            "pred": pred,
            "target": target,
            "weight": mask,
            "grad_pred": grad_pred,
            "grad_target": grad_target,
        }
        self.views = {name: view(tensor) for name, tensor in given.items() if tensor is not None}
        self.call = _loss.Call(loss, self.views, per_image)
        self.args = self.call.args
        if weights is not None:
            self.args.term_weights = weights.data_ptr()
        self.bytes = self.call.measure()
        self.reference = C.byref(self.args)
        self.doubles = C.c_double * (self.call.rows * self.call.columns)
        self.pred = self.views["pred"]
        self.target = self.views["target"]
        self.mask, self.grad_pred, self.grad_target = (
            self.views.get(name) for name in ("weight", "grad_pred", "grad_target")
        )

    def point(self, pred, target, mask, weights, grad_pred, grad_target, values: int) -> None:
        """To the memory of this step."""
        self.pred.data = pred.data_ptr()
        self.target.data = target.data_ptr()
        self.args.values = values
        if grad_pred is not None:
            self.grad_pred.data = grad_pred.data_ptr()
        if grad_target is not None:
            self.grad_target.data = grad_target.data_ptr()
        if mask is not None:
            self.mask.data = mask.data_ptr()
        if weights is not None:
            self.args.term_weights = weights.data_ptr()


def _take_plan(loss, pred, target, mask, weights, per_image, grad_pred, grad_target):
    """A plan that no other call uses, and the list that it goes back to. Gradients are laid out as
    empty_like() lays them out, which the inputs' strides decide."""
    key = (
        pred.dtype,
        target.dtype,
        pred.shape,
        pred.stride(),
        target.stride(),
        per_image,
        grad_pred is None,
        grad_target is None,
        pred.is_cuda and pred.device,
        target.is_cuda and target.device,
        mask is not None and mask.stride(),
        weights is None,
    )
    free = loss.plans.get(key)
    if free is None:
        if len(loss.plans) >= _MOST_SHAPES:
            loss.plans.clear()
        free = loss.plans[key] = []
    try:
        return free.pop(), free
    except IndexError:
        return Plan(loss, pred, target, mask, weights, per_image, grad_pred, grad_target), free


def gradient_like(image):
    """Memory for a gradient. f16's is f32: a mean over many pixels would vanish in f16 before a
    loss scale multiplies it."""
    return torch.empty_like(image, dtype=torch.float32 if image.dtype is torch.float16 else None)


def evaluate(loss, pred, target, mask, weights, per_image, want_pred, want_target):
    """(values, gradient of pred or None, of target or None). values: on the CPU an array of C
    doubles, on CUDA a tensor, all rows x (1 + terms). Images as comparable() gives them, checked;
    mask and weights as prepare_mask() and prepare_weights() give them."""
    grad_pred = gradient_like(pred) if want_pred else None
    grad_target = gradient_like(target) if want_target else None
    plan, free = _take_plan(loss, pred, target, mask, weights, per_image, grad_pred, grad_target)
    if pred.is_cuda:
        values = _on_cuda(loss, plan, pred, target, mask, weights, grad_pred, grad_target)
    else:
        values = _on_cpu(loss, plan, pred, target, mask, weights, grad_pred, grad_target)
    free.append(plan)
    return values, grad_pred, grad_target


def _on_cpu(loss, plan, pred, target, mask, weights, grad_pred, grad_target):
    values = plan.doubles()  # a tensor takes longer to make
    plan.point(pred, target, mask, weights, grad_pred, grad_target, C.addressof(values))
    block = L.blocks.take(plan.bytes)
    status = L.evaluate(
        loss.context, loss.handle, plan.reference, block.pointer, block.length, _NO_STREAM
    )
    L.blocks.give_back(block)
    if status:
        L.check(status)
    return values


def _on_cuda(loss, plan, pred, target, mask, weights, grad_pred, grad_target):
    """The workspace is torch's memory and goes back to its allocator at once: one that was kept
    would break CUDA graphs."""
    values = torch.empty(
        (plan.call.rows, plan.call.columns), dtype=torch.float64, device=pred.device
    )
    plan.point(pred, target, mask, weights, grad_pred, grad_target, values.data_ptr())
    workspace = torch.empty(plan.bytes, dtype=torch.uint8, device=pred.device)
    stream = torch.cuda.current_stream(pred.device).cuda_stream
    plan.call.run(workspace.data_ptr(), plan.bytes, stream, prepare=True)
    return values


def pixel_map(loss, pred, target, charges) -> None:
    """Writes the charge of each pixel, of the loss's first term on pixels."""
    views = {"pred": view(pred), "target": view(target), "pixel_map": view(charges)}
    call = _loss.Call(loss, views)
    if not pred.is_cuda:
        values = (C.c_double * call.columns)()
        call.args.values = C.addressof(values)
        call.run_on_cpu()
        return
    values = torch.empty(call.columns, dtype=torch.float64, device=pred.device)
    call.args.values = values.data_ptr()
    workspace = torch.empty(call.measure(), dtype=torch.uint8, device=pred.device)
    stream = torch.cuda.current_stream(pred.device).cuda_stream
    call.run(workspace.data_ptr(), workspace.numel(), stream, prepare=True)


# ---- Arguments of a step -------------------------------------------------------------------------
def comparable(pred, target):
    """As the library takes them: f32, f16 and bf16 in any pair, without a copy; else both in the
    wider type, as torch's own losses take them, and autograd casts the gradient back."""
    if pred.dtype is target.dtype or (pred.dtype in _PAIRED and target.dtype in _PAIRED):
        return pred, target
    wide = torch.promote_types(pred.dtype, target.dtype)
    return pred.to(wide), target.to(wide)


def prepare_mask(mask, pred):
    """N x 1 x H x W in f32, or f64 for f64 images, without copying one that is so already."""
    if mask.requires_grad:
        raise ArgumentError(
            "mask requires a gradient, which is not computed; mask.detach() does without"
        )
    n, _, h, w = pred.shape
    shape = tuple(mask.shape)
    if shape not in ((h, w), (1, h, w), (n, h, w), (1, 1, h, w), (n, 1, h, w)):
        raise ArgumentError(
            f"mask has shape {shape}; ({h}, {w}), ({n}, {h}, {w}) or ({n}, 1, {h}, {w}) is needed"
        )
    mask = mask.to(
        device=pred.device, dtype=torch.float64 if pred.dtype is torch.float64 else torch.float32
    )
    return mask.reshape(shape[0] if len(shape) > 2 else 1, 1, h, w).expand(n, 1, h, w)


def prepare_weights(weights, count: int, pred):
    """One f32 for each term, on pred's device."""
    if not isinstance(weights, torch.Tensor):
        weights = torch.tensor(list(weights), dtype=torch.float32)
    if tuple(weights.shape) != (count,):
        raise ArgumentError(
            f"term_weights has shape {tuple(weights.shape)}; the loss has {count} terms"
        )
    return weights.to(device=pred.device, dtype=torch.float32).contiguous()


# ---- Results -------------------------------------------------------------------------------------
def total_type(pred):
    """Totals of f64 images are f64, all others f32."""
    return torch.float64 if pred.dtype is torch.float64 else torch.float32


def total_of(values, pred, per_image: bool):
    """A scalar, or one for each image."""
    dtype = total_type(pred)
    if isinstance(values, torch.Tensor):
        return values[:, 0].to(dtype, copy=True) if per_image else values[0, 0].to(dtype, copy=True)
    if not per_image:
        # A third of the time that a tensor's values[0].to() takes
        return torch.scalar_tensor(values[0], dtype=dtype)
    return matrix_of(values, pred.shape[0])[:, 0].to(dtype, copy=True)


def matrix_of(values, rows: int):
    """The values as a tensor, rows x (1 + terms), in f64."""
    return (
        values
        if isinstance(values, torch.Tensor)
        else torch.frombuffer(values, dtype=torch.float64).view(rows, -1)
    )
