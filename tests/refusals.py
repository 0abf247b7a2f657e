"""Asserts that bad input is refused, by the fields of an InputError."""

import contextlib

import pytest

from mia_tf.validation import InputError

ANY = object()


@contextlib.contextmanager
def refuses(argument: str, value=ANY, advice: str = ""):
    """Asserts that the block raises an InputError of one line with this argument, value and advice in its message."""
    with pytest.raises(InputError) as caught:
        yield caught
    error = caught.value
    assert error.argument == argument, error
    assert value is ANY or error.value is value or error.value == value, (error, error.value)
    assert advice in str(error) and "\n" not in str(error)
