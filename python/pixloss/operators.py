"""The filters, window statistics and reductions that losses are made of, each with its adjoint
(transpose).

Arrays are of any framework, as for pixloss.evaluate; results are new arrays of that of the input.
`layout` says what the axes are: "HW", "HWC", "CHW", "NCHW" or "NHWC"."""

from __future__ import annotations

import ctypes as C
from typing import Optional, Sequence, Union

from . import _library as L
from . import _terms as terms
from . import _views as views
from ._errors import ArgumentError

__all__ = [
    "sobel",
    "laplacian",
    "blur",
    "box",
    "filter_adjoint",
    "statistics",
    "statistics_adjoint",
    "reduce",
]
_FILTERS, _BORDERS = L.words("pxl_filter_kind"), L.words("pxl_border")
_Number, _Whole = Union[float, Sequence[float]], Union[int, Sequence[int]]
_REDUCTIONS, _OVER = L.words("pxl_reduce_kind"), L.words("pxl_reduce_over")


def _choose(words: dict, name: str, word: str) -> int:
    if word not in words:
        raise ArgumentError(f"{name} is {word!r}; {', '.join(map(repr, words))} are known")
    return words[word]


def _filter(kind: str, border: Optional[str], **fields) -> L.Filter:
    made = L.sized(
        L.Filter,
        kind=_choose(_FILTERS, "kind", kind),
        **{name: value for name, value in fields.items() if value},
    )
    made.border = 0 if border is None else _choose(_BORDERS, "border", border)
    return made


def _axes(**fields) -> dict:
    """The members of a pxl_filter, of fields that may be (vertical, horizontal)."""
    members = {}
    for name, value in fields.items():
        members[name], along = terms.by_axis(name, value)
        members[name + "_x"] = along if along != members[name] else 0
    return members


def _in_scratch(framework, on_cpu: bool, size: int, call) -> None:
    """call(address, bytes, stream) in scratch memory."""
    if on_cpu:
        block = L.blocks.take(size)
        try:
            L.check(call(block.address, block.size, None))
        finally:
            L.blocks.give_back(block)
    else:
        memory = framework.empty((size,), "u8")
        L.check(call(views.raw("workspace", memory).address, size, framework.stream()))


class _Image:
    """An input, and the making of outputs with its layout."""

    def __init__(self, name: str, array, layout):
        self.raw = views.raw(name, array)
        self.order = views.axes(name, self.raw.shape, layout)
        self.view = views.tensor(self.raw, self.order)
        self.framework = views.Framework(array)

    def new(self, channels: int, height: int, width: int, dtype: Optional[str] = None):
        """An array with N of this one, and its view."""
        shape = list(self.raw.shape)
        for axis, size in zip(self.order[1:], (channels, height, width)):
            if axis is not None:
                shape[axis] = size
        # H,W has no axis for two components: they come first
        if self.order[1] is None and channels > 1:
            shape = [channels, *shape]
            order = [None, 0, 1, 2]
        else:
            order = self.order
        array = self.framework.empty(shape, dtype or self.raw.dtype)
        return array, views.tensor(views.raw("output", array), order)

    @property
    def on_cpu(self) -> bool:
        return self.raw.cuda is None


def _lost(made: L.Filter, window: int, sigma: float) -> int:
    """Positions that the border takes from an axis."""
    taps = window or (2 * int(3.5 * sigma + 0.5) + 1 if sigma else 3)
    return taps - 1 if made.border == _BORDERS["valid"] else 0


def _apply(made: L.Filter, image, layout):
    source = _Image("image", image, layout)
    channels, height, width = source.view.size[1:4]
    down = _lost(made, made.window, made.sigma)
    along = _lost(made, made.window_x or made.window, made.sigma_x or made.sigma)
    array, view = source.new(
        channels * (2 if made.kind == _FILTERS["sobel"] else 1), height - down, width - along
    )
    size = C.c_size_t()
    L.check(L.filter_workspace_size(None, made, source.view, view, C.byref(size)))
    _in_scratch(
        source.framework,
        source.on_cpu,
        size.value,
        lambda *memory: L.filter_apply(None, made, source.view, view, *memory),
    )
    return array


def sobel(image, *, layout: Optional[str] = None, border: Optional[str] = None):
    """Both derivatives, `[-1 0 1; -2 0 2; -1 0 1]` and its transpose, not normalised: 2 C channels,
    the first C of them across. border: "zero" (default), "valid", "reflect", "replicate",
    "symmetric"."""
    return _apply(_filter("sobel", border), image, layout)


def laplacian(
    image, *, layout: Optional[str] = None, border: Optional[str] = None, neighbours: int = 4
):
    """`[0 1 0; 1 -4 1; 0 1 0]`, or with neighbours=8 `[1 1 1; 1 -8 1; 1 1 1]`."""
    return _apply(_filter("laplacian", border, neighbours=neighbours), image, layout)


def blur(
    image,
    sigma: _Number,
    *,
    layout: Optional[str] = None,
    border: Optional[str] = None,
    window: _Whole = 0,
):
    """A Gaussian of standard deviation `sigma` pixels, normalised; window: taps, 0: 2 int(3.5 sigma
    + 0.5) + 1. Both may be (vertical, horizontal)."""
    return _apply(_filter("blur", border, **_axes(sigma=sigma, window=window)), image, layout)


def box(image, window: _Whole, *, layout: Optional[str] = None, border: Optional[str] = None):
    """The mean over window x window pixels, or (vertical, horizontal)."""
    return _apply(_filter("box", border, **_axes(window=window)), image, layout)


