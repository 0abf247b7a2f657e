"""A folder for files of one analysis, which disappears with it, however it ends."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from mia_tf.locks import locked


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, removed at the end; also removes those of processes that were killed.

    Its owner holds a lock beside it, FOLDER.lock, which exists before the folder and until after it.
    """
    for name in {path.name.removesuffix(".lock") for path in parent.glob(".scratch-*")}:
        # What another user left in a folder of all users is not ours to remove.
        with contextlib.suppress(PermissionError), locked(parent / f"{name}.lock", wait=False) as abandoned:
            if abandoned:
                shutil.rmtree(parent / name, ignore_errors=True)
    folder = parent / f".scratch-{uuid.uuid4().hex}"
    with locked(parent / f"{folder.name}.lock"):
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
