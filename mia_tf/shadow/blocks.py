"""Walks through a record in blocks of examples, all models at a time, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from mia_tf.config import MIN_MODELS
from mia_tf.shadow import ood, signals
from mia_tf.shadow.concurrency import Run, once, one_by_one
from mia_tf.shadow.kept import Kept
from mia_tf.shadow.leave_one_out import FitsOfOthers, LeaveOneOut, LimitedLeaveOneOut, drawn_starts
from mia_tf.shadow.lineup import NONE, Lineup
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import check

_BLOCK = 1 << 21
"""Values of phi read at a time: 16 MB an array."""
_BLOCK_LOGITS = 1 << 25
"""Logits read at a time, kept while attacks ask for them: 128 MB."""
_TOGETHER = 1 << 17
"""Logits that are worked on together: a megabyte in float64."""
_PIECE = 1 << 16
"""Values of phi attacked at a time: half a megabyte an array, so that the dozen this takes stay in the caches."""
_PIECE_LOGITS = 1 << 20
"""Logits attacked at a time: 8 MB an array, of which every thread has some."""

_ALL = Lineup.of_one_logdir(0)
"""Stands for the line-up in which every model is a target and a shadow model, however many there are."""


@dataclass(frozen=True)
class Block:
    """A range of examples as all models see them.

    Attributes:
        start: row of the first of the n examples.
        labels: (n,) int64.
        keep: (n, M) bool, true if the example was in the model's training set.
        phi: (n, Q, M) float64 (`signals.phi`) by example, query and model.
        read_logits: returns (n, Q, M, C) float32 logits of these examples.
        chosen: (n, M) bool, K + 1 models per side that alone may be shadow models (`LimitedLeaveOneOut`); None for all.
        lineup: which are targets and which shadow models; by default every model is both.
        earlier: (E - 1, n, Q, M) float64, phi at earlier epochs, rising; None if the record is of one epoch.
        read_x: returns the examples themselves, (n, ...) numbers; None if the record has none.
    """

    start: int
    labels: np.ndarray
    keep: np.ndarray
    phi: np.ndarray
    read_logits: Callable[[], np.ndarray]
    chosen: np.ndarray | None = None
    lineup: Lineup = _ALL
    read_x: Callable[[], np.ndarray] | None = None
    earlier: np.ndarray | None = None

    def __post_init__(self):
        if self.lineup is _ALL:
            object.__setattr__(self, "lineup", Lineup.of_one_logdir(self.keep.shape[1]))

    @once
    def fits(self) -> LeaveOneOut:
        """The IN and the OUT shadow models' phi, as fitted for every target."""
        return self.leave_one_out(self.phi)

    def leave_one_out(self, values: np.ndarray, rows=slice(None)) -> LeaveOneOut:
        """The IN and the OUT shadow models' values (n, Q, M), of these rows, as fitted for every target."""
        chosen = None if self.chosen is None else self.chosen[rows]
        keep, starts = self.keep[rows], self._starts[rows]
        if self.lineup.apart:
            return FitsOfOthers(values, keep, starts, self.lineup, chosen)
        if chosen is None:
            return LeaveOneOut(values, keep, starts, self.lineup.pairs)
        return LimitedLeaveOneOut(values, keep, starts, chosen, self.lineup.pairs)

    @once
    def _starts(self) -> np.ndarray:
        """(n, 2) the draw of partners of these examples."""
        return drawn_starts(self.start, len(self.keep))

    @once
    def logits(self) -> np.ndarray:
        """(n, Q, M, C) float32 logits of all models, by example, query, model and class."""
        return self.read_logits()

    @once
    def x(self) -> np.ndarray:
        """(n, ...) numbers, the examples themselves, for attacks that need "x"."""
        return cast(Callable[[], np.ndarray], self.read_x)()

    @once
    def trajectory(self) -> np.ndarray:
        """(E, n, Q, M) float64, phi at every epoch, `phi` last, for attacks that need "epochs"."""
        return np.concatenate([cast(np.ndarray, self.earlier), self.phi[None]])

    def pieces(self, logits_each: int = 0) -> Iterator[tuple[slice, "Block"]]:
        """Small blocks that make up this one, and which of its rows each has.

        Args:
            logits_each: logits that are looked at beside each value of phi.
        """
        values = self.phi.shape[1] * self.phi.shape[2]
        rows = max(1, min(_PIECE // values, _PIECE_LOGITS // (values * max(logits_each, 1))))
        for first in range(0, len(self.phi), rows):
            part = slice(first, min(first + rows, len(self.phi)))
            yield (
                part,
                Block(
                    self.start + first,
                    self.labels[part],
                    self.keep[part],
                    self.phi[part],
                    lambda part=part: np.ascontiguousarray(self.logits[part]),
                    None if self.chosen is None else self.chosen[part],
                    self.lineup,
                    None if self.read_x is None else lambda part=part: self.x[part],
                    None if self.earlier is None else self.earlier[:, part],
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
    """Every model's logits of every example. `read` them once; `reread` returns the same blocks from what was kept."""

    def __init__(self, shadows: ShadowModels, targets: ShadowModels | None = None, members_known: bool = True):
        """Decides who is attacked with whom; reads no logits.

        Args:
            shadows: the shadow models.
            targets: other models on the same examples, which are attacked; None: every shadow model, with all others.
                One model of a plan of one is attacked alone.
            members_known: whether the targets' membership is known.

        Raises:
            InputError: fewer than MIN_MODELS shadow models, but for one model alone; or subsets that
                `Lineup.of_one_record` or `Lineup.of_two_logdirs` refuses.
        """
        complete = " ".join([f"{len(shadows)} complete models", *(f"({note})" for note in shadows.about.notes)])
        allowed = f"must hold at least {MIN_MODELS} complete models to analyze"
        alone = targets is None and len(shadows) == 1 and shadows.about.planned in (None, 1)
        check(shadows.about.argument, complete, alone or len(shadows) >= MIN_MODELS, allowed)
        records = [targets, shadows] if targets else [shadows]
        self._models = [(record, k) for record in records for k in range(len(record))]
        self._labels = shadows.labels
        self.shape = shadows.shape
        self.has_logits = all(record.has_logits for record in records)
        """Whether logits can be read of all models; else there is phi alone."""
        self._x = next((record.x for record in records[::-1] if record.x is not None), None)
        self.has_x = self._x is not None
        """Whether the examples themselves can be read."""
        epochs = [[earlier.models[0].epoch for earlier in record.earlier] for record in records]
        self.has_epochs = len(epochs[0]) > 0 and all(one == epochs[0] for one in epochs)
        """Whether all models' answers at the same earlier epochs can be read."""
        self.keep = np.column_stack([model.member for record in records for model in record.models])
        """(N, M) bool."""
        self.has_shadows = not alone
        """Whether there are shadow models; a model alone has none."""
        if alone:
            self.lineup = Lineup.of_one_model()
        elif targets is None:
            self.lineup = Lineup.of_one_record(self.keep, shadows.about.argument)
        elif members_known:
            self.lineup = Lineup.of_two_logdirs(self.keep, len(targets), shadows.about.argument)
        else:
            self.lineup = Lineup(len(targets), len(targets), np.full(len(targets), NONE))
        values = self.shape[1] * len(self._models)
        rows = max(1, min(_BLOCK // values, _BLOCK_LOGITS // (values * self.shape[2])))
        self._ranges = [(start, min(start + rows, len(self._labels))) for start in range(0, len(self._labels), rows)]

    def __len__(self) -> int:
        """Number of blocks."""
        return len(self._ranges)

    @property
    def num_bytes(self) -> int:
        """Bytes that `read` keeps."""
        epochs = 1 + (len(self._models[0][0].earlier) if self.has_epochs else 0)
        return 8 * len(self._labels) * self.shape[1] * len(self._models) * epochs

    def read(
        self, kept: Kept, with_logits: bool = True, run: Run = one_by_one
    ) -> Iterator[tuple[Block, PlainView | None]]:
        """Blocks in order, from the models' answers; keeps phi. Without logits there is no PlainView.

        Args:
            kept: keeps phi for `reread`.
            with_logits: the blocks hold the logits that were read, because attacks ask for them.
            run: reads several models at the same time.

        Raises:
            InputError: a logit is not finite; names the model.
        """
        for start, stop in self._ranges:
            logits = self._empty(self._models, start, stop) if with_logits and self.has_logits else None
            if self.has_logits:
                phi, *plain = self._of_models(partial(self._answers, start, stop, logits), stop - start, run)
                view = PlainView(*plain)
            else:
                view = None
                (phi,) = self._of_models(partial(self._phi, start, stop), stop - start, run)
            kept.append(f"phi-{start}", phi)
            earlier = None
            if self.has_epochs:
                (earlier,) = self._of_models(partial(self._phi_of_epochs, start, stop), stop - start, run)
                kept.append(f"earlier-{start}", earlier)
            yield self._block(start, stop, phi, earlier, logits), view

    def reread(self, kept: Kept) -> Iterator[Block]:
        """The same blocks again, once `read` has come to its end."""
        for start, stop in self._ranges:
            earlier = np.array(kept.read(f"earlier-{start}")) if self.has_epochs else None
            yield self._block(start, stop, np.array(kept.read(f"phi-{start}")), earlier)

    def _empty(self, models: list[tuple[ShadowModels, int]], start: int, stop: int) -> np.ndarray:
        """(k, n, Q, C) float32, a place for the logits of k models."""
        return np.empty((len(models), stop - start, *self.shape[1:]), np.float32)

    def _read_logits(
        self, models: list[tuple[ShadowModels, int]], start: int, stop: int, into: np.ndarray
    ) -> np.ndarray:
        """The logits of these models, in a place for them."""
        for place, (record, model) in zip(into, models, strict=True):
            place[:] = record.read_logits(model, start, stop)
        return into

    def _of_models(self, read: Callable[[slice], tuple], num_examples: int, run: Run) -> Iterator[np.ndarray]:
        """What is read of all models, in arrays whose last axis is that of the models.

        Args:
            read: which models -> arrays whose first axis is that of these models.
            num_examples: with few, more models are read at a time: on small arrays threads wait for one another.
            run: does the reading.
        """
        size = max(1, _TOGETHER // (num_examples * self.shape[1] * self.shape[2]))
        tasks = [(slice(first, first + size),) for first in range(0, len(self._models), size)]
        for parts in zip(*run(read, tasks), strict=True):
            yield np.ascontiguousarray(np.moveaxis(np.concatenate(parts), 0, -1))

    def _answers(self, start: int, stop: int, kept: np.ndarray | None, some: slice) -> tuple[np.ndarray, ...]:
        """(k, n, Q) phi of k models, and what a PlainView holds of them, (k, n) each; keeps their logits in `kept`."""
        models, labels = self._models[some], self._labels[start:stop]
        place = self._empty(models, start, stop) if kept is None else kept[some]
        logits = self._read_logits(models, start, stop, place)
        plain, phi = logits[:, :, 0], signals.phi(logits, labels[:, None])
        return phi, signals.correct(plain, labels), ood.max_softmax(plain), ood.energy(plain)

    def _phi(self, start: int, stop: int, some: slice) -> tuple[np.ndarray]:
        """(k, n, Q) phi of k models."""
        return (np.stack([record.read_phi(model, start, stop) for record, model in self._models[some]]),)

    def _phi_of_epochs(self, start: int, stop: int, some: slice) -> tuple[np.ndarray]:
        """(k, E - 1, n, Q) phi of k models at earlier epochs."""
        models = self._models[some]
        return (np.array([[epoch.read_phi(model, start, stop) for epoch in of.earlier] for of, model in models]),)

    def _block(
        self, start: int, stop: int, phi: np.ndarray, earlier: np.ndarray | None, logits: np.ndarray | None = None
    ) -> Block:
        """A block. Its logits are (M, n, Q, C), or None: they are read if an attack asks for them."""

        def by_example() -> np.ndarray:
            of_models = logits
            if of_models is None:
                place = self._empty(self._models, start, stop)
                of_models = self._read_logits(self._models, start, stop, place)
            return np.moveaxis(of_models, 0, 2)

        x = self._x
        read_x = None if x is None else lambda: np.asarray(x[start:stop])
        labels, keep = self._labels[start:stop], self.keep[start:stop]
        return Block(start, labels, keep, phi, by_example, None, self.lineup, read_x, earlier)
