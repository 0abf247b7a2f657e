"""What tells a user's task from others: its function's code, and the values that the function uses."""

import dataclasses
import dis
import enum
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import numpy as np

USES = "uses."
"""How the names of values that a function uses begin in config.json."""
_CODE = (FunctionType, BuiltinFunctionType, type, ModuleType)
_IN_MEMORY = ("pandas", "polars", "torch", "tensorflow", "jaxlib")
"""Packages whose objects with `__array__` are arrays in memory. Those of others may read a whole file."""
_MOST_BYTES = 2**28
"""Of an array, that are digested; of a larger one, rows at equal distances."""
_MOST_OBJECTS = 2**17
"""As `_MOST_BYTES`, of an array of Python's objects."""
_DEEPEST = 10
"""Of values within values; a list may hold itself."""
_LONGEST = 60
"""Characters of a value's text. Of a longer one its beginning is kept, and its digest."""


def digest(content: bytes | str) -> str:
    """Returns 16 hexadecimal digits."""
    content = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def unwrapped(function: Callable) -> Callable:
    """Returns the function behind decorators and bound arguments."""
    return list(_layers(function))[-1]


def code_of(function: Callable) -> CodeType | None:
    """Returns the code of a function, behind decorators and bound arguments; None if it is not written in Python."""
    function = unwrapped(function)
    if not hasattr(function, "__code__"):  # an object that can be called
        function = type(function).__call__
    return getattr(function, "__code__", None)


def has_file(function: Callable) -> bool:
    """Whether a function's code is in a file, not in a notebook or sent here from another process by its content."""
    code = code_of(function)
    return code is not None and Path(code.co_filename).is_file()


def definition(function: Callable) -> tuple[str, str]:
    """Returns a function's name after that of its file, and the file's digest; without a file, those of its code."""
    code = code_of(function)
    if code is None:
        name = getattr(function, "__name__", type(function).__name__)
        return name, digest(name)
    if has_file(function):
        file = Path(code.co_filename)
        return f"{file.stem}.{code.co_name}", digest(file.read_bytes())
    return code.co_name, digest(repr(_parts(code)))


def values_used(function: Callable) -> dict[str, str]:
    """Returns the values that a function uses besides the code of its own file: name -> text.

    They are arguments that functools.partial bound, default values, attributes of the object whose method it is,
    variables of functions around it, and global variables. Functions and classes of its own module are followed. A
    value of which no text is the same in each process is named by its type alone.
    """
    values, followed = {}, {}
    own, file = getattr(unwrapped(function), "__module__", None), _file_of(unwrapped(function))
    waiting = [("", layer) for layer in _layers(function)]
    while waiting:
        prefix, user = waiting.pop(0)
        if id(user) in followed:
            continue
        followed[id(user)] = user
        for name, value in _uses(user):
            behind = unwrapped(value)
            if isinstance(behind, FunctionType | type) and behind.__module__ == own:
                waiting += [(f"{prefix}{name}.", layer) for layer in _layers(value)]
            # What is installed is no setting of the user's, and a file's digest stands for all code in it.
            same_file = file is not None and _file_of(value) == file
            if not (isinstance(value, _CODE) and (same_file or _installed(value))):
                values.setdefault(f"{prefix}{name}", _shortened(_text(value)))
    return values


def _layers(value: Any) -> Iterator[Any]:
    """A function, and in turn those behind it that it decorates or binds arguments of; anything else alone."""
    yield value
    inner = value.func if isinstance(value, functools.partial) else getattr(value, "__wrapped__", None)
    if inner is not None:
        yield from _layers(inner)


def _uses(user: Any) -> Iterator[tuple[str, Any]]:
    """The names and values that a function, a class, a partial, a method or an object that can be called uses."""
    if isinstance(user, functools.partial):
        yield from ((f"argument {number}", value) for number, value in enumerate(user.args, 1))
        yield from user.keywords.items()
    elif isinstance(user, type):
        for member in vars(user).values():
            member = getattr(member, "__func__", member)  # of a static or a class method
            if isinstance(member, FunctionType):
                yield from _uses(member)
    elif isinstance(user, MethodType):
        yield from _uses(user.__func__)
        yield from _attributes(user.__self__)
    elif isinstance(user, FunctionType):
        yield from _variables(user)
    elif not hasattr(user, "__wrapped__"):
        call = inspect.getattr_static(user, "__call__", None)
        if isinstance(call, FunctionType):
            yield from _variables(call)
            yield from _attributes(user)