def filter_adjoint(
    kind: str,
    grad_output,
    *,
    layout: str,
    border: Optional[str] = None,
    size=None,
    neighbours: int = 0,
    sigma: _Number = 0.0,
    window: _Whole = 0,
):
    """The transpose of a filter ("sobel", "laplacian", "blur", "box"), border included: <filter(a),
    b> = <a, adjoint(b)>. grad_output has an axis of channels; size: height and width of the
    filter's input, for border="valid"."""
    made = _filter(kind, border, neighbours=neighbours, **_axes(sigma=sigma, window=window))
    source = _Image("grad_output", grad_output, layout)
    channels, height, width = source.view.size[1:4]
    if kind == "sobel" and channels % 2:
        raise ArgumentError(
            f"grad_output has {channels} channels; the two derivatives have an even number"
        )
    array, view = source.new(
        channels // 2 if kind == "sobel" else channels, *(size or (height, width))
    )
    needed = C.c_size_t()
    L.check(L.filter_workspace_size(None, made, view, source.view, C.byref(needed)))
    _in_scratch(
        source.framework,
        source.on_cpu,
        needed.value,
        lambda *memory: L.filter_adjoint(None, made, source.view, view, *memory),
    )
    return array


# ---- Statistics of SSIM's window -----------------------------------------------------------------
def _windowed_term(fields: dict):
    """A pxl_term of kind ssim, and what it points to."""
    made = L.sized(L.Term, kind=terms.KINDS["ssim"].value, weight=1.0)
    texts = []
    for name, value in fields.items():
        field = terms.KINDS["ssim"].fields.get(name)
        if field is None:
            raise TypeError(
                f"got an unexpected keyword argument {name!r}; there are "
                f"{', '.join(terms.KINDS['ssim'].fields)}"
            )
        if field.type == "word":
            value = _choose(field.words, name, value)
        elif field.type == "text":
            texts.append(C.create_string_buffer(value.encode()))
            value = C.addressof(texts[-1])
        if field.member_x:
            value, along = terms.by_axis(name, value)
            setattr(made, field.member_x, along)
        setattr(made, field.member, value)
    return made, texts


def _statistics_scratch(made, pred, target) -> int:
    size = C.c_size_t()
    L.check(
        L.statistics_workspace_size(None, made, pred.view, target.view, C.byref(size)),
        column_prefix=False,
    )
    return size.value


def statistics(pred, target, *, layout: Optional[str] = None, **window):
    """Means of pred and of target, variances, and the covariance in SSIM's window: 5 C channels in
    this order, N x 5C x H' x W', in float32 (float64 for such images). window: the fields of ssim
    that say how (window, sigma, uniform, border, sample_covariance, preset)."""
    made, texts = _windowed_term(window)
    a, b = _Image("pred", pred, layout), _Image("target", target, layout)
    size = _statistics_scratch(made, a, b)
    shape = (C.c_int64 * 4)()
    loss = C.c_void_p()
    L.check(
        L.loss_parse(terms.term("ssim", **window).encode(), None, C.byref(loss)),
        column_prefix=False,
    )
    try:
        L.check(L.map_size(loss, a.view, shape))
    finally:
        L.loss_destroy(loss)
    array = a.framework.empty(
        (shape[0], 5 * shape[1], shape[2], shape[3]), "f64" if a.raw.dtype == "f64" else "f32"
    )
    view = views.tensor(views.raw("statistics", array), [0, 1, 2, 3])
    _in_scratch(
        a.framework,
        a.on_cpu,
        size,
        lambda *memory: L.statistics(None, made, a.view, b.view, view, *memory),
    )
    return array


def statistics_adjoint(pred, target, grad_statistics, *, layout: Optional[str] = None, **window):
    """The gradients of sum(grad_statistics * statistics(pred, target)), with regard to pred and to
    target."""
    made, texts = _windowed_term(window)
    a, b = _Image("pred", pred, layout), _Image("target", target, layout)
    size = _statistics_scratch(made, a, b)
    given = _Image("grad_statistics", grad_statistics, "NCHW")
    (grad_pred, pred_view), (grad_target, target_view) = (
        image.new(*image.view.size[1:4]) for image in (a, b)
    )
    _in_scratch(
        a.framework,
        a.on_cpu,
        size,
        lambda *memory: L.statistics_adjoint(
            None, made, a.view, b.view, given.view, pred_view, target_view, *memory
        ),
    )
    return grad_pred, grad_target


# ---- Reductions ----------------------------------------------------------------------------------
def reduce(kind: str, image, *, layout: Optional[str] = None, over: str = "all"):
    """A deterministic reduction summed in float64: kind "sum", "mean", "min", "max", "l1" (sum of
    |x|) or "l2" (root of the sum of squares); over "all" (a float), "image" (a list of N) or
    "channel" (N lists of C)."""
    source = _Image("image", image, layout)
    images, channels = source.view.size[:2]
    count = {"all": 1, "image": images, "channel": images * channels}.get(over, 1)
    kinds = _choose(_REDUCTIONS, "kind", kind), _choose(_OVER, "over", over)
    size = C.c_size_t()
    L.check(L.reduce_workspace_size(None, *kinds, source.view, C.byref(size)))
    results = (C.c_double * count)() if source.on_cpu else source.framework.empty((count,), "f64")
    address = C.addressof(results) if source.on_cpu else views.raw("results", results).address
    _in_scratch(
        source.framework,
        source.on_cpu,
        size.value,
        lambda *memory: L.reduce(None, *kinds, source.view, address, *memory),
    )
    values = list(results) if source.on_cpu else results.tolist()
    if over == "channel":
        return [values[i : i + channels] for i in range(0, count, channels)]
    return values if over == "image" else values[0]
