"""Networks for the perceptual terms (features, lpips, style, cosine): stacks of convolutions, ReLUs
and poolings such as VGG.

On the CPU they are computed by oneDNN 2 (Debian: libdnnl2), on a GPU by cuDNN 9; the library looks
for these when a network is first run. Weights come from a state dict in memory, a safetensors file,
or a seed."""

from __future__ import annotations

import ctypes as C
import hashlib
import os
import re
import weakref
from collections.abc import Mapping

from . import _library as L
from ._errors import ArgumentError

__all__ = ["Network"]
_KINDS = {"convolution": 0, "relu": 1, "max_pool": 2, "average_pool": 3}  # pxl_layer_kind
_CONVOLUTION = re.compile(r"(?:features\.)?(\d+)\.(weight|bias)")
_LINEAR = re.compile(r"(?:module\.)?lin(\d+)\.(?:model\.\d+\.)?weight")


class Network:
    """Layers and their weights. Made by from_state_dict(), random() or load(); pickles and copies
    by its weights."""

    def __init__(self, layers):
        """`layers`: dicts with `kind` ("convolution", "relu", "max_pool", "average_pool"); a
        convolution also has `weight` (outputs x inputs x size x size, f32) and `bias` (outputs);
        any layer may have `linear`, what lpips multiplies each of its channels by."""
        self._recipe = ("layers", [_in_floats(layer) for layer in layers])
        self._make()

    @classmethod
    def _made_by(cls, *recipe) -> Network:
        network = cls.__new__(cls)
        network._recipe = recipe
        network._make()
        return network

    @classmethod
    def random(cls, architecture: str = "vgg16", seed: int = 1) -> Network:
        """Random weights, the same for a seed everywhere. `architecture`: vgg11, vgg13, vgg16,
        vgg19, or a list as "3:64,64,M,128k5,A". Distances in random features tell structure apart
        and suit tests; they are not the trained network's."""
        return cls._made_by("random", architecture, seed)

    @classmethod
    def load(cls, path, linear_path=None, architecture=None) -> Network:
        """A safetensors file with torchvision's names (features.N.weight), and one of lpips' linear
        weights (lin0.weight, ...). scripts/convert_weights.py makes both from .pth files."""
        return cls._made_by(
            "load", os.fspath(path), linear_path and os.fspath(linear_path), architecture
        )

    @classmethod
    def from_state_dict(cls, state: Mapping, linear: Mapping = None) -> Network:
        """Torchvision's VGG, `vgg16(weights=...).state_dict()` or that of its `features`; `linear`:
        lpips' linear weights, `lpips.LPIPS(net="vgg").state_dict()` or its weights/v0.1/vgg.pth.
        Convolutions and pooling follow from the layers' numbers as in torchvision: a ReLU follows
        each convolution, a max pooling the ReLU where two numbers are missing."""
        layers = layers_of_state(state)
        if linear is not None:
            _add_linear(layers, linear)
        return cls(layers)

    def _make(self) -> None:
        kind, *arguments = self._recipe
        self.handle = C.c_void_p()
        if kind == "layers":
            self._create(*arguments)
        elif kind == "random":
            L.check(L.network_random(arguments[0].encode(), arguments[1], C.byref(self.handle)))
        else:
            L.check(
                L.network_load(
                    *(
                        text and text.encode()
                        for text in (arguments[0], arguments[2], arguments[1])
                    ),
                    C.byref(self.handle),
                )
            )
        weakref.finalize(self, L.network_destroy, self.handle)

    def _create(self, layers) -> None:
        made = (L.Layer * len(layers))()
        for to, layer in zip(made, layers):
            to.struct_size = C.sizeof(L.Layer)
            to.kind = _KINDS[layer["kind"]]
            if layer["kind"] == "convolution":
                to.outputs, to.inputs, to.size = layer["shape"][:3]
            for name in ("weight", "bias", "linear"):
                if layer.get(name) is not None:
                    setattr(to, name, C.addressof(layer[name]))
        L.check(L.network_create(C.addressof(made), len(layers), C.byref(self.handle)))

    def __reduce__(self):
        kind, *arguments = self._recipe
        if kind == "layers":
            arguments = [
                [
                    {
                        key: bytes(value) if isinstance(value, C.Array) else value
                        for key, value in layer.items()
                    }
                    for layer in arguments[0]
                ]
            ]
        return _remake, (kind, arguments)

    def __deepcopy__(self, memo) -> Network:
        return self  # never changes

    @property
    def key(self) -> str:
        """The same for networks of the same weights."""
        text = repr(
            [
                {
                    key: bytes(value) if isinstance(value, C.Array) else value
                    for key, value in layer.items()
                }
                for layer in self._recipe[1]
            ]
            if self._recipe[0] == "layers"
            else self._recipe
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def layers(self) -> list:
        """The layers' names: conv1_1, relu1_1, ..., pool1, conv2_1, ..."""
        count = L.network_layer_count(self.handle)
        return [L.network_layer_name(self.handle, i).decode() for i in range(count)]


def _remake(kind, arguments) -> Network:
    if kind == "layers":
        for layer in arguments[0]:
            for key, value in layer.items():
                if isinstance(value, bytes):
                    layer[key] = (C.c_float * (len(value) // 4)).from_buffer_copy(value)
    return Network._made_by(kind, *arguments)


# ---- State dicts ---------------------------------------------------------------------------------
def _floats(values):
    """Any array of numbers as C floats."""
    if hasattr(values, "detach"):  # torch
        values = values.detach().float().cpu().contiguous()
        return (C.c_float * values.numel()).from_buffer_copy(
            C.string_at(values.data_ptr(), 4 * values.numel())
        )
    flat = values.astype("f4").ravel().tolist() if hasattr(values, "astype") else list(values)
    return (C.c_float * len(flat))(*flat)


def _in_floats(layer: Mapping) -> dict:
    made = dict(layer)
    if made.get("kind") not in _KINDS:
        raise ArgumentError(
            f"a layer is of kind {made.get('kind')!r}; {', '.join(map(repr, _KINDS))} are known"
        )
    if made["kind"] == "convolution":
        shape = tuple(made["weight"].shape)
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ArgumentError(
                f"a convolution's weight has shape {shape}; (outputs, inputs, size, size) is needed"
            )
        made["shape"] = shape
    for name in ("weight", "bias", "linear"):
        if made.get(name) is not None and not isinstance(made[name], C.Array):
            made[name] = _floats(made[name])
    return made


def layers_of_state(state: Mapping) -> list:
    """A state dict of torchvision's VGG as the layers that Network() takes."""
    found: dict = {}
    for name, value in state.items():
        match = _CONVOLUTION.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    if not found:
        raise ArgumentError(
            "the state dict has no features.0.weight as torchvision's VGG has; it has "
            + (", ".join(list(state)[:3]) or "nothing")
        )
    for number, convolution in found.items():
        if len(convolution["weight"].shape) != 4:
            raise ArgumentError(
                f"features.{number} is no convolution: batch normalization is not computed; take "
                "the VGG without it"
            )
    layers = []
    numbers = sorted(found)
    for number, following in zip(numbers, [*numbers[1:], None]):
        layers += [dict(kind="convolution", **found[number]), dict(kind="relu")]
        if following is None or following - number == 3:
            layers.append(dict(kind="max_pool"))
        elif following - number != 2:
            raise ArgumentError(
                f"between features.{number} and features.{following} there is more than a ReLU "
                "and a pooling"
            )
    return layers


def _add_linear(layers: list, state: Mapping) -> None:
    """lpips' weights, of the last ReLU of each block."""
    found = {
        int(match[1]): value
        for name, value in state.items()
        for match in [_LINEAR.fullmatch(name)]
        if match
    }
    last = [i - 1 for i, layer in enumerate(layers) if layer["kind"] == "max_pool"]
    if sorted(found) != list(range(len(last))):
        raise ArgumentError(
            f"linear weights lin{', lin'.join(map(str, sorted(found)))} are given; the network "
            f"has {len(last)} blocks"
        )
    for block, layer in enumerate(last):
        layers[layer]["linear"] = found[block].reshape(-1)
