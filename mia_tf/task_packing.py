"""Sends a user's task to another process, or to another machine that lacks its file."""

import functools
import pickle
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cloudpickle

from mia_tf.task import Task, definition, error_line, unwrapped
from mia_tf.validation import fail


def packed(task: Task) -> Callable[[], Task]:
    """Returns what makes the task in another process, also if its function is of a notebook or of another function.

    Raises:
        InputError: the task cannot be sent.
    """
    try:
        content = cloudpickle.dumps(task)
    except Exception as error:  # each object has its own
        allowed = (
            f"must be one that can be sent to another process ({error_line(error)}): make inside it what cannot be sent"
        )
        fail("train_and_predict", task.name, allowed)
    return functools.partial(_unpacked, content)


def _unpacked(content: bytes) -> Task:
    """The task. If its function was imported here, the digest is that of the file as it now is."""
    task = pickle.loads(content)
    function, _ = unwrapped(task.train_and_predict)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if module is not None and getattr(function, "__globals__", None) is vars(module):
        _, digest = definition(task.train_and_predict)
        object.__setattr__(task, "digest", digest)
    return task


def packed_with_its_file(task: Task) -> Callable[[], Task]:
    """Returns what makes the task on a machine that lacks its file: the functions and data of the file travel too.

    Other files that the user's file imports do not travel.

    Raises:
        InputError: the task cannot be sent.
    """
    with _by_value(task):
        return packed(task)


@contextmanager
def _by_value(task: Task) -> Iterator[None]:
    """Has the module of the task's function sent by its content, not by its name."""
    function, _ = unwrapped(task.train_and_predict)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    # What has no file is sent by its content in any case, and installed packages are expected there too.
    installed = file and Path(sysconfig.get_path("purelib")) in Path(file).parents
    if module is None or not file or module.__name__ == "__main__" or installed:
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
