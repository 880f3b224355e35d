"""Losses as handles, and the evaluation of one on views."""

from __future__ import annotations

import ctypes as C
import threading
import weakref

from . import _library as L
from . import _terms as terms


class Loss:
    """A parsed expression with its networks and its limit of threads. Never changes; threads may
    share it."""

    def __init__(
        self, expression: str, threads: int = 0, networks=None, column_prefix: bool = True
    ):
        self.handle = C.c_void_p()
        self.networks = dict(networks or {})
        if not isinstance(expression, str):
            raise TypeError(
                f"the expression is of type {type(expression).__name__}; a str is needed, such as "
                "'0.84*ssim + 0.16*l1'"
            )
        named = L.make_context(0, {name: network.handle for name, network in self.networks.items()})
        try:
            L.check(L.loss_parse(expression.encode(), named, C.byref(self.handle)), column_prefix)
        finally:
            L.context_destroy(named)
        weakref.finalize(self, L.loss_destroy, self.handle)
        self.context = L.make_context(threads, {})
        weakref.finalize(self, L.context_destroy, self.context)
        self.expression = expression
        self.threads = threads
        self.names = [
            L.loss_term_name(self.handle, i).decode() for i in range(L.loss_term_count(self.handle))
        ]
        self.weights = [L.loss_term_weight(self.handle, i) for i in range(len(self.names))]
        self.labels = _distinct(self.names)
        self.plans: dict = {}  # pixloss.torch: the structs of calls, by shapes
        self._ranges: dict = {}

    def with_data_range(self, data_range) -> Loss:
        """The same loss where terms without a data range of their own have this one: a number, or
        "auto"."""
        data_range = data_range if isinstance(data_range, str) else float(data_range)
        if data_range not in self._ranges:
            pieces = [
                f"{terms.number(weight)}*{terms.with_data_range(name, data_range)}"
                for name, weight in zip(self.names, self.weights)
            ]
            if len(self._ranges) >= _MOST:
                self._ranges.clear()
            self._ranges[data_range] = Loss(
                " + ".join(pieces), self.threads, self.networks, column_prefix=False
            )
        return self._ranges[data_range]

    def map_size(self, pred) -> tuple:
        size = (C.c_int64 * 4)()
        L.check(L.map_size(self.handle, C.byref(pred), size))
        return tuple(size)


def _distinct(names) -> list:
    """Names as keys: of equal ones the second has " (2)" behind it."""
    seen: dict = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return labels


_cache: dict = {}
_lock = threading.Lock()
_MOST = 256  # expressions, not steps: a script has a few


def cached(expression: str, threads: int = 0, networks=None, column_prefix: bool = True) -> Loss:
    """A loss that is parsed once. Networks count by identity."""
    key = (
        expression,
        threads,
        tuple(sorted((name, id(network)) for name, network in (networks or {}).items())),
    )
    try:
        return _cache[key]
    except KeyError:
        loss = Loss(expression, threads, networks, column_prefix)
        with _lock:
            if len(_cache) >= _MOST:
                _cache.pop(next(iter(_cache)))
            return _cache.setdefault(key, loss)


class Call:
    """The structs of one evaluation, made once for a set of shapes: each later call sets addresses
    in them. ctypes lets other threads run during a call, so a Call serves one at a time.

    `views` are pxl_tensor structs by the names of pxl_args: pred, target, weight, grad_pred,
    grad_target, map, statistics, feature_map. The values are `rows` rows of 1 + terms doubles."""

    def __init__(self, loss: Loss, views: dict, per_image: bool = False):
        self.loss = loss
        self.views = views
        self.args = L.sized(L.Args, per_image=int(per_image))
        for name, view in views.items():
            setattr(self.args, name, C.addressof(view))
        self.rows = views["pred"].size[0] if per_image else 1
        self.columns = 1 + len(loss.names)
        self.bytes = C.c_size_t()

    def measure(self) -> int:
        """Bytes of workspace; reads no pixel, but checks everything else."""
        self.args.values = self.args.values or 16  # any address: outputs may not overlap
        L.check(
            L.workspace_size(
                self.loss.context, self.loss.handle, C.byref(self.args), C.byref(self.bytes)
            )
        )
        return self.bytes.value

    def run(self, workspace: int, size: int, stream=None, prepare: bool = False) -> None:
        """Evaluates in `size` bytes at `workspace`. prepare: a workspace on a GPU, before its first
        evaluation."""
        handles = self.loss.context, self.loss.handle, C.byref(self.args)
        memory = C.c_void_p(workspace), C.c_size_t(size), C.c_void_p(stream)
        if prepare:
            L.check(L.workspace_init(*handles, *memory))
        L.check(L.evaluate(*handles, *memory))

    def run_on_cpu(self) -> None:
        block = L.blocks.take(self.measure())
        try:
            self.run(block.address, block.size)
        finally:
            L.blocks.give_back(block)
