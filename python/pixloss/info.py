"""What the library that is loaded can do."""

from __future__ import annotations

import ctypes as C

from . import _library as L
from . import _terms


def version() -> str:
    """ "major.minor.patch" of the library."""
    return L.version().decode()


def terms() -> list:
    """The names of terms in expressions: ssim, ms_ssim, l1, sobel, ..."""
    return list(_terms.KINDS)


def fields(term: str) -> dict:
    """{name: what it takes and its default} of a term's fields."""
    return _terms.describe(_terms.KINDS[term])


def presets(term: str = "ssim") -> list:
    """The presets that a term takes."""
    return [preset for preset, takers in _terms.PRESETS.items() if term in takers]


def devices() -> list:
    """A line for each device: "cpu  CPU, avx512 (of avx512, avx2, sse2), 2 threads", "cuda:0
    ..."."""
    lines = []
    count = C.c_int()
    text = C.create_string_buffer(256)
    for word, kind in L.words("pxl_device_type").items():
        L.check(L.device_count(kind, C.byref(count)))
        for index in range(count.value):
            L.check(
                L.device_describe(L.Device(type=kind, index=index), C.addressof(text), len(text))
            )
            lines.append(f"{word if kind == L.CPU else f'{word}:{index}'}  {text.value.decode()}")
    return lines