def _attributes(of: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(of, type | ModuleType):
        yield from getattr(of, "__dict__", {}).items()


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """A function's default values, variables of the functions around it, and global variables."""
    code, behind = function.__code__, getattr(function, "__wrapped__", None)
    parameters = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # it is not assigned yet
            continue
        if value is not behind:
            yield name, value
    # Not co_names, which also has the names of attributes.
    steps = (step for part in _with_inner(code) for step in dis.get_instructions(part))
    names = dict.fromkeys(step.argval for step in steps if step.opname == "LOAD_GLOBAL")
    yield from ((name, function.__globals__[name]) for name in names if name in function.__globals__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]}... {digest(text)}"


def _text(value: Any, depth: int = 0) -> str:
    """A text of a value that is the same in each process, and differs for other values where that is possible."""
    kind = type(value).__qualname__
    if isinstance(value, enum.Enum | Path):
        return str(value)
    if isinstance(value, NoneType | bool | int | float | str):
        return json.dumps(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, bytes):
        return f"bytes {digest(value)}"
    if isinstance(value, _CODE):
        return _text_of_code(value)
    if depth == _DEEPEST:
        return kind
    if isinstance(value, Mapping):
        return _items(kind, ((_text(key, depth + 1), item) for key, item in value.items()), depth)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(item, depth + 1) for item in value)}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_text(item, depth + 1) for item in value))}}}"
    in_memory = type(value).__module__.startswith(_IN_MEMORY) and hasattr(value, "__array__")
    if isinstance(value, np.ndarray) or in_memory:
        return _text_of_array(value, depth)
    if isinstance(value, functools.partial):
        return _items(_text(value.func, depth + 1), _uses(value), depth)
    if dataclasses.is_dataclass(value):
        named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return _items(kind, named, depth)
    estimators = sys.modules.get("sklearn.base")  # slow to import; an estimator shows that it was imported
    if estimators and isinstance(value, estimators.BaseEstimator):
        return _items(kind, value.get_params(deep=False).items(), depth)
    return kind


def _items(kind: str, named, depth: int) -> str:
    return f"{kind}({', '.join(f'{name}={_text(item, depth + 1)}' for name, item in named)})"


def _text_of_array(value: Any, depth: int) -> str:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # such as of a tensor on a GPU, of which there is only the type
        return type(value).__qualname__
    objects = array.dtype.hasobject
    most = _MOST_OBJECTS * array.itemsize if objects else _MOST_BYTES
    some = array[:: -(-array.nbytes // most)] if array.nbytes > most else array
    content = _text(some.tolist(), depth + 1) if objects else np.ascontiguousarray(some).tobytes()
    return f"array {array.shape} {array.dtype} {digest(content)}"


def _text_of_code(value: Any) -> str:
    """The name of a function, class or module, and the digest of its file if this is the user's own."""
    name, file = _name_of(value), _file_of(value)
    if _installed(value):
        return name
    if file is not None:
        return f"{name} {digest(file.read_bytes())}"
    functions = vars(value).values() if isinstance(value, type) else [value]
    return f"{name} {digest(repr([_parts(code) for function in functions if (code := _own_code(function))]))}"


def _name_of(value: Any) -> str:
    return value.__name__ if isinstance(value, ModuleType) else f"{value.__module__}.{value.__qualname__}"


def _own_code(member: Any) -> CodeType | None:
    """The code of a function, or of a static or class method; None of anything else."""
    return getattr(getattr(member, "__func__", member), "__code__", None)


def _file_of(value: Any) -> Path | None:
    """The file that a function, class or module is defined in; None in a notebook, and for what is built in."""
    if isinstance(value, type):  # not its module's: in a worker process, `__main__` is another one
        value = next((member for member in vars(value).values() if _own_code(member)), None)
    code = _own_code(value)
    file = code.co_filename if code else getattr(value, "__file__", None)
    return Path(file) if file and Path(file).is_file() else None


def _installed(value: Any) -> bool:
    """Whether a function, class or module is of Python, of an installed package, or of this one."""
    file = _file_of(value)
    package = getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", None) or "builtins"
    package = package.partition(".")[0]
    places = set() if file is None else {"site-packages", "dist-packages"}.intersection(file.parts)
    return package in sys.stdlib_module_names or package == "mia_tf" or bool(places)


def _parts(code: CodeType) -> tuple:
    """What a function's code does, in a form that depends neither on its place nor on the order of sets."""
    constants = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(_parts(constant))
        else:
            constants.append(sorted(map(repr, constant)) if isinstance(constant, frozenset) else repr(constant))
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants
