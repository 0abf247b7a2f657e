"""A folder for files of one analysis, which disappears with it, however it ends."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mia_tf.locks import lock


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, removed at the end; also removes those of processes that were killed.

    Its owner holds a lock on it, which the kernel lets go of when the owner dies. It gets its name only when it
    is locked, so that no other process takes it for one that was left behind.
    """
    for left_behind in parent.glob(".scratch-*"):
        with _locked(left_behind) as free:
            if free:
                shutil.rmtree(left_behind, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        with _locked(made):
            made = made.rename(made.with_name(made.name.replace(".new-", ".scratch-", 1)))
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Holds the lock of a folder; gives false where another process holds it or has just removed the folder."""
    try:
        file = os.open(folder / "lock", os.O_CREAT | os.O_WRONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        yield lock(file, wait=False)
    finally:
        os.close(file)
