"""The models of a record: what each says of the examples, and what is known of all of them besides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mia_tf.stored_model import StoredModel
from mia_tf.validation import check_shape, fail, part_of


@dataclass(frozen=True)
class Answers:
    """One model of the record.

    Attributes:
        name: what messages call it, such as "model 3".
        source: where its outputs stand, for messages.
        member: (N,) bool, true for the examples it was trained on.
        shape: (N, Q, C) of its outputs; C is 0 if only phi was kept.
        read: (start, stop) -> (stop - start, Q, C) outputs of these examples, as they stand; or (stop - start, Q) phi.
        epoch: epochs trained; None if unknown.
        metrics: returns what training measured; {} if unknown.
        hparams: returns the settings of its training; {} if unknown.
        index: which model of its LOGDIR; None if it has none.
        argument: the parameter or flag that gave it, which an InputError names.
    """

    name: str
    source: str
    member: np.ndarray
    shape: tuple[int, int, int]
    read: Callable[[int, int], np.ndarray]
    epoch: int | None = None
    metrics: Callable[[], Mapping] = dict
    hparams: Callable[[], Mapping] = dict
    index: int | None = None
    argument: str = "logits"

    @property
    def has_outputs(self) -> bool:
        """Whether `read` returns outputs; False if it returns phi, all that was kept."""
        return self.shape[2] > 0


@dataclass(frozen=True)
class About:
    """What tables, figures and messages say about a record besides its numbers.

    Attributes:
        name: of the data set; "" if unknown.
        arch: of the models; "" if unknown.
        group_titles: population of a group -> what figures call it.
        stand_in: the sentence about data that stand in for the real ones; "" if all are real.
        planned: how many models the run is to have; None if unknown.
        plan: how the training sets were drawn, one of `config.SUBSET_PLANS`; None if unknown.
        pkeep: the probability of membership under that plan; None if unknown.
        only_subset: no model was trained on any but this many first examples; None if all had their chance.
        notes: sentences about models that are not in the record.
        argument: the parameter or flag that gave the record, which an InputError names.
    """

    name: str = ""
    arch: str = ""
    group_titles: Mapping[str, str] = field(default_factory=dict)
    stand_in: str = ""
    planned: int | None = None
    plan: str | None = None
    pkeep: float | None = None
    only_subset: int | None = None
    notes: tuple[str, ...] = ()
    argument: str = "shadows"


def answers_of(model: StoredModel, cut_keep: bool) -> Answers:
    """A model of a LOGDIR; `cut_keep` for LiRA's, whose keep.npy may have more rows than the logits."""
    shape = model.logits_shape() if model.has_logits else (*model.scores_shape(), 0)
    return Answers(
        model.name,
        str(model.file),
        model.keep[: shape[0]] if cut_keep else model.keep,
        shape,
        model.read_logits if model.has_logits else model.read_scores,
        model.epoch,
        model.metrics,
        model.hparams,
        model.index,
        model.argument,
    )


def in_memory(model: Answers) -> Answers:
    """The same model, with all of it in memory."""
    array, metrics, hparams = model.read(0, model.shape[0]), model.metrics(), model.hparams()
    read = {"read": lambda a, b: array[a:b], "metrics": lambda: metrics, "hparams": lambda: hparams}
    return replace(model, source=model.name, **read)


def check_fits(model: Answers, shape: tuple[int, int, int], num_examples: int) -> None:
    """Raises InputError if a model's arrays do not fit the labels and the first model."""
    if model.shape != shape or model.shape[0] != num_examples:
        allowed = (
            f"must have examples, queries, classes = ({num_examples}, {shape[1]}, {shape[2]}), as y_train.npy and the "
            "first model say"
        )
        if model.has_outputs and (model.shape[0], model.shape[2]) == (num_examples, shape[2]):
            command = f"python -m mia_tf.inference --queries={max(model.shape[1], shape[1])}"
            allowed += f"; if the weights were kept, `{command}` asks all models alike"
        fail(part_of(model.argument, f"the logits of {model.name}"), model.shape, allowed)
    check_shape(part_of(model.argument, f"keep.npy of {model.name}"), model.member, (num_examples,), bool)
