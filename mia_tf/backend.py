"""Keras' backend, known without importing Keras: TensorFlow trains one model at a time, JAX many in one step."""

import importlib.util
import json
import os
from pathlib import Path

from mia_tf.validation import InputError, check_choice

BACKENDS = {"tensorflow": ("tensorflow",), "jax": ("jax", "optax")}
"""Backend -> the packages that training on it needs."""


def name() -> str:
    """ "tensorflow" or "jax": what KERAS_BACKEND says, else Keras' own configuration, else TensorFlow.

    Raises:
        InputError: another backend is asked for, or a package of it is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or _configured() or "tensorflow"
    check_choice("KERAS_BACKEND", backend, tuple(BACKENDS))
    for package in BACKENDS[backend]:
        if importlib.util.find_spec(package) is None:
            (other,) = set(BACKENDS) - {backend}
            line = f"{package} is not installed: install it, or set KERAS_BACKEND={other}"
            raise InputError(line, "KERAS_BACKEND", backend)
    return backend


def limit_memory(share: float) -> None:
    """Sets the share of a GPU's memory that JAX takes, unless the user has set it; JAX's own default is 0.75."""
    os.environ.update(memory_limit(share))


def memory_limit(share: float) -> dict[str, str]:
    """The environment variable by which JAX takes this share of a GPU's memory; {} if the user has set one."""
    names = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION")  # which JAX refuses to be given both of
    return {} if any(map(os.environ.get, names)) else {names[0]: f"{share:.3f}"}


def _configured() -> str | None:
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError):  # Keras passes over a file that it cannot read, too
        return None
