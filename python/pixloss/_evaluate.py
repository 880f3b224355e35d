"""pixloss.evaluate: a loss on arrays of any framework."""

from __future__ import annotations

import ctypes as C
from typing import Any, NamedTuple, Optional

from . import _library as L
from . import _loss
from . import _views as views
from ._errors import ArgumentError


class Evaluation(NamedTuple):
    """What evaluate() computed. Values are Python floats, or with per_image lists of one for each
    image."""

    value: Any
    """The weighted total."""
    terms: dict
    """{name of a term: its value without its weight}."""
    gradient: Optional[Any] = None
    """d value / d pred, of pred's type and shape."""
    gradient_target: Optional[Any] = None
    """d value / d target, of target's type and shape."""
    map: Optional[Any] = None
    """SSIM (or l, c, s) of the first windowed term at each position, N x C x H' x W' in float32
    (float64 for such images)."""


class _Evaluation:
    """One call: its arrays, and their views by the names of pxl_args."""

    def __init__(self, loss, pred, target, layout):
        self.loss = loss
        self.given = {"pred": pred, "target": target}
        self.raw = {name: views.raw(name, array) for name, array in self.given.items()}
        a, b = self.raw["pred"], self.raw["target"]
        if a.shape != b.shape or a.cuda != b.cuda:
            raise ArgumentError(
                f"pred is {_words(a)} and target {_words(b)}; one shape and device is needed"
            )
        self.order = views.axes("pred", a.shape, layout)
        self.views = {name: views.tensor(raw, self.order) for name, raw in self.raw.items()}
        self.framework = views.Framework(pred)
        self.made: dict = {}

    def add_mask(self, mask) -> None:
        raw = views.raw("mask", mask)
        size = self.views["pred"].size
        shape = (1,) * (3 - len(raw.shape)) + raw.shape  # H,W or N,H,W or N,1,H,W
        if len(raw.shape) == 4 and raw.shape[1] == 1:
            order = [0, None, 2, 3]
            shape = (raw.shape[0], *raw.shape[2:])
        else:
            order = [
                0 if len(raw.shape) == 3 else None,
                None,
                len(raw.shape) - 2,
                len(raw.shape) - 1,
            ]
        if len(shape) != 3 or shape[0] not in (1, size[0]) or shape[1:] != (size[2], size[3]):
            raise ArgumentError(
                f"mask has shape {raw.shape}; height and width of pred are needed, ({size[2]}, "
                f"{size[3]}), or one of these for each of the {size[0]} images"
            )
        view = self.views["weight"] = views.tensor(raw, order)
        if shape[0] == 1:
            view.size[0] = size[0]
            view.stride[0] = 0
        self.raw["weight"] = raw

    def want(self, name: str, shape, dtype: str, order) -> None:
        array = self.framework.empty(shape, dtype)
        raw = views.raw(name, array)
        self.made[name] = array
        self.views[name] = views.tensor(raw, order)

    def want_gradient(self, name: str) -> None:
        raw = self.raw[name.removeprefix("grad_")]
        if raw.dtype in ("u8", "u16"):
            raise ArgumentError(
                f"a gradient is wanted of images of {views.NAMES[raw.dtype]}; float images are "
                "needed"
            )
        self.want(name, raw.shape, raw.dtype, self.order)

    def want_map(self) -> None:
        size = self.loss.map_size(self.views["pred"])
        self.want("map", size, "f64" if self.raw["pred"].dtype == "f64" else "f32", [0, 1, 2, 3])

    def run(self, per_image: bool, term_weights):
        call = _loss.Call(self.loss, self.views, per_image)
        if term_weights is not None:
            given = [float(weight) for weight in term_weights]
            if len(given) != len(self.loss.names):
                raise ArgumentError(
                    f"term_weights has {len(given)} numbers; the loss has {len(self.loss.names)} "
                    "terms: " + ", ".join(self.loss.names)
                )
        if self.raw["pred"].cuda is None:
            return self._run_on_cpu(call, None if term_weights is None else given)
        return self._run_on_cuda(call, None if term_weights is None else given)

    def _run_on_cpu(self, call, weights):
        values = (C.c_double * (call.rows * call.columns))()
        call.args.values = C.addressof(values)
        if weights is not None:
            floats = (C.c_float * len(weights))(*weights)
            call.args.term_weights = C.addressof(floats)
        call.run_on_cpu()
        return list(values)

    def _run_on_cuda(self, call, weights):
        """Everything lies on the device, in the framework's memory, in the order of its current
        stream."""
        values = self.framework.empty((call.rows * call.columns,), "f64")
        call.args.values = views.raw("values", values).address
        if weights is not None:
            floats = self.framework.empty((len(weights),), "f32")
            for i, weight in enumerate(weights):
                floats[i] = weight
            call.args.term_weights = views.raw("term_weights", floats).address
        size = call.measure()
        workspace = self.framework.empty((size,), "u8")
        call.run(
            views.raw("workspace", workspace).address, size, self.framework.stream(), prepare=True
        )
        return values.tolist()


