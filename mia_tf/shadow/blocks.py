"""Walks through the models of a LOGDIR in blocks of examples, all models at a time, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from mia_tf.shadow import ood, signals
from mia_tf.shadow.leave_one_out import FitsOfOthers, LeaveOneOut, LimitedLeaveOneOut
from mia_tf.shadow.lineup import Lineup
from mia_tf.store import StoredModel
from mia_tf.validation import InputError, check, check_shape

MIN_MODELS = 4
_BLOCK = 1 << 21
"""Values of phi read at a time: 16 MB an array."""
_BLOCK_LOGITS = 1 << 25
"""Logits read at a time, kept while attacks ask for them: 128 MB."""
_PIECE = 1 << 16
"""Values of phi attacked at a time: half a megabyte an array, so that the dozen this takes stay in the caches."""


@dataclass(frozen=True)
class Block:
    """A range of examples as all models see them.

    Attributes:
        start: row of the first of the n examples.
        labels: (n,) int64.
        keep: (n, M) bool, true where the example was in the model's training set.
        phi: (n, Q, M) float64 (`signals.phi`) by example, query and model.
        read_logits: position of a model in [0, M) -> its (n, Q, C) float32 logits of these examples, from disk.
        chosen: (n, M) bool, K + 1 models a side that alone may be shadow models (`LimitedLeaveOneOut`); None for all.
        lineup: which are targets and which shadow models; by default every model is both.
    """

    start: int
    labels: np.ndarray
    keep: np.ndarray
    phi: np.ndarray
    read_logits: Callable[[int], np.ndarray]
    chosen: np.ndarray | None = None
    lineup: Lineup | None = None

    def __post_init__(self):
        if self.lineup is None:
            object.__setattr__(self, "lineup", Lineup.of_one_logdir(self.keep.shape[1]))

    @cached_property
    def fits(self) -> LeaveOneOut:
        """The IN and the OUT shadow models' phi, as fitted for every target."""
        return self.leave_one_out(self.phi)

    def leave_one_out(self, values: np.ndarray, rows=slice(None)) -> LeaveOneOut:
        """The IN and the OUT shadow models' values (n, Q, M), of these rows, as fitted for every target."""
        chosen = None if self.chosen is None else self.chosen[rows]
        if self.lineup.apart:
            return FitsOfOthers(values, self.keep[rows], self.lineup, chosen)
        if chosen is None:
            return LeaveOneOut(values, self.keep[rows])
        return LimitedLeaveOneOut(values, self.keep[rows], chosen)

    @cached_property
    def logits(self) -> np.ndarray:
        """(n, Q, M, C) float32 logits of all models, by example, query, model and class; for small blocks."""
        return np.stack([self.read_logits(model) for model in range(self.keep.shape[1])], axis=2)

    def pieces(self) -> Iterator[tuple[slice, "Block"]]:
        """Small blocks that make up this one, and which of its rows each has."""
        rows = max(1, _PIECE // (self.phi.shape[1] * self.phi.shape[2]))
        for first in range(0, len(self.phi), rows):
            part = slice(first, min(first + rows, len(self.phi)))
            yield (
                part,
                Block(
                    self.start + first,
                    self.labels[part],
                    self.keep[part],
                    self.phi[part],
                    lambda model, part=part: self.read_logits(model)[part],
                    None if self.chosen is None else self.chosen[part],
                    self.lineup,
                ),
            )


@dataclass(frozen=True)
class PlainView:
    """What the models say of the first view of a block's examples, the image as it is.

    Attributes:
        correct: (n, M) bool.
        ood_msp, ood_energy: (n, M) float64 (`ood.max_softmax`, `ood.energy`).
    """

    correct: np.ndarray
    ood_msp: np.ndarray
    ood_energy: np.ndarray


class Recording:
    """Every model's logits of every example. `read` them once; `reread` gives the same blocks from a scratch folder."""

    def __init__(self, models: list[StoredModel], labels: np.ndarray, scratch: Path, num_targets: int | None = None):
        """Checks that all models are of the same (N, Q, C) and of these labels (N,); reads no logits.

        The first `num_targets` models are attacked with the others; None for every model with all others.

        Raises:
            InputError: fewer than MIN_MODELS shadow models, or shapes that differ, which names the model; or subsets
                that `Lineup.of_two_logdirs` refuses.
        """
        count = len(models) - (num_targets or 0)
        check(count >= MIN_MODELS, f"must be at least {MIN_MODELS} to analyze", complete_models=count)
        self.shape = models[0].logits_shape()
        for model in models:
            _check_model(model, self.shape, len(labels))
        classes = self.shape[2]
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(f"The labels must lie in [0, {classes - 1}]. Received: {labels.min()} to {labels.max()}")
        self.keep = np.column_stack([model.keep for model in models])
        """(N, M) bool."""
        apart = num_targets is not None
        self.lineup = Lineup.of_two_logdirs(self.keep, num_targets) if apart else Lineup.of_one_logdir(len(models))
        self._models = models
        self._labels = labels
        self._scratch = scratch
        values = self.shape[1] * len(models)
        rows = max(1, min(_BLOCK // values, _BLOCK_LOGITS // (values * classes)))
        self._ranges = [(start, min(start + rows, len(labels))) for start in range(0, len(labels), rows)]

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._ranges)

    def read(self) -> Iterator[tuple[Block, PlainView]]:
        """Blocks in order, from the models' files; keeps phi in the scratch folder.

        Raises:
            InputError: a logit is not finite; names the model.
        """
        for start, stop in self._ranges:
            shape = (stop - start, len(self._models))
            phi = np.empty((stop - start, self.shape[1], len(self._models)))
            view = PlainView(np.empty(shape, bool), np.empty(shape), np.empty(shape))
            labels = self._labels[start:stop]
            for k, model in enumerate(self._models):
                logits = model.read_logits(start, stop)
                if not np.isfinite(logits).all():
                    raise InputError(f"The logits of model {model.index} must be finite. See {model.logits_path}")
                phi[:, :, k] = signals.phi(logits, labels[:, None])
                plain = logits[:, 0]
                view.correct[:, k] = signals.correct(plain, labels)
                view.ood_msp[:, k] = ood.max_softmax(plain)
                view.ood_energy[:, k] = ood.energy(plain)
            self._phi_path(start).write_bytes(phi)  # not tofile, whose errors do not say that the disk is full
            yield self._block(start, stop, phi), view

    def reread(self) -> Iterator[Block]:
        """The same blocks again, once `read` has come to its end."""
        for start, stop in self._ranges:
            phi = np.fromfile(self._phi_path(start)).reshape(stop - start, self.shape[1], len(self._models))
            yield self._block(start, stop, phi)

    def _phi_path(self, start: int) -> Path:
        return self._scratch / f"phi-{start}.f64"

    def _block(self, start: int, stop: int, phi: np.ndarray) -> Block:
        return Block(
            start,
            self._labels[start:stop],
            self.keep[start:stop],
            phi,
            cache(lambda model: self._models[model].read_logits(start, stop)),
            lineup=self.lineup,
        )


def _check_model(model: StoredModel, shape: tuple[int, int, int], num_examples: int) -> None:
    """Raises InputError where a model's arrays do not fit the labels and the first model."""
    found = model.logits_shape()
    if found != shape or found[0] != num_examples:
        raise InputError(
            f"The logits of model {model.index} must have examples, queries, classes = "
            f"({num_examples}, {shape[1]}, {shape[2]}), as y_train.npy and the first model say. Received: {found}"
        )
    check_shape((num_examples,), bool, **{f"keep.npy of model {model.index}": model.keep})


class ScoreFile:
    """(N, T) float32 scores of one attack on the disk, written and read in blocks of examples."""

    def __init__(self, path: Path, num_targets: int):
        self._path = path
        self._num_targets = num_targets

    def append(self, scores: np.ndarray) -> None:
        """Adds the (n, M) scores of the next examples, as float32: what lies beyond its range becomes its largest."""
        limit = np.finfo(np.float32).max
        with open(self._path, "ab") as file:
            file.write(np.clip(scores[:, : self._num_targets], -limit, limit).astype(np.float32, order="C"))

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """(row of the first example, (n, T) float32 scores), in order."""
        rows = max(1, _BLOCK // self._num_targets)
        with open(self._path, "rb") as file:
            start = 0
            while len(scores := np.fromfile(file, np.float32, rows * self._num_targets)):
                scores = scores.reshape(-1, self._num_targets)
                yield start, scores
                start += len(scores)
