"""Locks that the kernel releases when their owner dies, even by kill -9 (flock).

Windows has no flock and is refused in one line. It has locks of its own, but it does not rename a folder with an open
file, as `shadow.scratch` does. The package filelock is no way round that; and where flock is missing it falls back to
files that a killed process leaves behind.
"""

import importlib.util
import sys

from mia_tf.validation import InputError


def check_platform() -> None:
    """Raises InputError on a system without flock."""
    if importlib.util.find_spec("fcntl") is None:
        line = "mia_tf needs Linux or macOS to read and write LOGDIRs: on Windows, run it in WSL"
        raise InputError(line, "logdir", sys.platform)


def lock(file, wait: bool) -> bool:
    """Locks an open file, or file descriptor, until it is closed.

    Args:
        file: what to lock.
        wait: whether to wait for another process that holds the lock.

    Returns:
        Whether the lock is held; False only if another process holds it and `wait` is False.
    """
    check_platform()
    import fcntl  # which Windows lacks

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
