"""Labels, class names, example ids and groups, from the forms in which users have them. NumPy only; reads no files."""

import numbers
import re
from typing import Any

import numpy as np

from mia_tf.records import ALL, GROUPS, UNDER
from mia_tf.validation import as_array, check, check_shape, fail, listed, without_second_axis

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_LARGEST_FLOAT = 2**53
"""Up to here a float64 holds every whole number."""
_STANDARD_ERRORS = 3
_FORMS = "must be whole numbers, booleans, strings or one-hot rows"


def normalize_labels(labels, *, argument: str = "labels", classes=None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns labels of any unambiguous form as integers, and the names of the classes if they have names.

    Numbers keep their values: no class is left out because it has no example. `occurring_classes` does that.
    Strings become positions in `classes`. Without `classes` they become positions among the different strings in
    sorted order, where strings that are all whole numbers sort as numbers. A category without an example is no class
    unless `classes` names it.

    Args:
        labels: N labels of shape (N,) or (N, 1): integers from 0, floats that are whole numbers, booleans or
            strings; or of shape (N, K) with K >= 2, one-hot: one 1 per row, else 0.
        argument: the name of `labels` in error messages.
        classes: the name of each class, K different strings; None if the classes have no names, or if `labels` are
            the names.

    Returns:
        (N,) int64 labels from 0, and a tuple of the class names; None instead of the tuple if there are no names.

    Raises:
        InputError: the labels have another form, or do not fit `classes`; or they are an ordered Categorical of pandas
            whose order is not the sorted one, without `classes`. The message says how to convert them.

    Example:
        >>> normalize_labels(["cat", "dog", "cat"])
        (array([0, 1, 0]), ('cat', 'dog'))
        >>> normalize_labels([[0, 0, 1], [1, 0, 0]])
        (array([2, 0]), None)
        >>> normalize_labels([3.0, 7.0, 3.0])
        (array([3, 7, 3]), None)
    """
    values = without_second_axis(_as_array(labels, argument))
    names = None if classes is None else _class_names(classes)
    if values.ndim == 2:
        if names is not None:
            check_shape(argument, values, (None, len(names)))
        return _from_one_hot(values, argument), names
    check(argument, f"shape {values.shape}", values.ndim == 1, "must have shape (N,), (N, 1) or, one-hot, (N, K)")
    check(argument, f"shape {values.shape}", len(values) > 0, "must hold at least one label")
    if values.dtype.kind == "U":
        integers, names = _from_strings(values, names, argument)
        ordered = None if classes is not None else ordered_categories(labels)
        sorted_too = ordered is None or [name for name in ordered if name in names] == list(names)
        # Some libraries put the columns in the order of the categories, others, such as scikit-learn, sort the names.
        allowed = "must come with `classes`, the order of the columns: its categories are ordered, but not by name"
        check(argument, " < ".join(ordered or ()), sorted_too, allowed)
        return integers, names
    integers = _from_numbers(values, argument)
    if names is not None:
        limit = len(names) - 1
        allowed = f"must lie in [0, {limit}], because there are {len(names)} class names (labels from 1: subtract 1)"
        check(argument, f"values from {integers.min()} to {integers.max()}", integers.max() <= limit, allowed)
    return integers, names


def ordered_categories(labels) -> tuple[str, ...] | None:
    """Returns all categories of an ordered pandas Categorical of strings, in their order; None for anything else.

    Example:
        >>> import pandas as pd
        >>> ordered_categories(pd.Categorical(["low", "high"], ["low", "high"], ordered=True))
        ('low', 'high')
    """
    dtype: Any = getattr(labels, "dtype", None)
    names = tuple(dtype.categories) if getattr(dtype, "ordered", False) else ()
    return names if names and all(isinstance(name, str) for name in names) else None


def occurring_classes(
    labels: np.ndarray, classes: tuple[str, ...] | None = None, *, argument: str = "labels"
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Returns the classes that have examples, for training: a model gets one output for each of them.

    Args:
        labels: (N,) int64 from 0, as `normalize_labels` returns them.
        classes: the name of each class; None if the classes have no names.
        argument: the name of `labels` in error messages.

    Returns:
        (C,) int64, the different labels in rising order: `np.searchsorted` in it turns a label into its output in
        [0, C). And a tuple of the C names: those of `classes`, or else the labels themselves; None instead of the
        tuple if there are no `classes` and the labels are 0 to C - 1 without a gap.

    Raises:
        InputError: there are fewer than two different labels, or fewer than two examples per label on average.

    Example:
        >>> values, names = occurring_classes(np.array([7, 3, 40, 3, 7, 40]))
        >>> names
        ('3', '7', '40')
        >>> np.searchsorted(values, [40, 3])
        array([2, 0])
    """
    values = np.unique(labels)
    names = tuple(classes[value] for value in values) if classes else tuple(map(str, values))
    only = f"only {names[0]!r}" if classes else f"only label {names[0]}"
    check(argument, only, len(values) >= 2, "must hold at least two different labels")
    received = f"{len(values):,} different labels of {len(labels):,} examples"
    allowed = "must have at least two examples per label on average (are these ids, or measurements?)"
    check(argument, received, 2 * len(values) <= len(labels), allowed)
    return values, names if classes or not np.array_equal(values, np.arange(len(values))) else None


def normalize_ids(ids, *, argument: str = "ids") -> np.ndarray:
    """Returns a user's own ids of examples as strings.

    Args:
        ids: N different strings or integers, of shape (N,) or (N, 1).
        argument: the name of `ids` in error messages.

    Returns:
        (N,) fixed-width str.

    Raises:
        InputError: an id occurs twice, is empty or cannot stand on a line of its own, or the ids are neither strings
            nor integers.

    Example:
        >>> normalize_ids([12, 7])
        array(['12', '7'], dtype='<U2')
    """
    values = without_second_axis(_as_array(ids, argument))
    check_shape(argument, values, (None,))
    convert = "must be strings or integers: convert whole numbers with .astype(np.int64)"
    check(argument, f"dtype {values.dtype}", values.dtype.kind in "Uiu", convert)
    values = np.array([str(value) for value in values.tolist()])
    for value in values.tolist():
        fits = value and value.isprintable() and value == value.strip()
        check(argument, repr(value), fits, "must be printable, not empty, and without spaces around them")
    different, counts = np.unique(values, return_counts=True)
    repeated = different[counts > 1]
    received = f"{len(repeated):,} of them more than once ({listed(repeated)})"
    check(argument, received, not len(repeated), "must differ from each other")
    return values


def normalize_groups(groups, num_examples: int) -> np.ndarray | None:
    """Returns the names of a user's own groups.

    Args:
        groups: N names, or whole numbers: 1 for the under- and 0 for the over-represented group, or any other numbers
            as names.
        num_examples: N.

    Returns:
        (N,) str; None if all examples are in one group.

    Raises:
        InputError: there is not one group per example, or a name is missing, cannot be shown or means all examples.

    Example:
        >>> normalize_groups([0, 1, 0], 3)
        array(['over', 'under', 'over'], dtype='<U5')
    """
    array = without_second_axis(_as_array(groups, "groups"))
    check_shape("groups", array, (num_examples,))
    check("groups", f"dtype {array.dtype}", array.dtype.kind in "biuU", "must be names, or whole numbers")
    if array.dtype.kind != "U":
        numbers = array.astype(np.int64)
        check("groups", numbers.min(), numbers.min() >= 0, "must not be negative")
        array = np.array(GROUPS)[numbers] if numbers.max() <= UNDER else numbers.astype(str)
    names = np.unique(array)
    check("groups", repr(ALL), ALL not in names, "must not use the name of all examples together")
    for name in names.tolist():
        check("groups", repr(name), name.isprintable() and name.strip() != "", "must be printable and not empty")
    return array if len(names) > 1 else None


def _as_array(values, argument: str) -> np.ndarray:
    """An array of numbers, booleans or str, whatever the values came in."""
    array = as_array(argument, values)
    if array.dtype.kind == "U" and not hasattr(values, "dtype"):
        array = np.asarray(values, object)  # NumPy makes "nan" of a missing value among strings
    if array.dtype.kind == "O":
        array = _from_objects(array, argument)
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            fail(argument, "other bytes", "must be text in UTF-8")
    return array


def _from_objects(array: np.ndarray, argument: str) -> np.ndarray:
    """Strings, booleans or numbers that are stored as Python objects, as pandas does."""
    values = array.ravel().tolist()
    for kind in (str, (bool, np.bool_), numbers.Real):
        same = all(isinstance(value, kind) for value in values)
        if values and same:
            return np.array(values).reshape(array.shape)
    kinds = ", ".join(sorted({type(value).__name__ for value in values}))
    fail(argument, f"Python objects ({kinds})", "must be all strings, all booleans or all numbers")


def _class_names(classes) -> tuple[str, ...]:
    """The names of the classes, in the order of the labels."""
    names = _as_array(classes, "classes")
    check_shape("classes", names, (None,))
    check("classes", f"dtype {names.dtype}", names.dtype.kind == "U", "must be strings: convert with .astype(str)")
    _check_names(names, "classes")
    different, counts = np.unique(names, return_counts=True)
    check(
        "classes", f"{listed(different[counts > 1])} twice", len(different) == len(names), "must differ from each other"
    )
    return tuple(names.tolist())


def _check_names(names: np.ndarray, argument: str) -> None:
    """Raises InputError for a name of a class that a line of text cannot show."""
    for name in np.unique(names).tolist():
        check(argument, repr(name), name.strip() != "" and name.isprintable(), "must be printable and not empty")


def _from_strings(values: np.ndarray, names: tuple[str, ...] | None, argument: str):
    """(N,) int64 positions in the names, and the names; the different strings are the names if there are none."""
    different, positions = np.unique(values, return_inverse=True)
    _check_names(different, argument)
    strings = different.tolist()
    if names is None:
        whole = all(map(_WHOLE_NUMBER.fullmatch, strings))
        names = tuple(sorted(strings, key=lambda text: (int(text), text)) if whole else strings)
    known = {name: position for position, name in enumerate(names)}
    unknown = [text for text in strings if text not in known]
    check(argument, listed(unknown), not unknown, "must be among the class names " + listed(names))
    return np.array([known[text] for text in strings], np.int64)[positions.reshape(-1)], names


def _from_numbers(values: np.ndarray, argument: str) -> np.ndarray:
    """(N,) int64 from whole numbers from 0, or from booleans."""
    kind = values.dtype.kind
    check(argument, f"dtype {values.dtype}", kind in "biuf", _FORMS)
    if kind == "b":
        return values.astype(np.int64)
    if kind == "f":
        values = values.astype(np.float64)
        check(argument, "NaN or infinity", np.isfinite(values).all(), "must be finite")
        whole = (np.trunc(values) == values) & (np.abs(values) <= _LARGEST_FLOAT)
        if not whole.all():
            fail(argument, values[~whole][0].item(), "must be whole numbers (a threshold makes classes: labels > 0.5)")
    low, high = values.min(), values.max()
    # -1 is a class to some and "unlabelled" to others.
    allowed = "must not be negative: leave unlabelled examples out, or name the classes with .astype(str)"
    check(argument, f"values from {low} to {high}", low >= 0, allowed)
    check(argument, f"values from {low} to {high}", high <= np.iinfo(np.int64).max, "must be below 2**63")
    return values.astype(np.int64)


def _from_one_hot(values: np.ndarray, argument: str) -> np.ndarray:
    """(N,) int64, the place of the 1 in each row of (N, K)."""
    check(argument, f"shape {values.shape}", values.size > 0, "must hold at least one label")
    check(argument, f"shape {values.shape}", values.dtype.kind in "biuf", f"{_FORMS}, strings of shape (N,)")
    one_hot = ((values == 0) | (values == 1)).all() and ((values == 1).sum(axis=1) == 1).all()
    allowed = "must have one 1 per row and else 0, or shape (N,): .argmax(axis=1) makes labels of probabilities"
    check(argument, f"shape {values.shape} with other rows", one_hot, allowed)
    return values.argmax(axis=1).astype(np.int64)


def right_by_chance(labels: np.ndarray) -> float:
    """Returns the most labels that a model has right which learnt nothing.

    A model that always names the most frequent label has that label's examples right. Answers at random add up to three
    standard errors. They count for half of the other examples at most: if these are few, three standard errors are more
    than all of them, and a perfect model would be taken for one that learnt nothing.

    Args:
        labels: (n,) integers from 0, of the model's own training examples.

    Example:
        >>> right_by_chance(np.array([0] * 197 + [1] * 3)), right_by_chance(np.array([0, 1] * 50))
        (198.5, 65.0)
    """
    most = int(np.bincount(labels).max())
    others = len(labels) - most
    return float(most + min(_STANDARD_ERRORS * np.sqrt(most * others / len(labels)), others / 2))
