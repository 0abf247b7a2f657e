"""Asserts that bad input is refused: by the fields of an InputError, or by what a command prints."""

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


def assert_refused(done, argument: str, value=ANY, advice: str = "") -> str:
    """Asserts that a finished command exited with 2 and one line about this argument; returns the line."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"`{argument}`" in line and advice in line, line
    assert value is ANY or line.endswith(f"Received: {argument}={value}"), line
    return line
