"""libpixloss by ctypes. Structs, enumerations and the fields of terms are asked of the library
(pixloss/introspect.h), so that the package holds no list of them. Importing this module loads the
library; importing pixloss does not."""

from __future__ import annotations

import ctypes as C
import os
import pathlib

from ._errors import raise_error


def _path() -> str:
    """The library beside this file, or another build of it for development."""
    return os.environ.get("PIXLOSS_LIBRARY") or str(
        pathlib.Path(__file__).with_name("libpixloss.so")
    )


lib = C.CDLL(_path())
_POINTER, _SIZE, _INT, _TEXT = C.c_void_p, C.c_size_t, C.c_int, C.c_char_p


def _declare(name: str, result, *arguments):
    function = getattr(lib, name)
    function.restype = result
    function.argtypes = arguments
    return function


# ---- Structs, laid out as the library says -------------------------------------------------------
class _Member(C.Structure):  # pxl_member_info, the one struct that is laid out by hand
    _fields_ = [
        ("name", _TEXT),
        ("type", _INT),
        ("count", _SIZE),
        ("offset", _SIZE),
        ("bytes", _SIZE),
    ]


_error_message = _declare("pxl_error_message", _TEXT)
_status_name = _declare("pxl_status_name", _TEXT, _INT)
_struct_size = _declare("pxl_struct_size", _SIZE, _TEXT)
_struct_member = _declare("pxl_struct_member", _INT, _TEXT, _SIZE, C.POINTER(_Member))


def check(status: int, column_prefix: bool = True) -> None:
    """Raises what the library says of its last failure. column_prefix=False: without the column of
    an expression that the caller has not written."""
    if status:
        raise_error(_status_name(status).decode(), _error_message().decode(), column_prefix)


def _members(name: str):
    member = _Member()
    index = 0
    while _struct_member(name.encode(), index, C.byref(member)) == 0:
        yield member.name.decode(), member.type, member.count, member.offset
        index += 1


def _structure(name: str):
    """The ctypes class of a public struct."""
    types = [C.c_void_p, C.c_int, C.c_int64, C.c_size_t, C.c_double]  # by pxl_member_type
    if name != "pxl_device":
        types.append(Device)
    members = list(_members(name))
    fields = [
        (member, types[kind] * count if count > 1 else types[kind])
        for member, kind, count, _ in members
    ]
    made = type(name, (C.Structure,), {"_fields_": fields})
    wrong = [member for member, _, _, offset in members if getattr(made, member).offset != offset]
    if wrong or C.sizeof(made) != _struct_size(name.encode()):
        raise ImportError(
            f"{_path()}: {name} is laid out in a way that ctypes does not follow: {wrong}"
        )
    return made


Device = _structure("pxl_device")
Tensor = _structure("pxl_tensor")
Args = _structure("pxl_args")
Term = _structure("pxl_term")
Layer = _structure("pxl_layer")
Filter = _structure("pxl_filter")
FieldInfo = _structure("pxl_field_info")


def sized(struct, **members):
    """A struct that begins with its size, as the header's macros make it."""
    return struct(struct_size=C.sizeof(struct), **members)


# ---- Enumerations --------------------------------------------------------------------------------
_enum_word = _declare("pxl_enum_word", _TEXT, _TEXT, _SIZE, C.POINTER(_INT))


def words(enumeration: str) -> dict:
    """{word: value} of an enumeration, "pxl_border"."""
    found = {}
    value = _INT()
    while True:
        word = _enum_word(enumeration.encode(), len(found), C.byref(value))
        if word is None:
            return found
        found[word.decode()] = value.value


DTYPES = words("pxl_dtype")
CPU, CUDA = (words("pxl_device_type")[word] for word in ("cpu", "cuda"))

# ---- Functions -----------------------------------------------------------------------------------
_T, _A = C.POINTER(Tensor), C.POINTER(Args)
version = _declare("pxl_version", _TEXT)
device_count = _declare("pxl_device_count", _INT, _INT, C.POINTER(_INT))
device_describe = _declare("pxl_device_describe", _INT, Device, _POINTER, _SIZE)
preset_name = _declare("pxl_preset_name", _TEXT, _SIZE)
preset_fits = _declare("pxl_preset_fits", _INT, _SIZE, _INT)
kind_compares = _declare("pxl_kind_compares", _INT, _INT)
field_count = _declare("pxl_field_count", _SIZE, _INT, _INT)
field_describe = _declare("pxl_field_describe", _INT, _INT, _INT, _SIZE, C.POINTER(FieldInfo))
penalty_term_name = _declare("pxl_penalty_term_name", _TEXT, _INT)

