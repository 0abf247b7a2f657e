import importlib.util

import pytest
from refusals import refuses

from mia_tf import backend


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, on a machine that has all backends installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "text, name", [('{"backend": "jax"}', "jax"), ('{"epsilon": 1}', "tensorflow"), ("{", "tensorflow")]
)
def test_keras_own_file_counts_where_the_environment_says_nothing(home, monkeypatch, text, name):
    (home / "keras.json").write_text(text)
    assert backend.name() == name
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert backend.name() == "tensorflow"


def test_tensorflow_is_the_default():
    assert backend.name() == "tensorflow"


@pytest.mark.parametrize(
    "backend_name, package, other", [("jax", "optax", "tensorflow"), ("tensorflow", "tensorflow", "jax")]
)
def test_a_backend_that_is_not_installed_is_one_line(monkeypatch, backend_name, package, other):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else name)
    monkeypatch.setenv("KERAS_BACKEND", backend_name)
    with refuses("KERAS_BACKEND", advice=f"{package} is not installed: install it, or set KERAS_BACKEND={other}"):
        backend.name()


@pytest.mark.parametrize("given", [None, "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"])
def test_a_share_of_memory_that_the_user_gave_stays_and_has_one_name(monkeypatch, given):
    environment = {given: "0.2"} if given else {}
    monkeypatch.setattr(backend.os, "environ", environment)
    backend.limit_memory(0.45)
    assert environment == ({given: "0.2"} if given else {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.450"})
