"""Checks of what a user passes in: each failure is one line with the name, the value and what is allowed."""

import numbers
from collections.abc import Sequence

import numpy as np


class InputError(ValueError):
    """Bad input. The command lines print its one line and exit with code 2, before any work starts."""


def fail(allowed: str, **argument) -> None:
    """Raises InputError for the one `name=value` given; `allowed` completes "Argument `name` ..."."""
    ((name, value),) = argument.items()
    raise InputError(f"Argument `{name}` {allowed}. Received: {name}={value}")


def check(condition: bool, allowed: str, **argument) -> None:
    """Raises InputError unless `condition`: check(0 < p < 1, "must be in (0, 1)", pkeep=p)."""
    if not condition:
        fail(allowed, **argument)


def listed(values: Sequence, most: int = 10) -> str:
    """The first values of many for a message, and how many more there are: "0, 2, 5 and 1,204 more"."""
    rest = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + rest


def check_integer(minimum: int, maximum: int | None = None, *, optional: bool = False, **argument) -> None:
    """Raises InputError unless the value is an integer in [minimum, maximum] (or None where optional)."""
    ((_, value),) = argument.items()
    if optional and value is None:
        return
    bounds = f"must be an integer of at least {minimum}"
    if maximum is not None:
        bounds = f"must be an integer in [{minimum}, {maximum}]"
    integral = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    check(integral and value >= minimum and (maximum is None or value <= maximum), bounds, **argument)


def check_choice(choices, **argument) -> None:
    """Raises InputError unless the value is one of `choices`."""
    ((_, value),) = argument.items()
    check(value in choices, "must be one of " + ", ".join(map(str, choices)), **argument)


def check_shape(shape: tuple, dtype=None, **argument) -> None:
    """Raises InputError unless the array has `shape` (None matches any length) and, where given, `dtype`."""
    ((name, array),) = argument.items()
    array = np.asarray(array)
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits:
        raise InputError(f"Argument `{name}` must have shape {wanted}. Received: shape {array.shape}")
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise InputError(f"Argument `{name}` must have dtype {np.dtype(dtype)}. Received: dtype {array.dtype}")


def check_ids(limit: int | None = None, **argument) -> None:
    """Raises InputError unless the array holds integers in [0, limit), or from 0 on where there is no limit."""
    ((name, ids),) = argument.items()
    check(ids.dtype.kind in "iu", "must be integers", **{name: f"dtype {ids.dtype}"})
    low, high = (ids.min(), ids.max()) if ids.size else (0, 0)
    allowed = "must not be negative" if limit is None else f"must lie in [0, {limit - 1}]"
    check(low >= 0 and (limit is None or high < limit), allowed, **{name: f"values from {low} to {high}"})
