"""Drop-ins' refusals by name and by parameter. Imports no framework."""

from __future__ import annotations

import functools
import inspect

from .._errors import ArgumentError, UnsupportedError

__all__ = ["ArgumentError", "NotCovered", "Only", "UnsupportedError", "covers", "refusing"]


class NotCovered(UnsupportedError, AttributeError):
    """A name of the package that has no drop-in; the message says why."""


class Only:
    """The values of a parameter that are computed, and the reason for the others' refusal."""

    def __init__(self, *values, reason: str):
        self.values = values
        self.reason = reason

    def __str__(self) -> str:
        if self.values == (inspect.Parameter.empty,):  # **kwargs
            return f"any: {self.reason}"
        return f"other than {', '.join(map(repr, self.values))}: {self.reason}"


def _limits(parameters, refused: dict) -> dict:
    """{parameter: Only(...)}; a reason alone stands for the default only."""
    assert set(refused) <= set(parameters), set(refused) - set(parameters)
    return {
        name: limit if isinstance(limit, Only) else Only(parameters[name].default, reason=limit)
        for name, limit in refused.items()
    }


def covers(**refused):
    """Marks a function or class as a drop-in. `refused`: for parameters of which not all values are
    computed, the reason (then the default alone is), or Only(values, reason=...)."""

    def mark(target):
        call = target.__init__ if inspect.isclass(target) else target
        parameters = dict(inspect.signature(call).parameters)
        limits = _limits(parameters, refused)
        checked = [
            (i, name, parameters[name].default, limits[name])
            for i, name in enumerate(parameters)
            if name in limits
        ]

        @functools.wraps(call)
        def checking(*args, **kwargs):
            for i, name, default, limit in checked:
                value = args[i] if i < len(args) else kwargs.get(name, default)
                if value is not default or default not in limit.values:
                    if not any(value is allowed or value == allowed for allowed in limit.values):
                        shown = (
                            repr(value) if len(repr(value)) < 60 else f"a {type(value).__name__}"
                        )
                        raise UnsupportedError(f"{target.__name__}({name}={shown}): {limit.reason}")
            return call(*args, **kwargs)

        covered = {
            name: str(limits[name]) if name in limits else None
            for name in parameters
            if name != "self"
        }
        if inspect.isclass(target):
            target.__init__ = checking
            target.__covers__ = covered
            return target
        checking.__covers__ = covered
        return checking

    return mark


def refusing(module: str, refused: dict):
    """A module's __getattr__, for names that are refused."""

    def __getattr__(name):
        if name in refused:
            raise NotCovered(f"{module}.{name} has no drop-in: {refused[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
