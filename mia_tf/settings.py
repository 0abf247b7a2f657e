"""Settings that are documented once: docstrings, flags and the manual take the help of a setting from its field."""

import dataclasses
import inspect
import re
import textwrap
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)


def setting(default: Any, help: str, *, lira: bool = False) -> Any:
    """Returns a dataclass field with a default value and its help.

    Args:
        default: its default value.
        help: one or two sentences that end with a full stop; names of other settings stand in backticks.
        lira: whether the setting is there only so that runs of LiRA's published code can be repeated.
    """
    return dataclasses.field(default=default, metadata={"help": help, "lira": lira})


def documented(cls: _Class) -> _Class:
    """Adds the help of a dataclass's fields to its docstring, as its section "Attributes".

    Example:
        >>> @documented
        ... @dataclasses.dataclass
        ... class Course:
        ...     \"""How long.\"""
        ...     epochs: int = setting(100, "Passes over the training set.")
        >>> print(Course.__doc__)
        How long.
        <BLANKLINE>
        Attributes:
            epochs: Passes over the training set.
    """
    lines = ["Attributes:"]
    for field in dataclasses.fields(cls):
        line = f"{field.name}: {field.metadata['help']}"
        lines += textwrap.wrap(line, 116, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False)
    text = inspect.cleandoc(cls.__doc__ or "")
    after = re.search(r"^(Raises|Example):$", text, flags=re.MULTILINE)
    end = after.start() if after else len(text)
    cls.__doc__ = "\n\n".join(part for part in (text[:end].strip(), "\n".join(lines), text[end:]) if part)
    return cls


def flag_help(field: dataclasses.Field) -> str:
    """Returns a field's help for its flag: the names of other settings are written as flags.

    Example:
        >>> field = dataclasses.field(metadata={"help": "Noise, in units of `l2_norm_clip`."})
        >>> flag_help(field)
        'Noise, in units of --l2_norm_clip.'
    """
    return re.sub(r"`([a-z]\w*)`", r"--\1", field.metadata["help"])
