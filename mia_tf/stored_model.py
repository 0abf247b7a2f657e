"""One model of a LOGDIR, read from the folder that `store.py` or LiRA's published code wrote."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.files import load_array, load_json
from mia_tf.validation import InputError, check, check_shape, part_of

LOGITS, SCORES = "logits", "scores"
"""Folders of what a model answered: LiRA's score.py makes scores, (N, Q), of the logits and of y_train.npy."""
_METRICS = {"test_accuracy_*": "number?", "answers_digest": "text"}
"""What is read of metrics.json, and its kinds."""
_EPOCH = re.compile(r"[0-9]+")


def files_by_epoch(folder: Path, suffix: str, argument: str = "logdir") -> dict[int, Path]:
    """Returns epoch -> file, by rising epoch, for the files of a folder that are named by a number.

    An InputError names the `argument` that gave the LOGDIR.

    Raises:
        InputError: two files are of one epoch, such as 9.npy and 0000000009.npy.
    """
    files = {}
    for path in folder.glob(f"*{suffix}"):
        if _EPOCH.fullmatch(path.stem):
            other = files.setdefault(int(path.stem), path)
            if other != path:
                raise InputError(f"{other} and {path.name} are of one epoch: move one of them away", argument, path)
    return dict(sorted(files.items()))


@dataclass(frozen=True)
class StoredModel:
    """One complete model of a LOGDIR, as of one epoch.

    Attributes:
        name: what messages call it: "model 3", or its folder if the name of the folder has no index.
        index: which model of its LOGDIR; None if the name of the folder does not say.
        path: its folder.
        epoch: epochs trained when the logits were taken.
        file: the logits of that epoch; or its scores, where LiRA's score.py wrote them and no logits were kept.
        keep: (N,) bool.
        argument: the parameter or flag that gave its LOGDIR, which an InputError names.
    """

    name: str
    index: int | None
    path: Path
    epoch: int
    file: Path
    keep: np.ndarray
    argument: str = "logdir"

    def metrics(self) -> dict:
        """The model's metrics.json, or {} if it is missing (LiRA's own runs)."""
        return self._json("metrics.json", _METRICS)

    def hparams(self) -> dict:
        """The model's hparams.json, or {} if there is none."""
        return self._json("hparams.json")

    def _json(self, name: str, kinds: Mapping[str, str] | None = None) -> dict:
        path = self.path / name
        return load_json(path, kinds, argument=self.argument) if path.exists() else {}

    def _stored(self) -> np.ndarray:
        """The array in `file`, of which nothing is read yet."""
        return load_array(self.file, mmap_mode="r", argument=self.argument)

    def logits_shape(self) -> tuple[int, int, int]:
        """(N, Q, C)."""
        logits = self._stored()
        check_shape(part_of(self.argument, f"the logits of {self.name}"), logits, (None, 1, None, None))
        num_examples, _, num_queries, num_classes = logits.shape
        return num_examples, num_queries, num_classes

    def read_logits(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(stop - start, Q, C) float32 logits of a range of examples; only these are read."""
        logits = self._stored()[start:stop]
        return np.array(logits, dtype=np.float32).reshape(len(logits), -1, logits.shape[-1])

    def scores_shape(self) -> tuple[int, int]:
        """(N, Q)."""
        scores = self._stored()
        part, shape = part_of(self.argument, f"the scores of {self.name}"), f"shape {scores.shape}"
        check(part, shape, scores.ndim == 2, "must have shape (N, Q): phi of each example in each view of it")
        num_examples, num_queries = scores.shape
        return num_examples, num_queries

    def read_scores(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(stop - start, Q) float64 scores, which are phi, of a range of examples; only these are read."""
        return np.array(self._stored()[start:stop], np.float64)

    @property
    def has_logits(self) -> bool:
        """Whether `file` holds logits."""
        return self.file.parent.name == LOGITS

    def queries(self, epoch: int) -> int:
        """How many queries its logits of one epoch answer; 0 if there are none."""
        path = self.logits().get(epoch)
        return 0 if path is None else load_array(path, mmap_mode="r", argument=self.argument).shape[2]

    def logits(self) -> dict[int, Path]:
        """Epoch -> file of logits."""
        return files_by_epoch(self.path / LOGITS, ".npy", self.argument)

    def checkpoints(self) -> dict[int, Path]:
        """Epoch -> file of weights that were kept."""
        return files_by_epoch(self.path / "ckpt", ".npz", self.argument)
