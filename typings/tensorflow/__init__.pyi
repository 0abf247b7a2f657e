# TensorFlow ships no types, and the stubs that type checkers bring describe another version: nothing of it is checked.
from typing import Any

def __getattr__(name: str) -> Any: ...
