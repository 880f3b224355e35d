"""Arrays as pxl_tensor views, without copies: NumPy by __array_interface__, CuPy and Numba by
__cuda_array_interface__, torch, JAX and others by DLPack, everything else by the buffer protocol.
Importing this module imports none of them."""

from __future__ import annotations

import ctypes as C
import sys

from . import _library as L
from ._errors import ArgumentError

LAYOUTS = ("HW", "HWC", "CHW", "NCHW", "NHWC")
_BYTES = {"f32": 4, "f16": 2, "bf16": 2, "f64": 8, "u8": 1, "u16": 2}
_TYPESTR = {"f4": "f32", "f2": "f16", "f8": "f64", "u1": "u8", "u2": "u16"}
_FORMAT = {"f": "f32", "e": "f16", "d": "f64", "B": "u8", "H": "u16"}
_DLPACK = {
    (2, 32): "f32",
    (2, 16): "f16",
    (4, 16): "bf16",
    (2, 64): "f64",
    (1, 8): "u8",
    (1, 16): "u16",
}
_SUPPORTED = "float32, float16, bfloat16, float64, uint8 or uint16 is needed"


class Raw:
    """Where an array's elements lie. `strides` in elements; `owner` keeps the memory alive."""

    __slots__ = ("address", "dtype", "shape", "strides", "cuda", "owner")

    def __init__(self, address, dtype, shape, strides, cuda, owner):
        self.address = address
        self.dtype = dtype
        self.shape = tuple(shape)
        self.strides = tuple(strides)
        self.cuda = cuda  # cuda: None on the CPU, else the device's number
        self.owner = owner


def _dense(shape) -> list:
    strides = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return strides


