"""The folders of a LOGDIR that hold models: which they are, and what an analysis reads from each."""

import re
from pathlib import Path

from mia_tf.files import by_number, load_array
from mia_tf.stored_model import LOGITS, SCORES, StoredModel, files_by_epoch
from mia_tf.validation import InputError, fail, listed

_FOLDER = re.compile(r"experiment-(\d+)_(\d+)")


class ModelFolders:
    """The folders of models of one LOGDIR, as they are on the disk at each call."""

    def __init__(self, logdir: Path, argument: str = "logdir"):
        """Takes the LOGDIR, and the parameter or flag that gave it, which an InputError names."""
        self._logdir = logdir
        self._argument = argument

    @property
    def _ours(self) -> bool:
        """Whether `mia_tf.train` wrote the LOGDIR, not LiRA's published code."""
        return (self._logdir / "config.json").exists()

    def by_index(self) -> dict[int, Path]:
        """Every folder named experiment-INDEX_COUNT by its index, in order.

        Raises:
            InputError: two of them are of one model.
        """
        folders = {}
        for path in sorted(self._logdir.glob("experiment*")):
            if match := _FOLDER.fullmatch(path.name):
                other = folders.setdefault(int(match[1]), path)
                if other != path:
                    line = f"{other} and {path.name} are of one model: move one of them away"
                    raise InputError(line, self._argument, path)
        return dict(sorted(folders.items()))

    def _readable(self) -> list[tuple[int | None, Path]]:
        """Every folder that an analysis reads, with its index if it has one.

        LiRA's published code reads all folders whose names begin with "experiment"; its train.py names them
        experiment-SEED if it has no --expid. In a LOGDIR of ours another name is a copy that somebody made.
        """
        indices = {path: index for index, path in self.by_index().items()}
        if self._ours:
            return [(index, path) for path, index in indices.items()]
        return [(indices.get(path), path) for path in self._all()]

    def _all(self) -> list[Path]:
        """Every folder whose name begins with "experiment"; numbers in names sort as numbers."""
        folders = filter(Path.is_dir, self._logdir.glob("experiment*"))
        return sorted(folders, key=lambda path: by_number(path.name))

    def models(self, epoch: int | None = None) -> list[StoredModel]:
        """Every complete model, in order; without the folders of `left_out`.

        Args:
            epoch: the epoch whose logits are taken; None for the last one of each model.

        Raises:
            InputError: a complete model has no logits of this epoch; the message names the models and the epochs.
        """
        kind = self.kind
        folders = [(index, path) for index, path in self._readable() if not self._lacks(path, kind)]
        complete = [(index, path, self._files(path, kind)) for index, path in folders]
        if epoch is not None:
            _check_epoch(epoch, {path.name: list(files) for _, path, files in complete})
        models = []
        for index, path, files in complete:
            taken = max(files) if epoch is None else epoch
            name = path.name if index is None else f"model {index}"
            keep = load_array(path / "keep.npy", argument=self._argument)
            models.append(StoredModel(name, index, path, taken, files[taken], keep, self._argument))
        return models

    def epochs(self) -> list[int]:
        """The epochs, rising, whose logits each complete model has."""
        kind = self.kind
        complete = [path for _, path in self._readable() if not self._lacks(path, kind)]
        return sorted(set.intersection(*(set(self._files(path, kind)) for path in complete))) if complete else []

    @property
    def kind(self) -> str:
        """Whether models are read from their logits, or from scores: if those are all that was kept."""
        if self._ours:
            return LOGITS
        folders = [path for _, path in self._readable()]
        if (self._logdir / "y_train.npy").exists() and any(map(files_of_logits, folders)):
            return LOGITS
        return SCORES if any(self._files(path, SCORES) for path in folders) else LOGITS

    def _files(self, folder: Path, kind: str) -> dict[int, Path]:
        """Epoch -> file of logits or scores of a model's folder, by rising epoch."""
        return files_by_epoch(folder / kind, ".npy", self._argument)

    def _lacks(self, folder: Path, kind: str) -> str:
        """What a model's folder lacks for an analysis of its logits or scores; "" if it is complete."""
        lacking = {
            f"{kind}/EPOCH.npy": not self._files(folder, kind),
            "keep.npy": not (folder / "keep.npy").exists(),
        }
        return " and ".join(f"no {name}" for name, missing in lacking.items() if missing)

    def left_out(self) -> list[str]:
        """One sentence per reason why folders are not in `models`, such as those of LiRA's unfinished runs."""
        reasons: dict[str, list[str]] = {}
        readable, kind = {path for _, path in self._readable()}, self.kind
        for path in self._all():
            reason = self._lacks(path, kind) if path in readable else "no name like experiment-INDEX_COUNT"
            if reason:
                reasons.setdefault(reason, []).append(path.name)
        return [
            f"{len(names)} folder{' was' if len(names) == 1 else 's were'} left out with {reason}: {listed(names)}."
            for reason, names in reasons.items()
        ]


def files_of_logits(folder: Path) -> dict[int, Path]:
    """Epoch -> file of logits of a model's folder, by rising epoch."""
    return files_by_epoch(folder / LOGITS, ".npy")


def _check_epoch(epoch: int, epochs: dict[str, list[int]]) -> None:
    """Raises InputError unless each model (name -> its epochs) has logits of this epoch."""
    lacking = [name for name, known in epochs.items() if epoch not in known]
    if lacking:
        common = sorted(set.intersection(*map(set, epochs.values())))
        everywhere = f"all have {listed(common)}" if common else "no epoch is in all models"
        held = sorted(set().union(*epochs.values()))
        allowed = (
            f"must be an epoch whose logits each model has; {listed(lacking)} lack it (epochs found: {listed(held)}; "
            f"{everywhere})"
        )
        fail("epoch", epoch, allowed)
