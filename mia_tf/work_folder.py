"""LOGDIR/.work: the locks of a LOGDIR, and the folders of models that are being written."""

import contextlib
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from mia_tf.locks import locked

_OF_MODEL = re.compile(r"model-([0-9]+)[-.]")
"""Names of the lock and the folders of one model."""


class WorkFolder:
    """What processes that share a LOGDIR hold and write. It is empty when nothing runs.

    Args:
        path: of the folder; made when a lock is taken.

    Attributes:
        marker: a file that exists while the LOGDIR is set up, also if that was cut short.
    """

    def __init__(self, path: Path):
        self._path = path
        self.marker = path / "setting-up"

    @contextlib.contextmanager
    def setup_lock(self, wait: bool = True) -> Iterator[bool]:
        """Holds the lock of setting up the LOGDIR, as `locks.locked` does."""
        with self._locked("setup", wait) as held:
            yield held

    @contextlib.contextmanager
    def model_lock(self, index: int) -> Iterator[bool]:
        """Holds the lock of a model; yields False if another process holds it."""
        with self._locked(f"model-{index}", wait=False) as held:
            yield held

    @contextlib.contextmanager
    def _locked(self, name: str, wait: bool) -> Iterator[bool]:
        self._path.mkdir(parents=True, exist_ok=True)
        with locked(self._path / f"{name}.lock", wait) as held:
            yield held

    def new_folder(self, index: int) -> Path:
        """The path of a new folder in which a model can be written."""
        return self._path / f"model-{index}-{uuid.uuid4().hex}"

    def remove_left_behind(self, index: int) -> None:
        """Removes the folders of a model whose writers died. Its lock must be held."""
        for folder in self._path.glob(f"model-{index}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, indices: Iterable[int], is_set_up: bool) -> None:
        """Removes what processes that died left of these models; what a living process holds stays.

        Args:
            indices: of the models. Others may be in the hands of machines that this one's locks do not reach.
            is_set_up: whether the LOGDIR is set up, so that no marker is needed any more.
        """
        left = {int(match[1]) for path in self._path.glob("*") if (match := _OF_MODEL.match(path.name))}
        for index in sorted(left.intersection(indices)):
            with self.model_lock(index) as held:
                if held:
                    self.remove_left_behind(index)
        with self.setup_lock(wait=False) as held:
            if held and is_set_up:
                self.marker.unlink(missing_ok=True)