def _words(raw) -> str:
    place = "" if raw.cuda is None else f" on CUDA device {raw.cuda}"
    return f"{raw.shape} of {views.NAMES[raw.dtype]}{place}"


def evaluate(
    expression: str,
    pred,
    target,
    *,
    layout: Optional[str] = None,
    gradient: bool = False,
    gradient_target: bool = False,
    mask=None,
    term_weights=None,
    data_range=None,
    per_image: bool = False,
    map: bool = False,
    networks=None,
    threads: int = 0,
) -> Evaluation:
    """Evaluates a loss, and if asked for its gradient, on two images or batches.

    expression: "0.84*ssim + 0.16*l1"; README.md has the grammar. ssim, ms_ssim, lpips, ... are
        distances, 0 for equal images.
    pred, target: arrays of one shape (float32, float16, bfloat16, float64, uint8, uint16) on the
        CPU or one CUDA device: NumPy, torch, CuPy, DLPack or the buffer protocol. Any strides;
        nothing is copied. target may be of another type than a floating pred; integers are read
        times L / 255 or L / 65535 then.
    layout: what their axes are, "HW", "HWC", "CHW", "NCHW" or "NHWC"; only two axes need no saying.
    gradient, gradient_target: the exact gradient of the value with regard to pred, to target (float
        images).
    mask: weights >= 0 of pixels, float32 (float64 for such images): H x W, N x H x W or N x 1 x H x
        W.
    term_weights: numbers in place of the expression's, one for each term.
    data_range: the L of SSIM's and PSNR's definitions and of networks, for terms that state none;
        "auto": from the images. By default 1 for floats, 255 for uint8, 65535 for uint16.
    per_image: a value for each image of the batch; the gradient is that of their sum.
    map: also the map of SSIM of the first windowed term.
    networks: {name: pixloss.Network} for net=name; a term without net takes the one called vgg16,
        or the only one.
    threads: at most so many on the CPU; 0: as many as OpenMP would use.
    """
    loss = _loss.cached(expression, threads, networks)
    labels = loss.labels  # as they are written, without the data range of this call
    if data_range is not None:
        loss = loss.with_data_range(data_range)
    call = _Evaluation(loss, pred, target, layout)
    if mask is not None:
        call.add_mask(mask)
    for wanted, name in ((gradient, "grad_pred"), (gradient_target, "grad_target")):
        if wanted:
            call.want_gradient(name)
    if map:
        call.want_map()
    values = call.run(per_image, term_weights)
    columns = [
        values[i :: 1 + len(loss.names)] if per_image else values[i]
        for i in range(1 + len(loss.names))
    ]
    return Evaluation(
        columns[0],
        dict(zip(labels, columns[1:])),
        call.made.get("grad_pred"),
        call.made.get("grad_target"),
        call.made.get("map"),
    )
