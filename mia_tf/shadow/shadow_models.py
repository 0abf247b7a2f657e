"""The record of an audit: what many models say of the same examples, and which examples each was trained on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np

from mia_tf.labels import normalize_groups, normalize_ids, normalize_labels
from mia_tf.records import ALL, GROUP_NAMES, Examples
from mia_tf.shadow import signals
from mia_tf.shadow.answers import About, Answers, answers_of, check_fits, in_memory
from mia_tf.shadow.concurrency import once
from mia_tf.shadow.outputs import answers_of_one_model, as_logits, check_outputs, probability_floor
from mia_tf.store import Store
from mia_tf.validation import as_array, as_mask, check, check_integer, check_several, check_shape, fail, listed, part_of

_SAMPLE = 1000
ALL_EPOCHS = "all"
"""As an epoch: all that the models have."""


class ShadowModels:
    """What M models say of N examples, and which of the examples each model was trained on.

    Attributes:
        labels: (N,) int64 in [0, C).
        ids: (N,) str, unique names of the examples.
        groups: (N,) str, the group of each example; None if there is only one group.
        classes: the C names of the classes; None if they are numbers.
        outputs: "logits", "probabilities" or "sigmoid": what the models return.
        about: what tables and figures say besides numbers.
        models: the M models.
        x: (N, ...) numbers, the examples themselves, for attacks that see them; None if the record has none.
        earlier: the records of the same models at earlier epochs, rising, for attacks that see them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> members = rng.random((8, 40)) < 0.5
        >>> labels = rng.integers(0, 2, 40)
        >>> logits = rng.normal(size=(8, 40, 2))
        >>> shadows = ShadowModels(logits=logits, members=members, labels=labels)
        >>> len(shadows), shadows.shape
        (8, (40, 1, 2))
    """

    def __init__(
        self,
        logits: np.ndarray,
        members: np.ndarray,
        labels: np.ndarray,
        outputs: str = "logits",
        ids=None,
        groups=None,
        classes=None,
        x=None,
    ):
        """Takes arrays in memory. They are read when an audit needs them, and never changed.

        Args:
            logits: what M models return for N examples, floats of any precision: (M, N, C) for one query per
                example, or (M, N, Q, C); with outputs="sigmoid", and for probabilities of the second of two classes,
                also (M, N) or (M, N, 1).
            members: (M, N) bool, or 0 and 1: true if the model was trained on the example.
            labels: N true classes: integers from 0, floats that are whole numbers, booleans or strings, of shape (N,)
                or (N, 1), or one-hot (N, C). Strings name the classes in sorted order, unless `classes` gives the
                order of the outputs. An ordered pandas Categorical of another order needs `classes`.
            outputs: "logits": before the softmax. "probabilities": after it; 0 and 1 are allowed
                (`outputs.probability_floor`). "sigmoid": one output, the logit of the second of two classes.
            ids: N different strings or integers; default 0 to N - 1.
            groups: a name for each example (N,), each of which becomes a population of the audit; or 1 for the
                under- and 0 for the over-represented group. Default: one group.
            classes: C names of the classes.
            x: the examples themselves, numbers (N, ...), for attacks that see them (`quantile_regression`).

        Raises:
            InputError: an argument has another shape, type or range; the message names it.
        """
        arrays = _as_four_axes(logits, outputs)
        num_models, num_examples, num_queries, num_outputs = arrays.shape
        one = "must be of several models, (M, N) or (M, N, C); for one model give logits[None] and members[None]"
        fits = as_array("members", members).shape != np.shape(logits)[:1] or num_models == 1
        check("logits", f"shape {np.shape(logits)}", fits, one)
        members = as_mask("members", members, (num_models, num_examples))
        for index, array in enumerate(arrays):
            if not np.isfinite(array).all():
                fail("logits", f"NaN or infinity in model {index}", "must be finite")
        check_outputs([lambda array=array: array for array in arrays], num_outputs, outputs)
        self.outputs = outputs
        self.labels, self.classes = normalize_labels(labels, classes=classes)
        num_classes = 2 if num_outputs == 1 else num_outputs
        _check_labels(self.labels, self.classes, num_examples, num_classes)
        self.ids = np.arange(num_examples).astype(str) if ids is None else normalize_ids(ids)
        check_shape("ids", self.ids, (num_examples,))
        self.groups = None if groups is None else normalize_groups(groups, num_examples)
        self.x = None if x is None else _as_x(x, num_examples)
        self.earlier: list[ShadowModels] = []
        self.about = About(group_titles={name: name for name in self.populations if name != ALL})
        shape = (num_examples, num_queries, num_outputs)
        self.models = [
            Answers(f"model {k}", f"logits[{k}]", members[k], shape, lambda a, b, k=k: arrays[k, a:b])
            for k in range(num_models)
        ]

    @classmethod
    def open(
        cls, logdir, outputs: str | None = None, epoch: int | str | None = None, *, argument: str = "logdir"
    ) -> ShadowModels:
        """Opens a LOGDIR that `mia_tf.train` or LiRA's published code wrote; outputs are read when an audit needs them.

        A LOGDIR may have the scores of LiRA's score.py, which are phi, instead of logits. An audit then has only what
        follows from phi, and needs no y_train.npy.

        Args:
            logdir: the folder.
            outputs: what the models' files of logits hold, as for arrays in memory; None for what the LOGDIR says of
                itself, or "logits" if it does not say.
            epoch: the epoch whose logits are taken; None for the last one of each model; "all" for the last one that
                all models have, and with it the earlier ones that all have.
            argument: the name of `logdir` in error messages.

        Raises:
            InputError: the folder holds no such record, or files do not fit together; the message names them.

        Example:
            `shadows = ShadowModels.open("runs/mine")`
        """
        store = Store.open(logdir, argument)
        if epoch == ALL_EPOCHS:
            return cls._open_all(logdir, outputs, store.epochs(), argument)
        check_integer("epoch", epoch, 0, optional=True)
        epoch = cast(int | None, epoch)
        config = store.config()
        models = [answers_of(model, cut_keep=not store.ours) for model in store.models(epoch)]
        notes = store.left_out()
        if not models:
            wanted = (
                "must hold complete models: folders experiment* with keep.npy and logits/EPOCH.npy or scores/EPOCH.npy"
            )
            fail(argument, f"{logdir} ({' '.join(notes) or 'it has no folder experiment*'})", wanted)
        num_examples = models[0].shape[0]
        examples = store.examples() if store.has_labels else Examples.unlabelled(store.about()["name"], num_examples)
        if not store.ours and num_examples < len(examples.labels):  # LiRA's --dataset_size
            total = len(examples.labels)
            notes.append(f"The models answered the first {num_examples:,} of the {total:,} examples of y_train.npy.")
            examples = examples.first(num_examples)
        self = cls.__new__(cls)
        self.outputs = config.get("outputs", "logits") if outputs is None else outputs
        self.labels, self.ids = examples.labels, examples.example_ids
        self.x, self.earlier = store.x(num_examples), []
        self.classes = examples.classes if store.has_labels else ("unknown",)
        self.groups = normalize_groups(np.array(examples.populations)[examples.groups], len(self.labels))
        titles = dict(zip(examples.populations, examples.group_names, strict=True))
        if self.groups is None:  # neither over- nor under-represented
            title = examples.group_names[examples.groups[0]]
            titles = {} if title in GROUP_NAMES else {ALL: title}
        self.about = About(
            name=examples.name,
            arch=config.get("arch", ""),
            group_titles=titles,
            stand_in=examples.stand_in,
            planned=config.get("num_experiments"),
            plan=config.get("subsets"),
            pkeep=config.get("pkeep"),
            only_subset=config.get("only_subset"),
            notes=tuple(notes),
            argument=argument,
        )
        self.models = models
        for model in models:
            check_fits(model, models[0].shape, len(self.labels))
        if self.has_logits:
            readers = [lambda model=model: model.read(0, _SAMPLE) for model in models[:2]]
            part = part_of(argument, "the models' answers")
            check_outputs(readers, models[0].shape[2], self.outputs, part)
        low, high = self.labels.min(), self.labels.max()
        if low < 0 or high >= self.shape[2]:
            name, received = part_of(argument, "the labels"), f"values from {low} to {high}"
            fail(name, received, f"must lie in [0, {self.shape[2] - 1}]")
        return self

    @classmethod
    def _open_all(cls, logdir, outputs: str | None, epochs: list[int], argument: str) -> ShadowModels:
        """The record at the last of the epochs that all models have, with the earlier ones."""
        allowed = (
            "must be one epoch, unless all models have logits of several (train --save_steps, then mia_tf.inference)"
        )
        check("epoch", f"{ALL_EPOCHS}; all have {listed(epochs) or 'none'}", len(epochs) > 1, allowed)
        *earlier, record = (cls.open(logdir, outputs, epoch, argument=argument) for epoch in epochs)
        for other, epoch in zip(earlier, epochs[:-1], strict=True):
            same = f"must have as many queries at each epoch, {record.shape[1]} (python -m mia_tf.inference)"
            check("epoch", f"{other.shape[1]} at epoch {epoch}", other.shape == record.shape, same)
        record.earlier = earlier
        return record

    def __len__(self) -> int:
        """Number of models M."""
        return len(self.models)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, Q, C): examples, queries per example and classes; without logits, the classes that have examples."""
        examples, queries, outputs = self.models[0].shape
        if not self.has_logits:
            return examples, queries, int(self.labels.max()) + 1
        return examples, queries, 2 if outputs == 1 else outputs

    def with_floor_of(self, other: ShadowModels) -> ShadowModels:
        """The same record, in which a probability of 0 counts as in the other one, if both return probabilities."""
        same = self.subset(range(len(self)))
        if self.outputs == other.outputs == "probabilities" and other.has_logits:
            same.floor = other.floor
        return same

    @once
    def floor(self) -> float:
        """What a probability of 0 counts as, if the models return probabilities; reads all of them once."""
        examples = len(self.labels)
        return probability_floor(lambda model=model: model.read(0, examples) for model in self.models)

    @property
    def has_logits(self) -> bool:
        """Whether the models' outputs are there, and not phi alone."""
        return self.models[0].has_outputs

    @property
    def members(self) -> np.ndarray:
        """(M, N) bool, true if the model was trained on the example."""
        return np.array([model.member for model in self.models])

    @property
    def populations(self) -> dict[str, np.ndarray]:
        """Name of a population -> (N,) bool: all examples, then each group if there are several."""
        masks = {ALL: np.ones(len(self.labels), bool)}
        if self.groups is not None:
            names = np.unique(self.groups)
            masks |= {str(name): self.groups == name for name in names}
        return masks

    def read_logits(self, model: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns (stop - start, Q, C) float32 logits of a range of examples; probabilities become log p.

        Raises:
            InputError: an output is not finite; names the model.
        """
        answers = self._model(model)
        allowed = "must hold logits, not only scores"
        check(part_of(answers.argument, answers.name), answers.source, answers.has_outputs, allowed)
        outputs = answers.read(start, len(self.labels) if stop is None else stop)
        floor = {"floor": self.floor} if self.outputs == "probabilities" else {}
        logits = as_logits(outputs, self.outputs, **floor)
        _check_finite(logits, "logits", answers)
        return logits

    def read_phi(self, model: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Returns (stop - start, Q) float64 `signals.phi` of a range of examples.

        Raises:
            InputError: an output is not finite; names the model.
        """
        answers, stop = self._model(model), len(self.labels) if stop is None else stop
        if answers.has_outputs:
            return signals.phi(self.read_logits(model, start, stop), self.labels[start:stop, None])
        phi = answers.read(start, stop)
        _check_finite(phi, "scores", answers)
        return phi

    def _model(self, model: int) -> Answers:
        """The model at a position."""
        check_integer("model", model, -len(self.models), len(self.models) - 1)
        return self.models[model]

    def subset(self, models: Iterable[int]) -> ShadowModels:
        """The same record with only these of its models, by position, or a bool for each.

        Raises:
            InputError: a position is not that of a model, or is there twice.
        """
        check_several("models", models, "[0, 2]")
        models = np.asarray(list(models))
        if models.dtype == bool and models.shape == (len(self.models),):
            models = np.flatnonzero(models)
        numbers = models.ndim == 1 and (models.dtype.kind in "iu" or not len(models))
        fine = numbers and len(np.unique(models)) == len(models) and ((models >= 0) & (models < len(self.models))).all()
        allowed = f"must be positions in [0, {len(self.models) - 1}], each once, or a bool for each model"
        check("models", listed(models.ravel().tolist(), 5), bool(fine), allowed)
        models, chosen = models.astype(np.int64).tolist(), object.__new__(ShadowModels)
        chosen.__dict__ = {**self.__dict__, "models": [self.models[model] for model in models]}
        chosen.__dict__.pop("floor", None)  # of these models, whether or not that of all was asked for before
        chosen.earlier = [record.subset(models) for record in self.earlier]
        return chosen

    def in_memory(self) -> ShadowModels:
        """The same record with all its outputs and metrics in memory: the files that it was read from may go."""
        copy = self.subset([])
        copy.models = [in_memory(model) for model in self.models]
        copy.x = None if self.x is None else np.array(self.x)
        copy.earlier = [record.in_memory() for record in self.earlier]
        return copy

    def target(self, answers: np.ndarray, member: np.ndarray | None = None) -> ShadowModels:
        """One finished model on the same examples, as a record of its own.

        Args:
            answers: what the model returns, as one model's `logits`: (N, C) or (N, Q, C); (N,) or (N, 1) for one
                output.
            member: (N,) bool, or 0 and 1: the examples it was trained on; None if unknown.

        Raises:
            InputError: the answers do not fit the shadow models.
        """
        check(
            "target", "an array", self.has_logits, "must not be given with shadow models of which only scores were kept"
        )
        array = answers_of_one_model(answers, "target")
        num_examples, num_queries, num_outputs = self.models[0].shape
        wanted = num_examples, num_queries, num_outputs
        words = f"must have the shape of one shadow model's answers, {wanted} (or without the axis of one query)"
        check("target", f"shape {np.shape(answers)}", array.shape == wanted, words)
        check("target", f"dtype {array.dtype}", array.dtype.kind in "fiu", "must be numbers")
        check("target", "NaN or infinity", np.isfinite(array).all(), "must be finite")
        check_outputs([lambda: array], num_outputs, self.outputs, "target")
        known = member is not None
        membership = as_mask("target_members", member, (num_examples,)) if known else np.zeros(num_examples, bool)
        one = self.subset([])
        one.earlier = []
        read = {"read": lambda a, b: array[a:b], "argument": "target"}
        one.models = [Answers("the target", "target", membership, wanted, **read)]
        if self.outputs == "probabilities":
            one.floor = self.floor
        one.about = replace(self.about, planned=None, plan=None, pkeep=None, only_subset=None, notes=())
        return one


def _as_four_axes(logits, outputs: str) -> np.ndarray:
    """The outputs as (M, N, Q, C)."""
    array = as_array("logits", logits)
    shape = array.shape
    check("logits", f"dtype {array.dtype}", array.dtype.kind in "fiu", "must be numbers")
    if array.ndim == 2 and outputs in ("sigmoid", "probabilities"):
        array = array[..., None]
    if array.ndim == 3:
        array = array[:, :, None]
    check("logits", f"shape {shape}", array.ndim == 4, "must have shape (M, N, C) or (M, N, Q, C)")
    check("logits", f"shape {shape}", array.size > 0, "must hold at least one model, example and query")
    return array


def _as_x(x, num_examples: int) -> np.ndarray:
    """The examples as numbers (N, ...)."""
    array = as_array("x", x)
    check("x", f"dtype {array.dtype}", array.dtype.kind in "biuf", "must be numbers")
    one_each = f"must hold one row of numbers for each of the {num_examples} examples"
    check("x", f"shape {array.shape}", array.ndim >= 2 and len(array) == num_examples, one_each)
    check("x", "NaN or infinity", np.isfinite(array).all(), "must be finite")
    return array


def _check_finite(values: np.ndarray, kind: str, answers: Answers) -> None:
    """Raises InputError if what was read of a model is not finite."""
    part = part_of(answers.argument, f"the {kind} of {answers.name}")
    check(part, f"NaN or infinity in {answers.source}", np.isfinite(values).all(), "must be finite")


def _check_labels(labels: np.ndarray, classes: tuple[str, ...] | None, num_examples: int, num_classes: int) -> None:
    """Raises InputError if labels or class names do not fit the outputs."""
    check("labels", len(labels), len(labels) == num_examples, f"must be one for each of the {num_examples} examples")
    if classes is not None:
        one_each = f"must name as many classes as there are outputs, {num_classes}"
        check("classes", f"{len(classes)} classes", len(classes) == num_classes, one_each)
    limit = f"must lie in [0, {num_classes - 1}], as the models have {num_classes} outputs (labels from 1: subtract 1)"
    check("labels", f"values from {labels.min()} to {labels.max()}", labels.max() < num_classes, limit)