context_create = _declare("pxl_context_create", _INT, Device, _INT, C.POINTER(_POINTER))
context_destroy = _declare("pxl_context_destroy", None, _POINTER)
context_add_network = _declare("pxl_context_add_network", _INT, _POINTER, _TEXT, _POINTER)
network_create = _declare("pxl_network_create", _INT, _POINTER, _SIZE, C.POINTER(_POINTER))
network_random = _declare("pxl_network_random", _INT, _TEXT, C.c_uint64, C.POINTER(_POINTER))
network_load = _declare("pxl_network_load", _INT, _TEXT, _TEXT, _TEXT, C.POINTER(_POINTER))
network_destroy = _declare("pxl_network_destroy", None, _POINTER)
network_layer_count = _declare("pxl_network_layer_count", _SIZE, _POINTER)
network_layer_name = _declare("pxl_network_layer_name", _TEXT, _POINTER, _SIZE)

loss_parse = _declare("pxl_loss_parse", _INT, _TEXT, _POINTER, C.POINTER(_POINTER))
loss_destroy = _declare("pxl_loss_destroy", None, _POINTER)
loss_term_count = _declare("pxl_loss_term_count", _SIZE, _POINTER)
loss_term_name = _declare("pxl_loss_term_name", _TEXT, _POINTER, _SIZE)
loss_term_weight = _declare("pxl_loss_term_weight", C.c_double, _POINTER, _SIZE)
map_size = _declare("pxl_map_size", _INT, _POINTER, _T, C.POINTER(C.c_int64))
workspace_size = _declare("pxl_workspace_size", _INT, _POINTER, _POINTER, _A, C.POINTER(_SIZE))
workspace_init = _declare(
    "pxl_workspace_init", _INT, _POINTER, _POINTER, _A, _POINTER, _SIZE, _POINTER
)
# Called each step with ctypes objects that were made once for a shape: without argtypes nothing is
# converted.
evaluate = lib.pxl_evaluate

filter_workspace_size = _declare(
    "pxl_filter_workspace_size", _INT, _POINTER, C.POINTER(Filter), _T, _T, C.POINTER(_SIZE)
)
filter_apply = _declare(
    "pxl_filter_apply", _INT, _POINTER, C.POINTER(Filter), _T, _T, _POINTER, _SIZE, _POINTER
)
filter_adjoint = _declare(
    "pxl_filter_adjoint", _INT, _POINTER, C.POINTER(Filter), _T, _T, _POINTER, _SIZE, _POINTER
)
statistics_workspace_size = _declare(
    "pxl_ssim_statistics_workspace_size", _INT, _POINTER, C.POINTER(Term), _T, _T, C.POINTER(_SIZE)
)
statistics = _declare(
    "pxl_ssim_statistics", _INT, _POINTER, C.POINTER(Term), _T, _T, _T, _POINTER, _SIZE, _POINTER
)
statistics_adjoint = _declare(
    "pxl_ssim_statistics_adjoint",
    _INT,
    _POINTER,
    C.POINTER(Term),
    _T,
    _T,
    _T,
    _T,
    _T,
    _POINTER,
    _SIZE,
    _POINTER,
)
reduce_workspace_size = _declare(
    "pxl_reduce_workspace_size", _INT, _POINTER, _INT, _INT, _T, C.POINTER(_SIZE)
)
reduce = _declare("pxl_reduce", _INT, _POINTER, _INT, _INT, _T, _POINTER, _POINTER, _SIZE, _POINTER)


# ---- Scratch memory on the CPU -------------------------------------------------------------------
class Block:
    """`size` bytes on a cache line. bytearray's memory comes zeroed from the system, so nothing is
    touched before it is used."""

    def __init__(self, size: int):
        memory = bytearray(size + 64)
        self._exported = C.c_char.from_buffer(memory)
        self.size = size
        self.address = (C.addressof(self._exported) + 63) & ~63
        self.pointer = C.c_void_p(self.address)
        self.length = C.c_size_t(size)


class Blocks:
    """Free blocks, the last used first. One serves a call at a time and grows as calls need;
    list.pop and list.append are atomic, so threads share them without a lock. Large ones are given
    back at once: a loss of many scales or a network takes hundreds of megabytes, which others may
    need between two calls."""

    KEPT = 32 << 20

    def __init__(self):
        self._free: list = []

    def take(self, size: int) -> Block:
        try:
            block = self._free.pop()
        except IndexError:
            return Block(size)
        return block if block.size >= size else Block(size)

    def give_back(self, block: Block) -> None:
        if block.size <= self.KEPT:
            self._free.append(block)


blocks = Blocks()


# ---- Contexts ------------------------------------------------------------------------------------
def make_context(threads: int, networks: dict):
    """A handle, or None where none is needed. networks: {name: handle}."""
    if not threads and not networks:
        return None
    context = C.c_void_p()
    check(context_create(Device(type=CPU, index=0), threads, C.byref(context)))
    try:
        for name, network in networks.items():
            check(context_add_network(context, name.encode(), network))
    except Exception:
        context_destroy(context)
        raise
    return context
