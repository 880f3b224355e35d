"""What pixloss raises. Each is also the built-in exception that a caller would expect."""

from __future__ import annotations

import re


class Error(Exception):
    """A call to pixloss failed; the message names the argument, its value and what would do."""


class ArgumentError(Error, ValueError):
    """An argument is outside its documented range, two do not fit, or an expression is wrong (the
    message names the column)."""


class UnsupportedError(Error, NotImplementedError):
    """Valid, but not computed by this build or on this device; the message says what is missing."""


class OutOfMemoryError(Error, MemoryError):
    """There was no memory for what the message names."""


class FileError(Error, OSError):
    """A file could not be read, or is not what it should be."""


class DeviceError(Error, RuntimeError):
    """A CUDA call failed; the message names it."""


_CLASSES = {
    "PXL_INVALID_ARGUMENT": ArgumentError,
    "PXL_SYNTAX_ERROR": ArgumentError,
    "PXL_UNSUPPORTED": UnsupportedError,
    "PXL_OUT_OF_MEMORY": OutOfMemoryError,
    "PXL_IO_ERROR": FileError,
    "PXL_DEVICE_ERROR": DeviceError,
}


def raise_error(status: str, message: str, column_prefix: bool = True):
    """Raises the class of a status. The weight map is called mask in this package."""
    if not column_prefix:
        message = re.sub(r"^column \d+: ", "", message)
    message = re.sub(r"^weight\b", "mask", message)
    raise _CLASSES.get(status, Error)(message)
