"""Locks that processes and machines share. A lock is a file that exists only while a process holds it.

The kernel holds the lock (flock), so a process that dies, even by kill -9, releases it. The file of a process that died
stays behind until the next process takes the lock. Forked children of the holder do not hold it.

Windows has no flock and is refused in one line. It has locks of its own, but it does not rename a folder with an open
file. The package filelock does not change that; and if flock is missing, it falls back to files that a killed process
leaves behind.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mia_tf.validation import InputError

_OTHER_FILES = 1_024
"""Besides locks, that a process may open: the usual limit."""
_held: set[int] = set()
"""The open files of the locks that this process holds."""


def _release_in_child() -> None:
    """Closes the files in a forked child, which would otherwise hold the locks of a parent that died."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):  # which Windows lacks
    os.register_at_fork(after_in_child=_release_in_child)


def check_platform() -> None:
    """Raises InputError on a system without flock."""
    if importlib.util.find_spec("fcntl") is None:
        line = "mia_tf needs Linux or macOS to read and write LOGDIRs: on Windows, run it in WSL"
        raise InputError(line, "logdir", sys.platform)


@contextlib.contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds a lock, whose file is removed at the end.

    Args:
        path: of the lock's file; its folder must exist.
        wait: whether to wait for a lock that another process holds.

    Yields:
        Whether this process holds the lock; False only if `wait` is False and another process holds it.
    """
    file = _open_locked(path, wait)
    if file is None:
        yield False
        return
    _held.add(file)
    try:
        yield True
    finally:
        if file in _held:  # not in a forked child
            # Removed while it is held: nobody else removes a file that may already be the next owner's.
            path.unlink(missing_ok=True)
            _held.remove(file)
            os.close(file)


def _open_locked(path: Path, wait: bool) -> int | None:
    """The open file of a lock that is now held; None if another process holds it."""
    check_platform()
    import fcntl  # which Windows lacks

    while True:
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # The owner before may have removed the file after this process opened it.
            if _is_at(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at a path."""
    try:
        # Not os.stat: a network file system may still know a name that is gone.
        now = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return os.path.sameopenfile(file, now)
    finally:
        os.close(now)


def allow_open_files(count: int) -> None:
    """Raises this process's limit of open files if it leaves no room for that many locks."""
    import resource  # which Windows lacks

    # Nothing is said if the system refuses: a lock that cannot be opened then tells why. macOS calls its limit
    # infinite, but allows no number above one of the kernel's.
    with contextlib.suppress(OSError, ValueError):
        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = len(os.listdir("/dev/fd")) + count + _OTHER_FILES
        if most != resource.RLIM_INFINITY:
            needed = min(needed, most)
        if limit != resource.RLIM_INFINITY and limit < needed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
