"""Checks of what a user passes in: each failure is one line with the name, the value and what is allowed."""

import numbers
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt


class InputError(ValueError):
    """Bad input. The command lines print its one line and exit with code 2, before any work starts.

    Attributes:
        argument: the parameter, flag or environment variable whose value is wrong; for a file, the one that named it.
        value: what was received: the value itself, the path of a file, or words such as "shape (3, 2)"; None if
            nothing was given.

    Example:
        >>> try:
        ...     check("pkeep", 1.5, 0 < 1.5 < 1, "must be in (0, 1)")
        ... except InputError as error:
        ...     print(error)
        ...     print(error.argument, error.value)
        Argument `pkeep` must be in (0, 1). Received: pkeep=1.5
        pkeep 1.5
    """

    def __init__(self, message: str, argument: str | None = None, value=None):
        super().__init__(message)
        self.argument = argument
        self.value = value

    def __reduce__(self) -> tuple:
        # Another process may lack what the value is made of, such as a function of the user's.
        plain = self.value is None or isinstance(self.value, numbers.Number | str | PurePath)
        return type(self), (str(self), self.argument, self.value if plain else str(self.value))


def renamed(error: InputError, name: str, value: Any) -> InputError:
    """Returns the error of an argument as one of the caller's own argument, whose name and value these are.

    Example:
        >>> str(renamed(InputError("Argument `dp` must be a folder. Received: dp=a", "dp", "a"), "compare", "a"))
        'Argument `compare` must be a folder. Received: compare=a'
    """
    line = str(error).removeprefix(f"Argument `{error.argument}`")
    line = line if line == str(error) else f"Argument `{name}`{line}"
    start, received, end = line.rpartition(f"Received: {error.argument}=")
    return InputError(f"{start}Received: {name}={end}" if received else line, name, value)


def part_of(argument: str, part: str) -> str:
    """Returns what checks take as the name of a part of an argument's value, such as an array in a file.

    Example:
        >>> try:
        ...     check(part_of("dataset", "y_train in own.npz"), "strings", False, "must be integers")
        ... except InputError as error:
        ...     print(error)
        ...     print(error.argument, error.value)
        Argument `dataset`: y_train in own.npz must be integers. Received: strings
        dataset strings
    """
    return f"{argument}: {part}"


def fail(name: str, value: Any, allowed: str) -> NoReturn:
    """Raises InputError for an argument's value; `allowed` completes "Argument `name` ..."."""
    name, _, part = name.partition(": ")
    subject, received = (f"`{name}`: {part}", value) if part else (f"`{name}`", f"{name}={value}")
    raise InputError(f"Argument {subject} {allowed}. Received: {received}", name, value)


def check(name: str, value: Any, condition: bool | np.bool_, allowed: str) -> None:
    """Raises InputError unless `condition`: check("pkeep", p, 0 < p < 1, "must be in (0, 1)")."""
    if not condition:
        fail(name, value, allowed)


def check_given(name: str, value: Any, example: str) -> None:
    """Raises InputError if the value is None or empty; the message shows an example of one."""
    if value is None or value == "":
        raise InputError(f"Argument `{name}` must be given, such as --{name}={example}", name, value)


def listed(values: Sequence | np.ndarray, most: int = 10) -> str:
    """The first values of many for a message, and how many more there are: "0, 2, 5 and 1,204 more"."""
    rest = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + rest


def check_integer(name: str, value: Any, minimum: int, maximum: int | None = None, *, optional: bool = False) -> None:
    """Raises InputError unless the value is an integer in [minimum, maximum] (or None if optional)."""
    if optional and value is None:
        return
    bounds = f"must be an integer of at least {minimum}"
    if maximum is not None:
        bounds = f"must be an integer in [{minimum}, {maximum}]"
    integral = isinstance(value, int | np.integer) and not isinstance(value, bool)
    fits = integral and value >= minimum and (maximum is None or value <= maximum)
    check(name, _quoted(value), fits, bounds)


