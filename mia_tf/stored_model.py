"""One model of a LOGDIR, read from the folder that `store.py` wrote."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mia_tf.files import load_array, load_json
from mia_tf.validation import check_shape


@dataclass(frozen=True)
class StoredModel:
    """One complete model of a LOGDIR."""

    index: int
    path: Path
    logits_path: Path
    keep: np.ndarray
    """(N,) bool."""

    @property
    def epoch(self) -> int:
        """Epochs trained when the logits were taken."""
        return int(self.logits_path.stem)

    def metrics(self) -> dict:
        """The model's metrics.json, or {} where there is none (LiRA's own runs)."""
        path = self.path / "metrics.json"
        return load_json(path) if path.exists() else {}

    def hparams(self) -> dict:
        """The model's hparams.json, or {} if there is none."""
        path = self.path / "hparams.json"
        return load_json(path) if path.exists() else {}

    def logits_shape(self) -> tuple[int, int, int]:
        """(N, Q, C)."""
        logits = load_array(self.logits_path, mmap_mode="r")
        check_shape((None, 1, None, None), **{f"logits of model {self.index}": logits})
        return logits.shape[0], *logits.shape[2:]

    def read_logits(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """(stop - start, Q, C) float32 logits of a range of examples; only these are read."""
        logits = load_array(self.logits_path, mmap_mode="r")[start:stop]
        return np.array(logits, dtype=np.float32).reshape(len(logits), -1, logits.shape[-1])

    def queries(self, epoch: int) -> int:
        """How many queries its logits of one epoch answer; 0 where there are none."""
        path = self.path / "logits" / f"{epoch:010d}.npy"
        return load_array(path, mmap_mode="r").shape[2] if path.exists() else 0

    def checkpoints(self) -> dict[int, Path]:
        """Epoch -> file of weights that were kept."""
        return {int(p.stem): p for p in sorted((self.path / "ckpt").glob("*.npz"))}
