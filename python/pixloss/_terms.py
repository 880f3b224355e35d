"""The terms that a loss can have and the fields of each, as the library lists them, and expressions
made of them."""

from __future__ import annotations

import ctypes as C
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import NamedTuple, Optional

from . import _library as L
from ._errors import ArgumentError

_TYPES = ("text", "word", "flag", "integer", "number")  # by pxl_field_type


class Field(NamedTuple):
    """A field of a term. Ranges include both ends; step 0: every number between."""

    name: str
    member: str
    member_x: Optional[str]  # of columns and rows: the member of rows, where they may differ
    type: str
    words: dict
    default: object
    low: float
    high: float
    step: float
    exact_zero: bool
    automatic: bool

    def describe(self) -> str:
        """ "a whole number from 3 to 65 in steps of 2; default 11", for docstrings."""
        default = {"text": lambda: None, "flag": lambda: bool(self.default)}.get(
            self.type, lambda: self.default
        )()
        text = {
            "text": "a text",
            "flag": "True or False",
            "word": " | ".join(map(repr, self.words)),
        }.get(self.type) or self._range()
        text += (
            ", or 'auto'"
            if self.automatic
            else ", or (vertical, horizontal)" if self.member_x else ""
        )
        return text + ("" if default is None else f"; default {default!r}")

    def _range(self) -> str:
        low = (
            "above 0"
            if self.low < 1e-300 and not self.exact_zero and self.low
            else f"from {self.low:g}"
        )
        high = "" if math.isinf(self.high) or self.high >= 2**31 - 1 else f" to {self.high:g}"
        step = f" in steps of {self.step:g}" if self.step > 1 else ""
        return ("a whole number " if self.type == "integer" else "a number ") + low + high + step


class Kind(NamedTuple):
    """A name by which an expression may call a term: a kind, or the pixel map by its penalty."""

    name: str
    value: int
    fields: dict  # {name: Field}
    compares: bool  # with target; tv is of pred alone


def _describe(kind: int, penalty: int, index: int) -> Field:
    info = L.sized(L.FieldInfo)
    L.check(L.field_describe(kind, penalty, index, C.byref(info)))
    text = [
        C.string_at(address).decode() if address else None
        for address in (info.name, info.member, info.member_x, info.enumeration)
    ]
    words = L.words(text[3]) if text[3] else {}
    default = None if math.isnan(info.standard) else info.standard
    if words and default is not None:
        default = next((word for word, value in words.items() if value == default), None)
    elif default is not None and _TYPES[info.type] in ("flag", "integer"):
        default = int(default)
    return Field(
        text[0],
        text[1],
        text[2],
        _TYPES[info.type],
        words,
        default,
        info.low,
        info.high,
        info.step,
        bool(info.exact_zero),
        bool(info.automatic),
    )


def _fields(kind: int, penalty: int) -> dict:
    fields = [_describe(kind, penalty, i) for i in range(L.field_count(kind, penalty))]
    return {field.name: field for field in fields}


def _kinds() -> dict:
    kinds = {}
    penalties = {0: None, **{value: word for word, value in L.words("pxl_penalty").items()}}
    for name, value in L.words("pxl_term_kind").items():
        fields = _fields(value, 0)
        for penalty in penalties:  # delta, beta and eps, each of one penalty
            for field in _fields(value, penalty).values():
                fields.setdefault(field.name, field)
        kinds[name] = Kind(name, value, fields, bool(L.kind_compares(value)))
    for penalty in penalties:
        name = L.penalty_term_name(penalty)
        if name:
            fields = _fields(kinds["pixel"].value, penalty)
            fields.pop("penalty")
            kinds[name.decode()] = Kind(name.decode(), kinds["pixel"].value, fields, True)
    return kinds


KINDS: dict = _kinds()
PRESETS: dict = {}  # {name: the terms that take it}
while L.preset_name(len(PRESETS)):
    PRESETS[L.preset_name(len(PRESETS)).decode()] = [
        name for name, kind in KINDS.items() if L.preset_fits(len(PRESETS), kind.value)
    ]


def describe(kind: Kind) -> dict:
    """{name: what it takes and its default} of a term's fields."""
    texts = {name: field.describe() for name, field in kind.fields.items()}
    if "preset" in texts:
        texts["preset"] = ", ".join(
            preset for preset, takers in PRESETS.items() if kind.name in takers
        )
    return texts


# ---- Expressions ---------------------------------------------------------------------------------
def number(value: float) -> str:
    """A number as expressions have it."""
    return repr(float(value))


def _items(value) -> str:
    """A text of layers or weights from a sequence, or from a mapping of layers to weights."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ":".join(f"{number(weight)}*{layer}" for layer, weight in value.items())
    if isinstance(value, Sequence) or hasattr(value, "tolist"):
        values = value if isinstance(value, Sequence) else value.tolist()
        return ":".join(
            (
                item
                if isinstance(item, str)
                else f"{item:d}" if isinstance(item, int) else number(item)
            )
            for item in values
        )
    return str(value)


def _one(value) -> str:
    return (
        str(value)
        if isinstance(value, str)
        else f"{value:d}" if isinstance(value, int) else number(value)
    )


def by_axis(name: str, value):
    """(vertical, horizontal) of one value or of two."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value, value
    if len(value) != 2 or not all(isinstance(each, Real) and each > 0 for each in value):
        raise ArgumentError(
            f"{name} is {value!r}; a number, or (vertical, horizontal), both above 0, is needed"
        )
    return tuple(value)


def _argument(field: Field, value) -> str:
    """ "" for a flag that is not set."""
    if field.type == "flag":
        return field.name if value else ""
    if field.member == "penalty":
        return str(value)
    if field.type == "text":
        return f"{field.name}={_items(value)}"
    if field.member_x:
        down, along = by_axis(field.name, value)
        return (
            f"{field.name}={_one(down)}"
            if down == along
            else f"{field.name}={_one(down)}:{_one(along)}"
        )
    return f"{field.name}={value if field.type == 'word' else _one(value)}"


def term(name: str, **arguments) -> str:
    """One term as an expression: term("ssim", window=7) is "ssim(window=7)". Arguments that are
    None are left out."""
    kind = KINDS[name]
    written = []
    for key, value in arguments.items():
        if key not in kind.fields:
            raise TypeError(
                f"{name}() got an unexpected keyword argument {key!r}; it has "
                f"{', '.join(kind.fields)}"
            )
        if value is not None:
            written.append(_argument(kind.fields[key], value))
    written = [argument for argument in written if argument]
    return f"{name}({', '.join(written)})" if written else name


def with_data_range(term_name: str, data_range) -> str:
    """The term, as pxl_loss_term_name() has it, with a data range where it can have one and has
    none."""
    name, _, arguments = term_name.partition("(")
    if "data_range" not in KINDS[name].fields or "data_range=" in arguments:
        return term_name
    value = data_range if isinstance(data_range, str) else number(data_range)
    return f"{name}(data_range={value}{', ' + arguments if arguments else ')'}"