def _in_elements(name: str, strides, bytes_each: int) -> list:
    if any(stride % bytes_each for stride in strides):
        raise ArgumentError(
            f"{name} has strides of {strides} bytes, which are no whole elements of {bytes_each}; "
            "copy it first"
        )
    return [stride // bytes_each for stride in strides]


def _by_interface(name: str, array, interface: dict, cuda) -> Raw:
    typestr = interface["typestr"]
    dtype = "bf16" if str(getattr(array, "dtype", "")) == "bfloat16" else _TYPESTR.get(typestr[1:])
    if dtype is None or (typestr[0] == ">" and _BYTES[dtype] > 1):
        raise ArgumentError(
            f"{name} has elements of type {getattr(array, 'dtype', typestr)}; {_SUPPORTED}"
        )
    strides = interface.get("strides")
    strides = (
        _dense(interface["shape"])
        if strides is None
        else _in_elements(name, strides, _BYTES[dtype])
    )
    return Raw(interface["data"][0], dtype, interface["shape"], strides, cuda, array)


class _DLTensor(C.Structure):
    _fields_ = [
        ("data", C.c_void_p),
        ("device_type", C.c_int32),
        ("device_id", C.c_int32),
        ("ndim", C.c_int32),
        ("code", C.c_uint8),
        ("bits", C.c_uint8),
        ("lanes", C.c_uint16),
        ("shape", C.POINTER(C.c_int64)),
        ("strides", C.POINTER(C.c_int64)),
        ("byte_offset", C.c_uint64),
    ]


_capsule_pointer = C.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = C.c_void_p
_capsule_pointer.argtypes = (C.py_object, C.c_char_p)


def _by_dlpack(name: str, array) -> Raw:
    cuda = array.__dlpack_device__()[0] == 2
    # Calls go to the framework's current stream
    capsule = array.__dlpack__(stream=-1) if cuda else array.__dlpack__()
    tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    dtype = _DLPACK.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
    if dtype is None:
        raise ArgumentError(
            f"{name} has elements of type {getattr(array, 'dtype', '?')}; {_SUPPORTED}"
        )
    shape = tensor.shape[: tensor.ndim]
    strides = tensor.strides[: tensor.ndim] if tensor.strides else _dense(shape)
    device = tensor.device_id if tensor.device_type == 2 else None
    if tensor.device_type not in (1, 2, 3):
        raise ArgumentError(
            f"{name} is on a device of DLPack's type {tensor.device_type}; the CPU or a CUDA "
            "device is needed"
        )
    return Raw(
        (tensor.data or 0) + tensor.byte_offset, dtype, shape, strides, device, (array, capsule)
    )


class _Buffer(C.Structure):  # Py_buffer
    _fields_ = [
        ("buf", C.c_void_p),
        ("obj", C.py_object),
        ("len", C.c_ssize_t),
        ("itemsize", C.c_ssize_t),
        ("readonly", C.c_int),
        ("ndim", C.c_int),
        ("format", C.c_char_p),
        ("shape", C.c_void_p),
        ("strides", C.c_void_p),
        ("suboffsets", C.c_void_p),
        ("internal", C.c_void_p),
    ]


def _by_buffer(name: str, array) -> Raw:
    view = memoryview(array)
    dtype = _FORMAT.get(view.format.lstrip("<=@"))
    if dtype is None:
        raise ArgumentError(f"{name} has elements of format {view.format!r}; {_SUPPORTED}")
    if view.ndim < 2:
        raise ArgumentError(
            f"{name} has {view.ndim} dimension; memoryview.cast(format, shape) gives it those of "
            "an image"
        )
    buffer = _Buffer()
    # PyBUF_STRIDES; read-only memory too
    C.pythonapi.PyObject_GetBuffer(C.py_object(view), C.byref(buffer), 0x18)
    address = buffer.buf
    C.pythonapi.PyBuffer_Release(C.byref(buffer))  # `view` holds the memory
    return Raw(
        address, dtype, view.shape, _in_elements(name, view.strides, view.itemsize), None, view
    )


def raw(name: str, array) -> Raw:
    """An array of any framework. `name` is for messages."""
    # Of torch: a gradient is pixloss.torch's; lazily negated elements have no address
    if hasattr(array, "detach"):
        array = array.detach().resolve_neg()
    interface = getattr(array, "__array_interface__", None)
    if interface is not None:
        return _by_interface(name, array, interface, None)
    interface = getattr(array, "__cuda_array_interface__", None)
    if interface is not None and not hasattr(array, "__dlpack__"):
        return _by_interface(
            name, array, interface, getattr(getattr(array, "device", None), "id", 0)
        )
    if hasattr(array, "__dlpack__"):
        return _by_dlpack(name, array)
    try:
        return _by_buffer(name, array)
    except TypeError:
        raise TypeError(
            f"{name} is of type {type(array).__name__}; an array is needed (NumPy, torch, CuPy, "
            "DLPack or the buffer protocol)"
        ) from None


def axes(name: str, shape, layout) -> list:
    """For N, C, H, W the axis of `shape` that holds it; None: it has one of size 1."""
    if layout is None and len(shape) == 2:
        layout = "HW"
    if layout not in LAYOUTS:
        raise ArgumentError(
            f"layout is {layout!r}; {', '.join(map(repr, LAYOUTS))} is needed for {name} of shape "
            f"{tuple(shape)}"
        )
    if len(layout) != len(shape):
        raise ArgumentError(f"{name} has shape {tuple(shape)}, which is not {layout}")
    return [layout.index(axis) if axis in layout else None for axis in "NCHW"]


def tensor(raw_array: Raw, order) -> L.Tensor:
    """The view of an array whose axes are at the places in `order`; strides of absent ones are
    0."""
    device = L.Device(type=L.CPU if raw_array.cuda is None else L.CUDA, index=raw_array.cuda or 0)
    made = L.Tensor(data=raw_array.address, dtype=L.DTYPES[raw_array.dtype], device=device, ndim=4)
    for i, axis in enumerate(order):
        made.size[i] = 1 if axis is None else raw_array.shape[axis]
        made.stride[i] = 0 if axis is None else raw_array.strides[axis]
    return made


# ---- Arrays for results --------------------------------------------------------------------------
NAMES = {
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "f64": "float64",
    "u8": "uint8",
    "u16": "uint16",
}


class Framework:
    """What makes arrays on the device of an input, and runs there: that input's framework."""

    def __init__(self, like):
        module = type(like).__module__.partition(".")[0]
        self.name = (
            module
            if module in ("torch", "cupy", "numpy")
            else "numpy" if "numpy" in sys.modules else "buffer"
        )
        self.module = sys.modules.get(self.name)
        self.device = getattr(like, "device", None) if self.name in ("torch", "cupy") else None

    def empty(self, shape, dtype: str):
        shape = tuple(int(size) for size in shape)
        if self.name == "torch":
            return self.module.empty(
                shape, dtype=getattr(self.module, NAMES[dtype]), device=self.device
            )
        if self.name == "cupy":
            with self.device:
                return self.module.empty(shape, dtype=NAMES[dtype])
        if self.name == "numpy":
            return self.module.empty(shape, dtype=NAMES[dtype])
        count = _BYTES[dtype]
        letter = {word: letter for letter, word in _FORMAT.items()}[dtype]
        for size in shape:
            count *= size
        return memoryview(bytearray(count)).cast(letter, shape)

    def stream(self):
        """The framework's current CUDA stream; None is the default stream."""
        if self.name == "torch" and self.device is not None and self.device.type == "cuda":
            return self.module.cuda.current_stream(self.device).cuda_stream
        if self.name == "cupy":
            return self.module.cuda.get_current_stream().ptr
        return None