def check_number(name: str, value: Any, *, optional: bool = False) -> None:
    """Raises InputError unless the value is a real number (or None if optional); its range is checked after this."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    check(name, _quoted(value), number or (optional and value is None), "must be a number")


def _quoted(value: Any) -> Any:
    """A string as it stands in code, so that "4" does not look like 4; anything else as it is."""
    return repr(value) if isinstance(value, str) else value


def check_several(name: str, values: Any, example: str) -> None:
    """Raises InputError for one value, or a string, where a list of values is wanted; shows an example of one."""
    several = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    check(name, repr(values), several, f"must be a list, such as {example}")


def as_array(name: str, values: Any) -> np.ndarray:
    """Returns an argument as an array: a pandas DataFrame of numbers as numbers, whatever its columns' types.

    Raises InputError for lists of different lengths, sparse matrices, columns of text among others, and arrays of other
    frameworks that NumPy cannot read.
    """
    kind = type(values).__name__
    check(name, f"a {kind}", not hasattr(values, "toarray"), "must be a dense array: convert with .toarray()")
    pandas = sys.modules.get("pandas")  # slow to import; a DataFrame shows that it was imported
    if pandas and isinstance(values, pandas.DataFrame):
        return _from_frame(name, values)
    try:
        array = np.asarray(values)
    except Exception as error:  # each framework raises errors of its own
        if isinstance(error, ValueError) and isinstance(values, list | tuple):
            fail(name, "lists of different lengths", "must be one array")
        received = f"a {kind}, which raised {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        fail(name, received, "must be an array that NumPy can read")
    plain = array.dtype.kind != "V"  # such as bfloat16
    check(name, f"dtype {array.dtype}", plain, "must have a type that NumPy has: convert with .astype('float32')")
    return array


def _from_frame(name: str, frame: Any) -> np.ndarray:
    """The columns of a DataFrame as one array; NumPy alone makes Python objects of columns of different types."""
    columns = [column.to_numpy() for _, column in frame.items()]
    for (label, column), array in zip(frame.items(), columns, strict=True):
        if array.dtype.kind not in "biuf":
            part = part_of(name, f"column {label!r}")
            check(part, "missing values", not column.hasnans, "must be complete")
            check(part, f"dtype {column.dtype}", len(columns) == 1, "must hold numbers or booleans")
    return np.stack(columns, axis=1) if columns else np.asarray(frame)


def as_mask(name: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns an argument as bool of a shape, from bool or 0 and 1; for the shape (N,) also from (N, 1)."""
    array = as_array(name, values)
    if len(shape) == 1:
        array = without_second_axis(array)
    check_shape(name, array, shape)
    check(name, f"dtype {array.dtype}", array.dtype.kind in "biuf", "must be bool, or 0 and 1")
    check(name, "other values", np.isin(array, (0, 1)).all(), "must be bool, or 0 and 1")
    return array.astype(bool)


def without_second_axis(array: np.ndarray) -> np.ndarray:
    """Returns an array (N, 1), such as one column of a table, as (N,); others as they are."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def check_choice(name: str, value: Any, choices: Collection) -> None:
    """Raises InputError unless the value is one of `choices`."""
    check(name, value, value in choices, "must be one of " + ", ".join(map(str, choices)))


def check_shape(name: str, array: npt.ArrayLike, shape: tuple, dtype: npt.DTypeLike | None = None) -> None:
    """Raises InputError unless the array has `shape` (None matches any length) and, if given, `dtype`."""
    array = np.asarray(array)
    wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits:
        fail(name, f"shape {array.shape}", f"must have shape {wanted}")
    if dtype is not None and array.dtype != np.dtype(dtype):
        fail(name, f"dtype {array.dtype}", f"must have dtype {np.dtype(dtype)}")


def check_ids(name: str, ids: np.ndarray, limit: int | None = None) -> None:
    """Raises InputError unless the array holds integers in [0, limit), or from 0 on if `limit` is None."""
    check(name, f"dtype {ids.dtype}", ids.dtype.kind in "iu", "must be integers")
    low, high = (ids.min(), ids.max()) if ids.size else (0, 0)
    allowed = "must not be negative" if limit is None else f"must lie in [0, {limit - 1}]"
    check(name, f"values from {low} to {high}", low >= 0 and (limit is None or high < limit), allowed)
